//! What operators see: consumers of engine events and readers of a run's folder.
//!
//! - [`terminal`]: the one place that prints
//! - [`logging`]: the log, on standard error and in the run's folder
//! - [`reporter`]: who hears of a run while it continues; [`progress`]: what is shown of it then
//!   ([`under_way`]: of changes that have not ended; `speed`: how fast it goes and what that leaves);
//!   [`profile`]: where the time went
//! - [`metrics`]: the run's metrics, for Prometheus; [`alerts`]: who is told by Slack and e-mail
//! - [`results`]: the result files; [`review`]: the rows that people must look at; `formula`: what spreadsheets must not
//!   execute of them
//! - [`id_map`]: the new IDs of contacts that an undo has created again
//! - [`summary`]: the end of a run
//! - [`html`]: the same as a page for people, with the charts of a [`series`] over its time
//! - [`watched`]: a run that another process works on; [`past`]: past runs; [`past_run`]: one of them; [`pruned`]: what `runs prune` removes
//! - [`backups`]: what `backups verify` found; [`doctor`]: what `doctor` found
//! - [`validation`]: what `validate` found; [`sampled`]: what `sample` took
//! - [`units`]: numbers for people

pub mod alerts;
pub mod backups;
pub mod beside;
pub mod doctor;
mod formula;
pub mod html;
pub mod id_map;
pub mod logging;
pub mod metrics;
pub mod past;
pub mod past_run;
pub mod profile;
pub mod progress;
pub mod pruned;
pub mod reporter;
pub mod results;
pub mod review;
pub mod sampled;
pub mod series;
mod speed;
pub mod summary;
pub mod terminal;
pub mod under_way;
pub mod units;
pub mod validation;
pub mod watched;
