//! Databases, as whoever reads from them and whoever writes to them needs them: where they are, how to connect, what
//! their errors mean. What is done over a connection is not in here.
//!
//! No text of theirs has a password in it: [`error::DatabaseError`] is made of a driver's errors where they happen.

#[cfg(feature = "clickhouse")]
pub mod clickhouse;
pub mod error;
pub(crate) mod http;
#[cfg(feature = "sql")]
pub mod postgres;
#[cfg(feature = "sql")]
pub mod sqlite;
