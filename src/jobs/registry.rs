//! The jobs that there are.

use super::backfill_groups::command::BackfillOptions;
use super::export_objects::Export;
#[cfg(feature = "load")]
use super::load_records::options::LoadOptions;
#[cfg(feature = "load")]
use super::load_records::undo::command::UndoLoadOptions;
use super::merge_contacts::command::MergeOptions;
use super::undo_backfill::command::UndoBackfillOptions;
use super::undo_merge::command::UndoMergeOptions;
use super::undo_update::command::UndoUpdateOptions;
use super::undoing::job::Undo;
use super::update_fields::command::{CreateJob, UpdateJob};
use crate::run::any_job::{AnyJob, Registered};

/// All of them.
pub(crate) static JOBS: &[&dyn AnyJob] = &[
    &Registered::<BackfillOptions>::NEW,
    &Registered::<MergeOptions>::NEW,
    &Registered::<UpdateJob>::NEW,
    &Registered::<CreateJob>::NEW,
    &Export,
    #[cfg(feature = "load")]
    &Registered::<LoadOptions>::NEW,
    &Registered::<Undo<UndoBackfillOptions>>::NEW,
    &Registered::<Undo<UndoMergeOptions>>::NEW,
    &Registered::<Undo<UndoUpdateOptions>>::NEW,
    #[cfg(feature = "load")]
    &Registered::<Undo<UndoLoadOptions>>::NEW,
];

/// The job of a run, by the name that its `run.json` has for it.
pub(crate) fn named(command: &str) -> Option<&'static dyn AnyJob> {
    JOBS.iter().copied().find(|job| job.command() == command)
}

/// The job that undoes runs of a job.
pub(crate) fn undo_of(command: &str) -> Option<&'static dyn AnyJob> {
    JOBS.iter().copied().find(|job| job.undoes().contains(&command))
}
