//! A Metabase that is played: the endpoints that the program uses, with the answers of the real one, over a database of
//! SQLite.

use super::program::Program;
use super::site::DATABASE_PASSWORD;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo, ValueRef};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The key of every test.
pub(crate) const KEY: &str = DATABASE_PASSWORD;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// What happens instead of an answer, once each.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and body.
    Answer(u16, &'static str),
    /// The rows break off after so many.
    CutAfter(usize),
    /// Nothing comes.
    Silence,
}

/// A Metabase.
pub(crate) struct Metabase {
    url: String,
    world: Arc<World>,
}

struct World {
    folder: TempDir,
    databases: Mutex<Vec<(u64, String)>>,
    faults: Mutex<Vec<(String, Fault)>>,
    log: Mutex<Vec<String>>,
    /// Whether it wants queries as a text, as versions before 0.52 did.
    is_old: Mutex<bool>,
    /// The rows after which it cuts an export off.
    limit: Mutex<Option<u64>>,
}

impl Metabase {
    /// One that knows the database 7, `CRM`.
    pub(crate) fn new() -> Self {
        let world = Arc::new(World {
            folder: tempfile::tempdir().unwrap(),
            databases: Mutex::new(vec![(7, "CRM".to_owned())]),
            faults: Mutex::default(),
            log: Mutex::default(),
            is_old: Mutex::default(),
            limit: Mutex::default(),
        });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&world));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/mb", listener.local_addr().unwrap());
        RUNTIME.spawn(async { axum::serve(listener, app).await });
        Self { url, world }
    }

    /// Runs statements on the database.
    pub(crate) fn run(&self, sql: &str) {
        let options = SqliteConnectOptions::new().filename(self.world.file()).create_if_missing(true);
        RUNTIME.block_on(async {
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        });
    }

    /// Breaks the next answers of an endpoint.
    pub(crate) fn faults(&self, endpoint: &str, faults: &[Fault]) {
        let faults = faults.iter().map(|fault| (endpoint.to_owned(), fault.clone()));
        self.world.faults.lock().unwrap().extend(faults);
    }

    /// The databases that it knows from now on.
    pub(crate) fn knows(&self, databases: &[(u64, &str)]) {
        *self.world.databases.lock().unwrap() =
            databases.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
    }

    /// Is an old version from now on.
    pub(crate) fn is_old(&self) {
        *self.world.is_old.lock().unwrap() = true;
    }

    /// Cuts exports off after so many rows from now on.
    pub(crate) fn cuts_off(&self, rows: u64) {
        *self.world.limit.lock().unwrap() = Some(rows);
    }

    /// What was asked: endpoints, with the query if there was one.
    pub(crate) fn log(&self) -> Vec<String> {
        self.world.log.lock().unwrap().clone()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Settings by which a program finds it.
    pub(crate) fn prepare(&self, program: Program) -> Program {
        program.env("METABASE_BASE_URL", &self.url).env("METABASE_API_KEY", KEY)
    }
}

impl World {
    fn file(&self) -> PathBuf {
        self.folder.path().join("crm.db")
    }

    fn fault(&self, endpoint: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let place = faults.iter().position(|(of, _)| of == endpoint)?;
        Some(faults.remove(place).1)
    }
}

async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let plain = |status: StatusCode, text: &str| (status, text.to_owned()).into_response();
    let (parts, body) = request.into_parts();
    let Some(endpoint) = parts.uri.path().strip_prefix("/mb/api/").map(str::to_owned) else {
        return plain(StatusCode::NOT_FOUND, "Not found.");
    };
    if parts.headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return plain(StatusCode::UNAUTHORIZED, "Unauthenticated");
    }
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let query = if endpoint == "dataset/json" { body["query"].clone() } else { body.clone() };
    let as_text = query.as_str().and_then(|text| serde_json::from_str(text).ok());
    let is_wrong = endpoint == "dataset/json" && *world.is_old.lock().unwrap() != as_text.is_some();
    let query: Value = as_text.unwrap_or(query);
    let asked = query["native"]["query"].as_str().unwrap_or_default().to_owned();
    world.log.lock().unwrap().push(format!("{endpoint} {asked}").trim_end().to_owned());
    let (sql, bound) = match substituted(&asked, &query) {
        Ok(sql) => sql,
        Err(problem) => {
            let body = json!({"status": "failed", "error": problem});
            return (StatusCode::ACCEPTED, axum::Json(body)).into_response();
        }
    };
    let fault = world.fault(&endpoint);
    match fault {
        Some(Fault::Silence) => tokio::time::sleep(Duration::from_secs(600)).await,
        Some(Fault::Answer(status, body)) => return plain(StatusCode::from_u16(status).unwrap(), body),
        _ => {}
    }
    let known = world.databases.lock().unwrap().clone();
    match (&parts.method, endpoint.as_str()) {
        (&Method::GET, "database") => {
            let data: Vec<_> =
                known.iter().map(|(id, name)| json!({"id": id, "name": name, "engine": "sqlite"})).collect();
            let total = data.len();
            axum::Json(json!({"data": data, "total": total})).into_response()
        }
        (&Method::POST, "dataset" | "dataset/json") if is_wrong => {
            let wrong = json!({"errors": {"query": "value must be a valid JSON string."}});
            (StatusCode::BAD_REQUEST, axum::Json(wrong)).into_response()
        }
        (&Method::POST, "dataset" | "dataset/json")
            if !known.iter().any(|(id, _)| query["database"] == *id) =>
        {
            plain(StatusCode::NOT_FOUND, "Not found.")
        }
        (&Method::POST, "dataset") => describe(&world, sql, bound).await,
        (&Method::POST, "dataset/json") if body["format_rows"] == false => {
            let most = if let Some(Fault::CutAfter(rows)) = fault { Some(rows) } else { None };
            let sql = match *world.limit.lock().unwrap() {
                Some(limit) => format!("SELECT * FROM ({sql}) LIMIT {limit}"),
                None => sql,
            };
            rows(&world, sql, bound, most).await
        }
        _ => plain(StatusCode::NOT_FOUND, "API endpoint does not exist."),
    }
}

fn failed(error: &sqlx::Error) -> Response {
    let words =
        error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let body = json!({"status": "failed", "error": format!("[SQLITE_ERROR] SQL error ({words})"), "data": {"rows": [], "cols": []}});
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

/// What the values of template tags make of a query: places of the driver's, and what is bound to them.
fn substituted(sql: &str, query: &Value) -> Result<(String, Vec<Value>), String> {
    let (mut made, mut bound, mut rest) = (String::new(), Vec::new(), sql);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("Syntax error: {{ without its end")?;
        let kind = &query["native"]["template-tags"][name]["type"];
        let parameters = query["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let parameter = parameters
            .iter()
            .find(|parameter| parameter["target"] == json!(["variable", ["template-tag", name]]))
            .filter(|parameter| parameter["type"] == *kind)
            .ok_or_else(|| format!("Cannot run the query: missing required parameters: #{{\"{name}\"}}"))?;
        let value = &parameter["value"];
        let fits = match kind.as_str() {
            Some("number") => value.is_number(),
            Some("date") => value.as_str().is_some_and(|text| text.starts_with("20")),
            _ => value.is_string(),
        };
        if !fits {
            return Err(format!("Invalid parameter {value}"));
        }
        bound.push(value.clone());
        made = made + before + "?";
        rest = after;
    }
    Ok((made + rest, bound))
}

fn asking(
    sql: String,
    bound: &[Value],
) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    bound.iter().fold(query, |query, value| match value.as_i64() {
        Some(number) => query.bind(number),
        None => query.bind(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    })
}

async fn describe(world: &World, sql: String, bound: Vec<Value>) -> Response {
    let mut connection = SqliteConnectOptions::new().filename(world.file()).connect().await.unwrap();
    let described = connection.prepare(AssertSqlSafe(sql.as_str()).into_sql_str()).await;
    match described {
        Err(error) => failed(&error),
        Ok(described) => {
            let cols: Vec<_> = described
                .columns()
                .iter()
                .map(|column| json!({"name": column.name(), "display_name": column.name(), "base_type": "type/Text"}))
                .collect();
            let found = asking(sql, &bound).fetch_all(&mut connection).await.unwrap();
            let found: Vec<Vec<Value>> = found
                .iter()
                .map(|row| object(row).as_object().unwrap().values().cloned().collect())
                .collect();
            let body = json!({"status": "completed", "row_count": found.len(), "data": {"rows": found, "cols": cols}});
            (StatusCode::ACCEPTED, axum::Json(body)).into_response()
        }
    }
}

/// The rows as an array of objects, as they come; or the beginning of it, and then a connection that breaks.
async fn rows(world: &World, sql: String, bound: Vec<Value>, most: Option<usize>) -> Response {
    let mut connection = SqliteConnectOptions::new().filename(world.file()).connect().await.unwrap();
    if let Err(error) = connection.prepare(AssertSqlSafe(sql.as_str()).into_sql_str()).await {
        return failed(&error);
    }
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<String, Infallible>>(8);
    let (broken, breaks) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut found = asking(sql, &bound).fetch(&mut connection);
        let (mut text, mut count) = ("[\n".to_owned(), 0);
        while let Some(Ok(row)) = found.next().await {
            if most == Some(count) {
                let _ = sender.send(Ok(text)).await;
                let _ = broken.send(());
                return;
            }
            let comma = if count == 0 { "" } else { ",\n" };
            text.push_str(comma);
            text.push_str(&object(&row).to_string());
            count += 1;
            if text.len() > 16 << 10 && sender.send(Ok(std::mem::take(&mut text))).await.is_err() {
                return;
            }
        }
        let _ = sender.send(Ok(text + "\n]")).await;
    });
    let parts =
        futures_util::stream::unfold((receiver, Some(breaks)), |(mut receiver, mut breaks)| async move {
            match receiver.recv().await {
                Some(Ok(part)) => Some((Ok(part), (receiver, breaks))),
                Some(Err(never)) => match never {},
                None => {
                    let is_broken = breaks.take()?.await.is_ok();
                    is_broken.then(|| (Err(std::io::Error::other("broken")), (receiver, None)))
                }
            }
        });
    Response::new(Body::from_stream(parts))
}

fn object(row: &SqliteRow) -> Value {
    let mut object = Map::new();
    for (place, column) in row.columns().iter().enumerate() {
        let value = row.try_get_raw(place).unwrap();
        let kind = value.type_info().name().to_owned();
        let value = match kind.as_str() {
            _ if value.is_null() => Value::Null,
            "INTEGER" => row.get_unchecked::<i64, _>(place).into(),
            "REAL" => row.get_unchecked::<f64, _>(place).into(),
            _ => row.get_unchecked::<String, _>(place).into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Value::Object(object)
}
