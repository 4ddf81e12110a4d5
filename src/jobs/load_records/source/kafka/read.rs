//! Reads a partition from an offset to another one, on a thread of its own.

use super::super::Chunk;
use super::client::{Client, may_pass};
use super::list_of;
use super::message::{Message, digest};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::positions::{Last, Partition};
use crate::stop::Stop;
use rdkafka::Message as _;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Messages in a chunk.
pub(in crate::jobs::load_records) const CHUNK: usize = 500;
/// Bytes after which a chunk is sent.
const CHUNK_BYTES: usize = 256 << 10;
/// How long to wait before it is looked whether the run is to end.
const POLL: Duration = Duration::from_millis(100);
/// How often a broker may say that an offset is out of the range that it names itself.
const MOST_TRIES: u32 = 20;

/// What is read.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct Wanted {
    /// The partition.
    pub of: Partition,
    /// The first offset.
    pub next: i64,
    /// The first offset after the last.
    pub to: i64,
    /// The message before, if one was taken.
    pub last: Option<Last>,
    /// Messages of a batch.
    pub batch: usize,
}

/// Messages in order.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Messages {
    /// The messages.
    pub list: Vec<Message>,
    /// Where they end a batch.
    pub end: Option<End>,
}

/// The end of a batch.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct End {
    /// The next offset.
    pub next: i64,
    /// The last message.
    pub last: Option<Last>,
    /// Offsets that the brokers have removed.
    pub lost: u64,
}

/// Why no more is read.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// All is sent, or nobody wants more.
    Done,
    /// The broker does not have the next offset.
    OutOfRange,
}

struct Reader<'a> {
    client: &'a Client,
    wanted: Wanted,
    to: &'a mpsc::Sender<Chunk>,
    stop: &'a Stop,
    chunk: Vec<Message>,
    bytes: usize,
    /// Messages of the batch so far.
    taken: usize,
}

/// Reads until all is sent, or until nobody wants more. Blocks.
pub(super) fn read(
    client: &Client,
    wanted: Wanted,
    skips_gaps: bool,
    to: &mpsc::Sender<Chunk>,
    stop: &Stop,
) -> Result<(), LoadError> {
    let mut reader = Reader { client, wanted, to, stop, chunk: Vec::new(), bytes: 0, taken: 0 };
    for tried in 0..MOST_TRIES {
        let (low, high) = client.watermarks(&reader.wanted.of, stop)?;
        let Wanted { of, next, to: end, .. } = &reader.wanted;
        if *next > high {
            return Err(made_anew(of, *next, high));
        }
        if *next < low {
            gap(of, (*next, low), skips_gaps)?;
            let low = low.min(*end);
            if !reader.skip(low) {
                return Ok(());
            }
        }
        if reader.wanted.next >= reader.wanted.to || reader.consume(low)? == Ended::Done {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20 * u64::from(tried)));
    }
    Err(client.unanswered())
}

/// Refuses a gap, unless the run goes on after it.
pub(super) fn gap(of: &Partition, (next, low): (i64, i64), skips_gaps: bool) -> Result<(), LoadError> {
    let text = format!(
        "topic {}, partition {}: the brokers have removed offsets {next} to {} before they were loaded: {} offsets",
        of.topic,
        of.partition,
        low.saturating_sub(1),
        low.saturating_sub(next)
    );
    if skips_gaps {
        tracing::warn!("{text}; going on with offset {low}");
        return Ok(());
    }
    Err(LoadError::Changed(format!("{text}; --on-gap continue goes on with offset {low}")))
}

/// What is said of a partition that ends before what was loaded of it.
pub(super) fn made_anew(of: &Partition, next: i64, high: i64) -> LoadError {
    LoadError::Changed(format!(
        "topic {}, partition {} ends with offset {}, and the load has come to offset {next}: it was truncated, or the topic was made \
         anew; {}",
        of.topic,
        of.partition,
        high.saturating_sub(1),
        how_to_begin(of)
    ))
}

/// What is said of a partition whose last loaded message is another one.
pub(super) fn other_message(of: &Partition, offset: i64) -> LoadError {
    LoadError::Changed(format!(
        "topic {}, partition {} has another message at offset {offset} than the load has taken from there: the topic was made anew; {}",
        of.topic,
        of.partition,
        how_to_begin(of)
    ))
}

fn how_to_begin(of: &Partition) -> String {
    format!("to begin with what it has now, run `devrev-batch load ledger forget JOB --slice {}`", of.name())
}

impl Reader<'_> {
    /// Says that what is before an offset is lost; false where nobody wants more.
    fn skip(&mut self, low: i64) -> bool {
        if self.taken > 0 && !self.send(true) {
            return false;
        }
        let lost = u64::try_from(low.saturating_sub(self.wanted.next)).unwrap_or_default();
        self.wanted.next = low;
        let end = End { next: low, last: None, lost };
        self.to.blocking_send(Chunk::Messages(Messages { list: Vec::new(), end: Some(end) })).is_ok()
    }

    fn consume(&mut self, low: i64) -> Result<Ended, LoadError> {
        let Wanted { of, next, last, .. } = &self.wanted;
        // The message before is looked at again, if it is there still.
        let first = last.as_ref().map(|last| last.offset).filter(|first| (low..*next).contains(first));
        let list = list_of(of, first.unwrap_or(*next));
        let list = list.ok_or_else(|| LoadError::Settings(format!("{} is no partition", of.name())))?;
        let consumer = &self.client.consumer;
        consumer.assign(&list).map_err(|error| self.client.failed(&error))?;
        let mut heard = Instant::now();
        loop {
            if self.stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            if self.to.is_closed() {
                return Ok(Ended::Done);
            }
            let error = match consumer.poll(POLL) {
                None => None,
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if offset < self.wanted.next {
                        self.compare(&message)?;
                    } else if offset >= self.wanted.to {
                        self.finish();
                        return Ok(Ended::Done);
                    } else if !self.take(&message) {
                        return Ok(Ended::Done);
                    } else if self.wanted.next >= self.wanted.to {
                        self.finish();
                        return Ok(Ended::Done);
                    }
                    // After what may have waited for the target.
                    heard = Instant::now();
                    continue;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    // What is not shown, such as marks of transactions, may be the last.
                    let (_, high) = self.client.watermarks(&self.wanted.of, self.stop)?;
                    if high < self.wanted.to {
                        return Err(made_anew(&self.wanted.of, self.wanted.to, high));
                    }
                    self.finish();
                    return Ok(Ended::Done);
                }
                Some(Err(error)) => Some(error),
            };
            if let Some(fault) = self.client.fault() {
                return Err(fault);
            }
            if let Some(error) = error {
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                        return Ok(Ended::OutOfRange);
                    }
                    Some(code) if may_pass(code) => {}
                    _ => return Err(self.client.failed(&error)),
                }
            }
            if heard.elapsed() >= self.client.timeout {
                return Err(self.client.unanswered());
            }
        }
    }

    /// Holds the message before against what it was.
    fn compare(&self, message: &BorrowedMessage<'_>) -> Result<(), LoadError> {
        let Wanted { of, last, .. } = &self.wanted;
        match last {
            Some(last) if last.offset == message.offset() && last.digest != digest(message) => {
                Err(other_message(of, last.offset))
            }
            _ => Ok(()),
        }
    }

    /// Takes a message; false where nobody wants more.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let offset = message.offset();
        self.bytes += message.payload_len() + message.key_len();
        self.chunk.push(Message::of(message));
        self.taken += 1;
        self.wanted.next = offset + 1;
        self.wanted.last = Some(Last { offset, digest: digest(message) });
        if self.taken >= self.wanted.batch {
            return self.send(true);
        }
        (self.chunk.len() < CHUNK && self.bytes < CHUNK_BYTES) || self.send(false)
    }

    /// Sends what is left: all up to the end was taken.
    fn finish(&mut self) {
        if self.taken > 0 || self.wanted.next < self.wanted.to {
            self.wanted.next = self.wanted.to;
            self.send(true);
        }
    }

    fn send(&mut self, ends: bool) -> bool {
        let Wanted { next, last, .. } = &self.wanted;
        let end = ends.then(|| End { next: *next, last: last.clone(), lost: 0 });
        if ends {
            self.taken = 0;
        }
        self.bytes = 0;
        let list = std::mem::take(&mut self.chunk);
        self.to.blocking_send(Chunk::Messages(Messages { list, end })).is_ok()
    }
}
