//! Why a database, or another service that is asked, has not done what it was asked for: classified once, where it happens.

use crate::net::redact::Secrets;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::stop::Stop;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// What went wrong. Whatever a service says may quote what it was sent: [`until_answered`] leaves secrets out, and so does
/// each database where it is asked otherwise.
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

    /// The same without these secrets.
    pub(crate) fn without(mut self, secrets: &Secrets) -> Self {
        let clean = |text: &mut String| *text = secrets.clean(std::mem::take(text));
        match &mut self {
            Self::Login { text, .. }
            | Self::Settings(text)
            | Self::Unreachable { text, .. }
            | Self::Answer { text, .. } => clean(text),
            Self::Refused(refusal) => {
                let Refusal { text, constraint, column, at, who: _, hint: _, code: _, position: _ } =
                    &mut **refusal;
                clean(text);
                [constraint, column, at].into_iter().flatten().for_each(clean);
            }
            Self::TooSlow { .. } | Self::Interrupted => {}
        }
        self
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
    /// The same without these secrets.
    fn without(self, secrets: &Secrets) -> Self;
}

impl Asks for DatabaseError {
    fn database(&self) -> Option<&DatabaseError> {
        Some(self)
    }

    fn without(self, secrets: &Secrets) -> Self {
        Self::without(self, secrets)
    }
}

/// Makes tries until one is answered: what cannot be reached is asked again. Each try is bounded by the time that a query
/// may take, and ends with the stop signal. None of the texts of an error has one of the secrets in it.
pub(crate) async fn until_answered<T, E, F>(
    who: &'static str,
    policy: RetryPolicy,
    secrets: &Secrets,
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
                let error = error.without(secrets);
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

    const NO_SECRETS: &Secrets = &Secrets::none();
    const POLICY: RetryPolicy = RetryPolicy { max_retries: 2, base: Duration::from_secs(4) };

    fn unreachable(after: u64) -> DatabaseError {
        let after = Some(Duration::from_secs(after));
        DatabaseError::Unreachable { who: "Test", place: "here".into(), text: "gone".into(), after }
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
        let asked = until_answered("Test", POLICY, NO_SECRETS, &stop, never).await;
        assert!(matches!(asked, Err(DatabaseError::TooSlow { .. })));
        stop.set(crate::stop::Cause::Interrupt);
        assert!(matches!(
            until_answered("Test", POLICY, NO_SECRETS, &stop, never).await,
            Err(DatabaseError::Interrupted)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn no_error_quotes_a_secret() {
        let (secrets, stop) = (Secrets::of([&"s3cr3t-of-ana".into()]), Stop::default());
        let text = || "no `s3cr3t-of-ana`".to_owned();
        let who = "Test";
        let errors = [
            DatabaseError::Login { who, text: text(), settings: "X".to_owned() },
            DatabaseError::refused(who, text(), ""),
            DatabaseError::Settings(text()),
            DatabaseError::Unreachable { who, place: String::new(), text: text(), after: None },
            DatabaseError::Answer { who, text: text() },
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
    fn no_part_of_a_refusal_quotes_a_secret() {
        let text = || "no `s3cr3t-of-ana`".to_owned();
        let (text, part) = (text(), Some(text()));
        let refusal =
            Refusal { text, constraint: part.clone(), column: part.clone(), at: part, ..Refusal::default() };
        let error = DatabaseError::Refused(Box::new(refusal));
        let shown = format!("{:?}", error.without(&Secrets::of([&"s3cr3t-of-ana".into()])));
        assert_eq!(shown.matches("no `[secret]`").count(), 4, "{shown}");
    }

    #[test]
    fn words_of_a_service_are_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\n  b\tc "), "a b c");
        assert_eq!(one_line(&"\u{e9}".repeat(1000)).chars().count(), 603);
    }
}
