//! A job file: what may stand in it, and what is wrong with it, by line and column. Nothing here needs a network.

mod sources;
mod targets;

pub(super) use sources::DevRevSourceSpec;
pub(super) use targets::{DevRevTargetSpec, FileTargetSpec};

use super::filter::Filter;
use super::query::Query;
use super::span::Span;
use super::template::Template;
use crate::exit::{Exit, Failure};
use crate::source::grammar::Grammar;
use crate::source::hex;
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The only version of job files that there is.
const VERSION: u32 = 1;
/// The longest job file, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// The variable that goes to DevRev alone.
const TOKEN: &str = "DEVREV_API_TOKEN";

/// A job file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobFile {
    /// The version of this format: 1
    #[schemars(with = "u32")]
    pub version: Spanned<u32>,
    /// What the job is called; the load's ID unless `load_id` is given
    #[schemars(with = "String")]
    pub job_name: Spanned<String>,
    /// Whose slices the target's ledger has, where that is not the job's name
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub load_id: Option<Spanned<String>>,
    /// Values that `${name}` stands for; `--param name=value` replaces them
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// Where records come from
    #[schemars(with = "SourceSpec")]
    pub source: Spanned<SourceSpec>,
    /// How the load is cut into slices
    #[serde(default)]
    #[schemars(with = "SlicesSpec")]
    pub slices: Option<Spanned<SlicesSpec>>,
    /// The time zone of days, by its IANA name, such as Europe/Berlin [default: UTC]
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub timezone: Option<Spanned<String>>,
    /// A jq filter that makes records of the target from a record of the source
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub transform: Option<Spanned<String>>,
    /// What every record has to keep; one that does not goes to rejected.jsonl
    #[serde(default)]
    #[schemars(with = "Vec<RuleSpec>")]
    pub rules: Vec<Spanned<RuleSpec>>,
    /// Where records go
    #[schemars(with = "TargetSpec")]
    pub target: Spanned<TargetSpec>,
    /// Records that are written together
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub batch_size: Option<Spanned<u32>>,
    /// How often and how soon to try again
    #[serde(default)]
    pub retry_policy: Option<RetrySpec>,
    /// What has to be so after the load
    #[serde(default)]
    #[schemars(with = "Vec<CheckSpec>")]
    pub checks: Vec<Spanned<CheckSpec>>,
    /// The most records that a slice may have: a guard
    #[serde(default)]
    pub max_records: Option<u64>,
    /// Keep what the load changes, so that `undo` can take it back; it needs a target of PostgreSQL or SQLite
    #[serde(default)]
    #[schemars(with = "bool")]
    pub undo: Option<Spanned<bool>>,
}

/// Where records come from: one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceSpec {
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
    /// The short form of `http.url`
    #[schemars(with = "Option<String>")]
    pub api_endpoint: Option<Spanned<String>>,
    /// The short form of `http.rate_limit`: calls a minute
    pub rate_limit: Option<u32>,
}

/// An HTTP API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpSpec {
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
pub(super) enum Method {
    #[default]
    #[serde(rename = "GET", alias = "get")]
    Get,
    #[serde(rename = "POST", alias = "post")]
    Post,
}

/// How the next page is asked for: one of cursor, page, offset, link and url.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NextSpec {
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
pub(super) struct FilesSpec {
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
pub(super) struct QuerySpec {
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
pub(super) struct ClickhouseSpec {
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
pub(super) struct SlicesSpec {
    /// By date, from `start_date` to `end_date`, which is included
    #[schemars(with = "Option<DatesSpec>")]
    pub dates: Option<Spanned<DatesSpec>>,
    /// By the values of lists: a slice for each
    pub each: BTreeMap<String, Value>,
}

/// Slices by date.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DatesSpec {
    /// The record's field that has its date
    pub field: String,
    /// How long a slice is: 1h, 30d, 2w, 1month, 1year
    #[schemars(with = "String")]
    pub step: Spanned<String>,
}

/// What every record has to keep.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RuleSpec {
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
pub(super) enum FieldType {
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
pub(super) struct TargetSpec {
    /// A table of an SQLite file
    pub sqlite: Option<TableSpec>,
    /// A table of a PostgreSQL database
    pub postgres: Option<TableSpec>,
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

/// A table.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TableSpec {
    /// The file of an SQLite database
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// The address of a database [default: ${env.DATABASE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// The table, with its schema if need be
    pub table: String,
    /// The columns that tell records apart
    pub key: Vec<String>,
    /// What is done where a record's key is there already
    #[schemars(with = "Mode")]
    pub mode: Option<Spanned<Mode>>,
    /// Make the table from the first records if it is not there
    pub create: bool,
}

/// How records get into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// A record whose key is there takes its place
    Upsert,
    /// What is there stays
    Insert,
    /// All records are added
    Append,
    /// The slice's range is deleted first
    Replace,
}

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetrySpec {
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
pub(super) struct CheckSpec {
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
pub(super) enum CountOf {
    Source,
}

/// What a check's query has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    None,
    Some,
}

/// A mistake in a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) span: Span,
    pub(super) text: String,
}

/// A job file that was read, and what it was read from.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) file: JobFile,
    /// Of all that decides what a slice's records are: another digest is another load.
    pub(super) digest: String,
}

impl JobFile {
    /// Reads a file that has this name. All mistakes that can be found without a network are in the error.
    pub(super) fn read(name: &str, text: &str) -> Result<Read, Failure> {
        let options = serde_saphyr::options! { with_snippet: false };
        let mut file: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let text = one_line(&error.without_snippet().to_string());
            Failure::new(Exit::InvalidInput, format!("{name}: {text}"))
        })?;
        let mistakes = file.mistakes();
        if !mistakes.is_empty() {
            let lines: Vec<String> =
                mistakes.iter().map(|mistake| format!("{name}:{}: {}", mistake.span, mistake.text)).collect();
            return Err(Failure::new(Exit::InvalidInput, lines.join("\n")));
        }
        let digest = file.digest(text);
        // From here on the short form is the long one, which `DATABASE_URL` is the default of.
        let target = &mut file.target.value;
        if let Some(table) = target.table.take() {
            target.postgres = Some(TableSpec { table, ..TableSpec::default() });
        }
        Ok(Read { file, digest })
    }

    /// The JSON Schema of job files, for editors.
    pub(super) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The load whose slices the target's ledger has.
    pub(super) fn load_id(&self) -> &str {
        self.load_id.as_ref().map_or(&self.job_name.value, |id| &id.value)
    }

    /// The table that records go to.
    pub(super) fn table(&self) -> Option<&TableSpec> {
        let TargetSpec { sqlite, postgres, .. } = &self.target.value;
        sqlite.as_ref().or(postgres.as_ref())
    }

    /// Whether what a load of it changes is kept.
    pub(super) fn keeps_undo(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.value)
    }

    /// The zone of its days.
    pub(super) fn zone(&self) -> Tz {
        self.timezone.as_ref().and_then(|name| super::dates::zone(&name.value).ok()).unwrap_or(Tz::UTC)
    }

    /// The file that records go to.
    pub(super) fn file_target(&self) -> Option<&FileTargetSpec> {
        let TargetSpec { csv, jsonl, .. } = &self.target.value;
        csv.as_ref().or(jsonl.as_ref())
    }

    /// Whether the target takes arrays, objects and long numbers as JSON has them; a database gets them as text.
    pub(super) fn takes_json(&self) -> bool {
        self.file_target().is_some() || self.target.value.devrev.is_some()
    }

    /// How records get into it.
    pub(super) fn mode(&self) -> Mode {
        let table = self.table();
        let given = table.and_then(|table| table.mode.as_ref()).map(|mode| mode.value);
        given.unwrap_or(if table.is_some_and(|table| table.key.is_empty()) {
            Mode::Append
        } else {
            Mode::Upsert
        })
    }

    fn digest(&self, text: &str) -> String {
        // As a tree, so that comments and the order of keys are no change. It was parsed before.
        let tree: Value = serde_saphyr::from_str(text).unwrap_or_default();
        let sliced: BTreeSet<&str> = self
            .slices
            .iter()
            .flat_map(|slices| slices.value.each.values())
            .filter_map(|value| Template::parse(value.as_str()?).ok()?.only_param().map(str::to_owned))
            .filter_map(|name| self.params.get_key_value(&name).map(|(name, _)| name.as_str()))
            .chain(["start_date", "end_date"])
            .collect();
        let params: BTreeMap<&String, &Value> =
            self.params.iter().filter(|(name, _)| !sliced.contains(name.as_str())).collect();
        let mut said = serde_json::json!({
            "source": tree["source"], "transform": tree["transform"], "rules": tree["rules"],
            "target": tree["target"], "params": params,
        });
        // Where there is none, the digest is that of files from before there were zones.
        if self.zone() != Tz::UTC {
            said["timezone"] = self.zone().name().into();
        }
        hex(Sha256::new_with_prefix(said.to_string()))
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Found(Vec::new());
        if self.version.value != VERSION {
            found.at(
                &self.version,
                format!("version {} is not known: this is version {VERSION}", self.version.value),
            );
        }
        for name in std::iter::once(&self.job_name).chain(&self.load_id) {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.value.is_empty() || name.value.len() > 100 || !name.value.chars().all(fits) {
                found.at(
                    name,
                    format!("`{}`: a name has letters, digits, `_`, `-` and `.`, at most 100", name.value),
                );
            }
        }
        if let Some(name) = &self.timezone
            && let Err(problem) = super::dates::zone(&name.value)
        {
            found.at(name, problem);
        }
        self.mistakes_of_source(&mut found);
        self.mistakes_of_slices(&mut found);
        self.mistakes_of_target(&mut found);
        let names = self.variables();
        if let Some(transform) = &self.transform {
            found.filter(transform, &names);
        }
        for rule in &self.rules {
            mistakes_of_rule(rule, &mut found);
        }
        for check in &self.checks {
            let CheckSpec { count, gaps, sql, expect, per } = &check.value;
            let kinds = u8::from(count.is_some()) + u8::from(gaps.is_some()) + u8::from(sql.is_some());
            if kinds != 1 {
                found.at(check, "a check has one of count, gaps and sql".to_owned());
            } else if sql.is_some() != expect.is_some() {
                found.at(check, "sql and expect go together".to_owned());
            } else if gaps.is_none() && !per.is_empty() {
                found.at(check, "per belongs to gaps".to_owned());
            } else if let Some(field) = gaps
                && self.dates().is_none_or(|dates| dates.field != *field)
            {
                found.at(check, format!("gaps: `{field}` has to be the field of slices.dates"));
            }
        }
        if let Some(size) = &self.batch_size
            && !(1..=100_000).contains(&size.value)
        {
            found.at(size, "batch_size is from 1 to 100000".to_owned());
        }
        found.0
    }

    fn mistakes_of_source(&self, found: &mut Found) {
        let SourceSpec { http, csv, jsonl, sqlite, postgres, clickhouse, devrev, api_endpoint, rate_limit } =
            &self.source.value;
        let kinds = [
            http.is_some(),
            csv.is_some(),
            jsonl.is_some(),
            sqlite.is_some(),
            postgres.is_some(),
            devrev.is_some(),
            clickhouse.is_some(),
            api_endpoint.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            found.at(
                &self.source,
                "source has one of http, csv, jsonl, sqlite, postgres, clickhouse and devrev".to_owned(),
            );
        }
        self.mistakes_of_devrev_source(found);
        if rate_limit.is_some() && api_endpoint.is_none() {
            found.at(&self.source, "rate_limit belongs into http".to_owned());
        }
        if let Some(endpoint) = api_endpoint {
            self.template(endpoint, found);
            if *rate_limit == Some(0) {
                found.at(&self.source, "rate_limit is a number of calls a minute, from 1".to_owned());
            }
        }
        if let Some(http) = http {
            self.mistakes_of_http(http, found);
        }
        for files in csv.iter().chain(jsonl) {
            self.template(&files.path, found);
        }
        for (query, is_file) in
            sqlite.iter().map(|query| (query, true)).chain(postgres.iter().map(|query| (query, false)))
        {
            if query.query.is_some() == query.table.is_some() {
                found.at(&self.source, "a database has one of query and table".to_owned());
            }
            if is_file && (query.path.is_none() || query.url.is_some()) {
                found.at(&self.source, "sqlite has a path, and no url".to_owned());
            } else if !is_file && query.path.is_some() {
                found.at(&self.source, "postgres has a url, and no path".to_owned());
            }
            for text in query.path.iter().chain(&query.url).chain(&query.query) {
                self.template(text, found);
            }
            if let Some(url) = &query.url {
                found.no_password(url);
            }
            let grammar = if is_file { Grammar::Sqlite } else { Grammar::Postgres };
            found.query(query.query.as_ref(), grammar);
        }
        if let Some(spec) = clickhouse {
            self.mistakes_of_clickhouse(spec, found);
        }
    }

    fn mistakes_of_clickhouse(&self, spec: &ClickhouseSpec, found: &mut Found) {
        let ClickhouseSpec { url, user, password, database, query, table } = spec;
        if query.is_some() == table.is_some() {
            found.at(&self.source, "a database has one of query and table".to_owned());
        }
        for text in url.iter().chain(user).chain(password).chain(database).chain(query) {
            self.template(text, found);
        }
        if let Some(password) = password
            && Template::parse(&password.value).is_ok_and(|text| text.only_variable().is_none())
        {
            let text = "a password is a secret: write ${env.NAME}, and set NAME in the environment";
            found.at(password, text.to_owned());
        }
        if let Some(url) = url {
            found.no_password(url);
        }
        found.query(query.as_ref(), Grammar::Clickhouse);
    }

    fn mistakes_of_http(&self, http: &HttpSpec, found: &mut Found) {
        self.template(&http.url, found);
        for (name, value) in &http.headers {
            if reqwest::header::HeaderName::try_from(name).is_err() {
                found.at(value, format!("`{name}` is not the name of a header"));
            }
            self.template(value, found);
            let is_secret = ["authorization", "x-api-key", "api-key", "cookie", "x-auth-token"]
                .contains(&name.to_ascii_lowercase().as_str());
            if is_secret
                && Template::parse(&value.value).is_ok_and(|template| template.variables().next().is_none())
            {
                found.at(
                    value,
                    format!("`{name}` is a secret: write ${{env.NAME}}, and set NAME in the environment"),
                );
            }
        }
        for value in http.query.values() {
            if let Some(text) = value.value.as_str() {
                self.template_text(Span::of(value), text, found);
            } else if value.value.is_array() || value.value.is_object() {
                found.at(value, "a parameter of the address is a text or a number".to_owned());
            }
        }
        if http.body.is_some() && http.method == Method::Get {
            found.at(&http.url, "a body belongs to method: POST".to_owned());
        }
        let names = self.variables();
        if let Some(records) = &http.records {
            found.filter(records, &names);
        }
        if let Some(rate) = &http.rate_limit
            && let Err(problem) = rate_of(&rate.value)
        {
            found.at(rate, problem);
        }
        if let Some(next) = &http.next {
            let NextSpec { cursor, param, page, offset, link, url, first } = &next.value;
            let kinds = [cursor.is_some(), page.is_some(), offset.is_some(), *link, url.is_some()];
            if kinds.into_iter().filter(|given| *given).count() != 1 {
                found.at(next, "next has one of cursor, page, offset, link and url".to_owned());
            } else if cursor.is_some() != param.is_some() {
                found.at(next, "cursor and param go together".to_owned());
            } else if first.is_some() && page.is_none() {
                found.at(next, "first belongs to page".to_owned());
            }
            for filter in cursor.iter().chain(url) {
                found.filter(filter, &names);
            }
        }
    }

    fn mistakes_of_slices(&self, found: &mut Found) {
        let Some(slices) = &self.slices else { return };
        if let Some(dates) = &slices.value.dates {
            if let Err(problem) = super::dates::Step::parse(&dates.value.step.value) {
                found.at(&dates.value.step, problem);
            }
            for name in ["start_date", "end_date"] {
                match self.params.get(name) {
                    None => {}
                    Some(Value::String(text)) if super::dates::moment(text, self.zone()).is_some() => {}
                    Some(value) => {
                        found.at(dates, format!("params.{name}: {value} is not a date such as 2026-12-31"));
                    }
                }
            }
        }
        for (name, value) in &slices.value.each {
            let is_list = |value: &Value| {
                value.as_array().is_some_and(|list| {
                    !list.is_empty()
                        && list
                            .iter()
                            .all(|value| !value.is_array() && !value.is_object() && !value.is_null())
                })
            };
            let named =
                value.as_str().and_then(|text| Template::parse(text).ok()?.only_param().map(str::to_owned));
            let fits = match &named {
                Some(param) => self.params.get(param).is_none_or(is_list),
                None => is_list(value),
            };
            if !fits {
                found.at(slices, format!("each.{name} is a list, or ${{name}} of a parameter that is one"));
            }
            if let Some(param) = &named
                && !self.params.contains_key(param)
            {
                found.at(slices, format!("each.{name}: there is no parameter `{param}`"));
            }
        }
    }

    fn mistakes_of_target(&self, found: &mut Found) {
        let TargetSpec { sqlite, postgres, csv, jsonl, devrev, database, table } = &self.target.value;
        let kinds = [
            sqlite.is_some(),
            postgres.is_some(),
            csv.is_some(),
            jsonl.is_some(),
            devrev.is_some(),
            database.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            found.at(&self.target, "target has one of sqlite, postgres, csv, jsonl and devrev".to_owned());
        }
        self.mistakes_of_file_target(found);
        self.mistakes_of_devrev_target(found);
        if database.is_some() != table.is_some() {
            found.at(&self.target, "the short form of a target is database and table".to_owned());
        }
        if let Some(table) = sqlite
            && (table.path.is_none() || table.url.is_some())
        {
            found.at(&self.target, "sqlite has a path, and no url".to_owned());
        }
        if let Some(table) = postgres
            && table.path.is_some()
        {
            found.at(&self.target, "postgres has a url, and no path".to_owned());
        }
        if self.table().map(|spec| &spec.table).or(table.as_ref()).is_some_and(|name| name.trim().is_empty())
        {
            found.at(&self.target, "target: the table has no name".to_owned());
        }
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.value)
            && self.table().is_none()
            && database.is_none()
        {
            found.at(undo, "undo: true needs a target of PostgreSQL or SQLite".to_owned());
        }
        let Some(table) = self.table() else { return };
        for text in table.path.iter().chain(&table.url) {
            self.template(text, found);
        }
        if let Some(url) = &table.url {
            found.no_password(url);
        }
        if let Some(mode) = &table.mode {
            match mode.value {
                Mode::Upsert | Mode::Insert if table.key.is_empty() => {
                    found.at(mode, "this mode needs a key: the columns that tell records apart".to_owned());
                }
                Mode::Replace
                    if self.dates().is_none()
                        && self.slices.as_ref().is_none_or(|slices| slices.value.each.is_empty()) =>
                {
                    found.at(
                        mode,
                        "replace deletes the slice's range: it needs slices.dates or slices.each".to_owned(),
                    );
                }
                Mode::Replace
                    if self.zone() != Tz::UTC
                        && self.dates().is_some_and(|dates| {
                            matches!(
                                super::dates::Step::parse(&dates.step.value),
                                Ok(super::dates::Step::Time(_))
                            )
                        }) =>
                {
                    found.at(
                        mode,
                        "replace with a timezone needs steps of days, weeks, months or years: an hour may come twice"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
    }

    /// Whether a date may not name its zone: most columns keep none, and a row whose clock is another zone's would be deleted
    /// with the wrong slice.
    pub(super) fn compares_clocks(&self) -> bool {
        self.mode() == Mode::Replace && self.zone() != Tz::UTC
    }

    /// The HTTP API, also in its short form.
    pub(super) fn http(&self) -> Option<Cow<'_, HttpSpec>> {
        let SourceSpec { http, api_endpoint, rate_limit, .. } = &self.source.value;
        if let Some(http) = http {
            return Some(Cow::Borrowed(http));
        }
        let url = api_endpoint.clone()?;
        let (referenced, defined) = (url.referenced, url.defined);
        let rate = rate_limit.map(|calls| Spanned::new(format!("{calls}/60s"), referenced, defined));
        Some(Cow::Owned(HttpSpec {
            url,
            method: Method::Get,
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
            records: None,
            next: None,
            rate_limit: rate,
        }))
    }

    /// The slices by date, if there are any.
    pub(super) fn dates(&self) -> Option<&DatesSpec> {
        self.slices.as_ref()?.value.dates.as_ref().map(|dates| &dates.value)
    }

    /// What filters may call by `$name`: the parameters, those of slices, and `$slice`.
    pub(super) fn variables(&self) -> Vec<String> {
        let each = self.slices.iter().flat_map(|slices| slices.value.each.keys());
        let names: BTreeSet<String> =
            self.params.keys().chain(each).cloned().chain(["slice".to_owned()]).collect();
        names.into_iter().collect()
    }

    fn template(&self, text: &Spanned<String>, found: &mut Found) {
        self.template_text(Span::of(text), &text.value, found);
    }

    fn template_text(&self, span: Span, text: &str, found: &mut Found) {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(problem) => return found.0.push(Mistake { span, text: problem }),
        };
        let known = self.variables();
        for name in
            template.params().filter(|name| *name == "slice" || !known.iter().any(|known| known == name))
        {
            let text =
                format!("there is no parameter `{name}`: params and slices.each have {}", listed(&known));
            found.0.push(Mistake { span, text });
        }
        if template.needs_dates() && self.dates().is_none() {
            found.0.push(Mistake { span, text: "${slice...} needs slices.dates".to_owned() });
        }
        if template.variables().any(|name| name == TOKEN) {
            found.0.push(Mistake { span, text: format!("${{env.{TOKEN}}} goes to DevRev alone") });
        }
    }
}

fn mistakes_of_rule(rule: &Spanned<RuleSpec>, found: &mut Found) {
    let RuleSpec { field, required, kind, min, max, one_of, max_length, unique } = &rule.value;
    let of_field = *required
        || kind.is_some()
        || min.is_some()
        || max.is_some()
        || one_of.is_some()
        || max_length.is_some();
    if field.is_some() != of_field || (field.is_none() && unique.is_empty()) {
        found.at(
            rule,
            "a rule has a field and what holds of it (required, type, min, max, in, max_length), or unique"
                .to_owned(),
        );
    } else if field.is_some() && !unique.is_empty() {
        found.at(rule, "unique is a rule of its own".to_owned());
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        found.at(rule, format!("min {min} is more than max {max}"));
    }
}

fn listed(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != "slice").collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

struct Found(Vec<Mistake>);

impl Found {
    fn at<T>(&mut self, place: &Spanned<T>, text: String) {
        self.0.push(Mistake { span: Span::of(place), text });
    }

    fn filter(&mut self, filter: &Spanned<String>, variables: &[String]) {
        if let Err(problem) = Filter::compile(&filter.value, variables) {
            self.at(filter, problem);
        }
    }

    /// A text that is no template is found elsewhere.
    fn query(&mut self, query: Option<&Spanned<String>>, grammar: Grammar) {
        let Some(text) = query else { return };
        match Template::parse(&text.value) {
            Ok(template) if template.variables().next().is_some() => {
                self.at(text, "a query takes no ${env.NAME}: pass it as a parameter".to_owned());
            }
            Ok(_) => {
                if let Err(problem) = Query::parse(&text.value, grammar) {
                    self.at(text, problem);
                }
            }
            Err(_) => {}
        }
    }

    /// A password in a job file would be read by everyone who reads the file.
    fn no_password(&mut self, url: &Spanned<String>) {
        let has = url::Url::parse(&url.value).is_ok_and(|url| {
            url.password().is_some_and(|password| !password.contains("$%7Benv."))
                || url.query_pairs().any(|(name, value)| name == "password" && !value.contains("${env."))
        });
        if has {
            self.at(
                url,
                "it has a password in it: write ${env.DATABASE_URL}, or ${env.NAME} in its place".to_owned(),
            );
        }
    }
}

/// A rate such as `100/60s`.
pub(super) fn rate_of(text: &str) -> Result<crate::net::rate::Rate, String> {
    let wrong = || format!("`{text}` is not a rate such as 100/60s");
    let (calls, period) = text.split_once('/').ok_or_else(wrong)?;
    let calls = calls.trim().parse().map_err(|_| wrong())?;
    let period = humantime::parse_duration(period.trim()).map_err(|_| wrong())?;
    if period < std::time::Duration::from_millis(1) || period > std::time::Duration::from_secs(3600) {
        return Err(format!("`{text}`: the period is from 1ms to 1h"));
    }
    Ok(crate::net::rate::Rate { calls, period })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_of_earlier_files_is_read() {
        let text = "version: 1\njob_name: crypto_price_backfill\nsource:\n  api_endpoint: https://api.example.com/v2/histoday\n  \
                    rate_limit: 100\ntarget:\n  database: prices\n  table: crypto_prices\nbatch_size: 1000\nretry_policy:\n  \
                    max_retries: 3\n  backoff_factor: 2\n";
        let file = JobFile::read("job.yaml", text).unwrap().file;
        let http = file.http().unwrap();
        assert_eq!(http.url.value, "https://api.example.com/v2/histoday");
        let rate = rate_of(&http.rate_limit.as_ref().unwrap().value).unwrap();
        assert_eq!((rate.calls.get(), rate.period.as_secs()), (100, 60));
    }

    #[test]
    fn comments_and_order_are_no_other_job_and_a_transform_is() {
        let digest = |transform: &str, more: &str| {
            let text = format!(
                "{more}version: 1\njob_name: j\nparams: {{currency: USD, end_date: 2026-01-01}}\nsource: {{csv: {{path: a.csv}}}}\n\
                 transform: '{transform}'\ntarget: {{sqlite: {{path: a.db, table: t}}}}\n"
            );
            JobFile::read("job.yaml", &text).unwrap().digest
        };
        assert_eq!(digest(".", ""), digest(".", "# said otherwise\n"));
        assert_ne!(digest(".", ""), digest(". + {a: 1}", ""));
        let other = |from: &str, to: &str| {
            let text = "version: 1\njob_name: j\nparams: {currency: USD, end_date: 2026-01-01}\nsource: {csv: {path: a.csv}}\ntarget: \
                        {sqlite: {path: a.db, table: t}}\n";
            JobFile::read("job.yaml", &text.replace(from, to)).unwrap().digest
        };
        assert_ne!(other("USD", "EUR"), other("", ""), "a parameter says what records are");
        assert_eq!(other("2026-01-01", "2026-02-01"), other("", ""), "the range is the slices' own");
    }
}
