//! `migrate`: the tables of a database, by numbered files of SQL.

use crate::cli;
use crate::cli::choices::OnHalfDone;
use crate::cli::migrate::{MigrateCommand, MigrateHow, MigratePlace};
use crate::database::error::DatabaseError;
use crate::exit::{Exit, Failure};
use crate::migrate::carry::{Outcome, carry_out, cut, is_transaction};
use crate::migrate::error::MigrateError;
use crate::migrate::files::{self, Migration};
use crate::migrate::plan::{self, HalfDone, Step};
use crate::migrate::target::{Look, Target, Terms};
use crate::report::migrations::{
    MigratedReport, MigrationsReport, WouldDo, WouldExecute, dry_run_json, dry_run_text,
};
use crate::report::terminal::{Terminal, result};
use crate::report::units::{counted, span};
use crate::run::confirm::{Confirmation, Typed};
use crate::run::signals;
use crate::settings::migrate::{Database, duration};
use crate::settings::{self, Settings};
use crate::stop::Stop;
use serde::Serialize;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::Instant;

/// Which way.
#[derive(Debug, Clone, Copy)]
enum Way {
    Up,
    /// So many are taken back.
    Down(NonZeroUsize),
}

/// Runs `migrate`.
pub(crate) async fn run(
    args: cli::migrate::Migrate,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let stop = Stop::default();
    signals::listen_quietly(&stop)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")))?;
    let (place, way) = match args.command {
        MigrateCommand::Status { place } => (place, None),
        MigrateCommand::Up { place, how } => (place, Some((Way::Up, how))),
        MigrateCommand::Down { count, place, how } => (place, Some((Way::Down(count), how))),
    };
    let settings = Settings::for_client(&global, &cli::client::ClientFlags::default())?;
    let database = settings::migrate::resolve(&global, place.target.as_deref())?;
    let asked = Asked { settings, global, terminal, stop };
    // On the heap: they are large.
    match database {
        #[cfg(feature = "sql")]
        Database::Postgres(target) => Box::pin(asked.run(&target, &place, way)).await,
        #[cfg(feature = "sql")]
        Database::Sqlite(target) => Box::pin(asked.run(&target, &place, way)).await,
        #[cfg(feature = "clickhouse")]
        Database::Clickhouse(target) => Box::pin(asked.run(&target, &place, way)).await,
    }
}

/// What every way of migrating needs.
struct Asked {
    settings: Settings,
    global: cli::Global,
    terminal: Terminal,
    stop: Stop,
}

impl Asked {
    async fn run<T: Target>(
        &self,
        target: &T,
        place: &MigratePlace,
        way: Option<(Way, MigrateHow)>,
    ) -> Result<Exit, Failure> {
        let migrations = files::read(&place.dir).map_err(|error| self.failure(error.into()))?;
        match way {
            None => self.status(target, &migrations).await,
            Some((way, how)) if how.dry_run => self.dry_run(target, &migrations, way, &how).await,
            Some((way, how)) => self.migrate(target, &migrations, way, &how).await,
        }
    }

    async fn status<T: Target>(&self, target: &T, migrations: &[Migration]) -> Result<Exit, Failure> {
        let Look { records, has_timescaledb, is_new } = self.look(target).await?;
        let listed = plan::list(migrations, &records, has_timescaledb);
        let report = MigrationsReport::new(target.place(), is_new, &listed);
        self.print(&report, || report.text())?;
        Ok(if report.is_wrong() { Exit::Changed } else { Exit::Ok })
    }

    async fn dry_run<T: Target>(
        &self,
        target: &T,
        migrations: &[Migration],
        way: Way,
        how: &MigrateHow,
    ) -> Result<Exit, Failure> {
        let look = self.look(target).await?;
        let steps = self.steps(migrations, &look, way, how)?;
        let would_do = |step: &Step<'_>| {
            let statements = step.script.map_or(Ok(Vec::new()), cut::<T>)?;
            Ok(WouldDo {
                file: step.file().to_owned(),
                transaction: step.script.is_some_and(is_transaction::<T>),
                skipped: needs_timescaledb(step) && !look.has_timescaledb,
                statements: statements
                    .iter()
                    .map(|statement| WouldExecute { line: statement.line, sql: statement.masked() })
                    .collect(),
            })
        };
        let files: Result<Vec<_>, MigrateError> = steps.iter().map(would_do).collect();
        let files = files.map_err(|error| self.failure(error))?;
        let (place, is_down) = (target.place(), matches!(way, Way::Down(_)));
        self.print(&dry_run_json(&place, &files), || dry_run_text(&place, is_down, &files))?;
        Ok(Exit::Ok)
    }

    async fn migrate<T: Target>(
        &self,
        target: &T,
        migrations: &[Migration],
        way: Way,
        how: &MigrateHow,
    ) -> Result<Exit, Failure> {
        let confirmation = Confirmation::needed(true, false, how.yes)?;
        let terms = Terms {
            statement: duration("timeout", &how.timeout)?,
            lock: duration("lock-timeout", &how.lock_timeout)?,
            takes_over: how.half_done.is_some(),
            stop: self.stop.clone(),
        };
        let look = self.look(target).await?;
        let steps = self.steps(migrations, &look, way, how)?;
        // All of them: what is wrong with the last is said before the first is executed.
        for script in steps.iter().filter_map(|step| step.script) {
            cut::<T>(script).map_err(|error| self.failure(error))?;
        }
        let is_down = matches!(way, Way::Down(_));
        let mut report = MigratedReport { target: target.place(), is_down, ..MigratedReport::default() };
        if steps.iter().all(|step| is_known_to_be_skipped(step, &look)) {
            report.skipped = steps.iter().map(|step| step.file().to_owned()).collect();
            self.print(&report, || report.text())?;
            return Ok(Exit::Ok);
        }
        self.confirm(confirmation, target, &look, &steps, way).await?;
        let mut lock = target.lock(&terms).await.map_err(|error| self.failure(error))?;
        let confirmed: HashSet<i64> = steps.iter().map(|step| step.migration.version).collect();
        let migrated = match self.again(target, migrations, way, how, &confirmed).await {
            Ok(left) => {
                report.by_another = files_without(&steps, &left);
                self.carry_out(target, &mut lock, &left, &terms, &mut report).await
            }
            Err(failure) => Err(failure),
        };
        target.unlock(lock).await;
        migrated?;
        self.print(&report, || report.text())?;
        Ok(Exit::Ok)
    }

    /// What is left to do once other processes are kept out: no more than what was confirmed.
    async fn again<'a, T: Target>(
        &self,
        target: &T,
        migrations: &'a [Migration],
        way: Way,
        how: &MigrateHow,
        confirmed: &HashSet<i64>,
    ) -> Result<Vec<Step<'a>>, Failure> {
        let look = self.look(target).await?;
        let mut steps = self.steps(migrations, &look, way, how)?;
        if matches!(way, Way::Down(_)) {
            // Another process has taken back the newest: those before them were not meant.
            steps.retain(|step| confirmed.contains(&step.migration.version));
        }
        match steps.iter().find(|step| !confirmed.contains(&step.migration.version)) {
            Some(step) => {
                let text = format!("{} was not to be done a moment ago: start again", step.file());
                Err(Failure::new(Exit::Changed, text))
            }
            None => Ok(steps),
        }
    }

    async fn carry_out<T: Target>(
        &self,
        target: &T,
        lock: &mut T::Lock,
        steps: &[Step<'_>],
        terms: &Terms,
        report: &mut MigratedReport,
    ) -> Result<(), Failure> {
        for step in steps {
            let (file, begun) = (step.file().to_owned(), Instant::now());
            let carried = if self.stop.is_set() {
                Err(signals::interrupted(&self.stop, &format!("interrupted before {file}")))
            } else {
                let carried = match target.is_held(lock).await {
                    Ok(()) => carry_out(target, lock, *step, terms).await,
                    Err(error) => Err(MigrateError::Database { doing: "looking at the lock", error }),
                };
                carried.map_err(|error| self.failure(error))
            };
            let outcome = carried.map_err(|failure| after(failure, report))?;
            match outcome {
                Outcome::Done if step.script.is_none() => report.accepted.push(file),
                Outcome::Done => {
                    let verb = if report.is_down { "took back" } else { "applied" };
                    if !self.global.quiet {
                        self.terminal.say(&format!("{verb} {file} in {}", span(begun.elapsed())));
                    }
                    report.done.push(file);
                }
                Outcome::Skipped => {
                    tracing::warn!("{file} was skipped: it needs TimescaleDB, which is not there");
                    report.skipped.push(file);
                }
                Outcome::ByAnother => report.by_another.push(file),
            }
        }
        Ok(())
    }

    async fn look<T: Target>(&self, target: &T) -> Result<Look, Failure> {
        let looked = target.look(&self.stop).await;
        looked.map_err(|error| {
            self.failure(MigrateError::Database { doing: "reading the table of migrations", error })
        })
    }

    fn steps<'a>(
        &self,
        migrations: &'a [Migration],
        look: &Look,
        way: Way,
        how: &MigrateHow,
    ) -> Result<Vec<Step<'a>>, Failure> {
        let listed = plan::list(migrations, &look.records, look.has_timescaledb);
        let half_done = how.half_done.map(|choice| match choice {
            OnHalfDone::Retry => HalfDone::Retry,
            OnHalfDone::Accept => HalfDone::Accept,
        });
        let steps = match way {
            Way::Up => plan::up(&listed, half_done),
            Way::Down(count) => plan::down(&listed, count.get(), half_done),
        };
        steps.map_err(|error| self.failure(error))
    }

    async fn confirm<T: Target>(
        &self,
        confirmation: Confirmation,
        target: &T,
        look: &Look,
        steps: &[Step<'_>],
        way: Way,
    ) -> Result<(), Failure> {
        let (command, verb) = match way {
            Way::Up => ("migrate up", "apply"),
            Way::Down(_) => ("migrate down", "take back"),
        };
        let mut what = format!(
            "{command} at {}{}\n  environment   {}\n  {verb} {}:",
            target.place(),
            if look.is_new { " (a new file)" } else { "" },
            self.settings.environment,
            counted(steps.len() as u64, "migration"),
        );
        for step in steps {
            let how = match step.script {
                None => " (taken as done; nothing is executed)",
                Some(_)
                    if is_known_to_be_skipped(step, look)
                        || needs_timescaledb(step) && !look.has_timescaledb =>
                {
                    " (skipped: TimescaleDB is not there)"
                }
                Some(script) if is_transaction::<T>(script) => "",
                Some(_) => " (no transaction: a crash can leave it half done)",
            };
            what = format!("{what}\n    {}{how}", step.file());
        }
        let in_production = self.settings.is_production();
        if in_production {
            what.push_str("\nThis is production.");
        }
        let (name, terminal) = (target.name(), self.terminal.clone());
        let asked = move || {
            let typed = in_production.then_some(Typed { of: "database", name: &name });
            confirmation.obtain(&terminal, &what, typed)
        };
        let unasked = |why: &str| Failure::new(Exit::NotConfirmed, format!("nothing was written: {why}"));
        match self.stop.race(tokio::task::spawn_blocking(asked)).await {
            Some(answered) => answered.unwrap_or_else(|_| Err(unasked("could not ask"))),
            None => Err(unasked("interrupted before it was confirmed")),
        }
    }

    fn print(&self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let unwritten = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Unexpected, format!("cannot write the report: {error}"))
        };
        let text = if self.global.json {
            serde_json::to_string(report).map_err(|error| unwritten(&error).because(error))?
        } else {
            text()
        };
        result(&text).map_err(|error| unwritten(&error).because(error))
    }

    /// What an error means for the command.
    fn failure(&self, error: MigrateError) -> Failure {
        let exit = match &error {
            MigrateError::Files(_) | MigrateError::Usage(_) => Exit::Usage,
            MigrateError::Changed(_) => Exit::Changed,
            MigrateError::Locked(_) => Exit::Locked,
            MigrateError::Database { error, .. } => self.exit_of(error),
            MigrateError::Statement(statement) => self.exit_of(&statement.error),
        };
        Failure::new(exit, error.to_string()).because(error)
    }

    fn exit_of(&self, error: &DatabaseError) -> Exit {
        match error {
            DatabaseError::Login { .. } => Exit::Credentials,
            // A lock that others hold, and what others have changed meanwhile: it may pass.
            DatabaseError::Refused(refusal) if ["55P03", "40P01", "40001"].contains(&&*refusal.code) => {
                Exit::Stopped
            }
            DatabaseError::Refused(_) | DatabaseError::Settings(_) => Exit::Usage,
            DatabaseError::Unreachable { .. } | DatabaseError::TooSlow { .. } => Exit::Stopped,
            DatabaseError::Answer { .. } => Exit::Unexpected,
            DatabaseError::Interrupted => signals::interrupted(&self.stop, "").exit,
        }
    }
}

fn needs_timescaledb(step: &Step<'_>) -> bool {
    step.script.is_some_and(|script| script.directives.needs_timescaledb)
}

/// Whether there is nothing to write about a step that is skipped, since that is written already.
fn is_known_to_be_skipped(step: &Step<'_>, look: &Look) -> bool {
    needs_timescaledb(step) && !look.has_timescaledb && step.from.is_some()
}

/// The files of steps that are not among those that are left.
fn files_without(steps: &[Step<'_>], left: &[Step<'_>]) -> Vec<String> {
    let is_left = |step: &&Step<'_>| left.iter().any(|one| one.migration.version == step.migration.version);
    steps.iter().filter(|step| !is_left(step)).map(|step| step.file().to_owned()).collect()
}

/// A failure that comes after something was done.
fn after(mut failure: Failure, report: &MigratedReport) -> Failure {
    if report.done.is_empty() {
        return failure;
    }
    let verb = if report.is_down { "taken back" } else { "applied" };
    failure.message = format!("{}\n{verb} before that: {}", failure.message, report.done.join(", "));
    failure
}
