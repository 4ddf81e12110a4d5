//! Values of fields: as a cell has them, as a request has them, and as DevRev shows them.
//!
//! A value is kept as the request has it, with `null` for none: an empty text and an empty list are none too. Of a list
//! it is the whole list, whatever the shape of the request.

use super::names::Names;
use super::tags;
use crate::devrev::any_object::Members;
use crate::devrev::ids::{Place, Ref, id_text};
use crate::devrev::objects::{Field, Kind, Target};
use crate::jobs::rules::dates;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Number, Value, json};
use std::borrow::Cow;

/// The mark between the elements of a list in a cell.
const BETWEEN: char = ';';

/// The cell that empties a field.
pub(crate) const CLEAR: &str = r"\C";

/// A field's value in an object as DevRev shows it.
pub(crate) fn of(field: &Field, object: &Members) -> Value {
    let shown = if field.is_custom() {
        object.get("custom_fields").and_then(|fields| fields.get(&*field.name))
    } else {
        object.get(&*field.name)
    };
    shown.map_or(Value::Null, |shown| read(&field.kind, shown))
}

/// A value as DevRev shows it, as a request would have it.
fn read(kind: &Kind, shown: &Value) -> Value {
    let plain = match kind {
        Kind::Stage => first(shown, &["name", "stage"]),
        Kind::One(_) | Kind::Embedded(_) | Kind::Choice(_) => first(shown, &["id"]),
        Kind::List(kind, _) => elements(shown).map(|shown| read(kind, shown)).collect(),
        Kind::Tags(_) => elements(shown)
            .map(|shown| match (shown.get("tag"), shown.get("value")) {
                (Some(tag), None | Some(Value::Null)) => json!({"id": first(tag, &["id"])}),
                (Some(tag), Some(value)) => json!({"id": first(tag, &["id"]), "value": value}),
                (None, _) => shown.clone(),
            })
            .collect(),
        _ => shown.clone(),
    };
    match &plain {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Object(members) if members.is_empty() => Value::Null,
        _ => plain,
    }
}

/// The first of these members that an object has, and so on within it; what is no object itself.
fn first(shown: &Value, members: &[&str]) -> Value {
    match shown {
        Value::Object(object) => {
            let found = members.iter().find_map(|member| object.get(*member));
            found.map_or_else(|| shown.clone(), |found| first(found, members))
        }
        other => other.clone(),
    }
}

pub(crate) fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Whether two values mean the same.
pub(crate) fn same(kind: &Kind, one: &Value, other: &Value) -> bool {
    if one == other {
        return true;
    }
    match (kind, one, other) {
        // A flag that is not shown is not set.
        (Kind::Flag, Value::Null, Value::Bool(false)) | (Kind::Flag, Value::Bool(false), Value::Null) => true,
        (Kind::List(..) | Kind::Tags(_), one, other) => {
            same_elements(one, other, |one, other| same_element(kind, one, other))
        }
        (Kind::Number | Kind::Int, Value::Number(one), Value::Number(other)) => {
            // Whole numbers digit for digit: a float cannot tell large ones apart.
            let whole = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
            match (whole(one), whole(other)) {
                (Some(one), Some(other)) => one == other,
                _ => one.as_f64() == other.as_f64(),
            }
        }
        (Kind::Money, one, other) => {
            let amount = |money: &Value| money["amount"].as_str().and_then(digits);
            let currency = |money: &Value| money["currency"].as_str().map(str::to_ascii_uppercase);
            amount(one).is_some() && amount(one) == amount(other) && currency(one) == currency(other)
        }
        (kind, Value::String(one), Value::String(other)) => match kind {
            Kind::One(target) | Kind::Embedded(target) => same_id(*target, one, other),
            Kind::Time | Kind::Date => {
                let time = |text: &str| dates::parse(text);
                time(one).is_some() && time(one) == time(other)
            }
            Kind::RichText { .. } => folded(one) == folded(other),
            _ => false,
        },
        _ => false,
    }
}

/// Markup without what an editor may change: kinds of line ends, and white space at the end of a line or of all.
fn folded(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Whether two lists have the same elements, in whatever order and however often.
fn same_elements(one: &Value, other: &Value, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let within = |some: &Value, all: &Value| {
        elements(some).all(|element| elements(all).any(|other| same(element, other)))
    };
    within(one, other) && within(other, one)
}

/// Whether two elements of a list mean the same. A cell cannot say white space around one.
pub(crate) fn same_element(kind: &Kind, one: &Value, other: &Value) -> bool {
    match (kind, one, other) {
        (Kind::Tags(_), one, other) => {
            let value = |tag: &Value| match tag.get("value") {
                Some(Value::String(text)) => Value::String(text.trim().to_owned()),
                other => other.cloned().unwrap_or_default(),
            };
            named_alike(kind, one, other) && value(one) == value(other)
        }
        (Kind::List(element, _), Value::String(text), Value::String(of_other)) => {
            same(element, one, other) || text.trim() == of_other.trim()
        }
        (Kind::List(element, _), one, other) => same(element, one, other),
        _ => false,
    }
}

/// The same, but a tag is the same whatever its value.
pub(crate) fn named_alike(kind: &Kind, one: &Value, other: &Value) -> bool {
    if !matches!(kind, Kind::Tags(_)) {
        return same_element(kind, one, other);
    }
    match (tags::new_name(one), tags::new_name(other)) {
        (Some(one), Some(other)) => tags::folded(one) == tags::folded(other),
        (None, None) => {
            let id = |tag: &Value| tag["id"].as_str().unwrap_or_default().to_owned();
            same_id(Target::Tag, &id(one), &id(other))
        }
        _ => false,
    }
}

/// Whether two IDs, in whichever form, name one object of this kind.
pub(crate) fn same_id(target: Target, one: &str, other: &str) -> bool {
    let places = Place::of(one).zip(Place::of(other));
    one.eq_ignore_ascii_case(other)
        || (places.is_none_or(|(one, other)| one.agrees(&other))
            && Ref::parse(one, target.types()).is_ok_and(|one| Ref::parse(other, target.types()) == Ok(one)))
}

/// A list with some elements more; one that is there already is replaced.
pub(crate) fn with(kind: &Kind, list: &Value, more: &Value) -> Value {
    let without = without(kind, list, more);
    let all: Vec<Value> = elements(&without).chain(elements(more)).cloned().collect();
    if all.is_empty() { Value::Null } else { all.into() }
}

/// A list with some elements less. A tag goes whatever its value is.
pub(crate) fn without(kind: &Kind, list: &Value, less: &Value) -> Value {
    filtered(list, |one| !elements(less).any(|other| named_alike(kind, one, other)))
}

/// A list with some elements less; a tag with another value stays.
pub(crate) fn without_exactly(kind: &Kind, list: &Value, less: &Value) -> Value {
    filtered(list, |one| !elements(less).any(|other| same_element(kind, one, other)))
}

/// The elements of a list that stay; none if there are none.
pub(crate) fn filtered(list: &Value, stays: impl Fn(&Value) -> bool) -> Value {
    let all: Vec<Value> = elements(list).filter(|one| stays(one)).cloned().collect();
    if all.is_empty() { Value::Null } else { all.into() }
}

/// A value as a line of JSON has it, of which a cell is made that [`parse`] reads back.
pub(crate) fn in_json(kind: &Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Text { .. } | Kind::RichText { .. }, Value::String(text)) => escaped(&text).into(),
        (_, other) => other,
    }
}

/// A value as a cell has it: what [`parse`] reads back.
pub(crate) fn cell(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::List(element, _), Value::Array(list)) => joined(list.iter().map(|value| match value {
            // Only a whole cell may be taken for the mark that empties a field.
            Value::String(text) => text.clone(),
            other => cell(element, other),
        })),
        (Kind::Tags(_), Value::Array(list)) => joined(list.iter().map(|tag| {
            if let Some(name) = tags::new_name(tag) {
                return tags::shown(name);
            }
            let id = tag["id"].as_str().unwrap_or_default();
            match &tag["value"] {
                Value::Null => id.to_owned(),
                Value::String(value) => format!("{id}={value}"),
                other => format!("{id}={other}"),
            }
        })),
        (Kind::Money, money) => {
            let part = |name: &str| money[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("amount"), part("currency"))
        }
        (Kind::Choice(choices), value) => {
            let choice = choices.iter().find(|choice| Some(choice.id) == value.as_i64());
            choice.map_or_else(|| value.to_string(), |choice| choice.label.clone())
        }
        (Kind::Text { .. } | Kind::RichText { .. }, Value::String(text)) => escaped(text),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// A text that would be taken for the mark that empties a field gets a backslash more.
fn escaped(text: &str) -> String {
    match looks_like_clear(text) {
        Some(at) => format!("{}\\{}", &text[..at], &text[at..]),
        None => text.to_owned(),
    }
}

/// A text without the backslash that tells it from the mark that empties a field.
fn unescaped(cell: &str) -> Cow<'_, str> {
    match looks_like_clear(cell) {
        Some(at) => format!("{}{}", &cell[..at], &cell[at + 1..]).into(),
        None => cell.into(),
    }
}

/// Where the backslashes begin in a cell that is nothing but some of them and `C`.
fn looks_like_clear(text: &str) -> Option<usize> {
    let trimmed = text.trim();
    let is_like = trimmed.starts_with('\\') && trimmed.trim_start_matches('\\') == "C";
    is_like.then(|| text.len() - text.trim_start().len())
}

fn joined(elements: impl Iterator<Item = String>) -> String {
    let escape = |element: String| element.replace('\\', r"\\").replace(BETWEEN, r"\;");
    elements.map(escape).collect::<Vec<_>>().join(&BETWEEN.to_string())
}

/// The elements of a list in a cell; empty ones are left out.
fn split(cell: &str) -> Vec<String> {
    let (mut all, mut element, mut characters) = (Vec::new(), String::new(), cell.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => element.push(characters.next().unwrap_or('\\')),
            BETWEEN => all.push(std::mem::take(&mut element)),
            other => element.push(other),
        }
    }
    all.push(element);
    all.retain(|element| !element.trim().is_empty());
    all.iter().map(|element| element.trim().to_owned()).collect()
}

/// The names in a cell for which DevRev has to be asked, each with what it is the name of.
pub(crate) fn names(kind: &Kind, cell: &str) -> Vec<(Target, String)> {
    match kind {
        _ if cell.is_empty() || cell == CLEAR => Vec::new(),
        Kind::One(target) if !is_id(*target, cell) && *target != Target::Any => {
            vec![(*target, cell.to_owned())]
        }
        Kind::List(element, _) => split(cell).iter().flat_map(|cell| names(element, cell)).collect(),
        Kind::Tags(_) => split(cell)
            .iter()
            .filter(|tag| !tag.split_once('=').is_some_and(|(named, _)| is_id(Target::Tag, named.trim())))
            .flat_map(|tag| [Some(tag.as_str()), tag.rsplit_once('=').map(|(name, _)| name)])
            .flatten()
            .filter(|name| !is_id(Target::Tag, name))
            .map(|name| (Target::Tag, name.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

fn is_id(target: Target, cell: &str) -> bool {
    Ref::pasted(cell, target.types()).is_some()
}

/// What a cell says of a field; the error says what is wrong with it. `names` has what the names in it stand for: without
/// it, they are taken to stand for something.
pub(crate) fn parse(kind: &Kind, cell: &str, names: Option<&Names>) -> Result<Value, String> {
    let trimmed = cell.trim();
    match kind {
        Kind::Text { min, max } => text(&unescaped(cell), *min, *max),
        Kind::RichText { max } => text(&unescaped(cell), 0, *max),
        Kind::Int => match trimmed.parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err("not a whole number, such as 42".to_owned()),
        },
        Kind::Number => number(trimmed),
        Kind::Money => {
            let wrong = || "not an amount and a currency, such as `1200.50 EUR`".to_owned();
            let (amount, currency) = trimmed.split_once(' ').ok_or_else(wrong)?;
            let currency = currency.trim();
            let is_currency = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_alphabetic());
            let amount = decimal(amount).filter(|_| is_currency).ok_or_else(wrong)?;
            Ok(json!({"amount": amount, "currency": currency.to_ascii_uppercase()}))
        }
        Kind::Flag => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(true.into()),
            "false" | "no" | "0" => Ok(false.into()),
            _ => Err("neither `true` nor `false`".to_owned()),
        },
        Kind::Time => dates::parse(trimmed)
            .map(|time| time_text(time).into())
            .ok_or_else(|| "not a date or a time, such as 2026-12-01 or 2026-12-01T09:30:00Z".to_owned()),
        Kind::Date => NaiveDate::parse_from_str(trimmed, "%Y-%m-%d")
            .map(|date| date.format("%Y-%m-%d").to_string().into())
            .map_err(|_| "not a date, such as 2026-12-01".to_owned()),
        Kind::Word(words) => one_of(trimmed, words.iter()).map(|word| word.to_owned().into()),
        Kind::Choice(choices) => {
            if let Some(choice) = choices.iter().find(|choice| trimmed.parse() == Ok(choice.id)) {
                return Ok(choice.id.into());
            }
            let label = one_of(trimmed, choices.iter().map(|choice| &*choice.label))?;
            let choice = choices.iter().find(|choice| choice.label == label);
            Ok(choice.map_or(Value::Null, |choice| choice.id.into()))
        }
        Kind::Stage => match names.and_then(Names::stages) {
            Some(stages) => {
                one_of(trimmed, stages.iter().map(String::as_str)).map(|stage| stage.to_owned().into())
            }
            None if trimmed.is_empty() => Err("the name of a stage is needed".to_owned()),
            None => Ok(trimmed.into()),
        },
        Kind::One(target) | Kind::Embedded(target) => id(*target, trimmed, names),
        Kind::List(element, _) => {
            let one = |cell: &String| match &**element {
                // Backslashes are the list's here.
                Kind::Text { min, max } => text(cell, *min, *max),
                Kind::RichText { max } => text(cell, 0, *max),
                other => parse(other, cell, names),
            };
            let all: Result<Vec<Value>, String> = split(cell)
                .iter()
                .map(|cell| one(cell).map_err(|why| format!("`{cell}` is {why}")))
                .collect();
            unique(kind, all?)
        }
        Kind::Tags(_) => tag_list(kind, cell, |cell| tag(cell, names)),
        Kind::Other => Err("a value that no cell can hold".to_owned()),
    }
}

/// What a cell says that a field gets: the same, but where `names` allow it, a tag that does not exist is a new one.
pub(crate) fn wanted(kind: &Kind, cell: &str, names: Option<&Names>) -> Result<Value, String> {
    match (kind, names) {
        (Kind::Tags(_), Some(names)) if names.creates_tags() => tag_list(kind, cell, |cell| {
            tag(cell, Some(names))
                .or_else(|why| if names.lacks_tag(cell) { tags::new(cell) } else { Err(why) })
        }),
        _ => parse(kind, cell, names),
    }
}

fn tag_list(kind: &Kind, cell: &str, tag: impl Fn(&str) -> Result<Value, String>) -> Result<Value, String> {
    let all: Result<Vec<Value>, String> = split(cell).iter().map(|cell| tag(cell)).collect();
    unique(kind, all?)
}

/// The elements, each once; none if there are none. A tag cannot have two values.
fn unique(kind: &Kind, list: Vec<Value>) -> Result<Value, String> {
    let mut all: Vec<Value> = Vec::with_capacity(list.len());
    for value in list {
        match all.iter().find(|other| named_alike(kind, other, &value)) {
            None => all.push(value),
            Some(other) if same_element(kind, other, &value) => {}
            Some(_) => {
                let tag = value["id"].as_str().unwrap_or_default();
                return Err(format!("the tag `{tag}` is there twice, with different values"));
            }
        }
    }
    Ok(if all.is_empty() { Value::Null } else { all.into() })
}

fn text(text: &str, min: usize, max: usize) -> Result<Value, String> {
    match text.chars().count() {
        count if count > max => Err(format!("{count} characters long, and {max} are allowed")),
        count if count < min => Err(format!("{count} characters long, and {min} are needed")),
        _ => Ok(text.into()),
    }
}

/// A decimal number as JSON writes one, without an exponent.
fn decimal(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zero = whole.len() > 1 && whole.starts_with('0');
    (is_digits(whole) && is_digits(fraction) && !has_zero).then_some(text)
}

/// A decimal number, of no more digits than the API keeps. An exponent is taken as DevRev writes it (`1e21`), not as a
/// spreadsheet does that has rounded the number (`1E+21`).
fn number(text: &str) -> Result<Value, String> {
    /// A float tells apart all numbers of 15 digits, and writes none with more than 17.
    const MOST: usize = 17;
    let wrong = || "not a decimal number, such as 12.5".to_owned();
    let mantissa = match text.split_once('e') {
        Some((mantissa, exponent)) => decimal(exponent.trim_start_matches('+'))
            .filter(|text| !text.contains('.'))
            .and(decimal(mantissa)),
        None => decimal(text),
    };
    let mantissa = mantissa.ok_or_else(wrong)?;
    let number: Number = serde_json::from_str(text).map_err(|_| wrong())?;
    let significant = mantissa.trim_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if number.is_f64() && significant > MOST {
        return Err(format!("a number of {significant} digits, and {MOST} are kept"));
    }
    Ok(number.into())
}

/// The digits of an amount, by which two of them are compared: without zeros at either end.
fn digits(amount: &str) -> Option<String> {
    let amount = decimal(amount.trim())?;
    let (sign, amount) = amount.strip_prefix('-').map_or(("", amount), |rest| ("-", rest));
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    Some(format!("{sign}{whole}.{fraction}"))
}

/// A time as requests have it: with milliseconds, or as much more as it says.
fn time_text(time: DateTime<Utc>) -> String {
    let is_finer = !time.timestamp_subsec_nanos().is_multiple_of(1_000_000);
    time.to_rfc3339_opts(if is_finer { SecondsFormat::AutoSi } else { SecondsFormat::Millis }, true)
}

/// The word that is meant, whatever its case.
fn one_of<'a>(text: &str, mut words: impl Iterator<Item = &'a str> + Clone) -> Result<&'a str, String> {
    if let Some(word) = words.clone().find(|word| *word == text) {
        return Ok(word);
    }
    if let Some(word) = words.clone().find(|word| word.to_lowercase() == text.to_lowercase()) {
        return Ok(word);
    }
    let shown: Vec<&str> = words.by_ref().take(20).collect();
    let more = if words.next().is_some() { ", ..." } else { "" };
    Err(format!("none of the allowed values: {}{more}", shown.join(", ")))
}

fn id(target: Target, text: &str, names: Option<&Names>) -> Result<Value, String> {
    if target == Target::Any {
        let is_don = text.starts_with("don:") && Place::of(text).is_some();
        return if is_don { Ok(text.into()) } else { Err("not a DON (don:...)".to_owned()) };
    }
    if is_id(target, text) {
        return Ok(id_text(text, target.types()).into_owned().into());
    }
    match names {
        Some(names) => names.id(target, text).map(Into::into),
        None if text.is_empty() => Err("empty".to_owned()),
        None if target == Target::Artifact => Err("not the ID of an artifact".to_owned()),
        None => Ok(text.into()),
    }
}

/// A tag by its ID or name, and perhaps its value after `=`.
fn tag(text: &str, names: Option<&Names>) -> Result<Value, String> {
    // An ID holds no `=`, a name may.
    if let Some((named, value)) = text.split_once('=')
        && is_id(Target::Tag, named.trim())
    {
        return Ok(json!({"id": id(Target::Tag, named.trim(), names)?, "value": value.trim()}));
    }
    let whole = id(Target::Tag, text, names);
    match (whole, text.rsplit_once('=')) {
        (Ok(id), _) if names.is_some() || !text.contains('=') => Ok(json!({ "id": id })),
        (_, Some((name, value))) => {
            Ok(json!({"id": id(Target::Tag, name.trim(), names)?, "value": value.trim()}))
        }
        (whole, None) => Ok(json!({ "id": whole? })),
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
