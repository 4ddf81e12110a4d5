//! A query of Snowflake as a source: rows come in parts, as Arrow.
//!
//! - Snowflake makes texts of most values itself, in forms that are set for the session, and the type of each column says what
//!   they are: so numbers keep their digits. A NULL time, as Snowflake encodes it, is none that Arrow's reader takes.
//! - Places of the query are bound: their values go beside its text.

use super::{Chunk, Sender};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::record::{Cell, Record};
use crate::jobs::load_records::template::{Values, plain};
use crate::source::grammar::Grammar;
use crate::source::query::{Select, as_varchar};
use crate::source::snowflake::{Access, Asking, Column, SnowflakeError, Terms, Texts, begin};
use crate::source::sqlite::float;
use crate::stop::Stop;
use arrow_array::{Array, Float64Array, RecordBatch};
use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, mpsc};

/// Slices that are read at once: each has a part of its result in memory, packed and unpacked.
const READERS: usize = 4;
/// The longest row, in bytes.
const MAX_ROW: usize = 8 << 20;
/// A time with its zone, and one without, with all digits that they have.
const TIME: &str = "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM";
const CLOCK: &str = "YYYY-MM-DD HH24:MI:SS.FF9";

/// A query of a Snowflake.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct SnowflakeQuery {
    access: Access,
    query: Query,
    zone: String,
    readers: Semaphore,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Float,
    Boolean,
    Text,
    /// A time without a zone.
    Clock,
    /// A time with one.
    Moment,
    /// A time of a day.
    Time,
    Binary,
    Json,
}

impl Kind {
    /// That of a type.
    fn of(kind: &str) -> Self {
        match kind {
            "fixed" | "decfloat" => Self::Number,
            "real" => Self::Float,
            "boolean" => Self::Boolean,
            "timestamp_ntz" => Self::Clock,
            "timestamp_ltz" | "timestamp_tz" => Self::Moment,
            "time" => Self::Time,
            "binary" => Self::Binary,
            "variant" | "object" | "array" | "map" => Self::Json,
            _ => Self::Text,
        }
    }

    /// How a column of it is asked for.
    fn asked(self, column: &str) -> String {
        match self {
            // As text it would have fewer digits.
            Self::Float => column.to_owned(),
            Self::Binary => format!("HEX_ENCODE({column})"),
            Self::Json => format!("TO_JSON({column})"),
            _ => as_varchar(0, column),
        }
    }

    /// The cell that a text is; none where it is no such value.
    fn cell(self, text: &str) -> Option<Cell> {
        let as_json = |text: &str| serde_json::from_str::<&RawValue>(text).ok().map(Cell::of_raw);
        match self {
            Self::Text | Self::Float => Some(Cell::Text(text.to_owned())),
            Self::Number => match as_json(text)?.ok()? {
                Cell::Number(number) => Some(Cell::Number(number)),
                _ => None,
            },
            Self::Boolean if text.eq_ignore_ascii_case("true") => Some(Cell::Bool(true)),
            Self::Boolean if text.eq_ignore_ascii_case("false") => Some(Cell::Bool(false)),
            Self::Boolean => None,
            Self::Clock => {
                let clock = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                Some(Cell::Text(clock.format("%Y-%m-%dT%H:%M:%S%.f").to_string()))
            }
            Self::Moment => {
                let moment = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok()?;
                Some(Cell::Text(moment.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)))
            }
            Self::Time => {
                let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
                Some(Cell::Text(time.format("%H:%M:%S%.f").to_string()))
            }
            // As PostgreSQL writes bytes.
            Self::Binary => Some(Cell::Text(format!("\\x{}", text.to_ascii_lowercase()))),
            Self::Json => match as_json(text) {
                Some(cell) => cell.ok(),
                // A number within it that JSON has not, such as NaN.
                None => Some(Cell::Text(text.to_owned())),
            },
        }
    }
}

impl SnowflakeQuery {
    /// Connects to nothing. Times without a zone, such as the ends of a slice, are of this one.
    pub(in crate::jobs::load_records) fn new(access: Access, query: Query, zone: &str) -> Self {
        Self { access, query, zone: zone.to_owned(), readers: Semaphore::new(READERS) }
    }

    pub(super) async fn fetch(
        &self,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let _reader = self.readers.acquire().await.map_err(|_| LoadError::Interrupted)?;
        let failed = |error: SnowflakeError| failed(error.without(&self.access.secrets()));
        let (sql, bound) = self.query.bound(values, |_| "?".to_owned()).map_err(LoadError::Settings)?;
        let parameters = [
            ("TIMEZONE", self.zone.as_str()),
            ("TIMESTAMP_OUTPUT_FORMAT", TIME),
            ("TIMESTAMP_TZ_OUTPUT_FORMAT", TIME),
            ("TIMESTAMP_LTZ_OUTPUT_FORMAT", TIME),
            ("TIMESTAMP_NTZ_OUTPUT_FORMAT", CLOCK),
            ("TIME_OUTPUT_FORMAT", "HH24:MI:SS.FF9"),
        ];
        let terms = Terms {
            parameters: parameters.map(|(name, value)| (name, value.to_owned())).to_vec(),
            bound: bound.iter().map(binding).collect(),
        };
        let found = Mutex::new(Vec::new());
        let select = |columns: &[Column]| {
            *found.lock().unwrap_or_else(PoisonError::into_inner) =
                columns.iter().map(|column| Kind::of(&column.kind)).collect();
            select(&sql, columns)
        };
        // Within a sub-select Snowflake takes nothing but a query; the line break ends a comment.
        let describe = format!("SELECT * FROM (\n{sql}\n) AS q LIMIT 0");
        let asking = Asking { describe, select: &select };
        // What breaks later has sent rows already: the slice is read again by `resume`.
        let mut reading = begin(&self.access, &terms, &asking, stop).await.map_err(failed)?;
        let kinds = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<Arc<str>> = reading.names.iter().map(|name| name.as_str().into()).collect();
        let (mut sender, mut row) = (Sender::new(to), 0);
        while let Some(batches) = reading.next().await.map_err(failed)? {
            for batch in &batches {
                let columns = columns(batch, &kinds).map_err(failed)?;
                for place in 0..batch.num_rows() {
                    row += 1;
                    let record = record(&columns, &names, place, row).map_err(failed)?;
                    if !sender.record(record).await {
                        return Ok(());
                    }
                }
            }
        }
        sender.finish().await;
        reading.close().await;
        Ok(())
    }
}

/// What reads the rows of a query.
fn select(sql: &str, columns: &[Column]) -> Result<Select, SnowflakeError> {
    let mut names = HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !names.insert(&column.name)) {
        let text = format!("the query has two columns `{}`: name them with AS", twice.name);
        return Err(SnowflakeError::Query(text));
    }
    let mut text = "SELECT ".to_owned();
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let name = Grammar::Snowflake.quoted(&column.name);
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{} AS {name}", Kind::of(&column.kind).asked(&format!("q.{name}")));
    }
    let _ = write!(text, " FROM (\n{sql}\n) AS q");
    Ok(Select { sql: text, names: columns.iter().map(|column| column.name.clone()).collect(), note: None })
}

/// A value as Snowflake's own drivers send it: a type and a text.
fn binding(value: &Value) -> (&'static str, Option<String>) {
    let kind = match value {
        Value::Null => return ("ANY", None),
        Value::Bool(_) => "BOOLEAN",
        Value::Number(number) if number.is_i64() || number.is_u64() => "FIXED",
        Value::Number(_) => "REAL",
        _ => "TEXT",
    };
    (kind, Some(plain(value).unwrap_or_default()))
}

/// A column of a part of a result.
enum Cells<'a> {
    Floats(&'a Float64Array),
    Texts(Texts<'a>, Kind),
}

fn columns<'a>(batch: &'a RecordBatch, kinds: &[Kind]) -> Result<Vec<Cells<'a>>, SnowflakeError> {
    let column = |(column, kind): (&'a Arc<dyn Array>, &Kind)| match column.as_any().downcast_ref() {
        Some(floats) if *kind == Kind::Float => Ok(Cells::Floats(floats)),
        _ => Texts::of(column.as_ref()).map(|texts| Cells::Texts(texts, *kind)),
    };
    batch.columns().iter().zip(kinds).map(column).collect()
}

/// A row of a part, which is this one of the result.
fn record(
    columns: &[Cells<'_>],
    names: &[Arc<str>],
    place: usize,
    row: u64,
) -> Result<Record, SnowflakeError> {
    let mut bytes = 0;
    let mut cells = Vec::with_capacity(columns.len());
    for (column, name) in columns.iter().zip(names) {
        let cell = match column {
            Cells::Floats(floats) if floats.is_null(place) => Cell::Null,
            Cells::Floats(floats) => match floats.value(place) {
                value if value.is_finite() => Cell::Number(float(value)),
                value => Cell::Text(float(value).to_lowercase()),
            },
            Cells::Texts(texts, kind) => match texts.text(place) {
                None => Cell::Null,
                Some(text) => {
                    bytes += text.len();
                    kind.cell(text).ok_or_else(|| {
                        let shown = Cell::Text(text.to_owned()).shown();
                        let kind = format!("{kind:?}").to_lowercase();
                        SnowflakeError::Answer(format!(
                            "column `{name}` of row {row} is {shown}, and no {kind}"
                        ))
                    })?
                }
            },
        };
        cells.push((Arc::clone(name), cell));
    }
    if bytes > MAX_ROW {
        return Err(SnowflakeError::Answer(format!("row {row} is longer than {} MiB", MAX_ROW >> 20)));
    }
    Ok(Record(cells))
}

/// What a failure means for a slice. (Source: Snowflake's codes of what it cannot compile begin with 0.)
fn failed(error: SnowflakeError) -> LoadError {
    let text = error.to_string();
    match error {
        SnowflakeError::Login { .. } | SnowflakeError::Session { .. } => LoadError::Login(text),
        SnowflakeError::Refused { what: "query", code, .. } if !code.starts_with('0') => {
            LoadError::Refused(text)
        }
        SnowflakeError::Refused { .. }
        | SnowflakeError::Account { .. }
        | SnowflakeError::Key(_)
        | SnowflakeError::Query(_)
        | SnowflakeError::Columns(_) => LoadError::Settings(text),
        SnowflakeError::Unreachable { .. } => LoadError::Unreachable(text),
        SnowflakeError::Answer(_) | SnowflakeError::Keep(_) => LoadError::Refused(text),
        SnowflakeError::Interrupted => LoadError::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, LargeStringArray, StringArray, StringViewArray};

    #[test]
    fn texts_are_what_their_type_says() {
        let text = |text: &str| Some(Cell::Text(text.to_owned()));
        let number = |text: &str| Some(Cell::Number(text.to_owned()));
        for (kind, given, cell) in [
            ("fixed", "9223372036854775807", number("9223372036854775807")),
            (
                "fixed",
                "-0.12345678901234567890123456789012345678",
                number("-0.12345678901234567890123456789012345678"),
            ),
            ("fixed", "", None),
            ("fixed", "\"1\"", None),
            ("decfloat", "1.5e400", number("1.5e400")),
            ("boolean", "true", Some(Cell::Bool(true))),
            ("boolean", "FALSE", Some(Cell::Bool(false))),
            ("boolean", "1", None),
            ("text", "", text("")),
            ("text", "null", text("null")),
            ("date", "2026-12-31", text("2026-12-31")),
            ("timestamp_ntz", "2024-05-01 12:34:56.000000000", text("2024-05-01T12:34:56")),
            ("timestamp_ntz", "2024-05-01 12:34:56.789000001", text("2024-05-01T12:34:56.789000001")),
            ("timestamp_ntz", "soon", None),
            ("timestamp_tz", "2024-05-01 00:34:56.789000000 +0200", text("2024-04-30T22:34:56.789Z")),
            ("timestamp_ltz", "2024-05-01 12:34:56+00", text("2024-05-01T12:34:56Z")),
            ("timestamp_tz", "2024-05-01 12:34:56.1 +05:30", text("2024-05-01T07:04:56.100Z")),
            ("timestamp_tz", "2024-05-01 12:34:56", None),
            ("time", "12:34:56.789000000", text("12:34:56.789")),
            ("binary", "00FF", text("\\x00ff")),
            ("variant", "{\"a\":[1.50]}", Some(Cell::Json("{\"a\":[1.50]}".to_owned()))),
            ("array", "[]", Some(Cell::Json("[]".to_owned()))),
            ("variant", "\"a\"", text("a")),
            ("variant", "null", Some(Cell::Null)),
            ("variant", "1.50", number("1.50")),
            ("object", "{\"a\":NaN}", text("{\"a\":NaN}")),
            ("vector", "[1,2]", text("[1,2]")),
        ] {
            assert_eq!(Kind::of(kind).cell(given), cell, "{kind} {given}");
        }
    }

    #[test]
    fn arrow_becomes_cells_and_null_stays_null() {
        let arrays: [(&str, ArrayRef); 4] = [
            (
                "f",
                Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN), Some(f64::NEG_INFINITY)])),
            ),
            ("a", Arc::new(StringArray::from(vec![Some(""), None, Some("b"), Some("c")]))),
            ("n", Arc::new(LargeStringArray::from(vec![Some("1.50"), None, Some("2"), Some("3")]))),
            ("b", Arc::new(StringViewArray::from(vec![Some("true"), None, Some("false"), Some("true")]))),
        ];
        let names: Vec<Arc<str>> = arrays.iter().map(|(name, _)| (*name).into()).collect();
        let batch = RecordBatch::try_from_iter(arrays).unwrap();
        let kinds = [Kind::Float, Kind::Text, Kind::Number, Kind::Boolean];
        let columns_of = columns(&batch, &kinds).unwrap();
        let rows: Vec<String> =
            (0..4).map(|place| record(&columns_of, &names, place, 1).unwrap().text()).collect();
        assert_eq!(
            rows,
            [
                r#"{"f":0.1,"a":"","n":1.50,"b":true}"#,
                r#"{"f":null,"a":null,"n":null,"b":null}"#,
                r#"{"f":"nan","a":"b","n":2,"b":false}"#,
                r#"{"f":"-inf","a":"c","n":3,"b":true}"#,
            ]
        );
        // A float where text was asked for, and text that is no number.
        assert!(columns(&batch, &[Kind::Text; 4]).is_err());
        let wrong = columns(&batch, &[Kind::Float, Kind::Number, Kind::Number, Kind::Boolean]).unwrap();
        let error = record(&wrong, &names, 2, 3).unwrap_err().to_string();
        assert!(error.ends_with("column `a` of row 3 is `b`, and no number"), "{error}");
    }

    #[test]
    fn a_row_has_a_bound() {
        let long = "x".repeat(MAX_ROW + 1);
        let array: ArrayRef = Arc::new(StringArray::from(vec![long.as_str()]));
        let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
        let error = record(&columns(&batch, &[Kind::Text]).unwrap(), &["a".into()], 0, 1).unwrap_err();
        assert!(error.to_string().ends_with("row 1 is longer than 8 MiB"), "{error}");
    }

    #[test]
    fn columns_are_asked_for_by_their_type() {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), kind: kind.to_owned() };
        let columns =
            [column("N", "fixed"), column("f\"", "real"), column("B", "binary"), column("V", "variant")];
        let made = select("SELECT 1 -- x", &columns).unwrap();
        assert_eq!(
            made.sql,
            "SELECT CAST(q.\"N\" AS VARCHAR) AS \"N\", q.\"f\"\"\" AS \"f\"\"\", HEX_ENCODE(q.\"B\") AS \"B\", \
             TO_JSON(q.\"V\") AS \"V\" FROM (\nSELECT 1 -- x\n) AS q"
        );
        let error = select("SELECT 1", &[column("N", "fixed"), column("N", "text")]).unwrap_err();
        assert_eq!(error.to_string(), "the query has two columns `N`: name them with AS");
    }

    #[test]
    fn values_are_bound_as_drivers_bind_them() {
        for (value, bound) in [
            (Value::from("it's \\"), ("TEXT", Some("it's \\"))),
            (Value::from(-7), ("FIXED", Some("-7"))),
            (Value::from(u64::MAX), ("FIXED", Some("18446744073709551615"))),
            (Value::from(0.5), ("REAL", Some("0.5"))),
            (Value::from(true), ("BOOLEAN", Some("true"))),
            (Value::Null, ("ANY", None)),
        ] {
            let (kind, text) = binding(&value);
            assert_eq!((kind, text.as_deref()), bound);
        }
    }

    #[test]
    fn what_cannot_be_compiled_ends_the_run_and_what_fails_later_the_slice() {
        let of = |code: &str| failed(SnowflakeError::of_query(code.to_owned(), "no".to_owned(), ""));
        assert!(matches!(of("002003"), LoadError::Settings(_)));
        assert!(matches!(of("100051"), LoadError::Refused(_)));
        assert!(matches!(of("390112"), LoadError::Login(_)));
    }
}
