//! `load --follow`: takes messages for as long as nobody stops it.
//!
//! The group says which partitions are this process's; the target's table of offsets says where each goes on, and is the judge where
//! two processes take the same messages. [`worker`]: a partition.

mod worker;

use super::Loader;
use super::error::LoadError;
use super::positions::Partition;
use super::source::Source;
use super::source::kafka::{Feed, Member, Moved, Standing, Topics};
use crate::stop::{Cause, Stop};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use worker::Worker;

/// Batches that are transformed and written at once.
const AT_ONCE: usize = 4;
/// How long a batch in the works may take after the stop.
const LAST_BATCH: Duration = Duration::from_secs(4);
/// Between two questions for the ends of partitions.
const LAG_EVERY: Duration = Duration::from_millis(400);
/// Between two questions whether the target is there.
const TARGET_EVERY: Duration = Duration::from_secs(2);
/// How long it is waited for that.
const TARGET_WAIT: Duration = Duration::from_secs(5);
/// Partitions of a topic, for the numbers of their files. (Kafka has no bound; clusters have some 100,000 in all.)
const MOST_PARTITIONS: u64 = 1_000_000;

/// What the partitions of a process have in common.
struct Shared {
    loader: Loader,
    cluster: String,
    member: Member,
    feed: Feed,
    /// Set when no other batch is begun.
    ending: Stop,
    /// Set when batches in the works are not waited for any more.
    work: Stop,
    standing: Arc<Standing>,
    places: Semaphore,
    /// The partitions that were there when following began.
    known: HashSet<Partition>,
}

impl Shared {
    fn topics(&self) -> Result<&Topics, LoadError> {
        self.loader.topics()
    }
}

impl Loader {
    fn topics(&self) -> Result<&Topics, LoadError> {
        match &*self.fetch.source {
            Source::Kafka(topics) => Ok(topics),
            _ => Err(LoadError::Settings("only topics of kafka are followed".to_owned())),
        }
    }

    /// Follows the topics until the stop.
    pub(super) async fn follow(&self) -> Result<(), LoadError> {
        let stop = self.fetch.stop.clone();
        let (topics, work) = (self.topics()?, Stop::default());
        let service = topics.service()?;
        let known = topics.look(&stop).await?.into_iter().map(|found| found.of).collect();
        let cluster = topics.cluster(&stop).await?;
        let (faults, mut fault) = mpsc::unbounded_channel();
        let feed = topics.feed(service, faults, &work)?;
        let (member, moved) = topics.join(service)?;
        let standing = Arc::clone(&service.standing);
        standing.source(true);
        standing.target(true);
        let shared = Arc::new(Shared {
            loader: self.clone(),
            cluster,
            member,
            feed,
            ending: Stop::default(),
            work: work.clone(),
            standing,
            places: Semaphore::new(AT_ONCE),
            known,
        });
        let mut looks = JoinSet::new();
        looks.spawn(look_at_lag(Arc::clone(&shared)));
        looks.spawn(look_at_target(Arc::clone(&shared)));
        let mut workers = JoinSet::new();
        let ended = tokio::select! {
            () = stop.wait() => Ok(()),
            ended = take_turns(&shared, moved, &mut workers) => ended,
            Some(error) = fault.recv() => Err(error),
            Some(ended) = looks.join_next() => ended.unwrap_or_else(|error| Err(defect(&error))),
        };
        looks.shutdown().await;
        wind_up(shared, workers).await;
        ended
    }
}

fn defect(error: &tokio::task::JoinError) -> LoadError {
    LoadError::Refused(format!("a defect: {error}"))
}

/// Begins with partitions that the group gives, and ends with those that it takes, until something is wrong.
async fn take_turns(
    shared: &Arc<Shared>,
    mut moved: mpsc::UnboundedReceiver<Moved>,
    workers: &mut JoinSet<Result<(), LoadError>>,
) -> Result<(), LoadError> {
    // The partitions that are this process's, and what is set when they are so no more.
    let mut held: HashMap<Partition, Stop> = HashMap::new();
    // A partition that comes back waits until what was begun with it is over.
    let mut turns: HashMap<Partition, Arc<Mutex<()>>> = HashMap::new();
    let of = |(topic, number): (String, i32)| Partition {
        cluster: shared.cluster.clone(),
        topic,
        partition: i64::from(number),
    };
    loop {
        tokio::select! {
            moves = moved.recv() => match moves {
                Some(Moved::Given(list)) => {
                    tracing::info!("the group gives {}", names(&list));
                    for of in list.into_iter().map(of) {
                        let over = Stop::default();
                        let turn = Arc::clone(turns.entry(of.clone()).or_default());
                        held.insert(of.clone(), over.clone());
                        let worker = Worker::new(Arc::clone(shared), of, over)?;
                        workers.spawn(async move {
                            let _turn = turn.lock().await;
                            worker.run().await
                        });
                    }
                }
                Some(Moved::Taken(list)) => {
                    if !list.is_empty() {
                        tracing::info!("the group takes {}", names(&list));
                    }
                    for of in list.into_iter().map(of) {
                        if let Some(over) = held.remove(&of) {
                            over.set(Cause::Run);
                        }
                    }
                }
                Some(Moved::Failed(error)) => return Err(error),
                None => return Err(LoadError::Refused("a defect: the group is not heard of any more".to_owned())),
            },
            Some(ended) = workers.join_next() => ended.unwrap_or_else(|error| Err(defect(&error)))?,
        }
    }
}

fn names(list: &[(String, i32)]) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<String> =
        list.iter().take(SHOWN).map(|(topic, number)| format!("{topic}/{number}")).collect();
    match list.len().saturating_sub(SHOWN) {
        0 if names.is_empty() => return "no partition".to_owned(),
        0 => {}
        more => names.push(format!("{more} more")),
    }
    names.join(", ")
}

/// Lets batches in the works come to their end for a while; then commits what the target has, and leaves the group.
async fn wind_up(shared: Arc<Shared>, mut workers: JoinSet<Result<(), LoadError>>) {
    shared.ending.set(Cause::Run);
    let all_ended = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_BATCH, all_ended).await.is_err() {
        tracing::warn!("a batch has not ended within {} s of the stop; it is left", LAST_BATCH.as_secs());
        shared.work.set(Cause::Run);
        let soon = async { while workers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), soon).await;
    }
    shared.work.set(Cause::Run);
    workers.shutdown().await;
    let last = shared.standing.places();
    // Nobody else has it by now.
    if let Some(shared) = Arc::into_inner(shared) {
        shared.member.leave(last).await;
    }
}

/// Keeps the lag fresh, and says whether brokers answer.
async fn look_at_lag(shared: Arc<Shared>) -> Result<(), LoadError> {
    loop {
        match shared.topics()?.look_at_ends(&shared.standing).await {
            Ok(()) => {
                if shared.standing.source(true) {
                    tracing::warn!("brokers answer again");
                }
            }
            Err(error @ LoadError::Login(_)) => return Err(error),
            Err(error) => {
                if shared.standing.source(false) {
                    tracing::warn!("{error}; going on as soon as brokers answer");
                }
            }
        }
        tokio::time::sleep(LAG_EVERY).await;
    }
}

/// Says whether the target answers, also where there is nothing to write.
async fn look_at_target(shared: Arc<Shared>) -> Result<(), LoadError> {
    loop {
        tokio::time::sleep(TARGET_EVERY).await;
        let asked = tokio::time::timeout(TARGET_WAIT, shared.loader.store.identity(&shared.work)).await;
        let why = match asked {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the target has not answered within {} s", TARGET_WAIT.as_secs())),
        };
        shared.target(why.as_deref());
    }
}

impl Shared {
    /// The target has answered, or not for this reason: said once.
    fn target(&self, why: Option<&str>) {
        if !self.standing.target(why.is_none()) {
            return;
        }
        match why {
            None => tracing::warn!("the target answers again"),
            Some(why) => tracing::warn!("{why}; going on as soon as the target answers"),
        }
    }
}
