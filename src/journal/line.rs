//! How a record stands in `journal.jsonl`: one JSON object a line.
//!
//! ```json
//! {"seq":17,"at":"2026-11-22T03:45:00.123Z","type":"intent","row":5,"key":"ISS-5","change":{}}
//! {"seq":18,"group":17,"at":"2026-11-22T03:45:00.123Z","type":"withdrawn","row":4}
//! {"seq":19,"at":"2026-11-22T03:45:00.200Z","type":"step","row":7,"also":9,"data":{}}
//! ```
//!
//! `seq` counts the lines from 1. `group` is the `seq` of the first line of the same write, and absent on
//! that first line itself: it tells what one power cut may have damaged from what was safe before (see
//! `scan`). `also` is a second row of which the line says the same. `data` is a step, or what an outcome has
//! to say in the report.

use super::record::{MAX_ROW, Outcome, Record, Rows, State};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The longest line, in bytes without its newline. What has no newline for longer is no line.
pub(super) const MAX_LINE: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Planned,
    Intent,
    Step,
    Outcome,
    Withdrawn,
}

/// A line, borrowed from a record that is written or from the text that is read. A member that is unknown or
/// appears twice is refused: what is added later comes with a new format of `run.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<u64>,
    #[serde(borrow)]
    at: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Kind,
    pub(super) row: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    also: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "raw", skip_serializing_if = "Option::is_none")]
    change: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw", skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    #[serde(borrow, default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Borrows text that has no escapes; serde does so by itself only outside an `Option`.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|Text(text)| Some(text))
}

/// A change that is `null` is there.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What a line says about its row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said<'a> {
    Planned { key: &'a str, change: &'a RawValue },
    Intent { key: &'a str, change: &'a RawValue },
    Step(&'a RawValue),
    Outcome(Ended<'a>),
    Withdrawn,
}

/// An outcome, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) key: &'a str,
    pub(super) state: State,
    pub(super) reason: Option<&'a str>,
    detail: Option<&'a str>,
    attempts: u32,
    report: Option<&'a RawValue>,
}

impl Ended<'_> {
    pub(super) fn to_outcome(self) -> Outcome {
        Outcome {
            state: self.state,
            reason: self.reason.map(|reason| Cow::Owned(reason.to_owned())),
            detail: self.detail.map(str::to_owned),
            attempts: self.attempts,
            report: self.report.map(RawValue::to_owned),
        }
    }
}

/// What a line of the file turned out to be.
#[derive(Debug)]
pub(super) enum Reading<'a> {
    Record(Line<'a>),
    /// A whole JSON object, but not a record; what is wrong with it.
    Wrong(String),
    /// No JSON object.
    Garbage,
}

impl<'a> Line<'a> {
    /// The line of a record. `group` is the first number of the same write.
    pub(super) fn of(record: &'a Record, seq: u64, group: u64, at: &'a str) -> Self {
        let kind = match record {
            Record::Planned { .. } => Kind::Planned,
            Record::Intent { .. } => Kind::Intent,
            Record::Step { .. } => Kind::Step,
            Record::Outcome { .. } => Kind::Outcome,
            Record::Withdrawn { .. } => Kind::Withdrawn,
        };
        let Rows { row, also } = record.rows();
        let mut line = Self {
            seq,
            group: (group != seq).then_some(group),
            at: Cow::Borrowed(at),
            kind,
            row,
            also,
            key: None,
            change: None,
            data: None,
            state: None,
            reason: None,
            detail: None,
            attempts: 0,
        };
        match record {
            Record::Planned { key, change, .. } | Record::Intent { key, change, .. } => {
                line.key = Some(Cow::Borrowed(key));
                line.change = Some(change);
            }
            Record::Outcome { key, outcome, .. } => {
                line.key = Some(Cow::Borrowed(key));
                line.state = Some(outcome.state);
                line.reason = outcome.reason.as_deref().map(Cow::Borrowed);
                line.detail = outcome.detail.as_deref().map(Cow::Borrowed);
                line.attempts = outcome.attempts;
                line.data = outcome.report.as_deref();
            }
            Record::Step { step, .. } => line.data = Some(step),
            Record::Withdrawn { .. } => {}
        }
        line
    }

    /// Appends the line and its newline.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
        let start = buffer.len();
        serde_json::to_writer(&mut *buffer, self)?;
        // A change may have been laid out over several lines. In JSON, a bare line break is only ever space.
        for byte in buffer.iter_mut().skip(start) {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        buffer.push(b'\n');
        Ok(())
    }

    /// Reads a line, given without its newline.
    pub(super) fn read(bytes: &'a [u8]) -> Reading<'a> {
        // Only an object can be a record; and NUL, or any other rubbish, is not worth a parser's while.
        if bytes.first() != Some(&b'{') {
            return Reading::Garbage;
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Reading::Garbage };
        match serde_json::from_str::<Self>(text) {
            Ok(line) => match line.problem() {
                None => Reading::Record(line),
                Some(problem) => Reading::Wrong(problem),
            },
            // The parser stops at the first thing amiss: that may be a wrong member of what is no JSON
            // further on.
            Err(error) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                Reading::Wrong(error.to_string())
            }
            Err(_) => Reading::Garbage,
        }
    }

    /// The `seq` of the first line of the same write.
    pub(super) fn group(&self) -> u64 {
        self.group.unwrap_or(self.seq)
    }

    /// The rows that it is about.
    pub(super) fn rows(&self) -> Rows {
        Rows { row: self.row, also: self.also }
    }

    fn problem(&self) -> Option<String> {
        if let Some(problem) = rows_problem(self.rows()) {
            return Some(problem);
        }
        let missing = match self.kind {
            Kind::Withdrawn => None,
            Kind::Step => self.data.is_none().then_some("data"),
            _ if self.key.is_none() => Some("key"),
            Kind::Planned | Kind::Intent => self.change.is_none().then_some("change"),
            Kind::Outcome => self.state.is_none().then_some("state"),
        };
        missing.map(|member| format!("`{member}` is missing"))
    }

    /// What it says; withdrawn for a line that lacks a member, which [`Line::read`] does not let through.
    pub(super) fn said(&self) -> Said<'_> {
        let key = self.key.as_deref().unwrap_or_default();
        match (self.kind, self.change, self.state) {
            (Kind::Planned, Some(change), _) => Said::Planned { key, change },
            (Kind::Intent, Some(change), _) => Said::Intent { key, change },
            (Kind::Outcome, _, Some(state)) => Said::Outcome(Ended {
                key,
                state,
                reason: self.reason.as_deref(),
                detail: self.detail.as_deref(),
                attempts: self.attempts,
                report: self.data,
            }),
            (Kind::Step, ..) => match self.data {
                Some(step) => Said::Step(step),
                None => Said::Withdrawn,
            },
            _ => Said::Withdrawn,
        }
    }
}

/// Why these are no rows.
pub(super) fn rows_problem(rows: Rows) -> Option<String> {
    if rows.also == Some(rows.row) {
        return Some(format!("`also` repeats row {}", rows.row));
    }
    rows.each().find_map(row_problem)
}

/// Why a number is not that of a row.
fn row_problem(row: u64) -> Option<String> {
    match row {
        0 => Some("rows are counted from 1".to_owned()),
        1..=MAX_ROW => None,
        _ => Some(format!("{row} is not a row's number: {MAX_ROW} is the greatest")),
    }
}
