//! Tags that rows name and that do not exist yet (`--create-tags`). A plan holds `{"new": NAME}` in the place of such a
//! tag, and so does the intent in the journal. The writing half looks for the tag again, creates it if it is still not
//! there, and puts its ID in that place; the outcome's report says which ID it was.
//!
//! Names are compared without case, as everywhere in rows. DevRev allows no second tag of the same name, so a creation
//! whose answer was lost is followed by a look, and may be sent again.

use crate::devrev::any_object::{Members, ObjectAnswer, ObjectList};
use crate::devrev::client::Client;
use crate::devrev::ids::Ref;
use crate::devrev::operation::Found;
use crate::devrev::pages::Pages;
use crate::devrev::tags::TagCreate;
use crate::engine::job::Applied;
use crate::jobs::failing;
use crate::journal::record::{Outcome, raw};
use crate::net::error::{ApiError, Effect, ErrorKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The member that holds the name of a tag that does not exist yet.
const NEW: &str = "new";
/// The member of an outcome's report that has the IDs of such tags.
const REPORTED: &str = "tags";

/// Tags that a sentence names.
const NAMED: usize = 10;

/// The names of tags by their names in lower case.
pub(crate) type TagNames = BTreeMap<String, String>;
/// The IDs of tags by their names in lower case.
pub(crate) type TagIds = BTreeMap<String, String>;

/// A tag's name as it is compared.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// What stands for a tag with this name until it exists; the error says why there should not be one.
pub(crate) fn new(name: &str) -> Result<Value, String> {
    if name.contains('=') {
        return Err("not the name of a tag in DevRev, and --create-tags creates none with `=`".to_owned());
    }
    if name.starts_with("don:") || Ref::of_any(name).is_some() {
        return Err("not the ID of a tag, and too much like an ID to be the name of a new one".to_owned());
    }
    Ok(json!({ NEW: name }))
}

/// The name of a tag that does not exist yet, if this stands for one.
pub(crate) fn new_name(tag: &Value) -> Option<&str> {
    match tag.as_object() {
        Some(members) if members.len() == 1 => members.get(NEW)?.as_str(),
        _ => None,
    }
}

/// Such a tag, for people.
pub(crate) fn shown(name: &str) -> String {
    format!("{name} (new tag)")
}

/// Names of tags in a sentence: the first ones.
pub(crate) fn listed(names: &TagNames) -> String {
    let shown: Vec<String> =
        names.values().take(NAMED).map(|name| format!("`{}`", crate::finding::shown(name))).collect();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// A list of tags in which those that have an ID by now go by it.
pub(crate) fn settled(list: &Value, ids: &TagIds) -> Value {
    let Some(elements) = list.as_array().filter(|list| list.iter().any(|tag| new_name(tag).is_some())) else {
        return list.clone();
    };
    let mut all: Vec<Value> = Vec::with_capacity(elements.len());
    for tag in elements {
        let tag = match new_name(tag).and_then(|name| ids.get(&folded(name))) {
            Some(id) => json!({ "id": id }),
            None => tag.clone(),
        };
        if !all.contains(&tag) {
            all.push(tag);
        }
    }
    all.into()
}

/// An outcome whose report says which tags the new ones have become.
pub(crate) fn reported(outcome: Outcome, ids: &TagIds) -> Outcome {
    if ids.is_empty() {
        return outcome;
    }
    let report = outcome.report.as_ref().and_then(|report| serde_json::from_str(report.get()).ok());
    let mut report: Members = report.unwrap_or_default();
    report.insert(REPORTED.to_owned(), json!(ids));
    outcome.reported(raw(&report).ok())
}

/// The tags that this process has created, or found when it was about to.
#[derive(Debug, Default)]
pub(crate) struct NewTags(tokio::sync::Mutex<TagIds>);

impl NewTags {
    /// The IDs of the tags with these names, each of which is created if it is still not there. Fails with the end of the
    /// row: nothing was written to its object.
    pub(crate) async fn ids(&self, client: &Client, names: &[String]) -> Result<TagIds, Applied> {
        let mut ids = TagIds::new();
        if names.is_empty() {
            return Ok(ids);
        }
        // Held while a tag is created: other rows that name it wait for its ID.
        let mut known = self.0.lock().await;
        for name in names {
            let id = match known.get(&folded(name)) {
                Some(id) => id.clone(),
                None => find_or_create(client, name).await.map_err(|error| not_created(name, error))?,
            };
            known.insert(folded(name), id.clone());
            ids.insert(folded(name), id);
        }
        Ok(ids)
    }
}

/// The end of a row whose tag could not be created.
fn not_created(name: &str, error: ApiError) -> Applied {
    // What became of the tag is for the next look: the row's object is as it was.
    let Applied { outcome, halt } = failing::unwritten(&ApiError { effect: Effect::None, ..error });
    let with_name = |outcome: Outcome| {
        let why = outcome.detail.as_deref().unwrap_or_default();
        let text = format!("the tag `{}` was not created: {why}", crate::finding::shown(name));
        Outcome { detail: Some(text), ..outcome }
    };
    Applied { outcome: outcome.map(with_name), halt }
}

async fn find_or_create(client: &Client, name: &str) -> Result<String, ApiError> {
    // Someone else may have created it since the row was decided.
    if let Some(tag) = find(client, name).await? {
        return id(&tag, name);
    }
    let look = || async {
        Ok(find(client, name).await?.map_or(Found::NotDone, |tag| Found::Settled(ObjectAnswer(tag))))
    };
    match client.write(&TagCreate::new(name), || true, look).await {
        Ok(written) => id(&written.answer.0, name),
        Err(error) if error.kind == ErrorKind::Conflict => match find_in_any_case(client, name).await? {
            Some(tag) => id(&tag, name),
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The ID of a tag, which has to have this name.
fn id(tag: &Members, name: &str) -> Result<String, ApiError> {
    let text = |member: &str| tag.get(member).and_then(Value::as_str).unwrap_or_default();
    if folded(text("name")) == folded(name) {
        return Ok(text("id").to_owned());
    }
    let text =
        format!("DevRev answered with the tag {} `{}`", text("id"), crate::finding::shown(text("name")));
    Err(ApiError::unanswered("tags.create", ErrorKind::Unexpected, text))
}

/// The tag that is spelled so, or in other case if the list finds that too.
async fn find(client: &Client, name: &str) -> Result<Option<Members>, ApiError> {
    first(client, ObjectList::holding("tags.list", "name", &[name.to_owned()]), name).await
}

/// The tag with this name among all tags: DevRev may refuse a name that differs in case only.
async fn find_in_any_case(client: &Client, name: &str) -> Result<Option<Members>, ApiError> {
    match find(client, name).await? {
        Some(tag) => Ok(Some(tag)),
        None => first(client, ObjectList::at("tags.list", Members::new()), name).await,
    }
}

async fn first(client: &Client, list: ObjectList, name: &str) -> Result<Option<Members>, ApiError> {
    let client = client.read_only();
    let mut pages = Pages::new(list);
    while let Some(page) = pages.next(&client).await? {
        let is_it = |tag: &Members| {
            let of_tag = tag.get("name").and_then(Value::as_str);
            tag.get("id").is_some_and(Value::is_string)
                && of_tag.is_some_and(|one| folded(one) == folded(name))
        };
        if let Some(tag) = page.into_iter().find(is_it) {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::record::State;

    #[test]
    fn a_new_tag_gets_its_id_once() {
        let list = json!([{"id": "TAG-1", "value": "x"}, new("Night").unwrap(), new("Late").unwrap(), {"id": "TAG-7"}]);
        let ids = TagIds::from([("night".to_owned(), "TAG-7".to_owned())]);
        let wanted = json!([{"id": "TAG-1", "value": "x"}, {"id": "TAG-7"}, {"new": "Late"}]);
        assert_eq!(settled(&list, &ids), wanted);
        assert_eq!(settled(&Value::Null, &ids), Value::Null);
        assert_eq!(settled(&json!([1, 1]), &ids), json!([1, 1]));
    }

    #[test]
    fn what_looks_like_an_id_or_a_value_is_no_new_name() {
        for name in ["ISS-3", "don:core:dvrv-us-1:devo/X:tag/1", "night=high"] {
            assert!(new(name).is_err(), "{name}");
        }
        assert_eq!(new_name(&new("Night shift").unwrap()), Some("Night shift"));
        assert_eq!(new_name(&json!({"id": "TAG-1"})), None);
    }

    #[test]
    fn a_report_keeps_what_it_had() {
        let ids = TagIds::from([("night".to_owned(), "TAG-7".to_owned())]);
        let created = Outcome::done(1).reported(raw(&json!({"created": "X-1"})).ok());
        let report: Value = serde_json::from_str(reported(created, &ids).report.unwrap().get()).unwrap();
        assert_eq!(report, json!({"created": "X-1", "tags": {"night": "TAG-7"}}));
        assert!(reported(Outcome::of(State::Failed, "x", ""), &TagIds::new()).report.is_none());
    }
}
