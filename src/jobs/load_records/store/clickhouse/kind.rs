//! What a column takes. ClickHouse changes values that do not fit in silence (99999999999 in an `Int32`, null in a column that
//! has none, the 31st of February), so each is held against its column before it is sent, and sent in one form.

use crate::jobs::load_records::dates;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Timelike, Utc};
use chrono_tz::Tz;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The deepest type that is read.
const DEEPEST: usize = 20;
/// The greatest exponent of a number that is written out.
const GREATEST_EXPONENT: i64 = 400;
/// Types without parameters.
const PLAIN: [(&str, Kind); 20] = [
    ("Int8", Kind::Integer { bits: 8, is_signed: true }),
    ("Int16", Kind::Integer { bits: 16, is_signed: true }),
    ("Int32", Kind::Integer { bits: 32, is_signed: true }),
    ("Int64", Kind::Integer { bits: 64, is_signed: true }),
    ("Int128", Kind::Integer { bits: 128, is_signed: true }),
    ("Int256", Kind::Integer { bits: 256, is_signed: true }),
    ("UInt8", Kind::Integer { bits: 8, is_signed: false }),
    ("UInt16", Kind::Integer { bits: 16, is_signed: false }),
    ("UInt32", Kind::Integer { bits: 32, is_signed: false }),
    ("UInt64", Kind::Integer { bits: 64, is_signed: false }),
    ("UInt128", Kind::Integer { bits: 128, is_signed: false }),
    ("UInt256", Kind::Integer { bits: 256, is_signed: false }),
    ("Float32", Kind::Float { is_single: true }),
    ("Float64", Kind::Float { is_single: false }),
    ("Bool", Kind::Bool),
    ("String", Kind::Text),
    ("UUID", Kind::Uuid),
    ("IPv4", Kind::Ipv4),
    ("IPv6", Kind::Ipv6),
    ("Date", Kind::Date { is_long: false }),
];

/// A type whose values can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Nullable(Box<Kind>),
    Integer { bits: u16, is_signed: bool },
    Float { is_single: bool },
    Decimal { digits: usize, scale: usize },
    Bool,
    Text,
    Fixed(usize),
    Uuid,
    Ipv4,
    Ipv6,
    Enum(Vec<(String, i64)>),
    Date { is_long: bool },
    Time { digits: Option<u32> },
    Array(Box<Kind>),
    Map(Box<Kind>, Box<Kind>),
    Tuple(Vec<(Option<String>, Kind)>),
}

/// A member of an object, in order, though its name may come twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Kind {
    /// Reads a type as ClickHouse writes it; none for one whose values cannot be checked.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::at(text, 0)
    }

    fn at(text: &str, depth: usize) -> Option<Self> {
        if depth > DEEPEST {
            return None;
        }
        let text = text.trim();
        if let Some((_, kind)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Some(kind.clone());
        }
        let (name, inner) = match text.split_once('(') {
            Some((name, rest)) => (name, parts(rest.strip_suffix(')')?)?),
            None => (text, Vec::new()),
        };
        let inner: Vec<&str> = inner.iter().map(|part| part.trim()).collect();
        let of = |place: usize| Self::at(inner.get(place)?, depth + 1).map(Box::new);
        let number = |place: usize| inner.get(place)?.parse::<usize>().ok();
        Some(match (name, inner.len()) {
            ("Nullable", 1) => Self::Nullable(of(0)?),
            ("LowCardinality", 1) => *of(0)?,
            ("SimpleAggregateFunction", 2) => *of(1)?,
            ("Decimal", 2) => Self::Decimal { digits: number(0)?, scale: number(1)? },
            ("FixedString", 1) => Self::Fixed(number(0)?),
            ("Enum8" | "Enum16", _) => {
                let names: Option<Vec<_>> = inner.iter().map(|part| name_of_enum(part)).collect();
                Self::Enum(names?)
            }
            ("Date32", 0) => Self::Date { is_long: true },
            ("DateTime", 0 | 1) => Self::Time { digits: None },
            ("DateTime64", 1 | 2) => Self::Time { digits: Some(inner.first()?.parse().ok()?) },
            ("Array", 1) => Self::Array(of(0)?),
            ("Map", 2) => Self::Map(of(0)?, of(1)?),
            ("Tuple", 1..) => {
                let members: Option<Vec<_>> = inner.iter().map(|part| member(part, depth)).collect();
                Self::Tuple(members?)
            }
            _ => return None,
        })
    }

    /// Whether null is a value of it.
    pub(super) fn takes_null(&self) -> bool {
        matches!(self, Self::Nullable(_))
    }

    /// Writes a cell, JSON, as ClickHouse reads it for this type. The error says why it does not fit.
    pub(super) fn write(&self, cell: &RawValue, zone: Tz, json: &mut String) -> Result<(), String> {
        let raw = cell.get();
        if raw == "null" {
            if self.takes_null() {
                json.push_str("null");
                return Ok(());
            }
            return Err("null, and the column has none".to_owned());
        }
        let text = plain(raw);
        match self {
            Self::Nullable(kind) => return kind.write(cell, zone, json),
            Self::Array(kind) => {
                return write_list(&text, json, |cell, json| kind.write(cell, zone, json));
            }
            Self::Map(key, value) => return write_map((key, value), &text, zone, json),
            Self::Tuple(members) => return write_tuple(members, &text, zone, json),
            Self::Integer { bits, is_signed } if is_short_integer(&text, *bits, *is_signed) => {
                json.push_str(&text);
            }
            Self::Float { is_single } if is_short_number(&text, *is_single) => json.push_str(&text),
            Self::Text if raw.starts_with('"') && !raw.contains('\\') => json.push_str(raw),
            Self::Integer { bits, is_signed } => {
                let number = integer(&text, *bits, *is_signed)?;
                // Numbers of more than 64 bits are taken as text.
                if *bits > 64 { push_text(json, &number) } else { json.push_str(&number) }
            }
            Self::Float { is_single } => {
                let number = float(&text, *is_single)?;
                if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') && number != "-inf" {
                    json.push_str(&number);
                } else {
                    push_text(json, &number);
                }
            }
            Self::Decimal { digits, scale } => push_text(json, &decimal(&text, *digits, *scale)?),
            Self::Bool => json.push_str(match &*text {
                "1" => "true",
                "0" => "false",
                text if text.eq_ignore_ascii_case("true") => "true",
                text if text.eq_ignore_ascii_case("false") => "false",
                _ => return Err("it is neither true nor false".to_owned()),
            }),
            Self::Text => push_text(json, &text),
            Self::Fixed(length) if text.len() == *length => push_text(json, &text),
            Self::Fixed(length) => return Err(format!("it has {} bytes, and not {length}", text.len())),
            Self::Uuid => push_text(json, &uuid(&text).ok_or("it is no UUID")?),
            Self::Ipv4 => {
                let address: Ipv4Addr = text.parse().map_err(|_| "it is no IPv4 address")?;
                push_text(json, &address.to_string());
            }
            Self::Ipv6 => {
                let mapped = || text.parse::<Ipv4Addr>().map(|address| address.to_ipv6_mapped());
                let address = text.parse::<Ipv6Addr>().or_else(|_| mapped());
                push_text(json, &address.map_err(|_| "it is no IPv6 address")?.to_string());
            }
            Self::Enum(names) => {
                push_text(json, name_of(names, raw, &text).ok_or("it is none of the enum's names")?);
            }
            Self::Date { is_long } => push_text(json, &date(&text, *is_long)?),
            Self::Time { digits } => push_text(json, &time(&text, *digits, zone)?),
        }
        Ok(())
    }
}

fn write_list(
    text: &str,
    json: &mut String,
    mut write: impl FnMut(&RawValue, &mut String) -> Result<(), String>,
) -> Result<(), String> {
    let cells: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "it is no array".to_owned())?;
    json.push('[');
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        write(cell, json).map_err(|problem| format!("element {}: {problem}", place + 1))?;
    }
    json.push(']');
    Ok(())
}

fn write_map((key, value): (&Kind, &Kind), text: &str, zone: Tz, json: &mut String) -> Result<(), String> {
    let Members(members) = serde_json::from_str(text).map_err(|_| "it is no object".to_owned())?;
    json.push('{');
    let mut seen = std::collections::HashSet::new();
    for (place, (name, cell)) in members.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        let of = |problem: String| format!("`{}`: {problem}", name.escape_debug());
        let mut written = String::new();
        key.write(&quoted(name)?, zone, &mut written).map_err(of)?;
        if !written.starts_with('"') {
            written = format!("\"{written}\"");
        }
        if !seen.insert(written.clone()) {
            return Err(of("it comes twice".to_owned()));
        }
        json.push_str(&written);
        json.push(':');
        value.write(cell, zone, json).map_err(of)?;
    }
    json.push('}');
    Ok(())
}

fn write_tuple(
    kinds: &[(Option<String>, Kind)],
    text: &str,
    zone: Tz,
    json: &mut String,
) -> Result<(), String> {
    let names: Option<Vec<&String>> = kinds.iter().map(|(name, _)| name.as_ref()).collect();
    let other = || format!("it has not the {} elements of the tuple", kinds.len());
    let cells: Vec<&RawValue> = match (&names, serde_json::from_str::<Members<'_>>(text)) {
        (Some(names), Ok(Members(members))) => {
            if members.len() != names.len() {
                return Err(other());
            }
            let cell = |name: &&String| {
                members.iter().find(|(other, _)| other == name.as_str()).map(|(_, cell)| *cell)
            };
            names.iter().map(cell).collect::<Option<_>>().ok_or_else(other)?
        }
        _ => serde_json::from_str(text).map_err(|_| "it is no tuple".to_owned())?,
    };
    if cells.len() != kinds.len() {
        return Err(other());
    }
    json.push(if names.is_some() { '{' } else { '[' });
    for (place, ((name, kind), cell)) in kinds.iter().zip(cells).enumerate() {
        if place > 0 {
            json.push(',');
        }
        if let (Some(_), Some(name)) = (&names, name) {
            push_text(json, name);
            json.push(':');
        }
        kind.write(cell, zone, json).map_err(|problem| format!("element {}: {problem}", place + 1))?;
    }
    json.push(if names.is_some() { '}' } else { ']' });
    Ok(())
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, cell)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((name, cell));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A cell as text.
fn plain(raw: &str) -> Cow<'_, str> {
    if let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && !inner.contains('\\')
    {
        return inner.into();
    }
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).map_or_else(|_| raw.into(), Cow::Owned);
    }
    raw.into()
}

fn quoted(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(text).map_err(|error| error.to_string())
}

fn push_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

/// What stands between the commas of the outermost level; none where quotes or brackets do not close.
fn parts(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut depth, mut quote, mut is_escaped) = (Vec::new(), 0, 0_usize, None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '`' | '"' => quote = Some(c),
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1)?,
                ',' if depth == 0 => {
                    parts.push(text.get(from..at)?);
                    from = at + 1;
                }
                _ => {}
            },
        }
    }
    parts.push(text.get(from..)?);
    (depth == 0 && quote.is_none()).then_some(parts)
}

/// `'name' = 1`
fn name_of_enum(part: &str) -> Option<(String, i64)> {
    let (name, number) = part.rsplit_once('=')?;
    let name = name.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    Some((unescaped(name), number.trim().parse().ok()?))
}

/// A member of a tuple, with its name if it has one.
fn member(part: &str, depth: usize) -> Option<(Option<String>, Kind)> {
    if let Some(kind) = Kind::at(part, depth + 1) {
        return Some((None, kind));
    }
    let (name, kind) = match part.strip_prefix('`') {
        Some(rest) => rest.split_once('`')?,
        None => part.split_once(' ')?,
    };
    Some((Some(unescaped(name)), Kind::at(kind, depth + 1)?))
}

/// A text as ClickHouse writes it between quotes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('0') => '\0',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    plain
}

/// The name that a cell means: a text its own, a number that of its value.
fn name_of<'a>(names: &'a [(String, i64)], raw: &str, text: &str) -> Option<&'a str> {
    let number = raw.parse::<i64>().ok();
    names.iter().find(|(name, value)| name == text || number == Some(*value)).map(|(name, _)| name.as_str())
}

/// Whether a text is a whole number as ClickHouse writes it, and one of this type: what most cells are.
fn is_short_integer(text: &str, bits: u16, is_signed: bool) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // More digits may be too many for an i64; those with other forms are looked at closely.
    let is_plain = (1..=18).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0");
    let most = 1_i128 << (if is_signed { bits - 1 } else { bits }).min(64);
    let least = if is_signed { -most } else { 0 };
    bits <= 64 && is_plain && text.parse::<i64>().is_ok_and(|number| (least..most).contains(&number.into()))
}

/// Whether a text is a number as JSON has it, without an exponent and with so few digits that a float keeps all that matter.
fn is_short_number(text: &str, is_single: bool) -> bool {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    let before = before.strip_prefix('-').unwrap_or(before);
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    before.len() + after.len() <= 15
        && before.len() <= if is_single { 7 } else { 15 }
        && all_digits(before)
        && all_digits(after)
        && (before == "0" || !before.starts_with('0'))
}

/// The sign and the digits of a number: those before its point, and those after it.
fn digits(text: &str) -> Option<(bool, String, String)> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !(before.is_empty() && after.is_empty())
        && before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_number || exponent.abs() > GREATEST_EXPONENT {
        return None;
    }
    let (mut before, mut after) = (before.to_owned(), after.to_owned());
    let places = usize::try_from(exponent.unsigned_abs()).ok()?;
    if exponent >= 0 {
        after.extend(std::iter::repeat_n('0', places.saturating_sub(after.len())));
        let rest = after.split_off(places);
        before.push_str(&after);
        after = rest;
    } else {
        let zeros = "0".repeat(places.saturating_sub(before.len()));
        before.insert_str(0, &zeros);
        let moved = before.split_off(before.len() - places);
        after.insert_str(0, &moved);
    }
    let before = before.trim_start_matches('0');
    let before = if before.is_empty() { "0" } else { before };
    Some((is_negative, before.to_owned(), after.trim_end_matches('0').to_owned()))
}

fn integer(text: &str, bits: u16, is_signed: bool) -> Result<String, String> {
    let text = match text {
        // A flag is kept as a number by older tables.
        "true" if bits == 8 && !is_signed => "1",
        "false" if bits == 8 && !is_signed => "0",
        text => text,
    };
    let wrong = || "it is no whole number".to_owned();
    let (is_negative, before, after) = digits(text).ok_or_else(wrong)?;
    if !after.is_empty() {
        return Err(wrong());
    }
    let is_negative = is_negative && before != "0";
    let most = power_of_two(if is_signed { bits - 1 } else { bits });
    let fits = match compared(&before, &most) {
        Ordering::Less => is_signed || !is_negative,
        // The least number has no counterpart.
        Ordering::Equal => is_signed && is_negative,
        Ordering::Greater => false,
    };
    if !fits {
        let sign = if is_signed { "" } else { "U" };
        return Err(format!("it is out of the range of {sign}Int{bits}"));
    }
    Ok(if is_negative { format!("-{before}") } else { before })
}

/// Which of two numbers without leading zeros is the greater.
fn compared(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// As decimal digits.
fn power_of_two(exponent: u16) -> String {
    let mut digits = vec![1_u8];
    for _ in 0..exponent {
        let mut carry = 0;
        for digit in &mut digits {
            let doubled = *digit * 2 + carry;
            *digit = doubled % 10;
            carry = doubled / 10;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// Fractions are rounded, as they are anywhere; whole numbers are not.
fn float(text: &str, is_single: bool) -> Result<String, String> {
    if let "nan" | "inf" | "-inf" = text.to_ascii_lowercase().as_str() {
        return Ok(text.to_ascii_lowercase());
    }
    let wrong = || "it is no number".to_owned();
    let looks = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = text.parse().ok().filter(|_| looks).ok_or_else(wrong)?;
    let (kind, whole) = if is_single { ("Float32", 24) } else { ("Float64", 53) };
    #[allow(clippy::cast_possible_truncation, reason = "what is lost is looked at")]
    let stored = if is_single { f64::from(number as f32) } else { number };
    let (_, before, after) = match digits(text) {
        Some(digits) => digits,
        None if number.is_finite() => (false, "0".to_owned(), "1".to_owned()),
        None => return Err(format!("it is out of the range of {kind}")),
    };
    let is_zero = before == "0" && after.is_empty();
    if !stored.is_finite() || (stored == 0.0 && !is_zero) {
        return Err(format!("it is out of the range of {kind}"));
    }
    // As it is read back: the shortest text that is this float and no other.
    #[allow(clippy::cast_possible_truncation, reason = "it is that float")]
    let shortest = || if is_single { (number as f32).abs().to_string() } else { stored.abs().to_string() };
    let is_exact = || shortest() == before;
    // With an exponent it was a float before.
    let is_whole = after.is_empty() && !text.contains(['e', 'E']);
    if is_whole && compared(&before, &power_of_two(whole)) == Ordering::Greater && !is_exact() {
        return Err(format!("{kind} has not all of its digits"));
    }
    // Its own digits, which ClickHouse rounds, not those of this program.
    let text = text.strip_prefix('+').unwrap_or(text);
    let is_json = serde_json::from_str::<serde_json::Number>(text).is_ok();
    Ok(if is_json { text.to_owned() } else { number.to_string() })
}

fn decimal(text: &str, precision: usize, scale: usize) -> Result<String, String> {
    let (is_negative, before, after) = digits(text).ok_or_else(|| "it is no number".to_owned())?;
    let room = precision.saturating_sub(scale);
    if before != "0" && before.len() > room {
        return Err(format!("it has {} digits before the point, and the column {room}", before.len()));
    }
    if after.len() > scale {
        return Err(format!("it has {} digits after the point, and the column {scale}", after.len()));
    }
    let sign = if is_negative { "-" } else { "" };
    Ok(if after.is_empty() { format!("{sign}{before}") } else { format!("{sign}{before}.{after}") })
}

/// A UUID with its hyphens.
fn uuid(text: &str) -> Option<String> {
    let hex: String = match text.len() {
        36 => {
            let is_apart = |(at, c): (usize, char)| matches!(at, 8 | 13 | 18 | 23) == (c == '-');
            text.char_indices().all(is_apart).then(|| text.replace('-', ""))?
        }
        32 => text.to_owned(),
        _ => return None,
    };
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let parts: Option<Vec<&str>> =
        [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().map(|part| hex.get(part)).collect();
    Some(parts?.join("-").to_ascii_lowercase())
}

/// A date of four digits, two and two.
fn day(text: &str) -> Option<NaiveDate> {
    let part = |range: std::ops::Range<usize>| {
        text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u32>().ok()
    };
    let [.., b'-', _, _, b'-', _, _] = text.as_bytes() else { return None };
    let year = i32::try_from(part(0..4)?).ok()?;
    NaiveDate::from_ymd_opt(year, part(5..7)?, part(8..10)?).filter(|_| text.len() == 10)
}

fn date(text: &str, is_long: bool) -> Result<String, String> {
    let date = day(text).ok_or_else(|| "it is no date such as 2026-12-31".to_owned())?;
    // What Date32 takes beyond that depends on the server's version.
    let (kind, least, most) =
        if is_long { ("Date32", (1900, 1, 1), (2299, 12, 31)) } else { ("Date", (1970, 1, 1), (2149, 6, 6)) };
    let of = |(year, month, day): (i32, u32, u32)| NaiveDate::from_ymd_opt(year, month, day);
    if of(least).is_some_and(|least| date < least) || of(most).is_some_and(|most| date > most) {
        return Err(format!("it is out of the range of {kind}"));
    }
    Ok(text.to_owned())
}

/// A moment in UTC, with as many digits of a second as the column has.
fn time(text: &str, places: Option<u32>, zone: Tz) -> Result<String, String> {
    let moment =
        dates::moment(text, zone).ok_or_else(|| "it is no time such as 2026-12-31T10:00:00Z".to_owned())?;
    let fraction = text.split_once('.').map(|(_, rest)| rest).unwrap_or_default();
    let fraction = fraction.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let digits = fraction.trim_end_matches('0').len();
    let most = places.unwrap_or(0) as usize;
    if digits > most || moment.nanosecond() >= 1_000_000_000 {
        return Err(if digits > most {
            format!("it has {digits} digits of a second, and the column {most}")
        } else {
            "it is a leap second".to_owned()
        });
    }
    let fits = match places {
        None => (0..=i64::from(u32::MAX)).contains(&moment.timestamp()),
        Some(9..) => {
            let nanos = moment.timestamp_nanos_opt();
            nanos.is_some() && in_years(moment)
        }
        Some(_) => in_years(moment),
    };
    if !fits {
        let kind = places.map_or_else(|| "DateTime".to_owned(), |places| format!("DateTime64({places})"));
        return Err(format!("it is out of the range of {kind}"));
    }
    Ok(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// What DateTime64 takes beyond that depends on the server's version.
fn in_years(moment: DateTime<Utc>) -> bool {
    (1900..2300).contains(&moment.year())
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
