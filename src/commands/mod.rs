//! One file a subcommand, and the parts that subcommands share: the only place that wires the layers
//! together.
//!
//! - [`backfill_groups`] and [`resume`] begin and go on with a run; [`session`] is that run
//! - [`finish`]: how every run ends, whatever happened
//! - [`preflight`], [`feed`], [`issue_feed`], [`contact_feed`]: from an input to the engine's tasks
//! - [`connect`], [`confirm`], [`signals`]: what it talks to, whether it may, what ends it
//! - [`validate`], [`online`]: the check of an input, without and with DevRev
//! - [`backups`]: whether backups are whole
//! - [`sandbox`]: an in-memory DevRev for other processes

pub mod backfill_groups;
pub mod backups;
pub mod confirm;
pub mod connect;
pub mod contact_feed;
pub mod feed;
pub mod finish;
pub mod issue_feed;
pub mod online;
pub mod options;
pub mod preflight;
pub mod resume;
pub mod sandbox;
pub mod session;
pub mod signals;
pub mod validate;
