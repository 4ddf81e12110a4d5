//! Text with places in it: `${symbol}`, `${slice.start}`, `${env.API_KEY}`.

use super::dates::{begins_a_day, is_midnight};
use super::keys::{Ask, Keys};
use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::Value;
use std::collections::BTreeMap;

/// A text whose places are filled in for each slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A parameter of the job, or of the slice.
    Param(String),
    /// An end of the slice, and how it is written.
    Bound(Bound, Form),
    /// The days of the slice.
    Days,
    /// A variable of the environment: a secret.
    Env(String),
}

/// An end of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Start,
    End,
}

/// How a moment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// A date if it is midnight, else RFC 3339.
    Iso,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// As `date` of a shell writes it.
    Pattern(String),
}

/// What fills places.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// The job's parameters, those of the slice before them.
    pub params: BTreeMap<String, Value>,
    /// The slice's range, the end exclusive.
    pub range: Option<(DateTime<Tz>, DateTime<Tz>)>,
    /// The slice's range of a key, and what a database is asked of it.
    pub keys: Option<(Keys, Ask)>,
}

impl Template {
    /// Takes a text apart. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            // `$${` is `${` itself.
            if let Some(before) = before.strip_suffix('$') {
                push(&mut parts, &format!("{before}${{"));
                rest = after;
                continue;
            }
            push(&mut parts, before);
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("`${{{after}` has no closing brace"))?;
            parts.push(Part::parse(name.trim())?);
            rest = after;
        }
        push(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The text, with a value in each place. `env` looks up a variable of the environment.
    pub(super) fn fill(
        &self,
        values: &Values,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Param(name) => {
                    let value =
                        values.params.get(name).ok_or_else(|| format!("there is no parameter `{name}`"))?;
                    text.push_str(
                        &plain(value)
                            .ok_or_else(|| format!("`{name}` is a list: make slices of it with `each`"))?,
                    );
                }
                Part::Bound(bound, form) => {
                    let (start, end) =
                        values.range.ok_or("`slice.dates` is needed for `${slice.start}` and its kin")?;
                    text.push_str(&form.write(if *bound == Bound::Start { start } else { end }));
                }
                Part::Days => {
                    let (start, end) = values.range.ok_or("`slices.dates` is needed for `${slice.days}`")?;
                    text.push_str(&(end.naive_local() - start.naive_local()).num_days().to_string());
                }
                Part::Env(name) => {
                    text.push_str(
                        &env(name)
                            .filter(|value| !value.is_empty())
                            .ok_or_else(|| format!("the environment variable {name} is not set"))?,
                    );
                }
            }
        }
        Ok(text)
    }

    /// The variables of the environment that it needs.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Env(name) = part { Some(name.as_str()) } else { None })
    }

    /// The parameters that it needs.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| if let Part::Param(name) = part { Some(name.as_str()) } else { None })
    }

    /// Whether it needs a range of dates.
    pub(super) fn needs_dates(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Bound(..) | Part::Days))
    }

    /// The parameter that it is, and nothing else.
    pub(super) fn only_param(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Param(name)] => Some(name),
            _ => None,
        }
    }

    /// The variable of the environment that it is, and nothing else.
    pub(super) fn only_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Env(name)] => Some(name),
            _ => None,
        }
    }

    /// The text with its places numbered from 1, for SQL, where values are bound and never written into the text.
    pub(super) fn places(&self, place: impl Fn(usize) -> String) -> String {
        let (mut text, mut number) = (String::new(), 0);
        for part in &self.0 {
            if let Part::Text(literal) = part {
                text.push_str(literal);
            } else {
                number += 1;
                text.push_str(&place(number));
            }
        }
        text
    }

    /// Which of its places, in order, have a date or a time: an end of the slice, unless it is a number or has a pattern.
    pub(super) fn moments(&self) -> impl Iterator<Item = bool> {
        let places = self.0.iter().filter(|part| !matches!(part, Part::Text(_)));
        places.map(|part| matches!(part, Part::Bound(_, Form::Iso)))
    }

    /// The values of its places, in order. A number is one.
    pub(super) fn bound(&self, values: &Values) -> Result<Vec<Value>, String> {
        let places = self.0.iter().filter(|part| !matches!(part, Part::Text(_)));
        places
            .map(|part| {
                let text = Self(vec![part.clone()]).fill(values, &|_| None)?;
                Ok(match part {
                    Part::Param(name) => values.params.get(name).cloned().unwrap_or_default(),
                    Part::Days | Part::Bound(_, Form::Unix | Form::UnixMs) => {
                        text.parse::<i64>().map_or(Value::String(text), Value::from)
                    }
                    _ => Value::String(text),
                })
            })
            .collect()
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if text.is_empty() {
        return;
    }
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// A parameter in a text; `None` for a list.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
        Value::Null => Some(String::new()),
        other => Some(other.to_string()),
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if let Some(variable) = name.strip_prefix("env.") {
            if !is_name(variable) {
                return Err(format!("`{variable}` is not the name of an environment variable"));
            }
            return Ok(Self::Env(variable.to_owned()));
        }
        if let Some(of_slice) = name.strip_prefix("slice.") {
            if of_slice == "days" {
                return Ok(Self::Days);
            }
            let (bound, form) = match of_slice.split_once([':', '.']) {
                None => (of_slice, Form::Iso),
                Some((bound, "unix")) => (bound, Form::Unix),
                Some((bound, "unix_ms")) => (bound, Form::UnixMs),
                Some((bound, pattern)) if pattern.contains('%') => (bound, Form::pattern(pattern)?),
                Some((_, form)) => {
                    return Err(format!(
                        "`{form}` is not a form of a date: unix, unix_ms or a pattern such as %Y%m%d"
                    ));
                }
            };
            return match bound {
                "start" => Ok(Self::Bound(Bound::Start, form)),
                "end" => Ok(Self::Bound(Bound::End, form)),
                _ => Err(format!("a slice has start, end and days, but not `{of_slice}`")),
            };
        }
        if is_name(name) {
            return Ok(Self::Param(name.to_owned()));
        }
        Err(format!(
            "`${{{name}}}` is neither a parameter, nor slice.start, slice.end or slice.days, nor env.NAME"
        ))
    }
}

impl Form {
    fn pattern(pattern: &str) -> Result<Self, String> {
        use chrono::format::{Item, StrftimeItems};
        if StrftimeItems::new(pattern).any(|item| item == Item::Error) {
            return Err(format!("`{pattern}` is not a pattern of a date, such as %Y-%m-%d"));
        }
        Ok(Self::Pattern(pattern.to_owned()))
    }

    fn write(&self, moment: DateTime<Tz>) -> String {
        match self {
            Self::Iso => iso(moment),
            Self::Unix => moment.timestamp().to_string(),
            Self::UnixMs => moment.timestamp_millis().to_string(),
            Self::Pattern(pattern) => moment.format(pattern).to_string(),
        }
    }
}

/// What the clocks of its zone show, without the zone: a date if a day begins then. In UTC the zone is named, as ever.
pub(super) fn clock(moment: DateTime<Tz>) -> String {
    if begins_a_day(moment) {
        moment.format("%Y-%m-%d").to_string()
    } else if moment.timezone() == Tz::UTC {
        iso(moment)
    } else {
        moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
    }
}

/// A date if it is midnight of its zone, else RFC 3339: also where the clocks show midnight twice, or never.
pub(super) fn iso(moment: DateTime<Tz>) -> String {
    if is_midnight(moment) {
        moment.format("%Y-%m-%d").to_string()
    } else {
        moment.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> Values {
        let day = |text: &str| {
            let moment: DateTime<chrono::Utc> = format!("{text}T00:00:00Z").parse().unwrap();
            moment.with_timezone(&Tz::UTC)
        };
        Values {
            params: BTreeMap::from([
                ("symbol".to_owned(), json!("BTC")),
                ("limit".to_owned(), json!(30)),
                ("symbols".to_owned(), json!(["BTC", "ETH"])),
            ]),
            range: Some((day("2020-01-01"), day("2020-01-31"))),
            ..Values::default()
        }
    }

    fn fill(text: &str) -> Result<String, String> {
        Template::parse(text)?.fill(&values(), &|name| (name == "KEY").then(|| "s3cret".to_owned()))
    }

    #[test]
    fn places_are_filled() {
        for (text, filled) in [
            ("plain", "plain"),
            ("${symbol}-${limit}", "BTC-30"),
            ("${ symbol }", "BTC"),
            ("${slice.start}..${slice.end}", "2020-01-01..2020-01-31"),
            ("${slice.end.unix}", "1580428800"),
            ("${slice.end.unix_ms}", "1580428800000"),
            ("${slice.start:%Y%m%d}/${slice.days}", "20200101/30"),
            ("Apikey ${env.KEY}", "Apikey s3cret"),
            ("$${symbol} costs $5", "${symbol} costs $5"),
        ] {
            assert_eq!(fill(text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("${symbol", "no closing brace"),
            ("${coin}", "no parameter `coin`"),
            ("${symbols}", "is a list"),
            ("${env.OTHER}", "OTHER is not set"),
            ("${slice.middle}", "but not `middle`"),
            ("${slice.start.weekday}", "not a form"),
            ("${slice.start:%!}", "not a pattern"),
            ("${a b}", "neither a parameter"),
            ("${}", "neither a parameter"),
        ] {
            let error = fill(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let dateless = Template::parse("${slice.start}").unwrap().fill(&Values::default(), &|_| None);
        assert!(dateless.unwrap_err().contains("needed"));
    }

    #[test]
    fn values_for_sql_are_bound() {
        let sql = Template::parse(
            "SELECT * FROM t WHERE s = ${symbol} AND d >= ${slice.start} LIMIT ${slice.days}",
        );
        let sql = sql.unwrap();
        assert_eq!(
            sql.places(|place| format!("${place}")),
            "SELECT * FROM t WHERE s = $1 AND d >= $2 LIMIT $3"
        );
        assert_eq!(sql.bound(&values()).unwrap(), [json!("BTC"), json!("2020-01-01"), json!(30)]);
    }
}
