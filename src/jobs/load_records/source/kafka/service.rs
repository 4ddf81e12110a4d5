//! How topics are followed, and how that stands.

use super::client::{Client, apart};
use super::{Found, Topics};
use crate::figures::Following;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Beginning;
use crate::jobs::load_records::positions::Partition;
use crate::stop::Stop;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the ends of partitions are waited for: what is shown of them has to be fresh.
const ENDS: Duration = Duration::from_secs(2);

/// How topics are followed.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Service {
    /// Messages of a batch at the most.
    pub batch: usize,
    /// How long after its first message a batch is written at the latest.
    pub batch_timeout: Duration,
    /// How long the group waits for a process that says nothing.
    pub session_timeout: Duration,
    /// How it stands.
    pub standing: Arc<Standing>,
}

impl Service {
    pub(in crate::jobs::load_records) fn new(
        batch: usize,
        batch_timeout: Duration,
        session_timeout: Duration,
        prefix: Option<String>,
    ) -> Self {
        let now = Now { shown: Following { prefix, ..Following::default() }, ..Now::default() };
        Self { batch, batch_timeout, session_timeout, standing: Arc::new(Standing(Mutex::new(now))) }
    }
}

/// How following stands: told by those who do it, and shown in the metrics.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Standing(Mutex<Now>);

#[derive(Debug, Default)]
struct Now {
    shown: Following,
    /// Of each partition that this process has, the next offset in the target, and the end.
    places: HashMap<Partition, (i64, i64)>,
}

impl Standing {
    fn with<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Messages came.
    pub(super) fn consumed(&self, messages: u64) {
        self.with(|now| now.shown.consumed += messages);
    }

    /// A batch of so many messages is dealt with; so many records of it were rejected.
    pub(in crate::jobs::load_records) fn dealt(&self, messages: u64, rejected: u64, took: Duration) {
        self.with(|Now { shown, .. }| {
            shown.processed += messages.saturating_sub(rejected);
            shown.failed += rejected;
            shown.batch_size = messages;
            shown.batches.add(took);
            shown.batch_seconds += took.as_secs_f64();
        });
    }

    /// The target has come to this offset of a partition.
    pub(in crate::jobs::load_records) fn at(&self, of: &Partition, next: i64) {
        self.with(|now| {
            let (at, end) = now.places.entry(of.clone()).or_insert((next, next));
            (*at, *end) = (next, next.max(*end));
        });
    }

    /// A partition is not this process's any more.
    pub(in crate::jobs::load_records) fn without(&self, of: &Partition) {
        let _ = self.with(|now| now.places.remove(of));
    }

    /// The target has answered, or not. Returns whether that is news.
    pub(in crate::jobs::load_records) fn target(&self, answers: bool) -> bool {
        self.with(|now| std::mem::replace(&mut now.shown.target_connected, answers) != answers)
    }

    /// Whether it has answered last.
    pub(in crate::jobs::load_records) fn target_answers(&self) -> bool {
        self.with(|now| now.shown.target_connected)
    }

    /// The same of the brokers.
    pub(in crate::jobs::load_records) fn source(&self, answers: bool) -> bool {
        self.with(|now| std::mem::replace(&mut now.shown.source_connected, answers) != answers)
    }

    /// The partitions that this process has, with the next offset in the target.
    pub(in crate::jobs::load_records) fn places(&self) -> Vec<(Partition, i64)> {
        self.with(|now| now.places.iter().map(|(of, (at, _))| (of.clone(), *at)).collect())
    }

    fn ends(&self, ends: Vec<(Partition, i64)>) {
        self.with(|now| {
            for (of, end) in ends {
                if let Some((_, known)) = now.places.get_mut(&of) {
                    *known = end;
                }
            }
        });
    }

    fn show(&self) -> Following {
        self.with(|Now { shown, places }| {
            let lag = places.iter().map(|(of, (at, end))| {
                ((of.topic.clone(), of.partition), u64::try_from(end.saturating_sub(*at)).unwrap_or_default())
            });
            Following { lag: lag.collect(), ..shown.clone() }
        })
    }
}

impl Topics {
    /// How they are followed; an error where they are not.
    pub(in crate::jobs::load_records) fn service(&self) -> Result<&Service, LoadError> {
        self.service.as_ref().ok_or_else(|| LoadError::Settings("these topics are not followed".to_owned()))
    }

    /// The place of a topic among those of the job.
    pub(in crate::jobs::load_records) fn place_of(&self, topic: &str) -> Option<usize> {
        self.topics.iter().position(|name| name == topic)
    }

    /// How following them stands.
    pub(in crate::jobs::load_records) fn following(&self) -> Option<Following> {
        self.service.as_ref().map(|service| service.standing.show())
    }

    /// A partition now. One that was not there when following began is read from its beginning: nobody could have meant to leave its
    /// first messages out.
    pub(in crate::jobs::load_records) async fn found(
        &self,
        of: &Partition,
        is_new: bool,
        stop: &Stop,
    ) -> Result<Found, LoadError> {
        let from = match self.from {
            Beginning::Latest if is_new => Beginning::Earliest,
            from => from,
        };
        self.find(of, from, stop).await
    }

    /// Asks where partitions end, for the lag.
    pub(in crate::jobs::load_records) async fn look_at_ends(
        &self,
        standing: &Standing,
    ) -> Result<(), LoadError> {
        let of: Vec<Partition> = standing.places().into_iter().map(|(of, _)| of).collect();
        let ends = apart(self.client()?, move |client: &Arc<Client>| {
            let asked = if of.is_empty() {
                client.cluster_answers(ENDS).map(|()| Vec::new())
            } else {
                client.ends(&of, ENDS)
            };
            // Hears of what the question itself does not say.
            while client.poll_once() {}
            asked.map_err(|error| client.fault().unwrap_or_else(|| client.failed(&error)))
        });
        standing.ends(ends.await?);
        Ok(())
    }
}
