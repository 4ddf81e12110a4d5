//! What a slice changes in a PostgreSQL table, gathered in temporary tables of the transaction that loads it; and how it is
//! taken back.
//!
//! A row is kept as the text of an array of its columns' texts, which PostgreSQL reads as it has written it.

use super::super::sql::{qualified, quote, quoted};
use super::super::{Terms, Undo, UndoEnd, Undone, other_columns};
use super::copy::{PIECE, push};
use super::{PostgresStore, asked};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::ledger::Line;
use crate::jobs::load_records::undo::kept::{Head, KeptCounts, KeptReader, KeptRow, KeptWriter};
use crate::stop::Stop;
use futures_util::TryStreamExt;
use sqlx::{PgConnection, Row};
use std::path::Path;

/// Rows before and after, where a statement says both.
const KEPT: &str = "pg_temp._devrev_batch_kept";
/// The rows of the table whose keys come, as they were before.
const BEFORE: &str = "pg_temp._devrev_batch_before";
/// The keys that were written, and whether the row was made.
const TOUCHED: &str = "pg_temp._devrev_batch_touched";
/// What an undo goes by.
const BACK: &str = "pg_temp._devrev_batch_back";

/// A column that is kept: those that PostgreSQL computes are left out.
struct KeptColumn {
    name: String,
    kind: String,
    /// Whether it may be set.
    is_settable: bool,
    /// Whether its table is partitioned.
    is_of_parted: bool,
}

/// Sees what a transaction does to a table.
pub(super) struct Watch {
    table: String,
    columns: Vec<KeptColumn>,
    /// The columns by which rows are found that an upsert changes.
    key: Option<Vec<String>>,
    /// Whether a row that an insertion returns was not there before.
    made: &'static str,
}

/// A row as it is kept, of a table with this name before the point.
fn row_of(columns: &[KeptColumn], table: &str) -> String {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| format!("CAST({table}{} AS text) COLLATE \"C\"", quote(&column.name)))
        .collect();
    format!("ARRAY[{}]", cells.join(", "))
}

/// Whether the keys of two tables are the same.
fn same_key(key: &[String], one: &str, other: &str) -> String {
    let same: Vec<String> = key.iter().map(|name| format!("{one}.{0} = {other}.{0}", quote(name))).collect();
    same.join(" AND ")
}

fn of_table(key: &[String], table: &str) -> String {
    key.iter().map(|name| format!("{table}.{}", quote(name))).collect::<Vec<_>>().join(", ")
}

impl Watch {
    /// Begins to look, within a transaction.
    pub(super) async fn begin(
        store: &PostgresStore,
        connection: &mut PgConnection,
        terms: &Terms,
    ) -> Result<Self, LoadError> {
        let columns = store.kept_columns(connection, terms).await?;
        let table = qualified(&terms.table.table);
        // PostgreSQL does not tell of a partitioned table whether a row was there, so nobody else may write meanwhile.
        let is_parted = columns.first().is_some_and(|column| column.is_of_parted);
        let made = if is_parted { "true" } else { "xmax = 0" };
        if is_parted && terms.mode == Mode::Upsert {
            store.run(connection, &format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")).await?;
        }
        let key = (terms.mode == Mode::Upsert).then(|| terms.table.key.clone());
        let make = match &key {
            None => format!("CREATE TEMP TABLE {} (before text[], after text[]) ON COMMIT DROP", bare(KEPT)),
            Some(key) => {
                let key = quoted(key);
                format!(
                    "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {key}, CAST(NULL AS text[]) AS _row FROM {table} WITH NO DATA; \
                     CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {key}, false AS _made FROM {table} WITH NO DATA; \
                     CREATE INDEX ON {TOUCHED} ({key}); CREATE INDEX ON {BEFORE} ({key})",
                    bare(BEFORE),
                    bare(TOUCHED)
                )
            }
        };
        store.run(connection, &make).await?;
        Ok(Self { table, columns, key, made })
    }

    /// The same deletion, seen.
    pub(super) fn deleting(&self, delete: &str) -> String {
        let row = row_of(&self.columns, "");
        format!("WITH gone AS ({delete} RETURNING {row} AS r) INSERT INTO {KEPT} (before) SELECT r FROM gone")
    }

    /// What looks at the rows whose keys come, and locks them; their keys are those of the records `from`.
    pub(super) fn looking(&self, keys: &[&str], from: &str) -> Option<String> {
        let key = self.key.as_ref()?;
        let of_t = of_table(key, "t");
        Some(format!(
            "INSERT INTO {BEFORE} SELECT {of_t}, {} FROM {} AS t WHERE ({of_t}) IN (SELECT {} {from}) AND NOT EXISTS (SELECT FROM \
             {TOUCHED} AS d WHERE {}) ORDER BY {of_t} FOR UPDATE OF t",
            row_of(&self.columns, "t."),
            self.table,
            keys.join(", "),
            same_key(key, "d", "t")
        ))
    }

    /// The same insertion, seen.
    pub(super) fn inserting(&self, insert: &str) -> String {
        match &self.key {
            None => {
                let row = row_of(&self.columns, "");
                format!(
                    "WITH made AS ({insert} RETURNING {row} AS r) INSERT INTO {KEPT} (after) SELECT r FROM made"
                )
            }
            Some(key) => {
                let key = quoted(key);
                format!(
                    "WITH made AS ({insert} RETURNING {key}, {} AS _made) INSERT INTO {TOUCHED} SELECT {key}, _made FROM made",
                    self.made
                )
            }
        }
    }

    /// Keeps what was changed, on the disk.
    pub(super) async fn keep(
        self,
        store: &PostgresStore,
        connection: &mut PgConnection,
        path: &Path,
        ledger: Option<Line>,
    ) -> Result<(), LoadError> {
        let failed = |error: sqlx::Error| store.failed(error);
        let select = match &self.key {
            None => format!("SELECT CAST(before AS text), CAST(after AS text) FROM {KEPT}"),
            Some(key) => {
                store.run(connection, &format!("ANALYZE {BEFORE}; ANALYZE {TOUCHED}")).await?;
                let unseen = format!(
                    "SELECT EXISTS (SELECT FROM {TOUCHED} AS d WHERE NOT d._made AND NOT EXISTS (SELECT FROM {BEFORE} AS b WHERE {}) \
                     AND NOT EXISTS (SELECT FROM {TOUCHED} AS e WHERE e._made AND {}))",
                    same_key(key, "b", "d"),
                    same_key(key, "e", "d")
                );
                let row = asked(&unseen).fetch_one(&mut *connection).await.map_err(failed)?;
                if row.try_get::<bool, _>(0).map_err(failed)? {
                    // It came between the look and the insertion: what it was before is not known, so all is done again.
                    let text =
                        format!("another process has added a row to {} with a key of this slice", self.table);
                    return Err(LoadError::Unreachable(text));
                }
                let row = row_of(&self.columns, "t.");
                format!(
                    "SELECT CAST(b._row AS text), CAST({row} AS text) FROM (SELECT DISTINCT {} FROM {TOUCHED} AS d) AS d JOIN {} AS t \
                     ON {} LEFT JOIN {BEFORE} AS b ON {} WHERE b._row IS DISTINCT FROM {row}",
                    of_table(key, "d"),
                    self.table,
                    same_key(key, "t", "d"),
                    same_key(key, "b", "d")
                )
            }
        };
        let columns = self.columns.into_iter().map(|column| column.name).collect();
        let mut writer = KeptWriter::create(path, &Head { columns, ledger })?;
        let mut rows = asked(&select).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let text = |place: usize| row.try_get::<Option<String>, _>(place).map_err(failed);
            let json = |text: Option<String>| text.map(|text| serde_json::Value::from(text).to_string());
            let (before, after) = (json(text(0)?), json(text(1)?));
            writer.push(before.as_deref(), after.as_deref())?;
        }
        Ok(writer.finish()?)
    }
}

/// A temporary table's name, without its schema.
fn bare(table: &str) -> &str {
    table.trim_start_matches("pg_temp.")
}

impl PostgresStore {
    async fn kept_columns(
        &self,
        connection: &mut PgConnection,
        terms: &Terms,
    ) -> Result<Vec<KeptColumn>, LoadError> {
        let failed = |error: sqlx::Error| self.failed(error);
        let rows = asked(
            "SELECT a.attname::text, format_type(a.atttypid, -1), a.attidentity <> 'a', c.relkind IN ('r', 'p'), c.relkind = 'p' \
             FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 \
             AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        );
        let rows = rows.bind(qualified(&terms.table.table)).fetch_all(connection).await.map_err(failed)?;
        let mut columns = Vec::with_capacity(rows.len());
        for row in &rows {
            if !row.try_get::<bool, _>(3).map_err(failed)? {
                let text = format!("undo: true needs a table, and `{}` is none", terms.table.table);
                return Err(LoadError::Settings(text));
            }
            let text = |place: usize| row.try_get::<String, _>(place).map_err(failed);
            let is = |place: usize| row.try_get::<bool, _>(place).map_err(failed);
            let (is_settable, is_of_parted) = (is(2)?, is(4)?);
            columns.push(KeptColumn { name: text(0)?, kind: text(1)?, is_settable, is_of_parted });
        }
        Ok(columns)
    }

    pub(in crate::jobs::load_records::store) async fn undo(
        &self,
        undo: Undo<'_>,
        stop: &Stop,
    ) -> Result<UndoEnd, LoadError> {
        self.until_answered(stop, || async {
            let _writer = self.writers.acquire().await.map_err(|_| LoadError::Interrupted)?;
            // On the heap: it is large.
            Box::pin(self.take_back(undo)).await
        })
        .await
    }

    async fn take_back(&self, undo: Undo<'_>) -> Result<UndoEnd, LoadError> {
        let Undo { terms, slice, kept, before_commit } = undo;
        let mut connection = self.connection().await?;
        let begin = format!(
            "{}; SET CONSTRAINTS ALL IMMEDIATE",
            self.postgres.begin_statements("READ COMMITTED READ WRITE")
        );
        self.run(&mut connection, &begin).await?;
        let id = slice.id();
        let line = if self.has_ledger(&mut connection).await? {
            self.lines_of(&mut connection, &terms.load, Some(&id)).await?.pop()
        } else {
            None
        };
        match line {
            Some(line) if line.entry.run == terms.run => {}
            other => {
                self.run(&mut connection, "ROLLBACK").await?;
                self.keep(connection);
                return Ok(UndoEnd::Otherwise(other.map(|line| line.entry)));
            }
        }
        let mut reader = KeptReader::open(kept)?;
        let mut undone = Undone::default();
        let KeptCounts { inserted, changed, deleted } = reader.counts;
        if inserted + changed + deleted > 0 {
            let columns = self.kept_columns(&mut connection, terms).await?;
            if !columns.iter().map(|column| &column.name).eq(&reader.head.columns) {
                return Err(other_columns(terms));
            }
            self.send_back(&mut connection, &mut reader).await?;
            let back = Back { terms, table: qualified(&terms.table.table), columns: &columns };
            if inserted > 0 {
                undone.removed = self.run(&mut connection, &back.delete()).await?;
            }
            if changed > 0 {
                undone.restored = self.run(&mut connection, &back.update()).await?;
            }
            if deleted > 0 {
                undone.returned = self.run(&mut connection, &back.insert()).await?;
            }
            let done = undone.removed + undone.restored + undone.returned;
            undone.left = (inserted + changed + deleted).saturating_sub(done);
        }
        self.give_back(&mut connection, &terms.load, &id, reader.head.ledger.as_ref()).await?;
        before_commit(undone).await?;
        self.run(&mut connection, "COMMIT").await?;
        self.keep(connection);
        Ok(UndoEnd::Now(undone))
    }

    /// Copies what was kept into a temporary table.
    async fn send_back(
        &self,
        connection: &mut PgConnection,
        reader: &mut KeptReader,
    ) -> Result<(), LoadError> {
        let make = format!(
            "CREATE TEMP TABLE {} (n bigint NOT NULL, before text[], after text[]) ON COMMIT DROP",
            bare(BACK)
        );
        self.run(connection, &make).await?;
        let failed = |error: sqlx::Error| self.failed(error);
        let mut copy = connection.copy_in_raw(&format!("COPY {BACK} FROM STDIN")).await.map_err(failed)?;
        let mut piece = Vec::with_capacity(PIECE + (64 << 10));
        let mut number = 0_u64;
        while let Some(KeptRow(before, after)) = reader.next()? {
            piece.extend_from_slice(number.to_string().as_bytes());
            number += 1;
            for row in [before, after] {
                let text = row.map(|row| serde_json::from_str::<String>(row.get())).transpose();
                piece.push(b'\t');
                push(&mut piece, text.map_err(std::io::Error::from)?.as_deref());
            }
            piece.push(b'\n');
            if piece.len() >= PIECE {
                copy.send(piece.as_slice()).await.map_err(failed)?;
                piece.clear();
            }
        }
        copy.send(piece.as_slice()).await.map_err(failed)?;
        copy.finish().await.map_err(failed)?;
        self.run(connection, &format!("ANALYZE {BACK}")).await.map(drop)
    }
}

/// The statements of an undo.
struct Back<'a> {
    terms: &'a Terms,
    table: String,
    columns: &'a [KeptColumn],
}

impl Back<'_> {
    /// A column's value of a row that was kept.
    fn value(&self, row: &str, name: &str) -> String {
        let place = self.columns.iter().position(|column| column.name == name).unwrap_or_default();
        let kind = self.columns.get(place).map_or("text", |column| &column.kind);
        format!("CAST({row}[{}] AS {kind})", place + 1)
    }

    /// Deletes of each row that was added as many as were added: where nothing tells equal rows apart, any will do.
    fn delete(&self) -> String {
        let added = "before IS NULL AND after IS NOT NULL";
        let key = &self.terms.table.key;
        let values: Vec<String> = key.iter().map(|name| self.value("after", name)).collect();
        // By the key an index finds them.
        let by_key = if key.is_empty() {
            String::new()
        } else {
            format!(
                " WHERE ({}) IN (SELECT {} FROM {BACK} WHERE {added})",
                of_table(key, "t"),
                values.join(", ")
            )
        };
        format!(
            "WITH mine AS (SELECT after AS r, count(*) AS times FROM {BACK} WHERE {added} GROUP BY after), \
             there AS (SELECT t.ctid AS id, t.tableoid AS part, {} AS r FROM {table} AS t{by_key}), \
             numbered AS (SELECT there.id, there.part, mine.times, row_number() OVER (PARTITION BY mine.r) AS number \
             FROM there JOIN mine ON mine.r = there.r) \
             DELETE FROM {table} AS t USING numbered AS x WHERE t.ctid = x.id AND t.tableoid = x.part AND x.number <= x.times",
            row_of(self.columns, "t."),
            table = self.table
        )
    }

    /// Gives rows back what they had, where they are as the load left them.
    fn update(&self) -> String {
        let set: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.is_settable)
            .map(|column| format!("{} = {}", quote(&column.name), self.value("b.before", &column.name)))
            .collect();
        let keys: Vec<String> = self
            .terms
            .table
            .key
            .iter()
            .map(|name| format!("t.{} = {}", quote(name), self.value("b.after", name)))
            .collect();
        format!(
            "UPDATE {} AS t SET {} FROM {BACK} AS b WHERE b.before IS NOT NULL AND {} AND {} = b.after",
            self.table,
            set.join(", "),
            keys.join(" AND "),
            row_of(self.columns, "t.")
        )
    }

    /// Brings rows back that were deleted, where nothing has taken their place.
    fn insert(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let values: Vec<String> = names.iter().map(|name| self.value("before", name)).collect();
        format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {BACK} WHERE after IS NULL ORDER BY n ON CONFLICT DO NOTHING",
            self.table,
            quoted(&names),
            values.join(", ")
        )
    }
}
