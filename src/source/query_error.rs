//! Why a service has not answered a query, classified once, where it happens.

use super::header::ColumnError;
use super::rows_file::KeepError;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use std::future::Future;
use std::time::Duration;

/// What went wrong; none of the texts has a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The login was refused.
    #[error("{who} refused the login: {text}; check {settings}")]
    Login {
        /// The service.
        who: &'static str,
        /// Its words.
        text: String,
        /// The settings that it depends on.
        settings: &'static str,
    },
    /// The query was refused, or what it names is not there.
    #[error("{who} refused the query: {text}{hint}")]
    Refused {
        /// The service.
        who: &'static str,
        /// Its words.
        text: String,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// The settings do not fit what is there.
    #[error("{0}")]
    Settings(String),
    /// Nothing came.
    #[error("cannot reach {who} ({place}): {text}")]
    Unreachable {
        /// The service.
        who: &'static str,
        /// Where it was looked for.
        place: String,
        /// What became of it.
        text: String,
        /// The time to wait before it is asked again, where it said so.
        after: Option<Duration>,
    },
    /// The query ran for too long.
    #[error("{who} still works on the query after {hours} hours: ask for less")]
    TooSlow {
        /// The service.
        who: &'static str,
        /// How long was waited.
        hours: u64,
    },
    /// An answer that makes no sense, or is too long.
    #[error("the answer of {who} cannot be used: {text}")]
    Answer {
        /// The service.
        who: &'static str,
        /// What is wrong with it.
        text: String,
    },
    /// The columns.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// The rows could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The stop signal.
    #[error("interrupted while the query was asked")]
    Interrupted,
}

/// A service's words on one line, of bounded length.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// How long a query may run, where the service does not end it sooner.
pub(super) const LONGEST_QUERY_HOURS: u64 = 6;

/// Makes tries until one is answered: what cannot be reached is asked again. Each try is bounded by the time that a query
/// may take, and ends with the stop signal.
pub(super) async fn until_answered<T, F>(
    who: &'static str,
    policy: RetryPolicy,
    stop: &Stop,
    mut attempt: impl FnMut() -> F,
) -> Result<T, QueryError>
where
    F: Future<Output = Result<T, QueryError>>,
{
    // The service ends the query first.
    let most = Duration::from_secs(LONGEST_QUERY_HOURS * 3600 + 60);
    let tries = || {
        let once = tokio::time::timeout(most, attempt());
        async {
            let once = stop.race(once).await.ok_or(QueryError::Interrupted);
            let too_slow = QueryError::TooSlow { who, hours: LONGEST_QUERY_HOURS };
            once.and_then(|once| once.unwrap_or(Err(too_slow))).map_err(|error| {
                let (again, after) = match &error {
                    QueryError::Unreachable { after, .. } => (true, *after),
                    _ => (false, None),
                };
                Failed { error, again, after }
            })
        }
    };
    let seen = |failed: Failed<QueryError>, delay: Duration| {
        tracing::warn!("{}; trying again in {:.1} s", failed.error, delay.as_secs_f64());
    };
    retry(policy, stop, seen, tries).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 2, base: Duration::from_secs(4) };

    fn unreachable(after: u64) -> QueryError {
        let after = Some(Duration::from_secs(after));
        QueryError::Unreachable { who: "Test", place: "here".into(), text: "gone".into(), after }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_cannot_be_reached_is_asked_again() {
        let (tries, stop) = (Cell::new(0), Stop::default());
        let begin = tokio::time::Instant::now();
        let asked = until_answered("Test", POLICY, &stop, || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(unreachable(20)) } else { Ok(7) }
        });
        assert_eq!(asked.await.unwrap(), 7);
        assert_eq!((tries.get(), begin.elapsed().as_secs()), (3, 40), "the service says when to ask again");
        let asked = until_answered("Test", POLICY, &stop, || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(QueryError::Answer { who: "Test", text: "odd".into() })
        });
        assert!(matches!(asked.await, Err(QueryError::Answer { .. })));
        assert_eq!(tries.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn every_wait_has_an_end() {
        let stop = Stop::default();
        let never = || async {
            std::future::pending::<()>().await;
            Ok(())
        };
        let asked = until_answered("Test", POLICY, &stop, never).await;
        assert!(matches!(asked, Err(QueryError::TooSlow { .. })));
        stop.set(crate::stop::Cause::Interrupt);
        assert!(matches!(until_answered("Test", POLICY, &stop, never).await, Err(QueryError::Interrupted)));
    }

    #[test]
    fn words_of_a_service_are_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\n  b\tc "), "a b c");
        assert_eq!(one_line(&"\u{e9}".repeat(1000)).chars().count(), 603);
    }
}
