//! A client of a cluster, and what its failures mean.

use super::Found;
use super::access::{Access, MAX_MESSAGE};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::words;
use crate::jobs::load_records::positions::Partition;
use crate::stop::Stop;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long one question may wait before it is looked whether the run is to end.
const ONE_WAIT: Duration = Duration::from_secs(2);

/// What a group does with partitions, by topic and number.
#[derive(Debug)]
pub(in crate::jobs::load_records) enum Moved {
    /// They are this process's.
    Given(Vec<(String, i32)>),
    /// They are so no more.
    Taken(Vec<(String, i32)>),
    /// The group cannot be had.
    Failed(LoadError),
}

/// A client.
pub(super) struct Client {
    pub(super) consumer: BaseConsumer<Watch>,
    /// Where brokers are, for messages.
    pub(super) place: String,
    pub(super) timeout: Duration,
}

/// Hears of what goes wrong beside what was asked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    heard: Mutex<Heard>,
    /// Who is told what a group gives and takes, if the client is a member of one.
    moves: Option<UnboundedSender<Moved>>,
}

impl Watch {
    /// That of a member of a group.
    pub(super) fn telling(moves: UnboundedSender<Moved>) -> Self {
        Self { moves: Some(moves), ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct Heard {
    /// What is wrong now, and may be well later.
    last: Option<String>,
    /// What stays wrong.
    fatal: Option<Fatal>,
}

#[derive(Debug, Clone)]
enum Fatal {
    Login(String),
    TooLong,
}

impl ClientContext for Watch {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "kafka: {text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
        let code = error.rdkafka_error_code();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if code.is_some_and(is_login) {
            heard.fatal = Some(Fatal::Login(reason.to_owned()));
        } else if reason.contains("receive.message.max.bytes") {
            heard.fatal = Some(Fatal::TooLong);
        }
        if code != Some(RDKafkaErrorCode::AllBrokersDown) || heard.last.is_none() {
            heard.last = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Watch {
    /// Nothing is read by a member: its assignment stays empty, whatever the group gives it.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_given = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let named = list.elements().iter().map(|of| (of.topic().to_owned(), of.partition())).collect();
        let (moved, answered) = if is_given {
            (Moved::Given(named), consumer.assign(&TopicPartitionList::new()))
        } else {
            (Moved::Taken(named), consumer.unassign())
        };
        if let Err(error) = answered {
            tracing::warn!("the group was not answered: {error}");
        }
        if let Some(moves) = &self.moves {
            // Whoever follows may be gone.
            let _ = moves.send(moved);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if let Err(error) = result {
            let names: Vec<String> =
                offsets.elements().iter().map(|of| format!("{}/{}", of.topic(), of.partition())).collect();
            tracing::warn!(
                "the group's offset of {} was not committed: {error}; tools show an old lag, and the load is not affected",
                names.join(", ")
            );
        }
    }
}

fn is_login(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed, SaslAuthenticationFailed,
        TopicAuthorizationFailed,
    };
    matches!(
        code,
        Authentication
            | SaslAuthenticationFailed
            | TopicAuthorizationFailed
            | GroupAuthorizationFailed
            | ClusterAuthorizationFailed
    )
}

/// Whether what failed may succeed later by itself.
pub(super) fn may_pass(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerNotAvailable, BrokerTransportFailure, CoordinatorLoadInProgress,
        CoordinatorNotAvailable, FencedLeaderEpoch, InvalidReplicationFactor, KafkaStorageError,
        LeaderNotAvailable, NetworkException, NotCoordinator, NotEnoughReplicas, NotLeaderForPartition,
        OffsetNotAvailable, OperationTimedOut, ReplicaNotAvailable, RequestTimedOut, Resolve,
        UnknownLeaderEpoch, WaitingForCoordinator,
    };
    matches!(
        code,
        AllBrokersDown
            | BrokerNotAvailable
            | BrokerTransportFailure
            | CoordinatorLoadInProgress
            | CoordinatorNotAvailable
            | FencedLeaderEpoch
            | Resolve
            | InvalidReplicationFactor
            | KafkaStorageError
            | LeaderNotAvailable
            | NetworkException
            | NotCoordinator
            | NotEnoughReplicas
            | NotLeaderForPartition
            | OffsetNotAvailable
            | OperationTimedOut
            | ReplicaNotAvailable
            | RequestTimedOut
            | UnknownLeaderEpoch
            | WaitingForCoordinator
    )
}

impl Client {
    /// Connects to nothing yet.
    pub(super) fn new(access: &Access) -> Result<Self, LoadError> {
        Self::with(access, &access.config(), Watch::default())
    }

    /// The same with another configuration.
    pub(super) fn with(access: &Access, config: &ClientConfig, watch: Watch) -> Result<Self, LoadError> {
        let place = format!("Kafka at {}", access.brokers);
        let consumer = BaseConsumer::from_config_and_context(config, watch);
        let consumer = consumer.map_err(|error| match error {
            // Without the value, which may be a secret.
            KafkaError::ClientConfig(_, what, name, _) => {
                LoadError::Settings(format!("{place}: {name}: {what}"))
            }
            error => LoadError::Settings(format!("{place}: {error}")),
        })?;
        Ok(Self { consumer, place, timeout: access.timeout })
    }

    /// What stays wrong, if something does.
    pub(super) fn fault(&self) -> Option<LoadError> {
        let context = self.consumer.context();
        let heard = context.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match heard.fatal.clone()? {
            Fatal::Login(why) => LoadError::Login(format!("{}: {}", self.place, words(&why))),
            Fatal::TooLong => LoadError::Refused(format!(
                "{}: an answer is longer than a message of {} MiB would be, and is not read",
                self.place,
                MAX_MESSAGE >> 20
            )),
        })
    }

    /// What is said when there was no answer.
    pub(super) fn unanswered(&self) -> LoadError {
        let context = self.consumer.context();
        let heard = context.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.last.as_deref().map(|last| format!("; the last error: {}", words(last)));
        LoadError::Unreachable(format!(
            "{}: no answer within {}{}",
            self.place,
            humantime::format_duration(self.timeout),
            last.unwrap_or_default()
        ))
    }

    /// What a failure means.
    pub(super) fn failed(&self, error: &KafkaError) -> LoadError {
        let text = format!("{}: {}", self.place, words(&error.to_string()));
        match error.rdkafka_error_code() {
            Some(code) if is_login(code) => LoadError::Login(text),
            Some(code) if may_pass(code) => LoadError::Unreachable(text),
            _ => LoadError::Refused(text),
        }
    }

    /// Asks until there is an answer, or the time is over.
    fn ask<T>(
        &self,
        stop: &Stop,
        question: impl Fn(&BaseConsumer<Watch>, Duration) -> KafkaResult<T>,
    ) -> Result<T, LoadError> {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let left = self.timeout.saturating_sub(begun.elapsed());
            let error = match question(&self.consumer, left.min(ONE_WAIT).max(Duration::from_millis(100))) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Hears of what the question itself does not say, such as a wrong password.
            while self.consumer.poll(Duration::ZERO).is_some() {}
            if let Some(fault) = self.fault() {
                return Err(fault);
            }
            if stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            if !error.rdkafka_error_code().is_some_and(may_pass) {
                return Err(self.failed(&error));
            }
            if begun.elapsed() >= self.timeout {
                return Err(self.unanswered());
            }
            // What is refused at once is not asked again at once.
            std::thread::sleep(Duration::from_millis(100).saturating_sub(asked.elapsed()));
        }
    }

    /// All topics, with the numbers of their partitions.
    pub(super) fn topics(&self, stop: &Stop) -> Result<BTreeMap<String, Vec<i32>>, LoadError> {
        let metadata = self.ask(stop, |consumer, wait| consumer.fetch_metadata(None, wait))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let topics = topics.map(|topic| {
            let mut partitions: Vec<i32> = topic.partitions().iter().map(MetadataPartition::id).collect();
            partitions.sort_unstable();
            (topic.name().to_owned(), partitions)
        });
        Ok(topics.collect())
    }

    /// The cluster's ID; empty where its brokers are so old that they have none.
    pub(super) fn cluster(&self, stop: &Stop) -> Result<String, LoadError> {
        self.topics(stop)?;
        Ok(self.consumer.client().fetch_cluster_id(ONE_WAIT).unwrap_or_default())
    }

    /// The first offset of a partition, and that of the next message to come.
    pub(super) fn watermarks(&self, of: &Partition, stop: &Stop) -> Result<(i64, i64), LoadError> {
        let number = i32::try_from(of.partition).unwrap_or(-1);
        self.ask(stop, |consumer, wait| consumer.fetch_watermarks(&of.topic, number, wait))
    }

    /// The offsets of the next messages to come, where they are known.
    pub(super) fn ends(&self, all: &[Partition], wait: Duration) -> KafkaResult<Vec<(Partition, i64)>> {
        let all: Vec<Found> =
            all.iter().map(|of| Found { of: of.clone(), low: 0, high: 0, from: 0 }).collect();
        let list = self.consumer.offsets_for_times(list(&all, Offset::End), wait)?;
        Ok(offsets(&all, &list, |_| None).into_iter().collect())
    }

    /// Whether anybody answers.
    pub(super) fn cluster_answers(&self, wait: Duration) -> KafkaResult<()> {
        self.consumer.fetch_metadata(None, wait).map(drop)
    }

    /// Hears of what was not asked; whether there may be more.
    pub(super) fn poll_once(&self) -> bool {
        self.consumer.poll(Duration::ZERO).is_some()
    }

    /// Where the group has come to, in partitions where it has.
    pub(super) fn committed(&self, all: &[Found], stop: &Stop) -> Result<HashMap<Partition, i64>, LoadError> {
        let list = list(all, Offset::Invalid);
        let list = self.ask(stop, |consumer, wait| consumer.committed_offsets(list.clone(), wait))?;
        Ok(offsets(all, &list, |_| None))
    }

    /// The first messages from a time on; the end where there are none.
    pub(super) fn at_time(
        &self,
        all: &[Found],
        millis: i64,
        stop: &Stop,
    ) -> Result<HashMap<Partition, i64>, LoadError> {
        let list = list(all, Offset::Offset(millis));
        let list = self.ask(stop, |consumer, wait| consumer.offsets_for_times(list.clone(), wait))?;
        Ok(offsets(all, &list, |found| Some(found.high)))
    }
}

fn list(all: &[Found], offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for found in all {
        if let Ok(number) = i32::try_from(found.of.partition) {
            // Any offset fits here.
            let _ = list.add_partition_offset(&found.of.topic, number, offset);
        }
    }
    list
}

/// The offsets of a list; of those that have none what else is said.
fn offsets(
    all: &[Found],
    list: &TopicPartitionList,
    otherwise: impl Fn(&Found) -> Option<i64>,
) -> HashMap<Partition, i64> {
    let offset = |found: &Found| {
        let number = i32::try_from(found.of.partition).ok()?;
        match list.find_partition(&found.of.topic, number)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => otherwise(found),
        }
    };
    all.iter().filter_map(|found| Some((found.of.clone(), offset(found)?))).collect()
}

/// Does what blocks on a thread of its own, which nobody waits for when the process ends. What is kept for it is given up there too:
/// a client says farewell to its brokers, who may be gone.
pub(super) async fn apart<K: Send + 'static, T: Send + 'static>(
    kept: K,
    work: impl FnOnce(&K) -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let (to, done) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("kafka".to_owned()).spawn(move || {
        let result = work(&kept);
        // Whoever has asked may be gone.
        let _ = to.send(result);
        drop(kept);
    });
    thread.map_err(LoadError::Disk)?;
    done.await.map_err(|_| LoadError::Refused("a defect in the thread that reads Kafka".to_owned()))?
}
