//! A partition that is followed, as long as it is this process's.

use super::super::drain::{Batch, Drain};
use super::super::error::LoadError;
use super::super::offsets::Offsets;
use super::super::positions::{Advanced, Partition, Position, Taken};
use super::super::slices::Slice;
use super::super::source::kafka::{CHUNK, End, Fed, Message, Messages, RawBatch, Reading};
use super::super::source::{Chunk, variables};
use super::super::stage;
use super::{MOST_PARTITIONS, Shared};
use crate::stop::Stop;
use jaq_json::Val;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The first wait after a failure that may pass; doubled with each, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// How long the target may take for a batch before its connection is given up.
const ADVANCE: Duration = Duration::from_secs(300);

/// Why a partition is looked at from the beginning.
enum Went {
    /// It is somebody else's now, or nobody's.
    Over,
    /// Somebody else has come to another offset, or the next one is not there.
    Elsewhere,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    of: Partition,
    /// The number of its files.
    row: u64,
    /// Set when it is this process's no more.
    over: Stop,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, of: Partition, over: Stop) -> Result<Self, LoadError> {
        let place = shared.topics()?.place_of(&of.topic).unwrap_or_default() as u64;
        let row = place * MOST_PARTITIONS + u64::try_from(of.partition).unwrap_or_default() + 1;
        Ok(Self { shared, of, row, over })
    }

    /// Takes its messages until it is over.
    pub(super) async fn run(&self) -> Result<(), LoadError> {
        let ended = self.until_over().await;
        self.shared.feed.leave(&self.of);
        if self.over.is_set() {
            self.shared.standing.without(&self.of);
        }
        match ended {
            Err(LoadError::Interrupted) => Ok(()),
            ended => ended,
        }
    }

    async fn until_over(&self) -> Result<(), LoadError> {
        let mut wait = FIRST;
        loop {
            if self.is_over() {
                return Ok(());
            }
            let begun = Instant::now();
            match self.once().await {
                Ok(Went::Over) => return Ok(()),
                Err(LoadError::Unreachable(why)) if wait == FIRST => {
                    tracing::warn!("{}: {why}; trying again", self.of.name());
                }
                Ok(Went::Elsewhere) | Err(LoadError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
            // Nor is a partition asked for again and again that two processes take turns with.
            wait = if begun.elapsed() > LONGEST { FIRST } else { (wait * 2).min(LONGEST) };
            let mut pause = wait.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            loop {
                tokio::select! {
                    () = self.over.wait() => return Ok(()),
                    () = self.shared.ending.wait() => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                // One asks a target that is gone, and not each partition.
                if self.shared.standing.target_answers() {
                    break;
                }
                pause = FIRST;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.is_set() || self.shared.ending.is_set()
    }

    /// Goes on from where the target is, until there is a reason to look at that again.
    async fn once(&self) -> Result<Went, LoadError> {
        let Self { shared, of, row, over } = self;
        let Shared { loader, work, .. } = &**shared;
        let is_new = !shared.known.contains(of);
        let found = over.race(shared.topics()?.found(of, is_new, work)).await;
        let Some(found) = found else { return Ok(Went::Over) };
        let found = found?;
        let claimed = loader.store.claim(&loader.terms, of, found.from, work).await;
        let mut position = claimed.inspect_err(|error| self.target_failed(error))?;
        shared.target(None);
        stage::forget_from(&loader.run, *row, position.next)?;
        shared.standing.at(of, position.next);
        shared.topics()?.judge(&found, position.next)?;
        let offsets = Offsets {
            cluster: of.cluster.clone(),
            topic: of.topic.clone(),
            partition: of.partition,
            from: position.next,
            to: i64::MAX,
        };
        let slice = Slice { offsets: Some(offsets), ..Slice::whole() };
        let values = slice.values(&loader.params);
        let values = Arc::new(variables(&loader.fetch.variables, &slice, &values)?);
        let mut drain = Drain {
            loader,
            topics: shared.topics()?,
            of,
            slice: &slice,
            row: *row,
            taken: Taken::default(),
            first: None,
            stop: work,
        };
        if position.next < found.low {
            let lost = u64::try_from(found.low - position.next).unwrap_or_default();
            let nothing = Batch::begin(loader, *row, &slice, of)?;
            let end = End { next: found.low, last: None, lost };
            match self.advance(&mut drain, nothing, &position, end).await? {
                Some(now) => position = now,
                None => return Ok(Went::Elsewhere),
            }
        }
        let (to, mut fed) = mpsc::unbounded_channel();
        let last =
            position.last.clone().filter(|last| last.offset >= found.low && last.offset < position.next);
        shared.feed.read(Reading { of: of.clone(), next: position.next, last, to });
        loop {
            let next = tokio::select! {
                biased;
                () = over.wait() => return Ok(Went::Over),
                () = shared.ending.wait() => return Ok(Went::Over),
                next = fed.recv() => next,
            };
            match next {
                Some(Fed::Batch(batch)) => match self.take(&mut drain, batch, &position, &values).await? {
                    Some(now) => position = now,
                    None => return Ok(Went::Elsewhere),
                },
                Some(Fed::Nowhere) => return Ok(Went::Elsewhere),
                Some(Fed::Failed(error)) => return Err(error),
                // Whoever reads has ended, and says why elsewhere.
                None => std::future::pending().await,
            }
        }
    }

    /// Transforms and writes a batch. None where somebody else has come to another offset.
    async fn take(
        &self,
        drain: &mut Drain<'_>,
        raw: RawBatch,
        position: &Position,
        values: &Arc<Vec<Val>>,
    ) -> Result<Option<Position>, LoadError> {
        let Self { shared, of, row, .. } = self;
        let loader = &shared.loader;
        if raw.from != position.next {
            return Ok(None);
        }
        let _place = shared.places.acquire().await.map_err(|_| LoadError::Interrupted)?;
        let begun = Instant::now();
        let (messages, rejected) = (raw.list.len() as u64, drain.taken.rejected);
        let mut batch = Batch::begin(loader, *row, drain.slice, of)?;
        let mut left = raw.list.into_iter();
        loop {
            let chunk: Vec<_> = left.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let read = tokio::task::spawn_blocking(move || chunk.iter().map(Message::of).collect());
            let list = read.await.map_err(|error| super::defect(&error))?;
            let chunk = Chunk::Messages(Messages { list, end: None });
            batch.take(
                loader,
                drain.slice,
                loader.fetch.transform(chunk, Arc::clone(values), false).await?,
            )?;
        }
        let now = self.advance(drain, batch, position, raw.end).await?;
        if now.is_some() {
            shared.standing.dealt(messages, drain.taken.rejected - rejected, begun.elapsed());
        }
        Ok(now)
    }

    /// Writes a batch. None where somebody else has come to another offset.
    async fn advance(
        &self,
        drain: &mut Drain<'_>,
        batch: Batch,
        position: &Position,
        end: End,
    ) -> Result<Option<Position>, LoadError> {
        let advanced = tokio::time::timeout(ADVANCE, drain.advance(batch, position, end)).await;
        let advanced = advanced.unwrap_or_else(|_| {
            let text = format!("{}: no answer within {} s", drain.loader.store.place(), ADVANCE.as_secs());
            Err(LoadError::Unreachable(text))
        });
        match advanced.inspect_err(|error| self.target_failed(error))? {
            Advanced::Elsewhere(_) => Ok(None),
            Advanced::Now(now) => {
                self.shared.standing.at(&self.of, now.next);
                if !self.over.is_set() {
                    self.shared.member.commit(&self.of, now.next);
                }
                Ok(Some(now))
            }
        }
    }

    fn target_failed(&self, error: &LoadError) {
        if let LoadError::Unreachable(why) = error {
            self.shared.target(Some(why));
        }
    }
}
