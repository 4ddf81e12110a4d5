//! Appends to the journal. One thread owns the file; whoever appends waits until the records are on the disk.
//!
//! Group commit: all that is waiting goes out in one write and one fsync, and is then acknowledged together.
//! So many small appends cost no more fsyncs than the disk can do, and no write begins before the one before
//! it is durable, which is what `scan` relies on.

use super::error::JournalError;
use super::evidence;
use super::line::{self, Line, MAX_LINE};
use super::record::Record;
use super::repair;
use super::replay::Replay;
use super::run_dir::RunDir;
use crate::files::{self, Identity};
use chrono::{SecondsFormat, Utc};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Appends that may wait for the thread before `append` itself waits.
const QUEUE: usize = 64;
/// A write that has this many bytes takes no further append.
const GROUP_BYTES: usize = 4 << 20;

type Reply = oneshot::Sender<Result<(), JournalError>>;

enum Message {
    Append(Vec<Record>, Reply),
    Close(Reply),
}

/// What making records durable has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Syncs {
    /// How many times fsync was called.
    pub count: u64,
    /// How long that took together.
    pub time: Duration,
}

/// A run's journal, open for appending. Clones share it. When the last clone is dropped, what was taken is
/// still written and the thread is waited for, so that the run's lock can be let go of safely after that.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    /// `None` only while it is dropped.
    sender: Option<mpsc::Sender<Message>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    syncs: AtomicU64,
    nanos: AtomicU64,
    /// Bytes.
    durable: AtomicU64,
}

impl Journal {
    /// Makes the journal of a new run. Fails when there is one. The caller holds the run's lock.
    pub fn create(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.journal();
        let make = || {
            let file = files::private().append(true).create_new(true).open(&path)?;
            file.sync_all()?;
            files::sync_folder(run.path())?;
            Ok(file)
        };
        let file: File = make().map_err(JournalError::io("make the journal", &path))?;
        Self::start(file, run, 1, 0)
    }

    /// Goes on with a journal as it was replayed; a torn tail is set aside first, see [`repair::repair`]. The
    /// caller holds the run's lock, and has since before the replay.
    pub fn resume(run: &RunDir, replay: &Replay) -> Result<Self, JournalError> {
        repair::repair(run, replay)?;
        let path = run.journal();
        let failed = || JournalError::io("open", &path);
        let file: File = files::private().append(true).open(&path).map_err(failed())?;
        // The replay may have read lines that a killed process wrote and did not live to make durable.
        file.sync_all().map_err(failed())?;
        Self::start(file, run, replay.next_seq, replay.good_bytes)
    }

    fn start<S: Store>(store: S, run: &RunDir, next_seq: u64, good: u64) -> Result<Self, JournalError> {
        let guarded = guarded(&store, run)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let meter = Arc::new(Meter { durable: AtomicU64::new(good), ..Meter::default() });
        let writer = Writer {
            store,
            run: run.clone(),
            next_seq,
            good,
            buffer: Vec::new(),
            in_buffer: 0,
            failure: None,
            is_marked: false,
            guarded,
            meter: Arc::clone(&meter),
        };
        let file = run.journal();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.serve(receiver))
            .map_err(JournalError::io("start a thread for", &file))?;
        let shared = Shared { file, sender: Some(sender), thread: Mutex::new(Some(thread)), meter };
        Ok(Self(Arc::new(shared)))
    }

    /// Appends records, together and in this order; they are durable when it returns `Ok`.
    ///
    /// After an error of the disk this and every later append fails with that error, and nothing more is
    /// written: what the failed ones said may or may not be found again. A record that could not be read back
    /// fails alone. A call that is given up half-way may still be written.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), JournalError> {
        for record in &records {
            if let Some(problem) = line::rows_problem(record.rows()) {
                return Err(JournalError::Record { row: record.rows().row, problem });
            }
        }
        if records.is_empty() { Ok(()) } else { self.ask(|reply| Message::Append(records, reply)).await }
    }

    /// Ends the thread when all that was taken is durable; returns the error that broke the journal, if one
    /// did, or that it is no longer where it was. Clones that are left can append no more.
    pub async fn close(self) -> Result<(), JournalError> {
        let closed = self.ask(Message::Close).await;
        self.0.join();
        closed
    }

    /// What making records durable has cost so far.
    pub fn syncs(&self) -> Syncs {
        let Meter { syncs, nanos, .. } = &*self.0.meter;
        let time = Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Syncs { count: syncs.load(Ordering::Relaxed), time }
    }

    /// How many bytes of records are durable.
    pub fn durable_bytes(&self) -> u64 {
        self.0.meter.durable.load(Ordering::Relaxed)
    }

    async fn ask(&self, message: impl FnOnce(Reply) -> Message) -> Result<(), JournalError> {
        let closed = || JournalError::Closed { file: self.0.file.clone() };
        let (reply, answer) = oneshot::channel();
        let sender = self.0.sender.as_ref().ok_or_else(closed)?;
        sender.send(message(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Shared {
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic has been reported by the thread itself, and appends have failed with `Closed`.
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sender = None;
        self.join();
    }
}

/// Where lines go: a file, or what tests put in its place.
trait Store: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Which file this is; `None` for what is no file.
    fn identity(&self) -> io::Result<Option<Identity>> {
        Ok(None)
    }
}

impl Store for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn identity(&self) -> io::Result<Option<Identity>> {
        self.metadata().map(|data| Some(Identity::of(&data)))
    }
}

/// The files without which nothing may be sent: the journal, else what is sent would be recorded nowhere, and the lock,
/// else another process could take up the run.
fn guarded(store: &impl Store, run: &RunDir) -> Result<Vec<(PathBuf, Identity)>, JournalError> {
    let journal = store.identity().map_err(JournalError::io("look at", &run.journal()))?;
    let lock = std::fs::metadata(run.lock()).ok().map(|data| Identity::of(&data));
    let files = [(run.journal(), journal), (run.lock(), lock)];
    Ok(files.into_iter().filter_map(|(path, identity)| Some((path, identity?))).collect())
}

/// The thread's side.
struct Writer<S> {
    store: S,
    run: RunDir,
    /// The number of the next line to be written, those in the buffer left out.
    next_seq: u64,
    /// The length of what is durable.
    good: u64,
    /// The lines of the next write, and how many they are.
    buffer: Vec<u8>,
    in_buffer: u64,
    /// What broke the journal.
    failure: Option<JournalError>,
    /// Whether this process has made it durable that there are records.
    is_marked: bool,
    /// Files that have to stay where they are.
    guarded: Vec<(PathBuf, Identity)>,
    meter: Arc<Meter>,
}

impl<S: Store> Writer<S> {
    fn serve(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(first) = messages.blocking_recv() {
            let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            let (mut waiting, mut closing, mut next) = (Vec::new(), None, Some(first));
            while let Some(message) = next.take() {
                match message {
                    Message::Append(records, reply) => match self.take(&records, &at) {
                        Ok(()) => waiting.push(reply),
                        Err(error) => drop(reply.send(Err(error))),
                    },
                    Message::Close(reply) => {
                        closing = Some(reply);
                        break;
                    }
                }
                if self.buffer.len() < GROUP_BYTES {
                    next = messages.try_recv().ok();
                }
            }
            let committed = self.commit();
            // Anyone who appended may have gone.
            for reply in waiting {
                let _ = reply.send(committed.clone());
            }
            if let Some(reply) = closing {
                let _ = reply.send(committed.and_then(|()| self.still_there()));
                return;
            }
        }
    }

    /// Puts the lines of an append into the buffer: all or, when one cannot be a line, none.
    fn take(&mut self, records: &[Record], at: &str) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let (length, lines) = (self.buffer.len(), self.in_buffer);
        for record in records {
            let start = self.buffer.len();
            let line = Line::of(record, self.next_seq + self.in_buffer, self.next_seq, at);
            let problem = match line.write(&mut self.buffer) {
                Err(error) => error.to_string(),
                Ok(()) if self.buffer.len() - start > MAX_LINE => {
                    format!("it is longer than {MAX_LINE} bytes")
                }
                Ok(()) => {
                    self.in_buffer += 1;
                    continue;
                }
            };
            self.buffer.truncate(length);
            self.in_buffer = lines;
            return Err(JournalError::Record { row: record.rows().row, problem });
        }
        Ok(())
    }

    /// Makes the buffer durable. After a failure nothing is tried again: a second fsync may well succeed
    /// although the kernel has thrown away what the first could not write.
    fn commit(&mut self) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        match self.write().and_then(|()| self.still_there()).and_then(|()| self.mark()) {
            Ok(()) => {
                self.good += self.buffer.len() as u64;
                self.meter.durable.store(self.good, Ordering::Relaxed);
                self.next_seq += self.in_buffer;
                self.buffer.clear();
                self.buffer.shrink_to(GROUP_BYTES);
                self.in_buffer = 0;
                Ok(())
            }
            Err(failure) => {
                // Beside a mark, a journal without records counts as one that lost them: then what was written stays.
                if self.good > 0 || self.is_marked || evidence::unmark(&self.run).is_ok() {
                    // If this fails as well, a replay finds records that nobody acted on, or a torn tail.
                    let _ = self.store.cut(self.good);
                }
                self.buffer = Vec::new();
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Writes the buffer and makes it durable.
    fn write(&mut self) -> Result<(), JournalError> {
        self.store.write(&self.buffer).and_then(|()| self.sync()).map_err(|error| self.failed(error))
    }

    /// Makes it durable that there are records, once they are: a journal that is empty beside the mark has lost them, and
    /// one that is empty without it never had any that were acknowledged, wherever a crash or a full disk ended it.
    fn mark(&mut self) -> Result<(), JournalError> {
        if !self.is_marked {
            evidence::mark(&self.run).map_err(|error| self.failed(error))?;
            self.is_marked = true;
        }
        Ok(())
    }

    fn failed(&self, error: io::Error) -> JournalError {
        let (file, run) = (self.run.journal(), self.run.id().to_owned());
        JournalError::Write { file, run, source: Arc::new(error) }
    }

    /// Fails when a guarded file was removed or replaced: somebody works on the run's folder, and what is written next
    /// could be recorded nowhere.
    fn still_there(&self) -> Result<(), JournalError> {
        let is_same =
            |path: &Path, identity| std::fs::metadata(path).is_ok_and(|data| Identity::of(&data) == identity);
        match self.guarded.iter().find(|(path, identity)| !is_same(path, *identity)) {
            None => Ok(()),
            Some((path, _)) => {
                Err(JournalError::Replaced { file: path.clone(), run: self.run.id().to_owned() })
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let start = Instant::now();
        let synced = self.store.sync();
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.meter.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.meter.syncs.fetch_add(1, Ordering::Relaxed);
        synced
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
