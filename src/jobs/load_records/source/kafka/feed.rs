//! Reads the partitions that it is told to, each from an offset on, with one client on a thread of its own; cuts what comes into
//! batches. What is on its way is bounded in all: while that is too much, nothing more is read.

use super::client::{Client, may_pass};
use super::message::digest;
use super::read::{End, other_message};
use super::service::{Service, Standing};
use super::{Topics, list_of};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::positions::{Last, Partition};
use crate::stop::Stop;
use rdkafka::Message as _;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Bytes of messages that may be on their way.
const MOST: usize = 8 << 20;
/// What a message takes besides what it says, in bytes.
const BESIDES: usize = 300;
/// How long to wait before it is looked what else is to be done.
const POLL: Duration = Duration::from_millis(20);

/// What comes of a partition.
#[derive(Debug)]
pub(in crate::jobs::load_records) enum Fed {
    Batch(RawBatch),
    /// A broker does not have the next offset, of this partition or another one: look where it is.
    Nowhere,
    Failed(LoadError),
}

/// Messages that are written together.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct RawBatch {
    /// The messages.
    pub list: Vec<OwnedMessage>,
    /// The first offset.
    pub from: i64,
    /// Where it ends.
    pub end: End,
    _held: Held,
}

/// What is to be read of a partition.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Reading {
    /// The partition.
    pub of: Partition,
    /// The first offset.
    pub next: i64,
    /// The message before, if it is to be looked at again.
    pub last: Option<Last>,
    /// Who takes what comes.
    pub to: UnboundedSender<Fed>,
}

#[derive(Debug)]
enum Command {
    Read(Reading),
    Leave(Partition),
}

/// Who reads. It ends with this.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct Feed(mpsc::Sender<Command>);

impl Feed {
    /// Reads a partition, from now on from there.
    pub(in crate::jobs::load_records) fn read(&self, reading: Reading) {
        // A thread that has ended has said why.
        let _ = self.0.send(Command::Read(reading));
    }

    /// Reads a partition no more.
    pub(in crate::jobs::load_records) fn leave(&self, of: &Partition) {
        let _ = self.0.send(Command::Leave(of.clone()));
    }
}

impl Topics {
    /// Begins to read nothing yet. What ends the reader is told to `faults`.
    pub(in crate::jobs::load_records) fn feed(
        &self,
        service: &Service,
        faults: UnboundedSender<LoadError>,
        stop: &Stop,
    ) -> Result<Feed, LoadError> {
        let mut config = self.access.config();
        config.set("enable.partition.eof", "false").set("reconnect.backoff.max.ms", "10000");
        let (to, commands) = mpsc::channel();
        let mut reader = Reader {
            client: Client::with(&self.access, &config, super::client::Watch::default())?,
            parts: HashMap::new(),
            budget: Arc::default(),
            batch: service.batch,
            patience: service.batch_timeout,
            standing: Arc::clone(&service.standing),
            looked: Instant::now(),
        };
        let stop = stop.clone();
        let thread = std::thread::Builder::new().name("kafka".to_owned()).spawn(move || {
            if let Err(error) = reader.run(&commands, &stop) {
                // Whoever follows may be gone.
                let _ = faults.send(error);
            }
        });
        thread.map_err(LoadError::Disk)?;
        Ok(Feed(to))
    }
}

/// What is on its way, in bytes.
#[derive(Debug, Default)]
struct Budget {
    taken: Mutex<usize>,
    less: Condvar,
}

/// A part of it.
#[derive(Debug)]
struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    fn none(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        *self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            *self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
            self.budget.less.notify_all();
        }
    }
}

impl Budget {
    fn is_spent(&self) -> bool {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) >= MOST
    }

    /// Waits for a moment, or until there is less.
    fn wait(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was long enough is looked at afterwards.
        drop(self.less.wait_timeout_while(taken, POLL, |taken| *taken >= MOST));
    }
}

/// A partition that is read.
struct Part {
    of: Partition,
    next: i64,
    /// The message before, until it was looked at.
    last: Option<Last>,
    /// The first offset of the batch, and its messages.
    from: i64,
    list: Vec<OwnedMessage>,
    held: Held,
    /// When its first message came.
    since: Instant,
    to: UnboundedSender<Fed>,
}

impl Part {
    /// Hands on what was collected.
    fn send(&mut self) {
        let Some(message) = self.list.last() else { return };
        let last = Some(Last { offset: message.offset(), digest: digest(message) });
        let held = Held::none(&self.held.budget);
        let batch = RawBatch {
            list: std::mem::take(&mut self.list),
            from: self.from,
            end: End { next: self.next, last, lost: 0 },
            _held: std::mem::replace(&mut self.held, held),
        };
        self.from = self.next;
        // Who took it may be gone: then nobody misses it.
        let _ = self.to.send(Fed::Batch(batch));
    }
}

struct Reader {
    client: Client,
    parts: HashMap<String, HashMap<i32, Part>>,
    budget: Arc<Budget>,
    batch: usize,
    patience: Duration,
    standing: Arc<Standing>,
    /// When it was looked last which batches have waited for long enough.
    looked: Instant,
}

impl Reader {
    /// Blocks.
    fn run(&mut self, commands: &mpsc::Receiver<Command>, stop: &Stop) -> Result<(), LoadError> {
        while !stop.is_set() {
            loop {
                match commands.try_recv() {
                    Ok(Command::Read(reading)) => self.read(reading),
                    Ok(Command::Leave(of)) => self.leave(&of),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                }
            }
            if self.looked.elapsed() >= POLL / 2 {
                self.looked = Instant::now();
                let patience = self.patience;
                self.each(|part| {
                    if part.since.elapsed() >= patience {
                        part.send();
                    }
                });
            }
            if self.budget.is_spent() {
                // What was collected is not to wait for more that cannot come.
                self.each(Part::send);
                self.budget.wait();
                continue;
            }
            let error = match self.client.consumer.poll(POLL) {
                None => None,
                Some(Ok(message)) => {
                    take(&mut self.parts, &message, self.batch, &self.standing);
                    continue;
                }
                Some(Err(error)) => Some(error),
            };
            if let Some(fault) = self.client.fault() {
                return Err(fault);
            }
            match error.as_ref().map(|error| (error, error.rdkafka_error_code())) {
                None => {}
                Some((_, Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset))) => {
                    // Which partition it is of is not said.
                    self.each(|part| drop(part.to.send(Fed::Nowhere)));
                }
                Some((_, Some(code))) if may_pass(code) => {}
                Some((
                    error,
                    Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition),
                )) => tracing::warn!("{}: {error}; waiting for it to come back", self.client.place),
                Some((error, _)) => return Err(self.client.failed(error)),
            }
        }
        Ok(())
    }

    fn each(&mut self, what: impl Fn(&mut Part)) {
        self.parts.values_mut().flat_map(HashMap::values_mut).for_each(what);
    }

    fn read(&mut self, reading: Reading) {
        self.leave(&reading.of);
        let Reading { of, next, last, to } = reading;
        let from = last.as_ref().map_or(next, |last| last.offset);
        let (Some(list), Ok(number)) = (list_of(&of, from), i32::try_from(of.partition)) else {
            let _ = to.send(Fed::Failed(LoadError::Settings(format!("{} is no partition", of.name()))));
            return;
        };
        if let Err(error) = self.client.consumer.incremental_assign(&list) {
            let _ = to.send(Fed::Failed(self.client.failed(&error)));
            return;
        }
        let held = Held::none(&self.budget);
        let part = Part { of, next, last, from: next, list: Vec::new(), held, since: Instant::now(), to };
        self.parts.entry(part.of.topic.clone()).or_default().insert(number, part);
    }

    fn leave(&mut self, of: &Partition) {
        let Ok(number) = i32::try_from(of.partition) else { return };
        let Some(parts) = self.parts.get_mut(&of.topic) else { return };
        if parts.remove(&number).is_none() {
            return;
        }
        if let Some(list) = list_of(of, 0)
            && let Err(error) = self.client.consumer.incremental_unassign(&list)
        {
            tracing::warn!("{} cannot be left: {error}", of.name());
        }
    }
}

/// Takes a message.
fn take(
    parts: &mut HashMap<String, HashMap<i32, Part>>,
    message: &BorrowedMessage<'_>,
    batch: usize,
    standing: &Standing,
) {
    let part = parts.get_mut(message.topic()).and_then(|parts| parts.get_mut(&message.partition()));
    // One that came when its partition was left already is nobody's.
    let Some(part) = part else { return };
    let offset = message.offset();
    if offset < part.next {
        if let Some(last) = part.last.take_if(|last| last.offset == offset)
            && last.digest != digest(message)
        {
            let _ = part.to.send(Fed::Failed(other_message(&part.of, offset)));
        }
        return;
    }
    if part.list.is_empty() {
        part.since = Instant::now();
    }
    part.held.add(message.payload_len() + message.key_len() + BESIDES);
    part.list.push(message.detach());
    part.next = offset + 1;
    standing.consumed(1);
    if part.list.len() >= batch {
        part.send();
    }
}
