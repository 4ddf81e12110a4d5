//! Topics of Kafka as a source.

use super::{Found, JobFile, Mode, TargetSpec};
use crate::jobs::load_records::dates::moment;
use crate::jobs::load_records::span::Span;
use crate::jobs::load_records::template::Template;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::time::Duration;

/// Topics of Kafka.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct KafkaSpec {
    /// Where brokers are: host:port, several with commas [default: ${env.KAFKA_BROKERS}]
    #[schemars(with = "Option<String>")]
    pub brokers: Option<Spanned<String>>,
    /// The topics
    #[schemars(with = "Vec<String>")]
    pub topics: Vec<Spanned<String>>,
    /// The consumer group whose offsets show the lag [default: ${env.CONSUMER_GROUP_ID}, or else none]
    #[schemars(with = "Option<String>")]
    pub group: Option<Spanned<String>>,
    /// Where to begin with a partition of which nothing is loaded: earliest, latest, committed (by the group), or a time
    /// [default: earliest]
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// How long to wait for an answer before the run ends, such as 30s [default: 30s]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Spanned<String>>,
    /// How long after its first message a batch of --follow is written at the latest, such as 5s [default: BATCH_TIMEOUT_MS, or else 5s]
    #[schemars(with = "Option<String>")]
    pub batch_timeout: Option<Spanned<String>>,
    /// How long the group waits for a process that says nothing, before others take its partitions [default: 30s]
    #[schemars(with = "Option<String>")]
    pub session_timeout: Option<Spanned<String>>,
    /// Give messages without a value to the transform, as null; otherwise they are counted and left out
    #[schemars(with = "bool")]
    pub tombstones: Option<Spanned<bool>>,
    /// How to log in, and TLS
    #[schemars(with = "Option<SecuritySpec>")]
    pub security: Option<Spanned<SecuritySpec>>,
}

/// How to log in, and TLS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct SecuritySpec {
    /// plaintext, ssl, sasl_plaintext or sasl_ssl [default: sasl_ssl with a user, else ssl]
    pub protocol: Option<Protocol>,
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 [default: SCRAM-SHA-512]
    pub mechanism: Option<Mechanism>,
    /// Who logs in
    #[schemars(with = "Option<String>")]
    pub user: Option<Spanned<String>>,
    /// The password, as ${env.NAME}
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// A file with the certificates of who signs those of brokers [default: the system's]
    #[schemars(with = "Option<String>")]
    pub ca: Option<Spanned<String>>,
    /// A file with the certificate of the client
    #[schemars(with = "Option<String>")]
    pub certificate: Option<Spanned<String>>,
    /// A file with its private key
    #[schemars(with = "Option<String>")]
    pub key: Option<Spanned<String>>,
    /// The password of that file, as ${env.NAME}
    #[schemars(with = "Option<String>")]
    pub key_password: Option<Spanned<String>>,
}

/// What is spoken with brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::jobs::load_records) enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

/// How a user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::jobs::load_records) enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    Scram256,
    #[serde(rename = "SCRAM-SHA-512")]
    Scram512,
}

impl SecuritySpec {
    /// What is spoken, where the file may not say it.
    pub(in crate::jobs::load_records) fn spoken(&self) -> Protocol {
        self.protocol.unwrap_or(if self.user.is_some() { Protocol::SaslSsl } else { Protocol::Ssl })
    }

    /// How a user logs in, where the file may not say it.
    #[cfg(feature = "kafka")]
    pub(in crate::jobs::load_records) fn login(&self) -> Mechanism {
        self.mechanism.unwrap_or(Mechanism::Scram512)
    }

    /// Whether it takes what only a build with OpenSSL has.
    #[cfg(feature = "kafka")]
    pub(in crate::jobs::load_records) fn needs_tls(&self) -> bool {
        self.spoken().is_tls() || (self.user.is_some() && self.login() != Mechanism::Plain)
    }

    fn texts(&self) -> impl Iterator<Item = &Spanned<String>> {
        let Self { user, password, ca, certificate, key, key_password, .. } = self;
        user.iter().chain(password).chain(ca).chain(certificate).chain(key).chain(key_password)
    }
}

impl Protocol {
    fn has_login(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether it is TLS.
    pub(in crate::jobs::load_records) fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// A time such as `30s`, from 1 s to 10 min.
pub(in crate::jobs::load_records) fn timeout_of(text: &str) -> Result<Duration, String> {
    time_from(Duration::from_secs(1), text)
        .ok_or_else(|| format!("`{text}` is not a time from 1s to 10min, such as 30s"))
}

/// A time such as `500ms`, from 10 ms to 10 min.
pub(in crate::jobs::load_records) fn batch_timeout_of(text: &str) -> Result<Duration, String> {
    time_from(Duration::from_millis(10), text)
        .ok_or_else(|| format!("`{text}` is not a time from 10ms to 10min, such as 5s"))
}

fn time_from(least: Duration, text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| (least..=Duration::from_secs(600)).contains(time))
}

impl JobFile {
    /// The topics that records come from.
    pub(in crate::jobs::load_records) fn kafka(&self) -> Option<&KafkaSpec> {
        self.source.value.kafka.as_ref()
    }

    pub(super) fn mistakes_of_kafka(&self, found: &mut Found) {
        let Some(spec) = self.kafka() else { return };
        let KafkaSpec {
            brokers,
            topics,
            group,
            from,
            timeout,
            batch_timeout,
            session_timeout,
            tombstones,
            security,
        } = spec;
        for text in brokers.iter().chain(topics).chain(group).chain(from) {
            self.template(text, found);
        }
        if topics.is_empty() {
            found.at(&self.source, "kafka: topics names none".to_owned());
        }
        for (place, topic) in topics.iter().enumerate() {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let text = topic.value.as_str();
            if !text.contains("${") && (text.is_empty() || text.len() > 249 || !text.chars().all(is_name)) {
                found.at(topic, format!("`{text}` is not the name of a topic"));
            }
            if topics.iter().take(place).any(|other| other.value == *text) {
                found.at(topic, format!("topic `{text}` is named twice"));
            }
        }
        if let Some(from) = from
            && !from.value.contains("${")
            && Beginning::of(&from.value, self).is_none()
        {
            let text = "from is earliest, latest, committed, or a time such as 2026-12-31T08:00:00Z";
            found.at(from, text.to_owned());
        }
        let waits = timeout.iter().chain(session_timeout).map(|wait| (wait, timeout_of(&wait.value)));
        let batches = batch_timeout.iter().map(|wait| (wait, batch_timeout_of(&wait.value)));
        for (wait, read) in waits.chain(batches) {
            if let Err(problem) = read {
                found.at(wait, problem);
            }
        }
        if let Some(given) = tombstones.as_ref().filter(|given| given.value)
            && self.transform.is_none()
        {
            found.at(given, "tombstones: true needs a transform, which makes records of null".to_owned());
        }
        if let Some(security) = security {
            self.mistakes_of_security(security, found);
        }
        self.mistakes_beside_kafka(found);
    }

    fn mistakes_of_security(&self, security: &Spanned<SecuritySpec>, found: &mut Found) {
        let spec = &security.value;
        for text in spec.texts() {
            self.template(text, found);
        }
        for secret in spec.password.iter().chain(&spec.key_password) {
            if Template::parse(&secret.value).is_ok_and(|text| text.only_variable().is_none()) {
                let text = "a password is a secret: write ${env.NAME}, and set NAME in the environment";
                found.at(secret, text.to_owned());
            }
        }
        let protocol = spec.spoken();
        if protocol.has_login() != spec.user.is_some() || spec.user.is_some() != spec.password.is_some() {
            let text = "user and password go together, and with sasl_plaintext or sasl_ssl";
            found.at(security, text.to_owned());
        }
        if spec.mechanism.is_some() && !protocol.has_login() {
            found.at(security, "mechanism goes with a user and a password".to_owned());
        }
        let files = [&spec.ca, &spec.certificate, &spec.key, &spec.key_password];
        if !protocol.is_tls() && files.iter().any(|file| file.is_some()) {
            found.at(security, "ca, certificate and key go with ssl or sasl_ssl".to_owned());
        }
        if spec.certificate.is_some() != spec.key.is_some() {
            found.at(security, "certificate and key go together".to_owned());
        }
    }

    /// What does not go with messages that come for ever.
    fn mistakes_beside_kafka(&self, found: &mut Found) {
        let TargetSpec { sqlite, postgres, database, .. } = &self.target.value;
        if sqlite.is_none() && postgres.is_none() && database.is_none() {
            let text = "a source of kafka needs a target of postgres or sqlite: it keeps the offsets in the transaction that \
                        writes the records";
            found.at(&self.target, text.to_owned());
        }
        let table = self.table();
        if let Some(mode) = table.as_ref().and_then(|table| table.mode.as_ref())
            && mode.value == Mode::Replace
        {
            found.at(
                mode,
                "replace deletes a range, and Kafka has none: use upsert, insert or append".to_owned(),
            );
        }
        if let Some(slices) = &self.slices {
            let text = "a source of kafka has slices of its own: the partitions of its topics";
            found.at(slices, text.to_owned());
        }
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.value) {
            found.at(undo, "undo: true does not go with a source of kafka".to_owned());
        }
        for rule in self.rules.iter().filter(|rule| !rule.value.unique.is_empty()) {
            let text = "unique looks at one slice, and Kafka's never end: give the table a key";
            found.at(rule, text.to_owned());
        }
        for check in self.checks.iter().filter(|check| check.value.sql.is_none()) {
            found.at(check, "a source of kafka has checks of sql alone".to_owned());
        }
        if self.max_records.is_some() {
            let text = "max_records is of a slice, and Kafka's never end".to_owned();
            found.0.push(super::Mistake { span: Span::of(&self.source), text });
        }
        if self.params.contains_key(VARIABLE) {
            found.at(
                &self.source,
                format!("`{VARIABLE}` is what a message is called in filters: name the parameter otherwise"),
            );
        }
    }
}

/// What filters know of a message besides its value: `$kafka`.
pub(in crate::jobs::load_records) const VARIABLE: &str = "kafka";

/// Where to begin with a partition of which nothing is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "who reads it is left out"))]
pub(in crate::jobs::load_records) enum Beginning {
    Earliest,
    Latest,
    /// Where the group has come to.
    Committed,
    /// In milliseconds since 1970.
    Time(i64),
}

impl Beginning {
    /// As a job file says it.
    pub(in crate::jobs::load_records) fn of(text: &str, file: &JobFile) -> Option<Self> {
        Some(match text {
            "earliest" => Self::Earliest,
            "latest" => Self::Latest,
            "committed" => Self::Committed,
            time => Self::Time(moment(time, file.zone())?.timestamp_millis()),
        })
    }
}
