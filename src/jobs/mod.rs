//! jobs
pub mod duplicates;
pub mod rules;
