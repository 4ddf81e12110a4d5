//! The typed DevRev client.
pub mod ids;
