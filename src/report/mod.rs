//! What operators see: consumers of engine events and readers of a run's folder.
//!
//! - [`terminal`]: the one place that prints
//! - [`logging`]: the log on standard error
//! - [`reporter`]: who hears of a run while it goes on; [`progress`]: what is shown of it then
//! - [`metrics`]: the run's metrics, for Prometheus; [`alerts`]: who is told by Slack and e-mail
//! - [`results`]: the result files; [`review`]: the rows that people must look at
//! - [`id_map`]: the new IDs of contacts that an undo has created again
//! - [`summary`]: the end of a run
//! - [`backups`]: what `backups verify` found
//! - [`validation`]: what `validate` found

pub mod alerts;
pub mod backups;
mod beside;
pub mod id_map;
pub mod logging;
pub mod metrics;
pub mod progress;
pub mod reporter;
pub mod results;
pub mod review;
pub mod summary;
pub mod terminal;
pub mod validation;
