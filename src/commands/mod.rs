//! One file a subcommand: what was typed becomes a run of a job, or a look at something.
//!
//! - [`resume`], [`apply`], [`undo`]: begin with a run that there is, and ask the [registry](crate::jobs::registry) for its job
//! - [`validate`], [`online`]: the check of an input, without and with DevRev
//! - [`backups`]: the check of backups; [`doctor`]: of everything that a run needs; [`runs`]: past runs; [`sample`]: a small input; [`shell`]: completions and man
//! - [`sandbox`]: an in-memory DevRev for other processes
//!
//! `backfill-groups` and `merge-contacts` are in the folders of their jobs.

pub mod apply;
pub mod backups;
pub mod doctor;
pub mod online;
pub mod resume;
pub mod runs;
pub mod sample;
pub mod sandbox;
pub mod shell;
pub mod undo;
pub mod validate;
