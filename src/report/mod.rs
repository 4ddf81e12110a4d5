//! What operators see: consumers of engine events and readers of a run's folder.
//!
//! - [`terminal`]: the one place that prints
//! - [`logging`]: the log on standard error
//! - [`reporter`]: who hears of a run while it goes on; [`progress`]: what is shown of it then
//! - [`results`]: the result files; [`review`]: the rows that people must look at
//! - [`id_map`]: the new IDs of contacts that an undo has created again
//! - [`summary`]: the end of a run
//! - [`html`]: the same as a page for people, with the charts of a [`series`] over its time
//! - [`backups`]: what `backups verify` found
//! - [`validation`]: what `validate` found

pub mod backups;
mod beside;
pub mod html;
pub mod id_map;
pub mod logging;
pub mod progress;
pub mod reporter;
pub mod results;
pub mod review;
pub mod series;
pub mod summary;
pub mod terminal;
pub mod validation;
