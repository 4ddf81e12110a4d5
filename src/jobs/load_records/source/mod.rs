//! Where records come from, slice by slice.

#[cfg(feature = "clickhouse")]
mod clickhouse;
mod devrev;
mod files;
mod http;
#[cfg(feature = "kafka")]
pub(super) mod kafka;
mod metabase;
mod postgres;
#[cfg(feature = "snowflake")]
mod snowflake;
mod sqlite;

#[cfg(feature = "clickhouse")]
pub(super) use clickhouse::ClickhouseQuery;
pub(super) use devrev::DevRevObjects;
pub(super) use files::{Files, find};
pub(super) use http::{Http, variables};
pub(super) use metabase::MetabaseQuery;
pub(super) use postgres::PostgresQuery;
#[cfg(feature = "snowflake")]
pub(super) use snowflake::SnowflakeQuery;
pub(super) use sqlite::SqliteQuery;

use super::error::LoadError;
use super::names::nearest;
use super::record::{Cell, Record};
use super::slices::Slice;
use super::template::Values;
use crate::stop::Stop;
use jaq_json::Val;
use tokio::sync::mpsc;

/// Records that come together; bounded by whoever sends them.
#[derive(Debug)]
pub(super) enum Chunk {
    /// What an answer of JSON holds.
    Json(Vec<Val>),
    /// What a file or a query holds.
    Records(Vec<Record>),
    /// Messages of a partition.
    #[cfg(feature = "kafka")]
    Messages(kafka::Messages),
}

/// A source of records.
#[derive(Debug)]
pub(super) enum Source {
    Http(Box<Http>),
    Files(Files),
    Postgres(Box<PostgresQuery>),
    Sqlite(SqliteQuery),
    DevRev(Box<DevRevObjects>),
    Metabase(Box<MetabaseQuery>),
    #[cfg(feature = "snowflake")]
    Snowflake(Box<SnowflakeQuery>),
    #[cfg(feature = "clickhouse")]
    Clickhouse(Box<ClickhouseQuery>),
    #[cfg(feature = "kafka")]
    Kafka(Box<kafka::Topics>),
}

impl Source {
    /// Sends the records of a slice, in order. Ends when all are sent, or when nobody wants more.
    pub(super) async fn fetch(
        &self,
        slice: &Slice,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        match self {
            Self::Http(http) => http.fetch(slice, values, to).await,
            Self::Files(files) => files.fetch(slice, to, stop).await,
            Self::Postgres(query) => query.fetch(values, to, stop).await,
            Self::Sqlite(query) => query.fetch(values, to, stop).await,
            Self::DevRev(objects) => objects.fetch(slice, to).await,
            Self::Metabase(query) => query.fetch(values, to, stop).await,
            #[cfg(feature = "snowflake")]
            Self::Snowflake(query) => query.fetch(values, to, stop).await,
            #[cfg(feature = "clickhouse")]
            Self::Clickhouse(query) => query.fetch(values, to, stop).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(topics) => match &slice.offsets {
                Some(offsets) => topics.fetch(offsets, to, stop).await,
                None => Err(LoadError::Settings("a slice names no partition".to_owned())),
            },
        }
    }
}

/// What is said of a query without the column that slices go by.
fn no_column(field: &str, names: &[String]) -> String {
    let hint = nearest(field, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("slices.keys: the query has no column `{field}`{hint}")
}

/// Sends the rows of a query, many together.
#[derive(Debug)]
struct Sender {
    to: mpsc::Sender<Chunk>,
    vals: Vec<Val>,
    records: Vec<Record>,
    bytes: usize,
}

impl Sender {
    /// Rows in a chunk.
    const ROWS: usize = 500;
    /// Bytes after which a chunk is sent.
    const BYTES: usize = 256 << 10;

    fn new(to: mpsc::Sender<Chunk>) -> Self {
        Self { to, vals: Vec::new(), records: Vec::new(), bytes: 0 }
    }

    /// Sends a row of this length; false where nobody wants more.
    async fn val(&mut self, val: Val, bytes: usize) -> bool {
        self.vals.push(val);
        self.bytes += bytes;
        (self.vals.len() < Self::ROWS && self.bytes < Self::BYTES) || self.send().await
    }

    /// The same for a row that is a record.
    async fn record(&mut self, record: Record) -> bool {
        let length = |cell: &Cell| match cell {
            Cell::Number(text) | Cell::Text(text) | Cell::Json(text) => text.len(),
            Cell::Null | Cell::Bool(_) => 0,
        };
        self.bytes += record.0.iter().map(|(_, cell)| length(cell)).sum::<usize>();
        self.records.push(record);
        (self.records.len() < Self::ROWS && self.bytes < Self::BYTES) || self.send().await
    }

    /// Sends what is left.
    async fn finish(mut self) {
        self.send().await;
    }

    async fn send(&mut self) -> bool {
        self.bytes = 0;
        let (vals, records) = (std::mem::take(&mut self.vals), std::mem::take(&mut self.records));
        let chunk = if records.is_empty() { Chunk::Json(vals) } else { Chunk::Records(records) };
        self.to.send(chunk).await.is_ok()
    }
}
