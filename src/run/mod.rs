//! The life of a run, whatever its job: it begins, asks, works, ends, and continues later.
//!
//! - [`job`]: what a job has of its own; all else is here
//! - [`any_job`]: a job, whichever it is, for those who begin with a run's folder
//! - [`begin`], [`resume`]: how a run begins and continues; [`apply`], with [`planned`]: or applies a plan; [`undo`]: or
//!   undoes another run
//! - [`session`]: the run as one process has it; [`work`]: the work on it; [`finish`]: how it ends, whatever happened; [`page`]: `report.html`
//! - [`standing`]: how it stands and what comes next
//! - [`scan`], [`feed`]: from an input to the engine's tasks
//! - [`connect`], [`confirm`], [`signals`], [`watching`]: what it talks to, whether it may, what ends it, who watches
//! - [`checks`]: whether input, target and parent are what they were; [`corrections`]: settings that are given again
//! - [`drift`]: only what is still as it was planned; [`failing`]: what a failed call means for a row and for the run;
//!   [`plan_cost`]: what a plan would take

pub mod any_job;
pub mod apply;
pub mod begin;
pub mod checks;
pub mod confirm;
pub mod corrections;
pub mod drift;
pub mod feed;
pub mod finish;
pub mod job;
pub mod page;
pub mod plan_cost;
pub mod planned;
pub mod resume;
pub mod scan;
pub mod session;
pub mod signals;
pub mod standing;
pub mod target;
pub mod undo;
pub mod watching;
pub mod work;
