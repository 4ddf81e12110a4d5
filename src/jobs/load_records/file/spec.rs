//! What may stand in a job file, part by part.

use super::kafka::KafkaSpec;
use super::services::{MetabaseSpec, SnowflakeSpec};
use super::sources::DevRevSourceSpec;
use super::targets::{ClickhouseTargetSpec, DevRevTargetSpec, FileTargetSpec, TableSpec};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// Where records come from: one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct SourceSpec {
    /// An HTTP API that answers with JSON
    pub http: Option<HttpSpec>,
    /// CSV files
    pub csv: Option<FilesSpec>,
    /// Files with a JSON object per line
    pub jsonl: Option<FilesSpec>,
    /// A query of an SQLite file
    pub sqlite: Option<QuerySpec>,
    /// A query of a PostgreSQL database
    pub postgres: Option<QuerySpec>,
    /// Objects of DevRev
    pub devrev: Option<DevRevSourceSpec>,
    /// A query of ClickHouse
    pub clickhouse: Option<ClickhouseSpec>,
    /// A query of one of the databases that a Metabase knows
    pub metabase: Option<MetabaseSpec>,
    /// A query of Snowflake
    pub snowflake: Option<SnowflakeSpec>,
    /// Topics of Kafka
    pub kafka: Option<KafkaSpec>,
    /// The short form of `http.url`
    #[schemars(with = "Option<String>")]
    pub api_endpoint: Option<Spanned<String>>,
    /// The short form of `http.rate_limit`: calls a minute
    pub rate_limit: Option<u32>,
}

/// An HTTP API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct HttpSpec {
    /// The address
    #[schemars(with = "String")]
    pub url: Spanned<String>,
    /// GET, or POST
    #[serde(default)]
    pub method: Method,
    /// What is added to the address after `?`
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub query: BTreeMap<String, Spanned<Value>>,
    /// Headers
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// The body of a POST, as JSON
    #[serde(default)]
    pub body: Option<Value>,
    /// A jq filter from an answer to its records [default: .]
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub records: Option<Spanned<String>>,
    /// How the next page is asked for
    #[serde(default)]
    #[schemars(with = "Option<NextSpec>")]
    pub next: Option<Spanned<NextSpec>>,
    /// Calls in a period: 100/60s
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub rate_limit: Option<Spanned<String>>,
}

/// How requests are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::jobs::load_records) enum Method {
    #[default]
    #[serde(rename = "GET", alias = "get")]
    Get,
    #[serde(rename = "POST", alias = "post")]
    Post,
}

/// How the next page is asked for: one of cursor, page, offset, link and url.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct NextSpec {
    /// A jq filter from an answer to the cursor of the next one
    #[schemars(with = "Option<String>")]
    pub cursor: Option<Spanned<String>>,
    /// The parameter that takes the cursor
    pub param: Option<String>,
    /// The parameter that takes the number of the page
    pub page: Option<String>,
    /// The number of the first page [default: 1]
    pub first: Option<u64>,
    /// The parameter that takes how many records came before
    pub offset: Option<String>,
    /// Whether the header `Link` names the next page (RFC 8288)
    pub link: bool,
    /// A jq filter from an answer to the address of the next page
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
}

/// Files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct FilesSpec {
    /// A path, or a pattern such as data/*.csv; each file is a slice
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// What separates cells of CSV [default: found out]
    #[serde(default)]
    pub delimiter: Option<char>,
}

/// A query of a database.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct QuerySpec {
    /// The file of an SQLite database
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// The address of a database [default: ${env.DATABASE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// One SELECT or WITH
    #[schemars(with = "Option<String>")]
    pub query: Option<Spanned<String>>,
    /// A whole table
    #[schemars(with = "Option<String>")]
    pub table: Option<Spanned<String>>,
}

/// A query of ClickHouse.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct ClickhouseSpec {
    /// The address of its HTTP interface [default: ${env.CLICKHOUSE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// Who asks [default: CLICKHOUSE_USER, or else default]
    #[schemars(with = "Option<String>")]
    pub user: Option<Spanned<String>>,
    /// The password, as ${env.NAME} [default: ${env.CLICKHOUSE_PASSWORD}]
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// The database [default: CLICKHOUSE_DATABASE, or else default]
    #[schemars(with = "Option<String>")]
    pub database: Option<Spanned<String>>,
    /// One SELECT or WITH
    #[schemars(with = "Option<String>")]
    pub query: Option<Spanned<String>>,
    /// A whole table
    #[schemars(with = "Option<String>")]
    pub table: Option<Spanned<String>>,
}

/// How the load is cut into slices.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct SlicesSpec {
    /// By date, from `start_date` to `end_date`, which is included
    #[schemars(with = "Option<DatesSpec>")]
    pub dates: Option<Spanned<DatesSpec>>,
    /// By ranges of a key, so many rows each
    #[schemars(with = "Option<KeysSpec>")]
    pub keys: Option<Spanned<KeysSpec>>,
    /// By the values of lists: a slice for each
    pub each: BTreeMap<String, Value>,
}

/// Slices by date.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct DatesSpec {
    /// The record's field that has its date
    pub field: String,
    /// How long a slice is: 1h, 30d, 2w, 1month, 1year
    #[schemars(with = "String")]
    pub step: Spanned<String>,
}

/// Slices by ranges of a key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct KeysSpec {
    /// The column of the query or table: an integer or a text, in every row
    pub field: String,
    /// The rows of a slice
    #[schemars(with = "u64")]
    pub rows: Spanned<u64>,
}

/// What every record has to keep.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct RuleSpec {
    /// The field
    pub field: Option<String>,
    /// Whether it has to be there, and not null
    pub required: bool,
    /// Its type
    #[serde(rename = "type")]
    pub kind: Option<FieldType>,
    /// The least number
    pub min: Option<f64>,
    /// The greatest number
    pub max: Option<f64>,
    /// The values that it may have
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Value>>,
    /// The longest text, in characters
    pub max_length: Option<u64>,
    /// The fields that no two records of a slice may have alike
    pub unique: Vec<String>,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::jobs::load_records) enum FieldType {
    Number,
    Integer,
    Text,
    Boolean,
    Date,
    Time,
}

/// Where records go: one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct TargetSpec {
    /// A table of an SQLite file
    pub sqlite: Option<TableSpec>,
    /// A table of a PostgreSQL database
    pub postgres: Option<TableSpec>,
    /// A table of ClickHouse
    pub clickhouse: Option<ClickhouseTargetSpec>,
    /// A CSV file, or one for each slice
    pub csv: Option<FileTargetSpec>,
    /// A file with a JSON object per line, or one for each slice
    pub jsonl: Option<FileTargetSpec>,
    /// Objects of DevRev, as `update` changes them
    pub devrev: Option<DevRevTargetSpec>,
    /// The short form of a table of the PostgreSQL database at DATABASE_URL: its name
    #[schemars(with = "Option<String>")]
    pub database: Option<Spanned<String>>,
    /// The short form: the table
    pub table: Option<String>,
}

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct RetrySpec {
    /// Tries after the first
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// The ceiling of the first delay, in seconds
    #[serde(default)]
    pub backoff_factor: Option<f64>,
}

/// What has to be so after the load: one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct CheckSpec {
    /// The records of each slice are in the target
    pub count: Option<CountOf>,
    /// No date of this field is missing between the first and the last day of the range
    pub gaps: Option<String>,
    /// The fields by which `gaps` is looked at
    pub per: Vec<String>,
    /// A query, which ...
    #[schemars(with = "Option<String>")]
    pub sql: Option<Spanned<String>>,
    /// ... finds nothing
    pub expect: Option<Expect>,
}

/// What records are counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::jobs::load_records) enum CountOf {
    Source,
}

/// What a check's query has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::jobs::load_records) enum Expect {
    None,
    Some,
}
