//! jobs
pub mod duplicates;
