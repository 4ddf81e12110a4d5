//! The batch engine: carries tasks through preparation, intent, change and outcome, whatever they mean.
//!
//! Three stages run at once, joined by short queues: one *prepares* a batch (the job reads, decides, and the
//! intents become durable), one *carries out* the batch before it, one *records* outcomes and tells the
//! listeners. Nothing here knows what a row or a change is, and nothing here prints.
//!
//! - [`job`]: what a job gives the engine
//! - [`config`]: how it works; [`run`]: the stages
//! - [`limits`]: when a run stops itself
//! - [`event`]: what is told to listeners

mod batch;
pub(crate) mod config;
pub(crate) mod event;
mod execute;
mod halt;
pub(crate) mod job;
pub(crate) mod limits;
mod prepare;
mod record;
pub(crate) mod run;
#[cfg(test)]
mod tests;
