//! How far a load is in each partition of its topics: a table of the target, advanced in the transaction that writes the records.

use super::offsets::Offsets;
use serde::{Deserialize, Serialize};
use std::ops::Sub;

/// The table.
pub(super) const TABLE: &str = "_devrev_batch_offsets";

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Partition {
    /// The cluster, as its brokers call it.
    pub cluster: String,
    /// The topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i64,
}

/// How far a load is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The partition.
    pub of: Partition,
    /// The next offset.
    pub next: i64,
    /// The last message that was taken.
    pub last: Option<Last>,
    /// Of what decided what its records were.
    pub digest: String,
    /// The run that advanced it last.
    pub run: String,
    /// What that run has taken.
    pub taken: Taken,
    /// When, in UTC: RFC 3339.
    pub at: String,
}

/// A message by which a topic that was made anew is told from what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    /// Its offset.
    pub offset: i64,
    /// Of its time, key and value.
    pub digest: String,
}

/// What has become of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Records in the target.
    pub records: u64,
    /// Records that were not loaded.
    pub rejected: u64,
    /// Records whose key came again: with others that were taken with them or, by mode insert, in the table.
    pub repeated: u64,
    /// Messages without a value that were left out.
    pub tombstones: u64,
    /// Offsets that the brokers have removed before they were taken.
    pub lost: u64,
}

impl Sub for Taken {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_sub(other.records),
            rejected: self.rejected.saturating_sub(other.rejected),
            repeated: self.repeated.saturating_sub(other.repeated),
            tombstones: self.tombstones.saturating_sub(other.tombstones),
            lost: self.lost.saturating_sub(other.lost),
        }
    }
}

impl Taken {
    /// Adds what has become of other messages.
    pub(super) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.rejected += other.rejected;
        self.repeated += other.repeated;
        self.tombstones += other.tombstones;
        self.lost += other.lost;
    }
}

impl Partition {
    /// That of a slice.
    pub(super) fn of(offsets: &Offsets) -> Self {
        let Offsets { cluster, topic, partition, .. } = offsets.clone();
        Self { cluster, topic, partition }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }
}

/// A step of a load in a partition: the messages from one offset to before another, whose records are in a stage.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The partition.
    pub of: Partition,
    /// The first offset, which the table has to have as the next one.
    pub from: i64,
    /// The next offset after it.
    pub next: i64,
    /// The last message; none where there was none.
    pub last: Option<Last>,
    /// Messages without a value that were left out.
    pub tombstones: u64,
    /// Offsets that the brokers have removed.
    pub lost: u64,
}

/// What has become of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Advanced {
    /// Its records are in the target, and the table says so.
    Now(Position),
    /// Somebody else has come to another offset. Nothing was written.
    Elsewhere(Position),
}

/// The statements, which PostgreSQL and SQLite have in common but for what their clocks are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statements {
    /// The type of whole numbers.
    pub number: &'static str,
    /// The type of times.
    pub time: &'static str,
    /// This moment.
    pub now: &'static str,
    /// A time as text.
    pub shown: &'static str,
    /// What makes rows stay as they were read until the transaction ends.
    pub lock: &'static str,
    /// What a table of its kind ends with.
    pub ending: &'static str,
}

impl Statements {
    pub(super) fn create(&self) -> String {
        let Self { number, time, ending, .. } = self;
        format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (load text NOT NULL, cluster text NOT NULL, topic text NOT NULL, partition {number} \
             NOT NULL, next_offset {number} NOT NULL, last_offset {number}, last_message text, digest text NOT NULL, run text NOT \
             NULL, records {number} NOT NULL, rejected {number} NOT NULL, repeated {number} NOT NULL, tombstones {number} NOT NULL, \
             lost {number} NOT NULL, advanced_at {time} NOT NULL, PRIMARY KEY (load, cluster, topic, partition)){ending}"
        )
    }

    /// Of a load: all of it.
    pub(super) fn list(&self) -> String {
        format!("{} ORDER BY cluster, topic, partition", self.select())
    }

    /// Of a load, a cluster, a topic and a partition.
    pub(super) fn one(&self) -> String {
        format!("{} AND cluster = $2 AND topic = $3 AND partition = $4{}", self.select(), self.lock)
    }

    fn select(&self) -> String {
        format!(
            "SELECT cluster, topic, partition, next_offset, last_offset, last_message, digest, run, records, rejected, repeated, \
             tombstones, lost, {} FROM {TABLE} WHERE load = $1",
            self.shown
        )
    }

    /// Of a load, a cluster, a topic, a partition, the next offset, the digest and the run.
    pub(super) fn claim(&self) -> String {
        format!(
            "INSERT INTO {TABLE} (load, cluster, topic, partition, next_offset, digest, run, records, rejected, repeated, tombstones, \
             lost, advanced_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, {}) ON CONFLICT DO NOTHING",
            self.now
        )
    }

    /// Of a load, a cluster, a topic, a partition, the first offset, the next one, the last message's offset and digest, the
    /// job's digest, the run, and what was taken.
    pub(super) fn advance(&self) -> String {
        let names = ["records", "rejected", "repeated", "tombstones", "lost"];
        let counts = names.iter().enumerate().map(|(place, name)| {
            format!("{name} = CASE WHEN run = $10 THEN {name} ELSE 0 END + ${}", place + 11)
        });
        format!(
            "UPDATE {TABLE} SET next_offset = $6, last_offset = COALESCE($7, last_offset), last_message = COALESCE($8, last_message), \
             digest = $9, run = $10, {}, advanced_at = {} WHERE load = $1 AND cluster = $2 AND topic = $3 AND partition = $4 AND \
             next_offset = $5",
            counts.collect::<Vec<_>>().join(", "),
            self.now
        )
    }

    /// Of a load, a cluster, a topic and a partition.
    pub(super) fn remove() -> String {
        format!("DELETE FROM {TABLE} WHERE load = $1 AND cluster = $2 AND topic = $3 AND partition = $4")
    }
}

/// A number as a database has it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A query of [`Statements`] with the values that say which partition of which load it is.
macro_rules! of_partition {
    ($query:expr, $load:expr, $of:expr) => {
        $query.bind($load).bind(&$of.cluster).bind(&$of.topic).bind($of.partition)
    };
}

/// The query of [`Statements::claim`] with its values.
macro_rules! claiming {
    ($query:expr, $terms:expr, $of:expr, $next:expr) => {
        of_partition!($query, &$terms.load, $of).bind($next).bind(&$terms.digest).bind(&$terms.run)
    };
}

/// The query of [`Statements::advance`] with its values.
macro_rules! advancing {
    ($query:expr, $terms:expr, $step:expr, $taken:expr) => {{
        let (last, taken) = ($step.last.as_ref(), $taken);
        let query = of_partition!($query, &$terms.load, $step.of).bind($step.from).bind($step.next);
        let query = query.bind(last.map(|last| last.offset)).bind(last.map(|last| last.digest.as_str()));
        [taken.records, taken.rejected, taken.repeated, taken.tombstones, taken.lost]
            .into_iter()
            .fold(query.bind(&$terms.digest).bind(&$terms.run), |query, count| {
                query.bind($crate::jobs::load_records::positions::stored(count))
            })
    }};
}

/// A row of [`Statements::list`] as a position.
macro_rules! position_of {
    ($row:expr) => {{
        let row = $row;
        let count = |place: usize| -> Result<u64, sqlx::Error> {
            Ok(u64::try_from(row.try_get::<i64, _>(place)?).unwrap_or_default())
        };
        let last: Option<i64> = row.try_get(4)?;
        let digest: Option<String> = row.try_get(5)?;
        Ok(Position {
            of: Partition { cluster: row.try_get(0)?, topic: row.try_get(1)?, partition: row.try_get(2)? },
            next: row.try_get(3)?,
            last: last.zip(digest).map(|(offset, digest)| Last { offset, digest }),
            digest: row.try_get(6)?,
            run: row.try_get(7)?,
            taken: Taken {
                records: count(8)?,
                rejected: count(9)?,
                repeated: count(10)?,
                tombstones: count(11)?,
                lost: count(12)?,
            },
            at: row.try_get(13)?,
        })
    }};
}

pub(super) use {advancing, claiming, of_partition, position_of};
