//! The GET twins of reads: a query string as the body that the same request would have as a POST.
//!
//! Lists are comma-separated, repeated, or both; the official SDK puts each element in double quotes. A member of an
//! object is named with a dot: `stage.name=triage`.

use super::check::Body;
use super::schema::{Field, Kind};
use serde_json::{Map, Value};

/// Makes a body of a query string. What the tables do not know stays in it, so that the check names it.
pub(super) fn body(query: &str, fields: &[Field]) -> Body {
    let mut body = Body::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        put(&mut body, &name, &value, fields);
    }
    body
}

fn put(object: &mut Body, name: &str, value: &str, fields: &[Field]) {
    let kind_of = |name: &str| fields.iter().find(|field| field.name == name).map(|field| inner(&field.kind));
    if let Some((first, rest)) = name.split_once('.')
        && let Some(Kind::Record(members)) = kind_of(first)
        && let Value::Object(within) = object.entry(first).or_insert_with(|| Map::new().into())
    {
        return put(within, rest, value, members);
    }
    match kind_of(name) {
        Some(Kind::List(kind)) => {
            let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.extend(elements(value).iter().map(|element| scalar(element, kind)));
            }
        }
        Some(kind) => drop(object.insert(name.to_owned(), scalar(value, kind))),
        None => drop(object.insert(name.to_owned(), value.into())),
    }
}

/// What a value has to be, whatever becomes of it.
fn inner(kind: &Kind) -> &Kind {
    match kind {
        Kind::Unheld(kind) | Kind::Ignored(kind) | Kind::Nullable(kind) => inner(kind),
        kind => kind,
    }
}

/// A value of a kind; the text where it is none, so that the check refuses it.
fn scalar(text: &str, kind: &Kind) -> Value {
    match inner(kind) {
        Kind::Int { .. } => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Kind::Bool => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

/// The elements of a list, without the quotes that may be round each. A comma within quotes separates nothing.
fn elements(text: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|rest| {
            let end = rest.find("\",").or_else(|| rest.ends_with('"').then(|| rest.len() - 1))?;
            Some((rest.get(..end)?, rest.get(end + 1..)?))
        });
        let (element, tail) = quoted.unwrap_or_else(|| rest.split_at(rest.find(',').unwrap_or(rest.len())));
        found.push(element);
        rest = tail.strip_prefix(',').unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::schema::{GROUPS_LIST, WORKS_LIST};
    use serde_json::json;

    #[test]
    fn a_query_is_the_body_of_a_post() {
        for (query, wanted) in [
            ("", json!({})),
            ("limit=3&cursor=a%2Bb", json!({"limit": 3, "cursor": "a+b"})),
            ("limit=three", json!({"limit": "three"})),
            ("type=issue,ticket", json!({"type": ["issue", "ticket"]})),
            ("type=%22issue%22,%22ticket%22", json!({"type": ["issue", "ticket"]})),
            ("type=issue&type=ticket", json!({"type": ["issue", "ticket"]})),
            ("type=", json!({"type": []})),
            ("stage.name=triage,backlog", json!({"stage": {"name": ["triage", "backlog"]}})),
            ("nothing.like=this", json!({"nothing.like": "this"})),
        ] {
            assert_eq!(Value::Object(body(query, WORKS_LIST)), wanted, "{query}");
        }
        let groups = body("is_default=false&name=%22a%2C%20b%22%2Cc", GROUPS_LIST);
        assert_eq!(Value::Object(groups), json!({"is_default": false, "name": ["a, b", "c"]}));
        assert_eq!(Value::Object(body("is_default=0", GROUPS_LIST)), json!({"is_default": "0"}));
    }

    #[test]
    fn odd_lists_lose_nothing() {
        for (text, wanted) in [
            ("a,,b", vec!["a", "", "b"]),
            ("\"a", vec!["\"a"]),
            ("\"", vec!["\""]),
            ("\"\"", vec![""]),
            ("\"a,b\",\"c\"", vec!["a,b", "c"]),
            ("a\"b,c", vec!["a\"b", "c"]),
        ] {
            assert_eq!(elements(text), wanted, "{text}");
        }
    }
}
