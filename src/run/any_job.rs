//! A job, whichever it is: what commands need of it that begin with a run's folder.

use super::apply::Applying;
use super::job::Job;
use super::resume::Resumed;
use super::target::{Place, Target};
use super::undo::Undoing;
use crate::exit::{Exit, Failure};
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::settings::{Rates, Settings};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;

/// A run that is worked on until it ends.
pub(crate) type Running<'a> = LocalBoxFuture<'a, Result<Exit, Failure>>;

/// See [`Job`].
pub(crate) trait AnyJob: Sync {
    /// [`Job::COMMAND`]
    fn command(&self) -> &'static str;
    /// [`Job::RATES`]
    fn rates(&self) -> Rates;
    /// Where the target of a run of it is by these settings; `None` for a run that this version cannot go by.
    fn place(&self, manifest: &Manifest, settings: &Settings) -> Option<Place>;
    /// [`Job::UNDOES`]
    fn undoes(&self) -> &'static [&'static str];
    /// [`Job::LOSES`]
    fn loses(&self) -> &'static [&'static str];
    /// [`Job::can_be_undone`], by what `run.json` has of the options.
    fn can_be_undone(&self, manifest: &Manifest) -> bool;
    /// [`Job::again`], by what `run.json` has of the options.
    fn again(&self, run: &RunDir, manifest: &Manifest) -> Option<String>;
    /// [`Job::rows`], likewise.
    fn rows(&self, manifest: &Manifest, rows: u64) -> Option<u64>;
    /// Goes on with a run.
    fn resume<'a>(&self, resumed: Resumed<'a>, settings: Settings) -> Running<'a>;
    /// Applies a plan.
    fn apply<'a>(&self, applying: Applying<'a>, settings: Settings) -> Running<'a>;
    /// Undoes a run.
    fn undo<'a>(&self, undoing: Undoing<'a>, settings: Settings) -> Running<'a>;
}

/// A job as the registry has it.
pub(crate) struct Registered<J>(PhantomData<fn() -> J>);

impl<J: Job> Registered<J> {
    /// The entry.
    pub(crate) const NEW: Self = Self(PhantomData);
}

fn options<J: Job>(manifest: &Manifest) -> Option<J> {
    serde_json::from_value(manifest.settings.get("job")?.clone()).ok()
}

impl<J: Job> AnyJob for Registered<J> {
    fn command(&self) -> &'static str {
        J::COMMAND
    }

    fn rates(&self) -> Rates {
        J::RATES
    }

    fn place(&self, manifest: &Manifest, settings: &Settings) -> Option<Place> {
        Some(J::Target::place(&options::<J>(manifest)?, settings))
    }

    fn undoes(&self) -> &'static [&'static str] {
        J::UNDOES
    }

    fn loses(&self) -> &'static [&'static str] {
        J::LOSES
    }

    fn can_be_undone(&self, manifest: &Manifest) -> bool {
        options::<J>(manifest).is_none_or(|options| options.can_be_undone())
    }

    fn again(&self, run: &RunDir, manifest: &Manifest) -> Option<String> {
        options::<J>(manifest)?.again(run, manifest)
    }

    fn rows(&self, manifest: &Manifest, rows: u64) -> Option<u64> {
        options::<J>(manifest)?.rows(rows)
    }

    fn resume<'a>(&self, resumed: Resumed<'a>, settings: Settings) -> Running<'a> {
        Box::pin(resumed.run::<J>(settings))
    }

    fn apply<'a>(&self, applying: Applying<'a>, settings: Settings) -> Running<'a> {
        Box::pin(applying.run::<J>(settings))
    }

    fn undo<'a>(&self, undoing: Undoing<'a>, settings: Settings) -> Running<'a> {
        Box::pin(undoing.run::<J>(settings))
    }
}
