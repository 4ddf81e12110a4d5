//! The transaction that loads a slice: claim it in the ledger, copy its records into a temporary table, insert them from
//! there, and write down what was loaded.
//!
//! The temporary table has text alone, so that a value which its column does not take is met by the insert, where the record
//! that has it is found by halving. Where no key is looked at, the records are copied into the table itself first
//! ([`super::direct`]).

use super::super::infer::{self, Kind};
use super::super::sql::{INTO, create_table, on_conflict, qualified, quote, quoted};
use super::super::{Column, Loaded, Terms, conflicting, refused, replaced, whole};
use super::copy::{Piece, Pieces};
use super::undo::Watch;
use super::{IDIOM, MAKING_TABLES, PostgresStore, asked, bound, number, of_record};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::ledger::{Ledger, Line, TABLE};
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::{Finder, RejectsMark, Stage};
use crate::jobs::load_records::undo::kept::{self, Head, KeptWriter};
use sqlx::{AssertSqlSafe, PgConnection};
use std::io;
use std::ops::Range;

/// Where a slice's records wait.
const STAGE: &str = "pg_temp._devrev_batch_stage";

/// Loads a slice, unless it is loaded. All of it and its entry in the ledger, or nothing: whatever fails drops the connection.
pub(super) async fn slice(
    store: &PostgresStore,
    terms: &Terms,
    slice: &Slice,
    open: bool,
    stage: &mut Stage,
    mark: &RejectsMark,
) -> Result<Loaded, LoadError> {
    let mut connection = store.connection().await?;
    store.ledger.get_or_try_init(|| make_ledger(store)).await?;
    let begin = format!(
        "{}; SET CONSTRAINTS ALL IMMEDIATE",
        store.postgres.begin_statements("READ COMMITTED READ WRITE")
    );
    store.run(&mut connection, &begin).await?;
    let mut writer = Writer { store, connection: &mut connection, terms };
    let loaded = match writer.claim(slice, open).await? {
        Claim::Loaded(before) => before,
        Claim::Free(before) => {
            stage.rejected.back_to(mark)?;
            writer.write(slice, before, stage).await?
        }
    };
    let end = if matches!(loaded, Loaded::Now { .. }) { "COMMIT" } else { "ROLLBACK" };
    store.run(&mut connection, end).await?;
    store.keep(connection);
    Ok(loaded)
}

/// Makes the ledger's table if it is not there: in a transaction of its own, so that no other slice waits for it.
async fn make_ledger(store: &PostgresStore) -> Result<(), LoadError> {
    let mut connection = store.connection().await?;
    // Asked first: whoever may write to the table need not be allowed to make it.
    if !store.has_ledger(&mut connection).await? {
        let make = format!(
            "BEGIN; {MAKING_TABLES}; CREATE TABLE IF NOT EXISTS {TABLE} (load text NOT NULL, slice text NOT NULL, name text \
             NOT NULL, digest text NOT NULL, rows bigint NOT NULL, rejected bigint NOT NULL, run text NOT NULL, open boolean \
             NOT NULL, loaded_at timestamptz NOT NULL, PRIMARY KEY (load, slice)); \
             CREATE INDEX IF NOT EXISTS {TABLE}_at ON {TABLE} (load, loaded_at); COMMIT"
        );
        store.run(&mut connection, &make).await?;
    }
    store.keep(connection);
    Ok(())
}

/// What the ledger says of a slice that is to be loaded.
enum Claim {
    /// There is nothing to do.
    Loaded(Loaded),
    /// It is this transaction's. The ledger had this before.
    Free(Option<Line>),
}

/// A slice's transaction.
pub(super) struct Writer<'a> {
    pub(super) store: &'a PostgresStore,
    pub(super) connection: &'a mut PgConnection,
    pub(super) terms: &'a Terms,
}

/// Records that have the same columns and follow each other: from a number to before another.
type Part = (Range<u64>, Vec<String>);

impl Writer<'_> {
    pub(super) async fn run(&mut self, sql: &str) -> Result<u64, LoadError> {
        self.store.run(self.connection, sql).await
    }

    /// Writes the slice into the ledger; waits for another process that does so.
    async fn claim(&mut self, slice: &Slice, open: bool) -> Result<Claim, LoadError> {
        let terms = self.terms;
        let failed = |error: sqlx::Error| self.store.failed(error);
        let id = slice.id();
        let sql = format!(
            "INSERT INTO {TABLE} (load, slice, name, digest, run, open, rows, rejected, loaded_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, now()) ON CONFLICT (load, slice) DO NOTHING"
        );
        let claim = asked(&sql).bind(&terms.load).bind(&id).bind(slice.name()).bind(&terms.digest);
        let claimed =
            claim.bind(&terms.run).bind(open).execute(&mut *self.connection).await.map_err(failed)?;
        if claimed.rows_affected() > 0 {
            return Ok(Claim::Free(None));
        }
        let lines = self.store.lines_of(self.connection, &terms.load, Some(&id)).await?;
        let Some(line) = lines.into_iter().next() else {
            let text = format!("slice {} was taken out of {TABLE} while it was loaded", slice.name());
            return Err(LoadError::Unreachable(text));
        };
        let entry = &line.entry;
        if entry.run == terms.run {
            // This run has loaded it, and the answer to its commit was lost.
            return Ok(Claim::Loaded(Loaded::Now { rows: entry.rows, deleted: 0 }));
        }
        if !terms.reload {
            // Another process may have loaded it since this run began, by another job file.
            conflicting(&Ledger::new(vec![entry.clone()]), terms, slice)?;
        }
        if !entry.open && !terms.reload {
            return Ok(Claim::Loaded(Loaded::Before(line.entry)));
        }
        let sql =
            format!("UPDATE {TABLE} SET digest = $3, run = $4, open = $5 WHERE load = $1 AND slice = $2");
        let again = asked(&sql).bind(&terms.load).bind(&id).bind(&terms.digest).bind(&terms.run).bind(open);
        again.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Claim::Free(Some(line)))
    }

    async fn write(
        &mut self,
        slice: &Slice,
        before: Option<Line>,
        stage: &mut Stage,
    ) -> Result<Loaded, LoadError> {
        let terms = self.terms;
        let known = self.table(stage).await?;
        let watch = match &stage.undo {
            Some(path) if !known.is_empty() => {
                kept::room(path, stage.bytes()?.saturating_mul(2))?;
                Some(Watch::begin(self.store, self.connection, terms).await?)
            }
            _ => None,
        };
        let mut deleted = 0;
        if terms.mode == Mode::Replace && !known.is_empty() {
            replaced(terms, stage)?;
            let (condition, values) = IDIOM.range(terms, slice, &known)?;
            if values.is_empty() {
                return Err(LoadError::Settings("mode replace needs slices by date or by lists".to_owned()));
            }
            let sql = format!("DELETE FROM {} WHERE {condition}", qualified(&terms.table.table));
            let sql = watch.as_ref().map_or_else(|| sql.clone(), |watch| watch.deleting(&sql));
            let done = bound(&sql, &values).execute(&mut *self.connection).await;
            deleted = done.map_err(|error| self.store.failed(error))?.rows_affected();
        }
        let rows = self.records(stage, &known, watch.as_ref()).await?;
        whole(terms, stage)?;
        if let Some(path) = &stage.undo {
            match watch {
                Some(watch) => watch.keep(self.store, self.connection, path, before).await?,
                None => KeptWriter::create(path, &Head { columns: Vec::new(), ledger: before })?.finish()?,
            }
        }
        // Before the commit: of a slice that is loaded, all rejected records are on the disk.
        stage.rejected.keep()?;
        // Last of all: who commits next waits for this one's commit alone.
        self.store.enter(self.connection, terms, slice, (rows, stage.rejected.count())).await?;
        Ok(Loaded::Now { rows, deleted })
    }

    /// Writes the records of a stage. Returns how many rows they are.
    pub(super) async fn records(
        &mut self,
        stage: &mut Stage,
        known: &[Column],
        watch: Option<&Watch>,
    ) -> Result<u64, LoadError> {
        if stage.records == 0 {
            return Ok(0);
        }
        IDIOM.check(self.terms, &stage.columns, known)?;
        if watch.is_none()
            && let Some(rows) = self.copy_directly(stage).await?
        {
            return Ok(rows);
        }
        let parts = self.copy(stage).await?;
        self.insert(parts, stage, known, watch).await
    }

    /// The columns of the table, which is made if need be.
    pub(super) async fn table(&mut self, stage: &Stage) -> Result<Vec<Column>, LoadError> {
        let table = &self.terms.table.table;
        let known = self.store.columns(self.connection, table).await?;
        if !known.is_empty() || stage.records == 0 {
            return Ok(known);
        }
        if !self.terms.table.create {
            return Err(LoadError::Settings(format!("{}: there is no table `{table}`", self.store.place())));
        }
        // Another slice may make it at this moment: its transaction is waited for.
        self.run(MAKING_TABLES).await?;
        let known = self.store.columns(self.connection, table).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        self.run(&ddl(self.terms, stage)?).await?;
        self.store.columns(self.connection, table).await
    }

    /// Copies the records into a temporary table, numbered from 0.
    async fn copy(&mut self, stage: &mut Stage) -> Result<Vec<Part>, LoadError> {
        let terms = self.terms;
        let columns: Vec<String> = (0..stage.columns.len()).map(|place| format!("c{place} text")).collect();
        self.run(&format!(
            "CREATE TEMP TABLE {STAGE} (n bigint NOT NULL, {}) ON COMMIT DROP",
            columns.join(", ")
        ))
        .await?;
        let failed = |error: sqlx::Error| self.store.failed(error);
        let mut copy =
            self.connection.copy_in_raw(&format!("COPY {STAGE} FROM STDIN")).await.map_err(failed)?;
        let mut parts: Vec<Part> = Vec::new();
        let end = |parts: &mut Vec<Part>, number| {
            if let Some((range, _)) = parts.last_mut() {
                range.end = number;
            }
        };
        let mut pieces = Pieces::new(terms, stage, true)?;
        loop {
            match pieces.next().await? {
                Piece::Columns(from, columns) => {
                    end(&mut parts, from);
                    parts.push((from..from, columns));
                }
                Piece::Lines(lines) => {
                    copy.send(lines).await.map_err(failed)?;
                }
                Piece::Unfit((record, number), field, problem) => {
                    refused(terms, &mut stage.rejected, (&record, number), field, problem)?;
                }
                Piece::End(number) => break end(&mut parts, number),
            }
        }
        copy.finish().await.map_err(failed)?;
        Ok(parts)
    }

    /// Inserts the records from the temporary table. A record that the table refuses is found by halving.
    async fn insert(
        &mut self,
        parts: Vec<Part>,
        stage: &mut Stage,
        known: &[Column],
        watch: Option<&Watch>,
    ) -> Result<u64, LoadError> {
        let cells: Vec<Cell> =
            stage.columns.iter().enumerate().map(|(place, name)| Cell::new(place, name, known)).collect();
        let key = Key::new(self.terms, &cells);
        let mut finder = Finder::new(stage)?;
        let mut is_indexed = false;
        let mut is_split = parts.len() > 1;
        let mut rows = 0;
        // The first part is the last here.
        let mut left: Vec<Part> = parts.into_iter().rev().collect();
        self.run("SAVEPOINT part").await?;
        while let Some((range, columns)) = left.pop() {
            if is_split && !is_indexed {
                self.run(&format!("CREATE INDEX ON {STAGE} (n)")).await?;
                is_indexed = true;
            }
            let insert = statement(self.terms, &columns, &cells, &key, &range);
            let inserted = self.insert_part(&insert, &cells, &range, watch).await;
            let refusal = match inserted {
                Ok(inserted) => {
                    rows += inserted;
                    continue;
                }
                Err(error) => of_record(self.store.postgres.failed(error))?,
            };
            self.run("ROLLBACK TO SAVEPOINT part").await?;
            is_split = true;
            let half = (range.end - range.start) / 2;
            if half > 0 {
                // The first half is written first.
                left.push((range.start + half..range.end, columns.clone()));
                left.push((range.start..range.start + half, columns));
                continue;
            }
            let (field, problem) = refusal;
            let record = finder.object(range.start)?;
            refused(self.terms, &mut stage.rejected, (&record, range.start), field, problem)?;
            self.run(&format!(
                "DELETE FROM {STAGE} WHERE n = {}; RELEASE SAVEPOINT part; SAVEPOINT part",
                range.start
            ))
            .await?;
        }
        // Two records of one key may have been in different parts, and are one row all the same.
        if is_split && self.terms.mode == Mode::Upsert {
            let sql = format!("SELECT count(*) FROM (SELECT {} 1 FROM {STAGE}) AS q", key.distinct);
            let row = asked(&sql).fetch_one(&mut *self.connection).await;
            rows = row.and_then(|row| number(&row, 0)).map_err(|error| self.store.failed(error))?;
        }
        Ok(rows)
    }

    /// Inserts a part, of whose rows it is seen what becomes.
    async fn insert_part(
        &mut self,
        insert: &str,
        cells: &[Cell],
        range: &Range<u64>,
        watch: Option<&Watch>,
    ) -> Result<u64, sqlx::Error> {
        let insert = match watch {
            None => insert.to_owned(),
            Some(watch) => {
                let cell = |name: &String| cells.iter().find(|cell| cell.name == *name);
                let keys: Vec<&str> =
                    self.terms.table.key.iter().filter_map(|name| Some(cell(name)?.value.as_str())).collect();
                if let Some(look) = watch.looking(&keys, &format!("FROM {STAGE} WHERE {}", numbers(range))) {
                    sqlx::raw_sql(AssertSqlSafe(look)).execute(&mut *self.connection).await?;
                }
                watch.inserting(insert)
            }
        };
        let sql = format!("{insert}; RELEASE SAVEPOINT part; SAVEPOINT part");
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.connection).await?;
        Ok(done.rows_affected())
    }
}

/// A column of the records.
struct Cell {
    name: String,
    /// What reads it from the temporary table.
    value: String,
}

impl Cell {
    fn new(place: usize, name: &str, known: &[Column]) -> Self {
        let kind = known.iter().find(|column| column.name == name).map_or("text", |column| &column.kind);
        Self { name: name.to_owned(), value: format!("CAST(c{place} AS {kind})") }
    }
}

/// Which of several records of one key is taken: for upsert the newest or else the last, for insert the first.
#[derive(Default)]
struct Key {
    distinct: String,
    order: String,
}

impl Key {
    fn new(terms: &Terms, cells: &[Cell]) -> Self {
        if matches!(terms.mode, Mode::Append | Mode::Replace) {
            return Self::default();
        }
        let values = cells.iter().filter(|cell| terms.table.key.contains(&cell.name));
        let values: Vec<&str> = values.map(|cell| cell.value.as_str()).collect();
        let is_null: Vec<String> = values.iter().map(|value| format!("{value} IS NULL")).collect();
        // Records without a key are no repeats of each other.
        let all = format!("{}, CASE WHEN {} THEN n END", values.join(", "), is_null.join(" OR "));
        let last = if terms.mode == Mode::Upsert { " DESC" } else { "" };
        let newest = terms.table.newest.as_ref().and_then(|newest| {
            let cell = cells.iter().find(|cell| cell.name == newest.value)?;
            Some(format!(", {} DESC NULLS LAST", cell.value))
        });
        let newest = newest.unwrap_or_default();
        Self { distinct: format!("DISTINCT ON ({all})"), order: format!(" ORDER BY {all}{newest}, n{last}") }
    }
}

/// Records of these numbers.
fn numbers(range: &Range<u64>) -> String {
    format!("n >= {} AND n < {}", range.start, range.end)
}

/// Inserts the records of these numbers.
fn statement(terms: &Terms, columns: &[String], cells: &[Cell], key: &Key, range: &Range<u64>) -> String {
    let value = |name: &String| {
        let cell = cells.iter().find(|cell| cell.name == *name);
        // All columns of all parts are among the cells.
        cell.map_or_else(|| quote(name), |cell| cell.value.clone())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let table = qualified(&terms.table.table);
    let range = format!("FROM {STAGE} WHERE {}", numbers(range));
    if columns.is_empty() {
        // Records without fields: rows of nothing but defaults.
        return format!("INSERT INTO {table} SELECT {range}");
    }
    format!(
        "INSERT INTO {table} AS {INTO} ({}) SELECT {} {} {range}{}{}",
        quoted(columns),
        key.distinct,
        values.join(", "),
        key.order,
        on_conflict(terms, columns)
    )
}

/// The statement that makes the table for a slice's records.
pub(in crate::jobs::load_records::store) fn ddl(terms: &Terms, stage: &Stage) -> io::Result<String> {
    let columns: Vec<_> =
        infer::columns(stage)?.into_iter().map(|(name, kind)| (name, type_of(kind))).collect();
    Ok(create_table(terms, &columns, ""))
}

/// The type of a new column.
fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Integer => "bigint",
        Kind::Real => "double precision",
        Kind::Numeric => "numeric",
        Kind::Date => "date",
        Kind::Time => "timestamptz",
        Kind::Json => "jsonb",
        Kind::Digits | Kind::Text => "text",
    }
}
