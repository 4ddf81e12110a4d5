//! What a failed call means: for the row, and for the whole run.

use crate::engine::job::Applied;
use crate::exit::{Exit, Failure};
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, Effect, ErrorKind};

/// The failure that ends the run, if this error is of that kind: no other row would fare better.
pub(crate) fn ends_run(error: &ApiError) -> Option<Failure> {
    let (exit, what) = match &error.kind {
        ErrorKind::Unauthorized => {
            (Exit::Credentials, "DevRev refuses the token: put a valid one into DEVREV_API_TOKEN")
        }
        ErrorKind::BreakerOpen => (Exit::Stopped, "DevRev is not answering: resume once it is back"),
        ErrorKind::Throttled { .. } => {
            (Exit::Stopped, "the rate limit is used up for longer than this tool waits: resume later")
        }
        ErrorKind::Stopped => (Exit::Interrupted, "the run is being stopped"),
        _ => return None,
    };
    Some(Failure::new(exit, format!("{what} ({error})")).because(error.clone()))
}

/// The failure of a read without which no row can be judged. `what` says what could not be done.
///
/// A refusal that another try would meet again ([`Exit::Credentials`], [`Exit::Unexpected`]) does not invite `resume`, as
/// [`Exit::Stopped`] does.
pub(crate) fn needed(error: &ApiError, what: &str) -> Failure {
    ends_run(error).unwrap_or_else(|| {
        let (exit, next) = match error.kind {
            ErrorKind::Forbidden => (Exit::Credentials, "; use a token of a user who may read it"),
            _ if error.transient() => (Exit::Stopped, ""),
            _ => (Exit::Unexpected, ""),
        };
        Failure::new(exit, format!("{what}: {error}{next}")).because(error.clone())
    })
}

/// A row whose reading failed: the row failed, nothing was changed.
pub(crate) fn unread(error: &ApiError) -> Outcome {
    Outcome::of(State::Failed, error.reason(), error.to_string())
}

/// A write that failed: whether the row is open, failed or unknown, and whether the run ends.
pub(crate) fn unwritten(error: &ApiError) -> Applied {
    let ends_run = ends_run(error);
    let state = match error.effect {
        Effect::Unknown => Some(State::Unknown),
        Effect::None if ends_run.is_some() => None,
        Effect::None => Some(State::Failed),
    };
    // A stop is no failure of its own: whoever set it knows why.
    let halt = ends_run.filter(|_| error.kind != ErrorKind::Stopped);
    let outcome =
        state.map(|state| Outcome::of(state, error.reason(), error.to_string()).after(error.attempts));
    Applied { outcome, halt }
}
