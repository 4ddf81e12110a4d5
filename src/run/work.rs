//! One process's work on a run: from the connection to the last outcome.

use crate::engine::config::{Config, How, Mode};
use crate::engine::job::{Applier, NoApplier, Planner};
use crate::engine::run;
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::journal::lock::RowsLock;
use crate::journal::manifest::{Manifest, Party, RunState};
use crate::monitor::Monitor;
use crate::report::progress::Scope;
use crate::report::terminal::one_line;
use crate::run::confirm::Typed;
use crate::run::drift::{ByPlan, OnlyPlanned};
use crate::run::finish;
use crate::run::job::{Job, Notes, Scan, Start};
use crate::run::planned;
use crate::run::session::{self, Session};
use crate::run::target::{Identity, Target};
use crate::run::watching;
use std::num::NonZeroU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long changes in flight may continue after a signal.
const GRACE: Duration = Duration::from_secs(10);

impl<J: Job> Session<J> {
    /// Works on the run until it ends, one way or another; writes the result files and prints the summary.
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        let scope = Scope {
            total: self.scan.as_ref().map_or(0, |scan| session::total(&self.manifest, &self.job, scan)),
            before: self.replay.settled.len(),
        };
        // One that is resumed has a journal that was replayed. Asked now: the engine takes the replay.
        let is_new = self.replay.next_seq == 0;
        if let Err(failure) = watching::begin(&mut self, scope).await {
            return self.abandon(failure, is_new);
        }
        let charted = watching::chart(&mut self);
        let mut figures = Figures::default();
        let stamp = self.scan.as_ref().map(|scan| scan.stamp);
        let how = match self.work(scope, &mut figures).await {
            Ok(how) => how,
            Err(failure) if failure.exit == Exit::NotConfirmed => return self.abandon(failure, is_new),
            // A wrong `--group-map` or organisation: what the run keeps of it could not be fixed either. Nor may a run wait
            // for the one that holds its rows: resumed after that, it would write what may be long out of date.
            Err(failure)
                if matches!(
                    failure.exit,
                    Exit::Usage | Exit::InvalidInput | Exit::Changed | Exit::Locked
                ) && is_new =>
            {
                return self.abandon(failure, is_new);
            }
            Err(failure) => How::Stopped(failure),
        };
        finish::run(self, how, stamp, scope.total, figures, charted).await
    }

    async fn work(&mut self, scope: Scope, figures: &mut Figures) -> Result<How, Failure> {
        let is_idle = session::is_idle(&self.replay, scope.total);
        let was_looked_at = self.manifest.dry_run || self.manifest.state == RunState::Finished;
        if is_idle && (was_looked_at || !J::LOOKS_BACK) {
            return Ok(How::Finished);
        }
        let target = J::Target::open(&self.job, &self.settings, &self.stop).await?;
        let outcome =
            if is_idle { self.look_back(&target).await } else { self.converse(&target, scope).await };
        *figures = self.figures(&target)();
        outcome
    }

    /// Tells what this process has done and is doing.
    fn figures(&self, target: &J::Target) -> impl Fn() -> Figures + Send + use<J> {
        let (counters, journal, monitor) = (target.counters(), self.journal.clone(), self.monitor.clone());
        let (since, parsing) = (self.since, self.parsing);
        move || {
            let syncs = journal.syncs();
            Figures {
                elapsed: since.elapsed(),
                parsing,
                syncs: (syncs.count, syncs.time),
                process: monitor.as_ref().and_then(Monitor::look),
                ..counters()
            }
        }
    }

    /// Looks at a run of which nothing is left.
    async fn look_back(&mut self, target: &J::Target) -> Result<How, Failure> {
        match target.identity().await {
            Ok(identity) => self.same_organisation(identity, target.name())?,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        }
        self.look_after(target).await
    }

    async fn look_after(&mut self, target: &J::Target) -> Result<How, Failure> {
        match self.job.after(target, &self.run, &self.stop).await {
            Ok(after) => self.after = after,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        }
        Ok(How::Finished)
    }

    async fn converse(&mut self, target: &J::Target, scope: Scope) -> Result<How, Failure> {
        let identity = match target.identity().await {
            Ok(identity) => identity,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.same_organisation(identity, target.name())?;
        let scan = self.scan.take();
        let scan = scan.ok_or_else(|| Failure::new(Exit::Unexpected, "a defect: the input was fed twice"))?;
        let of_input = scan.notes.iter().cloned();
        let notes = Notes::new(of_input.chain(self.corrected.said.iter().cloned()).collect());
        let lines = match self.job.before_asking(&self.start(target, &scan, &notes)).await {
            Ok(lines) => lines,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.confirm(scope, &scan, target.name(), &lines).await?;
        self.corrected.keep_files(&self.run)?;
        self.manifest.state = RunState::Running;
        self.manifest.write(&self.run)?;

        let (planner, applier) = match self.job.begin(&self.start(target, &scan, &notes)).await {
            Ok(halves) => halves,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.manifest.notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !self.manifest.notes.is_empty() {
            self.manifest.write(&self.run)?;
        }
        // Held until the last change is made.
        let _rows = self.hold_rows()?;
        if self.manifest.dry_run {
            self.engine(planner, Mode::<NoApplier>::Plan, scan, target).await
        } else {
            let how = self.engine(planner, Mode::Apply(Arc::new(applier)), scan, target).await?;
            if matches!(how, How::Finished) { self.look_after(target).await } else { Ok(how) }
        }
    }

    fn start<'a>(
        &'a self,
        target: &'a J::Target,
        scan: &'a Scan<J::Found>,
        notes: &'a Notes,
    ) -> Start<'a, J::Found, J::Target> {
        Start {
            target,
            settings: &self.settings,
            run: &self.run,
            manifest: &self.manifest,
            input: &self.input,
            scan,
            resend_unproven: self.resend_unproven,
            retries: !self.replay.reopened.is_empty(),
            stop: &self.stop,
            terminal: &self.terminal,
            notes,
        }
    }

    async fn engine<A>(
        &mut self,
        planner: J::Planner,
        mode: Mode<A>,
        scan: Scan<J::Found>,
        target: &J::Target,
    ) -> Result<How, Failure>
    where
        A: Applier<<J::Planner as Planner>::Change>,
    {
        let mut replay = std::mem::take(&mut self.replay);
        let begun = std::mem::take(&mut replay.begun);
        let feed = self.job.feed(&self.input, scan, replay, self.stop.clone())?;
        let mut config = Config {
            batch_size: self.settings.batch_size,
            first_batch: self.settings.batch_size,
            concurrency: self.settings.concurrency,
            limits: self.settings.limits,
            max_changes: self.settings.max_changes.map(NonZeroU64::get),
            open_batches: 4,
            record_each: false,
            grace: GRACE,
        };
        self.job.tune(&mut config);
        let (sender, events) = mpsc::channel(1024);
        let (mut reporters, figures) = (std::mem::take(&mut self.reporters), self.figures(target));
        let listening = tokio::spawn(async move {
            reporters.listen(events, figures).await;
            reporters
        });
        let journal = self.journal.clone();
        // The tally of this process alone: the journal has that of the whole run.
        let stop = self.stop.clone();
        let (how, _) = match self.plan.take() {
            None => run::run(config, planner, mode, feed, journal, sender, stop).await,
            Some((plan, on_drift)) => {
                let (planner, feed) = (ByPlan::new(planner, on_drift), OnlyPlanned::new(feed, plan, begun));
                run::run(config, planner, mode, feed, journal, sender, stop).await
            }
        };
        // A panic of a reporter changes nothing of the run.
        self.reporters = listening.await.unwrap_or_default();
        Ok(how)
    }

    /// Keeps other runs of this job off the same rows of this organisation. A dry run changes nothing, and a sandbox in
    /// this process is nobody else's.
    fn hold_rows(&self) -> Result<Option<RowsLock>, Failure> {
        let Manifest { dry_run, org, input, .. } = &self.manifest;
        if *dry_run || self.job.in_sandbox() || !self.job.holds_rows() {
            return Ok(None);
        }
        let org = org.as_ref().map_or(Party::UNKNOWN, |org| &org.id);
        let rows = input.as_ref().map_or("", |input| &input.sha256);
        let what = format!("{} {org} {rows}", J::COMMAND);
        Ok(Some(RowsLock::take(&RowsLock::folders(&self.settings.runs_dir), &what, &self.run)?))
    }

    /// A run continues only in the organisation in which it began.
    fn same_organisation(&mut self, identity: Identity, target: &str) -> Result<(), Failure> {
        let Identity { org, user } = identity;
        if let Some(before) = &self.manifest.org
            && before.id != org.id
        {
            let began =
                self.manifest.parent.as_ref().map_or_else(|| "the run".to_owned(), |of| format!("run {of}"));
            let text = format!(
                "{began} began in {} {}, and these credentials belong to {} at {target}: use those that it began with, or start \
                 a new run",
                J::Target::ORG,
                before.id,
                org.id
            );
            return Err(Failure::new(Exit::Changed, text));
        }
        self.manifest.org = Some(org);
        self.manifest.user = Some(user);
        Ok(())
    }

    async fn confirm(
        &self,
        scope: Scope,
        scan: &Scan<J::Found>,
        target: &str,
        lines: &[String],
    ) -> Result<(), Failure> {
        let Manifest { org, user, command, .. } = &self.manifest;
        let org_name = org.as_ref().map_or("unknown", Party::called);
        let named = |party: &Option<Party>| {
            party.as_ref().map_or_else(String::new, |party| one_line(&party.to_string()))
        };
        let what = format!(
            "{command} at {target}\n  environment   {}\n  {:<12}  {}\n  as            {}\n  rows          {} of \
             {}\n{}{}",
            self.settings.environment,
            J::Target::ORG,
            named(org),
            named(user),
            scope.total.saturating_sub(scope.before),
            self.input.name(),
            lines.iter().fold(String::new(), |text, line| text + "  " + &one_line(line) + "\n"),
            match &self.manifest.applies {
                None => self.job.what(scan),
                Some(applies) => planned::what::<J>(applies),
            },
        );
        let in_production = self.settings.is_production() || self.in_production;
        let what = if in_production { format!("{what}\nThis is production.") } else { what };
        let typed = (J::NAME_IS_TYPED || in_production).then(|| org_name.to_owned());
        let (confirmation, terminal) = (self.confirmation, self.terminal.clone());
        let asked = move || {
            let typed = typed.as_deref().map(|name| Typed { of: "organisation", name });
            confirmation.obtain(&terminal, &what, typed)
        };
        let asked = tokio::task::spawn_blocking(asked);
        match self.stop.race(asked).await {
            Some(answered) => answered.unwrap_or_else(|_| {
                Err(Failure::new(Exit::NotConfirmed, "nothing was written: could not ask"))
            }),
            None => Err(Failure::new(
                Exit::NotConfirmed,
                "nothing was written: interrupted before it was confirmed",
            )),
        }
    }

    /// A run that never began leaves nothing behind, unless an earlier process made it: its folder may hold
    /// the only copy of what came on standard input.
    fn abandon(self, failure: Failure, is_new: bool) -> Result<Exit, Failure> {
        if is_new {
            // Its folder would only stand in the way of `resume`; if it cannot go, it does no harm.
            let _ = std::fs::remove_dir_all(self.run.path());
        }
        Err(failure)
    }
}
