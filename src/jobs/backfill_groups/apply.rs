//! Writes one issue's creator group, and takes DevRev's own answer for the proof.

use super::FieldChange;
use super::lookup::{MAX_AGE, same_value};
use crate::devrev::client::Client;
use crate::devrev::ids::{Issue, Names, Ref};
use crate::devrev::operation::Found;
use crate::devrev::works::{GroupField, Work, WorkAnswer, WorksGet, WorksUpdate};
use crate::engine::job::{Applied, Applier, Steps};
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, Effect, ErrorKind};

/// How often an issue is read again because its write had to wait for longer than the value is good.
const MOST_READS: u32 = 5;

/// A group that is to be written, or taken away.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// The issue's ID as DevRev gave it.
    pub issue: String,
    /// The group that it held when it was read; `None` for none.
    pub from: Option<String>,
    /// The group that it is to hold; `None` for none.
    pub to: Option<String>,
    /// When `from` was read.
    pub read_at: ReadAt,
}

impl From<FieldChange> for Write {
    fn from(change: FieldChange) -> Self {
        let FieldChange { issue, before, after, read_at, .. } = change;
        Self { issue, from: before, to: Some(after), read_at }
    }
}

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub(crate) struct GroupWriter {
    client: Client,
    field: GroupField,
}

impl GroupWriter {
    /// Writes this field through this client.
    pub(crate) fn new(client: Client, field: GroupField) -> Self {
        Self { client, field }
    }

    async fn read(&self, change: &Write) -> Result<WorkAnswer, ApiError> {
        self.client.call(&WorksGet { id: change.issue.clone() }).await
    }

    /// The state of a row whose issue DevRev shows so, after `attempts` writes.
    fn judge(&self, change: &Write, work: &Work, attempts: u32) -> Outcome {
        match self.field.read(work) {
            // The answer proves something only if it is about the issue that was written.
            _ if !same_issue(&work.id, &change.issue) => {
                let text = format!("DevRev answered with {}, not {}", work.id, change.issue);
                Outcome::of(State::Unknown, "other-issue", text).after(attempts)
            }
            now if same_value(now.as_deref(), change.to.as_deref()) => Outcome::done(attempts),
            now => {
                let now = now.unwrap_or("none".into());
                let to = change.to.as_deref().unwrap_or("none");
                let text = format!("DevRev answered, but the creator group is {now}, not {to}");
                Outcome::of(State::Failed, "not-taken", text).after(attempts)
            }
        }
    }
}

impl<C: Into<Write> + Send + 'static> Applier<C> for GroupWriter {
    async fn apply(&self, change: C, _steps: Steps) -> Applied {
        self.write(change.into()).await
    }
}

impl GroupWriter {
    /// Writes the group, unless the issue changed since it was read.
    async fn write(&self, mut change: Write) -> Applied {
        let update = WorksUpdate::group_of_issue(change.issue.as_str(), &self.field, change.to.as_deref());
        let (mut sent, mut reads) = (0, 0);
        loop {
            if change.read_at.age() > MAX_AGE {
                reads += 1;
                let read_at = ReadAt::now();
                match self.read(&change).await {
                    // This attempt wrote nothing, whatever became of the read.
                    Err(error) => {
                        return failing::unwritten(&ApiError {
                            effect: Effect::None,
                            attempts: sent,
                            ..error
                        });
                    }
                    Ok(answer) => {
                        let now = self.field.read(&answer.work);
                        if sent > 0 && same_value(now.as_deref(), change.to.as_deref()) {
                            return Outcome::done(sent).into();
                        }
                        if !same_value(now.as_deref(), change.from.as_deref()) {
                            let now = now.unwrap_or("none".into());
                            let text = format!("since it was read, the creator group became {now}");
                            return Outcome::of(State::Skipped, "changed-meanwhile", text).after(sent).into();
                        }
                    }
                }
                change.read_at = read_at;
            }
            let change = &change;
            let look = || async {
                let found = self.read(change).await?;
                let unchanged = same_value(self.field.read(&found.work).as_deref(), change.from.as_deref())
                    && !same_value(change.from.as_deref(), change.to.as_deref());
                Ok(if unchanged { Found::NotDone } else { Found::Settled(found) })
            };
            match self.client.write(&update, || change.read_at.age() <= MAX_AGE, look).await {
                Ok(written) => {
                    return self.judge(change, &written.answer.work, sent + written.attempts).into();
                }
                Err(error) if error.kind == ErrorKind::Stale && reads < MOST_READS => sent += error.attempts,
                Err(error) => {
                    return failing::unwritten(&ApiError { attempts: sent + error.attempts, ..error });
                }
            }
        }
    }
}

/// Whether two of DevRev's own IDs, asked for with one token, name one issue.
fn same_issue(one: &str, other: &str) -> bool {
    let number = |id| Ref::parse(id, Issue::TYPES).ok().and_then(Ref::number);
    one == other || number(one).is_some_and(|one| number(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::client::ClientSettings;
    use crate::jobs::backfill_groups::membership::same_group;
    use crate::net::breaker::BreakerSettings;
    use crate::net::retry::RetryPolicy;
    use crate::sandbox::{Data, Options, Sandbox};
    use crate::stop::Stop;
    use secrecy::SecretString;
    use std::time::{Duration, SystemTime};

    async fn writer() -> (Sandbox, GroupWriter) {
        let sandbox = Sandbox::start(Options::new(Data::demo())).await.unwrap();
        let settings = ClientSettings {
            base_url: sandbox.base_url().parse().unwrap(),
            token: SecretString::from("t"),
            pace: crate::net::rate::PaceSettings::default(),
            retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
            breaker: BreakerSettings { threshold: 9, cooldown: Duration::from_millis(1), probes: 1 },
        };
        let client = Client::new(&settings, Stop::default()).unwrap();
        (sandbox, GroupWriter::new(client, GroupField::named("tnt__creator_group")))
    }

    fn change(from: Option<&str>, to: &str) -> Write {
        Write {
            issue: "ISS-1".to_owned(),
            from: from.map(str::to_owned),
            to: Some(to.to_owned()).filter(|to| !to.is_empty()),
            read_at: ReadAt::now(),
        }
    }

    #[tokio::test]
    async fn done_is_what_the_answer_shows() {
        let (_sandbox, writer) = writer().await;
        let applied = writer.write(change(None, "GROUP-1")).await;
        assert_eq!(applied.outcome, Some(Outcome::done(1)));
        let work = writer.read(&change(None, "")).await.unwrap().work;
        assert_eq!(writer.judge(&change(None, "GROUP-1"), &work, 1).state, State::Done);
        let other = writer.judge(&change(None, "GROUP-2"), &work, 1);
        assert_eq!((other.state, other.reason.as_deref()), (State::Failed, Some("not-taken")));
    }

    #[tokio::test]
    async fn a_group_can_be_taken_away() {
        let (_sandbox, writer) = writer().await;
        writer.write(change(None, "GROUP-1")).await;
        let applied = writer.write(change(Some("GROUP-1"), "")).await;
        assert_eq!(applied.outcome, Some(Outcome::done(1)));
        assert_eq!(writer.field.read(&writer.read(&change(None, "")).await.unwrap().work), None);
    }

    #[tokio::test]
    async fn an_old_value_is_read_again_before_the_write() {
        let (_sandbox, writer) = writer().await;
        writer.write(change(None, "GROUP-1")).await;
        let mut old = change(None, "GROUP-2");
        old.read_at.1 = SystemTime::now() - MAX_AGE - Duration::from_secs(1);
        let outcome = writer.write(old).await.outcome.unwrap();
        assert_eq!((outcome.state, outcome.reason.as_deref()), (State::Skipped, Some("changed-meanwhile")));
        let work = writer.read(&change(None, "")).await.unwrap().work;
        assert!(same_group(&writer.field.read(&work).unwrap(), "GROUP-1"), "it is as the other one left it");
    }
}
