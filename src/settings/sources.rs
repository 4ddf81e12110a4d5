//! Where values of settings come from: flags over the environment over the `.env` file over defaults; and what is
//! wrong with them, reported together.

use super::dotenv::DotEnv;
use super::token;
use crate::cli::client::ClientFlags;
use crate::exit::{Exit, Failure};
use crate::net;
use crate::net::retry::RetryPolicy;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// A flag's name and what was typed.
pub(super) type Flag<'a> = Option<(&'static str, &'a str)>;

pub(super) fn flag<'a>(name: &'static str, typed: Option<&'a String>) -> Flag<'a> {
    typed.map(|typed| (name, typed.as_str()))
}

/// What a job file says of its source itself, in place of settings.
#[cfg_attr(not(feature = "load"), allow(dead_code, reason = "only loads have job files"))]
#[derive(Debug)]
pub(crate) struct OfJob {
    /// The source, as the file calls it.
    pub(crate) source: &'static str,
    /// Settings, each with what the file calls it and says.
    pub(crate) given: Vec<(&'static str, &'static str, String)>,
}

/// Where values come from, and what was found wrong with them.
pub(super) struct Sources<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// A job file, whose values stand before all others.
    job: Option<&'a OfJob>,
    dotenv: DotEnv,
    pub(super) record: Map<String, Value>,
    pub(super) problems: Vec<String>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(environment: &'a dyn Fn(&str) -> Option<String>, dotenv: DotEnv) -> Self {
        Self { environment, job: None, dotenv, record: Map::new(), problems: Vec::new() }
    }

    /// The same with what a job file says.
    pub(super) fn of(self, job: Option<&'a OfJob>) -> Self {
        Self { job, ..self }
    }

    /// A value and where it came from; `None` for the default. An empty variable counts as not set.
    pub(super) fn find(&self, name: &str, flag: Flag<'_>) -> Option<(String, String)> {
        if let Some((flag, typed)) = flag {
            return Some((typed.to_owned(), format!("--{flag}")));
        }
        let set = |value: String| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        if let Some((field, value)) = self.said(name) {
            return Some((value.to_owned(), field));
        }
        if let Some(value) = (self.environment)(name).and_then(set) {
            return Some((value, format!("{name} in the environment")));
        }
        let value = self.dotenv.values.get(name).cloned().and_then(set)?;
        Some((value, format!("{name} in {}", self.dotenv.path.display())))
    }

    /// What the job file says, and what it calls it.
    pub(super) fn said(&self, name: &str) -> Option<(String, &'a str)> {
        let job = self.job?;
        let (_, field, value) = job.given.iter().find(|(of, ..)| *of == name)?;
        Some((format!("{}.{field}", job.source), value.trim())).filter(|(_, value)| !value.is_empty())
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

    /// A path; `~` and `~/` at its start stand for the home folder, as in a shell.
    pub(super) fn path(&mut self, name: &str, flag: Flag<'_>, default: &str) -> PathBuf {
        let path = self.parsed(name, flag, default, |text| match home_path(text, std::env::home_dir()) {
            Some(path) => Ok(path),
            None => Err("needs a home folder, and there is none: write the whole path".to_owned()),
        });
        let path = path.unwrap_or_default();
        if let Some(entry) = self.record.get_mut(name) {
            entry["value"] = path.to_string_lossy().into();
        }
        path
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

    /// `MAX_RETRIES` and `RETRY_BACKOFF`; none of them where one is wrong, which is a problem then.
    pub(super) fn retries(&mut self, client: &ClientFlags) -> Option<RetryPolicy> {
        let retries = self.number("MAX_RETRIES", flag("max-retries", client.max_retries.as_ref()), 3, 0..=20);
        let backoff = self.seconds("RETRY_BACKOFF", None, 2.0, 0.0..=60.0);
        Some(RetryPolicy { max_retries: retries?, base: backoff? })
    }

    /// What was resolved of a source, under names with this prefix, for `run.json`; or what is missing or wrong.
    pub(super) fn finish(
        mut self,
        source: &str,
        prefix: &str,
        missing: &[&str],
    ) -> Result<Map<String, Value>, Failure> {
        if !missing.is_empty() {
            let (who, places) = match self.job {
                Some(job) => (job.source.to_owned(), "in it, in the environment or in .env"),
                None => (format!("--source {source}"), "in the environment or in .env"),
            };
            let text = format!(
                "{who} needs settings that are not there: {} ({places}; .env.sample shows how)",
                missing.join(", ")
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        if !self.problems.is_empty() {
            let text = format!("invalid settings:\n  {}", self.problems.join("\n  "));
            return Err(Failure::new(Exit::Usage, text));
        }
        // The others are recorded by the settings that every command has.
        self.record.retain(|name, _| name.starts_with(prefix));
        Ok(self.record)
    }

    /// The token of DevRev's API. What is wrong with it is a problem in which its text does not stand.
    pub(super) fn token(&mut self) -> Option<SecretString> {
        let (text, from) = self.find("DEVREV_API_TOKEN", None)?;
        if let Some(why) = token::problem(&text) {
            self.problems.push(format!("{from}: {why}"));
        }
        Some(SecretString::from(text))
    }

    /// A secret: never recorded, and its text is not in a problem either.
    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.find(name, None).map(|(text, _)| SecretString::from(text))
    }
}

/// The URL of a service, if one is given: https, or http to this machine; it may have a path.
pub(super) fn service_url(text: &str) -> Result<Option<Url>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has user info in it: there are settings for that".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment: a base URL ends with its path".to_owned());
    }
    if net::is_safe(&url) {
        Ok(Some(url))
    } else {
        Err("is neither https nor http to this machine (localhost): secrets would be readable on their way"
            .to_owned())
    }
}

/// The path that a text stands for, given the home folder; `None` if it needs one and there is none.
fn home_path(text: &str, home: Option<PathBuf>) -> Option<PathBuf> {
    match text.strip_prefix('~') {
        Some("") => home.filter(|home| !home.as_os_str().is_empty()),
        Some(rest) if rest.starts_with('/') => {
            let home = home.filter(|home| !home.as_os_str().is_empty())?;
            Some(home.join(rest.trim_start_matches('/')))
        }
        _ => Some(PathBuf::from(text)),
    }
}

/// A value as it may be shown: what stands before the `@` of a URL, or after its `?`, may be a secret.
pub(super) fn without_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match (rest.rsplit_once('@'), rest.split_once('?')) {
        // Which of the two is part of a secret cannot be told.
        (Some(_), Some(_)) => format!("{scheme}://..."),
        (Some((_, host)), None) => format!("{scheme}://...@{host}"),
        (None, Some((place, _))) => format!("{scheme}://{place}?..."),
        (None, None) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        for (url, shown) in [
            ("https://u:p@h/a", "https://...@h/a"),
            ("https://h/?password=pass", "https://h/?..."),
            ("https://h/?password=p@ss", "https://..."),
            ("https://u:p?ss@h", "https://..."),
            ("https://h/a", "https://h/a"),
            ("a@b?c", "a@b?c"),
        ] {
            assert_eq!(without_user_info(url), shown);
        }
    }

    #[test]
    fn a_tilde_at_the_start_is_the_home_folder() {
        let home = || Some(PathBuf::from("/home/ana"));
        for (text, path) in [
            ("~/runs", "/home/ana/runs"),
            ("~//runs", "/home/ana/runs"),
            ("~", "/home/ana"),
            ("~/", "/home/ana/"),
            ("~bob/runs", "~bob/runs"),
            ("a/~/b", "a/~/b"),
            ("", ""),
        ] {
            assert_eq!(home_path(text, home()), Some(PathBuf::from(path)), "{text}");
        }
        assert_eq!(home_path("~/runs", None), None);
        assert_eq!(home_path("~/runs", Some(PathBuf::new())), None);
        assert_eq!(home_path("runs", None), Some(PathBuf::from("runs")));
    }
}
