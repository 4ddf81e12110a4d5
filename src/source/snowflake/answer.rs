//! Snowflake's answers, as far as they are read here before `snowflake-api` reads them.
//!
//! The members are those that Snowflake's own drivers read; the protocol itself is not documented.

use super::error::SnowflakeError;
use bytes::Bytes;
use reqwest::{Body, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What was taken out of the answers.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The columns of the last query's result.
    pub(super) columns: Vec<Column>,
    /// Its rows, as Snowflake counted them.
    pub(super) total: u64,
    /// Its parts, after the rows that came with the answer itself.
    pub(super) chunks: Vec<Chunk>,
    /// What the requests for the parts need.
    pub(super) chunk_headers: HashMap<String, String>,
    /// Why the last request failed; the crate hands on less.
    pub(super) failed: Option<SnowflakeError>,
    /// Requests that were sent.
    pub(super) sent: u64,
}

/// A column of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// What it is called.
    pub(crate) name: String,
    /// Its type, as answers call it: `fixed`, `timestamp_ntz`.
    pub(crate) kind: String,
}

/// What a session has besides what every one has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// Parameters, in place of those of every session.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Values for the places of its queries, each a type and a value.
    pub(crate) bound: Vec<(&'static str, Option<String>)>,
}

/// What is set for the session: the same text for the same value, whatever the account's defaults, and parts of a
/// result as small as they can be had.
const SESSION: [(&str, &str); 7] = [
    ("CLIENT_RESULT_CHUNK_SIZE", "16"),
    ("DATE_OUTPUT_FORMAT", "YYYY-MM-DD"),
    ("TIMESTAMP_OUTPUT_FORMAT", TIMESTAMP_TZ),
    ("TIMESTAMP_TZ_OUTPUT_FORMAT", TIMESTAMP_TZ),
    ("TIMESTAMP_LTZ_OUTPUT_FORMAT", TIMESTAMP_TZ),
    ("TIMESTAMP_NTZ_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF3"),
    ("QUERY_TAG", "devrev-batch"),
];
const TIMESTAMP_TZ: &str = "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM";

/// A part of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where it is: as good as a password for it.
    pub(super) url: String,
    /// Its rows.
    pub(super) rows: u64,
}

/// What every answer has.
#[derive(Debug, Deserialize)]
struct Head {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Option<String>,
    success: bool,
}

/// Whether these bytes are an answer of Snowflake's at all.
pub(super) fn is_one(body: &[u8]) -> bool {
    serde_json::from_slice::<Head>(body).is_ok()
}

/// Adds the session's parameters to a login.
pub(super) fn set_session(request: &mut Request, terms: &Terms) {
    change(request, |login| {
        let parameters = login.pointer_mut("/data/SESSION_PARAMETERS").and_then(Value::as_object_mut);
        if let Some(parameters) = parameters {
            parameters.extend(SESSION.map(|(name, value)| (name.to_owned(), value.into())));
            let more = terms.parameters.iter();
            parameters.extend(more.map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
        }
    });
}

/// Adds the values for the places of a query, as Snowflake's own drivers send them; the crate knows of none.
pub(super) fn bind(request: &mut Request, terms: &Terms) {
    if terms.bound.is_empty() {
        return;
    }
    change(request, |query| {
        let values = terms.bound.iter().zip(1..);
        let bindings: Map<String, Value> = values
            .map(|((kind, value), place)| (i32::to_string(&place), json!({"type": kind, "value": value})))
            .collect();
        query["bindings"] = bindings.into();
    });
}

/// Changes the JSON that a request sends.
fn change(request: &mut Request, change: impl FnOnce(&mut Value)) {
    let Some(bytes) = request.body().and_then(Body::as_bytes) else { return };
    let Ok(mut body) = serde_json::from_slice::<Value>(bytes) else { return };
    if !body.is_object() {
        return;
    }
    change(&mut body);
    request.headers_mut().remove(http::header::CONTENT_LENGTH);
    *request.body_mut() = Some(Body::from(body.to_string()));
}

/// The answer to a login, if it was let in.
pub(super) fn login(body: Bytes) -> Result<Bytes, SnowflakeError> {
    let head: Head = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    if head.success {
        return Ok(body);
    }
    Err(SnowflakeError::of_login(text(&head.code), head.message.unwrap_or_default()))
}

/// The answer to a query.
#[derive(Debug)]
pub(super) struct Answer {
    whole: Map<String, Value>,
    code: String,
}

/// Reads the answer to a query.
pub(super) fn query(body: &[u8]) -> Result<Answer, SnowflakeError> {
    let whole: Map<String, Value> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let code = whole.get("code").map(text).unwrap_or_default();
    Ok(Answer { whole, code })
}

impl Answer {
    /// Snowflake's code; empty where all is well.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// Where to ask for the result of a query that still runs.
    pub(super) fn place(&self) -> Option<String> {
        self.whole.get("data")?.get("getResultUrl")?.as_str().map(str::to_owned)
    }

    /// Takes out what `snowflake-api` is not to see, and returns the rest; or says why the query was refused.
    pub(super) fn take(mut self, taken: &mut Taken) -> Result<Bytes, SnowflakeError> {
        let success = self.whole.get("success").and_then(Value::as_bool) == Some(true);
        match self.whole.get_mut("data").and_then(Value::as_object_mut) {
            Some(data) if success => {
                take_result(data, taken)?;
                Ok(Value::Object(self.whole).to_string().into())
            }
            data => {
                let state = data.and_then(|data| data.get("sqlState").map(text)).unwrap_or_default();
                let message = self.whole.get("message").map(text).unwrap_or_default();
                Err(SnowflakeError::of_query(self.code, message, &state))
            }
        }
    }
}

fn take_result(data: &mut Map<String, Value>, taken: &mut Taken) -> Result<(), SnowflakeError> {
    let answer = |what: &str| SnowflakeError::Answer(what.to_owned());
    // Types that the crate does not know would end its reading; it needs none.
    let columns = data.insert("rowtype".to_owned(), Value::Array(Vec::new())).unwrap_or_default();
    let columns = columns.as_array().ok_or_else(|| answer("it names no columns"))?;
    let text_of = |column: &Value, name: &str| column[name].as_str().map(str::to_lowercase);
    let columns = columns.iter().filter_map(|column| {
        let kind = text_of(column, "type").unwrap_or_default();
        Some(Column { name: column["name"].as_str()?.to_owned(), kind })
    });
    taken.columns = columns.collect();
    taken.total =
        data.get("total").and_then(Value::as_u64).ok_or_else(|| answer("it does not count its rows"))?;
    if data.get("rowset").is_some_and(|rows| rows.as_array().is_some_and(|rows| !rows.is_empty())) {
        return Err(answer(
            "rows as JSON, not as Arrow; unset GO_QUERY_RESULT_FORMAT for the user and the account",
        ));
    }
    let chunks = data.remove("chunks").unwrap_or_default();
    for chunk in chunks.as_array().into_iter().flatten() {
        let (Some(url), Some(rows)) = (chunk["url"].as_str(), chunk["rowCount"].as_u64()) else {
            return Err(answer("a part of the result has no address or no count"));
        };
        taken.chunks.push(Chunk { url: url.to_owned(), rows });
    }
    taken.chunk_headers = match data.remove("chunkHeaders") {
        Some(Value::Object(headers)) => {
            headers.iter().map(|(name, value)| (name.clone(), text(value))).collect()
        }
        _ => data.get("qrmk").and_then(Value::as_str).map(of_key).unwrap_or_default(),
    };
    // The crate makes headers of these without asking whether they are.
    let fits = |(name, value): (&String, &String)| {
        http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok()
    };
    if taken.chunk_headers.iter().all(fits) { Ok(()) } else { Err(answer("headers that are none")) }
}

/// The headers for parts that are encrypted with a key of the result's own.
fn of_key(key: &str) -> HashMap<String, String> {
    [("algorithm", "AES256"), ("key", key)]
        .map(|(name, value)| (format!("x-amz-server-side-encryption-customer-{name}"), value.to_owned()))
        .into()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn unreadable(error: &serde_json::Error) -> SnowflakeError {
    SnowflakeError::Answer(format!("it is not Snowflake's JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(answer: &Value) -> Result<(Value, Taken), SnowflakeError> {
        let mut taken = Taken::default();
        let rest = query(answer.to_string().as_bytes())?.take(&mut taken)?;
        Ok((serde_json::from_slice(&rest).unwrap(), taken))
    }

    fn answered(more: &Value) -> Value {
        let mut data = json!({
            "rowtype": [{"name": "A", "type": "vector"}, {"name": "b", "type": "text"}],
            "rowsetBase64": "", "total": 9, "returned": 9,
        });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"success": true, "code": null, "message": null, "data": data})
    }

    #[test]
    fn parts_are_taken_out_in_their_order() {
        let chunks = json!([{"url": "https://s/1", "rowCount": 4}, {"url": "https://s/2", "rowCount": 5}]);
        let (rest, taken) =
            take(&answered(&json!({"chunks": chunks, "chunkHeaders": {"x-a": "b"}}))).unwrap();
        let columns: Vec<_> = taken.columns.into_iter().map(|column| (column.name, column.kind)).collect();
        let of = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        assert_eq!((columns, taken.total), (vec![of("A", "vector"), of("b", "text")], 9));
        let parts: Vec<_> = taken.chunks.iter().map(|chunk| (chunk.url.as_str(), chunk.rows)).collect();
        assert_eq!(parts, [("https://s/1", 4), ("https://s/2", 5)]);
        assert_eq!(taken.chunk_headers, HashMap::from([("x-a".to_owned(), "b".to_owned())]));
        assert_eq!((&rest["data"]["rowtype"], rest["data"].get("chunks")), (&json!([]), None));
        assert_eq!(rest["data"]["rowsetBase64"], "");
    }

    #[test]
    fn parts_of_an_encrypted_result_need_its_key() {
        let (_, taken) = take(&answered(&json!({"qrmk": "k3y", "chunks": []}))).unwrap();
        assert_eq!(taken.chunk_headers["x-amz-server-side-encryption-customer-key"], "k3y");
        assert_eq!(taken.chunk_headers["x-amz-server-side-encryption-customer-algorithm"], "AES256");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for more in [
            json!({"total": null}),
            json!({"rowtype": null}),
            json!({"rowset": [["1"]]}),
            json!({"chunks": [{"url": "https://s/1"}]}),
            json!({"chunkHeaders": {"a b": "c"}}),
            json!({"chunkHeaders": {"a": "b\nc"}}),
        ] {
            assert!(matches!(take(&answered(&more)), Err(SnowflakeError::Answer(_))), "{more}");
        }
        assert!(matches!(query(b"<html>"), Err(SnowflakeError::Answer(_))));
        let refused =
            json!({"success": false, "code": "001003", "message": "syntax", "data": {"sqlState": "42000"}});
        assert!(matches!(take(&refused), Err(SnowflakeError::Refused { .. })));
        let over = json!({"success": false, "code": "390112", "message": "expired", "data": null});
        assert!(matches!(take(&over), Err(SnowflakeError::Session { .. })));
    }

    #[test]
    fn values_go_beside_the_query_and_parameters_with_the_login() {
        let request = |body: &Value| {
            let mut request = Request::new(reqwest::Method::POST, "https://s/".parse().unwrap());
            *request.body_mut() = Some(Body::from(body.to_string()));
            request
        };
        let of = |request: &Request| {
            serde_json::from_slice::<Value>(request.body().unwrap().as_bytes().unwrap()).unwrap()
        };
        let bound = vec![("TEXT", Some("it's".to_owned())), ("FIXED", Some("7".to_owned())), ("ANY", None)];
        let terms = Terms { parameters: vec![("QUERY_TAG", "own".to_owned())], bound };
        let mut query = request(&json!({"sqlText": "SELECT ?, ?, ?"}));
        bind(&mut query, &terms);
        let bindings = json!({
            "1": {"type": "TEXT", "value": "it's"},
            "2": {"type": "FIXED", "value": "7"},
            "3": {"type": "ANY", "value": null},
        });
        assert_eq!(of(&query), json!({"sqlText": "SELECT ?, ?, ?", "bindings": bindings}));
        let mut login = request(&json!({"data": {"SESSION_PARAMETERS": {}}}));
        set_session(&mut login, &terms);
        let parameters = &of(&login)["data"]["SESSION_PARAMETERS"];
        assert_eq!(
            (&parameters["QUERY_TAG"], &parameters["DATE_OUTPUT_FORMAT"]),
            (&json!("own"), &json!("YYYY-MM-DD"))
        );
    }

    #[test]
    fn a_query_that_runs_tells_where_to_ask() {
        let running =
            json!({"success": true, "code": "333333", "data": {"getResultUrl": "/queries/1/result"}});
        let answer = query(running.to_string().as_bytes()).unwrap();
        assert_eq!((answer.code(), answer.place().as_deref()), ("333333", Some("/queries/1/result")));
    }
}
