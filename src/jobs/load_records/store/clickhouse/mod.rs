//! A table of ClickHouse.
//!
//! It has no transaction that writes a slice and its line in the ledger. So a slice's batches are fixed before the first is sent
//! ([`fixed`](crate::jobs::load_records::fixed)), each is one insert of one block with a token by which the table knows it again,
//! and the ledger gets its line when all are there. ClickHouse changes values that do not fit in silence, so each is held
//! against its column first ([`kind`]).

mod check;
mod kind;
mod ledger;
pub(super) mod table;
mod write;

use super::sql::Idiom;
use super::{Column, Known, Loaded, Rows, Terms};
use crate::database::clickhouse::{Clickhouse, Session, WHO, literal, parameter};
use crate::database::error::{DatabaseError, until_answered};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::fixed::{self, Unusable};
use crate::jobs::load_records::ledger::TABLE;
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::Stage;
use crate::jobs::load_records::template::{clock, iso};
use crate::journal::manifest::Party;
use crate::run::target::Identity;
use crate::source::grammar::Grammar;
use crate::source::sql::Statement;
use crate::stop::Stop;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kind::Kind;
use ledger::Seen;
use std::future::Future;
use std::path::Path;
use tokio::sync::{OnceCell, Semaphore};

/// Slices that are written at once.
const WRITERS: usize = 8;
/// The longest answer of what returns nothing, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// What is set for what cannot write.
const READS: [(&str, &str); 2] = [("readonly", "2"), ("max_execution_time", "21600")];
/// What is set for a statement that writes, and is no batch.
const RUNS: [(&str, &str); 2] = [("wait_end_of_query", "1"), ("async_insert", "0")];

/// How ClickHouse has it. Places are numbered from 1 and are texts.
const IDIOM: Idiom = Idiom {
    same: |one, other| one == other,
    compare: |column, sign, place| {
        let name = quote(&column.name);
        match Holds::of(&column.kind) {
            Holds::Moment => {
                format!("{name} {sign} parseDateTime64BestEffort({{p{place}:String}}, 6, 'UTC')")
            }
            Holds::Day => {
                let day = format!("toDateTime64({name}, 0, 'UTC')");
                format!("{day} {sign} parseDateTime64BestEffort({{p{place}:String}}, 0, 'UTC')")
            }
            Holds::Number => {
                format!("{name} {sign} CAST({{p{place}:String}}, {})", literal(bare(&column.kind)))
            }
            Holds::Text => format!("toString({name}) {sign} {{p{place}:String}}"),
        }
    },
    moment: |column, moment| match Holds::of(&column.kind) {
        Holds::Number => moment.timestamp().to_string(),
        Holds::Moment => iso(moment.with_timezone(&Tz::UTC)),
        // As the clocks show it; a date has no zone.
        Holds::Day => moment.format("%Y-%m-%dT%H:%M:%S").to_string(),
        Holds::Text => clock(moment),
    },
};

/// What a column holds, as far as dates are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Number,
    Moment,
    Day,
    Text,
}

impl Holds {
    /// By the name of a type.
    fn of(kind: &str) -> Self {
        let kind = bare(kind);
        if kind.starts_with("DateTime") {
            Self::Moment
        } else if kind.starts_with("Date") {
            Self::Day
        } else if ["Int", "UInt", "Float", "Decimal"].iter().any(|name| kind.starts_with(name)) {
            Self::Number
        } else {
            Self::Text
        }
    }
}

/// A ClickHouse.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct ClickhouseStore {
    clickhouse: Clickhouse,
    /// The job says that a crash may add a batch twice.
    at_least_once: bool,
    writers: Semaphore,
    /// Whether the ledger's table is there.
    ledger: OnceCell<()>,
    /// What the ledger has of the load, as it was seen last.
    seen: tokio::sync::Mutex<Option<Seen>>,
}

impl ClickhouseStore {
    /// Connects to nothing.
    pub(in crate::jobs::load_records) fn new(clickhouse: Clickhouse, at_least_once: bool) -> Self {
        Self {
            clickhouse,
            at_least_once,
            writers: Semaphore::new(WRITERS),
            ledger: OnceCell::new(),
            seen: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn place(&self) -> String {
        self.clickhouse.place()
    }

    async fn until_answered<T, F>(
        &self,
        session: &Session<'_>,
        stop: &Stop,
        attempt: impl FnMut() -> F,
    ) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, DatabaseError>>,
    {
        until_answered(WHO, self.clickhouse.retry, &session.secrets, stop, attempt).await
    }

    /// The rows of a query that cannot write.
    async fn rows(
        &self,
        session: &Session<'_>,
        sql: &str,
        stop: &Stop,
    ) -> Result<Vec<Vec<String>>, LoadError> {
        self.rows_with(session, sql, &[], stop).await
    }

    /// The same, with the values of its places.
    async fn rows_with(
        &self,
        session: &Session<'_>,
        sql: &str,
        values: &[String],
        stop: &Stop,
    ) -> Result<Vec<Vec<String>>, LoadError> {
        let names: Vec<String> = (1..=values.len()).map(|place| format!("param_p{place}")).collect();
        let values: Vec<String> = values.iter().map(|value| parameter(value)).collect();
        let mut settings = READS.to_vec();
        settings.extend(names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str())));
        let rows = self.until_answered(session, stop, || session.rows(sql, &settings, "a list of rows"));
        Ok(rows.await?)
    }

    /// A number that a query finds.
    async fn number(
        &self,
        session: &Session<'_>,
        sql: &str,
        values: &[String],
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        let rows = self.rows_with(session, sql, values, stop).await?;
        let number = rows.first().and_then(|row| row.first()?.parse().ok());
        number.ok_or_else(|| LoadError::Refused(format!("{WHO} answered a count with something else")))
    }

    pub(super) async fn identity(&self, stop: &Stop) -> Result<Identity, LoadError> {
        let session = self.clickhouse.connect()?;
        let rows = self.rows(&session, "SELECT currentDatabase(), currentUser()", stop).await?;
        let row = rows.into_iter().next().and_then(|row| <[String; 2]>::try_from(row).ok());
        let [database, user] =
            row.ok_or_else(|| LoadError::Refused(format!("{WHO} does not say who asks")))?;
        let url = &self.clickhouse.url;
        let port = url.port_or_known_default().unwrap_or_default();
        let id = format!("{}:{port}/{database}", url.host_str().unwrap_or_default());
        Ok(Identity {
            org: Party { id, display_id: None, name: Some(database) },
            user: Party { id: user, display_id: None, name: None },
        })
    }

    pub(super) async fn known(&self, table: &str, stop: &Stop) -> Result<Known, LoadError> {
        let session = self.clickhouse.connect()?;
        let sql = format!(
            "SELECT if(database = currentDatabase(), name, concat(database, '.', name)) AS shown FROM system.tables WHERE database \
             NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') AND name != {} AND NOT startsWith(name, '.inner') \
             ORDER BY database != currentDatabase(), shown LIMIT 1000",
            literal(TABLE)
        );
        let tables = self.rows(&session, &sql, stop).await?.into_iter().flatten().collect();
        let Some(found) = self.table(&session, table, stop).await? else {
            return Ok(Known { columns: None, rows: None, tables });
        };
        let rows =
            found.rows.map(|rows| if found.is_replacing() { Rows::About(rows) } else { Rows::Exactly(rows) });
        Ok(Known { columns: Some(found.columns), rows, tables })
    }

    /// Whether a table has the columns of records, and types whose values can be checked.
    pub(super) fn fits(terms: &Terms, wanted: &[String], known: &[Column]) -> Result<(), LoadError> {
        IDIOM.check(terms, wanted, known)?;
        for column in known.iter().filter(|column| wanted.contains(&column.name)) {
            table::kind(&terms.table.table, column)?;
        }
        Ok(())
    }

    /// Whether the load can go to the table as it should; what there is to say of it.
    pub(super) async fn look(&self, terms: &Terms, stop: &Stop) -> Result<Vec<String>, LoadError> {
        let session = self.clickhouse.connect()?;
        let Some(table) = self.table(&session, &terms.table.table, stop).await? else {
            return Ok(Vec::new());
        };
        table.suits(terms, self.at_least_once)
    }

    /// See [`super::Store::kept`].
    pub(super) fn kept(
        &self,
        terms: &Terms,
        run: &Path,
        (row, slice): (u64, &Slice),
    ) -> Result<Option<(Stage, bool)>, LoadError> {
        let Unusable { why, was_sent } = match fixed::again(run, row, slice)? {
            None => return Ok(None),
            Some(Ok(kept)) => return Ok(Some(kept)),
            Some(Err(unusable)) => unusable,
        };
        // By a key what is sent anew takes the place of what is there.
        if !was_sent || terms.mode == Mode::Upsert || self.at_least_once {
            tracing::warn!("slice {}: {why}: it is fetched again", slice.name());
            return Ok(None);
        }
        Err(LoadError::Guard(format!(
            "a part of its records may be in table `{}`, and the same batches cannot be sent again: {why}. Take the records of this \
             slice out of the table, then `load ledger forget` the slice and start a new load",
            terms.table.table
        )))
    }

    pub(super) async fn count(&self, terms: &Terms, slice: &Slice, stop: &Stop) -> Result<u64, LoadError> {
        let session = self.clickhouse.connect()?;
        let Some(table) = self.table(&session, &terms.table.table, stop).await? else { return Ok(0) };
        let (condition, values) = IDIOM.range(terms, slice, &table.columns)?;
        let sql = format!("SELECT toString(count()) FROM {} WHERE {condition}", table.from());
        self.number(&session, &sql, &values, stop).await
    }

    pub(super) async fn find(&self, sql: &str, stop: &Stop) -> Result<u64, LoadError> {
        let statement = Statement::parse(sql, Grammar::Clickhouse)
            .map_err(|error| LoadError::Settings(error.to_string()))?;
        let session = self.clickhouse.connect()?;
        // The line break ends a comment.
        let sql = format!("SELECT toString(count()) FROM (\n{}\n) AS q", statement.text);
        self.number(&session, &sql, &[], stop).await
    }

    pub(super) async fn days(
        &self,
        terms: &Terms,
        (field, per): (&str, &[String]),
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        stop: &Stop,
        take: &mut (dyn FnMut(Vec<String>, String) + Send),
    ) -> Result<(), LoadError> {
        let session = self.clickhouse.connect()?;
        let Some(table) = self.table(&session, &terms.table.table, stop).await? else { return Ok(()) };
        let slice = Slice { start: Some(start), end: Some(end), zone: terms.zone, ..Slice::whole() };
        let (condition, values) = IDIOM.range(terms, &slice, &table.columns)?;
        let column = table.columns.iter().find(|column| column.name == field);
        let day = match column.map(|column| Holds::of(&column.kind)) {
            Some(Holds::Moment) => {
                format!("toString(toDate32({}, {}))", quote(field), literal(terms.zone.name()))
            }
            _ => format!("toString({})", quote(field)),
        };
        let per = per.iter().map(|name| format!("ifNull(toString({}), '')", quote(name)));
        let selected: Vec<String> = per.chain([format!("ifNull({day}, '')")]).collect();
        let sql = format!("SELECT DISTINCT {} FROM {} WHERE {condition}", selected.join(", "), table.from());
        for mut row in self.rows_with(&session, &sql, &values, stop).await? {
            if let Some(day) = row.pop() {
                take(row, day);
            }
        }
        Ok(())
    }

    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        let writer = stop.race(self.writers.acquire()).await.ok_or(LoadError::Interrupted)?;
        let _writer = writer.map_err(|_| LoadError::Interrupted)?;
        let session = self.clickhouse.connect()?;
        Box::pin(write::slice(self, &session, terms, (slice, open), stage, stop)).await
    }
}

/// A name in quotes.
fn quote(name: &str) -> String {
    Grammar::Clickhouse.quoted(name)
}

/// A type without what stands around it.
fn bare(kind: &str) -> &str {
    let mut inner = kind;
    for wrapper in ["MATERIALIZED ", "ALIAS ", "LowCardinality(", "Nullable("] {
        inner = inner.strip_prefix(wrapper).unwrap_or(inner);
    }
    let more = inner.matches(')').count().saturating_sub(inner.matches('(').count());
    inner.get(..inner.len() - more).unwrap_or(inner)
}
