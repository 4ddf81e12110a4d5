//! A job file: what may stand in it, and what is wrong with it, by line and column. Nothing here needs a network.

mod kafka;
mod mistakes;
mod services;
mod sources;
mod spec;
mod targets;

#[cfg(feature = "kafka")]
pub(super) use kafka::{Beginning, Mechanism, Protocol, SecuritySpec, batch_timeout_of, timeout_of};
pub(super) use kafka::{KafkaSpec, VARIABLE};
pub(super) use services::{MetabaseSpec, Named, SnowflakeSpec};
pub(super) use sources::DevRevSourceSpec;
pub(super) use spec::{
    CheckSpec, ClickhouseSpec, DatesSpec, Expect, FieldType, HttpSpec, KeysSpec, Method, NextSpec, RetrySpec,
    RuleSpec, SlicesSpec, SourceSpec, TargetSpec,
};
pub(super) use targets::{ClickhouseTargetSpec, DevRevTargetSpec, FileTargetSpec, Mode, TableSpec};

use super::span::Span;
use super::template::Template;
use crate::exit::{Exit, Failure};
use crate::source::hex;
use chrono_tz::Tz;
use mistakes::Found;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The only version of job files that there is.
const VERSION: u32 = 1;
/// The longest job file, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// The variable that goes to DevRev alone.
const TOKEN: &str = "DEVREV_API_TOKEN";

/// A job file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobFile {
    /// The version of this format: 1
    #[schemars(with = "u32")]
    pub version: Spanned<u32>,
    /// What the job is called; the load's ID unless `load_id` is given
    #[schemars(with = "String")]
    pub job_name: Spanned<String>,
    /// Whose slices the target's ledger has, where that is not the job's name
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub load_id: Option<Spanned<String>>,
    /// Values that `${name}` stands for; `--param name=value` replaces them
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// Where records come from
    #[schemars(with = "SourceSpec")]
    pub source: Spanned<SourceSpec>,
    /// How the load is cut into slices
    #[serde(default)]
    #[schemars(with = "SlicesSpec")]
    pub slices: Option<Spanned<SlicesSpec>>,
    /// The time zone of days, by its IANA name, such as Europe/Berlin [default: UTC]
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub timezone: Option<Spanned<String>>,
    /// A jq filter that makes records of the target from a record of the source
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub transform: Option<Spanned<String>>,
    /// What every record has to keep; one that does not goes to rejected.jsonl
    #[serde(default)]
    #[schemars(with = "Vec<RuleSpec>")]
    pub rules: Vec<Spanned<RuleSpec>>,
    /// Where records go
    #[schemars(with = "TargetSpec")]
    pub target: Spanned<TargetSpec>,
    /// Records that are written together
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    pub batch_size: Option<Spanned<u32>>,
    /// How often and how soon to try again
    #[serde(default)]
    pub retry_policy: Option<RetrySpec>,
    /// What has to be so after the load
    #[serde(default)]
    #[schemars(with = "Vec<CheckSpec>")]
    pub checks: Vec<Spanned<CheckSpec>>,
    /// The most records that a slice may have: a guard
    #[serde(default)]
    pub max_records: Option<u64>,
    /// Keep what the load changes, so that `undo` can take it back; it needs a target of PostgreSQL or SQLite
    #[serde(default)]
    #[schemars(with = "bool")]
    pub undo: Option<Spanned<bool>>,
}

/// A mistake in a job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) span: Span,
    pub(super) text: String,
}

/// A job file that was read, and what it was read from.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) file: JobFile,
    /// Of all that decides what a slice's records are: another digest is another load.
    pub(super) digest: String,
}

impl JobFile {
    /// Reads a file that has this name. All mistakes that can be found without a network are in the error.
    pub(super) fn read(name: &str, text: &str) -> Result<Read, Failure> {
        let options = serde_saphyr::options! { with_snippet: false };
        let mut file: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let text = match error.without_snippet() {
                // Said of a type of ours.
                serde_saphyr::Error::InvalidScalar { ty, location } => {
                    format!("{} at line {}, column {}", expected(ty), location.line(), location.column())
                }
                error => words(&error.to_string()),
            };
            Failure::new(Exit::InvalidInput, format!("{name}: {text}"))
        })?;
        let mistakes = file.mistakes();
        if !mistakes.is_empty() {
            let lines: Vec<String> =
                mistakes.iter().map(|mistake| format!("{name}:{}: {}", mistake.span, mistake.text)).collect();
            return Err(Failure::new(Exit::InvalidInput, lines.join("\n")));
        }
        let digest = file.digest(text);
        // From here on the short form is the long one, which `DATABASE_URL` is the default of.
        let target = &mut file.target.value;
        if let Some(table) = target.table.take() {
            target.postgres = Some(TableSpec { table, ..TableSpec::default() });
        }
        Ok(Read { file, digest })
    }

    /// The JSON Schema of job files, for editors.
    pub(super) fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The load whose slices the target's ledger has.
    pub(super) fn load_id(&self) -> &str {
        self.load_id.as_ref().map_or(&self.job_name.value, |id| &id.value)
    }

    /// The table that records go to.
    pub(super) fn table(&self) -> Option<Cow<'_, TableSpec>> {
        let TargetSpec { sqlite, postgres, clickhouse, .. } = &self.target.value;
        let table = sqlite.as_ref().or(postgres.as_ref()).map(Cow::Borrowed);
        table.or_else(|| clickhouse.as_ref().map(|spec| Cow::Owned(spec.table())))
    }

    /// Whether what a load of it changes is kept.
    pub(super) fn keeps_undo(&self) -> bool {
        self.undo.as_ref().is_some_and(|undo| undo.value)
    }

    /// The zone of its days.
    pub(super) fn zone(&self) -> Tz {
        self.timezone.as_ref().and_then(|name| super::dates::zone(&name.value).ok()).unwrap_or(Tz::UTC)
    }

    /// The file that records go to.
    pub(super) fn file_target(&self) -> Option<&FileTargetSpec> {
        let TargetSpec { csv, jsonl, .. } = &self.target.value;
        csv.as_ref().or(jsonl.as_ref())
    }

    /// Whether the target takes arrays, objects and long numbers as JSON has them; a database gets them as text.
    pub(super) fn takes_json(&self) -> bool {
        self.file_target().is_some() || self.target.value.devrev.is_some()
    }

    /// How records get into it.
    pub(super) fn mode(&self) -> Mode {
        let table = self.table();
        let table = table.as_deref();
        let given = table.and_then(|table| table.mode.as_ref()).map(|mode| mode.value);
        given.unwrap_or(if table.is_some_and(|table| table.key.is_empty()) {
            Mode::Append
        } else {
            Mode::Upsert
        })
    }

    fn digest(&self, text: &str) -> String {
        // As a tree, so that comments and the order of keys are no change. It was parsed before.
        let mut tree: Value = serde_saphyr::from_str(text).unwrap_or_default();
        // What a crash may do says nothing of what records are.
        if let Some(clickhouse) = tree.pointer_mut("/target/clickhouse").and_then(Value::as_object_mut) {
            clickhouse.remove("at_least_once");
        }
        let sliced: BTreeSet<&str> = self
            .slices
            .iter()
            .flat_map(|slices| slices.value.each.values())
            .filter_map(|value| Template::parse(value.as_str()?).ok()?.only_param().map(str::to_owned))
            .filter_map(|name| self.params.get_key_value(&name).map(|(name, _)| name.as_str()))
            .chain(["start_date", "end_date"])
            .collect();
        let params: BTreeMap<&String, &Value> =
            self.params.iter().filter(|(name, _)| !sliced.contains(name.as_str())).collect();
        let mut said = serde_json::json!({
            "source": tree["source"], "transform": tree["transform"], "rules": tree["rules"],
            "target": tree["target"], "params": params,
        });
        // Where there is none, the digest is that of files from before there were zones.
        if self.zone() != Tz::UTC {
            said["timezone"] = self.zone().name().into();
        }
        hex(Sha256::new_with_prefix(said.to_string()))
    }

    /// Whether a date may not name its zone: most columns keep none, and a row whose clock is another zone's would be deleted
    /// with the wrong slice.
    pub(super) fn compares_clocks(&self) -> bool {
        self.mode() == Mode::Replace && self.zone() != Tz::UTC
    }

    /// The HTTP API, also in its short form.
    pub(super) fn http(&self) -> Option<Cow<'_, HttpSpec>> {
        let SourceSpec { http, api_endpoint, rate_limit, .. } = &self.source.value;
        if let Some(http) = http {
            return Some(Cow::Borrowed(http));
        }
        let url = api_endpoint.clone()?;
        let (referenced, defined) = (url.referenced, url.defined);
        let rate = rate_limit.map(|calls| Spanned::new(format!("{calls}/60s"), referenced, defined));
        Some(Cow::Owned(HttpSpec {
            url,
            method: Method::Get,
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
            records: None,
            next: None,
            rate_limit: rate,
        }))
    }

    /// The slices by date, if there are any.
    pub(super) fn dates(&self) -> Option<&DatesSpec> {
        self.slices.as_ref()?.value.dates.as_ref().map(|dates| &dates.value)
    }

    /// The slices by ranges of a key, if there are any.
    pub(super) fn keys(&self) -> Option<&KeysSpec> {
        self.slices.as_ref()?.value.keys.as_ref().map(|keys| &keys.value)
    }

    /// Whether its slices can only be told by asking the source.
    pub(super) fn asks_for_slices(&self) -> bool {
        self.keys().is_some() || self.kafka().is_some()
    }

    /// What filters may call by `$name`: the parameters, those of slices, `$slice`, and `$kafka` where messages are the source.
    pub(super) fn variables(&self) -> Vec<String> {
        let each = self.slices.iter().flat_map(|slices| slices.value.each.keys());
        let own = ["slice"].into_iter().chain(self.kafka().map(|_| VARIABLE)).map(str::to_owned);
        let names: BTreeSet<String> = self.params.keys().chain(each).cloned().chain(own).collect();
        names.into_iter().collect()
    }
}

/// A rate such as `100/60s`.
pub(super) fn rate_of(text: &str) -> Result<crate::net::rate::Rate, String> {
    let wrong = || format!("`{text}` is not a rate such as 100/60s");
    let (calls, period) = text.split_once('/').ok_or_else(wrong)?;
    let calls = calls.trim().parse().map_err(|_| wrong())?;
    let period = humantime::parse_duration(period.trim()).map_err(|_| wrong())?;
    if period < std::time::Duration::from_millis(1) || period > std::time::Duration::from_secs(3600) {
        return Err(format!("`{text}`: the period is from 1ms to 1h"));
    }
    Ok(crate::net::rate::Rate { calls, period })
}

/// What a value should have been, which is of another type.
fn expected(of: &str) -> String {
    match of.as_bytes().first() {
        Some(b'u') => "expected a whole number that is not negative".to_owned(),
        Some(b'i') => "expected a whole number".to_owned(),
        Some(b'f') => "expected a number".to_owned(),
        _ if of == "boolean" => "expected true or false".to_owned(),
        _ => format!("invalid {of}"),
    }
}

/// The words of a text on one line.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_of_earlier_files_is_read() {
        let text = "version: 1\njob_name: crypto_price_backfill\nsource:\n  api_endpoint: https://api.example.com/v2/histoday\n  \
                    rate_limit: 100\ntarget:\n  database: prices\n  table: crypto_prices\nbatch_size: 1000\nretry_policy:\n  \
                    max_retries: 3\n  backoff_factor: 2\n";
        let file = JobFile::read("job.yaml", text).unwrap().file;
        let http = file.http().unwrap();
        assert_eq!(http.url.value, "https://api.example.com/v2/histoday");
        let rate = rate_of(&http.rate_limit.as_ref().unwrap().value).unwrap();
        assert_eq!((rate.calls.get(), rate.period.as_secs()), (100, 60));
    }

    #[test]
    fn comments_and_order_are_no_other_job_and_a_transform_is() {
        let digest = |transform: &str, more: &str| {
            let text = format!(
                "{more}version: 1\njob_name: j\nparams: {{currency: USD, end_date: 2026-01-01}}\nsource: {{csv: {{path: a.csv}}}}\n\
                 transform: '{transform}'\ntarget: {{sqlite: {{path: a.db, table: t}}}}\n"
            );
            JobFile::read("job.yaml", &text).unwrap().digest
        };
        assert_eq!(digest(".", ""), digest(".", "# said otherwise\n"));
        assert_ne!(digest(".", ""), digest(". + {a: 1}", ""));
        let other = |from: &str, to: &str| {
            let text = "version: 1\njob_name: j\nparams: {currency: USD, end_date: 2026-01-01}\nsource: {csv: {path: a.csv}}\ntarget: \
                        {sqlite: {path: a.db, table: t}}\n";
            JobFile::read("job.yaml", &text.replace(from, to)).unwrap().digest
        };
        assert_ne!(other("USD", "EUR"), other("", ""), "a parameter says what records are");
        assert_eq!(other("2026-01-01", "2026-02-01"), other("", ""), "the range is the slices' own");
    }
}
