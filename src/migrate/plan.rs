//! What is to be done: the files held against what the database knows of them.

use super::error::MigrateError;
use super::files::{Migration, Script};
use super::records::{Record, State};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Standing {
    /// It is in the database.
    Applied,
    /// It will be applied next.
    Pending,
    /// It needs TimescaleDB, which is not there.
    Skipped,
    /// Its file is not what was applied.
    Changed,
    /// It was applied, and its file is not there.
    Missing,
    /// Its execution has begun, and not ended.
    HalfDone,
    /// It has not been applied, and a newer one has.
    OutOfOrder,
}

impl Standing {
    /// In words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::HalfDone => "half done",
            Self::OutOfOrder => "out of order",
        }
    }

    /// Whether nothing can be applied while a migration stands like this.
    pub(crate) fn is_wrong(self) -> bool {
        matches!(self, Self::Changed | Self::Missing | Self::HalfDone | Self::OutOfOrder)
    }
}

/// What becomes of a migration that is half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HalfDone {
    /// Its file is executed again from the beginning.
    Retry,
    /// It counts as done; nothing is executed.
    Accept,
}

/// A migration and how it stands.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// Its files; none if they are missing.
    pub(crate) migration: Option<&'a Migration>,
    /// What the database knows of it.
    pub(crate) record: Option<Record>,
    pub(crate) standing: Standing,
    /// What is wrong and what to do, in words; empty where nothing is.
    pub(crate) why: String,
}

/// Something to do about a migration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) migration: &'a Migration,
    /// What is executed; none where it only has to be written down.
    pub(crate) script: Option<&'a Script>,
    /// Its state before; none is that the table has no row.
    pub(crate) from: Option<State>,
    /// Its state afterwards.
    pub(crate) to: Option<State>,
}

impl Step<'_> {
    /// The file that this is about.
    pub(crate) fn file(&self) -> &str {
        self.script.map_or(&self.migration.up.file, |script| &script.file)
    }
}

/// Holds the files against what the database knows, by number.
pub(crate) fn list<'a>(
    migrations: &'a [Migration],
    records: &[Record],
    has_timescaledb: bool,
) -> Vec<Listed<'a>> {
    let newest =
        records.iter().filter(|record| record.state != State::Skipped).map(|record| record.version).max();
    let mut all: BTreeMap<i64, (Option<&Migration>, Option<&Record>)> =
        records.iter().map(|record| (record.version, (None, Some(record)))).collect();
    for migration in migrations {
        all.entry(migration.version).or_default().0 = Some(migration);
    }
    let listed = all.into_values().filter_map(|(migration, record)| {
        let (standing, why) = judge(migration, record, newest, has_timescaledb)?;
        Some(Listed { migration, record: record.cloned(), standing, why })
    });
    listed.collect()
}

/// How a migration stands and why; none where it never was applied and is not there any more.
fn judge(
    migration: Option<&Migration>,
    record: Option<&Record>,
    newest: Option<i64>,
    has_timescaledb: bool,
) -> Option<(Standing, String)> {
    let fine = |standing| Some((standing, String::new()));
    let Some(migration) = migration else {
        let Record { version, name, at, state, .. } = record?;
        let text = format!(
            "{version}_{name} was applied ({at}) and its file is not there: restore {version}_{name}.up.sql"
        );
        return (*state != State::Skipped).then_some((Standing::Missing, text));
    };
    let file = &migration.up.file;
    let needs = migration.up.directives.needs_timescaledb && !has_timescaledb;
    let Some(record) = record.filter(|record| record.state != State::Skipped) else {
        return match newest.filter(|newest| record.is_none() && *newest > migration.version) {
            Some(newest) => {
                let text = format!(
                    "{file} has a lower number than {newest}, which is applied: give it a higher number"
                );
                Some((Standing::OutOfOrder, text))
            }
            None if needs => fine(Standing::Skipped),
            None => fine(Standing::Pending),
        };
    };
    let Record { version, name, checksum, at, .. } = record;
    match record.state {
        State::Applying | State::Reverting => {
            let (did, file) = match (record.state, &migration.down) {
                (State::Reverting, Some(down)) => ("taking it back", &down.file),
                _ => ("applying it", file),
            };
            let text = format!(
                "{file} is half done: {did} began at {at} and has not ended, or another process is still at it. See what \
                 of it is in the database, then give --half-done retry (execute the file again from its beginning) or \
                 --half-done accept (the rest was done by hand)"
            );
            Some((Standing::HalfDone, text))
        }
        _ if *name != migration.name => {
            let text = format!("{file} was applied ({at}) as {version}_{name}: rename it back");
            Some((Standing::Changed, text))
        }
        _ if *checksum != migration.up.checksum => {
            let text = format!(
                "{file} has changed since it was applied ({at}): restore it, and put the change into a new migration"
            );
            Some((Standing::Changed, text))
        }
        _ => fine(Standing::Applied),
    }
}

/// What `up` does. Fails where a migration stands wrong.
pub(crate) fn up<'a>(
    listed: &[Listed<'a>],
    half_done: Option<HalfDone>,
) -> Result<Vec<Step<'a>>, MigrateError> {
    check(listed, half_done, true)?;
    let step = |one: &Listed<'a>| {
        let migration = one.migration?;
        let script = match (one.standing, half_done) {
            (Standing::HalfDone, Some(HalfDone::Accept)) => None,
            (Standing::HalfDone | Standing::Pending | Standing::Skipped, _) => Some(&migration.up),
            _ => return None,
        };
        let from = one.record.as_ref().map(|record| record.state);
        Some(Step { migration, script, from, to: Some(State::Applied) })
    };
    Ok(listed.iter().filter_map(step).collect())
}

/// What `down` does: the newest `count` are taken back. Fails where a migration stands wrong, or cannot be taken back.
pub(crate) fn down<'a>(
    listed: &[Listed<'a>],
    count: usize,
    half_done: Option<HalfDone>,
) -> Result<Vec<Step<'a>>, MigrateError> {
    check(listed, half_done, false)?;
    let is_there = |one: &&Listed<'a>| matches!(one.standing, Standing::Applied | Standing::HalfDone);
    let newest = listed.iter().rev().filter(is_there).take(count);
    let steps = newest.filter_map(|one| Some((one, one.migration?))).map(|(one, migration)| {
        let from = one.record.as_ref().map(|record| record.state);
        if one.standing == Standing::HalfDone && half_done == Some(HalfDone::Accept) {
            return Ok(Step { migration, script: None, from, to: None });
        }
        let down = migration.down.as_ref().ok_or_else(|| {
            let file = &migration.up.file;
            let wanted = file.replace(".up.sql", ".down.sql");
            MigrateError::Usage(format!(
                "{file} cannot be taken back: there is no {wanted}; nothing was done"
            ))
        })?;
        Ok(Step { migration, script: Some(down), from, to: None })
    });
    steps.collect()
}

/// Names everything that is wrong, and with it what to do.
fn check(listed: &[Listed<'_>], half_done: Option<HalfDone>, is_up: bool) -> Result<(), MigrateError> {
    let stands_in_the_way = |one: &&Listed<'_>| match one.standing {
        Standing::HalfDone => half_done.is_none(),
        // It is not in the database.
        Standing::OutOfOrder => is_up,
        standing => standing.is_wrong(),
    };
    let wrong: Vec<_> = listed.iter().filter(stands_in_the_way).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let text = wrong.iter().map(|one| one.why.as_str()).collect::<Vec<_>>().join("\n  ");
    let text = if wrong.len() > 1 {
        format!("nothing was done:\n  {text}")
    } else {
        format!("{text}; nothing was done")
    };
    if wrong.iter().all(|one| one.standing == Standing::OutOfOrder) {
        return Err(MigrateError::Usage(text));
    }
    Err(MigrateError::Changed(text))
}

#[cfg(test)]
mod tests {
    use super::super::script::Directives;
    use super::*;

    fn script(file: &str) -> Script {
        let checksum = format!("sum of {file}");
        Script { file: file.to_owned(), text: String::new(), checksum, directives: Directives::default() }
    }

    fn migrations(versions: &[i64]) -> Vec<Migration> {
        let one = |version: &i64| {
            let down = Some(script(&format!("{version}_a.down.sql")));
            Migration {
                version: *version,
                name: "a".into(),
                up: script(&format!("{version}_a.up.sql")),
                down,
            }
        };
        versions.iter().map(one).collect()
    }

    fn record(version: i64, state: State) -> Record {
        let checksum = format!("sum of {version}_a.up.sql");
        Record { version, name: "a".into(), checksum, state, at: "then".into(), tool: "1".into() }
    }

    fn standings(listed: &[Listed<'_>]) -> Vec<Standing> {
        listed.iter().map(|one| one.standing).collect()
    }

    #[test]
    fn what_is_new_is_applied_and_the_newest_is_taken_back() {
        let files = migrations(&[1, 2, 4, 7]);
        let listed = list(&files, &[record(1, State::Applied), record(2, State::Applied)], false);
        assert_eq!(
            standings(&listed),
            [Standing::Applied, Standing::Applied, Standing::Pending, Standing::Pending]
        );
        let steps = up(&listed, None).unwrap();
        assert_eq!(steps.iter().map(Step::file).collect::<Vec<_>>(), ["4_a.up.sql", "7_a.up.sql"]);
        for (count, files) in [(1, &["2_a.down.sql"][..]), (9, &["2_a.down.sql", "1_a.down.sql"])] {
            let steps = down(&listed, count, None).unwrap();
            assert_eq!(steps.iter().map(Step::file).collect::<Vec<_>>(), files);
        }
        assert!(up(&list(&[], &[], false), None).unwrap().is_empty());
    }

    #[test]
    fn what_stands_wrong_is_refused_with_what_to_do() {
        let mut files = migrations(&[1, 2, 3]);
        files[0].up.checksum = "other".into();
        files[1].name = "b".into();
        let applied = [1, 2, 5].map(|version| record(version, State::Applied));
        let listed = list(&files, &applied, false);
        let expected = [Standing::Changed, Standing::Changed, Standing::OutOfOrder, Standing::Missing];
        assert_eq!(standings(&listed), expected);
        let error = up(&listed, None).unwrap_err();
        assert!(matches!(error, MigrateError::Changed(_)));
        for says in [
            "1_a.up.sql has changed since it was applied (then): restore it",
            "2_a.up.sql was applied (then) as 2_a: rename it back",
            "3_a.up.sql has a lower number than 5, which is applied: give it a higher number",
            "5_a was applied (then) and its file is not there: restore 5_a.up.sql",
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
        let files = migrations(&[1, 2]);
        let listed = list(&files, &[record(2, State::Applied)], false);
        assert!(matches!(up(&listed, None), Err(MigrateError::Usage(_))));
        assert_eq!(down(&listed, 1, None).unwrap().len(), 1);
        let mut files = migrations(&[1]);
        files[0].down = None;
        let error =
            down(&list(&files, &[record(1, State::Applied)], false), 1, None).unwrap_err().to_string();
        assert!(error.contains("1_a.up.sql cannot be taken back: there is no 1_a.down.sql"), "{error}");
    }

    #[test]
    fn what_is_half_done_waits_for_a_decision() {
        let files = migrations(&[1, 2]);
        for state in [State::Applying, State::Reverting] {
            let listed = list(&files, &[record(1, state)], false);
            assert_eq!(standings(&listed), [Standing::HalfDone, Standing::Pending]);
            assert!(up(&listed, None).unwrap_err().to_string().contains("half done"));
            let retried = up(&listed, Some(HalfDone::Retry)).unwrap();
            assert!(retried[0].script.is_some() && retried[0].from == Some(state) && retried.len() == 2);
            let accepted = up(&listed, Some(HalfDone::Accept)).unwrap();
            assert!(accepted[0].script.is_none() && accepted[0].to == Some(State::Applied));
            assert!(accepted[1].script.is_some(), "only what is half done is accepted");
            assert_eq!(down(&listed, 1, Some(HalfDone::Retry)).unwrap()[0].file(), "1_a.down.sql");
            assert!(down(&listed, 1, Some(HalfDone::Accept)).unwrap()[0].script.is_none());
        }
    }

    #[test]
    fn what_was_skipped_is_applied_once_it_can_be() {
        let mut files = migrations(&[1, 2]);
        files[0].up.directives.needs_timescaledb = true;
        let records = [record(1, State::Skipped), record(2, State::Applied)];
        assert_eq!(standings(&list(&files, &records, false)), [Standing::Skipped, Standing::Applied]);
        assert_eq!(standings(&list(&files, &records, true)), [Standing::Pending, Standing::Applied]);
        assert_eq!(standings(&list(&files, &records[..1], false)), [Standing::Skipped, Standing::Pending]);
        assert_eq!(standings(&list(&files, &records[1..], true)), [Standing::OutOfOrder, Standing::Applied]);
        let gone = list(&files[1..], &records, true);
        assert_eq!(standings(&gone), [Standing::Applied], "it was never in the database");
        files[0].up.checksum = "other".into();
        assert_eq!(standings(&list(&files, &records, true)), [Standing::Pending, Standing::Applied]);
    }
}
