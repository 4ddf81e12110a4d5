//! A look at a run that changes nothing of it, whoever works on it meanwhile.

use crate::engine::event::Tally;
use crate::jobs::registry;
use crate::journal::error::JournalError;
use crate::journal::evidence;
use crate::journal::lock::RunLock;
use crate::journal::manifest::{Manifest, RunState};
use crate::journal::replay::Retry;
use crate::journal::run_dir::RunDir;
use crate::report::past::{About, By, How, NEVER_BEGAN, Parent, Past, UNREADABLE};
use crate::run::checks::has_something_left;
use crate::run::standing::{Place, Standing, Status};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};

/// A run, and what its folder says of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The run.
    pub run: RunDir,
    /// Whether a process holds it just now.
    pub held: bool,
    /// `run.json`.
    pub found: Found,
}

/// What there is of a `run.json`.
#[derive(Debug)]
pub(crate) enum Found {
    /// It says this.
    Manifest(Box<Manifest>),
    /// It is not there, and the folder shows that it never was: nothing was sent.
    NeverBegan,
    /// It cannot be read: why.
    Unreadable(String),
}

impl Seen {
    /// Looks at a run.
    pub(crate) fn of(run: RunDir) -> Self {
        let held = RunLock::is_held(&run);
        let read = || Manifest::read(&run).map(|manifest| Found::Manifest(Box::new(manifest)));
        // Read again where there is one: it may have begun just now.
        let found =
            read().or_else(|_| if evidence::never_began(&run)? { Ok(Found::NeverBegan) } else { read() });
        let found = found.unwrap_or_else(|error: JournalError| Found::Unreadable(error.to_string()));
        // It may have been taken up between the two.
        let held = held || RunLock::is_held(&run);
        Self { run, held, found }
    }

    /// `run.json`, where there is one.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match &self.found {
            Found::Manifest(manifest) => Some(manifest),
            Found::NeverBegan | Found::Unreadable(_) => None,
        }
    }

    /// How it stands, where that is known.
    pub(crate) fn status(&self) -> Option<Status> {
        self.manifest().map(|manifest| Status::of_run(manifest, self.held))
    }

    /// Its rows by state as `run.json` has them, or as the journal does where no process has counted them; and why
    /// that could not be read. Nothing while a process is at work: they change.
    pub(crate) fn tally(&self) -> (Tally, Option<String>) {
        let (Some(manifest), Some(status)) = (self.manifest(), self.status()) else {
            return (Tally::default(), None);
        };
        let mut tally = Tally::default();
        let mut problem = None;
        match status {
            Status::Running => {}
            Status::Crashed => match evidence::replay(&self.run, manifest) {
                Ok(replay) => {
                    tally.states = replay.counts;
                    tally.reasons = replay.by_reason;
                    if let Some(rows) = rows(manifest) {
                        tally.add("open", None, rows.saturating_sub(tally.total()));
                    }
                }
                Err(error) => problem = Some(error.to_string()),
            },
            Status::Interrupted | Status::Stopped | Status::Finished | Status::Closed => {
                tally.states.clone_from(&manifest.counts);
            }
        }
        tally.states.retain(|_, rows| *rows > 0);
        (tally, problem)
    }

    /// Everything about it. `others` knows the runs that have to do with it.
    pub(crate) fn past(
        &self,
        tally: &Tally,
        problem: Option<String>,
        others: &Others,
        place: &Place,
    ) -> Past {
        let (state, problem) = match (&self.found, self.status()) {
            (Found::NeverBegan, _) if self.held => (Status::Running.name(), problem),
            (Found::NeverBegan, _) => (NEVER_BEGAN, Some("nothing was sent".to_owned())),
            (Found::Unreadable(why), _) => (UNREADABLE, Some(why.clone())),
            (Found::Manifest(_), status) => (status.map_or(UNREADABLE, Status::name), problem),
        };
        let next = if others.is_carried_out(self.run.id()) { None } else { self.next(tally, place) };
        Past {
            run: self.run.id().to_owned(),
            state,
            in_use: self.held,
            about: self.manifest().map(|manifest| self.about(manifest, tally)),
            by: others.by(self.run.id()),
            next,
            problem,
        }
    }

    /// How it stands, for what comes next.
    pub(crate) fn standing<'a>(&'a self, tally: &'a Tally) -> Option<Standing<'a>> {
        let (manifest, status) = (self.manifest()?, self.status()?);
        let status = if self.held { Status::Running } else { status };
        let again = registry::named(&manifest.command).and_then(|job| job.again(&self.run, manifest));
        Some(Standing::of(&self.run, manifest, again, status, &tally.states, tally.of("open")))
    }

    fn next(&self, tally: &Tally, place: &Place) -> Option<String> {
        let standing = self.standing(tally)?;
        standing.steps().into_iter().find_map(|step| standing.command(step, place))
    }

    fn about(&self, manifest: &Manifest, tally: &Tally) -> About {
        let status = self.status();
        // What an earlier process wrote of its end is not this one's.
        let has_ended = !matches!(status, Some(Status::Running | Status::Crashed) | None);
        let ended_at = manifest.ended_at.filter(|_| has_ended);
        let until = if status == Some(Status::Running) { Some(Utc::now()) } else { ended_at };
        let seconds = |until: DateTime<Utc>| (until - manifest.created_at).to_std().unwrap_or_default();
        About {
            command: manifest.command.clone(),
            dry_run: manifest.dry_run,
            parent: parent(manifest),
            target: manifest.base_url.clone(),
            environment: manifest.environment.clone(),
            created_at: manifest.created_at,
            ended_at,
            seconds: until.map(|until| seconds(until).as_secs_f64()),
            rows: rows(manifest),
            counts: tally.states.clone(),
            exit: manifest.exit_code.filter(|_| has_ended),
        }
    }
}

/// Rows that a run takes: a limit may leave some out. `None` where only another look at the input could tell.
pub(crate) fn rows(manifest: &Manifest) -> Option<u64> {
    if let Some(applies) = &manifest.applies {
        return Some(applies.rows);
    }
    let rows = manifest.input.as_ref()?.rows;
    registry::named(&manifest.command).map_or(Some(rows), |job| job.rows(manifest, rows))
}

/// What the runs of a folder have to do with each other.
#[derive(Debug, Default)]
pub(crate) struct Others {
    dry_runs: HashSet<String>,
    /// Runs by the one that they undo or carry out.
    children: HashMap<String, Vec<Child>>,
}

#[derive(Debug)]
struct Child {
    run: String,
    how: How,
    dry_run: bool,
    has_something_left: bool,
    /// Whether all its rows came out right.
    is_whole: bool,
}

/// What a run has to do with others, by its `run.json`.
#[derive(Debug, Clone)]
pub(crate) struct Kin {
    run: String,
    dry_run: bool,
    /// The run whose plan it carries out.
    applies: Option<String>,
    parent: Option<String>,
    has_something_left: bool,
    is_whole: bool,
}

impl Kin {
    /// What `run.json` says.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            run: manifest.id.clone(),
            dry_run: manifest.dry_run,
            applies: manifest.applies.as_ref().map(|applies| applies.run.clone()),
            parent: manifest.parent.clone(),
            has_something_left: has_something_left(manifest, &Retry::default()),
            is_whole: is_whole(manifest),
        }
    }
}

impl Others {
    /// Notes a run.
    pub(crate) fn note(&mut self, seen: &Seen) {
        if let Some(manifest) = seen.manifest() {
            self.note_kin(&Kin::of(manifest), seen.held);
        }
    }

    /// Notes a run that a process holds, or does not.
    pub(crate) fn note_kin(&mut self, kin: &Kin, held: bool) {
        if kin.dry_run {
            self.dry_runs.insert(kin.run.clone());
        }
        let planned = kin.applies.as_ref().map(|applies| (applies, How::CarriesOut));
        // An undo that was planned has to do with the run that it undoes, and with its plan.
        let parent = kin.parent.as_ref().filter(|parent| planned.is_none_or(|(run, _)| run != *parent));
        for (related, how) in planned.into_iter().chain(parent.map(|parent| (parent, How::TakesBack))) {
            self.children.entry(related.clone()).or_default().push(Child {
                run: kin.run.clone(),
                how,
                dry_run: kin.dry_run,
                has_something_left: held || kin.has_something_left,
                is_whole: kin.is_whole && !held,
            });
        }
    }

    /// Whether there is a run that carries out, or has carried out, what this dry run planned.
    pub(crate) fn is_carried_out(&self, dry_run: &str) -> bool {
        self.dry_runs.contains(dry_run) && self.of(dry_run).iter().any(|child| !child.dry_run)
    }

    /// A run that takes this one back or carries it out, and has something left to do.
    pub(crate) fn unfinished_child(&self, run: &str) -> Option<&str> {
        self.of(run).iter().find(|child| child.has_something_left).map(|child| child.run.as_str())
    }

    /// The runs that take this one back or carry it out.
    fn by(&self, run: &str) -> Vec<By> {
        let real = self.of(run).iter().filter(|child| !child.dry_run);
        let by = |child: &Child| By { run: child.run.clone(), how: child.how, finished: child.is_whole };
        real.map(by).collect()
    }

    fn of(&self, parent: &str) -> &[Child] {
        self.children.get(parent).map_or(&[], Vec::as_slice)
    }
}

/// Whether a run came to its end, and no row of it went wrong.
fn is_whole(manifest: &Manifest) -> bool {
    let wrong = ["open", "failed", "unknown"];
    manifest.state == RunState::Finished
        && manifest.closed.is_none()
        && wrong.iter().all(|state| manifest.counts.get(*state).is_none_or(|rows| *rows == 0))
}

/// The run that this one carries out or undoes.
fn parent(manifest: &Manifest) -> Option<Parent> {
    let planned = manifest.applies.as_ref().map(|applies| (&applies.run, How::CarriesOut));
    let (run, how) = planned.or(manifest.parent.as_ref().map(|parent| (parent, How::TakesBack)))?;
    Some(Parent { run: run.clone(), how })
}
