//! What every undo has in common.
//!
//! - [`job`]: the job; [`feed`]: its rows, which are made of what the run that is undone did

pub(crate) mod feed;
pub(crate) mod job;
