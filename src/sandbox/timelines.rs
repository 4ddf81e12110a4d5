//! Timelines: the entries of works, conversations and contacts. They stay as they are.

use super::content::mixed;
use super::format::{Entry as EntryRecord, EntryType, ObjectRef, Timeline as Record};
use super::works::Resolver;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The timelines that are not empty.
pub(super) struct Timelines(FxHashMap<ObjectRef, Timeline>);

enum Timeline {
    Entries(Vec<Given>),
    /// So many comments, by the user behind the token.
    Generated(u32),
}

struct Given {
    r#type: EntryType,
    creator: u32,
    body: Option<String>,
    artifacts: Box<[u32]>,
}

/// An entry of a timeline.
pub(super) struct Entry<'a> {
    /// Its place in the timeline, from 1.
    pub(super) place: u32,
    pub(super) r#type: EntryType,
    /// `None`: the user behind the token.
    pub(super) creator: Option<u32>,
    pub(super) body: Option<Cow<'a, str>>,
    pub(super) artifacts: &'a [u32],
    /// What its ID ends in.
    pub(super) code: String,
}

impl Timelines {
    /// Takes a data file's timelines over; an error says which reference leads nowhere.
    pub(super) fn build(
        records: BTreeMap<ObjectRef, Record>,
        resolver: &Resolver<'_>,
        there: impl Fn(ObjectRef) -> bool,
    ) -> Result<Self, String> {
        let mut timelines = FxHashMap::default();
        for (object, record) in records {
            if !there(object) {
                return Err(format!("timelines: there is no {object}"));
            }
            let timeline = match record {
                Record::Generated(count) => Timeline::Generated(count),
                Record::Entries(entries) => Timeline::Entries(
                    entries
                        .into_iter()
                        .map(|entry| given(object, entry, resolver))
                        .collect::<Result<_, _>>()?,
                ),
            };
            timelines.insert(object, timeline);
        }
        Ok(Self(timelines))
    }

    /// The first entries after a place that pass, at most `most`.
    pub(super) fn entries(
        &self,
        object: ObjectRef,
        after: u32,
        most: usize,
        passes: &dyn Fn(&Entry<'_>) -> bool,
    ) -> Vec<Entry<'_>> {
        let count = match self.0.get(&object) {
            None => 0,
            Some(Timeline::Generated(count)) => *count,
            Some(Timeline::Entries(entries)) => u32::try_from(entries.len()).unwrap_or(u32::MAX),
        };
        let places = after.saturating_add(1)..=count;
        places
            .filter_map(|place| self.entry(object, place))
            .filter(|entry| passes(entry))
            .take(most)
            .collect()
    }

    fn entry(&self, object: ObjectRef, place: u32) -> Option<Entry<'_>> {
        let code = mixed(u64::from(object.number) << 8 | object.object as u64, u64::from(place));
        let code = format!("{code:016x}");
        Some(match self.0.get(&object)? {
            Timeline::Generated(_) => Entry {
                place,
                r#type: EntryType::TimelineComment,
                creator: None,
                body: Some(format!("Comment {place} on {object}").into()),
                artifacts: &[],
                code,
            },
            Timeline::Entries(entries) => {
                let entry = entries.get(place as usize - 1)?;
                Entry {
                    place,
                    r#type: entry.r#type,
                    creator: Some(entry.creator),
                    body: entry.body.as_deref().map(Cow::Borrowed),
                    artifacts: &entry.artifacts,
                    code,
                }
            }
        })
    }
}

fn given(of: ObjectRef, record: EntryRecord, resolver: &Resolver<'_>) -> Result<Given, String> {
    let EntryRecord { r#type, created_by, body, artifacts } = record;
    let of = format!("timelines: {of}");
    if r#type == EntryType::TimelineChangeEvent && !(body.is_none() && artifacts.is_empty()) {
        return Err(format!("{of}: a timeline_change_event has neither body nor artifacts"));
    }
    resolver.artifacts(&of, &artifacts)?;
    Ok(Given { r#type, creator: resolver.user(&of, "created_by", created_by)?, body, artifacts })
}
