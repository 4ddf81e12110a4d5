//! ClickHouse, over its HTTP interface: where it is, how to ask it, and what its errors mean.

use super::error::{DatabaseError, LONGEST_QUERY_HOURS, Refusal, one_line};
use super::http::Connection;
use crate::net::redact::Secrets;
use crate::net::retry::RetryPolicy;
use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

pub(crate) const WHO: &str = "ClickHouse";
const USER: HeaderName = HeaderName::from_static("x-clickhouse-user");
const PASSWORD: HeaderName = HeaderName::from_static("x-clickhouse-key");
const CODE: HeaderName = HeaderName::from_static("x-clickhouse-exception-code");
/// The longest line of an answer, in bytes: JSON may write a row of 1 MiB in more.
const MAX_LINE: usize = 8 << 20;
/// The longest answer whose rows are kept, in bytes.
const MAX_ROWS: usize = 64 << 20;
/// What stands in an exception's text.
const EXCEPTION: &str = "DB::Exception";

/// A ClickHouse, and who asks it.
#[derive(Debug, Clone)]
pub struct Clickhouse {
    /// `CLICKHOUSE_URL`: https, or http to this machine.
    pub(crate) url: Url,
    /// `CLICKHOUSE_USER`.
    pub(crate) user: String,
    /// `CLICKHOUSE_PASSWORD`.
    pub(crate) password: Option<SecretString>,
    /// `CLICKHOUSE_DATABASE`.
    pub(crate) database: String,
    /// How often and how soon to try again.
    pub(crate) retry: RetryPolicy,
}

impl Clickhouse {
    /// Where it is, without secrets.
    pub(crate) fn place(&self) -> String {
        let url = self.url.as_str().trim_end_matches('/');
        format!("clickhouse+{url}/{} as {}", self.database, self.user)
    }

    /// Sets a connection up; sends nothing.
    pub(crate) fn connect(&self) -> Result<Session<'_>, DatabaseError> {
        let header = |name: &str, value: &str| {
            let wrong =
                || DatabaseError::Settings(format!("{name} has a character in it that cannot be sent"));
            let fits = !value.bytes().any(|byte| byte.is_ascii_control());
            let mut header =
                HeaderValue::from_bytes(value.as_bytes()).ok().filter(|_| fits).ok_or_else(wrong)?;
            header.set_sensitive(true);
            Ok::<_, DatabaseError>(header)
        };
        let user = header("CLICKHOUSE_USER", &self.user)?;
        let password =
            self.password.as_ref().map(|password| header("CLICKHOUSE_PASSWORD", password.expose_secret()));
        // A query may take long before its first row; a connection that is gone is noticed by TCP.
        let connection = Connection::new(WHO, &self.url, Duration::from_secs(LONGEST_QUERY_HOURS * 3600))?;
        let (secrets, password) = (Secrets::of(&self.password), password.transpose()?);
        Ok(Session { clickhouse: self, connection, secrets, user, password })
    }
}

/// What is asked over one connection.
pub(crate) struct Session<'a> {
    clickhouse: &'a Clickhouse,
    pub(crate) connection: Connection,
    /// The password: no error may quote it.
    pub(crate) secrets: Secrets,
    user: HeaderValue,
    password: Option<HeaderValue>,
}

impl Session<'_> {
    /// Sends a statement with these parameters of the URL: settings, mostly. An answer of any status is one.
    pub(crate) async fn send(
        &self,
        sql: impl Into<reqwest::Body>,
        settings: &[(&str, &str)],
    ) -> Result<Response, DatabaseError> {
        let mut url = self.clickhouse.url.clone();
        url.query_pairs_mut().append_pair("database", &self.clickhouse.database).extend_pairs(settings);
        let mut request = self.connection.client.post(url).header(USER, self.user.clone()).body(sql);
        if let Some(password) = &self.password {
            request = request.header(PASSWORD, password.clone());
        }
        self.connection.send(request).await
    }

    /// The same; what is no success is classified here.
    pub(crate) async fn ask(
        &self,
        sql: impl Into<reqwest::Body>,
        settings: &[(&str, &str)],
    ) -> Result<Response, DatabaseError> {
        self.answered(self.send(sql, settings).await?).await
    }

    /// The rows of a query, a text a cell. `what` says what they are, for an answer that is something else.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        settings: &[(&str, &str)],
        what: &str,
    ) -> Result<Vec<Vec<String>>, DatabaseError> {
        let response = self.ask(format!("{sql}\nFORMAT JSONCompactEachRow"), settings).await?;
        // Of an answer that was cut off, rows that are there would be missing.
        let response = self.connection.bounded(response)?;
        let body = self.connection.whole(response, MAX_ROWS).await?;
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let rows: Result<Vec<Vec<String>>, _> = lines.map(serde_json::from_slice).collect();
        rows.map_err(|_| {
            let words = String::from_utf8_lossy(&body);
            match code_in(&words) {
                Some(code) => self.refused(code, &words),
                None => self.connection.odd(format!("it is not {what}: is that ClickHouse?")),
            }
        })
    }

    /// Takes an answer that is a success; any other is classified here, without the password that it may quote.
    pub(crate) async fn answered(&self, response: Response) -> Result<Response, DatabaseError> {
        let status = response.status();
        let code = code_of(&response);
        // Older versions say what went wrong only in the body.
        if status.is_success() && code.is_none() {
            return Ok(response);
        }
        let unanswered = self.connection.unanswered(&response);
        let words = self.connection.words(response).await;
        let words = self.secrets.clean(String::from_utf8_lossy(&words).into_owned());
        if let Some(code) = code.or_else(|| code_in(&words)) {
            return Err(self.refused(code, &words));
        }
        let url = &self.clickhouse.url;
        let text = one_line(&words);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                login(format!("{text} (HTTP {})", status.as_u16()))
            }
            status if status.is_redirection() || status == StatusCode::NOT_FOUND => {
                DatabaseError::Settings(format!(
                    "{url} answered with HTTP {}: check CLICKHOUSE_URL (the HTTP interface, mostly port 8123 or 8443)",
                    status.as_u16()
                ))
            }
            _ => unanswered,
        })
    }

    /// What an exception means, by its code; without the password that it may quote.
    /// (Source: `ErrorCodes.cpp` in ClickHouse's code.)
    pub(crate) fn refused(&self, code: u32, words: &str) -> DatabaseError {
        let text = self.secrets.clean(format!("{} (code {code})", exception(words)));
        let refused = |hint| {
            DatabaseError::Refused(Box::new(Refusal {
                who: WHO,
                text: text.clone(),
                hint,
                code: code.to_string(),
                ..Refusal::default()
            }))
        };
        match code {
            192..=194 | 516 => login(text),
            81 => DatabaseError::Settings(format!("{WHO}: {text}; check CLICKHOUSE_DATABASE")),
            159 => refused("; ask for less, or raise the user's max_execution_time"),
            164 => refused("; the session may only read"),
            497 => refused("; check what this user may do"),
            47 | 60 => refused("; check the name and CLICKHOUSE_DATABASE: upper and lower case differ"),
            // Too many queries, the network, a server that starts or stops, a replica that cannot be reached.
            202 | 209 | 210 | 212 | 225 | 279 | 425 | 439 | 999 => self.connection.unreachable(&text, None),
            _ => refused(""),
        }
    }
}

/// A text as a literal of ClickHouse's.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A value as a parameter of a request has it. (Source: ClickHouse's documentation of its HTTP interface: as in TabSeparated.)
#[cfg(feature = "load")]
pub(crate) fn parameter(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\0', "\\0")
}

fn login(text: String) -> DatabaseError {
    DatabaseError::Login { who: WHO, text, settings: "CLICKHOUSE_USER and CLICKHOUSE_PASSWORD".to_owned() }
}

/// The lines of an answer. What goes wrong after the first row stands in the middle of them.
pub(crate) struct Lines<'a> {
    session: &'a Session<'a>,
    response: Response,
    /// Lines that came already.
    rest: Bytes,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
    /// Lines that were handed over.
    number: u64,
}

impl<'a> Lines<'a> {
    /// Those of an answer that says where it ends.
    pub(crate) fn new(session: &'a Session<'a>, response: Response) -> Result<Self, DatabaseError> {
        let response = session.connection.bounded(response)?;
        Ok(Self { session, response, rest: Bytes::new(), held: Vec::new(), number: 0 })
    }

    /// The next line without its end; none at the end of the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, DatabaseError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest) {
                let line = self.rest.split_to(end);
                drop(self.rest.split_to(1));
                self.number += 1;
                if self.held.is_empty() {
                    return Ok(Some(line));
                }
                self.held.extend_from_slice(&line);
                return Ok(Some(std::mem::take(&mut self.held).into()));
            }
            self.held.extend_from_slice(&self.rest);
            self.rest = Bytes::new();
            if self.held.len() > MAX_LINE {
                let text = format!("row {} is longer than 8 MiB", self.number + 1);
                return Err(self.session.connection.odd(text));
            }
            if let Some(bytes) = self.session.connection.chunk(&mut self.response).await? {
                self.rest = bytes;
                continue;
            }
            let last = std::mem::take(&mut self.held);
            if last.trim_ascii().is_empty() {
                return Ok(None);
            }
            self.number += 1;
            return Ok(Some(last.into()));
        }
    }

    /// What the line means that came last, and is no row: an exception, mostly, that goes on behind it.
    pub(crate) async fn odd(self, line: &[u8], problem: &str) -> DatabaseError {
        let Self { session, response, rest, held, number } = self;
        let words = session.connection.words(response).await;
        let words = [line, b" ", &held, &rest, &words].concat();
        let words = String::from_utf8_lossy(&words);
        match code_in(&words) {
            Some(code) => session.refused(code, &words),
            None => session.connection.odd(format!("row {number} {problem}")),
        }
    }
}

/// The code that an answer comes with.
pub(crate) fn code_of(response: &Response) -> Option<u32> {
    response.headers().get(CODE)?.to_str().ok()?.trim().parse().ok()
}

/// The code of the exception that a text tells of: `Code: 60. DB::Exception: ...`.
pub(crate) fn code_in(words: &str) -> Option<u32> {
    let before = words.split_once(EXCEPTION)?.0;
    let digits = before.rsplit_once("Code: ")?.1;
    digits.split(|next: char| !next.is_ascii_digit()).next()?.parse().ok()
}

/// The text of an exception without what stands around it.
fn exception(words: &str) -> String {
    let text = words.split_once(EXCEPTION).map_or(words, |(_, text)| text.trim_start_matches([':', ' ']));
    let text = text.split_once(" (version ").map_or(text, |(text, _)| text);
    one_line(text.trim_end_matches(['.', ' ', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(literal("it's \\ 'x'"), "'it\\'s \\\\ \\'x\\''");
    }

    #[test]
    fn exceptions_are_found_wherever_they_stand() {
        let words = "Code: 60. DB::Exception: Table x\n does not exist. (UNKNOWN_TABLE) (version 24.8.1)\n";
        assert_eq!(
            (code_in(words), &*exception(words)),
            (Some(60), "Table x does not exist. (UNKNOWN_TABLE)")
        );
        let late = "__exception__\r\nabc\r\nCode: 395. DB::Exception: oops: while executing";
        assert_eq!(code_in(late), Some(395));
        for other in ["", "DB::Exception: no code", "Code: x. DB::Exception", "Code: 60."] {
            assert_eq!(code_in(other), None, "{other}");
        }
    }
}
