//! Carrying out a step: its statements, and the row that says so.
//!
//! In a transaction the row is written first: a second process that gets past the lock waits for it, and then finds that
//! there is nothing left to do. Without one the row says that the step has begun, and at the end that it is done.

use super::error::{MigrateError, StatementError};
use super::files::Script;
use super::plan::Step;
use super::records::{Change, Row, State};
use super::script::{Statement, Wrong, statements};
use super::target::{Target, Terms};
use crate::database::error::DatabaseError;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was carried out.
    Done,
    /// It needs TimescaleDB, which is not there.
    Skipped,
    /// Another process has carried it out meanwhile.
    ByAnother,
}

/// The statements of a script. The error names the line.
pub(crate) fn cut<T: Target>(script: &Script) -> Result<Vec<Statement>, MigrateError> {
    statements(&script.text, T::GRAMMAR).map_err(|Wrong { line, what }| {
        MigrateError::Usage(format!("{}, line {line}: {what}; nothing was done", script.file))
    })
}

/// Whether a script is one transaction, together with its row.
pub(crate) fn is_transaction<T: Target>(script: &Script) -> bool {
    T::HAS_TRANSACTIONS && !script.directives.no_transaction
}

/// Carries out a step.
pub(crate) async fn carry_out<T: Target>(
    target: &T,
    lock: &mut T::Lock,
    step: Step<'_>,
    terms: &Terms,
) -> Result<Outcome, MigrateError> {
    let row = Row {
        version: step.migration.version,
        name: &step.migration.name,
        checksum: &step.migration.up.checksum,
    };
    let Some(script) = step.script else {
        return set(target, row, Change { from: step.from, to: step.to }, terms).await.map(outcome);
    };
    if script.directives.needs_timescaledb {
        let looked =
            target.look(&terms.stop).await.map_err(MigrateError::while_doing("looking for TimescaleDB"))?;
        if !looked.has_timescaledb {
            return skip(target, step, row, terms).await;
        }
    }
    let work = Work { target, script, statements: cut::<T>(script)?, terms };
    let change = Change { from: step.from, to: step.to };
    if is_transaction::<T>(script) {
        return work.in_transaction(lock, row, change).await;
    }
    let begun = Some(if step.to.is_some() { State::Applying } else { State::Reverting });
    if change.from != begun && !set(target, row, Change { from: change.from, to: begun }, terms).await? {
        return Ok(Outcome::ByAnother);
    }
    work.one_by_one(lock).await?;
    let ended = Change { from: begun, to: change.to };
    let is_written = set(target, row, ended, terms).await.map_err(|error| work.unwritten(&error))?;
    if is_written { Ok(Outcome::Done) } else { Err(work.unwritten(&"another process has changed its row")) }
}

async fn skip<T: Target>(
    target: &T,
    step: Step<'_>,
    row: Row<'_>,
    terms: &Terms,
) -> Result<Outcome, MigrateError> {
    if step.to.is_none() {
        let text = format!("{} needs TimescaleDB, which is not there; nothing of it was done", step.file());
        return Err(MigrateError::Usage(text));
    }
    // A step that is half done stays so.
    if step.from.is_none() {
        set(target, row, Change { from: None, to: Some(State::Skipped) }, terms).await?;
    }
    Ok(Outcome::Skipped)
}

fn outcome(is_done: bool) -> Outcome {
    if is_done { Outcome::Done } else { Outcome::ByAnother }
}

/// Changes a row, and nothing else.
async fn set<T: Target>(
    target: &T,
    row: Row<'_>,
    change: Change,
    terms: &Terms,
) -> Result<bool, MigrateError> {
    let failed = MigrateError::while_doing("writing to the table of migrations");
    let mut session = target.open(true, terms).await.map_err(&failed)?;
    match target.change(&mut session, row, change, &terms.stop).await {
        Ok(is_done) => target.commit(session).await.map(|()| is_done).map_err(failed),
        Err(error) => {
            target.abandon(session).await;
            Err(failed(error))
        }
    }
}

/// A script that is being executed.
struct Work<'a, T> {
    target: &'a T,
    script: &'a Script,
    statements: Vec<Statement>,
    terms: &'a Terms,
}

impl<T: Target> Work<'_, T> {
    async fn in_transaction(
        &self,
        lock: &mut T::Lock,
        row: Row<'_>,
        change: Change,
    ) -> Result<Outcome, MigrateError> {
        let opened = self.target.open(true, self.terms).await;
        let mut session = opened.map_err(MigrateError::while_doing("beginning a transaction"))?;
        match self.all(&mut session, lock, row, change).await {
            Ok(Outcome::Done) => {
                let committed = self.target.commit(session).await;
                committed.map(|()| Outcome::Done).map_err(|error| {
                    let left = if matches!(error, DatabaseError::Refused(_)) {
                        self.back()
                    } else {
                        UNKNOWN.to_owned()
                    };
                    self.failed(None, error, left)
                })
            }
            other => {
                self.target.abandon(session).await;
                other
            }
        }
    }

    fn back(&self) -> String {
        format!("all of {} was rolled back", self.script.file)
    }

    /// The row and the statements, as far as the commit.
    async fn all(
        &self,
        session: &mut T::Session,
        lock: &mut T::Lock,
        row: Row<'_>,
        change: Change,
    ) -> Result<Outcome, MigrateError> {
        let Self { target, terms, .. } = self;
        let written = target.change(session, row, change, &terms.stop).await;
        if !written.map_err(MigrateError::while_doing("writing to the table of migrations"))? {
            return Ok(Outcome::ByAnother);
        }
        for statement in &self.statements {
            let executed = target.execute(session, lock, &statement.text, terms).await;
            executed.map_err(|error| self.failed(Some(statement), error, self.back()))?;
        }
        let at_end = |error| self.failed(None, error, self.back());
        target.check(session).await.map_err(at_end)?;
        target.is_held(lock).await.map_err(at_end)?;
        if terms.stop.is_set() {
            return Err(self.failed(self.statements.last(), DatabaseError::Interrupted, self.back()));
        }
        Ok(Outcome::Done)
    }

    /// The statements, each for itself.
    async fn one_by_one(&self, lock: &mut T::Lock) -> Result<(), MigrateError> {
        let Self { target, script, statements, terms } = self;
        let left = |done: usize| {
            format!(
                "{} has no transaction: {done} of its {} statements were executed before, and it is half done. See what \
                 of it is in the database, then give --half-done retry (execute the file again from its beginning) or \
                 --half-done accept (the rest was done by hand)",
                script.file,
                statements.len()
            )
        };
        let opened = target.open(false, terms).await;
        let mut session = opened.map_err(|error| self.failed(statements.first(), error, left(0)))?;
        for (done, statement) in statements.iter().enumerate() {
            let executed = if terms.stop.is_set() {
                Err(DatabaseError::Interrupted)
            } else {
                target.execute(&mut session, lock, &statement.text, terms).await
            };
            if let Err(error) = executed {
                target.abandon(session).await;
                return Err(self.failed(Some(statement), error, left(done)));
            }
        }
        target.commit(session).await.map_err(|error| self.failed(None, error, left(statements.len())))
    }

    fn failed(&self, statement: Option<&Statement>, error: DatabaseError, left: String) -> MigrateError {
        let (mut words, mut position) = (String::new(), None);
        if let DatabaseError::Refused(refusal) = &error {
            words = format!("{}{}", refusal.text, refusal.hint);
            position = refusal.position;
        }
        let head = statement.map_or_else(|| "COMMIT".to_owned(), Statement::head);
        MigrateError::Statement(Box::new(StatementError {
            file: self.script.file.clone(),
            line: statement.map(|statement| statement.line_at(position)),
            head,
            words: statement.map_or_else(|| words.clone(), |statement| statement.mask(&words)),
            error,
            limit: self.terms.statement,
            left,
        }))
    }

    /// All statements were executed, and the row does not say so.
    fn unwritten(&self, why: &dyn std::fmt::Display) -> MigrateError {
        MigrateError::Changed(format!(
            "all statements of {} were executed, but this could not be written down: {why}; give --half-done accept with \
             the same command",
            self.script.file
        ))
    }
}

/// What is left by a commit that was not answered.
const UNKNOWN: &str = "the transaction may or may not be in the database: `migrate status` shows which";
