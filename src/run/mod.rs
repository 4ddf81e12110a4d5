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

pub(crate) mod any_job;
pub(crate) mod apply;
pub(crate) mod begin;
pub(crate) mod checks;
pub(crate) mod confirm;
pub(crate) mod corrections;
pub(crate) mod drift;
pub(crate) mod feed;
pub(crate) mod finish;
pub(crate) mod job;
pub(crate) mod page;
pub(crate) mod plan_cost;
pub(crate) mod planned;
pub(crate) mod resume;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod standing;
pub(crate) mod target;
pub(crate) mod undo;
pub(crate) mod watching;
pub(crate) mod work;
