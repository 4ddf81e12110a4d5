//! What is known of the runs, kept from one request to the next: a request costs a look at the files' dates, and reads only
//! what has changed since.
//!
//! Of a run that is at work the journal is followed: each look reads what was added, for a fraction of a second at most; a
//! long journal is read in the course of several looks.

use crate::commands::runs::figures::figures;
use crate::commands::runs::look::{Found, Kin, Others, Seen};
use crate::exit::Failure;
use crate::files;
use crate::journal::follow::Follow;
use crate::journal::lock::RunLock;
use crate::journal::replay::Now;
use crate::journal::run_dir::RunDir;
use crate::report::pace::Pace;
use crate::report::past::{NEVER_BEGAN, UNREADABLE};
use crate::report::run_figures::RunFigures;
use crate::run::standing::Status;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at the folder; requests in between are answered with what is known.
const FRESH: Duration = Duration::from_millis(500);
/// Journals that are followed: memory is two bytes a row. More are forgotten, the longest unseen first.
const FOLLOWED: usize = 32;
/// How long journals may be read for one request, all together; and each of them at least.
const READING: Duration = Duration::from_millis(400);
const LEAST: Duration = Duration::from_millis(10);

/// The runs of a folder. Clones share it.
#[derive(Clone)]
pub(super) struct Board(Arc<Shared>);

struct Shared {
    runs_dir: PathBuf,
    state: Mutex<Runs>,
}

/// The runs, as they were at the last look.
#[derive(Default)]
pub(super) struct Runs {
    looked: Option<Instant>,
    /// Newest first.
    pub(super) all: Vec<Known>,
    followed: HashMap<String, Followed>,
}

/// What is known of a run.
pub(super) struct Known {
    /// The run.
    pub(super) run: RunDir,
    stamps: [Option<Stamp>; 2],
    /// What its folder says.
    pub(super) says: Says,
    kin: Option<Kin>,
    held: bool,
    /// What of it could not be read.
    pub(super) problem: Option<String>,
}

/// What a folder says.
pub(super) enum Says {
    /// This.
    Figures(Box<RunFigures>),
    /// That nothing was sent.
    NeverBegan,
    /// Nothing that can be read.
    Nothing,
}

/// By which a file is seen to be another one, or to have changed.
#[derive(PartialEq, Eq)]
struct Stamp(files::Identity, u64, Option<SystemTime>);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self(files::Identity::of(&data), data.len(), data.modified().ok()))
    }
}

/// A journal that is followed.
struct Followed {
    follow: Follow,
    pace: Pace,
    since: Instant,
    last: Option<(Instant, Progress)>,
    used: Instant,
}

/// How far a run has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Rows by state and reason, and changes under way.
    pub(super) now: Arc<Now>,
    /// Rows a second since the looks of the last half minute; none at the first look.
    pub(super) rows_a_second: Option<f64>,
    /// How long it may still take.
    pub(super) left: Option<Duration>,
    /// Bytes of the journal that were read so far, and all: the rest is read at the next looks.
    pub(super) reading: Option<(u64, u64)>,
    /// Why the journal could not be read.
    pub(super) problem: Option<String>,
}

impl Board {
    /// Of the runs in this folder.
    pub(super) fn new(runs_dir: &Path) -> Self {
        Self(Arc::new(Shared { runs_dir: runs_dir.to_owned(), state: Mutex::default() }))
    }

    /// The folder.
    pub(super) fn runs_dir(&self) -> &Path {
        &self.0.runs_dir
    }

    /// The runs as they are now. Blocks.
    pub(super) fn look(&self) -> Result<MutexGuard<'_, Runs>, Failure> {
        let mut runs = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
            runs.look(&self.0.runs_dir)?;
            runs.looked = Some(Instant::now());
        }
        Ok(runs)
    }
}

impl Runs {
    fn look(&mut self, runs_dir: &Path) -> Result<(), Failure> {
        let listed = RunDir::list(runs_dir)?;
        let mut known: HashMap<String, Known> =
            self.all.drain(..).map(|known| (known.run.id().to_owned(), known)).collect();
        for run in listed {
            let before = known.remove(run.id());
            self.all.push(Known::now(run, before));
        }
        Ok(())
    }

    /// A run as it is at this moment, by what is said to be its ID.
    pub(super) fn look_at(&mut self, id: &str) -> Option<&Known> {
        let place = self.all.iter().position(|known| known.run.id() == id)?;
        let before = self.all.remove(place);
        self.all.insert(place, Known::now(before.run.clone(), Some(before)));
        self.all.get(place)
    }

    /// A run, by what is said to be its ID.
    pub(super) fn find(&self, id: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.run.id() == id)
    }

    /// What the runs have to do with each other.
    pub(super) fn others(&self) -> Others {
        let mut others = Others::default();
        for known in &self.all {
            if let Some(kin) = &known.kin {
                others.note_kin(kin, known.held);
            }
        }
        others
    }

    /// How far these runs have come, which have a journal: each of them with the rows that it takes.
    pub(super) fn progress(&mut self, runs: &[(RunDir, Option<u64>)]) -> HashMap<String, Progress> {
        let began = Instant::now();
        for (run, _) in runs.iter().take(FOLLOWED) {
            let followed = self.followed.entry(run.id().to_owned()).or_insert_with(|| Followed::new(run));
            followed.used = began;
        }
        while self.followed.len() > FOLLOWED {
            let oldest = self.followed.iter().min_by_key(|(_, followed)| followed.used);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            self.followed.remove(&oldest);
        }
        let mut found = HashMap::new();
        // The one that was read longest ago first, so that none waits for the others for ever.
        let mut runs: Vec<_> = runs.iter().take(FOLLOWED).collect();
        runs.sort_by_key(|(run, _)| {
            self.followed.get(run.id()).and_then(|followed| followed.last.as_ref()).map(|(at, _)| *at)
        });
        for (run, rows) in runs {
            if let Some(followed) = self.followed.get_mut(run.id()) {
                let time = READING.saturating_sub(began.elapsed()).max(LEAST);
                found.insert(run.id().to_owned(), followed.look(*rows, time));
            }
        }
        found
    }
}

impl Known {
    /// A run as it is now: what was known of it before is read again only where its files have changed.
    fn now(run: RunDir, before: Option<Self>) -> Self {
        let stamps = [Stamp::of(&run.manifest()), Stamp::of(&run.report())];
        let is_same = |known: &Self| known.stamps[0].is_some() && known.stamps == stamps;
        match before.filter(is_same) {
            Some(known) => known.again(),
            None => Self::of(run, stamps),
        }
    }

    fn of(run: RunDir, stamps: [Option<Stamp>; 2]) -> Self {
        let seen = Seen::of(run);
        let (says, kin, problem) = match &seen.found {
            Found::Manifest(manifest) => {
                let (figures, problem) = figures(&seen.run, manifest);
                (Says::Figures(Box::new(figures)), Some(Kin::of(manifest)), problem)
            }
            Found::NeverBegan => (Says::NeverBegan, None, None),
            Found::Unreadable(why) => (Says::Nothing, None, Some(why.clone())),
        };
        Self { run: seen.run, stamps, says, kin, held: seen.held, problem }
    }

    /// The same at a later look, if its files have not changed: only the lock may be another's.
    fn again(self) -> Self {
        let is_over = match &self.says {
            Says::Figures(figures) => {
                Status::unless_closed(figures.state, figures.is_closed, true) == Status::Finished
            }
            Says::NeverBegan | Says::Nothing => false,
        };
        Self { held: !is_over && RunLock::is_held(&self.run), ..self }
    }

    /// What `run.json` and `report.json` say, if they do.
    pub(super) fn figures(&self) -> Option<&RunFigures> {
        match &self.says {
            Says::Figures(figures) => Some(figures),
            Says::NeverBegan | Says::Nothing => None,
        }
    }

    /// How it stands.
    pub(super) fn state(&self) -> &'static str {
        match &self.says {
            Says::Figures(figures) => {
                Status::unless_closed(figures.state, figures.is_closed, self.held).name()
            }
            Says::NeverBegan if self.held => Status::Running.name(),
            Says::NeverBegan => NEVER_BEGAN,
            Says::Nothing => UNREADABLE,
        }
    }

    /// The command, by `run.json` or by its ID.
    pub(super) fn command(&self) -> &str {
        self.figures().map_or_else(|| self.run.command(), |figures| figures.command.as_str())
    }
}

impl Followed {
    fn new(run: &RunDir) -> Self {
        let now = Instant::now();
        Self { follow: Follow::new(run), pace: Pace::default(), since: now, last: None, used: now }
    }

    fn look(&mut self, rows: Option<u64>, time: Duration) -> Progress {
        if let Some((at, last)) = &self.last
            && at.elapsed() < FRESH
        {
            return last.clone();
        }
        let progress = match self.follow.read_within(time) {
            Ok((now, reading)) => {
                let (mut rows_a_second, mut left) = (None, None);
                if reading.is_none() {
                    let is_first = !self.pace.has_begun();
                    let (rate, to_go) = self.pace.look(&now, rows, self.since.elapsed());
                    rows_a_second = (!is_first).then_some(rate);
                    left = to_go;
                }
                Progress { now: Arc::new(now), rows_a_second, left, reading, problem: None }
            }
            Err(error) => Progress { problem: Some(error.to_string()), ..Progress::default() },
        };
        self.last = Some((Instant::now(), progress.clone()));
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    #[test]
    fn a_run_is_of_its_folder_only() {
        // What `find` compares with: an ID as it was listed, never a path.
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        let board = Board::new(folder.path());
        let runs = board.look().unwrap();
        assert!(runs.find(run.id()).is_some());
        for id in ["", ".", "..", &format!("{}/.", run.id()), &run.path().display().to_string()] {
            assert!(runs.find(id).is_none(), "{id}");
        }
    }
}
