//! A run's folder: its name, its files, and the runs that there are.

use super::error::JournalError;
use crate::files;
use chrono::{DateTime, NaiveDateTime, Utc};
use std::io;
use std::path::{Path, PathBuf};

/// How many names are tried before giving up: each is taken only if another run began within the same 15 µs.
const MAX_TRIES: u16 = 100;
/// How many runs are named to somebody who asked for one that is not there.
const HINTS: usize = 3;
/// How the names of folders begin that are not yet a run's.
const DRAFT: &str = ".new-";
/// How an ID says when its run began.
const STAMP: &str = "%Y%m%d-%H%M%S";
/// How alike two IDs are (0 to 1) for one to be a slip for the other.
const ALIKE: f64 = 0.9;

/// The folder of a run, `<runs-dir>/<run-id>`, such as `runs/20261122-034500-backfill-groups-7f3a`: when it
/// began (UTC), the command, and in four hex digits the part of the second, so that IDs sort by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    id: String,
    path: PathBuf,
}

impl RunDir {
    /// What a folder may hold before its run begins, which is when `run.json` is written.
    pub(super) const EARLY: &[&str] = &["lock", "log.jsonl", "input.csv", "plan.jsonl", "group-map.csv"];

    /// Makes a new folder (0700), and the runs folder if there is none. Two processes never get the same. It appears
    /// with a `lock` in it: an empty folder was emptied by somebody.
    pub fn create(runs_dir: &Path, command: &str, now: DateTime<Utc>) -> Result<Self, JournalError> {
        let is_name = command.split('-').all(is_word);
        if !is_name {
            return Err(JournalError::CommandName(command.to_owned()));
        }
        files::make(runs_dir).map_err(JournalError::io("make the folder", runs_dir))?;
        let stamp = now.format(STAMP);
        for tried in 0..MAX_TRIES {
            let id = format!("{stamp}-{command}-{:04x}", part_of_second(now).wrapping_add(tried));
            let run = Self { path: runs_dir.join(&id), id };
            if std::fs::symlink_metadata(&run.path).is_ok() {
                continue;
            }
            match run.appear(runs_dir) {
                Ok(()) => return Ok(run),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(JournalError::io("make the folder", &run.path)(error)),
            }
        }
        let error = io::Error::new(io::ErrorKind::AlreadyExists, "every name that was tried is taken");
        Err(JournalError::io("make a run's folder in", runs_dir)(error))
    }

    /// Makes the folder under another name, and gives it its own in one step. That fails if another run has it: no
    /// run's folder is ever empty.
    fn appear(&self, runs_dir: &Path) -> io::Result<()> {
        let draft = runs_dir.join(format!("{DRAFT}{}", self.id));
        files::private_folder().create(&draft)?;
        let named = files::private()
            .write(true)
            .create_new(true)
            .open(draft.join("lock"))
            .and_then(|_| std::fs::rename(&draft, &self.path));
        if named.is_err() {
            // The error says more than why this could not go either.
            let _ = std::fs::remove_dir_all(&draft);
        }
        named.and_then(|()| files::sync_folder(runs_dir))
    }

    /// The folder of a run by its ID, or by its path as a shell completes it. Nothing outside of `runs_dir` is reached.
    ///
    /// Fails for a run that is not there; the error names those that may have been meant.
    pub fn open(runs_dir: &Path, asked: &str) -> Result<Self, JournalError> {
        let id = match in_folder(asked) {
            Some((id, parent)) if parent.is_none_or(|parent| is_same_folder(parent, runs_dir)) => id,
            Some((_, Some(parent))) if Path::new(asked).is_dir() => {
                let hint = format!("; it is in {0}, so add --runs-dir {0}", parent.display());
                let (asked, runs_dir) = (asked.to_owned(), runs_dir.to_owned());
                return Err(JournalError::UnknownRun { asked, runs_dir, hint });
            }
            _ => asked,
        };
        let path = runs_dir.join(id);
        if is_run_id(id) && may_be_folder(&path) {
            return Ok(Self { id: id.to_owned(), path });
        }
        let runs = Self::list(runs_dir)?;
        let alike = runs
            .iter()
            .map(|run| (strsim::jaro_winkler(&run.id, id), &run.id))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let newest: Vec<&str> = runs.iter().take(HINTS).map(RunDir::id).collect();
        let hint = match alike {
            _ if runs.is_empty() => ": no run was made there yet".to_owned(),
            Some((_, id)) => format!("; did you mean {id}?"),
            None => format!("; the newest are: {}", newest.join(", ")),
        };
        Err(JournalError::UnknownRun { asked: asked.to_owned(), runs_dir: runs_dir.to_owned(), hint })
    }

    /// The runs, newest first; none if the folder is missing. Folders with other names are no runs. A run whose folder
    /// cannot be looked at is listed: it may have sent something.
    pub fn list(runs_dir: &Path) -> Result<Vec<Self>, JournalError> {
        let failed = || JournalError::io("list the runs in", runs_dir);
        let entries = match std::fs::read_dir(runs_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed())?.path();
            if let Some(id) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_run_id(name))
                && may_be_folder(&path)
            {
                runs.push(Self { id: id.to_owned(), path });
            }
        }
        runs.sort_unstable_by(|a, b| b.made().cmp(&a.made()));
        Ok(runs)
    }

    /// When it was made, as far as its ID tells: to the second, and the part of it.
    fn made(&self) -> (&str, &str) {
        let second = "20261122-034500".len();
        (&self.id[..second], &self.id[self.id.len() - 4..])
    }

    /// When it began by its ID, to the second; `None` for a date that is not in the calendar.
    pub fn began(&self) -> Option<DateTime<Utc>> {
        let stamp = NaiveDateTime::parse_from_str(self.made().0, STAMP).ok()?;
        Some(stamp.and_utc())
    }

    /// The command by its ID.
    pub fn command(&self) -> &str {
        let (stamp, part) = (self.made().0.len(), self.made().1.len());
        self.id.get(stamp + 1..self.id.len() - part - 1).unwrap_or_default()
    }

    /// The run's ID, which sorts by time.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

macro_rules! run_files {
    ($($(#[doc = $doc:literal])+ $method:ident => $name:literal,)+) => {
        impl RunDir {
            $($(#[doc = $doc])+ pub fn $method(&self) -> PathBuf {
                self.path.join($name)
            })+
        }
    };
}

run_files! {
    /// `run.json`: see [`Manifest`](super::manifest::Manifest).
    manifest => "run.json",
    /// `journal.jsonl`: see [`Record`](super::record::Record).
    journal => "journal.jsonl",
    /// `journal.begun`: empty; made once the journal's first records are durable, before anybody acts on them.
    journal_mark => "journal.begun",
    /// `journal.torn`: torn tails of the journal, set aside.
    torn => "journal.torn",
    /// `plan.jsonl`: every change that a dry run planned.
    plan => "plan.jsonl",
    /// `plan.csv`: the same for people, where the job writes it.
    plan_table => "plan.csv",
    /// `success.csv`: rows that are right now.
    success => "success.csv",
    /// `skipped.csv`: rows for which nothing was to be done, for a reason.
    skipped => "skipped.csv",
    /// `failed.csv`: rows that failed, fit to be given back as input.
    failed => "failed.csv",
    /// `review.csv`: rows that a person has to look at.
    review => "review.csv",
    /// `report.json`: the summary for machines.
    report => "report.json",
    /// `report.html`: the summary for people, as a page.
    html_report => "report.html",
    /// `input.csv`: the input as it was read, where it did not come from a file.
    input => "input.csv",
    /// `undo-id-map.csv`: which contact an undo of merges has created in the place of which.
    id_map => "undo-id-map.csv",
    /// `log.jsonl`: the log of all its processes.
    log => "log.jsonl",
    /// `lock`: held by the process that works on the run.
    lock => "lock",
}

/// The run's ID in what was typed, and the folder before it, if there is one.
fn in_folder(asked: &str) -> Option<(&str, Option<&Path>)> {
    let path = Path::new(asked);
    let id = path.file_name()?.to_str().filter(|name| is_run_id(name))?;
    Some((id, path.parent().filter(|parent| !parent.as_os_str().is_empty())))
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| Some(one) == whole(other))
}

/// Whether a run's name is taken: by a folder or, on some systems, by anything.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
    )
}

/// Whether this is a folder, or something that cannot be looked at: a link to a disk that is not mounted, say.
fn may_be_folder(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(data) => data.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::symlink_metadata(path).is_ok(),
        Err(_) => true,
    }
}

/// In 65536ths.
fn part_of_second(now: DateTime<Utc>) -> u16 {
    let nanos = u64::from(now.timestamp_subsec_nanos());
    // A leap second has more than a second's nanoseconds.
    u16::try_from((nanos << 16) / 1_000_000_000).unwrap_or(u16::MAX)
}

fn is_word(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_run_id(name: &str) -> bool {
    let is_number = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('-').collect();
    match parts.as_slice() {
        [date, time, command @ .., part] => {
            is_number(date, 8)
                && is_number(time, 6)
                && !command.is_empty()
                && command.iter().all(|part| is_word(part))
                && part.len() == 4
                && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_319_100 + second, 0).unwrap()
    }

    #[test]
    fn names_say_when_and_what() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("deep/runs");
        let run = RunDir::create(&runs, "backfill-groups", at(0)).unwrap();
        assert!(is_run_id(run.id()), "{}", run.id());
        assert!(run.id().starts_with("20261122-034500-backfill-groups-"), "{}", run.id());
        assert_eq!(RunDir::open(&runs, run.id()).unwrap(), run);
        assert_eq!((run.began(), run.command()), (Some(at(0)), "backfill-groups"));
        let strange = RunDir { id: "99999999-034500-undo-7f3a".to_owned(), path: run.path.clone() };
        assert_eq!((strange.began(), strange.command()), (None, "undo"));
        assert_eq!(run.journal(), run.path().join("journal.jsonl"));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_enter() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let run = RunDir::create(&runs, "undo", at(0)).unwrap();
        for path in [&runs, run.path()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_bare_name_is_in_the_current_folder() {
        assert_eq!(files::folder_of(Path::new("runs")), Path::new("."));
    }

    #[test]
    fn two_runs_of_one_second_differ() {
        let folder = tempfile::tempdir().unwrap();
        let runs: Vec<_> =
            (0..50).map(|_| RunDir::create(folder.path(), "undo", at(0)).unwrap().id).collect();
        assert_eq!(runs.iter().collect::<std::collections::BTreeSet<_>>().len(), 50);
    }

    #[test]
    fn lists_runs_only_and_the_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        assert!(RunDir::list(&folder.path().join("none")).unwrap().is_empty());
        let old = RunDir::create(folder.path(), "undo", at(0)).unwrap();
        let new = RunDir::create(folder.path(), "apply", at(1)).unwrap();
        fs::create_dir(folder.path().join(".cache")).unwrap();
        fs::create_dir(folder.path().join("20261122-034500-7f3a")).unwrap();
        fs::write(folder.path().join("20261122-034500-undo-7f3a"), "a file").unwrap();
        assert_eq!(RunDir::list(folder.path()).unwrap(), [new, old]);
    }

    #[test]
    fn runs_of_one_second_are_listed_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let commands = ["undo", "apply", "backfill-groups", "undo"];
        let made = (0..40).zip(commands.into_iter().cycle()).map(|(n, command)| {
            let now = at(0) + chrono::TimeDelta::milliseconds(n * 24);
            RunDir::create(folder.path(), command, now).unwrap()
        });
        let mut made: Vec<_> = made.collect();
        made.reverse();
        assert_eq!(RunDir::list(folder.path()).unwrap(), made);
    }

    #[test]
    fn an_unknown_run_is_answered_with_those_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let empty = RunDir::open(folder.path(), "x").unwrap_err().to_string();
        assert!(empty.ends_with(": no run was made there yet"), "{empty}");
        let run = RunDir::create(folder.path(), "undo", at(0)).unwrap();
        let newest = RunDir::open(folder.path(), "../../etc").unwrap_err().to_string();
        assert!(newest.ends_with(&format!("; the newest are: {}", run.id())), "{newest}");
        let slip = RunDir::open(folder.path(), &run.id().replace("undo", "und")).unwrap_err().to_string();
        assert!(slip.ends_with(&format!("; did you mean {}?", run.id())), "{slip}");
    }

    #[test]
    fn nothing_outside_of_the_runs_folder_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", at(0)).unwrap();
        for id in [".", "", ".cache", &format!("./{}", run.id()), &format!("{}/..", run.id()), "../x"] {
            RunDir::open(folder.path(), id).unwrap_err();
        }
        // As a shell completes it.
        let whole = run.path().display().to_string();
        for typed in [&format!("{}/", run.id()), &whole, &format!("{whole}/"), &format!("{whole}//")] {
            assert_eq!(RunDir::open(folder.path(), typed).unwrap(), run, "{typed}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let error = RunDir::open(elsewhere.path(), &whole).unwrap_err().to_string();
        assert!(error.ends_with(&format!("so add --runs-dir {}", folder.path().display())), "{error}");
    }

    #[test]
    fn a_command_with_other_characters_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for command in ["", "a b", "../a", "a--b", "A"] {
            RunDir::create(folder.path(), command, at(0)).unwrap_err();
        }
    }
}
