//! Timelines in a data file.

use super::{ArtifactRef, UserRef};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// An object's timeline, oldest entry first.
#[derive(Debug)]
pub(in crate::sandbox) enum Timeline {
    /// `[{"type": "timeline_comment", ...}, ...]`
    Entries(Vec<Entry>),
    /// `{"generated": 250}`: so many comments, made from their place.
    Generated(u32),
}

/// An entry that is written out.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Entry {
    pub(in crate::sandbox) r#type: EntryType,
    pub(in crate::sandbox) created_by: UserRef,
    /// Of a comment.
    pub(in crate::sandbox) body: Option<String>,
    /// Of a comment.
    #[serde(default)]
    pub(in crate::sandbox) artifacts: Box<[ArtifactRef]>,
}

/// `timeline-entry-type` of the API file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sandbox) enum EntryType {
    TimelineComment,
    TimelineChangeEvent,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    generated: u32,
}

impl<'de> Deserialize<'de> for Timeline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

/// Tells the two shapes apart by hand: an untagged enum would not say which member is wrong.
struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Timeline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries, or {\"generated\": N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Timeline, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(entries)).map(Timeline::Entries)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Timeline, A::Error> {
        let Generated { generated } = Generated::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Timeline::Generated(generated))
    }
}
