//! The second stage: changes are made, so many at once, batch after batch without a pause between them.

use super::batch::{End, Entry, Finished, Prepared, Whole};
use super::config::{Config, Mode};
use super::event::{Event, Settled, Tally};
use super::halt::Halt;
use super::job::{Applied, Applier, Steps, Verdict};
use super::limits::Watch;
use crate::exit::{Exit, Failure};
use crate::journal::record::{Outcome, Rows, State};
use crate::journal::writer::Journal;
use crate::stop::Stop;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tracing::Instrument;

/// An outcome waits no longer for the rest of its batch to be recorded: under a low limit a batch takes minutes, and
/// anyone who watches the journal, or continues after a crash, is to see what was done.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// A batch under way.
#[derive(Debug)]
struct Open<C> {
    number: u64,
    places: Vec<Place<C>>,
    left: usize,
    tally: Tally,
    /// Whether an attempted change of it has ended.
    attempted: bool,
    since: Instant,
}

/// A task of a batch under way.
#[derive(Debug)]
struct Place<C> {
    rows: Rows,
    key: String,
    in_doubt: bool,
    end: Option<End<C>>,
}

impl<C> Open<C> {
    /// The tasks that have ended since this was last asked, counted.
    fn take_ended(&mut self) -> Vec<(Rows, String, End<C>)> {
        let mut ended = Vec::new();
        for place in &mut self.places {
            let Some(end) = place.end.take() else { continue };
            match &end {
                End::Settled(outcome) => self.tally.count_outcome(outcome, place.rows.count()),
                End::Planned(_) => self.tally.count(&Settled::Planned, place.rows.count()),
                // What was in doubt before stays so: its new intent says all that the old one did.
                End::Withdrawn if place.in_doubt => continue,
                End::Withdrawn => {}
            }
            ended.push((place.rows, std::mem::take(&mut place.key), end));
        }
        ended
    }
}

/// A change that is being made: of which task.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    batch: u64,
    place: usize,
    since: Instant,
}

/// The stage.
pub(super) struct Executor<A, C> {
    config: Config,
    mode: Mode<A>,
    journal: Journal,
    finished: mpsc::Sender<Finished<C>>,
    events: mpsc::Sender<Event>,
    watch: Watch,
    halt: Halt,
    stop: Stop,
    open: HashMap<u64, Open<C>>,
    /// Changes that wait for a place: batch, place in the batch, change.
    waiting: VecDeque<(u64, usize, C)>,
    in_flight: JoinSet<Applied>,
    places: HashMap<Id, UnderWay>,
}

impl<A, C> Executor<A, C>
where
    A: Applier<C>,
    C: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        config: Config,
        mode: Mode<A>,
        journal: Journal,
        finished: mpsc::Sender<Finished<C>>,
        events: mpsc::Sender<Event>,
        halt: Halt,
        stop: Stop,
    ) -> Self {
        Self {
            config,
            mode,
            journal,
            finished,
            events,
            watch: Watch::new(config.limits),
            halt,
            stop,
            open: HashMap::new(),
            waiting: VecDeque::new(),
            in_flight: JoinSet::new(),
            places: HashMap::new(),
        }
    }

    /// Carries out batches until there are no more, or until the run is being stopped: then nothing new is
    /// begun, and what is in flight may end within the grace.
    pub(super) async fn run(mut self, mut prepared: mpsc::Receiver<Prepared<C>>) {
        let mut more = true;
        let mut ticks = tokio::time::interval(RECORD_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.stop.is_set() && (more || !self.in_flight.is_empty() || !self.waiting.is_empty()) {
            self.fill();
            let room = self.waiting.is_empty() && self.open.len() < self.config.open_batches;
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                () = stop.wait() => break,
                _ = ticks.tick() => self.record_ended().await,
                Some(ended) = self.in_flight.join_next_with_id() => self.ended(ended).await,
                batch = prepared.recv(), if more && room => match batch {
                    Some(batch) => self.begin(batch).await,
                    None => more = false,
                },
            }
        }
        if self.stop.is_set() {
            self.wind_up(prepared).await;
        }
    }

    /// Starts changes until all places are taken.
    fn fill(&mut self) {
        let Mode::Apply(applier) = &self.mode else { return };
        while self.in_flight.len() < self.config.concurrency {
            let Some((batch, place, change)) = self.waiting.pop_front() else { return };
            let Some(Place { rows, key, .. }) = self.open.get(&batch).and_then(|open| open.places.get(place))
            else {
                continue;
            };
            let span = tracing::info_span!("row", row = rows.row, also = rows.also, key);
            let (applier, steps) =
                (Arc::clone(applier), Steps::new(self.journal.clone(), *rows, self.events.clone()));
            let task =
                self.in_flight.spawn(async move { applier.apply(change, steps).await }.instrument(span));
            self.places.insert(task.id(), UnderWay { batch, place, since: Instant::now() });
        }
    }

    async fn begin(&mut self, batch: Prepared<C>) {
        let plans = matches!(self.mode, Mode::Plan);
        let (places, tally) = (Vec::with_capacity(batch.entries.len()), Tally::default());
        let mut open =
            Open { number: batch.number, places, left: 0, tally, attempted: false, since: batch.since };
        for (place, Entry { rows, key, in_doubt, verdict }) in batch.entries.into_iter().enumerate() {
            let end = match verdict {
                Verdict::Settled(outcome) => Some(End::Settled(outcome)),
                Verdict::Change(change) if plans => Some(End::Planned(change)),
                Verdict::Change(change) => {
                    let _ = self.events.send(Event::Meant { rows }).await;
                    self.waiting.push_back((batch.number, place, change));
                    None
                }
            };
            if let Some(end) = &end {
                self.tell(rows, &key, end, None).await;
            }
            open.left += usize::from(end.is_none());
            open.places.push(Place { rows, key, in_doubt, end });
        }
        self.open.insert(batch.number, open);
        self.finish_if_whole(batch.number).await;
    }

    async fn ended(&mut self, ended: Result<(Id, Applied), tokio::task::JoinError>) {
        let (id, applied) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let text = format!("a defect: {error}");
                let outcome = Outcome::of(State::Unknown, "defect", text.clone());
                let halt = Some(Failure::new(Exit::Unexpected, text));
                (error.id(), Applied { outcome: Some(outcome), halt })
            }
        };
        if let Some(failure) = applied.halt {
            self.halt.with(failure);
        }
        let Some(change) = self.places.remove(&id) else { return };
        let batch = change.batch;
        self.end(change, applied.outcome.map_or(End::Withdrawn, End::Settled)).await;
        if self.config.record_each
            && let Some(open) = self.open.get_mut(&batch)
        {
            let ended = open.take_ended();
            self.send(Finished { ended, batch: None }).await;
        }
        self.finish_if_whole(batch).await;
    }

    /// Has what has ended of the batches under way recorded.
    async fn record_ended(&mut self) {
        let ended: Vec<_> = self.open.values_mut().flat_map(Open::take_ended).collect();
        if !ended.is_empty() {
            self.send(Finished { ended, batch: None }).await;
        }
    }

    /// A change ended: reports it and settles its row.
    async fn end(&mut self, change: UnderWay, end: End<C>) {
        let UnderWay { batch, place, since } = change;
        if let Some(Place { rows, key, .. }) = self.open.get(&batch).and_then(|open| open.places.get(place)) {
            let (rows, key) = (*rows, key.clone());
            self.tell(rows, &key, &end, Some(since.elapsed())).await;
        }
        if let End::Settled(outcome) = &end {
            if let Some(why) = self.watch.attempted(outcome) {
                self.halt.with(Failure::new(Exit::Stopped, why));
            }
            if let Some(open) = self.open.get_mut(&batch) {
                open.attempted = true;
            }
        }
        self.settle(batch, place, end);
    }

    fn settle(&mut self, batch: u64, place: usize, end: End<C>) {
        let Some(open) = self.open.get_mut(&batch) else { return };
        if let Some(Place { end: slot @ None, .. }) = open.places.get_mut(place) {
            *slot = Some(end);
            open.left -= 1;
        }
    }

    /// Tells of a row's result, and stops the run when that is one error too many. `took` is how long its change was
    /// under way, if there was one.
    async fn tell(&mut self, rows: Rows, key: &str, end: &End<C>, took: Option<Duration>) {
        let settled = match end {
            End::Settled(outcome) => Settled::Outcome(outcome.clone()),
            End::Planned(_) => Settled::Planned,
            End::Withdrawn => return,
        };
        settled.log(rows, key, took);
        if settled.is_error()
            && let Some(why) = self.watch.errors(rows.count())
        {
            self.halt.with(Failure::new(Exit::Stopped, why));
        }
        // Listeners may have left; the run continues without them.
        let _ = self.events.send(Event::Row { rows, settled }).await;
    }

    async fn finish_if_whole(&mut self, number: u64) {
        if self.open.get(&number).is_none_or(|open| open.left > 0) {
            return;
        }
        let Some(mut open) = self.open.remove(&number) else { return };
        let ended = open.take_ended();
        // What a stop cut short says nothing about the batch.
        if !self.stop.is_set()
            && let Some(why) = self.watch.batch(&open.tally, open.attempted)
        {
            self.halt.with(Failure::new(Exit::Stopped, why));
        }
        let whole = Whole { number: open.number, took: open.since.elapsed() };
        self.send(Finished { ended, batch: Some(whole) }).await;
    }

    async fn send(&self, finished: Finished<C>) {
        if self.finished.send(finished).await.is_err() {
            self.halt.with(Failure::new(Exit::Unexpected, "a defect: outcomes are no longer recorded"));
        }
    }

    /// The end of a run that is being stopped: what has not begun is withdrawn, what is in flight may end
    /// within the grace, and what does not is unknown.
    async fn wind_up(&mut self, mut prepared: mpsc::Receiver<Prepared<C>>) {
        prepared.close();
        let waiting = std::mem::take(&mut self.waiting);
        for (batch, place, _) in waiting {
            self.settle(batch, place, End::Withdrawn);
        }
        let deadline = tokio::time::Instant::now() + self.config.grace;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(deadline, self.in_flight.join_next_with_id()).await
        {
            self.ended(ended).await;
        }
        self.in_flight.abort_all();
        for (_, change) in std::mem::take(&mut self.places) {
            let text = format!("no answer within {} s of the stop", self.config.grace.as_secs());
            self.end(change, End::Settled(Outcome::of(State::Unknown, "interrupted", text))).await;
        }
        // Batches that were prepared but not begun: their intents are in the journal.
        while let Some(batch) = prepared.recv().await {
            let places = batch.entries.into_iter().map(|entry| {
                let end = match entry.verdict {
                    Verdict::Settled(outcome) => End::Settled(outcome),
                    Verdict::Change(_) => End::Withdrawn,
                };
                Place { rows: entry.rows, key: entry.key, in_doubt: entry.in_doubt, end: Some(end) }
            });
            let (places, tally) = (places.collect(), Tally::default());
            let open =
                Open { number: batch.number, places, left: 0, tally, attempted: false, since: batch.since };
            self.open.insert(batch.number, open);
        }
        let left: Vec<u64> = self.open.keys().copied().collect();
        for number in left {
            self.finish_if_whole(number).await;
        }
    }
}
