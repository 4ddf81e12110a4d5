//! One process's work on a run: from the connection to the last outcome.

use super::confirm::Confirmation;
use super::connect::Connection;
use super::finish::{self, Figures};
use super::issue_feed::IssueFeed;
use super::options::BackfillOptions;
use super::preflight::Preflight;
use crate::devrev::breaker::BreakerState;
use crate::devrev::client::Client;
use crate::devrev::dev_users::DevUserAnswer;
use crate::devrev::works::GroupField;
use crate::engine::job::NoApplier;
use crate::engine::limits::Limits;
use crate::engine::run::{self, Config, How, Mode};
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::BackfillGroups;
use crate::jobs::backfill_groups::apply::GroupWriter;
use crate::jobs::backfill_groups::decide::Rules;
use crate::jobs::backfill_groups::group_map::GroupMap;
use crate::jobs::backfill_groups::membership::{Cache, Membership};
use crate::jobs::failing;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, Party, RunState};
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::journal::writer::Journal;
use crate::report::progress::{self, Live, Scope};
use crate::report::terminal::Terminal;
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long changes in flight may go on after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// The name under which a run keeps its copy of `--group-map`.
pub const GROUP_MAP: &str = "group-map.csv";

/// A run that this process holds, and all that it needs to go on with it.
#[derive(Debug)]
pub struct Session {
    /// The settings of this process.
    pub settings: Settings,
    /// What the job does.
    pub options: BackfillOptions,
    /// The run's folder.
    pub run: RunDir,
    /// Held until the process ends.
    pub lock: RunLock,
    /// `run.json`.
    pub manifest: Manifest,
    /// The rows.
    pub input: Input,
    /// What is known of the input.
    pub preflight: Option<Preflight>,
    /// What earlier processes of this run did.
    pub replay: Replay,
    /// The journal, open for this process's records.
    pub journal: Journal,
    /// Whether failed rows are taken again.
    pub retry_failed: bool,
    /// Whether and how the operator is asked.
    pub confirmation: Confirmation,
    /// What ends every wait.
    pub stop: Stop,
    /// Where progress is shown.
    pub terminal: Terminal,
    /// `--quiet`.
    pub quiet: bool,
    /// `--json`.
    pub json: bool,
}

impl Session {
    /// Works on the run until it ends, one way or another; writes the result files and prints the summary.
    pub async fn run(mut self) -> Result<Exit, Failure> {
        let since = Instant::now();
        let scope = Scope {
            total: self.manifest.input.as_ref().map_or(0, |input| self.options.rows_of(input.rows)),
            before: settled_before(&self.replay, self.retry_failed),
        };
        // One that is resumed has a journal that was replayed. Asked now: the engine takes the replay.
        let is_new = self.replay.next_seq == 0;
        let mut figures = Figures::default();
        let stamp = self.preflight.as_ref().map(|preflight| preflight.stamp);
        let how = match self.work(scope, &mut figures).await {
            Ok(how) => how,
            Err(failure) if failure.exit == Exit::NotConfirmed => return self.abandon(failure, is_new),
            // A wrong `--group-map` or token: the copy that the run keeps could not be mended either.
            Err(failure) if failure.exit == Exit::Usage && is_new => return self.abandon(failure, is_new),
            Err(failure) => How::Stopped(failure),
        };
        figures.took = since.elapsed();
        finish::run(self, how, stamp, scope.total, figures).await
    }

    async fn work(&mut self, scope: Scope, figures: &mut Figures) -> Result<How, Failure> {
        if is_idle(&self.replay, self.retry_failed, scope.total) {
            return Ok(How::Finished);
        }
        let connection = Connection::open(&self.settings, self.options.sandbox, &self.stop).await?;
        let outcome = self.converse(&connection, scope).await;
        figures.read(&connection.client);
        outcome
    }

    async fn converse(&mut self, connection: &Connection, scope: Scope) -> Result<How, Failure> {
        let identity = match connection.identity().await {
            Ok(identity) => identity,
            Err(failure) => return self.stop.cause().map(How::Interrupted).ok_or(failure),
        };
        self.same_organisation(&identity, &connection.target)?;
        self.confirm(scope, &connection.target).await?;
        self.manifest.state = RunState::Running;
        self.manifest.write(&self.run)?;

        let reads = connection.client.read_only();
        if self.terminal.draws() {
            self.terminal.say("finding out who is in which groups ...");
        }
        let membership = Membership::load(&reads, self.cache(&connection.target).as_ref()).await;
        let membership = match membership {
            Ok(membership) => Arc::new(membership),
            Err(error) => {
                let failure = failing::ends_run(&error).unwrap_or_else(|| {
                    Failure::new(Exit::Stopped, format!("cannot list the groups and their members: {error}"))
                });
                return self.stop.cause().map(How::Interrupted).ok_or(failure);
            }
        };
        let group_map = if self.options.group_map {
            GroupMap::read(&self.run.path().join(GROUP_MAP), &membership)?
        } else {
            GroupMap::default()
        };
        let rules = Rules {
            membership,
            group_map,
            on_ambiguous: self.options.on_ambiguous,
            overwrite: self.options.overwrite,
        };
        let field = GroupField::named(&self.options.field);
        let planner = BackfillGroups::new(reads, field.clone(), rules);
        let writer = GroupWriter::new(connection.client.clone(), field);
        if self.manifest.dry_run {
            self.engine(planner, Mode::<NoApplier>::Plan, &connection.client, scope).await
        } else {
            self.engine(planner, Mode::Apply(Arc::new(writer)), &connection.client, scope).await
        }
    }

    async fn engine<A>(
        &mut self,
        planner: BackfillGroups,
        mode: Mode<A>,
        client: &Client,
        scope: Scope,
    ) -> Result<How, Failure>
    where
        A: crate::engine::job::Applier<crate::jobs::backfill_groups::Change>,
    {
        let replay = std::mem::take(&mut self.replay);
        let preflight = self.preflight.take();
        let preflight =
            preflight.ok_or_else(|| Failure::new(Exit::Unexpected, "a defect: the input was fed twice"))?;
        let (limit, stop) = (self.options.limit, self.stop.clone());
        let feed = IssueFeed::new(&self.input, preflight, limit, replay, self.retry_failed, stop)?;
        let config = Config {
            batch_size: self.settings.batch_size,
            concurrency: self.settings.concurrency,
            limits: Limits {
                max_errors: self.settings.max_errors,
                max_batch_failures: self.settings.max_batch_failures,
            },
            open_batches: 4,
            record_each: false,
            grace: GRACE,
        };
        let (sender, events) = mpsc::channel(1024);
        let live = {
            let client = client.clone();
            move || live(&client)
        };
        let shown = tokio::spawn(progress::show(events, self.terminal.clone(), self.quiet, scope, live));
        let journal = self.journal.clone();
        // The tally of this process alone: the journal has that of the whole run.
        let (how, _) = run::run(config, planner, mode, feed, journal, sender, self.stop.clone()).await;
        // A panic of the display changes nothing of the run.
        let _ = shown.await;
        Ok(how)
    }

    /// A run goes on only in the organisation in which it began.
    fn same_organisation(&mut self, identity: &DevUserAnswer, target: &str) -> Result<(), Failure> {
        let org = identity.organisation().unwrap_or("unknown").to_owned();
        if let Some(before) = &self.manifest.org
            && before.id != org
        {
            let text = format!(
                "the run began in organisation {}, and this token belongs to {org} at {target}: use the token that it \
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

    async fn confirm(&self, scope: Scope, target: &str) -> Result<(), Failure> {
        let party = |party: &Option<Party>| {
            party
                .as_ref()
                .map_or_else(String::new, |party| party.name.clone().unwrap_or_else(|| party.id.clone()))
        };
        let what = format!(
            "{} at {target}\n  environment   {}\n  organisation  {}\n  as            {}\n  rows          {} of {}\n\
             Issues that lack a creator group will get one{}.",
            self.manifest.command,
            self.settings.environment,
            party(&self.manifest.org),
            party(&self.manifest.user),
            scope.total.saturating_sub(scope.before),
            self.input.name(),
            if self.options.overwrite {
                ", and those that have one may get another (--overwrite)"
            } else {
                ""
            },
        );
        let (confirmation, terminal) = (self.confirmation, self.terminal.clone());
        let asked = tokio::task::spawn_blocking(move || confirmation.obtain(&terminal, &what));
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

    /// Where the group index is kept; a sandbox in this process costs nothing to ask.
    fn cache(&self, target: &str) -> Option<Cache> {
        let org = self.manifest.org.as_ref().map_or("", |org| org.id.as_str());
        let folder = self.settings.runs_dir.join(".cache");
        let of = format!("{target} {org}");
        if self.options.sandbox { None } else { Cache::new(&folder, of, self.settings.cache_ttl) }
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

/// Rows that have a result which this process leaves as it is.
fn settled_before(replay: &Replay, retry_failed: bool) -> u64 {
    replay.settled.len() - if retry_failed { replay.failed.len() } else { 0 }
}

/// Whether that is every row of a run that takes so many.
pub fn is_idle(replay: &Replay, retry_failed: bool, rows: u64) -> bool {
    replay.unknown.is_empty() && settled_before(replay, retry_failed) >= rows
}

/// What the client is doing just now.
fn live(client: &Client) -> Live {
    let breaker = match client.breaker() {
        BreakerState::Closed => None,
        BreakerState::Open { until } => {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            Some(format!("DevRev to come back (circuit breaker open, {} s)", left.as_secs() + 1))
        }
        BreakerState::HalfOpen => Some("DevRev to come back (circuit breaker half-open)".to_owned()),
        BreakerState::GaveUp => Some("nothing any more: the circuit breaker gave up".to_owned()),
    };
    let gate = client.pacer().closed_for().map(|left| format!("the rate limit ({} s)", left.as_secs() + 1));
    Live { calls: client.totals().calls, waiting_for: breaker.or(gate) }
}
