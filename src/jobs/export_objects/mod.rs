//! Writes objects and their fields into a file that `update` takes back.
//!
//! It changes nothing, so it has no journal of rows: what it has written so far is in the run's folder ([`part`]), and a
//! run that was interrupted goes on after it. [`columns`] says what a row holds, [`command`] does the work.

pub(crate) mod columns;
pub(crate) mod command;
pub(crate) mod part;

use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::run::any_job::{AnyJob, Running};
use crate::run::apply::Applying;
use crate::run::resume::Resumed;
use crate::run::target::Place;
use crate::run::undo::Undoing;
use crate::settings::{Rates, Settings};

/// The registry's entry.
pub(crate) struct Export;

/// The command's name.
pub(crate) const COMMAND: &str = "export";

impl AnyJob for Export {
    fn command(&self) -> &'static str {
        COMMAND
    }

    fn rates(&self) -> Rates {
        Rates::Backfill
    }

    fn place(&self, _manifest: &Manifest, settings: &Settings) -> Option<Place> {
        Some(DevRev::at(settings))
    }

    fn undoes(&self) -> &'static [&'static str] {
        &[]
    }

    fn can_be_undone(&self, _manifest: &Manifest) -> bool {
        false
    }

    fn loses(&self) -> &'static [&'static str] {
        &[]
    }

    fn again(&self, _run: &RunDir, _manifest: &Manifest) -> Option<String> {
        None
    }

    fn rows(&self, _manifest: &Manifest, _rows: u64) -> Option<u64> {
        None
    }

    fn resume<'a>(&self, resumed: Resumed<'a>, settings: Settings) -> Running<'a> {
        Box::pin(command::resume(resumed, settings))
    }

    fn apply<'a>(&self, _applying: Applying<'a>, _settings: Settings) -> Running<'a> {
        Box::pin(async { Err(Failure::new(Exit::Usage, "an export has no plan to apply")) })
    }

    fn undo<'a>(&self, _undoing: Undoing<'a>, _settings: Settings) -> Running<'a> {
        Box::pin(async { Err(Failure::new(Exit::Usage, "an export has changed nothing")) })
    }
}
