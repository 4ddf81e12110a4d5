//! When calls were made lately, in a small file that all processes with one token share: a run that is killed and
//! resumed, or `doctor` beside a run, keep the limit together.
//!
//! The file has a fixed number of slots. A slot counts the calls that one process made in a short span, and holds the
//! time of the last of them. Every call is entered under the file's lock before it is sent, so a kill loses none.
//! Nothing is synced: the file matters for one period, and a machine that lost power starts slower than that.
//!
//! - Unfinished calls of a process that is gone count for [`LONGEST_TRIP`] longer than others.
//! - A slot from the future (the clock was set back) counts as of now.
//! - A file that is not one of these is replaced by one that says that the window is full.
//! - More slots in use within a window than there are: the window is full.
//!
//! A clock that is set forward makes calls look older than they are, which cannot be noticed.

use super::rate::Rate;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// The first bytes of the file: its format.
const MAGIC: [u8; SLOT] = *b"devrev-batch recent calls 1\n\0\0\0\0";
const SLOT: usize = 32;
const SLOTS: usize = 512;
/// Spans in a period: a slot holds the calls of one span.
const SPANS: u64 = 128;
/// The time within which a request reaches the API, in milliseconds, connecting included.
const LONGEST_TRIP: u64 = 60_000;

/// The calls of one process in one span. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slot {
    /// The process; 0 where it is unknown.
    owner: u64,
    began: u64,
    /// When a call was last sent or answered.
    last: u64,
    /// Calls; 0 in a slot that was never used.
    calls: u32,
    /// Of these, calls that are not answered yet.
    in_flight: u32,
}

impl Slot {
    fn read(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let short = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self {
            owner: long(0)?,
            began: long(8)?,
            last: long(16)?,
            calls: short(24)?,
            in_flight: short(28)?,
        })
    }

    fn bytes(self) -> Vec<u8> {
        let Self { owner, began, last, calls, in_flight } = self;
        let longs = [owner, began, last].into_iter().flat_map(u64::to_le_bytes);
        longs.chain([calls, in_flight].into_iter().flat_map(u32::to_le_bytes)).collect()
    }

    /// How many of its calls count in a window of this length that ends now.
    fn used(self, now: u64, period: u64) -> u32 {
        if self.last + period > now {
            self.calls
        } else if self.last + LONGEST_TRIP + period > now {
            // They may have been on their way until then.
            self.in_flight
        } else {
            0
        }
    }

    /// When fewer of its calls will count, at the earliest.
    fn expires(self, now: u64, period: u64) -> u64 {
        let all = self.last + period;
        if all > now { all } else { all + LONGEST_TRIP }
    }
}

/// A call that was entered.
#[derive(Debug)]
pub(crate) struct Entry {
    index: usize,
    began: u64,
}

/// Whether a call may be made.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It may, and is entered.
    Go(Entry),
    /// Not before this time (milliseconds since the epoch): other processes have used up the limit.
    Full(u64),
    /// Another process has the file just now.
    Busy,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was sent.
    Sent,
    /// It was not sent: it does not count.
    Unsent,
}

/// The file.
#[derive(Debug)]
pub(crate) struct SharedCalls {
    file: File,
    owner: u64,
    /// The slot that this process filled last.
    current: Option<usize>,
    /// Ends of calls that are not in the file yet, because another process had it.
    unwritten: Vec<(Entry, Left, u64)>,
}

impl SharedCalls {
    /// Opens the file, or makes it with the folder that it is in.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        if let Some(folder) = path.parent() {
            let mut builder = std::fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(folder)?;
        }
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        // 0 is nobody.
        Ok(Self { file, owner: rand::random::<u64>() | 1, current: None, unwritten: Vec::new() })
    }

    /// Asks for a call at this time (milliseconds since the epoch), where this process itself has made `own` calls
    /// within the window.
    pub(crate) fn enter(&mut self, now: u64, rate: Rate, own: usize) -> io::Result<Turn> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Turn::Busy),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let turn = self.write_ends().and_then(|()| self.enter_locked(now, rate, own));
        self.file.unlock()?;
        turn
    }

    fn enter_locked(&mut self, now: u64, rate: Rate, own: usize) -> io::Result<Turn> {
        // Both ends of a window are cut to milliseconds.
        let period = millis(rate.period).saturating_add(1);
        let mut slots = self.slots(now)?;
        for (index, slot) in slots.iter_mut().enumerate() {
            if slot.last > now {
                *slot = Slot { last: now, began: slot.began.min(now), ..*slot };
                self.put(index, *slot)?;
            }
        }
        let in_window = |slot: &&Slot| slot.used(now, period) > 0;
        let others = slots.iter().filter(|slot| slot.owner != self.owner);
        let used =
            others.fold(own as u64, |used, slot| used.saturating_add(u64::from(slot.used(now, period))));
        let has_lost_some = slots.iter().filter(in_window).count() == SLOTS;
        if used >= u64::from(rate.calls.get()) || has_lost_some {
            let expiries = slots.iter().filter(in_window).map(|slot| slot.expires(now, period));
            return Ok(Turn::Full(expiries.min().unwrap_or(now + period)));
        }
        let span = period / SPANS;
        let is_current = |slot: &Slot| slot.owner == self.owner && slot.began + span > now;
        let current = self.current.filter(|index| slots.get(*index).is_some_and(is_current));
        let index = if let Some(index) = current {
            index
        } else {
            let free = slots.iter().position(|slot| slot.used(now, period) == 0);
            let Some(index) = free else { return Ok(Turn::Full(now + period)) };
            index
        };
        let Some(slot) = slots.get_mut(index) else { return Ok(Turn::Full(now + period)) };
        if current.is_none() {
            *slot = Slot { owner: self.owner, began: now, ..Slot::default() };
        }
        (slot.last, slot.calls, slot.in_flight) =
            (now, slot.calls.saturating_add(1), slot.in_flight.saturating_add(1));
        let (slot, began) = (*slot, slot.began);
        self.put(index, slot)?;
        self.current = Some(index);
        Ok(Turn::Go(Entry { index, began }))
    }

    /// Notes that a call has ended. Where another process has the file, that is written with the next call.
    pub(crate) fn leave(&mut self, entry: Entry, left: Left, now: u64) -> io::Result<()> {
        self.unwritten.push((entry, left, now));
        match self.file.try_lock() {
            Ok(()) => {
                let written = self.write_ends();
                self.file.unlock()?;
                written
            }
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Writes what has ended. Only with the lock.
    fn write_ends(&mut self) -> io::Result<()> {
        for (entry, left, at) in std::mem::take(&mut self.unwritten) {
            let mut bytes = [0; SLOT];
            self.file.seek(place(entry.index))?;
            self.file.read_exact(&mut bytes)?;
            let Some(mut slot) = Slot::read(&bytes) else { continue };
            // Another process may have used it again, long after this call should have been over.
            if (slot.owner, slot.began) != (self.owner, entry.began) {
                continue;
            }
            slot.in_flight = slot.in_flight.saturating_sub(1);
            match left {
                Left::Sent => slot.last = slot.last.max(at),
                Left::Unsent => slot.calls = slot.calls.saturating_sub(1),
            }
            self.put(entry.index, slot)?;
        }
        Ok(())
    }

    /// All slots. A file that is none of these becomes one whose window is full from now on.
    fn slots(&mut self, now: u64) -> io::Result<Vec<Slot>> {
        let mut bytes = Vec::with_capacity(SLOT * (SLOTS + 1));
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(bytes.capacity() as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() == SLOT * (SLOTS + 1) && bytes.starts_with(&MAGIC) {
            return Ok(bytes.chunks_exact(SLOT).skip(1).filter_map(Slot::read).collect());
        }
        let mut slots = vec![Slot::default(); SLOTS];
        if !bytes.is_empty() {
            let full = Slot { owner: 0, began: now, last: now, calls: u32::MAX, in_flight: 0 };
            slots.iter_mut().take(1).for_each(|slot| *slot = full);
        }
        let whole: Vec<u8> = MAGIC.into_iter().chain(slots.iter().flat_map(|slot| slot.bytes())).collect();
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&whole)?;
        Ok(slots)
    }

    fn put(&mut self, index: usize, slot: Slot) -> io::Result<()> {
        self.file.seek(place(index))?;
        self.file.write_all(&slot.bytes())
    }
}

impl Drop for SharedCalls {
    fn drop(&mut self) {
        const TRIES: u32 = 5;
        const PAUSE: Duration = Duration::from_millis(2);
        // What cannot be written counts as on its way for a while: slower, not wrong.
        for _ in 0..TRIES {
            if self.unwritten.is_empty() {
                return;
            }
            if self.file.try_lock().is_ok() {
                let _ = self.write_ends();
                let _ = self.file.unlock();
            } else {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn place(index: usize) -> SeekFrom {
    SeekFrom::Start((SLOT * (index + 1)) as u64)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "shared_calls_tests.rs"]
mod tests;
