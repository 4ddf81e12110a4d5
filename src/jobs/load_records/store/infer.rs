//! What the columns of a new table hold, as the records of its first slice show.

use crate::jobs::load_records::stage::Stage;
use chrono::{DateTime, NaiveDate};
use serde_json::value::RawValue;
use std::io;

/// Records that are looked at together.
const TOGETHER: usize = 1000;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Real,
    /// Numbers, some of which have more digits than a double.
    Numeric,
    Date,
    Time,
    /// Objects and arrays.
    Json,
    /// Text that reads as a number: a number of many digits, or just text.
    Digits,
    Text,
}

/// The columns of a slice's records, in order, each with what it holds; text where all its values are null.
pub(super) fn columns(stage: &Stage) -> io::Result<Vec<(String, Kind)>> {
    let mut kinds: Vec<Option<Kind>> = vec![None; stage.columns.len()];
    let mut batches = stage.batches(TOGETHER)?;
    while let Some(batch) = batches.next()? {
        let places: Vec<Option<usize>> =
            batch.columns.iter().map(|name| stage.columns.iter().position(|other| other == name)).collect();
        for row in batch.rows() {
            let cells: Vec<&RawValue> = serde_json::from_str(row)?;
            for (place, cell) in places.iter().zip(cells) {
                if let Some(known) = place.and_then(|place| kinds.get_mut(place))
                    && let Some(kind) = kind(cell.get())
                {
                    *known = Some(known.map_or(kind, |known| known.joined(kind)));
                }
            }
        }
    }
    let kind = |kind: Option<Kind>| match kind {
        None | Some(Kind::Digits) => Kind::Text,
        Some(kind) => kind,
    };
    Ok(stage.columns.iter().cloned().zip(kinds.into_iter().map(kind)).collect())
}

impl Kind {
    /// What holds both.
    fn joined(self, other: Self) -> Self {
        use Kind::{Date, Digits, Integer, Numeric, Real, Text, Time};
        match (self, other) {
            (one, other) if one == other => one,
            (Integer, Real) | (Real, Integer) => Real,
            (Integer | Real | Numeric, Digits | Numeric) | (Digits | Numeric, Integer | Real | Numeric) => {
                Numeric
            }
            (Date, Time) | (Time, Date) => Time,
            _ => Text,
        }
    }
}

/// What a cell is; none for null.
fn kind(cell: &str) -> Option<Kind> {
    match cell {
        "null" => return None,
        "true" | "false" => return Some(Kind::Boolean),
        _ => {}
    }
    let Some(text) = cell.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Some(if cell.parse::<i64>().is_ok() { Kind::Integer } else { Kind::Real });
    };
    // What has an escape in it is neither a date nor a number; arrays and objects are kept as text.
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
    Some(match text.as_bytes().first() {
        Some(b'{' | b'[') if serde_json::from_str::<String>(cell).is_ok_and(|text| is_json(&text)) => {
            Kind::Json
        }
        Some(b'0'..=b'9') if text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() => {
            Kind::Date
        }
        Some(b'0'..=b'9') if DateTime::parse_from_rfc3339(text).is_ok() => Kind::Time,
        Some(b'0'..=b'9' | b'-') if serde_json::from_str::<serde_json::Number>(text).is_ok() => Kind::Digits,
        _ => Kind::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(cells: &[&str]) -> Option<Kind> {
        cells.iter().filter_map(|cell| kind(cell)).reduce(Kind::joined)
    }

    #[test]
    fn kinds_hold_all_of_their_values() {
        for (cells, expected) in [
            (&["1", "null", "-5"][..], Kind::Integer),
            (&["1", "1.5"], Kind::Real),
            (&["1e3"], Kind::Real),
            (&["1", "\"12345678901234567890\""], Kind::Numeric),
            (&["\"12345678901234567890\"", "1", "2.5", "\"9.99999999999999999\""], Kind::Numeric),
            (&["\"12\"", "\"13\""], Kind::Digits),
            (&["\"12\"", "\"x\""], Kind::Text),
            (&["true", "false"], Kind::Boolean),
            (&["true", "1"], Kind::Text),
            (&["\"2026-01-31\""], Kind::Date),
            (&["\"2026-01-31\"", "\"2026-01-31T10:00:00Z\""], Kind::Time),
            (&["\"2026-02-31\""], Kind::Text),
            (&[r#""{\"a\":1}""#, r#""[1]""#], Kind::Json),
            (&[r#""{\"a\":1}""#, r#""[draft]""#], Kind::Text),
            (&["\"\""], Kind::Text),
        ] {
            assert_eq!(joined(cells), Some(expected), "{cells:?}");
        }
        assert_eq!(joined(&["null"]), None);
    }
}
