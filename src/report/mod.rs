//! report
pub mod validation;
