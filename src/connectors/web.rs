//! `--source clickhouse` and `--source metabase`: a query that is asked over HTTP, and answered with JSON.

use super::json_lines::failure as not_rows;
use crate::cli;
use crate::cli::client::ClientFlags;
use crate::exit::{Exit, Failure};
use crate::run::signals;
use crate::settings::web::{self, WebAccess};
use crate::source::download::{DownloadError, Request, download};
use crate::source::json_lines::{self, Form, JsonLinesError};
use crate::source::query::Query;
use crate::source::{Input, Source};
use crate::stop::Stop;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

/// The rows after which Metabase cuts an answer off: as many as a sheet of a spreadsheet has, without its header.
const METABASE_MOST: u64 = 1_048_575;

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    ClickHouse,
    Metabase,
}

/// A query, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Queried {
    service: Service,
    access: WebAccess,
    query: Query,
    arguments: Vec<String>,
    record: Map<String, Value>,
}

impl Queried {
    /// Reads the settings of ClickHouse; sends nothing. `arguments` ask for the same rows again.
    pub(super) fn clickhouse(
        query: Query,
        arguments: Vec<String>,
        global: &cli::Global,
        client: &ClientFlags,
    ) -> Result<Self, Failure> {
        let (access, record) = web::clickhouse(global, client)?;
        Ok(Self { service: Service::ClickHouse, access, query, arguments, record })
    }

    /// The same of Metabase.
    pub(super) fn metabase(
        query: Query,
        arguments: Vec<String>,
        global: &cli::Global,
        client: &ClientFlags,
    ) -> Result<Self, Failure> {
        let (access, record) = web::metabase(global, client)?;
        Ok(Self { service: Service::Metabase, access, query, arguments, record })
    }

    fn request(&self) -> Result<Request, Failure> {
        let WebAccess { url, user, secret, database, timeout, retries } = &self.access;
        let (mut url, mut headers) = (url.clone(), HeaderMap::new());
        let mut header = |name: &'static str, value: &str| -> Result<(), Failure> {
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                let text =
                    format!("{}: a setting has characters that cannot be sent in a header", self.name());
                Failure::new(Exit::Usage, text)
            })?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        let secret = secret.as_ref().map(ExposeSecret::expose_secret);
        let body = match self.service {
            Service::ClickHouse => {
                header("x-clickhouse-user", user)?;
                if let Some(secret) = secret {
                    header("x-clickhouse-key", secret)?;
                }
                url.query_pairs_mut().extend_pairs([
                    ("database", database.as_str()),
                    ("default_format", "JSONEachRow"),
                    // It can only read, whatever the query is; and an error after the first row has a status of its own.
                    ("readonly", "2"),
                    ("wait_end_of_query", "1"),
                    ("output_format_json_quote_64bit_integers", "1"),
                    ("output_format_json_quote_decimals", "1"),
                    ("output_format_json_quote_denormals", "1"),
                    ("date_time_output_format", "iso"),
                ]);
                let limit = self.query.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
                format!("SELECT * FROM (\n{}\n) AS q{limit}", self.query.statement.text)
            }
            Service::Metabase => {
                header("x-api-key", secret.unwrap_or_default())?;
                let base = url.path().trim_end_matches('/').to_owned();
                url.set_path(&format!("{base}/api/dataset/json"));
                json!({"query": self.native(), "format_rows": false}).to_string()
            }
        };
        Ok(Request { url, headers, body, timeout: *timeout, retries: *retries })
    }

    /// The query as Metabase takes it.
    fn native(&self) -> Value {
        // Checked with the settings.
        let database: u32 = self.access.database.parse().unwrap_or_default();
        json!({"database": database, "type": "native", "native": {"query": self.query.statement.text}})
    }

    async fn answer(&self, stop: &Stop) -> Result<File, Failure> {
        let mut request = self.request()?;
        let mut answer = download(&request, stop).await;
        if self.service == Service::Metabase
            && matches!(answer, Err(DownloadError::Refused { status: 400, .. }))
        {
            // Older versions want the query as a text.
            request.body = json!({"query": self.native().to_string(), "format_rows": "false"}).to_string();
            let second = download(&request, stop).await;
            if second.is_ok() {
                answer = second;
            }
        }
        answer.map_err(|error| self.failed(error, stop))
    }

    /// The columns of a query's answer, as ClickHouse describes them.
    async fn names(&self, stop: &Stop) -> Result<Vec<String>, Failure> {
        let mut request = self.request()?;
        request.body = format!("DESCRIBE (\n{}\n)", self.query.statement.text);
        let mut described = download(&request, stop).await.map_err(|error| self.failed(error, stop))?;
        let mut text = String::new();
        let read = described.by_ref().take(1 << 20).read_to_string(&mut text);
        read.map_err(|error| failure(&DownloadError::Disk(error)))?;
        let columns = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(columns.filter_map(|column| column["name"].as_str().map(str::to_owned)).collect())
    }

    fn failed(&self, error: DownloadError, stop: &Stop) -> Failure {
        match error {
            DownloadError::Interrupted => {
                signals::interrupted(stop, &format!("interrupted while {} was asked", self.name()))
            }
            error => failure(&error).because(error),
        }
    }
}

/// What Metabase says instead of rows: its errors may come with status 200.
fn said_instead(file: &mut File) -> std::io::Result<Option<String>> {
    let mut start = Vec::new();
    file.by_ref().take(64 << 10).read_to_end(&mut start)?;
    file.rewind()?;
    if start.trim_ascii_start().starts_with(b"[") {
        return Ok(None);
    }
    let message = serde_json::from_slice::<Value>(&start).ok();
    let error = message.as_ref().and_then(|message| message.get("error")?.as_str().map(str::to_owned));
    let said = error.unwrap_or_else(|| String::from_utf8_lossy(&start).into_owned());
    Ok(Some(said.lines().next().unwrap_or_default().chars().take(300).collect()))
}

impl Source for Queried {
    fn name(&self) -> &'static str {
        match self.service {
            Service::ClickHouse => "ClickHouse",
            Service::Metabase => "Metabase",
        }
    }

    fn query(&self) -> &str {
        &self.query.statement.text
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let runtime = tokio::runtime::Handle::current();
        let mut file = runtime.block_on(self.answer(stop))?;
        let form = if self.service == Service::Metabase { Form::Array } else { Form::Lines };
        if form == Form::Array
            && let Some(said) =
                said_instead(&mut file).map_err(|error| failure(&DownloadError::Disk(error)))?
        {
            let text = format!("Metabase does not answer with rows: {said}");
            return Err(Failure::new(Exit::Usage, text));
        }
        let called = format!("the answer of {}", self.name());
        let (columns, limit) = (&self.query.columns, self.query.limit);
        let mut spooled = json_lines::spool((file, called.clone()), form, &[], columns, limit, to);
        if self.service == Service::ClickHouse
            && matches!(spooled, Ok((_, 0)) | Err(JsonLinesError::NoRows { .. }))
        {
            // Without a row there is no name of a column: they are asked for.
            let names = runtime.block_on(self.names(stop))?;
            let _ = std::fs::remove_file(to);
            let empty = tempfile::tempfile().map_err(|error| failure(&DownloadError::Disk(error)))?;
            spooled = json_lines::spool((empty, called), form, &names, columns, limit, to);
        }
        let (found, rows) = spooled.map_err(not_rows)?;
        if self.service == Service::Metabase && rows == METABASE_MOST {
            let text = format!(
                "Metabase cuts an answer off at {METABASE_MOST} rows: ask for fewer, by a range of keys"
            );
            // Part of an input must not pass for one.
            let _ = std::fs::remove_file(to);
            return Err(Failure::new(Exit::InvalidInput, text));
        }
        Ok(Input::queried(self.name(), to, Some(found), self.arguments.clone()))
    }
}

/// What a failure means for a command that has sent nothing to DevRev yet.
fn failure(error: &DownloadError) -> Failure {
    let (exit, next) = match error {
        DownloadError::Client(_) | DownloadError::Refused { .. } => (Exit::Usage, ""),
        DownloadError::Credentials { .. } => {
            (Exit::Credentials, "; check the user and the password, or the key")
        }
        DownloadError::Unreachable { .. } | DownloadError::Busy { .. } => {
            (Exit::Stopped, "; nothing was sent to DevRev: start again")
        }
        DownloadError::Disk(_) | DownloadError::Interrupted => (Exit::Unexpected, ""),
    };
    Failure::new(exit, format!("{error}{next}"))
}
