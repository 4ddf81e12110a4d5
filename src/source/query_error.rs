//! Why a service has not answered a query, classified once, where it happens.

use super::header::ColumnError;
use super::rows_file::KeepError;
use crate::net::redact::Secrets;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use std::future::Future;
use std::time::Duration;

/// What went wrong. Whatever a service says may quote what it was sent: [`until_answered`] leaves secrets out.
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

impl QueryError {
    /// The same without these secrets.
    fn without(mut self, secrets: &Secrets) -> Self {
        match &mut self {
            Self::Login { text, .. }
            | Self::Refused { text, .. }
            | Self::Settings(text)
            | Self::Unreachable { text, .. }
            | Self::Answer { text, .. } => *text = secrets.clean(std::mem::take(text)),
            Self::TooSlow { .. } | Self::Columns(_) | Self::Keep(_) | Self::Interrupted => {}
        }
        self
    }
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
/// may take, and ends with the stop signal. None of the texts of an error has one of the secrets in it.
pub(super) async fn until_answered<T, F>(
    who: &'static str,
    policy: RetryPolicy,
    secrets: &Secrets,
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
                let error = error.without(secrets);
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

    const NO_SECRETS: &Secrets = &Secrets::none();
    const POLICY: RetryPolicy = RetryPolicy { max_retries: 2, base: Duration::from_secs(4) };

    fn unreachable(after: u64) -> QueryError {
        let after = Some(Duration::from_secs(after));
        QueryError::Unreachable { who: "Test", place: "here".into(), text: "gone".into(), after }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_cannot_be_reached_is_asked_again() {
        let (tries, stop) = (Cell::new(0), Stop::default());
        let begin = tokio::time::Instant::now();
        let asked = until_answered("Test", POLICY, NO_SECRETS, &stop, || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(unreachable(20)) } else { Ok(7) }
        });
        assert_eq!(asked.await.unwrap(), 7);
        assert_eq!((tries.get(), begin.elapsed().as_secs()), (3, 40), "the service says when to ask again");
        let asked = until_answered("Test", POLICY, NO_SECRETS, &stop, || async {
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
        let asked = until_answered("Test", POLICY, NO_SECRETS, &stop, never).await;
        assert!(matches!(asked, Err(QueryError::TooSlow { .. })));
        stop.set(crate::stop::Cause::Interrupt);
        assert!(matches!(
            until_answered("Test", POLICY, NO_SECRETS, &stop, never).await,
            Err(QueryError::Interrupted)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn no_error_quotes_a_secret() {
        let (secrets, stop) = (Secrets::of([&"s3cr3t-of-ana".into()]), Stop::default());
        let text = || "no `s3cr3t-of-ana`".to_owned();
        let (who, settings, hint) = ("Test", "X", "");
        let errors = [
            QueryError::Login { who, text: text(), settings },
            QueryError::Refused { who, text: text(), hint },
            QueryError::Settings(text()),
            QueryError::Unreachable { who, place: String::new(), text: text(), after: None },
            QueryError::Answer { who, text: text() },
        ];
        for error in errors {
            let mut error = Some(error);
            let policy = RetryPolicy { max_retries: 0, ..POLICY };
            let asked = until_answered("Test", policy, &secrets, &stop, || {
                let error = error.take();
                async { Err::<(), _>(error.unwrap()) }
            });
            let said = asked.await.unwrap_err().to_string();
            assert!(said.contains("no `[secret]`"), "{said}");
        }
    }

    #[test]
    fn words_of_a_service_are_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\n  b\tc "), "a b c");
        assert_eq!(one_line(&"\u{e9}".repeat(1000)).chars().count(), 603);
    }
}
