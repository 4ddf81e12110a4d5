//! One file a subcommand, and the parts that subcommands share: the only place that wires the layers
//! together.
//!
//! - [`backfill_groups`], [`merge_contacts`]: what each job has of its own, as [`job`] says
//! - [`begin`] and [`resume`] begin and go on with a run of any job; [`session`] is that run
//! - [`finish`]: how every run ends, whatever happened; [`standing`]: how a run stands and what comes next;
//!   [`group_plan`], [`merge_plan`]: what a dry run tells, and what its plan would take ([`plan_cost`])
//! - [`apply`]: begins a run that carries out a plan
//! - [`html_report`]: the page of a run; [`told_merge`], [`told_undo`]: what stands there of a pair
//! - [`field_check`]: whether the creator-group field can be written
//! - [`preflight`], [`feed`], [`issue_feed`], [`contact_feed`]: from an input to the engine's tasks
//! - [`undo`] begins a run that takes another one back, with rows that are [made](made_feed); [`undo_backfill`] and
//!   [`undo_merge`] are the jobs, both [taking back](take_back), [`undo_plan`] is what a dry run of the latter says
//! - [`connect`], [`confirm`], [`signals`], [`watching`]: what it talks to, whether it may, what ends it, who watches
//! - [`snowflake`]: rows from a query
//! - [`validate`], [`online`]: the check of an input, without and with DevRev
//! - [`backups`]: the check of backups; [`doctor`]: of everything that a run needs; [`runs`]: past runs; [`sample`]: a small input; [`shell`]: completions and man
//! - [`sandbox`]: an in-memory DevRev for other processes

pub mod apply;
pub mod backfill_groups;
pub mod backups;
pub mod begin;
pub mod confirm;
pub mod connect;
pub mod contact_feed;
pub mod corrections;
pub mod doctor;
pub mod feed;
pub mod field_check;
pub mod finish;
pub mod group_plan;
pub mod html_report;
pub mod issue_feed;
pub mod job;
pub mod made_feed;
pub mod merge_contacts;
pub mod merge_plan;
pub mod online;
pub mod plan_cost;
pub mod preflight;
pub mod resume;
pub mod runs;
pub mod sample;
pub mod sandbox;
pub mod session;
pub mod shell;
pub mod signals;
pub mod snowflake;
pub mod standing;
pub mod take_back;
pub mod told_merge;
pub mod told_undo;
pub mod undo;
pub mod undo_backfill;
pub mod undo_merge;
pub mod undo_plan;
pub mod validate;
pub mod watching;

use crate::exit::{Exit, Failure};
use crate::source::dialect::Dialect;
use crate::stop::Stop;
use std::fmt::Display;
use std::str::FromStr;

/// Does what may block for long on a thread of its own. A stop ends the wait for it at once.
async fn on_thread<T: Send + 'static>(
    stop: &Stop,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match stop.race(tokio::task::spawn_blocking(work)).await {
        Some(done) => done.map_err(|error| Failure::new(Exit::Unexpected, format!("a defect: {error}")))?,
        None => Err(signals::interrupted(stop, "interrupted")),
    }
}

/// One of the words that a flag takes.
fn choice<T>(flag: &str, typed: Option<&str>, default: T) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: Display,
{
    let Some(typed) = typed else { return Ok(default) };
    typed.parse().map_err(|why| Failure::new(Exit::Usage, format!("--{flag}: `{typed}` {why}")))
}

/// How a CSV file is read, as it was typed.
fn dialect(delimiter: Option<&str>) -> Result<Dialect, Failure> {
    Dialect::typed(delimiter).map_err(|why| Failure::new(Exit::Usage, why))
}

/// A choice as its flag takes it: the word that `run.json` has for it.
fn word(choice: &impl serde::Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
