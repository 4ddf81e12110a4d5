//! Migrations: numbered files of SQL that make the tables of a database, each applied once.
//!
//! - [`files`]: the folder; [`script`]: a file's first line and its statements
//! - [`records`]: the table in the database that says what was applied; [`plan`]: the files held against it
//! - [`target`]: what a database has to offer; [`postgres`], [`sqlite`] and [`clickhouse`] do
//! - [`carry`]: carrying out a step

pub(crate) mod carry;
#[cfg(feature = "clickhouse")]
pub(crate) mod clickhouse;
pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod plan;
#[cfg(feature = "sql")]
pub(crate) mod postgres;
pub(crate) mod records;
pub(crate) mod script;
#[cfg(feature = "sql")]
pub(crate) mod sqlite;
pub(crate) mod target;
