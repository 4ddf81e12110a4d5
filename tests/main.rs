//! The program from the outside: the real binary, as an operator runs it, against the sandbox.
//!
//! A module a subcommand or a promise; [`support`] is what they share. No test waits for real seconds, and
//! each has a folder and a sandbox of its own, so that they run side by side.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg_attr(
    not(all(feature = "snowflake", feature = "sql", feature = "clickhouse", feature = "load")),
    allow(dead_code, reason = "what only the tests of sources need that this build leaves out")
)]

mod support;

mod alerts;
mod apply;
mod apply_hard;
mod backfill;
mod backups;
mod confirm;
mod crash;
mod create;
mod create_tags;
mod disk_full;
mod docs;
mod doctor;
mod dry_run;
mod export;
mod fault_matrix;
mod faults;
mod formulas;
mod garbage;
mod groups;
mod html;
mod inputs;
mod interrupt;
mod journal_tail;
mod layout;
mod limits;
#[cfg(feature = "load")]
mod load;
mod log;
mod merge_at_once;
mod merge_backups;
mod merge_crash;
mod merge_matrix;
mod merge_never_twice;
mod merge_proof;
mod merge_report;
mod merge_rules;
mod metrics;
mod migrate;
mod old_runs;
mod output;
mod resume;
mod resume_refused;
mod rules;
mod runs;
mod runs_prune;
mod runs_serve;
mod runs_stats;
mod sample;
mod sandbox;
mod settings;
mod shell;
#[cfg(feature = "snowflake")]
mod snowflake;
mod sources;
mod terminal;
mod texts;
mod typescript_sdk;
mod undo;
mod undo_merge;
mod undo_merge_ways;
mod update;
mod update_hard;
mod validate;
mod watch;
mod wire;
