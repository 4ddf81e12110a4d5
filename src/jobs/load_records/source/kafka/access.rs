//! How brokers are reached.

use crate::jobs::load_records::file::{Mechanism, Protocol};
use rdkafka::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::time::Duration;

/// The longest message that is loaded, in bytes.
pub(super) const MAX_MESSAGE: usize = 16 << 20;
/// The longest answer that is taken, in bytes: a message and what is around it.
const MAX_ANSWER: usize = MAX_MESSAGE + (8 << 20);
/// The messages that may wait, in KiB.
const QUEUED: &str = "4096";
/// What brokers send at once, in bytes, unless one message is longer.
const FETCHED: &str = "1048576";
/// The messages after which no more are asked for: each takes some hundred bytes besides what it says.
const WAITING: &str = "1000";

/// How brokers are reached. Has secrets, so it is not shown.
#[derive(Clone)]
pub(in crate::jobs::load_records) struct Access {
    /// Where some of them are.
    pub brokers: String,
    /// The group whose offsets are committed.
    pub group: Option<String>,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// What is spoken.
    pub protocol: Protocol,
    /// How, who and the password.
    pub login: Option<(Mechanism, String, SecretString)>,
    /// Who signs the certificates of brokers.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The password of that key.
    pub key_password: Option<SecretString>,
}

impl Access {
    /// What librdkafka is told. (Source: `CONFIGURATION.md` of librdkafka.)
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        let timeout = self.timeout.as_millis();
        for (name, value) in [
            ("bootstrap.servers", self.brokers.as_str()),
            ("client.id", "devrev-batch"),
            // Nothing can be assigned without a name.
            ("group.id", self.group.as_deref().unwrap_or("devrev-batch")),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("allow.auto.create.topics", "false"),
            ("check.crcs", "true"),
            ("queued.max.messages.kbytes", QUEUED),
            ("queued.min.messages", WAITING),
            ("fetch.max.bytes", FETCHED),
            ("fetch.message.max.bytes", "524288"),
            ("fetch.queue.backoff.ms", "10"),
            ("receive.message.max.bytes", &MAX_ANSWER.to_string()),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.connection.setup.timeout.ms", &timeout.clamp(1000, 30_000).to_string()),
            // Bounds how long a commit waits for the group's coordinator.
            ("session.timeout.ms", "6000"),
            ("log.connection.close", "false"),
            (
                "security.protocol",
                match self.protocol {
                    Protocol::Plaintext => "plaintext",
                    Protocol::Ssl => "ssl",
                    Protocol::SaslPlaintext => "sasl_plaintext",
                    Protocol::SaslSsl => "sasl_ssl",
                },
            ),
        ] {
            config.set(name, value);
        }
        if let Some((mechanism, user, password)) = &self.login {
            let mechanism = match mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::Scram256 => "SCRAM-SHA-256",
                Mechanism::Scram512 => "SCRAM-SHA-512",
            };
            config.set("sasl.mechanism", mechanism).set("sasl.username", user.as_str());
            config.set("sasl.password", password.expose_secret());
        }
        if let Some(ca) = &self.ca {
            config.set("ssl.ca.location", ca.to_string_lossy());
        }
        if let Some((certificate, key)) = &self.certificate {
            config.set("ssl.certificate.location", certificate.to_string_lossy());
            config.set("ssl.key.location", key.to_string_lossy());
        }
        if let Some(password) = &self.key_password {
            config.set("ssl.key.password", password.expose_secret());
        }
        config
    }
}
