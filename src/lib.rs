//! skeleton
pub mod commands;
pub mod devrev;
pub mod exit;
pub mod jobs;
pub mod journal;
pub mod report;
pub mod row;
pub mod sandbox;
pub mod source;
pub mod spill;
pub mod stop;
