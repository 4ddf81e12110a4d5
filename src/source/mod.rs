//! Where rows come from: a stream of rows with their place in the input, never the whole of it at once.
//!
//! [`Input`] is what the command line named: a CSV file, standard input, or the rows of a [`Source`]: a query or JSON Lines. What
//! is no file is copied to one, so that a later `resume` reads the same rows. [`csv::CsvFile`] makes rows of it.

pub mod ahead;
#[cfg(feature = "clickhouse")]
pub mod clickhouse;
pub mod csv;
pub mod dialect;
mod error;
mod fingerprint;
pub mod grammar;
pub mod header;
mod input;
mod json_array;
pub mod jsonl;
pub mod metabase;
#[cfg(feature = "sql")]
pub mod postgres;
pub mod query;
pub mod query_error;
mod quotes;
pub mod rows_file;
#[cfg(feature = "snowflake")]
pub mod snowflake;
mod spool;
pub mod sql;
#[cfg(feature = "sql")]
pub mod sqlite;
mod tap;

pub use error::SourceError;
pub(crate) use fingerprint::hex;
pub use fingerprint::{Fingerprint, Stamp, fingerprint};
pub use input::Input;

use crate::exit::Failure;
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::path::Path;

/// Somewhere that rows come from other than as CSV. They are copied into the run's folder, so that `resume` works on the same ones
/// and needs nothing of the source.
pub trait Source: Debug + Send {
    /// What people call it; `run.json` keeps it.
    fn name(&self) -> &str;
    /// The query, where it is asked one.
    fn query(&self) -> Option<&str>;
    /// Its settings without secrets, for `run.json`.
    fn record(&self) -> &Map<String, Value>;
    /// Copies the rows to a new CSV file at `to`. Blocks; must be called on a thread that may wait for the runtime.
    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure>;
}
