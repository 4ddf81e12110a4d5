//! Reads what is needed of a backup's files, and holds no more: IDs, and the small files that this tool made.

use super::super::layout::{Attachment, RelPath};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const BUFFER_BYTES: usize = 64 << 10;

/// `tickets.json`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Works {
    pub(super) works: Vec<Object>,
}

/// The same, in the members that somebody else wants.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorksAs<T> {
    pub(super) works: Vec<T>,
}

/// `conversations.json`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conversations {
    pub(super) conversations: Vec<Object>,
}

/// What is asked of a work or a conversation.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) display_id: String,
    /// `ticket`, for one; conversations have none.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) artifacts: Option<Vec<Artifact>>,
}

/// What is asked of a contact.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Contact {
    pub(super) id: String,
    pub(super) display_id: String,
    pub(super) email: Option<String>,
    pub(super) external_ref: Option<String>,
    pub(super) artifacts: Option<Vec<Artifact>>,
}

/// A reference to a file: an object with an ID, or the ID alone.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Artifact {
    Object { id: String },
    Id(String),
}

impl Artifact {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Object { id } | Self::Id(id) => id,
        }
    }
}

/// `messages.json`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Messages {
    pub(super) object: String,
    pub(super) display_id: String,
    pub(super) entries: Entries,
    pub(super) attachments: Vec<Attachment>,
}

/// A timeline: how many entries it has, and the artifacts that they refer to.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) count: u64,
    pub(super) artifacts: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EachEntry)
    }
}

struct EachEntry;

impl<'de> Visitor<'de> for EachEntry {
    type Value = Entries;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of timeline entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(entry) = seq.next_element::<Entry>()? {
            entries.count += 1;
            let artifacts = entry.artifacts.into_iter().flatten();
            entries.artifacts.extend(artifacts.map(|artifact| artifact.id().to_owned()));
        }
        Ok(entries)
    }
}

/// What is asked of an entry; all else is skipped unread.
#[derive(serde::Deserialize)]
#[serde(expecting = "a timeline entry, which is an object")]
struct Entry {
    artifacts: Option<Vec<Artifact>>,
}

/// Parses a file that holds one JSON value and nothing else. The error says what is wrong with it.
pub(super) fn json<T: DeserializeOwned>(folder: &Path, path: &RelPath) -> Result<T, String> {
    let file = File::open(path.below(folder)).map_err(|error| format!("cannot be read: {error}"))?;
    let reader = BufReader::with_capacity(BUFFER_BYTES, file);
    serde_json::from_reader(reader).map_err(|error| format!("is not what it should be: {error}"))
}
