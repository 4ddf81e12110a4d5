//! What operators see: consumers of engine events and readers of a run's folder.
//!
//! - [`terminal`]: the one place that prints
//! - [`logging`]: the log on standard error
//! - [`progress`]: while a run goes on
//! - [`results`]: the result files; [`review`]: the rows that people must look at
//! - [`id_map`]: the new IDs of contacts that an undo has created again
//! - [`summary`]: the end of a run
//! - [`backups`]: what `backups verify` found; [`doctor`]: what `doctor` found
//! - [`validation`]: what `validate` found

pub mod backups;
mod beside;
pub mod doctor;
pub mod id_map;
pub mod logging;
pub mod progress;
pub mod results;
pub mod review;
pub mod summary;
pub mod terminal;
pub mod validation;
