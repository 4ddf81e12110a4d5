//! What a slice changes in an SQLite file, seen by temporary triggers that only the connection that loads has; and how it is
//! taken back.
//!
//! A row is kept as a JSON array of its cells: numbers that are whole and texts as such, reals by their bits and bytes in
//! hexadecimal digits, so that each comes back as it was.

use super::super::sql::{quote, quoted};
use super::super::{Column, Terms, Undo, UndoEnd, Undone, keyless, other_columns};
use super::{SqliteStore, columns, is_missing_table, ledger, run};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::ledger::Line;
use crate::jobs::load_records::undo::kept::{self, Head, KeptReader, KeptRow, KeptWriter};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, TypeInfo, ValueRef};
use std::fmt::Write as _;
use std::path::Path;

/// Where changes wait until all are made.
const LOG: &str = "_devrev_batch_log";
/// The rows that are to be deleted, each once with its number.
const ADDED: &str = "_devrev_batch_added";

/// Sees what a transaction does to a table.
pub(super) struct Watch {
    columns: Vec<String>,
}

/// `o0, o1, ...`
fn places(letter: char, columns: usize) -> Vec<String> {
    (0..columns).map(|place| format!("{letter}{place}")).collect()
}

/// Columns under another letter that are all as these values.
fn all_as(letter: char, columns: &[String], value: impl Fn(&str) -> String) -> String {
    let same = columns.iter().enumerate().map(|(place, name)| format!("{letter}{place} IS +{}", value(name)));
    same.collect::<Vec<_>>().join(" AND ")
}

impl Watch {
    /// Begins to look, within a transaction.
    pub(super) async fn begin(
        connection: &mut SqliteConnection,
        terms: &Terms,
        known: &[Column],
    ) -> Result<Self, LoadError> {
        let columns: Vec<String> = known.iter().map(|column| column.name.clone()).collect();
        let all = |error: sqlx::Error| LoadError::Settings(format!("undo: true: {}", super::said(&error)));
        if !is_keyed(terms) {
            let sql = format!("SELECT rowid FROM {} LIMIT 0", quote(&terms.table.table));
            sqlx::query(AssertSqlSafe(sql)).fetch_optional(&mut *connection).await.map_err(|error| {
                LoadError::Settings(format!(
                    "undo: true with mode append or replace needs a table with row IDs: {}",
                    super::said(&error)
                ))
            })?;
        }
        for statement in statements(terms, &columns) {
            run(connection, &statement).await.map_err(all)?;
        }
        Ok(Self { columns })
    }

    /// Keeps what was changed, on the disk, and looks no longer.
    pub(super) async fn keep(
        self,
        connection: &mut SqliteConnection,
        path: &Path,
        ledger: Option<Line>,
        failed: impl Fn(sqlx::Error) -> LoadError,
    ) -> Result<(), LoadError> {
        for trigger in ["insert", "update", "delete"] {
            run(connection, &format!("DROP TRIGGER temp._devrev_batch_{trigger}")).await.map_err(&failed)?;
        }
        let width = self.columns.len();
        let mut writer = KeptWriter::create(path, &Head { columns: self.columns, ledger })?;
        let sql = format!(
            "SELECT had, has, {}, {} FROM temp.{LOG}",
            places('o', width).join(", "),
            places('n', width).join(", ")
        );
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let is = |place: usize| row.try_get::<i64, _>(place).map(|truth| truth != 0).map_err(&failed);
            let cells = |from: usize| encoded(&row, from..from + width).map_err(&failed);
            let before = if is(0)? { Some(cells(2)?) } else { None };
            let after = if is(1)? { Some(cells(2 + width)?) } else { None };
            if before != after {
                writer.push(before.as_deref(), after.as_deref())?;
            }
        }
        drop(rows);
        run(connection, &format!("DROP TABLE temp.{LOG}")).await.map_err(&failed)?;
        Ok(writer.finish()?)
    }
}

/// Whether the key alone finds a row.
fn is_keyed(terms: &Terms) -> bool {
    matches!(terms.mode, Mode::Upsert | Mode::Insert)
}

/// The statements that make the log and the triggers which fill it. A row that is changed twice is there once, as it was first
/// and as it is last.
fn statements(terms: &Terms, columns: &[String]) -> Vec<String> {
    let table = quote(&terms.table.table);
    let (old, new) = (places('o', columns.len()), places('n', columns.len()));
    let of = |row: &str| -> String {
        columns.iter().map(|name| format!("{row}.{}", quote(name))).collect::<Vec<_>>().join(", ")
    };
    let (all_old, all_new) = (old.join(", "), new.join(", "));
    // Of a table with a key the key's columns are enough to find a line.
    let by: Vec<String> = columns
        .iter()
        .zip(&new)
        .filter(|(name, _)| !is_keyed(terms) || terms.table.key.contains(name))
        .map(|(_, place)| place.clone())
        .collect();
    let by = if by.is_empty() { new.clone() } else { by };
    let is_old = all_as('n', columns, |name| format!("OLD.{}", quote(name)));
    let found = format!("SELECT rowid FROM {LOG} WHERE has AND {is_old} LIMIT 1");
    let is_null: Vec<String> =
        terms.table.key.iter().map(|name| format!("NEW.{} IS NULL", quote(name))).collect();
    let keyless = if is_keyed(terms) {
        let text = keyless(&terms.table.key.join("`, `")).replace('\'', "''");
        format!("SELECT RAISE(ABORT, '{text}') WHERE {};", is_null.join(" OR "))
    } else {
        String::new()
    };
    let trigger = |what: &str, body: &str| {
        format!(
            "CREATE TEMP TRIGGER _devrev_batch_{what} AFTER {} ON main.{table} BEGIN {body} END",
            what.to_uppercase()
        )
    };
    let set: Vec<String> =
        new.iter().zip(columns).map(|(place, name)| format!("{place} = NEW.{}", quote(name))).collect();
    vec![
        format!("DROP TABLE IF EXISTS temp.{LOG}"),
        format!("CREATE TEMP TABLE {LOG} (had INTEGER NOT NULL, has INTEGER NOT NULL, {all_old}, {all_new})"),
        format!("CREATE INDEX temp._devrev_batch_log_rows ON {LOG} ({})", by.join(", ")),
        trigger(
            "insert",
            &format!("{keyless} INSERT INTO {LOG} (had, has, {all_new}) VALUES (0, 1, {});", of("NEW")),
        ),
        trigger(
            "update",
            &format!(
                "INSERT INTO {LOG} (had, has, {all_old}, {all_new}) SELECT 1, 1, {}, {} WHERE NOT EXISTS ({found}); \
                 UPDATE {LOG} SET {} WHERE rowid = ({found});",
                of("OLD"),
                of("OLD"),
                set.join(", ")
            ),
        ),
        trigger(
            "delete",
            &format!(
                "INSERT INTO {LOG} (had, has, {all_old}, {all_new}) SELECT 1, 1, {}, {} WHERE NOT EXISTS ({found}); \
                 UPDATE {LOG} SET has = 0 WHERE rowid = ({found});",
                of("OLD"),
                of("OLD")
            ),
        ),
    ]
}

/// Cells of a row as a JSON array.
fn encoded(row: &SqliteRow, places: std::ops::Range<usize>) -> Result<String, sqlx::Error> {
    let cells: Result<Vec<Value>, sqlx::Error> = places
        .map(|place| {
            let raw = row.try_get_raw(place)?;
            if raw.is_null() {
                return Ok(Value::Null);
            }
            let kind = raw.type_info().name().to_owned();
            Ok(match kind.as_str() {
                "INTEGER" => json!(row.try_get_unchecked::<i64, _>(place)?),
                "REAL" => {
                    json!({ "real": format!("{:016x}", row.try_get_unchecked::<f64, _>(place)?.to_bits()) })
                }
                "BLOB" => json!({ "bytes": digits(&row.try_get_unchecked::<Vec<u8>, _>(place)?) }),
                _ => json!(row.try_get_unchecked::<String, _>(place)?),
            })
        })
        .collect();
    Ok(Value::Array(cells?).to_string())
}

/// A value of an SQLite row.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The cells of a row that was kept.
fn decoded(row: &RawValue, columns: usize) -> Result<Vec<Cell>, LoadError> {
    let wrong = || {
        let text = "a row that was kept cannot be read: its file has changed";
        LoadError::Disk(std::io::Error::new(std::io::ErrorKind::InvalidData, text))
    };
    let cells: Vec<Value> = serde_json::from_str(row.get()).map_err(|_| wrong())?;
    if cells.len() != columns {
        return Err(wrong());
    }
    let cell = |cell: Value| {
        Some(match cell {
            Value::Null => Cell::Null,
            Value::Number(number) => Cell::Integer(number.as_i64()?),
            Value::String(text) => Cell::Text(text),
            Value::Object(typed) => match (typed.get("real"), typed.get("bytes")) {
                (Some(bits), None) => {
                    Cell::Real(f64::from_bits(u64::from_str_radix(bits.as_str()?, 16).ok()?))
                }
                (None, Some(digits)) => Cell::Bytes(bytes(digits.as_str()?)?),
                _ => return None,
            },
            _ => return None,
        })
    };
    cells.into_iter().map(|one| cell(one).ok_or_else(wrong)).collect()
}

/// Bytes in hexadecimal digits.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A statement with these cells.
fn bound(sql: &str, cells: impl IntoIterator<Item = Cell>) -> Statement<'_> {
    cells.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, cell| match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Integer(number) => query.bind(number),
        Cell::Real(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
        Cell::Bytes(bytes) => query.bind(bytes),
    })
}

/// The statements of an undo.
struct Back<'a> {
    terms: &'a Terms,
    columns: &'a [String],
}

impl Back<'_> {
    fn table(&self) -> String {
        quote(&self.terms.table.table)
    }

    /// The row that is as it was left, whose cells begin at a place. By its key first, which an index finds; a key is no NULL.
    fn is_as_left(&self, from: usize) -> String {
        let place =
            |name: &String| self.columns.iter().position(|other| other == name).unwrap_or_default() + from;
        let keys =
            self.terms.table.key.iter().filter(|name| is_keyed(self.terms) && self.columns.contains(name));
        let keys = keys.map(|name| format!("{} = ?{}", quote(name), place(name)));
        let cells =
            self.columns.iter().map(|name| format!("{} COLLATE BINARY IS ?{}", quote(name), place(name)));
        keys.chain(cells).collect::<Vec<_>>().join(" AND ")
    }

    fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE {}", self.table(), self.is_as_left(1))
    }

    fn update(&self) -> String {
        let set: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(place, name)| format!("{} = ?{}", quote(name), place + 1))
            .collect();
        let is_it = self.is_as_left(self.columns.len() + 1);
        let is_it = if is_keyed(self.terms) {
            is_it
        } else {
            format!("rowid = (SELECT rowid FROM {} WHERE {is_it} LIMIT 1)", self.table())
        };
        format!("UPDATE {} SET {} WHERE {is_it}", self.table(), set.join(", "))
    }

    fn insert(&self) -> String {
        let values: Vec<String> = (1..=self.columns.len()).map(|place| format!("?{place}")).collect();
        format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            self.table(),
            quoted(self.columns),
            values.join(", ")
        )
    }

    /// Deletes of each row that was added as many as were added: where nothing tells equal rows apart, any will do.
    fn delete_added(&self) -> [String; 4] {
        let places = places('n', self.columns.len());
        let (all, table) = (places.join(", "), self.table());
        let same = all_as('n', self.columns, |name| format!("t.{}", quote(name)));
        [
            format!("DROP TABLE IF EXISTS temp.{ADDED}_once"),
            format!(
                "CREATE TEMP TABLE {ADDED}_once AS SELECT {all}, count(*) AS times FROM temp.{ADDED} GROUP BY {all}"
            ),
            format!("CREATE INDEX temp.{ADDED}_rows ON {ADDED}_once ({all})"),
            format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT id FROM (SELECT t.rowid AS id, a.times AS times, row_number() OVER \
                 (PARTITION BY a.rowid) AS number FROM {table} AS t CROSS JOIN temp.{ADDED}_once AS a WHERE {same}) WHERE number \
                 <= times)"
            ),
        ]
    }
}

impl SqliteStore {
    pub(in crate::jobs::load_records::store) async fn undo(
        &self,
        undo: Undo<'_>,
        stop: &Stop,
    ) -> Result<UndoEnd, LoadError> {
        let mut writer = self.writer.lock().await;
        let mut connection = match writer.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let undone = self.take_back(&mut connection, undo, stop).await;
        let end = if matches!(undone, Ok(UndoEnd::Now(_))) { "COMMIT" } else { "ROLLBACK" };
        match run(&mut connection, end).await {
            Ok(()) => *writer = Some(connection),
            // A connection that cannot end its transaction is given up; without a commit nothing has happened.
            Err(error) if undone.is_ok() => return Err(self.failed(&error)),
            Err(_) => {}
        }
        undone
    }

    async fn take_back(
        &self,
        connection: &mut SqliteConnection,
        undo: Undo<'_>,
        stop: &Stop,
    ) -> Result<UndoEnd, LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let Undo { terms, slice, kept, before_commit } = undo;
        run(connection, "BEGIN IMMEDIATE").await.map_err(failed)?;
        let id = slice.id();
        let line = match ledger::lines(connection, &terms.load, Some(&id)).await {
            Ok(mut lines) => lines.pop(),
            Err(error) if is_missing_table(&error) => None,
            Err(error) => return Err(failed(error)),
        };
        match line {
            Some(line) if line.entry.run == terms.run => {}
            other => return Ok(UndoEnd::Otherwise(other.map(|line| line.entry))),
        }
        let reader = KeptReader::open(kept)?;
        let mut undone = Undone::default();
        if reader.counts != kept::KeptCounts::default() {
            let known = columns(connection, &terms.table.table).await.map_err(failed)?;
            if !known.iter().map(|column| &column.name).eq(&reader.head.columns) {
                return Err(other_columns(terms));
            }
            let back = Back { terms, columns: &reader.head.columns };
            self.remove(connection, &back, kept, stop, &mut undone).await?;
            self.put_back(connection, &back, kept, stop, &mut undone).await?;
        }
        ledger::remove(connection, &terms.load, &id).await.map_err(failed)?;
        if let Some(line) = &reader.head.ledger {
            ledger::write(connection, &terms.load, line).await.map_err(failed)?;
        }
        before_commit(undone).await?;
        Ok(UndoEnd::Now(undone))
    }

    /// Deletes the rows that were added.
    async fn remove(
        &self,
        connection: &mut SqliteConnection,
        back: &Back<'_>,
        kept: &Path,
        stop: &Stop,
        undone: &mut Undone,
    ) -> Result<(), LoadError> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let width = back.columns.len();
        let mut reader = KeptReader::open(kept)?;
        let added = reader.counts.inserted;
        let is_alone = is_keyed(back.terms);
        let places = places('n', width);
        if !is_alone {
            run(connection, &format!("DROP TABLE IF EXISTS temp.{ADDED}")).await.map_err(failed)?;
            run(connection, &format!("CREATE TEMP TABLE {ADDED} ({})", places.join(", ")))
                .await
                .map_err(failed)?;
        }
        let marks: Vec<String> = (1..=width).map(|place| format!("?{place}")).collect();
        let sql = if is_alone {
            back.delete()
        } else {
            format!("INSERT INTO temp.{ADDED} VALUES ({})", marks.join(", "))
        };
        let mut removed = 0;
        while let Some(KeptRow(before, after)) = reader.next()? {
            let (None, Some(after)) = (before, after) else { continue };
            if stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            let done =
                bound(&sql, decoded(&after, width)?).execute(&mut *connection).await.map_err(failed)?;
            removed += done.rows_affected();
        }
        if !is_alone {
            removed = 0;
            for statement in back.delete_added() {
                let done =
                    sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(failed)?;
                removed = done.rows_affected();
            }
            for table in [ADDED.to_owned(), format!("{ADDED}_once")] {
                run(connection, &format!("DROP TABLE temp.{table}")).await.map_err(failed)?;
            }
        }
        undone.removed = removed;
        undone.left += added.saturating_sub(removed);
        Ok(())
    }

    /// Gives rows back what they had, and brings those back that were deleted.
    async fn put_back(
        &self,
        connection: &mut SqliteConnection,
        back: &Back<'_>,
        kept: &Path,
        stop: &Stop,
        undone: &mut Undone,
    ) -> Result<(), LoadError> {
        let width = back.columns.len();
        let (update, insert) = (back.update(), back.insert());
        for of_changed in [true, false] {
            let mut reader = KeptReader::open(kept)?;
            while let Some(KeptRow(before, after)) = reader.next()? {
                let Some(before) = before.filter(|_| after.is_some() == of_changed) else { continue };
                if stop.is_set() {
                    return Err(LoadError::Interrupted);
                }
                let mut cells = decoded(&before, width)?;
                if let Some(after) = &after {
                    cells.extend(decoded(after, width)?);
                }
                let sql = if of_changed { &update } else { &insert };
                let done =
                    bound(sql, cells).execute(&mut *connection).await.map_err(|error| self.failed(&error))?;
                match done.rows_affected() {
                    0 => undone.left += 1,
                    _ if of_changed => undone.restored += 1,
                    _ => undone.returned += 1,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were() {
        let text = json!([null, -9_223_372_036_854_775_808_i64, {"real": format!("{:016x}", 0.1_f64.to_bits())}, "a\u{0}é", {"bytes": "00ff"}]);
        let raw = RawValue::from_string(text.to_string()).unwrap();
        let cells = decoded(&raw, 5).unwrap();
        let wanted = [
            Cell::Null,
            Cell::Integer(i64::MIN),
            Cell::Real(0.1),
            Cell::Text("a\0é".to_owned()),
            Cell::Bytes(vec![0, 255]),
        ];
        assert_eq!(cells, wanted);
        assert!(decoded(&raw, 4).is_err());
        for wrong in ["[{}]", "[1.5]", "[true]", "[{\"bytes\":\"0g\"}]", "{}"] {
            assert!(decoded(&RawValue::from_string(wrong.to_owned()).unwrap(), 1).is_err(), "{wrong}");
        }
    }
}
