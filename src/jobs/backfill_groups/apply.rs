//! Writes one issue's creator group: an update of one field.

use super::FieldChange;
use super::field;
use crate::devrev::client::Client;
use crate::devrev::objects::Field;
use crate::engine::job::{Applied, Applier, Steps};
use crate::jobs::read_at::ReadAt;
use crate::jobs::update_fields::apply::{Manner, ObjectWriter};
use crate::jobs::update_fields::change::ObjectChange;
use crate::journal::record::{Outcome, State};

/// How outcomes speak of the creator group.
const MANNER: Manner = Manner { other: "other-issue", field: Some("the creator group") };

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
    writer: ObjectWriter,
    field: Field,
}

impl GroupWriter {
    /// Writes this field through this client.
    pub(crate) fn new(client: Client, field: Field) -> Self {
        let writer = ObjectWriter::new(client, field::object(), vec![field.clone()], false);
        Self { writer: writer.speaking(MANNER), field }
    }

    fn update(&self, write: &Write) -> ObjectChange {
        let field = field::change(write.from.as_deref(), write.to.as_deref());
        let fields = [(self.field.name.to_string(), field)].into_iter().collect();
        ObjectChange::of(write.issue.clone(), fields, write.read_at)
    }

    async fn write(&self, write: Write) -> Applied {
        let applied = self.writer.write(self.update(&write)).await;
        match &applied.outcome {
            // What someone else has set since it was read is left as it is, whatever it is.
            Some(outcome) if outcome.state == State::Already => {
                let now = write.to.as_deref().unwrap_or("none");
                let text = format!("since it was read, the creator group became {now}");
                Outcome::of(State::Skipped, "changed-meanwhile", text).into()
            }
            _ => applied,
        }
    }
}

impl<C: Into<Write> + Send + 'static> Applier<C> for GroupWriter {
    async fn apply(&self, change: C, _steps: Steps) -> Applied {
        self.write(change.into()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devrev::any_object::{Members, ObjectGet};
    use crate::devrev::client::ClientSettings;
    use crate::jobs::backfill_groups::membership::same_group;
    use crate::jobs::update_fields::lookup::MAX_AGE;
    use crate::jobs::update_fields::value;
    use crate::net::breaker::BreakerSettings;
    use crate::net::retry::RetryPolicy;
    use crate::sandbox::{Data, Options, Sandbox};
    use crate::stop::Stop;
    use secrecy::SecretString;
    use std::time::{Duration, SystemTime};

    async fn writer() -> (Sandbox, GroupWriter, Client) {
        let sandbox = Sandbox::start(Options::new(Data::demo())).await.unwrap();
        let settings = ClientSettings {
            base_url: sandbox.base_url().parse().unwrap(),
            token: SecretString::from("t"),
            pace: crate::net::rate::PaceSettings::default(),
            retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
            breaker: BreakerSettings { threshold: 9, cooldown: Duration::from_millis(1), probes: 1 },
        };
        let client = Client::new(&settings, Stop::default()).unwrap();
        let writer = GroupWriter::new(client.clone(), field::named("tnt__creator_group"));
        (sandbox, writer, client)
    }

    fn change(from: Option<&str>, to: &str) -> Write {
        Write {
            issue: "ISS-1".to_owned(),
            from: from.map(str::to_owned),
            to: Some(to.to_owned()).filter(|to| !to.is_empty()),
            read_at: ReadAt::now(),
        }
    }

    async fn read(client: &Client) -> Members {
        client.call(&ObjectGet::new(field::object(), "ISS-1")).await.unwrap().0
    }

    fn held(writer: &GroupWriter, issue: &Members) -> Option<String> {
        field::group(&value::of(&writer.field, issue))
    }

    #[tokio::test]
    async fn done_is_what_the_answer_shows() {
        let (_sandbox, writer, client) = writer().await;
        let applied = writer.write(change(None, "GROUP-1")).await;
        assert_eq!(applied.outcome, Some(Outcome::done(1)));
        let issue = read(&client).await;
        let judge = |to| writer.writer.judge(&writer.update(&change(None, to)), &issue, 1);
        assert_eq!(judge("GROUP-1").state, State::Done);
        let other = judge("GROUP-2");
        let text = other.detail.as_deref().unwrap();
        assert!(text.starts_with("DevRev answered, but the creator group is don:"), "{text}");
        assert!(text.ends_with("group/1, not GROUP-2"), "{text}");
        assert_eq!((other.state, other.reason.as_deref()), (State::Failed, Some("not-taken")));
    }

    #[tokio::test]
    async fn a_group_can_be_taken_away() {
        let (_sandbox, writer, client) = writer().await;
        writer.write(change(None, "GROUP-1")).await;
        let applied = writer.write(change(Some("GROUP-1"), "")).await;
        assert_eq!(applied.outcome, Some(Outcome::done(1)));
        assert_eq!(held(&writer, &read(&client).await), None);
    }

    #[tokio::test]
    async fn an_old_value_is_read_again_before_the_write() {
        let (_sandbox, writer, client) = writer().await;
        writer.write(change(None, "GROUP-1")).await;
        let mut old = change(None, "GROUP-2");
        old.read_at.1 = SystemTime::now() - MAX_AGE - Duration::from_secs(1);
        let outcome = writer.write(old).await.outcome.unwrap();
        assert_eq!((outcome.state, outcome.reason.as_deref()), (State::Skipped, Some("changed-meanwhile")));
        let now = held(&writer, &read(&client).await).unwrap();
        assert!(same_group(&now, "GROUP-1"), "it is as the other one left it");
        let text = format!("since it was read, the creator group became {now}");
        assert_eq!(outcome.detail.as_deref(), Some(&*text));
    }

    #[tokio::test]
    async fn what_someone_else_has_set_as_wanted_was_changed_meanwhile_too() {
        let (_sandbox, writer, _) = writer().await;
        writer.write(change(None, "GROUP-1")).await;
        let mut old = change(None, "GROUP-1");
        old.read_at.1 = SystemTime::now() - MAX_AGE - Duration::from_secs(1);
        let outcome = writer.write(old).await.outcome.unwrap();
        assert_eq!((outcome.state, outcome.reason.as_deref()), (State::Skipped, Some("changed-meanwhile")));
    }
}
