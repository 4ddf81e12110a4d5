//! The topics of a job: which they are, how their brokers are reached, and what there is to load of them.

use super::error::LoadError;
use super::file::{Beginning, KafkaSpec, Protocol, SecuritySpec, batch_timeout_of, timeout_of};
use super::offsets::Offsets;
use super::options::LoadOptions;
use super::positions::{Partition, Position};
use super::slices::Slice;
use super::source::Source;
use super::source::kafka::{Access, Service, Topics};
use super::store::Store;
use crate::cli::choices::OnGap;
use crate::exit::Failure;
use crate::net::retry::RetryPolicy;
use crate::report::units::counted;
use crate::settings::Variables;
use crate::stop::Stop;
use secrecy::{ExposeSecret, SecretString};
use serde_saphyr::Spanned;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for an answer, where the job file does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long after its first message a batch is written at the latest, where neither the job file nor the environment says it.
const BATCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the group waits for a process that says nothing, where the job file does not say.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

impl LoadOptions {
    /// The topics. Connects to nothing.
    pub(super) fn kafka(&self, spec: &KafkaSpec) -> Result<Source, Failure> {
        self.topics(spec).map(|topics| Source::Kafka(Box::new(topics)))
    }

    fn topics(&self, spec: &KafkaSpec) -> Result<Topics, Failure> {
        let known = self.job()?;
        let filled = |text: &Spanned<String>| self.filled(&text.value, &Variables::none());
        let topics = spec.topics.iter().map(filled).collect::<Result<Vec<_>, _>>()?;
        let from = match &spec.from {
            None => Beginning::Earliest,
            Some(from) => {
                let text = filled(from)?;
                Beginning::of(&text, &known.file).ok_or_else(|| {
                    self.usage(format!(
                        "source.kafka.from: `{text}` is neither earliest, latest, committed nor a time"
                    ))
                })?
            }
        };
        let access = self.access(spec)?;
        let service = self.follow.then(|| self.service(spec, &access)).transpose()?;
        Ok(Topics::new(access, topics, from, self.on_gap == OnGap::Continue, service))
    }

    /// How topics are followed.
    fn service(&self, spec: &KafkaSpec, access: &Access) -> Result<Service, Failure> {
        if access.group.is_none() {
            return Err(self.usage(
                "--follow takes the partitions that a consumer group gives it: set CONSUMER_GROUP_ID in the environment or in .env, \
                 or source.kafka.group",
            ));
        }
        let batch_timeout = match &spec.batch_timeout {
            Some(timeout) => batch_timeout_of(&timeout.value).map_err(|problem| self.usage(problem))?,
            None => match Variables::read(self.env_file.as_deref())?.get("BATCH_TIMEOUT_MS") {
                None => BATCH_TIMEOUT,
                Some(millis) => batch_timeout_of(&format!("{}ms", millis.expose_secret())).map_err(|_| {
                    self.usage("BATCH_TIMEOUT_MS: a number of milliseconds from 10 to 600000")
                })?,
            },
        };
        let session_timeout = match &spec.session_timeout {
            None => SESSION_TIMEOUT,
            Some(timeout) => timeout_of(&timeout.value).map_err(|problem| self.usage(problem))?,
        };
        let batch = self.batch_size()? as usize;
        Ok(Service::new(batch, batch_timeout, session_timeout, self.metrics_prefix.clone()))
    }

    fn access(&self, spec: &KafkaSpec) -> Result<Access, Failure> {
        let variables = Variables::read(self.env_file.as_deref())?;
        let text = |text: &Spanned<String>| self.filled(&text.value, &variables);
        let named = |given: Option<&Spanned<String>>, name: &str| match given {
            Some(given) => text(given).map(Some),
            None => Ok(variables.get(name).map(|value| value.expose_secret().to_owned())),
        };
        let brokers = named(spec.brokers.as_ref(), "KAFKA_BROKERS")?.ok_or_else(|| {
            self.usage("set KAFKA_BROKERS in the environment or in .env, or source.kafka.brokers")
        })?;
        // Shown in messages, so nothing else may be in it.
        let is_list =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | ',' | '-' | '_' | '[' | ']');
        if !brokers.chars().all(is_list) {
            return Err(self.usage("the brokers of Kafka are host:port, several with commas"));
        }
        let security = spec.security.as_ref().map(|security| &security.value);
        let protocol = security.map_or(Protocol::Plaintext, SecuritySpec::spoken);
        if cfg!(not(feature = "kafka-tls")) && security.is_some_and(SecuritySpec::needs_tls) {
            return Err(self.usage(
                "source.kafka.security: this build leaves TLS and SCRAM out; build it with --features kafka-tls",
            ));
        }
        let file = |given: fn(&SecuritySpec) -> Option<&Spanned<String>>| {
            let given = security.and_then(given).map(text).transpose();
            given.map(|path| path.map(|path| self.folder.join(path)))
        };
        let secret = |given: fn(&SecuritySpec) -> Option<&Spanned<String>>| {
            let given = security.and_then(given).map(text).transpose();
            given.map(|value| value.map(SecretString::from))
        };
        let user = security.and_then(|spec| spec.user.as_ref()).map(text).transpose()?;
        let password = secret(|spec| spec.password.as_ref())?;
        let mechanism = security.map(SecuritySpec::login);
        let (certificate, key): (Option<PathBuf>, Option<PathBuf>) =
            (file(|spec| spec.certificate.as_ref())?, file(|spec| spec.key.as_ref())?);
        Ok(Access {
            brokers,
            group: named(spec.group.as_ref(), "CONSUMER_GROUP_ID")?,
            timeout: match &spec.timeout {
                None => TIMEOUT,
                Some(timeout) => timeout_of(&timeout.value).map_err(|problem| self.usage(problem))?,
            },
            protocol,
            login: mechanism
                .zip(user)
                .zip(password)
                .map(|((mechanism, user), password)| (mechanism, user, password)),
            ca: file(|spec| spec.ca.as_ref())?,
            certificate: certificate.zip(key),
            key_password: secret(|spec| spec.key_password.as_ref())?,
        })
    }

    /// How far the load is, by partition.
    pub(super) async fn known_positions(
        &self,
        store: &Store,
        stop: &Stop,
    ) -> Result<HashMap<Partition, Position>, Failure> {
        let known = self.job()?;
        if known.file.kafka().is_none() {
            return Ok(HashMap::new());
        }
        let positions = store.positions(known.file.load_id(), stop).await.map_err(LoadError::failure)?;
        Ok(positions.into_iter().map(|position| (position.of.clone(), position)).collect())
    }

    /// What there is to load, for the question.
    pub(super) async fn messages(
        &self,
        store: &Store,
        slices: &[Slice],
        stop: &Stop,
    ) -> Result<Vec<String>, Failure> {
        let positions = self.known_positions(store, stop).await?;
        let of_run: Vec<&Offsets> = slices.iter().filter_map(|slice| slice.offsets.as_ref()).collect();
        let left = |offsets: &&&Offsets| {
            let next = positions.get(&Partition::of(offsets)).map_or(offsets.from, |position| position.next);
            Offsets { from: next.max(offsets.from), ..(**offsets).clone() }.count()
        };
        let lag: u64 = of_run.iter().map(|offsets| left(&offsets)).sum();
        let behind = of_run.iter().filter(|offsets| left(offsets) > 0).count();
        let mut lines = vec![format!(
            "lag           {} in {behind} of {}",
            counted(lag, "message"),
            counted(of_run.len() as u64, "partition")
        )];
        let digest = &self.job()?.digest;
        if let Some(other) = positions.values().find(|position| position.digest != *digest) {
            lines.push(format!(
                "changed       the job file says something else than when run {} loaded: that holds from here on",
                other.run
            ));
        }
        Ok(lines)
    }

    /// A slice for each partition: from where the load is, to where the partition ends now.
    pub(super) async fn partitions(
        &self,
        spec: &KafkaSpec,
        retry: RetryPolicy,
        stop: &Stop,
    ) -> Result<Vec<Slice>, Failure> {
        let topics = self.topics(spec)?;
        let known = self.known_positions(&self.store(retry)?, stop).await?;
        let found = topics.look(stop).await.map_err(LoadError::failure)?;
        let mut slices = Vec::with_capacity(found.len());
        for found in found {
            let position = known.get(&found.of);
            if let Some(position) = position {
                topics.judge(&found, position.next).map_err(LoadError::failure)?;
            }
            let from = position.map_or(found.from, |position| position.next);
            let Partition { cluster, topic, partition } = found.of;
            let offsets = Offsets { cluster, topic, partition, from, to: found.high };
            slices.push(Slice { offsets: Some(offsets), ..Slice::whole() });
        }
        Ok(slices)
    }
}
