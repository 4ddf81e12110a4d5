//! What every record has to keep. A record that does not is rejected, with the rule.

use super::dates::moment;
use super::file::{FieldType, RuleSpec};
use super::record::{Cell, Record};
use super::slices::Slice;
use crate::jobs::rules::dates::has_zone;
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt;

/// What a record was rejected for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// The rule, for machines.
    pub rule: &'static str,
    /// The field, where it is about one.
    pub field: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(to, "{field}: ")?;
        }
        write!(to, "{} ({})", self.text, self.rule)
    }
}

/// The rules of a slice.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    rules: Vec<&'a RuleSpec>,
    /// The field that has a record's date.
    date: Option<&'a str>,
    slice: &'a Slice,
    /// Whether dates may not name their zone.
    pub clocks: bool,
    /// Of each rule `unique`: hashes of what was seen. 16 bytes a record of the slice.
    seen: Vec<HashSet<[u8; 16]>>,
}

/// What the rules say of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    Good,
    /// Its date is outside the slice: it is another slice's, or was not asked for.
    Outside,
    Broken(Broken),
}

impl<'a> Rules<'a> {
    /// The rules of a job for a slice.
    pub(super) fn new(
        rules: impl Iterator<Item = &'a RuleSpec>,
        date: Option<&'a str>,
        slice: &'a Slice,
    ) -> Self {
        let rules: Vec<_> = rules.collect();
        let seen = rules.iter().map(|_| HashSet::new()).collect();
        Self { rules, date, slice, clocks: false, seen }
    }

    /// Judges a record.
    pub(super) fn judge(&mut self, record: &Record) -> Judged {
        if let Some(field) = self.date {
            let broken = |text| Judged::Broken(Broken { rule: "date", field: Some(field.to_owned()), text });
            let date = match record.get(field) {
                Some(Cell::Text(text)) => moment(text, self.slice.zone),
                Some(Cell::Number(seconds)) => {
                    seconds.parse().ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
                }
                Some(_) => None,
                None => return broken("it is not there, and the slice goes by it".to_owned()),
            };
            match date {
                None => {
                    let shown = record.get(field).map(Cell::shown).unwrap_or_default();
                    return broken(format!("{shown} is not a date, and the slice goes by it"));
                }
                Some(date) if !self.slice.has(date) => return Judged::Outside,
                Some(_)
                    if self.clocks
                        && matches!(record.get(field), Some(Cell::Text(text)) if has_zone(text.trim())) =>
                {
                    return broken(format!(
                        "it names a zone, and mode replace goes by the clock: write the time of {}, without a zone",
                        self.slice.zone.name()
                    ));
                }
                Some(_) => {}
            }
        }
        for (rule, seen) in self.rules.iter().zip(&mut self.seen) {
            let broken =
                if rule.unique.is_empty() { field(rule, record) } else { unique(rule, record, seen) };
            if let Some(broken) = broken {
                return Judged::Broken(broken);
            }
        }
        Judged::Good
    }
}

fn unique(rule: &RuleSpec, record: &Record, seen: &mut HashSet<[u8; 16]>) -> Option<Broken> {
    let mut json = Vec::new();
    for name in &rule.unique {
        record.get(name).unwrap_or(&Cell::Null).write(&mut json);
        json.push(0);
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(Sha256::digest(&json).get(..16)?);
    if seen.insert(hash) {
        return None;
    }
    let shown: Vec<String> =
        rule.unique.iter().map(|name| record.get(name).unwrap_or(&Cell::Null).shown()).collect();
    let text = format!("another record of the slice has {} = {}", rule.unique.join(", "), shown.join(", "));
    Some(Broken { rule: "unique", field: None, text })
}

fn field(rule: &RuleSpec, record: &Record) -> Option<Broken> {
    let name = rule.field.as_deref()?;
    let broken = |rule: &'static str, text: String| Some(Broken { rule, field: Some(name.to_owned()), text });
    let cell = record.get(name).unwrap_or(&Cell::Null);
    if *cell == Cell::Null {
        return if rule.required { broken("required", "it is empty".to_owned()) } else { None };
    }
    let shown = cell.shown();
    if let Some(kind) = rule.kind
        && !kind.fits(cell)
    {
        return broken("type", format!("{shown} is not {}", kind.words()));
    }
    if rule.min.is_some() || rule.max.is_some() {
        let number = match cell {
            Cell::Number(text) | Cell::Text(text) => text.trim().parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return broken("type", format!("{shown} is not a number, and has limits"));
        };
        if let Some(min) = rule.min.filter(|min| number < *min) {
            return broken("min", format!("{shown} is less than {min}"));
        }
        if let Some(max) = rule.max.filter(|max| number > *max) {
            return broken("max", format!("{shown} is more than {max}"));
        }
    }
    if let Some(one_of) = &rule.one_of {
        let is = |value: &serde_json::Value| match (value, cell) {
            (serde_json::Value::String(text), Cell::Text(found)) => text == found,
            (serde_json::Value::Number(number), Cell::Number(found)) => {
                number.to_string() == *found || number.as_f64() == found.parse().ok()
            }
            (serde_json::Value::Bool(truth), Cell::Bool(found)) => truth == found,
            _ => false,
        };
        if !one_of.iter().any(is) {
            return broken("in", format!("{shown} is none of the values that it may have"));
        }
    }
    if let Some(most) = rule.max_length
        && let Cell::Text(text) = cell
        && text.chars().count() as u64 > most
    {
        return broken("max_length", format!("{shown} is longer than {most} characters"));
    }
    None
}

impl FieldType {
    fn fits(self, cell: &Cell) -> bool {
        match (self, cell) {
            (Self::Number, Cell::Number(_))
            | (Self::Text, Cell::Text(_))
            | (Self::Boolean, Cell::Bool(_)) => true,
            // Files have text alone.
            (Self::Number, Cell::Text(text)) => text.trim().parse::<f64>().is_ok_and(f64::is_finite),
            (Self::Integer, Cell::Number(text) | Cell::Text(text)) => {
                let digits = text.trim().trim_start_matches(['-', '+']);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            (Self::Boolean, Cell::Text(text)) => matches!(text.as_str(), "true" | "false"),
            (Self::Date, Cell::Text(text)) => {
                chrono::NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").is_ok()
            }
            (Self::Time, Cell::Text(text)) => moment(text, Tz::UTC).is_some(),
            _ => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Text => "text",
            Self::Boolean => "true or false",
            Self::Date => "a date such as 2026-12-31",
            Self::Time => "a time such as 2026-12-31T08:00:00Z",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice() -> Slice {
        let day = |text: &str| format!("{text}T00:00:00Z").parse().ok();
        Slice { start: day("2020-01-01"), end: day("2020-01-03"), ..Slice::whole() }
    }

    fn record(value: &serde_json::Value) -> Record {
        Record::of_json(value.as_object().unwrap())
    }

    fn judge(rule: &serde_json::Value, records: &[serde_json::Value]) -> Vec<Judged> {
        let (rule, slice): (RuleSpec, _) = (serde_json::from_value(rule.clone()).unwrap(), slice());
        let mut rules = Rules::new(std::iter::once(&rule), None, &slice);
        records.iter().map(|value| rules.judge(&record(value))).collect()
    }

    #[test]
    fn every_rule_takes_what_fits_and_names_what_does_not() {
        for (rule, good, bad, name) in [
            (json!({"field": "a", "required": true}), json!({"a": 0}), json!({"a": null}), "required"),
            (json!({"field": "a", "required": true}), json!({"a": ""}), json!({"b": 1}), "required"),
            (json!({"field": "a", "type": "number"}), json!({"a": "1.5"}), json!({"a": "1,5"}), "type"),
            (json!({"field": "a", "type": "integer"}), json!({"a": -3}), json!({"a": 1.5}), "type"),
            (
                json!({"field": "a", "type": "date"}),
                json!({"a": "2020-02-29"}),
                json!({"a": "2021-02-29"}),
                "type",
            ),
            (json!({"field": "a", "type": "boolean"}), json!({"a": true}), json!({"a": 1}), "type"),
            (json!({"field": "a", "min": 0}), json!({"a": 0}), json!({"a": -0.1}), "min"),
            (json!({"field": "a", "max": 5}), json!({"a": "5"}), json!({"a": 6}), "max"),
            (json!({"field": "a", "max": 5}), json!({"b": 9}), json!({"a": "x"}), "type"),
            (json!({"field": "a", "in": ["x", 2]}), json!({"a": 2}), json!({"a": "y"}), "in"),
            (json!({"field": "a", "max_length": 2}), json!({"a": "éé"}), json!({"a": "abc"}), "max_length"),
        ] {
            let judged = judge(&rule, &[good, bad]);
            assert_eq!(judged[0], Judged::Good, "{rule}");
            let Judged::Broken(broken) = &judged[1] else { panic!("{rule}: {:?}", judged[1]) };
            assert_eq!(broken.rule, name, "{rule}");
        }
    }

    #[test]
    fn no_two_records_of_a_slice_are_alike() {
        let rows = [
            json!({"a": 1, "b": "x"}),
            json!({"a": "1", "b": "x"}),
            json!({"a": 1, "b": "x"}),
            json!({"b": "x"}),
        ];
        let judged = judge(&json!({"unique": ["a", "b"]}), &rows);
        assert_eq!((&judged[0], &judged[1], &judged[3]), (&Judged::Good, &Judged::Good, &Judged::Good));
        assert!(matches!(&judged[2], Judged::Broken(broken) if broken.rule == "unique"));
    }

    #[test]
    fn records_of_other_slices_are_left_out() {
        let slice = slice();
        let mut rules = Rules::new(std::iter::empty(), Some("day"), &slice);
        for (day, judged) in [
            (json!("2020-01-01"), Judged::Good),
            (json!("2020-01-02T23:59:59Z"), Judged::Good),
            (json!("2020-01-03"), Judged::Outside),
            (json!("2019-12-31"), Judged::Outside),
            (json!(1_577_836_800), Judged::Good),
        ] {
            assert_eq!(rules.judge(&record(&json!({"day": day}))), judged, "{day}");
        }
        for day in [json!({}), json!({"day": "soon"}), json!({"day": null})] {
            assert!(matches!(rules.judge(&record(&day)), Judged::Broken(broken) if broken.rule == "date"));
        }
    }
}
