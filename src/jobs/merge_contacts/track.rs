//! A merge under way: its steps go onto the disk, and its end says what is known of it.

use super::backing_up::Trouble;
use super::change::{Change, Stage, Step, What};
use super::report;
use super::settle::Settled;
use crate::devrev::error::{ApiError, ErrorKind};
use crate::engine::job::{Applied, Steps};
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use chrono::Utc;
use serde_json::Value;
use std::time::Duration;

/// A merge under way: what is known of it, and where that is written down.
#[derive(Debug)]
pub struct Track<'s> {
    /// The change with all steps so far.
    pub change: Change,
    /// The primary after the merge, once it was read.
    pub after: Option<Value>,
    /// Where steps are written down.
    pub steps: &'s Steps,
}

impl Track<'_> {
    /// Writes a step down. Fails when the disk does: then nothing more may be sent.
    pub async fn record(&mut self, what: What) -> Result<(), Applied> {
        let step = Step { at: Utc::now(), what };
        let recorded = self.steps.record(&step).await;
        recorded.map_err(|failure| {
            let halt = Some(failure.clone());
            let text = format!("the journal could not be written: {failure}");
            self.open_or_unknown("not-journalled", text, halt)
        })?;
        self.change.steps.push(step);
        Ok(())
    }

    /// The end of a pair that cannot go on just now: as open as before if nothing was sent, else in doubt.
    pub fn open_or_unknown(&self, reason: &'static str, text: String, halt: Option<Failure>) -> Applied {
        let sent = self.change.stage() != Stage::Begin;
        let outcome = sent.then(|| self.reported(Outcome::of(State::Unknown, reason, text)));
        Applied { outcome, halt }
    }

    /// The end of a pair that is in this state.
    pub fn ended(&self, state: State, reason: &'static str, text: impl Into<String>) -> Applied {
        self.reported(Outcome::of(state, reason, text)).into()
    }

    /// The end of a pair for an error of a call after which nothing more is known of it than before.
    pub fn failed(&self, reason: &'static str, error: &ApiError) -> Applied {
        match failing::ends_run(error) {
            // Whoever stopped the run knows why.
            Some(_) if error.kind == ErrorKind::Stopped => self.interrupted(),
            Some(failure) => self.open_or_unknown(error.reason(), error.to_string(), Some(failure)),
            None if self.change.stage() == Stage::Begin => {
                self.ended(State::Failed, reason, error.to_string())
            }
            None => self.ended(State::Unknown, reason, error.to_string()),
        }
    }

    /// The end of a pair in a run that is being stopped.
    pub fn interrupted(&self) -> Applied {
        self.open_or_unknown(
            "interrupted",
            "the run was stopped; `resume` goes on from here".to_owned(),
            None,
        )
    }

    /// An outcome with all that the report says of it.
    pub fn reported(&self, outcome: Outcome) -> Outcome {
        let report = report::pair(&self.change, self.after.as_ref(), &outcome);
        outcome.after(self.change.attempts()).reported(report)
    }

    /// The end of a merge that took, and of which all is as it should be.
    pub fn done(&self) -> Applied {
        self.reported(Outcome::done(0)).into()
    }
}

/// What reads have shown of a merge that is not proven.
pub(super) fn unproven(track: &Track<'_>, settled: Settled, timeout: Duration) -> Applied {
    let seconds = timeout.as_secs_f64();
    match settled {
        Settled::Elsewhere(text) => {
            let text = format!("{}: {text}; look at it in DevRev", track.change.secondary.display_id);
            track.ended(State::Unknown, "merged-elsewhere", text)
        }
        Settled::Unproven { last, untouched } => {
            let more = if untouched {
                "; both contacts are untouched: if they still are in DevRev, `resume --resend-unproven` may send it \
                 again"
            } else {
                "; look at both contacts in DevRev"
            };
            let text = format!("sent, and not seen to have taken within {seconds} s: {last}{more}");
            track.ended(State::Unknown, "not-proven", text)
        }
        _ => track.interrupted(),
    }
}

/// What a backup that could not be made or verified means: this pair is not merged.
pub(super) fn not_backed_up(track: &Track<'_>, trouble: Trouble) -> Applied {
    match trouble {
        Trouble::Unread(error) => track.failed("backup-failed", &error),
        Trouble::Full(text) => full(&text),
        Trouble::Disk(error) if error.is_full() => full(&error.to_string()),
        trouble @ Trouble::Disk(_) => track.ended(State::Failed, "backup-failed", words(&trouble)),
        trouble @ Trouble::Short(_) => track.ended(State::Failed, "backup-incomplete", words(&trouble)),
    }
}

/// No other pair would fare better.
fn full(text: &str) -> Applied {
    let text = format!("no room for backups: {text}; make room, or give another --backup-dir, then resume");
    Applied { outcome: None, halt: Some(Failure::new(Exit::Backup, text)) }
}

pub(super) fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unread(error) => error.to_string(),
        Trouble::Disk(error) => error.to_string(),
        Trouble::Full(text) | Trouble::Short(text) => text.clone(),
    }
}
