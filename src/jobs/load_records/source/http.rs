//! An HTTP API as a source: its answers are JSON, in pages.

use super::Chunk;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::{HttpSpec, Method as MethodSpec, NextSpec};
use crate::jobs::load_records::filter::Filter;
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::template::{Template, Values};
use crate::net::http_reader::{HttpReader, HttpRequest, Method};
use crate::net::transport::HttpAnswer;
use jaq_json::Val;
use reqwest::header::{HeaderName, LINK};
use secrecy::SecretString;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use url::Url;

/// Pages of one slice: more are no list's.
const MAX_PAGES: u64 = 1_000_000;
/// Records in a chunk.
const CHUNK: usize = 500;
/// How long a filter may work on an answer.
const FILTER_TIME: Duration = Duration::from_secs(30);

/// An API, and how it is asked.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct Http {
    reader: HttpReader,
    /// The sandbox's address, which takes the place of the API's.
    sandbox: Option<Url>,
    url: Template,
    is_post: bool,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Value>,
    records: Option<Filter>,
    next: Next,
    /// The names of the filters' variables, in order.
    variables: Vec<String>,
    environment: HashMap<String, SecretString>,
}

/// How the next page is asked for.
#[derive(Debug)]
enum Next {
    /// There is one page.
    None,
    Cursor(Filter, String),
    Page(String, u64),
    Offset(String),
    Link,
    Url(Filter),
}

/// A page that was read.
struct Page {
    records: Vec<Val>,
    /// What the filter for the next page has found.
    next: Option<Val>,
    link: Option<String>,
}

impl Http {
    /// An API. `environment` has what its texts need of it.
    pub(in crate::jobs::load_records) fn new(
        spec: &HttpSpec,
        variables: Vec<String>,
        reader: HttpReader,
        sandbox: Option<Url>,
        environment: HashMap<String, SecretString>,
    ) -> Result<Self, LoadError> {
        // All of it was checked when the file was read.
        let wrong = LoadError::Settings;
        let filter = |code: &str| Filter::compile(code, &variables).map_err(wrong);
        let text = |value: &Value| {
            Template::parse(&crate::jobs::load_records::template::plain(value).unwrap_or_default())
                .map_err(wrong)
        };
        let query = spec.query.iter().map(|(name, value)| Ok((name.clone(), text(&value.value)?)));
        let headers = spec.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|error| wrong(error.to_string()))?;
            Ok((name, Template::parse(&value.value).map_err(wrong)?))
        });
        let next = match spec.next.as_ref().map(|next| &next.value) {
            None => Next::None,
            Some(NextSpec { cursor: Some(cursor), param: Some(param), .. }) => {
                Next::Cursor(filter(&cursor.value)?, param.clone())
            }
            Some(NextSpec { page: Some(page), first, .. }) => Next::Page(page.clone(), first.unwrap_or(1)),
            Some(NextSpec { offset: Some(offset), .. }) => Next::Offset(offset.clone()),
            Some(NextSpec { url: Some(url), .. }) => Next::Url(filter(&url.value)?),
            Some(_) => Next::Link,
        };
        Ok(Self {
            reader,
            sandbox,
            url: Template::parse(&spec.url.value).map_err(wrong)?,
            is_post: spec.method == MethodSpec::Post,
            query: query.collect::<Result<_, LoadError>>()?,
            headers: headers.collect::<Result<_, LoadError>>()?,
            body: spec.body.clone(),
            records: spec.records.as_ref().map(|records| filter(&records.value)).transpose()?,
            next,
            variables,
            environment,
        })
    }

    /// What the calls so far have taken.
    pub(in crate::jobs::load_records) fn figures(&self) -> crate::figures::Figures {
        self.reader.figures()
    }

    fn fill(&self, template: &Template, values: &Values) -> Result<String, LoadError> {
        use secrecy::ExposeSecret;
        let env = |name: &str| self.environment.get(name).map(|value| value.expose_secret().to_owned());
        template.fill(values, &env).map_err(LoadError::Settings)
    }

    /// The request for the first page.
    fn first(&self, values: &Values) -> Result<HttpRequest, LoadError> {
        let text = self.fill(&self.url, values)?;
        let mut url =
            Url::parse(&text).map_err(|error| LoadError::Settings(format!("source.http.url: {error}")))?;
        if let Some(sandbox) = &self.sandbox {
            let mut there = sandbox.clone();
            there.set_path(url.path());
            there.set_query(url.query());
            url = there;
        }
        for (name, value) in &self.query {
            url.query_pairs_mut().append_pair(name, &self.fill(value, values)?);
        }
        let mut headers = Vec::new();
        // The sandbox is no place for secrets.
        for (name, value) in self.headers.iter().filter(|_| self.sandbox.is_none()) {
            headers.push((name.clone(), self.fill(value, values)?.into()));
        }
        let method = if self.is_post {
            let body = self.body.as_ref().map(|body| self.body(body, values)).transpose()?;
            Method::Post(body.unwrap_or(Value::Object(serde_json::Map::new())).to_string().into())
        } else {
            Method::Get
        };
        Ok(HttpRequest { method, url, headers })
    }

    /// A body with its places filled: a text that is nothing but a place of a number becomes that number.
    fn body(&self, body: &Value, values: &Values) -> Result<Value, LoadError> {
        Ok(match body {
            Value::String(text) => {
                let template = Template::parse(text).map_err(LoadError::Settings)?;
                match template.only_param().and_then(|name| values.params.get(name)) {
                    Some(value) => value.clone(),
                    None => Value::String(self.fill(&template, values)?),
                }
            }
            Value::Array(list) => {
                list.iter().map(|value| self.body(value, values)).collect::<Result<_, _>>()?
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| Ok((name.clone(), self.body(value, values)?)))
                .collect::<Result<_, LoadError>>()?,
            other => other.clone(),
        })
    }

    pub(super) async fn fetch(
        &self,
        slice: &Slice,
        values: &Values,
        to: mpsc::Sender<Chunk>,
    ) -> Result<(), LoadError> {
        let first = self.first(values)?;
        let variables = Arc::new(variables(&self.variables, slice, values)?);
        let mut request = first.clone();
        let (mut page_number, mut records_before) = (0_u64, 0_u64);
        match &self.next {
            Next::Page(param, number) => set(&mut request.url, param, &number.to_string()),
            Next::Offset(param) => set(&mut request.url, param, "0"),
            _ => {}
        }
        let mut last = None;
        loop {
            let answer = self.reader.read(&request).await?;
            let page = self.page(answer, Arc::clone(&variables), &request).await?;
            page_number += 1;
            records_before += page.records.len() as u64;
            let is_empty = page.records.is_empty();
            let mut records = page.records;
            while !records.is_empty() {
                let rest = records.split_off(records.len().min(CHUNK));
                if to.send(Chunk::Json(std::mem::replace(&mut records, rest))).await.is_err() {
                    // Whoever took them has failed: why is known there.
                    return Ok(());
                }
            }
            if page_number >= MAX_PAGES {
                return Err(LoadError::Refused(format!("{request}: more than {MAX_PAGES} pages")));
            }
            let next = match &self.next {
                Next::None => None,
                Next::Page(..) | Next::Offset(_) if is_empty => None,
                Next::Page(param, number) => {
                    let mut url = first.url.clone();
                    set(&mut url, param, &(number + page_number).to_string());
                    Some(url)
                }
                Next::Offset(param) => {
                    let mut url = first.url.clone();
                    set(&mut url, param, &records_before.to_string());
                    Some(url)
                }
                Next::Cursor(_, param) => page.next.as_ref().and_then(text_of).map(|cursor| {
                    let mut url = first.url.clone();
                    set(&mut url, param, &cursor);
                    url
                }),
                Next::Link => page.link.map(|link| joined(&request.url, &link)).transpose()?,
                Next::Url(_) => {
                    let url = page.next.as_ref().and_then(text_of);
                    url.map(|url| joined(&request.url, &url)).transpose()?
                }
            };
            let Some(next) = next else { return Ok(()) };
            if last.as_ref() == Some(&next) || next == request.url {
                return Err(LoadError::Refused(format!(
                    "{request}: the answer names itself as the next page"
                )));
            }
            last = Some(std::mem::replace(&mut request.url, next));
        }
    }

    /// Takes an answer apart, on a thread of its own: a filter may work for long.
    async fn page(
        &self,
        answer: HttpAnswer,
        variables: Arc<Vec<Val>>,
        request: &HttpRequest,
    ) -> Result<Page, LoadError> {
        let link = answer.headers.get_all(LINK).iter().find_map(|value| next_link(value.to_str().ok()?));
        let (records, next) = (
            self.records.clone(),
            match &self.next {
                Next::Cursor(filter, _) | Next::Url(filter) => Some(filter.clone()),
                _ => None,
            },
        );
        let body = answer.body;
        let work = tokio::task::spawn_blocking(move || -> Result<(Vec<Val>, Option<Val>), String> {
            let val = jaq_json::read::parse_single(&body)
                .map_err(|error| format!("the answer is not JSON: {error}"))?;
            let next = match next {
                None => None,
                Some(filter) => filter
                    .run(val.clone(), &variables)
                    .map_err(|error| format!("next: {error}"))?
                    .into_iter()
                    .next(),
            };
            let found = match records {
                None => vec![val],
                Some(filter) => filter.run(val, &variables).map_err(|error| format!("records: {error}"))?,
            };
            let mut records = Vec::new();
            for found in found {
                match found {
                    Val::Arr(list) => records.extend(list.iter().cloned()),
                    Val::Null => {}
                    one => records.push(one),
                }
            }
            Ok((records, next))
        });
        let worked = tokio::time::timeout(FILTER_TIME, work).await.map_err(|_| {
            LoadError::Transform(format!(
                "{request}: the filter of records or next has not ended after {} s",
                FILTER_TIME.as_secs()
            ))
        })?;
        let worked =
            worked.map_err(|error| LoadError::Transform(format!("a defect in a filter: {error}")))?;
        let (records, next) =
            worked.map_err(|problem| LoadError::Transform(format!("{request}: {problem}")))?;
        Ok(Page { records, next, link })
    }
}

/// The values of a job's variables for a slice, in the order of their names.
pub(in crate::jobs::load_records) fn variables(
    names: &[String],
    slice: &Slice,
    values: &Values,
) -> Result<Vec<Val>, LoadError> {
    let slice = serde_json::to_value(slice).unwrap_or_default();
    let value = |name: &String| {
        let value = if name == "slice" { &slice } else { values.params.get(name).unwrap_or(&Value::Null) };
        jaq_json::read::parse_single(value.to_string().as_bytes())
            .map_err(|error| LoadError::Settings(format!("params.{name}: {error}")))
    };
    names.iter().map(value).collect()
}

/// Sets a parameter of an address.
fn set(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(found, _)| found != name)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
}

/// A cursor or an address; none at the end.
fn text_of(val: &Val) -> Option<String> {
    match val {
        Val::Null | Val::Bool(_) => None,
        Val::TStr(text) => std::str::from_utf8(text).ok().filter(|text| !text.is_empty()).map(str::to_owned),
        other => Some(other.to_string()),
    }
}

fn joined(base: &Url, link: &str) -> Result<Url, LoadError> {
    base.join(link).map_err(|error| LoadError::Refused(format!("the next page has no good address: {error}")))
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, params) = after.split_once('>')?;
        let end = params.find('<').unwrap_or(params.len());
        let own = params.get(..end).unwrap_or_default();
        let is_next = own.split(';').any(|param| {
            let Some((name, value)) = param.split_once('=') else { return false };
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = params.get(end..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_header() {
        for (header, next) in [
            (r#"<https://a/x?page=2>; rel="next""#, Some("https://a/x?page=2")),
            (
                r#"<https://a/x?page=1>; rel="prev", <https://a/x?page=3,4>; rel=next"#,
                Some("https://a/x?page=3,4"),
            ),
            (r#"</x?p=2>; title="a"; REL="last next""#, Some("/x?p=2")),
            (r#"<https://a/x?page=9>; rel="last""#, None),
            ("nonsense", None),
            ("<", None),
        ] {
            assert_eq!(next_link(header).as_deref(), next, "{header}");
        }
    }

    #[test]
    fn a_parameter_is_replaced_not_repeated() {
        let mut url = Url::parse("https://a/x?page=1&s=a%26b").unwrap();
        set(&mut url, "page", "2");
        assert_eq!(url.as_str(), "https://a/x?s=a%26b&page=2");
    }
}
