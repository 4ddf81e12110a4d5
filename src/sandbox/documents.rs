//! Accounts and workspaces: few, and nothing but fields.

use super::error::ApiError;
use crate::devrev::ids::Ref;
use crate::devrev::ids::{ObjectType, Place};
use serde_json::{Map, Value};

/// All objects of a type, in the order of their creation.
#[derive(Default)]
pub(super) struct Documents {
    all: Vec<Document>,
}

/// One object.
pub(super) struct Document {
    pub(super) don: String,
    pub(super) display_id: String,
    /// Its stock fields.
    pub(super) stock: Map<String, Value>,
    /// Its custom fields.
    pub(super) custom: Map<String, Value>,
    /// Milliseconds since the epoch.
    pub(super) created: u64,
    /// Milliseconds since the epoch.
    pub(super) modified: u64,
    /// Updates that requests made to it.
    pub(super) writes: u32,
}

impl Documents {
    /// Adds an object; its number is its place, from 1.
    pub(super) fn push(&mut self, document: Document) {
        self.all.push(document);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The object with a number.
    pub(super) fn get(&self, number: u32) -> Option<&Document> {
        self.all.get((number as usize).checked_sub(1)?)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Document> {
        self.all.iter()
    }

    /// The object that an ID in either form names.
    pub(super) fn named(&self, id: &str) -> Option<&Document> {
        self.place(id).and_then(|place| self.all.get(place))
    }

    /// The same, to be changed.
    pub(super) fn named_mut(&mut self, id: &str) -> Option<&mut Document> {
        self.place(id).and_then(|place| self.all.get_mut(place))
    }

    fn place(&self, id: &str) -> Option<usize> {
        const TYPES: &[ObjectType] = &[ObjectType::Account, ObjectType::Workspace];
        let wanted = Ref::parse(id, TYPES).ok()?;
        self.all.iter().position(|document| {
            let is_same = Ref::parse(&document.don, TYPES) == Ok(wanted);
            is_same && Place::of(id).is_none_or(|place| Place::of(&document.don) == Some(place))
        })
    }

    /// Whether an external ref is free for an object to take; `field` holds those of each.
    pub(super) fn ref_is_free(&self, own: &str, field: &str, wanted: &Value) -> Result<(), ApiError> {
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
            list.iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned).collect()
        };
        let wanted = texts(wanted);
        let others = self.all.iter().filter(|document| document.don != own);
        let taken = others.filter_map(|document| document.stock.get(field)).flat_map(texts);
        match taken.into_iter().find(|taken| wanted.contains(taken)) {
            Some(taken) => Err(ApiError::conflict(format!("another object has the {field} `{taken}`"))),
            None => Ok(()),
        }
    }
}
