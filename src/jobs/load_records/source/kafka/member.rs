//! A member of a consumer group: hears which partitions the group gives it, and commits their offsets. It reads nothing, so what the
//! group decides is answered at once, whatever the target does meanwhile.

use super::client::{Client, Moved, Watch, apart, may_pass};
use super::service::Service;
use super::{COMMIT, Topics, list_of, not_committed};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::positions::Partition;
use crate::stop::{Cause, Stop};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long to wait before it is looked whether it is over.
const POLL: Duration = Duration::from_millis(100);
/// How long leaving the group may take. Whoever has not left is missed after the session's time.
const LEAVING: Duration = Duration::from_secs(2);

/// A member of a group.
pub(in crate::jobs::load_records) struct Member {
    client: Arc<Client>,
    over: Stop,
    left: oneshot::Receiver<()>,
}

impl Topics {
    /// Joins the group. Waits for nothing.
    pub(in crate::jobs::load_records) fn join(
        &self,
        service: &Service,
    ) -> Result<(Member, mpsc::UnboundedReceiver<Moved>), LoadError> {
        let session = service.session_timeout.as_millis();
        let mut config = self.access.config();
        for (name, value) in [
            ("session.timeout.ms", session.to_string()),
            ("heartbeat.interval.ms", (session / 3).min(10_000).to_string()),
            // Shares partitions evenly also where there are several topics with few of them.
            ("partition.assignment.strategy", "roundrobin,range".to_owned()),
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
            ("reconnect.backoff.max.ms", "10000".to_owned()),
        ] {
            config.set(name, value);
        }
        let (moves, moved) = mpsc::unbounded_channel();
        let client = Arc::new(Client::with(&self.access, &config, Watch::telling(moves.clone()))?);
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        client.consumer.subscribe(&topics).map_err(|error| client.failed(&error))?;
        let over = Stop::default();
        let (leaves, left) = oneshot::channel();
        let (of_thread, until) = (Arc::clone(&client), over.clone());
        let thread = std::thread::Builder::new().name("kafka".to_owned()).spawn(move || {
            belong(&of_thread, &moves, &until);
            drop(of_thread);
            // Whoever waits may be gone.
            let _ = leaves.send(());
        });
        thread.map_err(LoadError::Disk)?;
        Ok((Member { client, over, left }, moved))
    }
}

/// Answers the group until it is over, and leaves it. Blocks.
fn belong(client: &Client, moves: &mpsc::UnboundedSender<Moved>, over: &Stop) {
    while !over.is_set() {
        let error = match client.consumer.poll(POLL) {
            Some(Err(error)) => Some(error),
            _ => None,
        };
        let failed = client.fault().or_else(|| {
            let error = error?;
            match error.rdkafka_error_code() {
                Some(code) if may_pass(code) => None,
                // One that was made anew, or is still to come.
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    tracing::warn!("{}: {error}; going on with the other topics", client.place);
                    None
                }
                _ => Some(client.failed(&error)),
            }
        });
        if let Some(failed) = failed {
            let _ = moves.send(Moved::Failed(failed));
            break;
        }
    }
    client.consumer.unsubscribe();
    let begun = Instant::now();
    // The farewell is sent once the partitions are given back.
    while begun.elapsed() < LEAVING / 4 {
        let _ = client.consumer.poll(POLL / 4);
    }
}

impl Member {
    /// Commits an offset: nobody waits for it.
    pub(in crate::jobs::load_records) fn commit(&self, of: &Partition, next: i64) {
        if let Some(list) = list_of(of, next)
            && let Err(error) = self.client.consumer.commit(&list, CommitMode::Async)
        {
            not_committed(of, &error.to_string());
        }
    }

    /// Commits the last offsets, and leaves the group.
    pub(in crate::jobs::load_records) async fn leave(self, last: Vec<(Partition, i64)>) {
        let commit = apart(Arc::clone(&self.client), move |client| {
            let mut list = TopicPartitionList::new();
            for (of, next) in &last {
                let Ok(number) = i32::try_from(of.partition) else { continue };
                // Any offset fits here.
                let _ = list.add_partition_offset(&of.topic, number, rdkafka::Offset::Offset(*next));
            }
            if list.count() > 0
                && let Err(error) = client.consumer.commit(&list, CommitMode::Sync)
            {
                tracing::warn!(
                    "the group's offsets were not committed at the end: {error}; the load is not affected"
                );
            }
            Ok(())
        });
        let _ = tokio::time::timeout(COMMIT / 4, commit).await;
        self.over.set(Cause::Run);
        let _ = tokio::time::timeout(LEAVING, self.left).await;
    }
}
