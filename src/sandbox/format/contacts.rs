//! Contacts in a data file, and what hangs on them.

use super::{ArtifactRef, UserRef, UserState};
use crate::sandbox::merge::{MergeEnds, MergeOptions};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::time::Duration;

/// A contact (rev user).
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Contact {
    pub(in crate::sandbox) number: u32,
    pub(in crate::sandbox) display_name: Option<String>,
    pub(in crate::sandbox) full_name: Option<String>,
    pub(in crate::sandbox) email: Option<String>,
    /// Unique among the contacts that exist.
    pub(in crate::sandbox) external_ref: Option<String>,
    /// Not given: the `external_ref` alone.
    #[serde(default)]
    pub(in crate::sandbox) external_refs: Vec<String>,
    #[serde(default)]
    pub(in crate::sandbox) state: UserState,
    #[serde(default = "verified")]
    pub(in crate::sandbox) is_verified: bool,
    pub(in crate::sandbox) description: Option<String>,
    /// Any names and values. Those of all contacts together are the schema that updates are held against.
    #[serde(default)]
    pub(in crate::sandbox) custom_fields: Map<String, Value>,
    #[serde(default)]
    pub(in crate::sandbox) phone_numbers: Vec<String>,
    /// The name of the customer's organisation.
    pub(in crate::sandbox) rev_org: Option<String>,
    /// The number of the workspace in which the contact's DON is nested, as some tenants do.
    pub(in crate::sandbox) workspace: Option<u32>,
    #[serde(default)]
    pub(in crate::sandbox) artifacts: Box<[ArtifactRef]>,
    pub(in crate::sandbox) created: Option<DateTime<Utc>>,
    pub(in crate::sandbox) modified: Option<DateTime<Utc>>,
}

fn verified() -> bool {
    true
}

/// A ticket. Its stage, severity and dates follow from its number.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Ticket {
    pub(in crate::sandbox) number: u32,
    pub(in crate::sandbox) title: Box<str>,
    pub(in crate::sandbox) body: Option<String>,
    pub(in crate::sandbox) created_by: UserRef,
    #[serde(default)]
    pub(in crate::sandbox) owned_by: Box<[UserRef]>,
    /// Its creator, unless said.
    #[serde(default)]
    pub(in crate::sandbox) reported_by: Option<Box<[UserRef]>>,
    #[serde(default)]
    pub(in crate::sandbox) artifacts: Box<[ArtifactRef]>,
    /// Stock fields, as an update would set them.
    #[serde(default)]
    pub(in crate::sandbox) set: Map<String, Value>,
    #[serde(default)]
    pub(in crate::sandbox) custom_fields: Map<String, Value>,
}

/// A conversation.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Conversation {
    pub(in crate::sandbox) number: u32,
    pub(in crate::sandbox) title: Box<str>,
    #[serde(default)]
    pub(in crate::sandbox) members: Box<[UserRef]>,
}

/// A file. Without `content`, its bytes are made from its number.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Artifact {
    pub(in crate::sandbox) number: u32,
    /// Any text at all.
    pub(in crate::sandbox) name: Box<str>,
    /// In bytes; not beside `content`.
    pub(in crate::sandbox) size: Option<u64>,
    pub(in crate::sandbox) content: Option<Box<str>>,
    /// What the API says; the true size unless given.
    pub(in crate::sandbox) stated_size: Option<u64>,
    #[serde(default = "octets")]
    pub(in crate::sandbox) r#type: Box<str>,
}

fn octets() -> Box<str> {
    "application/octet-stream".into()
}

/// How merges go.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::sandbox) struct Merge {
    /// From the request until the merge takes effect.
    delay_ms: u64,
    /// What becomes of the secondary.
    ends: MergeEnds,
    /// From then on until its external_ref is free.
    ref_delay_ms: u64,
}

impl Default for Merge {
    fn default() -> Self {
        let MergeOptions { delay, ends, ref_delay } = MergeOptions::default();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { delay_ms: millis(delay), ends, ref_delay_ms: millis(ref_delay) }
    }
}

impl From<Merge> for MergeOptions {
    fn from(merge: Merge) -> Self {
        let (delay, ref_delay) =
            (Duration::from_millis(merge.delay_ms), Duration::from_millis(merge.ref_delay_ms));
        Self { delay, ends: merge.ends, ref_delay }
    }
}
