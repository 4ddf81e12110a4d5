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
//! - [`watched`]: a run that another process works on ([`pace`]: how fast); [`past`]: past runs; [`past_run`]: one of them; [`pruned`]: what `runs prune` removes
//! - [`stats`]: what the runs of a folder come to, by job; [`run_figures`]: what each of them adds
//! - [`backups`]: what `backups verify` found; [`doctor`]: what `doctor` found
//! - [`validation`]: what `validate` found; [`sampled`]: what `sample` took
//! - [`migrations`]: what `migrate` did, or would do
//! - [`units`]: numbers for people

pub(crate) mod alerts;
pub(crate) mod backups;
pub(crate) mod beside;
pub(crate) mod doctor;
pub(crate) mod formula;
pub(crate) mod html;
pub(crate) mod id_map;
pub(crate) mod logging;
pub(crate) mod metrics;
#[cfg(any(feature = "sql", feature = "clickhouse"))]
pub(crate) mod migrations;
pub(crate) mod pace;
pub(crate) mod past;
pub(crate) mod past_run;
pub(crate) mod profile;
pub(crate) mod progress;
pub(crate) mod pruned;
pub(crate) mod reporter;
pub(crate) mod results;
pub(crate) mod review;
pub(crate) mod run_figures;
pub(crate) mod sampled;
pub(crate) mod series;
mod speed;
pub(crate) mod stats;
pub(crate) mod summary;
pub(crate) mod terminal;
pub(crate) mod under_way;
pub(crate) mod units;
pub(crate) mod validation;
pub(crate) mod watched;
