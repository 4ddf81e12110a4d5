//! How a slice gets into a table: its records are held against the columns, fixed, announced in the ledger, sent batch by
//! batch, and entered in the ledger.

use super::check::{Check, Refused};
use super::ledger::{Said, State};
use super::table::{self, Table, qualified};
use super::{ClickhouseStore, IDIOM, MAX_ANSWER, quote};
use crate::database::clickhouse::{Session, code_in};
use crate::database::error::DatabaseError;
use crate::files;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::fixed::{Fixer, Sent};
use crate::jobs::load_records::ledger::{Entry, Line};
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::Stage;
use crate::jobs::load_records::store::{Loaded, Terms, refused};
use crate::spill::Sorter;
use crate::stop::Stop;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::time::Duration;

/// A bound for a batch, in bytes: each becomes a part of the table, and few large ones are merged sooner than many small ones.
const BATCH_BYTES: usize = 4 << 20;
/// Records that are looked at together.
const TOGETHER: usize = 4000;
/// The longest time for one batch.
const INSERT_TIME: Duration = Duration::from_secs(600);
/// What is set for each batch: it is one block, nothing of it is changed in silence, and the answer comes when it is written.
const SETTINGS: [(&str, &str); 14] = [
    ("async_insert", "0"),
    ("wait_end_of_query", "1"),
    ("insert_deduplicate", "1"),
    ("max_insert_block_size", "1000000000"),
    ("min_insert_block_size_rows", "0"),
    ("min_insert_block_size_bytes", "0"),
    ("max_partitions_per_insert_block", "0"),
    ("input_format_parallel_parsing", "0"),
    ("input_format_null_as_default", "0"),
    ("input_format_defaults_for_omitted_fields", "1"),
    ("input_format_allow_errors_num", "0"),
    ("input_format_allow_errors_ratio", "0"),
    ("date_time_input_format", "best_effort"),
    ("max_execution_time", "600"),
];
/// Codes of a batch that has a record in it which the table does not take. (Source: `ErrorCodes.cpp` in ClickHouse's code.)
const OF_RECORDS: [u32; 36] = [
    6, 25, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 190, 321, 349, 376, 377, 395, 407, 434,
    436, 441, 442, 467, 469, 547, 586, 632, 636, 675, 676, 691, 692,
];
/// Codes of what may pass: too many parts, no memory, a replica that only reads now, a quorum that is not there, no room.
const OF_THE_MOMENT: [u32; 14] = [3, 159, 173, 236, 241, 242, 243, 252, 285, 286, 319, 394, 415, 458];

/// How a batch ended.
enum Inserted {
    Done,
    /// The table refuses a record of it, and has taken nothing.
    Refused(String),
}

/// Loads a slice, unless it is loaded.
pub(super) async fn slice(
    store: &ClickhouseStore,
    session: &Session<'_>,
    terms: &Terms,
    (slice, open): (&Slice, bool),
    stage: &mut Stage,
    stop: &Stop,
) -> Result<Loaded, LoadError> {
    let mut writer = Writer { store, session, terms, slice, stop };
    store.make_ledger(session, stop).await?;
    let own = match writer.free().await? {
        Ok(own) => own,
        Err(loaded) => return Ok(loaded),
    };
    writer.write(own, open, stage).await
}

/// A slice that is written.
struct Writer<'a> {
    store: &'a ClickhouseStore,
    session: &'a Session<'a>,
    terms: &'a Terms,
    slice: &'a Slice,
    stop: &'a Stop,
}

impl Writer<'_> {
    /// What this run has said of the slice before, if it is to be loaded now.
    async fn free(&self) -> Result<Result<Option<Line>, Loaded>, LoadError> {
        let (said, own) = self.store.said(self.session, self.terms, self.slice, self.stop).await?;
        let may_repeat = self.terms.mode == Mode::Upsert || self.store.at_least_once;
        Ok(match said {
            // This run has loaded it, and the answer was lost.
            Said::Own(entry) => Err(Loaded::Now { rows: entry.rows, deleted: 0 }),
            Said::Before(entry) => Err(Loaded::Before(entry)),
            Said::Begun(entry) if !may_repeat => return Err(self.begun(&entry)),
            Said::Begun(_) | Said::Free => Ok(own),
        })
    }

    fn begun(&self, entry: &Entry) -> LoadError {
        let other = serde_json::from_str::<Slice>(&entry.slice).map(|slice| slice.name()).unwrap_or_default();
        let other = if entry.slice == self.slice.id() { "it".to_owned() } else { format!("slice {other}") };
        LoadError::Guard(format!(
            "run {} has begun to load {other}, and table `{}` may have a part of it, which mode append would add a second time: let \
             that run end, or `resume` it; if it is lost, take its records out of the table and `load ledger forget` the slice",
            entry.run, self.terms.table.table
        ))
    }

    fn line(&self, before: Option<&Line>, (open, rows, rejected): (bool, u64, u64)) -> Line {
        let entry = Entry {
            slice: self.slice.id(),
            digest: self.terms.digest.clone(),
            rows,
            rejected,
            run: self.terms.run.clone(),
            open,
        };
        let at = before.map(|line| line.at.clone()).unwrap_or_default();
        Line { entry, name: self.slice.name(), at, begun: false }
    }

    async fn put(&self, state: State, line: &Line) -> Result<(), LoadError> {
        self.store.put(self.session, &self.terms.load, state, line, self.stop).await
    }

    async fn write(&mut self, own: Option<Line>, open: bool, stage: &mut Stage) -> Result<Loaded, LoadError> {
        let sent = match Sent::open(stage.path())? {
            None => None,
            Some(Ok(sent)) => Some(sent),
            Some(Err(unusable)) => return Err(LoadError::Guard(unusable.why)),
        };
        let (mut rows, mut own) = (0, own);
        if stage.records > 0 {
            let table = self.table(stage).await?;
            table.suits(self.terms, self.store.at_least_once)?;
            let mut sent = match sent {
                Some(sent) => sent,
                None => self.fix(&table, open, stage).await?,
            };
            if stage.records > 0 {
                if own.is_none() {
                    self.put(State::Begun, &self.line(None, (open, 0, 0))).await?;
                    // Another run may have begun it at the same moment: each says so before it looks.
                    own = match self.free().await {
                        Ok(Ok(own)) => own,
                        Ok(Err(loaded)) => {
                            self.withdraw(stage).await?;
                            return Ok(loaded);
                        }
                        Err(error) => {
                            self.withdraw(stage).await?;
                            return Err(error);
                        }
                    };
                }
                self.send(&table, &mut sent, stage).await?;
            }
            rows = self.rows(&sent, stage)?;
        }
        // Of a slice that is loaded, all rejected records are on the disk.
        stage.rejected.keep()?;
        let line = self.line(own.as_ref(), (open, rows, stage.rejected.count()));
        self.put(State::Loaded, &line).await?;
        Ok(Loaded::Now { rows, deleted: 0 })
    }

    /// Says in the ledger that nothing was sent of the slice.
    async fn withdraw(&self, stage: &Stage) -> Result<(), LoadError> {
        let (_, own) = match self.store.said(self.session, self.terms, self.slice, self.stop).await {
            Ok(said) => said,
            // What it conflicts with has been said.
            Err(LoadError::Changed(_)) => (Said::Free, None),
            Err(error) => return Err(error),
        };
        self.put(State::Forgotten, &self.line(own.as_ref(), (false, 0, 0))).await?;
        stage.remove();
        Ok(())
    }

    /// The table, which is made if need be.
    async fn table(&self, stage: &Stage) -> Result<Table, LoadError> {
        let (store, terms) = (self.store, self.terms);
        let name = &terms.table.table;
        if let Some(table) = store.table(self.session, name, self.stop).await? {
            return Ok(table);
        }
        let missing = || LoadError::Settings(format!("{}: there is no table `{name}`", store.place()));
        if !terms.table.create {
            return Err(missing());
        }
        let sql = table::ddl(terms, stage)?;
        tracing::info!("{}", sql.replace('\n', " "));
        store.run(self.session, &sql, self.stop).await?;
        store.table(self.session, name, self.stop).await?.ok_or_else(missing)
    }

    /// Holds each record against the columns, and fixes those that fit.
    async fn fix(&self, table: &Table, open: bool, stage: &mut Stage) -> Result<Sent, LoadError> {
        let terms = self.terms;
        IDIOM.check(terms, &stage.columns, &table.columns)?;
        let mut fixer = Fixer::create(stage)?;
        let (mut batches, mut check, mut number) = (stage.batches(TOGETHER)?, None, 0);
        let looks = std::iter::from_fn(|| batches.next().transpose()).map(|batch| {
            let batch = batch?;
            let known: Option<Check> = check.take().filter(|check: &Check| check.is_for(&batch.columns));
            let known = match known {
                Some(known) => known,
                None => Check::new(table, terms, &batch.columns)?,
            };
            check = Some(known.clone());
            Ok::<_, LoadError>(known.look(batch))
        });
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let mut checked = std::pin::pin!(stream::iter(looks).try_buffered(threads));
        while let Some(checked) = checked.try_next().await? {
            if self.stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            fixer.push(&checked.columns, &checked.lines, checked.fitting)?;
            for Refused { place, record, column, problem } in checked.refused {
                refused(terms, &mut stage.rejected, (&record, number + place), Some(column), problem)?;
            }
            number += checked.records;
        }
        Ok(fixer.finish(&terms.run, self.slice, open, stage)?)
    }

    /// Sends what is not settled yet.
    async fn send(&self, table: &Table, sent: &mut Sent, stage: &mut Stage) -> Result<(), LoadError> {
        let terms = self.terms;
        let mut batches = stage.batches(terms.batch_size)?;
        batches.together(terms.batch_size, BATCH_BYTES);
        let mut from = 0;
        let mut is_touched = false;
        if let Some((range, at)) = sent.last.clone() {
            self.may_be_sent_again(table, at)?;
            is_touched = true;
            while from < range.start {
                batches.together(usize::try_from((range.start - from).min(1000)).unwrap_or(1), BATCH_BYTES);
                let skipped =
                    batches.next()?.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
                from += skipped.len() as u64;
            }
            // As it was, whatever it took then.
            batches.together(usize::try_from(range.end - range.start).unwrap_or(1), usize::MAX);
        }
        while let Some(batch) = batches.next()? {
            batches.together(terms.batch_size, BATCH_BYTES);
            let to = from + batch.len() as u64;
            // The first part is the last here.
            let mut left: Vec<Range<u64>> = std::iter::once(from..to).collect();
            while let Some(range) = left.pop() {
                let place = |number: u64| usize::try_from(number - from).unwrap_or(usize::MAX);
                let first = place(range.start);
                let rows = batch.lines(first..place(range.end));
                sent.begin(&range, &mut stage.rejected)?;
                let token = sent.token(&terms.load, &range);
                let refusal = match self.insert(&batch.columns, rows, &token).await {
                    Ok(Inserted::Done) => {
                        is_touched = true;
                        continue;
                    }
                    Ok(Inserted::Refused(refusal)) => refusal,
                    Err(error) => {
                        let is_in_doubt = !matches!(error, LoadError::Settings(_) | LoadError::Login(_));
                        if !is_touched && !is_in_doubt {
                            self.withdraw(stage).await?;
                        }
                        return Err(error);
                    }
                };
                let half = (range.end - range.start) / 2;
                if half > 0 {
                    left.push(range.start + half..range.end);
                    left.push(range.start..range.start + half);
                    continue;
                }
                refused(terms, &mut stage.rejected, (&batch.object(first), range.start), None, refusal)?;
                sent.refuse(range.start);
            }
            from = to;
        }
        Ok(())
    }

    /// Fails where the table may have forgotten a batch that was sent before.
    fn may_be_sent_again(&self, table: &Table, at: i64) -> Result<(), LoadError> {
        let age = chrono::Utc::now().timestamp().saturating_sub(at);
        let is_forgotten = table.seconds.is_some_and(|seconds| age >= seconds);
        if !is_forgotten || self.terms.mode == Mode::Upsert || self.store.at_least_once {
            return Ok(());
        }
        Err(LoadError::Guard(format!(
            "a batch of it was sent {} ago and may be in table `{}`, which remembers batches for {} only \
             (replicated_deduplication_window_seconds): sent again it could be there twice. Take the records of this slice out of the \
             table, then `load ledger forget` the slice and start a new load",
            humantime::format_duration(Duration::from_secs(age.unsigned_abs())),
            self.terms.table.table,
            humantime::format_duration(Duration::from_secs(table.seconds.unwrap_or(0).unsigned_abs())),
        )))
    }

    /// Sends a batch until it is answered.
    async fn insert(&self, columns: &[String], rows: &str, token: &str) -> Result<Inserted, LoadError> {
        let columns: Vec<String> = columns.iter().map(|name| quote(name)).collect();
        let sql = format!(
            "INSERT INTO {} ({}) FORMAT JSONCompactEachRow\n{rows}",
            qualified(&self.terms.table.table),
            columns.join(", ")
        );
        // Cloned for each try, and not copied.
        let sql = Bytes::from(sql);
        let mut settings = SETTINGS.to_vec();
        settings.push(("insert_deduplication_token", token));
        let (session, sql, settings) = (self.session, &sql, &settings);
        let once = || async {
            let inserted = async {
                let response = session.ask(sql.clone(), settings).await?;
                let body =
                    session.connection.whole(session.connection.bounded(response)?, MAX_ANSWER).await?;
                let words = String::from_utf8_lossy(&body);
                match code_in(&words) {
                    Some(code) => Err(session.refused(code, &words)),
                    None if words.trim().is_empty() => Ok(()),
                    None => Err(session
                        .connection
                        .odd("an insert returns nothing: is that ClickHouse?".to_owned())),
                }
            };
            let inserted = tokio::time::timeout(INSERT_TIME, inserted).await;
            let slow = || session.connection.unreachable("a batch was not answered in time", None);
            match inserted.unwrap_or_else(|_| Err(slow())) {
                Err(DatabaseError::Refused(refusal)) if is_of(&OF_THE_MOMENT, &refusal.code) => {
                    Err(session.connection.unreachable(&refusal.text, None))
                }
                inserted => inserted,
            }
        };
        match self.store.until_answered(session, self.stop, once).await {
            Ok(()) => Ok(Inserted::Done),
            Err(DatabaseError::Refused(refusal)) if is_of(&OF_RECORDS, &refusal.code) => {
                let text = refusal.text.split(": (at row ").next().unwrap_or_default();
                Ok(Inserted::Refused(text.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The rows that the slice has in the table: records of one key are one.
    fn rows(&self, sent: &Sent, stage: &Stage) -> Result<u64, LoadError> {
        if self.terms.mode != Mode::Upsert {
            return Ok(stage.records - sent.refused.len() as u64);
        }
        let mut keys = Sorter::new(files::folder_of(stage.path()));
        let (mut batches, mut number) = (stage.batches(1000)?, 0_u64);
        while let Some(batch) = batches.next()? {
            let places: Vec<usize> = self
                .terms
                .table
                .key
                .iter()
                .filter_map(|name| batch.columns.iter().position(|column| column == name))
                .collect();
            for row in batch.rows() {
                let cells: Vec<&RawValue> = serde_json::from_str(row).map_err(std::io::Error::from)?;
                let mut hash = Sha256::new();
                for cell in places.iter().filter_map(|place| cells.get(*place)) {
                    hash.update(cell.get());
                    hash.update("\n");
                }
                if !sent.refused.contains(&number) {
                    let hash = hash.finalize();
                    let part = |from: usize| {
                        hash.iter().skip(from).take(8).fold(0_u64, |part, byte| part << 8 | u64::from(*byte))
                    };
                    keys.push([part(0), part(8), 0])?;
                }
                number += 1;
            }
        }
        let (mut rows, mut before) = (0, None);
        for key in keys.finish()? {
            let key = Some(key?);
            rows += u64::from(key != before);
            before = key;
        }
        Ok(rows)
    }
}

fn is_of(codes: &[u32], code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| codes.contains(&code))
}
