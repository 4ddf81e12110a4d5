//! Stock fields that requests change and that nothing else here depends on: kept in one form, whatever the shape of
//! the request, and shown as DevRev shows them.
//!
//! The form is that of the request with every ID as a DON; a list is an array, a stage its name.

use super::error::ApiError;
use super::stages;
use super::state::State;
use super::world::World;
use crate::devrev::ids::ObjectType;
use crate::devrev::objects::{Kind, Object};
use chrono::DateTime;
use serde_json::{Map, Value, json};

/// What a request sets: fields in the form in which they are kept.
pub(super) type Stock = Map<String, Value>;

impl World {
    /// Takes what a request says of stock fields but for these; `before` is what the object has. Members that are no
    /// fields of the object are passed over.
    pub(super) fn stock_of(
        &self,
        state: &State,
        object: &Object,
        but: &[&str],
        body: &Map<String, Value>,
        before: &Stock,
    ) -> Result<Stock, ApiError> {
        let mut stock = Stock::new();
        for field in object.fields.iter().filter(|field| !but.contains(&&*field.name)) {
            let name = &*field.name;
            let Some(value) = body.get(name) else { continue };
            let before = before.get(name).unwrap_or(&Value::Null);
            stock.insert(name.to_owned(), self.kept(state, &field.kind, name, value, before)?);
        }
        Ok(stock)
    }

    fn kept(
        &self,
        state: &State,
        kind: &Kind,
        path: &str,
        value: &Value,
        before: &Value,
    ) -> Result<Value, ApiError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let text = value.as_str().unwrap_or_default();
        match kind {
            Kind::Time if DateTime::parse_from_rfc3339(text).is_err() => {
                Err(ApiError::not_permitted(path, format!("`{text}` is not a time")))
            }
            Kind::Choice(choices) if !choices.iter().any(|choice| Some(choice.id) == value.as_i64()) => {
                Err(ApiError::not_permitted(path, format!("there is no choice {value}")))
            }
            Kind::Stage => {
                let name = value["name"].as_str().unwrap_or_default();
                if stages::ordinal(name).is_some() {
                    return Ok(name.into());
                }
                Err(ApiError::not_permitted("stage.name", format!("there is no stage `{name}`")))
            }
            Kind::One(target) => self.don(state, path, target.types(), text),
            Kind::List(element, _) => {
                let whole = value.get("set").unwrap_or(value);
                let elements = |list: &Value| -> Result<Vec<Value>, ApiError> {
                    let list = list.as_array().into_iter().flatten();
                    list.map(|value| self.kept(state, element, path, value, &Value::Null)).collect()
                };
                match value.as_object() {
                    Some(change) if !change.contains_key("set") => {
                        let added = elements(change.get("add").unwrap_or(&Value::Null))?;
                        let removed = elements(change.get("remove").unwrap_or(&Value::Null))?;
                        Ok(changed(before, added, &removed, |value| value))
                    }
                    _ => elements(whole).map(Value::Array),
                }
            }
            Kind::Tags(_) => {
                let tags = |list: &Value| -> Result<Vec<Value>, ApiError> {
                    let list = list.as_array().into_iter().flatten();
                    list.map(|tag| self.tag(state, path, tag)).collect()
                };
                match value.as_object() {
                    Some(change) if !change.contains_key("set") => {
                        let added = tags(change.get("add").unwrap_or(&Value::Null))?;
                        let removed = tags(change.get("remove").unwrap_or(&Value::Null))?;
                        Ok(changed(before, added, &removed, |tag| &tag["id"]))
                    }
                    _ => tags(value.get("set").unwrap_or(value)).map(Value::Array),
                }
            }
            _ => Ok(value.clone()),
        }
    }

    fn tag(&self, state: &State, path: &str, tag: &Value) -> Result<Value, ApiError> {
        let id = self.don(state, path, &[ObjectType::Tag], tag["id"].as_str().unwrap_or_default())?;
        let mut kept = json!({ "id": id });
        if let Some(value) = tag.get("value").filter(|value| !value.is_null()) {
            kept["value"] = value.clone();
        }
        Ok(kept)
    }

    /// Puts stock fields into an object as an answer shows it; those that hold nothing are left out of it.
    pub(super) fn show_stock(&self, state: &State, object: &Object, stock: &Stock, shown: &mut Value) {
        let Some(shown) = shown.as_object_mut() else { return };
        for (name, kept) in stock {
            let Some(field) = object.field(name) else { continue };
            match self.stock_shown(state, &field.kind, kept) {
                Value::Null => drop(shown.remove(name)),
                value => drop(shown.insert(name.clone(), value)),
            }
        }
    }

    fn stock_shown(&self, state: &State, kind: &Kind, kept: &Value) -> Value {
        let text = kept.as_str().unwrap_or_default();
        match kind {
            _ if kept.is_null() => Value::Null,
            Kind::Stage => json!(stages::stage(text)),
            Kind::Choice(choices) => {
                let choice = choices.iter().find(|choice| Some(choice.id) == kept.as_i64());
                choice.map_or(
                    Value::Null,
                    |choice| json!({"id": choice.id, "label": choice.label, "ordinal": choice.id}),
                )
            }
            Kind::One(_) => self.reference(state, text).unwrap_or_default(),
            Kind::List(element, _) => {
                let list = kept.as_array().into_iter().flatten();
                list.map(|kept| self.stock_shown(state, element, kept))
                    .filter(|shown| !shown.is_null())
                    .collect()
            }
            Kind::Tags(_) => {
                let tags = kept.as_array().into_iter().flatten();
                let shown = tags.filter_map(|tag| {
                    let mut shown = json!({"tag": self.reference(state, tag["id"].as_str()?)?});
                    if let Some(value) = tag.get("value") {
                        shown["value"] = value.clone();
                    }
                    Some(shown)
                });
                shown.collect()
            }
            _ => kept.clone(),
        }
    }
}

/// A list with some elements more and some less. An element that is there already is replaced.
fn changed(before: &Value, added: Vec<Value>, removed: &[Value], id: impl Fn(&Value) -> &Value) -> Value {
    let goes = |one: &Value| removed.iter().chain(&added).any(|other| id(other) == id(one));
    let mut list: Vec<Value> =
        before.as_array().into_iter().flatten().filter(|one| !goes(one)).cloned().collect();
    list.extend(added);
    list.into()
}
