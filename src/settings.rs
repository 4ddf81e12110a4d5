//! Settings: flags over the environment over the `.env` file over defaults, merged here and nowhere else.
//!
//! Every value is checked, and all that are wrong are told together, each with where it came from. The
//! token is a secret type: it comes from the environment or the `.env` file only, and is never shown.

#[cfg(feature = "clickhouse")]
pub(crate) mod clickhouse;
#[cfg(feature = "sql")]
pub(crate) mod database;
mod dotenv;
pub(crate) mod metabase;
#[cfg(any(feature = "sql", feature = "clickhouse"))]
pub(crate) mod migrate;
mod names;
mod rate;
#[cfg(feature = "snowflake")]
pub(crate) mod snowflake;
pub(crate) mod sources;
mod token;
pub(crate) mod watch;

use crate::cli::Global;
use crate::cli::batch::BatchFlags;
use crate::cli::client::ClientFlags;
use crate::engine::limits::{Limits, MaxErrors};
use crate::exit::{Exit, Failure};
use crate::net;
use crate::net::breaker::BreakerSettings;
use crate::net::rate::Rate;
use crate::net::retry::RetryPolicy;
use dotenv::{DotEnv, dotenv};
use secrecy::SecretString;
use serde_json::{Map, Value};
use sources::{Sources, flag};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use url::Url;
use watch::WatchSettings;

/// The API of DevRev itself.
const DEFAULT_BASE_URL: &str = "https://api.devrev.ai";

/// Whose defaults the rate limit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rates {
    /// 50 calls in 10 s.
    Backfill,
    /// 45 calls in 60 s.
    Merge,
}

/// Resolved settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `ENVIRONMENT`: what the operator calls the place; shown in every prompt.
    pub environment: String,
    /// `DEVREV_API_TOKEN`.
    pub token: Option<SecretString>,
    /// `DEVREV_BASE_URL`: https, or http to this machine.
    pub base_url: Url,
    /// `--rate-limit-calls`, `--rate-limit-period`; `None` for no limit. With `auto` the default, until the server's
    /// headers have told its limit.
    pub rate: Option<Rate>,
    /// `RATE_LIMIT_SHARE`, with `--rate-limit-calls auto` only: the share of the server's limit to use.
    pub rate_share: Option<f64>,
    /// Whether the rate was given rather than the default: only then does it slow a sandbox.
    pub rate_given: bool,
    /// `--max-retries`, `RETRY_BACKOFF`.
    pub retry: RetryPolicy,
    /// `BREAKER_THRESHOLD`, `BREAKER_COOLDOWN`, `BREAKER_PROBES`.
    pub breaker: BreakerSettings,
    /// `--batch-size`: rows.
    pub batch_size: usize,
    /// `--concurrency`: changes in flight.
    pub concurrency: usize,
    /// When a run stops itself.
    pub limits: Limits,
    /// `--max-changes`: changes that one command makes at the most.
    pub max_changes: Option<NonZeroU64>,
    /// `KEEP_INPUT_MAX`: the largest input file of which a run keeps a copy, in bytes.
    pub keep_input_max: u64,
    /// `CACHE_TTL`: how long the group index is believed.
    pub cache_ttl: Duration,
    /// `CREATOR_GROUP_FIELD`.
    pub creator_group_field: String,
    /// `--runs-dir`.
    pub runs_dir: PathBuf,
    /// `--backup-dir`.
    pub backup_dir: PathBuf,
    /// `MERGE_SETTLE_TIMEOUT`: how long a merge that was sent is followed.
    pub settle_timeout: Duration,
    /// `MERGE_POLL_DELAY`: before the first look at what became of a merge; later ones learn from it.
    pub poll_delay: Duration,
    /// Who watches the run, and how.
    pub watch: WatchSettings,
    /// The user's cache folder, if there is one.
    pub cache_dir: Option<PathBuf>,
    /// `--env-file`: part of the command that continues a run.
    pub env_file: Option<PathBuf>,
    /// What was resolved, and from where, without secrets: for `run.json`.
    pub record: Map<String, Value>,
}

/// Variables that a file of the operator's names: of the environment, or of the `.env` file.
#[cfg(feature = "load")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(Option<dotenv::DotEnv>);

#[cfg(feature = "load")]
impl Variables {
    /// Reads the `.env` file, if there is one.
    pub(crate) fn read(env_file: Option<&Path>) -> Result<Self, Failure> {
        dotenv(env_file).map(|dotenv| Self(Some(dotenv)))
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The value of one; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<SecretString> {
        let dotenv = self.0.as_ref()?;
        let value = std::env::var(name).ok().or_else(|| dotenv.values.get(name).cloned());
        value.filter(|value| !value.is_empty()).map(SecretString::from)
    }
}

/// Whether an environment of this name is the real thing.
pub(crate) fn is_production(environment: &str) -> bool {
    ["production", "prod"].iter().any(|name| environment.eq_ignore_ascii_case(name))
}

impl Settings {
    /// Resolves the settings. The error names every value that is wrong.
    pub(crate) fn resolve(global: &Global, batch: &BatchFlags, rates: Rates) -> Result<Self, Failure> {
        let environment =
            |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let settings = Self::from_sources(batch, rates, environment, dotenv(global.env_file.as_deref())?)?;
        Ok(Self { env_file: global.env_file.clone(), ..settings })
    }

    /// Resolves the settings of a command that runs no batch.
    pub(crate) fn for_client(global: &Global, client: &ClientFlags) -> Result<Self, Failure> {
        let batch = BatchFlags { client: client.clone(), ..BatchFlags::default() };
        Self::resolve(global, &batch, Rates::Backfill)
    }

    /// Whether `ENVIRONMENT` says that this is the real thing.
    pub(crate) fn is_production(&self) -> bool {
        is_production(&self.environment)
    }

    /// The rate that a run keeps: in a sandbox of its own, which has no limit, only one that was asked for.
    pub(crate) fn rate_of(&self, sandbox: bool) -> Option<Rate> {
        self.rate.filter(|_| !sandbox || self.rate_given && self.rate_share.is_none())
    }

    /// Where the value of a setting came from: a flag, the environment, the `.env` file or the default.
    pub(crate) fn origin(&self, name: &str) -> &str {
        self.record.get(name).and_then(|entry| entry["from"].as_str()).unwrap_or("default")
    }

    /// What is said where a token is needed and there is none.
    pub(crate) fn no_token() -> Failure {
        let text = "no token: put one into DEVREV_API_TOKEN (in the environment or in .env; .env.sample shows how), \
                    or rehearse with --sandbox";
        Failure::new(Exit::Usage, text)
    }

    fn from_sources(
        batch: &BatchFlags,
        rates: Rates,
        environment: impl Fn(&str) -> Option<String>,
        dotenv: DotEnv,
    ) -> Result<Self, Failure> {
        let mut from = Sources::new(&environment, dotenv);
        let client = &batch.client;
        let token = from.token();
        let environment_name = from.text("ENVIRONMENT", None, "development");
        let base_url = from.parsed("DEVREV_BASE_URL", None, DEFAULT_BASE_URL, base_url);
        let (calls, share) = rate::calls(&mut from, client.rate_limit_calls.as_ref(), rates);
        let period = from.seconds(
            "RATE_LIMIT_PERIOD",
            flag("rate-limit-period", client.rate_limit_period.as_ref()),
            match rates {
                Rates::Backfill => 10.0,
                Rates::Merge => 60.0,
            },
            0.001..=3600.0,
        );
        let retry = from.retries(client);
        let threshold = from.number("BREAKER_THRESHOLD", None, 10, 1..=10_000);
        let cooldown = from.seconds("BREAKER_COOLDOWN", None, 5.0, 0.001..=60.0);
        let probes = from.number("BREAKER_PROBES", None, 6, 1..=1000);
        let batch_size =
            from.number("BATCH_SIZE", flag("batch-size", batch.batch_size.as_ref()), 100, 1..=10_000);
        let concurrency =
            from.number("CONCURRENCY", flag("concurrency", batch.concurrency.as_ref()), 8, 1..=256);
        let limits = limits(&mut from, batch);
        let max_changes =
            from.parsed("MAX_CHANGES", flag("max-changes", batch.max_changes.as_ref()), "", max_changes);
        let keep_input_max = from.parsed("KEEP_INPUT_MAX", None, "1G", size);
        let cache_ttl = from.seconds("CACHE_TTL", None, 3600.0, 0.0..=604_800.0);
        let field = from.parsed("CREATOR_GROUP_FIELD", None, "tnt__creator_group", field_name);
        let runs_dir = from.path("RUNS_DIR", flag("runs-dir", batch.runs_dir.as_ref()), "runs");
        let backup_dir = from.path("BACKUP_DIR", flag("backup-dir", batch.backup_dir.as_ref()), "backups");
        let settle_timeout = from.seconds("MERGE_SETTLE_TIMEOUT", None, 300.0, 0.01..=86_400.0);
        let poll_delay = from.seconds("MERGE_POLL_DELAY", None, 1.0, 0.001..=60.0);
        let watch = watch::resolve(&mut from, &batch.watch, rates);
        let rate_given = from.given("RATE_LIMIT_CALLS") || from.given("RATE_LIMIT_PERIOD");
        let (record, problems) = (from.record, from.problems);
        if !problems.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("invalid settings:\n  {}", problems.join("\n  "))));
        }
        // Every `None` below has left a problem above.
        let incomplete = || Failure::new(Exit::Usage, "invalid settings");
        let calls = calls.ok_or_else(incomplete)?;
        let share = share.ok_or_else(incomplete)?;
        let period = period.ok_or_else(incomplete)?;
        Ok(Self {
            environment: environment_name,
            token,
            base_url: base_url.ok_or_else(incomplete)?,
            rate: calls.or_default(rates).map(|calls| Rate { calls, period }),
            rate_share: (calls == rate::Calls::Auto).then_some(share),
            rate_given,
            retry: retry.ok_or_else(incomplete)?,
            breaker: BreakerSettings {
                threshold: threshold.ok_or_else(incomplete)?,
                cooldown: cooldown.ok_or_else(incomplete)?,
                probes: probes.ok_or_else(incomplete)?,
            },
            batch_size: batch_size.ok_or_else(incomplete)?,
            concurrency: concurrency.ok_or_else(incomplete)?,
            limits: limits.ok_or_else(incomplete)?,
            max_changes: max_changes.ok_or_else(incomplete)?,
            keep_input_max: keep_input_max.ok_or_else(incomplete)?,
            cache_ttl: cache_ttl.ok_or_else(incomplete)?,
            creator_group_field: field.ok_or_else(incomplete)?,
            runs_dir,
            backup_dir,
            settle_timeout: settle_timeout.ok_or_else(incomplete)?,
            poll_delay: poll_delay.ok_or_else(incomplete)?,
            watch: watch.ok_or_else(incomplete)?,
            cache_dir: rate::cache_dir(environment),
            env_file: None,
            record,
        })
    }
}

/// A size in bytes: a whole number, which `K`, `M` or `G` may follow.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (text.get(..at), 1 << 10),
        Some((at, 'M' | 'm')) => (text.get(..at), 1 << 20),
        Some((at, 'G' | 'g')) => (text.get(..at), 1 << 30),
        _ => (Some(text), 1),
    };
    let size = digits.and_then(|digits| digits.parse::<u64>().ok()).and_then(|size| size.checked_mul(unit));
    size.ok_or_else(|| "is not a size such as 0, 500M or 1G".to_owned())
}

/// When a run stops itself.
fn limits(from: &mut Sources<'_>, batch: &BatchFlags) -> Option<Limits> {
    let max_errors = from.parsed("MAX_ERRORS", flag("max-errors", batch.max_errors.as_ref()), "", |text| {
        if text.is_empty() { Ok(None) } else { MaxErrors::from_str(text).map(Some).map_err(str::to_owned) }
    });
    let max_batch_failures = from.number(
        "MAX_BATCH_FAILURES",
        flag("max-batch-failures", batch.max_batch_failures.as_ref()),
        5,
        1..=1_000_000,
    );
    let max_same_failures = from.number(
        "MAX_SAME_FAILURES",
        flag("max-same-failures", batch.max_same_failures.as_ref()),
        20,
        0..=1_000_000,
    );
    Some(Limits {
        max_errors: max_errors?,
        max_batch_failures: max_batch_failures?,
        max_same_failures: max_same_failures?,
    })
}

/// The file that settings are read from if it is there.
pub(crate) fn env_file(global: &Global) -> &Path {
    global.env_file.as_deref().unwrap_or(Path::new(".env"))
}

/// The proxy that the HTTP library takes from the environment for https: the variable, and its value without user info.
pub(crate) fn proxy() -> Option<(&'static str, String)> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = |name| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?));
    names.into_iter().find_map(set).map(|(name, value)| {
        let scheme = value.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
        let host = value.rsplit_once('@').map_or(value.as_str(), |(_, host)| host);
        (name, format!("{scheme}{}", host.trim_start_matches(scheme.as_str())))
    })
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has user info in it: the token belongs into DEVREV_API_TOKEN".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment: a base URL ends with its path".to_owned());
    }
    if net::is_safe(&url) {
        Ok(url)
    } else {
        Err("is neither https nor http to this machine (localhost): the token would be readable on its way"
            .to_owned())
    }
}

fn max_changes(text: &str) -> Result<Option<NonZeroU64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "is not a number of changes of at least 1".to_owned())
}

fn field_name(text: &str) -> Result<String, String> {
    let fits =
        !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("is not the name of a field, such as tnt__creator_group".to_owned())
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
