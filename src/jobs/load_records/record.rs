//! A record on its way: names and cells, in order.

use jaq_json::Val;
#[cfg(test)]
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use std::sync::Arc;

/// A value of a record. Numbers keep the digits that they came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    /// As JSON writes it.
    Number(String),
    Text(String),
    /// An array or an object, as JSON.
    Json(String),
}

/// A record. Those of one source or filter share their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record(pub Vec<(Arc<str>, Cell)>);

impl Record {
    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&Cell> {
        self.0.iter().find(|(found, _)| **found == *name).map(|(_, cell)| cell)
    }

    /// What a filter has made; the error says what it is instead of an object. The names are those of another record where
    /// they are the same.
    pub(super) fn of_val(val: &Val, like: Option<&Self>) -> Result<Self, String> {
        let Val::Obj(members) = val else {
            return Err(format!("the transform made {} where a record, an object, was needed", kind(val)));
        };
        let mut record = Self(Vec::with_capacity(members.len()));
        for (place, (name, value)) in members.iter().enumerate() {
            let Val::TStr(name) = name else { return Err("a field has a name that is not text".to_owned()) };
            let name =
                std::str::from_utf8(name).map_err(|_| "a field has a name that is not UTF-8".to_owned())?;
            let cell = cell(value).map_err(|problem| format!("`{name}`: {problem}"))?;
            let known = like.and_then(|like| like.0.get(place)).map(|(name, _)| name);
            let name = known.filter(|known| ***known == *name).map_or_else(|| name.into(), Arc::clone);
            record.0.push((name, cell));
        }
        Ok(record)
    }

    /// For a filter.
    pub(super) fn into_val(self) -> Result<Val, String> {
        let members = self.0.into_iter().map(|(name, cell)| {
            let value = match cell {
                Cell::Null => Val::Null,
                Cell::Bool(truth) => Val::Bool(truth),
                Cell::Text(text) => text.into(),
                // As JSON is read elsewhere: numbers keep their digits.
                Cell::Number(json) | Cell::Json(json) => {
                    jaq_json::read::parse_single(json.as_bytes()).map_err(|error| error.to_string())?
                }
            };
            Ok((Val::utf8_str(name.as_bytes().to_vec()), value))
        });
        members.collect::<Result<_, String>>().map(Val::obj)
    }

    /// A JSON object.
    #[cfg(test)]
    pub(super) fn of_json(object: &serde_json::Map<String, Value>) -> Self {
        let cell = |value: &Value| match value {
            Value::Null => Cell::Null,
            Value::Bool(truth) => Cell::Bool(*truth),
            Value::Number(number) => Cell::Number(number.to_string()),
            Value::String(text) => Cell::Text(text.clone()),
            other => Cell::Json(other.to_string()),
        };
        Self(object.iter().map(|(name, value)| (name.as_str().into(), cell(value))).collect())
    }

    /// Writes it as a JSON object.
    pub(super) fn write(&self, json: &mut Vec<u8>) {
        json.push(b'{');
        for (index, (name, cell)) in self.0.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            write_text(name, json);
            json.push(b':');
            match cell {
                Cell::Number(number) => json.extend_from_slice(number.as_bytes()),
                cell => cell.write(json),
            }
        }
        json.push(b'}');
    }

    /// A JSON object in which arrays and objects stay such.
    pub(super) fn json(&self) -> String {
        let mut json = vec![b'{'];
        for (index, (name, cell)) in self.0.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            write_text(name, &mut json);
            json.push(b':');
            cell.write_json(&mut json);
        }
        json.push(b'}');
        String::from_utf8_lossy(&json).into_owned()
    }

    /// As [`Record::write`] does, as text.
    pub(super) fn text(&self) -> String {
        let mut json = Vec::new();
        self.write(&mut json);
        String::from_utf8_lossy(&json).into_owned()
    }
}

impl Cell {
    /// A value of JSON.
    pub(super) fn of_raw(value: &RawValue) -> Result<Self, String> {
        let json = value.get();
        Ok(match json.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'[' | b'{') => Self::Json(json.to_owned()),
            Some(b'"') => Self::Text(
                serde_json::from_str(json)
                    .map_err(|error| format!("has a string that is not text: {error}"))?,
            ),
            _ => Self::Number(json.to_owned()),
        })
    }

    /// Writes it as JSON for a database: a number with more digits than a double has goes as text, which a column of a
    /// decimal type takes whole.
    pub(super) fn write(&self, json: &mut Vec<u8>) {
        match self {
            Self::Null => json.extend_from_slice(b"null"),
            Self::Bool(truth) => json.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Self::Number(number) if is_exact(number) => json.extend_from_slice(number.as_bytes()),
            Self::Number(text) | Self::Text(text) | Self::Json(text) => write_text(text, json),
        }
    }

    /// Writes it as JSON has it: numbers keep their digits, arrays and objects stay such.
    pub(super) fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Self::Number(text) | Self::Json(text) => json.extend_from_slice(text.as_bytes()),
            other => other.write(json),
        }
    }

    /// Whether [`Cell::write_json`] writes JSON: a filter makes numbers within arrays that are none.
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::Number(text) | Self::Json(text) => {
                !text.contains('\n') && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
            }
            Self::Null | Self::Bool(_) | Self::Text(_) => true,
        }
    }

    /// For a message, on one line and not long.
    pub(super) fn shown(&self) -> String {
        const MOST: usize = 60;
        let mut text = match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(text) | Self::Json(text) => text.clone(),
            Self::Text(text) => format!("`{}`", text.escape_debug()),
        };
        if let Some((end, _)) = text.char_indices().nth(MOST) {
            text.truncate(end);
            // Writing to a String cannot fail.
            let _ = write!(text, "...");
        }
        text
    }
}

/// Whether a number of JSON is read as itself by whoever reads it as an `i64` or a double.
fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() {
        return true;
    }
    let digits = number.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit);
    digits.count() <= 15 && number.parse::<f64>().is_ok_and(f64::is_finite)
}

fn write_text(text: &str, json: &mut Vec<u8>) {
    // Writing a string to a Vec cannot fail.
    let _ = serde_json::to_writer(json, text);
}

fn kind(val: &Val) -> &'static str {
    match val {
        Val::Null => "null",
        Val::Bool(_) => "a boolean",
        Val::Num(_) => "a number",
        Val::BStr(_) => "bytes",
        Val::TStr(_) => "a text",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    }
}

fn cell(val: &Val) -> Result<Cell, String> {
    Ok(match val {
        Val::Null => Cell::Null,
        Val::Bool(truth) => Cell::Bool(*truth),
        Val::Num(number) => {
            let text = number.to_string();
            // `infinite` and `nan` of a filter are no numbers of JSON's.
            if !text.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit()) {
                return Err(format!("{text} is not a number of JSON"));
            }
            Cell::Number(text)
        }
        Val::TStr(text) => {
            Cell::Text(std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?.to_owned())
        }
        Val::BStr(_) => return Err("it is bytes, not text".to_owned()),
        Val::Arr(_) | Val::Obj(_) => Cell::Json(val.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(json: &str) -> String {
        let val = jaq_json::read::parse_single(json.as_bytes()).unwrap();
        Record::of_val(&val, None).unwrap().text()
    }

    #[test]
    fn values_keep_their_digits() {
        for json in [
            r#"{"a":1,"b":-2.50,"c":1e400,"d":123456789012345678901234567890,"e":0.1}"#,
            r#"{"a":"x\"y\\z","b":null,"c":true,"d":"é\u0001"}"#,
            "{}",
        ] {
            let read: Value = serde_json::from_str(&through(json).replace("1e400", "1")).unwrap();
            assert_eq!(read, serde_json::from_str::<Value>(&json.replace("1e400", "1")).unwrap(), "{json}");
        }
        assert!(
            through(r#"{"a":123456789012345678901234567890}"#).contains("123456789012345678901234567890")
        );
        assert!(through(r#"{"a":-2.50}"#).contains("-2.50"));
    }

    #[test]
    fn values_of_json_are_what_they_were() {
        for (json, cell) in [
            ("null", Cell::Null),
            ("true", Cell::Bool(true)),
            ("-12345678901234567890.1234567890", Cell::Number("-12345678901234567890.1234567890".to_owned())),
            (r#""a\"\u00e9\n""#, Cell::Text("a\"é\n".to_owned())),
            (r#"{"a":[1]}"#, Cell::Json(r#"{"a":[1]}"#.to_owned())),
            ("[]", Cell::Json("[]".to_owned())),
        ] {
            assert_eq!(Cell::of_raw(&RawValue::from_string(json.to_owned()).unwrap()), Ok(cell));
        }
        assert!(Cell::of_raw(&RawValue::from_string(r#""\ud800""#.to_owned()).unwrap()).is_err());
    }

    #[test]
    fn only_exact_numbers_go_as_numbers() {
        for (number, json) in [
            ("1", "1"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "\"9223372036854775808\""),
            ("0.1", "0.1"),
            ("123456789.123456789", "\"123456789.123456789\""),
            ("1e400", "\"1e400\""),
        ] {
            let mut written = Vec::new();
            Cell::Number(number.to_owned()).write(&mut written);
            assert_eq!(String::from_utf8(written).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_record_is_said() {
        for (json, says) in [("[1]", "an array"), ("null", "null"), ("\"x\"", "a text")] {
            let val = jaq_json::read::parse_single(json.as_bytes()).unwrap();
            assert!(Record::of_val(&val, None).unwrap_err().contains(says), "{json}");
        }
    }
}
