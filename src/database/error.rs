//! Why a database, or another service that is asked, has not done what it was asked for: classified once, where it happens.

use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// What went wrong; none of the texts has a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The login was refused.
    #[error("{who} refused the login: {text}; check {settings}")]
    Login {
        /// The service.
        who: &'static str,
        /// Its words.
        text: String,
        /// The settings that it depends on.
        settings: String,
    },
    /// A query or another statement was refused, or what it names is not there.
    #[error(transparent)]
    Refused(Box<Refusal>),
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
    /// It ran for too long.
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
    /// The stop signal.
    #[error("interrupted while the query was asked")]
    Interrupted,
}

/// A statement that was refused: what a database says of it.
#[derive(Debug, Default, thiserror::Error)]
#[error("{who} refused the query: {text}{hint}")]
pub struct Refusal {
    /// The service.
    pub who: &'static str,
    /// Its words on one line, with its code.
    pub text: String,
    /// What to do, where that is known.
    pub hint: &'static str,
    /// Its code: an SQLSTATE, or a number. Empty where it has none.
    pub code: String,
    /// Where in the statement: the number of a character, from 1.
    pub position: Option<usize>,
    /// The constraint that does not hold.
    pub constraint: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The line of the data, or the function, that it was at.
    pub at: Option<String>,
}

impl DatabaseError {
    /// A statement that was refused, of which no more is known than these words.
    pub(crate) fn refused(who: &'static str, text: String, hint: &'static str) -> Self {
        Self::Refused(Box::new(Refusal { who, text, hint, ..Refusal::default() }))
    }
}

/// A service's words on one line, of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// How long a query may run, where the service does not end it sooner.
pub(crate) const LONGEST_QUERY_HOURS: u64 = 6;

/// An error of whoever asks, which may be one of the service's.
pub(crate) trait Asks: From<DatabaseError> + Display {
    /// The service's.
    fn database(&self) -> Option<&DatabaseError>;
}

impl Asks for DatabaseError {
    fn database(&self) -> Option<&DatabaseError> {
        Some(self)
    }
}

/// Makes tries until one is answered: what cannot be reached is asked again. Each try is bounded by the time that a query
/// may take, and ends with the stop signal.
pub(crate) async fn until_answered<T, E, F>(
    who: &'static str,
    policy: RetryPolicy,
    stop: &Stop,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    E: Asks,
    F: Future<Output = Result<T, E>>,
{
    // The service ends the query first.
    let most = Duration::from_secs(LONGEST_QUERY_HOURS * 3600 + 60);
    let tries = || {
        let once = tokio::time::timeout(most, attempt());
        async {
            let once = stop.race(once).await.ok_or_else(|| E::from(DatabaseError::Interrupted));
            let too_slow = DatabaseError::TooSlow { who, hours: LONGEST_QUERY_HOURS };
            once.and_then(|once| once.unwrap_or_else(|_| Err(too_slow.into()))).map_err(|error| {
                let (again, after) = match error.database() {
                    Some(DatabaseError::Unreachable { after, .. }) => (true, *after),
                    _ => (false, None),
                };
                Failed { error, again, after }
            })
        }
    };
    let seen = |failed: Failed<E>, delay: Duration| {
        tracing::warn!("{}; trying again in {:.1} s", failed.error, delay.as_secs_f64());
    };
    retry(policy, stop, seen, tries).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 2, base: Duration::from_secs(4) };

    fn unreachable(after: u64) -> DatabaseError {
        let after = Some(Duration::from_secs(after));
        DatabaseError::Unreachable { who: "Test", place: "here".into(), text: "gone".into(), after }
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
            Err::<(), _>(DatabaseError::Answer { who: "Test", text: "odd".into() })
        });
        assert!(matches!(asked.await, Err(DatabaseError::Answer { .. })));
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
        assert!(matches!(asked, Err(DatabaseError::TooSlow { .. })));
        stop.set(crate::stop::Cause::Interrupt);
        assert!(matches!(
            until_answered("Test", POLICY, &stop, never).await,
            Err(DatabaseError::Interrupted)
        ));
    }

    #[test]
    fn words_of_a_service_are_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\n  b\tc "), "a b c");
        assert_eq!(one_line(&"\u{e9}".repeat(1000)).chars().count(), 603);
    }
}
