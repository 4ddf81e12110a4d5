//! A run's folder on disk: what was meant, what was sent and how it ended, so that any crash can be gone on
//! from.
//!
//! - [`run_dir`]: the folder, its name and its files; [`lock`]: one process at a time; [`manifest`]: `run.json`.
//! - [`record`]: what the journal says; `line`: how it stands in `journal.jsonl`.
//! - [`writer`]: appends records; an append returns when they are on the disk.
//! - `scan`: reads lines and judges damage; [`replay`]: what they amount to; [`repair`]: sets a torn tail aside;
//!   `in_order`: lines by row; [`ordered`]: the last word on every row; [`done`]: the changes that were made;
//!   [`plan`]: those that a dry run planned; [`follow`]: a journal that another process writes.
//! - [`evidence`]: whether a run began, and whether its journal is still whole.
//! - [`atomic`]: replaces a file in one step.
//!
//! The journal knows rows, changes (as opaque JSON) and outcomes, and nothing of DevRev.

pub mod atomic;
#[cfg(test)]
mod crash_tests;
pub mod done;
pub mod error;
pub mod evidence;
pub mod follow;
mod in_order;
mod line;
pub mod lock;
pub mod manifest;
pub mod ordered;
pub mod plan;
pub mod record;
pub mod repair;
pub mod replay;
pub mod row_set;
pub mod run_dir;
mod scan;
#[cfg(test)]
mod tests;
pub mod writer;
