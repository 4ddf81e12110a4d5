//! A change that is made in several steps, while it is made: what is known of it, and where that is written down.

use crate::devrev::client::Client;
use crate::devrev::operation::Operation;
use crate::engine::job::{Applied, Steps};
use crate::exit::Failure;
use crate::jobs::failing;
use crate::journal::record::{Outcome, State};
use crate::journal::replay::InDoubt;
use crate::net::error::{ApiError, ErrorKind};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A step, and when it was recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step<W> {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub what: W,
}

/// A change that is made in several steps.
pub(crate) trait Stepwise {
    /// What a step may be.
    type What: Serialize + DeserializeOwned + Send + Sync;
    /// How far a change may have come.
    type Stage: PartialEq;
    /// Nothing that counts was sent.
    const BEGIN: Self::Stage;
    /// Something was sent, and its outcome is unknown.
    const IN_DOUBT: Self::Stage;

    /// How far it has come.
    fn stage_now(&self) -> Self::Stage;

    /// The steps so far.
    fn steps(&mut self) -> &mut Vec<Step<Self::What>>;

    /// Whether something may have been sent that cannot be started again.
    fn is_sent(&self) -> bool {
        self.stage_now() != Self::BEGIN
    }

    /// Whether a step has been taken that anyone who starts again should know of.
    fn is_begun(&self) -> bool {
        self.is_sent()
    }

    /// Whether something was sent whose outcome is unknown.
    fn is_in_doubt(&self) -> bool {
        self.stage_now() == Self::IN_DOUBT
    }

    /// How many times the step that counts was, or may have been, sent.
    fn attempts(&self) -> u32;

    /// What `report.json` says of the change with this outcome.
    fn report(&self, outcome: &Outcome) -> Option<Box<RawValue>>;
}

/// A change in doubt as it was meant, with the steps that were taken. `Err` for one that this version cannot read:
/// nothing is guessed then.
pub(crate) fn meant<C: Stepwise + DeserializeOwned>(
    in_doubt: &InDoubt,
) -> Result<Option<C>, serde_json::Error> {
    let Some(change) = &in_doubt.change else { return Ok(None) };
    let mut change: C = serde_json::from_str(change.get())?;
    for step in &in_doubt.steps {
        change.steps().push(serde_json::from_str(step.get())?);
    }
    Ok(Some(change))
}

/// The change in doubt of a row, as it was meant, where it is made in one step; the error is the outcome of a row whose
/// change cannot be read.
pub(crate) fn sent<C: DeserializeOwned>(in_doubt: Option<&InDoubt>) -> Result<Option<C>, Outcome> {
    let Some(in_doubt) = in_doubt else { return Ok(None) };
    let Some(change) = &in_doubt.change else { return Err(unreadable(&"it does not say what was sent")) };
    serde_json::from_str(change.get()).map(Some).map_err(|error| unreadable(&error))
}

/// What becomes of a row whose change in doubt cannot be read.
pub(crate) fn unreadable(error: &impl Display) -> Outcome {
    let text = format!(
        "an earlier process may have sent a change, and its record in the journal cannot be read: {error}; check it \
         in DevRev by hand"
    );
    Outcome::of(State::Unknown, "journal-unreadable", text)
}

/// How the sending of what must not be sent twice ended.
#[derive(Debug)]
pub(crate) enum Sent<A> {
    /// It was sent, and this is the answer.
    Answered(A),
    /// It was sent, and failed so.
    Failed(ApiError),
    /// It was not sent: it may not be any more, or this kept it from being so. Nothing is written down.
    Never(ApiError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A change under way.
#[derive(Debug)]
pub(crate) struct Track<'s, C> {
    /// The change with all steps so far.
    pub change: C,
    steps: &'s Steps,
}

impl<'s, C: Stepwise> Track<'s, C> {
    /// Goes on with a change, whose steps are written down there.
    pub(crate) fn new(change: C, steps: &'s Steps) -> Self {
        Self { change, steps }
    }

    /// Writes a step down. Fails when the disk does: then nothing more may be sent.
    pub(crate) async fn record(&mut self, what: C::What) -> Result<(), Applied> {
        let step = Step { at: Utc::now(), what };
        self.steps.record(&step).await.map_err(|failure| self.not_journalled(failure))?;
        self.change.steps().push(step);
        Ok(())
    }

    /// Sends what must not be sent twice, if it still may be then. That it is sent is on disk when nothing is left to
    /// wait for: anyone who finds the step there knows that it was, but for a moment.
    pub(crate) async fn once<O: Operation>(
        &mut self,
        client: &Client,
        operation: &O,
        what: C::What,
        may: impl Fn() -> bool + Sync,
    ) -> Result<Sent<O::Answer>, Applied> {
        let step = Step { at: Utc::now(), what };
        let recorded = Mutex::new(None);
        let (steps, written, may) = (self.steps, &recorded, &may);
        let announce = || {
            let step = &step;
            async move {
                if !may() {
                    return false;
                }
                let done = steps.record(step).await;
                let goes = done.is_ok();
                *lock(written) = Some(done);
                goes
            }
        };
        let sent = client.once(operation, announce).await;
        match (recorded.into_inner().unwrap_or_else(PoisonError::into_inner), sent) {
            (Some(Ok(())), sent) => {
                self.change.steps().push(step);
                Ok(sent.map_or_else(Sent::Failed, Sent::Answered))
            }
            (Some(Err(failure)), _) => Err(self.not_journalled(failure)),
            (None, Err(error)) => Ok(Sent::Never(error)),
            (None, Ok(_)) => Err(self.ended(State::Unknown, "defect", "a defect: sent without a word")),
        }
    }

    fn not_journalled(&self, failure: Failure) -> Applied {
        let text = format!("the journal could not be written: {failure}");
        self.open_or_unknown("not-journalled", text, Some(failure))
    }

    /// The end of a pair that cannot continue just now: as open as before if nothing was done, else in doubt.
    pub(crate) fn open_or_unknown(
        &self,
        reason: &'static str,
        text: String,
        halt: Option<Failure>,
    ) -> Applied {
        let begun = self.change.is_begun();
        let outcome = begun.then(|| self.reported(Outcome::of(State::Unknown, reason, text)));
        Applied { outcome, halt }
    }

    /// The end of a pair that is in this state.
    pub(crate) fn ended(&self, state: State, reason: &'static str, text: impl Into<String>) -> Applied {
        self.reported(Outcome::of(state, reason, text)).into()
    }

    /// The end of a pair for an error of a call after which nothing more is known of it than before.
    pub(crate) fn failed(&self, reason: &'static str, error: &ApiError) -> Applied {
        match failing::ends_run(error) {
            // Anyone who stopped the run knows why.
            Some(_) if error.kind == ErrorKind::Stopped => self.interrupted(),
            Some(failure) => self.open_or_unknown(error.reason(), error.to_string(), Some(failure)),
            None if self.change.is_sent() => self.ended(State::Unknown, reason, error.to_string()),
            None => self.ended(State::Failed, reason, error.to_string()),
        }
    }

    /// The end of a pair in a run that is being stopped.
    pub(crate) fn interrupted(&self) -> Applied {
        self.open_or_unknown(
            "interrupted",
            "the run was stopped; `resume` continues from here".to_owned(),
            None,
        )
    }

    /// An outcome with all that the report is to say. A change in doubt stays so, whatever else is said of it:
    /// nothing may make it look as if nothing was sent.
    pub(crate) fn reported(&self, mut outcome: Outcome) -> Outcome {
        if self.change.is_in_doubt() {
            outcome.state = State::Unknown;
        }
        let report = self.change.report(&outcome);
        outcome.after(self.change.attempts()).reported(report)
    }

    /// The end of a change that took, and of which all is as it should be.
    pub(crate) fn done(&self) -> Applied {
        self.reported(Outcome::done(0)).into()
    }
}
