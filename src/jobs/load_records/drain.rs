//! Loads the messages of a partition, batch by batch: each is fetched and transformed into the run's folder, and then written in
//! one transaction with the offset after it.

use super::error::LoadError;
use super::fetch::Made;
use super::offsets::Offsets;
use super::positions::{Advanced, Partition, Position, Step, Taken};
use super::rules::Judged;
use super::slices::Slice;
use super::source::Source;
use super::source::kafka::{End, Topics, Wanted};
use super::stage::{self, StageWriter};
use super::{Counts, Loader, done};
use crate::journal::record::Outcome;
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Chunks that may wait for the transform.
const AHEAD: usize = 2;

/// What was kept of what was read.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    All,
    /// Somebody else has come to another offset.
    Elsewhere,
}

/// A slice on its way.
pub(super) struct Drain<'a> {
    pub loader: &'a Loader,
    pub topics: &'a Topics,
    pub of: &'a Partition,
    pub slice: &'a Slice,
    pub row: u64,
    /// What this run has taken of the slice.
    pub taken: Taken,
    /// What the first record was rejected for.
    pub first: Option<String>,
    /// What ends a batch in the works.
    pub stop: &'a Stop,
}

impl Loader {
    /// Loads the messages of a slice.
    pub(super) async fn drain(
        &self,
        slice: &Slice,
        offsets: &Offsets,
        row: u64,
    ) -> Result<Outcome, LoadError> {
        let Source::Kafka(topics) = &*self.fetch.source else {
            return Err(LoadError::Settings("a slice of messages needs a source of kafka".to_owned()));
        };
        let (of, stop) = (Partition::of(offsets), &self.fetch.stop);
        let cluster = topics.cluster(stop).await?;
        if cluster != of.cluster {
            return Err(LoadError::Changed(format!(
                "the run began with cluster {}, and {cluster} is another one: look at the address of the brokers",
                of.cluster
            )));
        }
        let mut position = self.store.claim(&self.terms, &of, offsets.from, stop).await?;
        stage::forget_from(&self.run, row, position.next)?;
        // What an earlier process of the run has taken.
        let taken = if position.run == self.terms.run { position.taken } else { Taken::default() };
        let mut drain = Drain { loader: self, topics, of: &of, slice, row, taken, first: None, stop };
        while position.next < offsets.to {
            position = drain.until_elsewhere(position, offsets.to).await?;
        }
        topics.commit_last(&of, position.next, stop).await;
        Ok(done(Counts::of(drain.taken), drain.first.as_deref()))
    }
}

impl Drain<'_> {
    /// Loads batch after batch up to an offset, or until somebody else has come to another one. Returns how far the load is.
    async fn until_elsewhere(&mut self, mut position: Position, to: i64) -> Result<Position, LoadError> {
        let (fetch, terms) = (&self.loader.fetch, &self.loader.terms);
        let values = self.slice.values(&self.loader.params);
        let variables = Arc::new(super::source::variables(&fetch.variables, self.slice, &values)?);
        let (sender, mut chunks) = mpsc::channel(AHEAD);
        let wanted = Wanted {
            of: self.of.clone(),
            next: position.next,
            to,
            last: position.last.clone(),
            batch: terms.batch_size,
        };
        let read = self.topics.read(wanted, sender, &fetch.stop);
        let keep = async {
            let received = stream::poll_fn(|context| chunks.poll_recv(context));
            let made = received.map(|chunk| fetch.transform(chunk, Arc::clone(&variables), false));
            let mut made = std::pin::pin!(made.buffered(fetch.threads));
            let mut batch = Batch::begin(self.loader, self.row, self.slice, self.of)?;
            while let Some(made) = made.next().await {
                let mut made = made?;
                let end = made.end.take();
                batch.take(self.loader, self.slice, made)?;
                let Some(end) = end else { continue };
                match self.advance(batch, &position, end).await? {
                    Advanced::Now(now) => position = now,
                    Advanced::Elsewhere(other) => return Ok((other, Kept::Elsewhere)),
                }
                self.topics.commit(self.of, position.next);
                batch = Batch::begin(self.loader, self.row, self.slice, self.of)?;
            }
            Ok((position, Kept::All))
        };
        let both = async {
            let (mut read, mut keep) = (std::pin::pin!(read), std::pin::pin!(keep));
            tokio::select! {
                kept = &mut keep => {
                    let (position, kept): (Position, Kept) = kept?;
                    // That all came that was sent does not say that the source is at its end: it may have failed.
                    if kept == Kept::All {
                        read.await?;
                    }
                    Ok(position)
                }
                done = &mut read => {
                    // What was sent before the source failed is whole batches and a part of one, which is left.
                    let kept = keep.await;
                    done?;
                    kept.map(|(position, _)| position)
                }
            }
        };
        fetch.stop.race(Box::pin(both)).await.ok_or(LoadError::Interrupted)?
    }

    /// Writes a batch into the target.
    pub(super) async fn advance(
        &mut self,
        mut batch: Batch,
        position: &Position,
        end: End,
    ) -> Result<Advanced, LoadError> {
        let Loader { store, terms, .. } = self.loader;
        let step = Step {
            of: self.of.clone(),
            from: position.next,
            next: end.next,
            last: end.last,
            tombstones: batch.tombstones,
            lost: end.lost,
        };
        let Some(stage) = batch.stage.take() else { return Err(no_stage()) };
        let mut stage = stage.finish()?;
        if terms.strict && stage.rejected.count() > 0 {
            let first = stage.rejected.first().unwrap_or_default().to_owned();
            stage.rejected.back_to(&batch.before)?;
            return Err(LoadError::Rejected(format!("--strict: a record was rejected: {first}")));
        }
        let advanced = match store.advance(terms, &step, &mut stage, self.stop).await {
            Ok(advanced) => advanced,
            // The target may have all of it, and only its answer was lost: `resume` finds out.
            Err(error @ (LoadError::Unreachable(_) | LoadError::Interrupted)) => return Err(error),
            Err(error) => {
                stage.rejected.back_to(&batch.before)?;
                return Err(error);
            }
        };
        match &advanced {
            Advanced::Now(now) => {
                let before = if position.run == terms.run { position.taken } else { Taken::default() };
                self.taken.add(now.taken - before);
                if self.first.is_none() {
                    self.first = stage.rejected.first().map(str::to_owned);
                }
            }
            // Whoever has taken these messages has rejected them too.
            Advanced::Elsewhere(other) => {
                stage.rejected.back_to(&batch.before)?;
                tracing::info!(
                    "{}: another process has come to offset {}; going on from there",
                    self.of.name(),
                    other.next
                );
            }
        }
        stage.remove();
        Ok(advanced)
    }
}

fn no_stage() -> LoadError {
    LoadError::Refused("a defect: a batch was written twice".to_owned())
}

/// Messages that are written together. One that is dropped takes back what was rejected of it: its messages are taken again.
pub(super) struct Batch {
    stage: Option<StageWriter>,
    /// What was rejected of those before.
    before: stage::RejectsMark,
    tombstones: u64,
}

impl Batch {
    pub(super) fn begin(loader: &Loader, row: u64, slice: &Slice, of: &Partition) -> Result<Self, LoadError> {
        let mut stage = StageWriter::go_on(&loader.run, row, slice.name(), of)?;
        let before = stage.mark()?;
        Ok(Self { stage: Some(stage), before, tombstones: 0 })
    }

    pub(super) fn take(&mut self, loader: &Loader, slice: &Slice, made: Made) -> Result<(), LoadError> {
        let Some(stage) = &mut self.stage else { return Err(no_stage()) };
        let mut rules = loader.fetch.rules(slice);
        self.tombstones += made.tombstones;
        let mut records = made.records.into_iter();
        for (offset, became) in made.messages {
            stage.of_message(offset);
            for record in records.by_ref().take(became) {
                match record {
                    Err((text, broken)) => stage.reject(&text, &broken)?,
                    Ok(record) => match rules.judge(&record) {
                        // No rule looks at another record, and there are no dates.
                        Judged::Good | Judged::Outside => stage.push(&record)?,
                        Judged::Broken(broken) => stage.reject(&record.text(), &broken)?,
                    },
                }
            }
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(stage) = &mut self.stage
            && let Err(error) = stage.back_to(&self.before)
        {
            tracing::warn!("cannot take back what was rejected: {error}; it is taken back by resume");
        }
    }
}
