//! The options of a load: what `run.json` keeps of it, so that `resume` does the same.

mod services;

use super::error::LoadError;
use super::file::{
    ClickhouseSpec, ClickhouseTargetSpec, DevRevSourceSpec, JobFile, Read, SourceSpec, TargetSpec,
};
use super::filter::Filter;
use super::query::Query;
use super::slices::{self, Slice};
#[cfg(feature = "clickhouse")]
use super::source::ClickhouseQuery;
use super::source::{DevRevObjects, Files, Http, PostgresQuery, Source, SqliteQuery};
#[cfg(feature = "clickhouse")]
use super::store::ClickhouseStore;
use super::store::{FilesStore, Format, PathSpec, PostgresStore, SqliteStore, Store, Terms};
use super::template::{Template, Values};
use crate::cli::choices::OnGap;
#[cfg(feature = "clickhouse")]
use crate::database::clickhouse::Clickhouse;
use crate::database::postgres::Postgres;
use crate::database::sqlite::Sqlite;
use crate::devrev::objects;
use crate::exit::{Exit, Failure};
use crate::jobs::target::DevRev;
use crate::net::http_reader::{HttpReader, ReaderSettings};
use crate::net::rate::{PaceSettings, Rate};
use crate::net::retry::RetryPolicy;
use crate::settings::{Settings, Variables};
use crate::source::dialect::Dialect;
use crate::source::grammar::Grammar;
use crate::stop::Stop;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// Where a PostgreSQL database is, if the job file does not say.
const DATABASE_URL: &str = "DATABASE_URL";
/// Records that are written together, where the job file does not say.
const BATCH_SIZE: u32 = 1000;
/// The same for ClickHouse, which makes a part of its table of each.
const CLICKHOUSE_BATCH_SIZE: u32 = 100_000;

/// The options of a load.
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadOptions {
    /// The job file's path, for messages.
    pub path: String,
    /// What it says. It has no secrets: those are `${env.NAME}`.
    pub text: String,
    /// The folder that its paths begin from.
    pub folder: PathBuf,
    /// `--param`, `--start-date`, `--end-date`.
    pub params: BTreeMap<String, Value>,
    /// `--only-slice`
    pub only: Vec<String>,
    /// `--shard I/N`
    pub shard: Option<(u32, u32)>,
    /// `--reload`
    pub reload: bool,
    /// `--strict`
    pub strict: bool,
    /// `--allow-empty`
    pub allow_empty: bool,
    /// `--on-gap`
    #[serde(default)]
    pub on_gap: OnGap,
    /// `--follow`
    #[serde(default)]
    pub follow: bool,
    /// `--metrics-prefix`
    #[serde(default)]
    pub metrics_prefix: Option<String>,
    /// `--sandbox`: HTTP requests go to a sandbox in this process.
    pub sandbox: bool,
    /// `--env-file`: where variables are looked up beside the environment.
    pub env_file: Option<PathBuf>,
    /// The file, once it was read.
    #[serde(skip)]
    pub known: Arc<OnceLock<Arc<Known>>>,
}

/// A job file that was read, and its parameters.
#[derive(Debug)]
pub(crate) struct Known {
    /// The file.
    pub(super) file: Arc<JobFile>,
    /// See [`Read::digest`].
    pub(super) digest: String,
    /// The file's, and those that were given.
    pub(super) params: BTreeMap<String, Value>,
}

impl LoadOptions {
    /// The job file. The error names every mistake in it.
    pub(super) fn job(&self) -> Result<Arc<Known>, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(Arc::clone(known));
        }
        let Read { file, digest } = JobFile::read(&self.path, &self.text)?;
        let mut params = file.params.clone();
        params.extend(self.params.clone());
        let known = Arc::new(Known { file: Arc::new(file), digest, params });
        Ok(Arc::clone(self.known.get_or_init(|| known)))
    }

    pub(super) fn usage(&self, problem: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Usage, format!("{}: {problem}", self.path))
    }

    /// All slices that this run takes; those by ranges of a key and those of Kafka are asked for in the source, a sandbox at this
    /// address if there is one.
    pub(super) async fn slices(
        &self,
        settings: &Settings,
        sandbox: Option<Url>,
        stop: &Stop,
    ) -> Result<Vec<Slice>, Failure> {
        let known = self.job()?;
        if self.follow {
            // Which partitions it takes is for the group to say.
            return Ok(vec![Slice::whole()]);
        }
        if let Some(kafka) = known.file.kafka() {
            return self.taken(self.partitions(kafka, settings.retry, stop).await?);
        }
        let uncut = self.uncut_slices()?;
        let Some(keys) = known.file.keys() else { return self.taken(uncut) };
        let loaded = if known.file.target.value.devrev.is_some() {
            Vec::new()
        } else {
            let store = self.store(settings.retry)?;
            store.lines(known.file.load_id(), stop).await.map_err(LoadError::failure)?
        };
        let loaded: Vec<Slice> =
            loaded.iter().filter_map(|line| serde_json::from_str(&line.entry.slice).ok()).collect();
        let source = self.source(settings, sandbox, stop)?;
        let mut slices = Vec::new();
        for slice in &uncut {
            let values = slice.values(&known.params);
            let cut = super::cut::by_keys(keys, slice, &values, &loaded, &source, stop).await;
            slices.extend(cut.map_err(LoadError::failure)?);
        }
        self.taken(slices)
    }

    /// The slices that can be told without asking the source.
    pub(super) fn uncut_slices(&self) -> Result<Vec<Slice>, Failure> {
        let known = self.job()?;
        let files = known.file.source.value.csv.as_ref().or(known.file.source.value.jsonl.as_ref());
        let files = match files {
            None => None,
            Some(files) => {
                let pattern = self.filled(&files.path.value, &Variables::none())?;
                Some(super::source::find(&self.folder.join(pattern))?)
            }
        };
        slices::all(&known.file, &known.params, files).map_err(|problem| self.usage(problem))
    }

    /// Those of `--only-slice`, and of the shard.
    pub(super) fn taken(&self, mut all: Vec<Slice>) -> Result<Vec<Slice>, Failure> {
        if !self.only.is_empty() {
            if let Some(wrong) = self.only.iter().find(|name| !all.iter().any(|slice| slice.name() == **name))
            {
                let names: Vec<String> = all.iter().map(Slice::name).collect();
                let near = super::names::nearest(wrong, &names)
                    .or_else(|| names.first().cloned())
                    .unwrap_or_default();
                return Err(Failure::new(
                    Exit::Usage,
                    format!("--only-slice {wrong}: there is no such slice; one is `{near}`"),
                ));
            }
            all.retain(|slice| self.only.contains(&slice.name()));
        }
        if let Some((part, of)) = self.shard {
            let mut number = 0;
            all.retain(|slice| {
                if slice.offsets.is_none() {
                    return shard_of(slice, of) == part;
                }
                // Partitions are dealt out: there are few, and they are the same next time.
                number = number % of + 1;
                number == part
            });
        }
        Ok(all)
    }

    /// A text of the file with its places filled, but for those of a slice.
    pub(super) fn filled(&self, text: &str, variables: &Variables) -> Result<String, Failure> {
        let values = Values { params: self.job()?.params.clone(), ..Values::default() };
        let env = |name: &str| variables.get(name).map(|value| value.expose_secret().to_owned());
        Template::parse(text).and_then(|text| text.fill(&values, &env)).map_err(|problem| self.usage(problem))
    }

    /// The variables of the environment that the file needs. The error names those that are not set.
    pub(super) fn environment(&self) -> Result<HashMap<String, SecretString>, Failure> {
        let known = self.job()?;
        let variables = Variables::read(self.env_file.as_deref())?;
        let http = known.file.http();
        let texts = http.iter().flat_map(|http| {
            let query = http.query.values().filter_map(|value| value.value.as_str());
            // A sandbox gets no secrets, so none are needed for it.
            let headers = http.headers.values().map(|value| value.value.as_str()).filter(|_| !self.sandbox);
            std::iter::once(http.url.value.as_str()).chain(query).chain(headers)
        });
        let mut texts: Vec<String> = texts.map(str::to_owned).collect();
        texts.extend(http.iter().filter_map(|http| http.body.as_ref()).map(Value::to_string));
        let names: BTreeSet<String> = texts
            .iter()
            .filter_map(|text| Template::parse(text).ok())
            .flat_map(|text| text.variables().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let (found, missing): (Vec<_>, Vec<_>) = names
            .into_iter()
            .map(|name| (variables.get(&name), name))
            .partition(|(value, _)| value.is_some());
        if !missing.is_empty() {
            let names: Vec<String> = missing.into_iter().map(|(_, name)| name).collect();
            let text =
                format!("set {} in the environment or in .env: the job file needs it", names.join(", "));
            return Err(self.usage(text));
        }
        Ok(found.into_iter().filter_map(|(value, name)| Some((name, value?))).collect())
    }

    /// Where records go, and how often to try again where the job file does not say. Connects to nothing.
    pub(super) fn store(&self, retry: RetryPolicy) -> Result<Store, Failure> {
        let known = self.job()?;
        let TargetSpec { sqlite, postgres, clickhouse, database, .. } = &known.file.target.value;
        if let Some(table) = postgres {
            let postgres = self.postgres("target.postgres.url", table.url.as_ref(), retry)?;
            if let Some(database) = database.as_ref().filter(|database| database.value != postgres.database())
            {
                return Err(self.usage(format!(
                    "target.database is `{}`, and {DATABASE_URL} names `{}`: set {DATABASE_URL} to the address of `{0}`",
                    database.value,
                    postgres.database()
                )));
            }
            return Ok(Store::Postgres(Box::new(PostgresStore::new(postgres))));
        }
        if let Some(spec) = clickhouse {
            return self.clickhouse_store(spec, retry);
        }
        if let Some(files) = known.file.file_target() {
            let format = if known.file.target.value.csv.is_some() { Format::Csv } else { Format::Jsonl };
            let path = PathSpec {
                text: &files.path.value,
                is_of_slice: &|name| known.file.is_of_slice(name),
                params: &known.params,
                zone: known.file.zone(),
                folder: &self.folder,
            };
            let files = FilesStore::new(format, &path).map_err(|problem| self.usage(problem))?;
            return Ok(Store::Files(Box::new(files)));
        }
        let Some(path) = sqlite.as_ref().and_then(|table| table.path.as_ref()) else {
            return Err(self.usage("target has one of sqlite, postgres, clickhouse, csv, jsonl and devrev"));
        };
        let path = self.filled(&path.value, &Variables::read(self.env_file.as_deref())?)?;
        Ok(Store::Sqlite(SqliteStore::new(&self.folder.join(path))))
    }

    /// The PostgreSQL database at this address; at `DATABASE_URL` where the file has none.
    fn postgres(
        &self,
        name: &str,
        url: Option<&Spanned<String>>,
        retry: RetryPolicy,
    ) -> Result<Postgres, Failure> {
        let default = format!("${{env.{DATABASE_URL}}}");
        let text = url.map_or(default.as_str(), |url| &url.value);
        let setting = Template::parse(text).ok().and_then(|text| text.only_variable().map(str::to_owned));
        let setting = setting.as_deref().unwrap_or(name);
        let url = self.filled(text, &Variables::read(self.env_file.as_deref())?)?;
        let zone = self.job()?.file.zone();
        Postgres::new(&url, setting, self.retry(retry)?)
            .map(|postgres| postgres.in_zone(zone.name()))
            .map_err(|problem| self.usage(format!("{setting}: {problem}")))
    }

    /// How a run writes.
    pub(super) fn terms(&self, run: &str) -> Result<Terms, Failure> {
        let known = self.job()?;
        let file = &known.file;
        Ok(Terms {
            table: file.table().unwrap_or_default().into_owned(),
            mode: file.mode(),
            date: file.dates().map(|dates| dates.field.clone()),
            zone: file.zone(),
            load: file.load_id().to_owned(),
            digest: known.digest.clone(),
            run: run.to_owned(),
            batch_size: self.batch_size()? as usize,
            reload: self.reload,
            strict: self.strict,
            allow_empty: self.allow_empty,
        })
    }

    /// Records that are written together.
    pub(super) fn batch_size(&self) -> Result<u32, Failure> {
        let file = &self.job()?.file;
        if let Some(size) = &file.batch_size {
            return Ok(size.value);
        }
        // As the service has it that loads from Kafka replace.
        let named = match file.kafka() {
            Some(_) => Variables::read(self.env_file.as_deref())?.get("BATCH_SIZE"),
            None => None,
        };
        let Some(text) = named else {
            return Ok(if file.target.value.clickhouse.is_some() {
                CLICKHOUSE_BATCH_SIZE
            } else {
                BATCH_SIZE
            });
        };
        let size = text.expose_secret().parse().ok().filter(|size| (1..=100_000).contains(size));
        size.ok_or_else(|| self.usage("BATCH_SIZE: a number from 1 to 100000"))
    }

    /// Where records come from; `sandbox` is the address of the one in this process.
    pub(super) fn source(
        &self,
        settings: &Settings,
        sandbox: Option<Url>,
        stop: &Stop,
    ) -> Result<Source, Failure> {
        let known = self.job()?;
        let SourceSpec {
            csv, jsonl, postgres, sqlite, clickhouse, snowflake, metabase, kafka, devrev, ..
        } = &known.file.source.value;
        if let Some(files) = csv.as_ref().or(jsonl.as_ref()) {
            let delimiter = files.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
            let delimiter = delimiter.or(Dialect::default().delimiter);
            return Ok(Source::Files(Files { is_csv: csv.is_some(), delimiter }));
        }
        if let Some(spec) = postgres {
            let database = self.postgres("source.postgres.url", spec.url.as_ref(), settings.retry)?;
            let query = self.query(spec.query.as_ref(), spec.table.as_ref(), Grammar::Postgres)?;
            return Ok(Source::Postgres(Box::new(PostgresQuery::new(database, query))));
        }
        if let Some(spec) = sqlite {
            let path = spec.path.as_ref().map(|path| path.value.as_str()).unwrap_or_default();
            let path = self.folder.join(self.filled(path, &Variables::read(self.env_file.as_deref())?)?);
            let file = Sqlite { path, setting: "source.sqlite.path".to_owned() };
            let query = self.query(spec.query.as_ref(), spec.table.as_ref(), Grammar::Sqlite)?;
            return Ok(Source::Sqlite(SqliteQuery::new(file, query)));
        }
        if let Some(spec) = clickhouse {
            return self.clickhouse(spec, settings.retry);
        }
        if let Some(spec) = snowflake {
            return self.snowflake(spec, settings.retry);
        }
        if let Some(spec) = metabase {
            return self.metabase(spec, settings.retry);
        }
        if let Some(spec) = kafka {
            return self.kafka(spec);
        }
        if let Some(spec) = devrev {
            return self.devrev(spec, settings, sandbox, stop);
        }
        let Some(http) = known.file.http() else {
            let text = "sources are http, csv, jsonl, postgres, sqlite, clickhouse, snowflake, metabase, kafka and devrev";
            return Err(self.usage(text));
        };
        let base = if let Some(sandbox) = &sandbox {
            sandbox.clone()
        } else {
            // Only its origin: the path may have places of a slice.
            let text = http.url.value.split("${slice").next().unwrap_or_default();
            let text = self.filled(text, &Variables::read(self.env_file.as_deref())?)?;
            Url::parse(&text).map_err(|error| self.usage(format!("source.http.url: {error}")))?
        };
        let rate = match &http.rate_limit {
            _ if settings.rate_given => settings.rate,
            Some(rate) => Some(super::file::rate_of(&rate.value).map_err(|problem| self.usage(problem))?),
            None => None,
        };
        let reader = ReaderSettings {
            name: "source",
            base,
            pace: PaceSettings { rate: rate.map(|rate| self.share(rate)), ..PaceSettings::default() },
            retry: self.retry(settings.retry)?,
            breaker: settings.breaker,
            max_body: MAX_ANSWER,
        };
        let reader = HttpReader::new(reader, stop.clone())
            .map_err(|error| self.usage(format!("source.http.url: {error}")))?;
        let http = Http::new(&http, known.file.variables(), reader, sandbox, self.environment()?);
        Ok(Source::Http(Box::new(http.map_err(LoadError::failure)?)))
    }

    /// Whether records come from DevRev.
    pub(super) fn reads_devrev(&self) -> Result<bool, Failure> {
        Ok(self.job()?.file.source.value.devrev.is_some())
    }

    /// Objects of DevRev, or of the sandbox at this address.
    fn devrev(
        &self,
        spec: &DevRevSourceSpec,
        settings: &Settings,
        sandbox: Option<Url>,
        stop: &Stop,
    ) -> Result<Source, Failure> {
        let object = objects::named(&spec.object.value).ok_or_else(|| self.usage("source.devrev.object"))?;
        let since = match &spec.changed_since {
            None => None,
            Some(text) => {
                let filled = self.filled(&text.value, &Variables::none())?;
                let since = super::dates::moment(&filled, self.job()?.file.zone());
                Some(since.ok_or_else(|| {
                    self.usage(format!("changed_since: `{filled}` is not a date such as 2026-12-31"))
                })?)
            }
        };
        let settings = Settings { rate: settings.rate.map(|rate| self.share(rate)), ..settings.clone() };
        let objects = DevRevObjects {
            client: DevRev::client(&settings, sandbox, stop)?,
            object,
            filters: spec.filter.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
            since,
            date: self.job()?.file.dates().map(|dates| dates.field.clone()),
        };
        Ok(Source::DevRev(Box::new(objects)))
    }

    /// A query of the ClickHouse that the file names.
    #[cfg(feature = "clickhouse")]
    fn clickhouse(&self, spec: &ClickhouseSpec, retry: RetryPolicy) -> Result<Source, Failure> {
        let access = [&spec.url, &spec.user, &spec.password, &spec.database];
        let clickhouse = self.clickhouse_at("source.clickhouse.url", access, retry)?;
        let query = self.query(spec.query.as_ref(), spec.table.as_ref(), Grammar::Clickhouse)?;
        Ok(Source::Clickhouse(Box::new(ClickhouseQuery::new(clickhouse, query))))
    }

    /// The ClickHouse that the file names; what it does not say is said by `CLICKHOUSE_...`.
    #[cfg(feature = "clickhouse")]
    fn clickhouse_at(
        &self,
        setting: &str,
        [url, user, password, database]: [&Option<Spanned<String>>; 4],
        retry: RetryPolicy,
    ) -> Result<Clickhouse, Failure> {
        let variables = Variables::read(self.env_file.as_deref())?;
        let part = |given: &Option<Spanned<String>>, name: &str| match given {
            Some(text) => self.filled(&text.value, &variables).map(Some),
            None => Ok(variables.get(name).map(|value| value.expose_secret().to_owned())),
        };
        let url = part(url, "CLICKHOUSE_URL")?.ok_or_else(|| {
            self.usage(format!("set CLICKHOUSE_URL in the environment or in .env, or {setting}"))
        })?;
        let name = |name: Option<String>| name.unwrap_or_else(|| "default".to_owned());
        Ok(Clickhouse {
            url: crate::settings::clickhouse::address(&url)
                .map_err(|problem| self.usage(format!("the address of ClickHouse: {problem}")))?,
            user: name(part(user, "CLICKHOUSE_USER")?),
            password: part(password, "CLICKHOUSE_PASSWORD")?.map(SecretString::from),
            database: name(part(database, "CLICKHOUSE_DATABASE")?),
            retry: self.retry(retry)?,
        })
    }

    /// A table of the ClickHouse that the file names.
    #[cfg(feature = "clickhouse")]
    fn clickhouse_store(&self, spec: &ClickhouseTargetSpec, retry: RetryPolicy) -> Result<Store, Failure> {
        let access = [&spec.url, &spec.user, &spec.password, &spec.database];
        let clickhouse = self.clickhouse_at("target.clickhouse.url", access, retry)?;
        Ok(Store::Clickhouse(Box::new(ClickhouseStore::new(clickhouse, spec.at_least_once))))
    }

    #[cfg(not(feature = "clickhouse"))]
    fn clickhouse_store(&self, _: &ClickhouseTargetSpec, _: RetryPolicy) -> Result<Store, Failure> {
        Err(self.usage("target.clickhouse: this build leaves it out; build it with --features clickhouse"))
    }

    #[cfg(not(feature = "clickhouse"))]
    fn clickhouse(&self, _: &ClickhouseSpec, _: RetryPolicy) -> Result<Source, Failure> {
        Err(self.usage("source.clickhouse: this build leaves it out; build it with --features clickhouse"))
    }

    #[cfg(not(feature = "kafka"))]
    pub(super) fn kafka(&self, _: &super::file::KafkaSpec) -> Result<Source, Failure> {
        Err(self.usage("source.kafka: this build leaves it out; build it with --features kafka"))
    }

    #[cfg(not(feature = "kafka"))]
    #[allow(clippy::unused_async, reason = "in a build with Kafka it asks")]
    async fn partitions(
        &self,
        spec: &super::file::KafkaSpec,
        _: RetryPolicy,
        _: &Stop,
    ) -> Result<Vec<Slice>, Failure> {
        self.kafka(spec).map(|_| Vec::new())
    }

    /// What a database is asked.
    fn query(
        &self,
        query: Option<&Spanned<String>>,
        table: Option<&Spanned<String>>,
        grammar: Grammar,
    ) -> Result<Query, Failure> {
        let query = match (query, table) {
            (Some(query), _) => Query::parse(&query.value, grammar),
            (None, table) => {
                Query::table(table.map(|table| table.value.as_str()).unwrap_or_default(), grammar)
            }
        };
        query.map_err(|problem| self.usage(problem))
    }

    /// The transform.
    pub(super) fn transform(&self) -> Result<Option<Filter>, Failure> {
        let known = self.job()?;
        let transform = known.file.transform.as_ref();
        transform
            .map(|code| {
                Filter::compile(&code.value, &known.file.variables()).map_err(|problem| self.usage(problem))
            })
            .transpose()
    }

    /// The job file's, or else this.
    fn retry(&self, default: RetryPolicy) -> Result<RetryPolicy, Failure> {
        let Some(policy) = self.job()?.file.retry_policy else { return Ok(default) };
        let base = policy.backoff_factor.map(Duration::try_from_secs_f64).transpose();
        let base = base.map_err(|_| self.usage("retry_policy.backoff_factor: not a number of seconds"))?;
        Ok(RetryPolicy {
            max_retries: policy.max_retries.unwrap_or(default.max_retries),
            base: base.unwrap_or(default.base),
        })
    }

    /// A shard's part of a rate.
    fn share(&self, rate: Rate) -> Rate {
        let of = self.shard.map_or(1, |(_, of)| of);
        let calls = rate.calls.get() / of;
        match NonZeroU32::new(calls) {
            Some(calls) => Rate { calls, ..rate },
            // Less than one call in a period: one in a longer one.
            None => Rate { calls: NonZeroU32::MIN, period: rate.period * of / rate.calls.get() },
        }
    }
}

/// The shard of a slice, from 1.
fn shard_of(slice: &Slice, of: u32) -> u32 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(slice.id());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(number % u64::from(of)).unwrap_or_default() + 1
}
