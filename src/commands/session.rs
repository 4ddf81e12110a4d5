//! One process's work on a run: from the connection to the last outcome.

use super::apply;
use super::confirm::Confirmation;
use super::connect::Connection;
use super::corrections::Corrected;
use super::finish;
use super::job::{Job, Looked, Notes, Start};
use super::watching;
use crate::devrev::client::Client;
use crate::devrev::dev_users::DevUserAnswer;
use crate::engine::job::{Applier, NoApplier, Planner};
use crate::engine::run::{self, Config, How, Mode};
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::jobs::drift::{ByPlan, OnDrift, OnlyPlanned};
use crate::journal::lock::{RowsLock, RunLock};
use crate::journal::manifest::{Manifest, Party, RunState};
use crate::journal::plan::Plan;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::monitor::Monitor;
use crate::report::logging;
use crate::report::progress::Scope;
use crate::report::reporter::Reporters;
use crate::report::terminal::{Terminal, one_line};
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use std::num::NonZeroU64;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long changes in flight may go on after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// A run that this process holds, and all that it needs to go on with it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
pub struct Session<J: Job> {
    /// The settings of this process.
    pub settings: Settings,
    /// What the job does.
    pub job: J,
    /// The run's folder.
    pub run: RunDir,
    /// Held until the process ends.
    pub lock: RunLock,
    /// The run's log, which is written till then.
    pub log: logging::Kept,
    /// `run.json`.
    pub manifest: Manifest,
    /// The rows.
    pub input: Input,
    /// What is known of the input.
    pub looked: Option<J::Looked>,
    /// What earlier processes of this run did.
    pub replay: Replay,
    /// The journal, open for this process's records.
    pub journal: Journal,
    /// The plan that is carried out, and what is done about what has drifted.
    pub plan: Option<(Plan, OnDrift)>,
    /// Whether merges of which it is not known that they took may be sent again.
    pub resend_unproven: bool,
    /// What this process was given anew.
    pub corrected: Corrected,
    /// Whether and how the operator is asked.
    pub confirmation: Confirmation,
    /// Whether an earlier process of this run, or of the one that it carries out or takes back, was in production: what
    /// began there is there still, whatever `ENVIRONMENT` says by now.
    pub in_production: bool,
    /// What ends every wait.
    pub stop: Stop,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// `--quiet`.
    pub quiet: bool,
    /// `--json`.
    pub json: bool,
    /// Since when this process works on the run.
    pub since: Instant,
    /// How long the look at the input took.
    pub parsing: Duration,
    /// Who reports of the run.
    pub reporters: Reporters,
    /// Who measures this process, if anybody does.
    pub monitor: Option<Monitor>,
}

impl<J: Job> Session<J> {
    /// Works on the run until it ends, one way or another; writes the result files and prints the summary.
    pub async fn run(mut self) -> Result<Exit, Failure> {
        let scope = Scope {
            total: self.looked.as_ref().map_or(0, |looked| total(&self.manifest, &self.job, looked)),
            before: self.replay.settled.len(),
        };
        // One that is resumed has a journal that was replayed. Asked now: the engine takes the replay.
        let is_new = self.replay.next_seq == 0;
        if let Err(failure) = watching::begin(&mut self, scope).await {
            return self.abandon(failure, is_new);
        }
        let charted = watching::chart(&mut self);
        let mut figures = Figures::default();
        let stamp = self.looked.as_ref().map(Looked::stamp);
        let how = match self.work(scope, &mut figures).await {
            Ok(how) => how,
            Err(failure) if failure.exit == Exit::NotConfirmed => return self.abandon(failure, is_new),
            // A wrong `--group-map` or organisation: what the run keeps of it could not be mended either.
            Err(failure) if matches!(failure.exit, Exit::Usage | Exit::Changed) && is_new => {
                return self.abandon(failure, is_new);
            }
            Err(failure) => How::Stopped(failure),
        };
        finish::run(self, how, stamp, scope.total, figures, charted).await
    }

    async fn work(&mut self, scope: Scope, figures: &mut Figures) -> Result<How, Failure> {
        if is_idle(&self.replay, scope.total) {
            return Ok(How::Finished);
        }
        let connection = Connection::open(&self.settings, self.job.in_sandbox(), &self.stop).await?;
        let outcome = self.converse(&connection, scope).await;
        *figures = self.figures(&connection.client)();
        outcome
    }

    /// Tells what this process has done and is doing.
    fn figures(&self, client: &Client) -> impl Fn() -> Figures + Send + use<J> {
        let (client, journal, monitor) = (client.clone(), self.journal.clone(), self.monitor.clone());
        let (since, parsing) = (self.since, self.parsing);
        move || {
            let syncs = journal.syncs();
            Figures {
                elapsed: since.elapsed(),
                parsing,
                syncs: (syncs.count, syncs.time),
                process: monitor.as_ref().and_then(Monitor::look),
                ..client.figures()
            }
        }
    }

    async fn converse(&mut self, connection: &Connection, scope: Scope) -> Result<How, Failure> {
        let identity = match connection.identity().await {
            Ok(identity) => identity,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.same_organisation(&identity, &connection.target)?;
        let looked = self.looked.take();
        let looked =
            looked.ok_or_else(|| Failure::new(Exit::Unexpected, "a defect: the input was fed twice"))?;
        let of_input = looked.notes().iter().cloned();
        let notes = Notes::new(of_input.chain(self.corrected.said.iter().cloned()).collect());
        let lines = match self.job.before_asking(&self.start(connection, &looked, &notes)).await {
            Ok(lines) => lines,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.confirm(scope, &looked, &connection.target, &lines).await?;
        self.corrected.keep_files(&self.run)?;
        self.manifest.state = RunState::Running;
        self.manifest.write(&self.run)?;

        let (planner, applier) = match self.job.begin(&self.start(connection, &looked, &notes)).await {
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
            self.engine(planner, Mode::<NoApplier>::Plan, looked, &connection.client).await
        } else {
            self.engine(planner, Mode::Apply(Arc::new(applier)), looked, &connection.client).await
        }
    }

    fn start<'a>(
        &'a self,
        connection: &'a Connection,
        looked: &'a J::Looked,
        notes: &'a Notes,
    ) -> Start<'a, J::Looked> {
        Start {
            client: &connection.client,
            target: &connection.target,
            settings: &self.settings,
            run: &self.run,
            manifest: &self.manifest,
            input: &self.input,
            looked,
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
        looked: J::Looked,
        client: &Client,
    ) -> Result<How, Failure>
    where
        A: Applier<<J::Planner as Planner>::Change>,
    {
        let mut replay = std::mem::take(&mut self.replay);
        let begun = std::mem::take(&mut replay.begun);
        let feed = self.job.feed(&self.input, looked, replay, self.stop.clone())?;
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
        let (mut reporters, figures) = (std::mem::take(&mut self.reporters), self.figures(client));
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
        if *dry_run || self.job.in_sandbox() {
            return Ok(None);
        }
        let org = org.as_ref().map_or(Party::UNKNOWN, |org| &org.id);
        let rows = input.as_ref().map_or("", |input| &input.sha256);
        let what = format!("{} {org} {rows}", J::COMMAND);
        Ok(Some(RowsLock::take(&RowsLock::folders(&self.settings.runs_dir), &what, &self.run)?))
    }

    /// A run goes on only in the organisation in which it began.
    fn same_organisation(&mut self, identity: &DevUserAnswer, target: &str) -> Result<(), Failure> {
        let org = identity.organisation().unwrap_or(Party::UNKNOWN).to_owned();
        if let Some(before) = &self.manifest.org
            && before.id != org
        {
            let began =
                self.manifest.parent.as_ref().map_or_else(|| "the run".to_owned(), |of| format!("run {of}"));
            let text = format!(
                "{began} began in organisation {}, and this token belongs to {org} at {target}: use the token that it \
                 began with, or begin a new run",
                before.id
            );
            return Err(Failure::new(Exit::Changed, text));
        }
        let user = &identity.dev_user;
        self.manifest.org = Some(Party { id: org, display_id: None, name: None });
        self.manifest.user = Some(Party {
            id: user.id.clone(),
            display_id: user.display_id.clone(),
            name: user.display_name.clone(),
        });
        Ok(())
    }

    async fn confirm(
        &self,
        scope: Scope,
        looked: &J::Looked,
        target: &str,
        lines: &[String],
    ) -> Result<(), Failure> {
        let Manifest { org, user, command, .. } = &self.manifest;
        let org_name = org.as_ref().map_or("unknown", Party::called);
        let named = |party: &Option<Party>| {
            party.as_ref().map_or_else(String::new, |party| one_line(&party.to_string()))
        };
        let what = format!(
            "{command} at {target}\n  environment   {}\n  organisation  {}\n  as            {}\n  rows          {} of {}\n{}{}",
            self.settings.environment,
            named(org),
            named(user),
            scope.total.saturating_sub(scope.before),
            self.input.name(),
            lines.iter().fold(String::new(), |text, line| text + "  " + &one_line(line) + "\n"),
            match &self.manifest.applies {
                None => self.job.what(looked),
                Some(applies) => apply::what::<J>(applies),
            },
        );
        let in_production = self.settings.is_production() || self.in_production;
        let what = if in_production { format!("{what}\nThis is production.") } else { what };
        let typed = (J::NAME_IS_TYPED || in_production).then(|| org_name.to_owned());
        let (confirmation, terminal) = (self.confirmation, self.terminal.clone());
        let asked = move || confirmation.obtain(&terminal, &what, typed.as_deref());
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

/// The rows that a run takes.
pub fn total<J: Job>(manifest: &Manifest, job: &J, looked: &J::Looked) -> u64 {
    manifest.applies.as_ref().map_or_else(|| job.total(looked), |applies| applies.rows)
}

/// Whether every row of a run that takes so many has a result which this process leaves as it is.
pub fn is_idle(replay: &Replay, rows: u64) -> bool {
    replay.unknown.is_empty() && replay.settled.len() >= rows
}
