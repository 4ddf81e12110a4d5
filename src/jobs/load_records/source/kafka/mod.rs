//! Topics of Kafka as a source.
//!
//! A run that drains them joins no group: each reader assigns itself a partition at an offset that the target's ledger names, and
//! the group's offsets are committed afterwards, for tools that show the lag. One that follows them ([`service`]) takes the
//! partitions that the group gives it ([`member`]), and reads them all with one client ([`feed`]), from the same offsets.

mod access;
mod client;
mod feed;
mod member;
mod message;
mod read;
mod service;

pub(in crate::jobs::load_records) use access::Access;
pub(in crate::jobs::load_records) use client::Moved;
pub(in crate::jobs::load_records) use feed::{Fed, Feed, RawBatch, Reading};
pub(in crate::jobs::load_records) use member::Member;
pub(in crate::jobs::load_records) use message::{Message, Payload};
pub(in crate::jobs::load_records) use read::{CHUNK, End, Messages, Wanted};
pub(in crate::jobs::load_records) use service::{Service, Standing};

use super::Chunk;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Beginning;
use crate::jobs::load_records::names::nearest;
use crate::jobs::load_records::offsets::Offsets;
use crate::jobs::load_records::positions::Partition;
use crate::stop::Stop;
use client::{Client, apart};
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc};

/// How long the last commit of a group may take.
const COMMIT: Duration = Duration::from_secs(10);

/// Topics of a cluster.
pub(in crate::jobs::load_records) struct Topics {
    access: Access,
    topics: Vec<String>,
    from: Beginning,
    /// Whether a run goes on where brokers have removed what it wants next.
    skips_gaps: bool,
    /// The client that asks, and commits.
    client: Mutex<Option<Arc<Client>>>,
    /// The cluster that answers.
    cluster: OnceCell<String>,
    /// How they are followed, if they are.
    service: Option<Service>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let client = self.client.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // It says farewell to its brokers, who may be gone: nobody waits for that.
        let thread = std::thread::Builder::new().name("kafka".to_owned());
        if let Err(error) = thread.spawn(move || drop(client)) {
            tracing::debug!("a thread cannot be begun: {error}");
        }
    }
}

/// A partition as its broker has it now.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct Found {
    /// The partition.
    pub of: Partition,
    /// The first offset that is there.
    pub low: i64,
    /// The offset of the next message to come.
    pub high: i64,
    /// Where to begin with it, if nothing is loaded.
    pub from: i64,
}

impl Topics {
    /// Connects to nothing.
    pub(in crate::jobs::load_records) fn new(
        access: Access,
        topics: Vec<String>,
        from: Beginning,
        skips_gaps: bool,
        service: Option<Service>,
    ) -> Self {
        let (client, cluster) = (Mutex::default(), OnceCell::new());
        Self { access, topics, from, skips_gaps, client, cluster, service }
    }

    /// The client, made once.
    fn client(&self) -> Result<Arc<Client>, LoadError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let made = Arc::new(Client::new(&self.access)?);
        *client = Some(Arc::clone(&made));
        Ok(made)
    }

    /// The partitions of all topics now.
    pub(in crate::jobs::load_records) async fn look(&self, stop: &Stop) -> Result<Vec<Found>, LoadError> {
        let client = self.client()?;
        let (topics, from, of_work) = (self.topics.clone(), self.from, stop.clone());
        let looked = apart(client, move |client| look(client, &topics, from, &of_work));
        stop.race(looked).await.ok_or(LoadError::Interrupted)?
    }

    /// A partition now.
    async fn find(&self, of: &Partition, from: Beginning, stop: &Stop) -> Result<Found, LoadError> {
        let (client, of, of_work) = (self.client()?, of.clone(), stop.clone());
        let found = apart(client, move |client| {
            let (low, high) = client.watermarks(&of, &of_work)?;
            let mut found = vec![Found { of, low, high, from: low }];
            begin(client, &mut found, from, &of_work)?;
            found.pop().ok_or(LoadError::Interrupted)
        });
        stop.race(found).await.ok_or(LoadError::Interrupted)?
    }

    /// The cluster that answers.
    pub(in crate::jobs::load_records) async fn cluster(&self, stop: &Stop) -> Result<String, LoadError> {
        let asked = self.cluster.get_or_try_init(|| {
            let of_work = stop.clone();
            async move { apart(self.client()?, move |client| client.cluster(&of_work)).await }
        });
        stop.race(asked).await.ok_or(LoadError::Interrupted)?.cloned()
    }

    /// Sends the messages of a slice, in order.
    pub(in crate::jobs::load_records) async fn fetch(
        &self,
        offsets: &Offsets,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let wanted = Wanted {
            of: Partition::of(offsets),
            next: offsets.from,
            to: offsets.to,
            last: None,
            batch: usize::MAX,
        };
        self.read(wanted, to, stop).await
    }

    /// Sends messages, in order and cut into batches.
    pub(in crate::jobs::load_records) async fn read(
        &self,
        wanted: Wanted,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let client = Client::new(&self.access)?;
        let (skips_gaps, stop) = (self.skips_gaps, stop.clone());
        apart(client, move |client| read::read(client, wanted, skips_gaps, &to, &stop)).await
    }

    /// Refuses to go on where what is next is not there, unless that is meant.
    pub(in crate::jobs::load_records) fn judge(&self, found: &Found, next: i64) -> Result<(), LoadError> {
        if next > found.high {
            return Err(read::made_anew(&found.of, next, found.high));
        }
        if next < found.low { read::gap(&found.of, (next, found.low), self.skips_gaps) } else { Ok(()) }
    }

    /// Commits the group's offset of a partition, if there is a group: nobody waits for it. What fails is said, and does no harm.
    pub(in crate::jobs::load_records) fn commit(&self, of: &Partition, next: i64) {
        if self.access.group.is_some()
            && let Ok(client) = self.client()
            && let Some(list) = list_of(of, next)
        {
            if let Err(error) = client.consumer.commit(&list, CommitMode::Async) {
                not_committed(of, &error.to_string());
            }
            // Hears of what earlier ones have come to.
            let _ = client.consumer.poll(Duration::ZERO);
        }
    }

    /// The same at the end of a slice, waiting for the answer.
    pub(in crate::jobs::load_records) async fn commit_last(&self, of: &Partition, next: i64, stop: &Stop) {
        if self.access.group.is_none() {
            return;
        }
        let Ok(client) = self.client() else { return };
        let of_work = of.clone();
        let commit = apart(client, move |client| {
            let Some(list) = list_of(&of_work, next) else { return Ok(()) };
            if let Err(error) = client.consumer.commit(&list, CommitMode::Sync) {
                not_committed(&of_work, &error.to_string());
            }
            Ok(())
        });
        if stop.race(tokio::time::timeout(COMMIT, commit)).await.is_some_and(|done| done.is_err()) {
            not_committed(of, "no answer");
        }
    }
}

fn not_committed(of: &Partition, why: &str) {
    tracing::warn!(
        "the group's offset of {} was not committed: {why}; tools show an old lag, and the load is not affected",
        of.name()
    );
}

fn list_of(of: &Partition, next: i64) -> Option<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    let number = i32::try_from(of.partition).ok()?;
    list.add_partition_offset(&of.topic, number, Offset::Offset(next)).ok()?;
    Some(list)
}

/// Asks for partitions and their offsets. Blocks.
fn look(client: &Client, topics: &[String], from: Beginning, stop: &Stop) -> Result<Vec<Found>, LoadError> {
    let known = client.topics(stop)?;
    let cluster = client.cluster(stop)?;
    let names: Vec<String> = known.keys().cloned().collect();
    let mut all = Vec::new();
    for topic in topics {
        let Some(partitions) = known.get(topic) else {
            let hint =
                nearest(topic, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(LoadError::Settings(format!(
                "{}: there is no topic `{topic}`, or this user may not see it{hint}",
                client.place
            )));
        };
        for partition in partitions {
            let of = Partition {
                cluster: cluster.clone(),
                topic: topic.clone(),
                partition: i64::from(*partition),
            };
            let (low, high) = client.watermarks(&of, stop)?;
            all.push(Found { of, low, high, from: low });
        }
    }
    begin(client, &mut all, from, stop)?;
    Ok(all)
}

/// Asks where to begin with partitions of which nothing is loaded. Blocks.
fn begin(client: &Client, all: &mut [Found], from: Beginning, stop: &Stop) -> Result<(), LoadError> {
    let begun = match from {
        Beginning::Earliest => HashMap::new(),
        Beginning::Latest => all.iter().map(|found| (found.of.clone(), found.high)).collect(),
        Beginning::Committed => client.committed(all, stop)?,
        Beginning::Time(millis) => client.at_time(all, millis, stop)?,
    };
    for found in all {
        // What is asked for may be gone, or be still to come.
        if let Some(from) = begun.get(&found.of) {
            found.from = (*from).clamp(found.low, found.high);
        }
    }
    Ok(())
}
