//! Where values of settings come from: flags over the environment over the `.env` file over defaults; and what is
//! wrong with them, told together.

use crate::exit::{Exit, Failure};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A flag's name and what was typed.
pub(super) type Flag<'a> = Option<(&'static str, &'a str)>;

pub(super) fn flag<'a>(name: &'static str, typed: Option<&'a String>) -> Flag<'a> {
    typed.map(|typed| (name, typed.as_str()))
}

/// The `.env` file.
#[derive(Debug, Default)]
pub(super) struct DotEnv {
    pub(super) path: PathBuf,
    pub(super) values: HashMap<String, String>,
}

/// Reads the named file, or `.env` if there is one.
pub(super) fn dotenv(named: Option<&Path>) -> Result<DotEnv, Failure> {
    let path = named.unwrap_or(Path::new(".env"));
    let failure = |text: String| Failure::new(Exit::Usage, format!("{}: {text}", path.display()));
    if named.is_none() && !path.exists() {
        return Ok(DotEnv::default());
    }
    let lines = dotenvy::from_path_iter(path).map_err(|error| failure(format!("cannot be read: {error}")))?;
    let mut values = HashMap::new();
    for line in lines {
        let (name, value) = line.map_err(|error| match error {
            // The line itself is not shown: it may hold the token.
            dotenvy::Error::LineParse(line, _) => {
                let name = line.split('=').next().unwrap_or_default().trim();
                let name: String =
                    name.chars().take(40).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                failure(format!(
                    "the line that begins with `{name}` is not NAME=value (a value with spaces needs quotes)"
                ))
            }
            other => failure(format!("cannot be read: {other}")),
        })?;
        // As in the environment, an earlier line does not overrule a later one.
        values.insert(name, value);
    }
    Ok(DotEnv { path: path.to_owned(), values })
}

/// Where values come from, and what was found wrong with them.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) dotenv: DotEnv,
    pub(super) record: Map<String, Value>,
    pub(super) problems: Vec<String>,
}

impl Sources<'_> {
    /// A value and where it came from; `None` for the default. An empty variable counts as not set.
    pub(super) fn find(&self, name: &str, flag: Flag<'_>) -> Option<(String, String)> {
        if let Some((flag, typed)) = flag {
            return Some((typed.to_owned(), format!("--{flag}")));
        }
        let set = |value: String| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        if let Some(value) = (self.environment)(name).and_then(set) {
            return Some((value, format!("{name} in the environment")));
        }
        let value = self.dotenv.values.get(name).cloned().and_then(set)?;
        Some((value, format!("{name} in {}", self.dotenv.path.display())))
    }

    pub(super) fn given(&self, name: &str) -> bool {
        self.record.get(name).is_some_and(|entry| entry["from"] != "default")
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        flag: Flag<'_>,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, from) =
            self.find(name, flag).unwrap_or_else(|| (default.to_owned(), "default".to_owned()));
        let shown = without_user_info(&text);
        self.record.insert(name.to_owned(), json!({ "value": shown, "from": from }));
        parse(&text).map_err(|why| self.problems.push(format!("{from}: `{shown}` {why}"))).ok()
    }

    pub(super) fn text(&mut self, name: &str, flag: Flag<'_>, default: &str) -> String {
        self.parsed(name, flag, default, |text| Ok(text.to_owned())).unwrap_or_default()
    }

    pub(super) fn number<T>(
        &mut self,
        name: &str,
        flag: Flag<'_>,
        default: u32,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.parsed(name, flag, &default.to_string(), |text| match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("is not a whole number from {} to {}", range.start(), range.end())),
        })
    }

    pub(super) fn seconds(
        &mut self,
        name: &str,
        flag: Flag<'_>,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Option<Duration> {
        self.parsed(name, flag, &default.to_string(), |text| match text.parse::<f64>() {
            Ok(seconds) if range.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
            _ => Err(format!("is not a number of seconds from {} to {}", range.start(), range.end())),
        })
    }

    /// A secret: never recorded, and its text is not in a problem either.
    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.find(name, None).map(|(text, _)| SecretString::from(text))
    }
}

/// A value as it may be shown: what stands before the `@` of a URL may be a secret.
pub(super) fn without_user_info(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => text.to_owned(),
    }
}
