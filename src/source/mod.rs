//! Where rows come from: a stream of rows with their place in the input, never the whole of it at once.
//!
//! [`Input`] is what the command line named: a file, standard input, or the rows of a query ([`snowflake`]). What
//! is no file is copied to one, so that a later `resume` reads the same rows. [`csv::CsvFile`] makes rows of it.

pub mod ahead;
pub mod csv;
pub mod dialect;
mod error;
mod fingerprint;
pub mod header;
mod input;
mod quotes;
pub mod snowflake;
mod spool;
mod tap;

pub use error::SourceError;
pub(crate) use fingerprint::hex;
pub use fingerprint::{Fingerprint, Stamp, fingerprint};
pub use input::{Input, SNOWFLAKE};
