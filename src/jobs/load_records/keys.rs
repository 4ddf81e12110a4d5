//! Ranges of a key, by which slices of a database go.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;

/// A range of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keys {
    /// The source's column.
    pub field: String,
    /// The last key before it; none if it begins with the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Value>,
    /// Its last key; none if it has no end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upto: Option<Value>,
}

/// What a database is asked of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Its rows.
    Rows,
    /// Whether a row has none.
    Missing,
    /// The greatest.
    Last,
    /// Each that ends so many rows.
    Every(u64),
}

impl Keys {
    /// All keys of a column.
    pub(super) fn all(field: &str) -> Self {
        Self { field: field.to_owned(), after: None, upto: None }
    }

    /// Whether both have a key in common.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        !(self.begins_after(other) || other.begins_after(self))
    }

    /// Whether it begins where another one ends, or later. What another column says cannot be compared.
    pub(super) fn begins_after(&self, other: &Self) -> bool {
        match (&self.after, &other.upto) {
            (Some(after), Some(upto)) => self.field == other.field && compare(after, upto).is_ge(),
            _ => false,
        }
    }

    /// Which of both begins first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (&self.after, &other.after) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => compare(one, other),
        }
    }

    /// For people: the first end excluded, the last included.
    pub(super) fn name(&self) -> String {
        let text = |end: &Option<Value>| match end {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(number) => number.to_string(),
        };
        format!("{} {}..{}", self.field, text(&self.after), text(&self.upto))
    }
}

/// The order of keys, as sources are made to have it: numbers by size, before texts by their bytes.
fn compare(one: &Value, other: &Value) -> Ordering {
    let number = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.as_str().cmp(&other.as_str()),
    }
}

/// What is not loaded: between the ranges that are, and beyond the last.
pub(super) fn gaps(field: &str, mut loaded: Vec<&Keys>) -> Vec<Keys> {
    loaded.sort_by(|one, other| one.order(other));
    let (mut gaps, mut rest) = (Vec::new(), Keys::all(field));
    for keys in loaded {
        if rest.order(keys).is_lt() {
            gaps.push(Keys { upto: keys.after.clone(), ..rest.clone() });
        }
        rest.after.clone_from(&keys.upto);
    }
    gaps.push(rest);
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(after: impl Into<Value>, upto: impl Into<Value>) -> Keys {
        let end = |value: Value| Some(value).filter(|value| !value.is_null());
        Keys { field: "id".to_owned(), after: end(after.into()), upto: end(upto.into()) }
    }

    #[test]
    fn what_is_loaded_leaves_gaps() {
        let none = Value::Null;
        assert_eq!(gaps("id", vec![]), [range(none.clone(), none.clone())]);
        let loaded = [range(30, 40), range(none.clone(), 10), range(10, 20)];
        assert_eq!(gaps("id", loaded.iter().collect()), [range(20, 30), range(40, none.clone())]);
        let loaded = [range("b", "c")];
        assert_eq!(gaps("id", loaded.iter().collect()), [range(none.clone(), "b"), range("c", none)]);
    }

    #[test]
    fn ranges_overlap_where_they_share_a_key() {
        let none = Value::Null;
        assert!(!range(none.clone(), 10).overlaps(&range(10, 20)));
        assert!(!range(10, 20).overlaps(&range(none.clone(), 10)));
        assert!(range(none.clone(), 11).overlaps(&range(10, 20)));
        assert!(
            range(9, 20).overlaps(&range(-10, 10))
                && range(none.clone(), none.clone()).overlaps(&range(1, 2))
        );
        assert!(!range(9, 10).overlaps(&range(10, 11)), "not as texts would be");
        assert!(range(u64::MAX - 1, u64::MAX).overlaps(&range(1, none)));
        assert!(range("a", "b").overlaps(&range("a", "aa")) && !range("B", "a").overlaps(&range("a", "b")));
        let other = Keys { field: "other".to_owned(), ..range(10, 20) };
        assert!(other.overlaps(&range(30, 40)) && range(30, 40).overlaps(&other), "of another column");
    }
}
