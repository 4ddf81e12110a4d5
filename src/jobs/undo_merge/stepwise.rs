//! The undo of a merge as a change that is planned, and made in several steps.

use super::change::MergeUndo;
use super::report;
use super::steps::{Stage, Step, What};
use crate::jobs::track::Stepwise;
use crate::journal::record::Outcome;
use crate::run::drift::{AS_BEFORE, Plannable};
use serde_json::value::RawValue;

impl Plannable for MergeUndo {
    // The primary is put back before the secondary is created, and that before the works are pointed at it.
    const IN_PARTS: bool = true;

    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        outcome.reason.as_deref() == Some(AS_BEFORE)
    }

    fn told(&self, outcome: Outcome) -> Outcome {
        let report = self.report(&outcome);
        outcome.reported(report)
    }
}

impl Stepwise for MergeUndo {
    type What = What;
    type Stage = Stage;
    const BEGIN: Stage = Stage::Begin;
    const IN_DOUBT: Stage = Stage::Creating;

    fn stage_now(&self) -> Stage {
        self.stage()
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        &mut self.steps
    }

    fn is_begun(&self) -> bool {
        self.is_sent() || !self.written().is_empty()
    }

    fn attempts(&self) -> u32 {
        let attempts = self.steps.iter().filter_map(|step| match step.what {
            What::Creating { attempt } => Some(attempt),
            _ => None,
        });
        attempts.max().unwrap_or(0)
    }

    fn report(&self, outcome: &Outcome) -> Option<Box<RawValue>> {
        report::pair(self, outcome)
    }
}
