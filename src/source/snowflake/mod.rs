//! Snowflake as a source: the rows of a query become a CSV file, and from there on everything is as with any CSV file.
//!
//! - [`access`]: who asks whom; [`wire`]: what passes between `snowflake-api` and the network; [`answer`]: what is
//!   read there
//! - [`read`]: from Arrow to the file
//! - [`error`]: what goes wrong
//!
//! In memory is one part of the result at a time: its Arrow bytes, and the columns decoded from them. Snowflake is
//! asked for parts of 16 MB.

pub mod access;
mod answer;
pub mod error;
mod read;
mod wire;

pub use access::{Access, Login};
#[cfg(feature = "load")]
pub(crate) use answer::Column;
#[cfg(feature = "load")]
pub(crate) use answer::Terms;
pub use error::SnowflakeError;
#[cfg(feature = "load")]
pub(crate) use read::{Asking, Texts, begin};
pub use read::{ping, spool};
