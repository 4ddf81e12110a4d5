//! `load --show`: the first records of a slice, before and after the transform. Nothing is written.

use super::error::LoadError;
use super::fetch::{Fetch, TRANSFORM, Wanted};
use super::options::LoadOptions;
use super::record::Record;
use super::rules::{Broken, Judged, Rules};
use super::slices::Slice;
use super::stage::not_json;
use super::target;
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::report::terminal::result;
use crate::run::signals;
use crate::settings::Settings;
use crate::stop::Stop;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// A record of the source, and what becomes of it.
#[derive(Debug, Default)]
struct Shown {
    before: String,
    /// What the target would get.
    after: Vec<String>,
    /// Why it, or a record that it has become, would not be loaded.
    problems: Vec<String>,
}

/// Shows so many records of the first slice that would be loaded; of the first that was chosen by name.
pub(super) async fn run(
    options: &LoadOptions,
    most: u64,
    settings: &Settings,
    json: bool,
) -> Result<Exit, Failure> {
    let stop = Stop::default();
    signals::listen_quietly(&stop).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;
    options.environment()?;
    if options.reads_devrev()? && !options.sandbox {
        DevRev::has_token(settings)?;
    }
    let sandbox = target::sandbox(options).await?;
    let slices = options.slices(settings, target::address(sandbox.as_ref()), &stop).await?;
    let Some((slice, is_loaded)) = choose(options, slices, settings, &stop).await? else {
        if !json {
            print("there is no slice")?;
        }
        return Ok(Exit::Ok);
    };
    let source = options.source(settings, target::address(sandbox.as_ref()), &stop)?;
    let fetch = Fetch::new(options, Arc::new(source), &stop)?;
    if !json {
        let loaded = if is_loaded { ", which is loaded" } else { "" };
        print(&format!("slice {}{loaded}", slice.name()))?;
    }
    let values = slice.values(&options.job()?.params);
    let (mut rules, mut shown, mut has_failed) = (fetch.rules(&slice), 0, false);
    let mut failure = None;
    let take = |made: super::fetch::Made| {
        let mut records = made.records.into_iter();
        for (before, became) in made.inputs {
            let mut one = Shown { before, ..Shown::default() };
            for record in records.by_ref().take(became) {
                has_failed |= record.as_ref().is_err_and(|(_, broken)| broken.rule == TRANSFORM);
                one.judge(record, &mut rules, fetch.file.takes_json());
            }
            if let Err(problem) = print(&if json { one.json() } else { one.text() }) {
                failure = Some(problem);
                return Ok(Wanted::Enough);
            }
            shown += 1;
            if shown == most {
                return Ok(Wanted::Enough);
            }
        }
        Ok(Wanted::More)
    };
    fetch.stream(&slice, &values, true, take).await.map_err(LoadError::failure)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if shown == 0 && !json {
        print("it has no records")?;
    }
    Ok(if has_failed { Exit::SomeFailed } else { Exit::Ok })
}

/// The slice whose records are shown, and whether it is loaded.
async fn choose(
    options: &LoadOptions,
    slices: Vec<Slice>,
    settings: &Settings,
    stop: &Stop,
) -> Result<Option<(Slice, bool)>, Failure> {
    let known = options.job()?;
    // What is in DevRev is for DevRev to say: every run takes all slices.
    if known.file.target.value.devrev.is_some() {
        return Ok(slices.into_iter().next().map(|slice| (slice, false)));
    }
    let store = options.store(settings.retry)?;
    let ledger = store.ledger(known.file.load_id(), stop).await.map_err(LoadError::failure)?;
    let is_loaded = |slice: &Slice| ledger.get(slice).is_some_and(|entry| !entry.open);
    let has_records = |slice: &Slice| slice.offsets.as_ref().is_none_or(|offsets| offsets.count() > 0);
    let next = slices.iter().position(|slice| !is_loaded(slice) && has_records(slice));
    let next = next.filter(|_| options.only.is_empty());
    Ok(slices.into_iter().nth(next.unwrap_or(0)).map(|slice| {
        let is_loaded = is_loaded(&slice);
        (slice, is_loaded)
    }))
}

impl Shown {
    /// Adds a record that it has become.
    fn judge(&mut self, record: Result<Record, (String, Broken)>, rules: &mut Rules<'_>, as_json: bool) {
        let record = match record {
            Ok(record) => record,
            Err((_, broken)) => return self.problems.push(broken.to_string()),
        };
        match rules.judge(&record) {
            Judged::Outside => {
                self.problems.push("outside the slice: its date is another slice's".to_owned());
            }
            Judged::Broken(broken) => self.problems.push(broken.to_string()),
            Judged::Good if as_json => match not_json(&record) {
                Some(broken) => self.problems.push(broken.to_string()),
                None => self.after.push(record.json()),
            },
            Judged::Good => self.after.push(record.text()),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![String::new(), format!("before   {}", self.before)];
        lines.extend(self.after.iter().map(|after| format!("after    {after}")));
        lines.extend(self.problems.iter().map(|problem| format!("problem  {problem}")));
        if self.after.is_empty() && self.problems.is_empty() {
            lines.push("after    nothing".to_owned());
        }
        lines.join("\n")
    }

    /// A line of JSON: `after` where it becomes records or nothing, `problem` where it or one of them would not be loaded.
    fn json(&self) -> String {
        let quoted = |text: &String| {
            let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
            if is_json { text.clone() } else { Value::from(text.as_str()).to_string() }
        };
        let mut json = format!("{{\"before\":{}", quoted(&self.before));
        if self.problems.is_empty() || !self.after.is_empty() {
            let after: Vec<String> = self.after.iter().map(quoted).collect();
            json.extend([",\"after\":[", &after.join(","), "]"]);
        }
        if !self.problems.is_empty() {
            json.extend([",\"problem\":", &Value::from(self.problems.join("; ")).to_string()]);
        }
        json + "}"
    }
}

fn print(text: &str) -> Result<(), Failure> {
    result(text).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot print the result: {error}")).because(error)
    })
}
