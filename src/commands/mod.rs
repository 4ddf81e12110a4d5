//! commands
pub mod validate;
