//! Metabase as a source: a native query to one of the databases that it knows.
//!
//! Which database that is decides whose SQL the query is, so as little as possible is put around it: `SELECT * FROM (...) q`,
//! ordered by places of columns. The export to JSON has no limit of 2,000 rows as other answers have; its own, of a
//! spreadsheet's rows, is taken for a result that is cut off.

use super::json_array::{ArrayError, JsonArray};
use super::jsonl::{NOT_UTF8, fields, write_cell};
use super::query::{Query, Wanted};
use super::query_error::QueryError;
use super::rows_file::{RowsFile, Spooled};
use crate::database::error::{DatabaseError, one_line, until_answered};
use crate::database::http::Connection;
use crate::net::redact::Secrets;
use crate::net::retry::RetryPolicy;
use crate::stop::Stop;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use url::Url;

pub(crate) const WHO: &str = "Metabase";
const KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The rows that an export has at the most. (Source: `absolute-max-results` in Metabase's code.)
const MAX_ROWS: u64 = 1_048_575;
/// The longest answer that has no rows, in bytes: the list of databases, the columns of a query.
const MAX_ANSWER: usize = 8 << 20;
/// Databases that a message lists.
const LISTED: usize = 20;

/// A Metabase, and which of its databases is asked.
#[derive(Debug, Clone)]
pub struct Metabase {
    /// `METABASE_BASE_URL`: https, or http to this machine.
    pub(crate) base_url: Url,
    /// `METABASE_API_KEY`.
    pub(crate) api_key: SecretString,
    /// `METABASE_DATABASE`: an ID or a name; not needed where there is only one.
    pub(crate) database: Option<String>,
    /// `METABASE_TIMEOUT`: the longest time between two bytes of an answer.
    pub(crate) timeout: Duration,
    /// How often and how soon to try again.
    pub(crate) retry: RetryPolicy,
}

/// A database that Metabase knows.
#[derive(Debug, Deserialize)]
struct Known {
    id: u64,
    #[serde(default)]
    name: String,
}

/// A column of a result.
#[derive(Debug, Deserialize)]
pub(crate) struct Column {
    /// What it is called.
    pub(crate) name: String,
    /// What an export may call it.
    #[serde(default)]
    pub(crate) display_name: Option<String>,
}

impl Metabase {
    /// Asks a query and keeps its rows as CSV in a new file at `to`, which is on the disk when this returns, and gone if
    /// it fails. An answer that breaks off is asked for again.
    ///
    /// Writes to the file between its waits: not for a thread that must not block.
    pub async fn spool(&self, query: &Query, to: &Path, stop: &Stop) -> Result<Spooled, QueryError> {
        let asked = self.connect("; it was sent to the database as SELECT * FROM (...) q ORDER BY ...")?;
        until_answered(WHO, self.retry, &self.secrets(), stop, || asked.once(query, to)).await
    }

    /// Sets a connection up; sends nothing. `hint` is said of a query that is refused.
    pub(crate) fn connect(&self, hint: &'static str) -> Result<Asked<'_>, DatabaseError> {
        let key =
            Some(self.api_key.expose_secret()).filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
        let mut key = key.and_then(|key| HeaderValue::from_str(key).ok()).ok_or_else(|| {
            DatabaseError::Settings("METABASE_API_KEY has a character in it that no key has".to_owned())
        })?;
        key.set_sensitive(true);
        let connection = Connection::new(WHO, &self.base_url, self.timeout)?;
        Ok(Asked { metabase: self, connection, key, hint })
    }

    /// What no text may quote.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::of([&self.api_key])
    }

    /// The address of an endpoint: below the path that the base URL may have.
    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/api/{path}", self.base_url.path().trim_end_matches('/')));
        url
    }
}

/// What is asked over one connection.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    metabase: &'a Metabase,
    connection: Connection,
    key: HeaderValue,
    hint: &'static str,
}

/// The rows of a query on their way: an array of objects.
#[derive(Debug)]
pub(crate) struct Export<'a> {
    asked: &'a Asked<'a>,
    response: Response,
    array: JsonArray,
    /// How many have come.
    pub(crate) rows: u64,
}

/// What ends the reading of rows.
enum Unread<E> {
    Array(ArrayError),
    Other(E),
}

impl<E> From<ArrayError> for Unread<E> {
    fn from(error: ArrayError) -> Self {
        Self::Array(error)
    }
}

impl Asked<'_> {
    async fn once(&self, query: &Query, to: &Path) -> Result<Spooled, QueryError> {
        let database = self.database().await?;
        let native = |sql: String| json!({"database": database, "type": "native", "native": {"query": sql}});
        let text = &query.statement.text;
        let columns = self.describe(native(format!("SELECT * FROM (\n{text}\n) q WHERE 1 = 0"))).await?;
        let found: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let wanted = query.wanted(&found)?;
        let (order, note) = query.order(&found, &wanted, "", |place| (place + 1).to_string());
        let export = self.export(&native(format!("SELECT * FROM (\n{text}\n) q ORDER BY {order}"))).await?;
        keep(export, &Rows::new(&columns, &wanted), query.limit, note, to).await
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.connection.client.post(self.metabase.endpoint(path));
        request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string())
    }

    /// Sends a request. What is no success is classified here.
    async fn ask(&self, request: RequestBuilder) -> Result<Response, DatabaseError> {
        let response = self.connection.send(request.header(KEY, self.key.clone())).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let unanswered = self.connection.unanswered(&response);
        let url = &self.metabase.base_url;
        let settings = "METABASE_API_KEY, and what its group may ask (native queries of this database)";
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let text = format!("{} (HTTP {})", self.said(response).await, status.as_u16());
                DatabaseError::Login { who: WHO, text, settings: settings.to_owned() }
            }
            StatusCode::NOT_FOUND => DatabaseError::Settings(format!(
                "{url} has no such endpoint or database (HTTP 404): check METABASE_BASE_URL and METABASE_DATABASE"
            )),
            status if status.is_redirection() => DatabaseError::Settings(format!(
                "{url} redirects (HTTP {}): check METABASE_BASE_URL",
                status.as_u16()
            )),
            StatusCode::BAD_REQUEST => self.refused(self.said(response).await),
            _ => unanswered,
        })
    }

    /// What an answer says that is no result.
    async fn said(&self, response: Response) -> String {
        let words = self.connection.words(response).await;
        serde_json::from_slice(&words)
            .map_or_else(|_| one_line(&String::from_utf8_lossy(&words)), |json| said(&json))
    }

    fn refused(&self, text: String) -> DatabaseError {
        DatabaseError::refused(WHO, text, self.hint)
    }

    /// The ID of the database.
    pub(crate) async fn database(&self) -> Result<u64, DatabaseError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Databases {
            List(Vec<Known>),
            /// As newer versions have it.
            Page {
                data: Vec<Known>,
            },
        }
        let wanted = self.metabase.database.as_deref();
        if let Some(id) = wanted.and_then(|wanted| wanted.parse().ok()) {
            return Ok(id);
        }
        let response = self.ask(self.connection.client.get(self.metabase.endpoint("database"))).await?;
        let body = self.connection.whole(response, MAX_ANSWER).await?;
        let Ok(Databases::List(known) | Databases::Page { data: known }) = serde_json::from_slice(&body)
        else {
            return Err(self.connection.odd("it is not a list of databases: is that Metabase?".to_owned()));
        };
        let mut fitting =
            known.iter().filter(|known| wanted.is_none_or(|wanted| known.name.eq_ignore_ascii_case(wanted)));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one.id),
            (Some(_), Some(_)) if wanted.is_some() => {
                Err(choose("several databases have that name: give its ID", &known))
            }
            (Some(_), Some(_)) => Err(choose("say which database is meant", &known)),
            (None, _) => Err(choose("no such database, or none for this key", &known)),
        }
    }

    /// The columns of a query that returns no rows.
    pub(crate) async fn describe(&self, query: Value) -> Result<Vec<Column>, DatabaseError> {
        #[derive(Deserialize)]
        struct Described {
            data: Cols,
        }
        #[derive(Deserialize)]
        struct Cols {
            cols: Vec<Column>,
        }
        let described: Result<Described, _> = serde_json::from_value(self.answer(query).await?);
        described
            .map(|described| described.data.cols)
            .map_err(|_| self.connection.odd("it does not say which columns the query has".to_owned()))
    }

    /// The number that a query returns.
    #[cfg(feature = "load")]
    pub(crate) async fn number(&self, query: Value) -> Result<u64, DatabaseError> {
        let answer = self.answer(query).await?;
        let number = &answer["data"]["rows"][0][0];
        let number = number.as_u64().or_else(|| number.as_str()?.parse().ok());
        number.ok_or_else(|| self.connection.odd("it does not count the rows of the query".to_owned()))
    }

    /// The answer to a query of few rows.
    async fn answer(&self, query: Value) -> Result<Value, DatabaseError> {
        let response = self.ask(self.post("dataset", &query)).await?;
        let body = self.connection.whole(response, MAX_ANSWER).await?;
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            return Err(self.connection.odd("it is not JSON: is that Metabase?".to_owned()));
        };
        if answer["status"] == "completed" { Ok(answer) } else { Err(self.refused(said(&answer))) }
    }

    /// Asks a query for its rows.
    pub(crate) async fn export(&self, query: &Value) -> Result<Export<'_>, DatabaseError> {
        let asked = self.ask(self.post("dataset/json", &json!({"query": query, "format_rows": false}))).await;
        let response = match asked {
            // Older versions want the query as a text.
            Err(DatabaseError::Refused(_)) => {
                let body = json!({"query": query.to_string(), "format_rows": false});
                self.ask(self.post("dataset/json", &body)).await
            }
            asked => asked,
        }?;
        Ok(Export { asked: self, response, array: JsonArray::new(), rows: 0 })
    }
}

impl Export<'_> {
    /// Hands over the rows that come next; false at the end, and where `take` wants no more of them. What `take` finds wrong
    /// with a row is an answer that cannot be used.
    pub(crate) async fn next<E: From<DatabaseError>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<Result<bool, String>, E>,
    ) -> Result<bool, E> {
        let Self { asked, response, array, rows } = self;
        let connection = &asked.connection;
        let Some(bytes) = connection.chunk(response).await? else { return Ok(false) };
        let first = array.is_untouched();
        let fed = array.feed(&bytes, |object| {
            *rows += 1;
            let wrong = |problem| connection.odd(format!("row {rows} {problem}")).into();
            take(object).and_then(|goes_on| goes_on.map_err(wrong)).map_err(Unread::Other)
        });
        match fed {
            Ok(goes_on) => Ok(goes_on),
            Err(Unread::Other(error)) => Err(error),
            // An error comes with the status of a success.
            Err(Unread::Array(ArrayError::NoArray)) if first => {
                let mut words = bytes.to_vec();
                connection.more_words(response, &mut words).await;
                let error = match serde_json::from_slice(&words) {
                    Ok(json) => asked.refused(said(&json)),
                    Err(_) => connection.odd("it is not a JSON array: is that Metabase?".to_owned()),
                };
                Err(error.into())
            }
            Err(Unread::Array(error)) => Err(connection.odd(error.to_string()).into()),
        }
    }

    /// Says whether all rows have come.
    pub(crate) fn finish(&self) -> Result<(), DatabaseError> {
        let connection = &self.asked.connection;
        self.array.finish().map_err(|error| connection.unreachable(&error.to_string(), None))?;
        if self.rows >= MAX_ROWS {
            let text = format!("it is cut off at {MAX_ROWS} rows, the most that an export has: ask for less");
            return Err(connection.odd(text));
        }
        Ok(())
    }
}

/// Keeps the rows of an answer.
async fn keep(
    mut export: Export<'_>,
    rows: &Rows,
    limit: Option<u64>,
    note: Option<String>,
    to: &Path,
) -> Result<Spooled, QueryError> {
    let mut file = RowsFile::create(to, rows.columns.iter().map(|column| &column.name))?;
    let mut cells = vec![String::new(); rows.columns.len()];
    let limit = limit.unwrap_or(u64::MAX);
    let mut goes_on = limit > 0;
    while goes_on {
        goes_on = export
            .next(|object| {
                if let Err(problem) = rows.read(object, &mut cells) {
                    return Ok(Err(problem));
                }
                file.push(cells.iter())?;
                Ok::<_, QueryError>(Ok(file.rows() < limit))
            })
            .await?;
    }
    if file.rows() < limit {
        export.finish()?;
    }
    Ok(file.finish(note)?)
}

/// The columns that are taken from each object.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: Vec<RowColumn>,
}

/// A column as it is called here, and as the objects may call it.
#[derive(Debug)]
struct RowColumn {
    name: String,
    keys: [String; 2],
}

impl Rows {
    fn new(found: &[Column], wanted: &Wanted) -> Self {
        let column = |(name, place): &(String, usize)| {
            let found = found.get(*place);
            let key = found.map(|found| found.name.clone()).unwrap_or_default();
            let title = found.and_then(|found| found.display_name.clone());
            RowColumn { name: name.clone(), keys: [key.clone(), title.unwrap_or(key)] }
        };
        Self { columns: wanted.columns.iter().map(column).collect() }
    }

    /// All columns, as they are called.
    #[cfg(feature = "load")]
    pub(crate) fn all(found: &[Column]) -> Self {
        let columns = found.iter().map(|column| column.name.clone()).zip(0..).collect();
        Self::new(found, &Wanted { columns, key: (String::new(), 0) })
    }

    /// The values of an object, in the order of the columns.
    pub(crate) fn values<'o>(&self, object: &'o [u8]) -> Result<Vec<&'o RawValue>, String> {
        let fields = fields(object).map_err(|problem| match &*problem {
            NOT_UTF8 => format!("{NOT_UTF8}: convert its bytes in the query"),
            _ => problem,
        })?;
        let value = |column: &RowColumn| {
            let mut found = column.keys.iter().filter_map(|key| fields.iter().find(|(name, _)| name == key));
            found.next().map(|(_, value)| *value).ok_or_else(|| format!("has no `{}`", column.name))
        };
        self.columns.iter().map(value).collect()
    }

    /// Reads an object into cells.
    fn read(&self, object: &[u8], cells: &mut [String]) -> Result<(), String> {
        for (value, cell) in self.values(object)?.into_iter().zip(cells) {
            cell.clear();
            write_cell(value, cell)?;
        }
        Ok(())
    }
}

/// What an answer says of what went wrong.
fn said(answer: &Value) -> String {
    let words = ["error", "message", "cause"].iter().find_map(|name| answer[*name].as_str());
    let words = words.or(answer.as_str()).map(str::to_owned);
    let whole = || match &answer["errors"] {
        Value::Null => answer.to_string(),
        errors => errors.to_string(),
    };
    one_line(&words.filter(|words| !words.trim().is_empty()).unwrap_or_else(whole))
}

/// What to set, with the databases that there are.
fn choose(what: &str, known: &[Known]) -> DatabaseError {
    let more = known.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let listed: Vec<_> =
        known.iter().take(LISTED).map(|known| format!("{} ({})", known.id, one_line(&known.name))).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    DatabaseError::Settings(format!("METABASE_DATABASE: {what}; there are: {listed}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_below_the_base_url() {
        for (base, endpoint) in [
            ("https://m.example.com", "https://m.example.com/api/dataset/json"),
            ("https://example.com/metabase/", "https://example.com/metabase/api/dataset/json"),
        ] {
            let metabase = Metabase {
                base_url: Url::parse(base).unwrap(),
                api_key: "mb_s3cr3t".into(),
                database: None,
                timeout: Duration::ZERO,
                retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
            };
            assert_eq!(metabase.endpoint("dataset/json").as_str(), endpoint);
            assert!(!format!("{metabase:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn advice_is_for_queries_and_not_for_files() {
        let wanted = Wanted { columns: vec![("id".to_owned(), 0)], key: ("id".to_owned(), 0) };
        let found = [Column { name: "id".to_owned(), display_name: None }];
        let read = Rows::new(&found, &wanted).read(b"{\"id\":\"\xff\"}", &mut [String::new()]);
        assert_eq!(read.unwrap_err(), "is not UTF-8: convert its bytes in the query");
    }

    #[test]
    fn what_went_wrong_is_found_in_any_form() {
        for (answer, words) in [
            (json!({"status": "failed", "error": "no such\n table"}), "no such table"),
            (json!({"message": "Not found."}), "Not found."),
            (json!({"error": {"a": 1}, "cause": "Oops"}), "Oops"),
            (json!({"errors": {"query": "must be a string"}}), r#"{"query":"must be a string"}"#),
            (json!("Unauthenticated"), "Unauthenticated"),
            (json!({"a": 1}), r#"{"a":1}"#),
        ] {
            assert_eq!(said(&answer), words);
        }
    }
}
