//! One file a subcommand: what was typed becomes a run of a job, or a look at something.
//!
//! - [`resume`], [`apply`], [`undo`]: begin with a run that there is, and ask the [registry](crate::jobs::registry) for its job
//! - [`validate`], [`validate_update`], [`online`]: the check of an input, without and with DevRev
//! - [`backups`]: the check of backups; [`doctor`]: of everything that a run needs; [`runs`]: past runs; [`sample`]: a small input; [`shell`]: completions and man
//! - [`migrate`]: the tables of a database, by numbered files
//! - [`sandbox`]: an in-memory DevRev for other processes
//!
//! `backfill-groups` and `merge-contacts` are in the folders of their jobs.

pub(crate) mod apply;
pub(crate) mod backups;
pub(crate) mod doctor;
#[cfg(any(feature = "sql", feature = "clickhouse"))]
pub(crate) mod migrate;
pub(crate) mod online;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod sample;
pub(crate) mod sandbox;
pub(crate) mod shell;
pub(crate) mod undo;
pub(crate) mod validate;
pub(crate) mod validate_update;
