//! A merge as a change that is planned, and made in several steps.

use super::change::{MergeChange, Stage, Step, What};
use super::report;
use crate::jobs::track::Stepwise;
use crate::journal::record::Outcome;
use crate::run::drift::Plannable;
use serde_json::value::RawValue;

impl Plannable for MergeChange {
    const PASSING: &'static [&'static str] = &["preview"];
    const OTHERWISE: &'static [&'static str] = &[super::COUNT_DIFFERS, "contact-differs"];

    fn is_made(_planned: &RawValue, outcome: &Outcome) -> bool {
        outcome.reason.as_deref() == Some(super::decide::MERGED_BEFORE)
    }

    fn told(&self, outcome: Outcome) -> Outcome {
        let report = self.report(&outcome);
        outcome.reported(report)
    }
}

impl Stepwise for MergeChange {
    type What = What;
    type Stage = Stage;
    const BEGIN: Stage = Stage::Begin;
    const IN_DOUBT: Stage = Stage::Sent;

    fn stage_now(&self) -> Stage {
        self.stage()
    }

    fn steps(&mut self) -> &mut Vec<Step> {
        &mut self.steps
    }

    fn attempts(&self) -> u32 {
        let attempts = self.steps.iter().filter_map(|step| match step.what {
            What::Merging { attempt } => Some(attempt),
            _ => None,
        });
        attempts.max().unwrap_or(0)
    }

    fn report(&self, outcome: &Outcome) -> Option<Box<RawValue>> {
        report::pair(self, outcome)
    }
}
