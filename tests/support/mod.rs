//! What the tests share: a folder with a sandbox ([`site`]), the program ([`program`], [`terminal`]), and what it leaves
//! behind ([`run`]), also long ago ([`past`]).
//!
//! - for those who are told about a run: a webhook ([`webhook`]) and a mail server ([`smtp`])
//! - for answers that the sandbox never gives: a server before it ([`front`])
//! - for pages: a browser ([`browser`])
//! - for rows that come from Snowflake and ClickHouse: counterparts ([`fakesnow`], [`clickhouse`]); from PostgreSQL: a server
//!   ([`postgres`]); from Metabase: one that is played
//!   ([`metabase`]); and a service whose answers are written down ([`service`])
//! - for issues: small organisations ([`org`]), and a site that plays one ([`fixture`])
//! - for contacts: small worlds ([`people`]), a site that plays one ([`merging`]), what a journal says of each
//!   pair ([`pairs`]), and what must hold after every run ([`merged`])

pub(crate) mod browser;
#[cfg(feature = "clickhouse")]
pub(crate) mod clickhouse;
#[cfg(feature = "snowflake")]
pub(crate) mod fakesnow;
pub(crate) mod fixture;
pub(crate) mod front;
pub(crate) mod merged;
pub(crate) mod merging;
#[cfg(feature = "sql")]
pub(crate) mod metabase;
pub(crate) mod org;
pub(crate) mod pairs;
pub(crate) mod past;
pub(crate) mod people;
#[cfg(feature = "sql")]
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod run;
pub(crate) mod service;
pub(crate) mod site;
pub(crate) mod smtp;
pub(crate) mod terminal;
pub(crate) mod webhook;

pub(crate) use fixture::Fixture;
pub(crate) use merging::Merging;
pub(crate) use org::Org;
pub(crate) use people::People;
pub(crate) use run::Run;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails. Far more than it takes on a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at something that is awaited.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < DEADLINE, "in vain: waited for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Tells anyone who runs the tests; `cargo test` would show what is merely printed only where a test fails.
pub(crate) fn tell(text: &str) {
    // Nobody is there to be told otherwise.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A file of the demonstration.
pub(crate) fn test_data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test_data").join(name)
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
