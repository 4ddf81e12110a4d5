//! What a merge would take, for a dry run: exactly for the first pairs, whose timelines are read, and by their
//! averages for the others.

use super::change::{Found, Preview};
use crate::devrev::artifacts::ArtifactSummary;
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::timeline::TimelineEntriesList;
use crate::net::error::ApiError;
use std::collections::BTreeMap;

/// Timelines that a dry run reads in all: more would take it as long as the run itself.
const MOST_TIMELINES: u64 = 200;
/// Calls of a merge beside those for its timelines and files: the looks before and after it are shared with
/// other pairs.
const CALLS: u64 = 4;

/// What timelines come to.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    timelines: u64,
    pages: u64,
    entries: u64,
    attachments: u64,
    bytes: u64,
}

/// Looks into timelines until it has seen enough.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    seen: Sums,
}

impl Sampler {
    /// What the merge of these contacts would take. Fails when a timeline cannot be read.
    pub(crate) async fn preview(&mut self, client: &ReadOnly, found: &Found) -> Result<Preview, ApiError> {
        let mut objects: BTreeMap<&str, u64> = BTreeMap::new();
        let mut known = Sums::default();
        for kept in [&found.primary, &found.secondary] {
            known.bytes += kept.contact.raw.get().len() as u64;
            let mut files = kept.contact.read.artifacts.iter().collect::<Vec<_>>();
            for work in &kept.belongings.works {
                *objects.entry(&work.read.id).or_default() += 1;
                known.bytes += work.raw.get().len() as u64;
                files.extend(&work.read.artifacts);
            }
            for conversation in &kept.belongings.conversations {
                *objects.entry(&conversation.read.id).or_default() += 1;
                known.bytes += conversation.raw.get().len() as u64;
            }
            known.attachments += files.len() as u64;
            known.bytes = known.bytes.saturating_add(total(files));
        }
        let timelines: u64 = objects.values().sum();
        let estimated = self.seen.timelines + timelines > MOST_TIMELINES && self.seen.timelines > 0;
        let read = if estimated {
            self.seen.times(timelines)
        } else {
            let mut read = Sums::default();
            for (object, times) in objects {
                // What both contacts have is read once, and kept twice.
                let one = timeline(client, object).await?;
                read.add(Sums { pages: one.pages, ..one.times(times) });
            }
            self.seen.add(read);
            read
        };
        known.add(read);
        // One call for each file: the other goes to another host.
        let calls = CALLS + known.pages + known.attachments;
        Ok(Preview {
            estimated,
            timelines,
            entries: known.entries,
            attachments: known.attachments,
            bytes: known.bytes,
            calls,
        })
    }
}

/// Reads one timeline and keeps nothing of it.
async fn timeline(client: &ReadOnly, object: &str) -> Result<Sums, ApiError> {
    let mut sums = Sums { timelines: 1, ..Sums::default() };
    let mut pages = Pages::new(TimelineEntriesList::of(object));
    while let Some(page) = pages.next(client).await? {
        sums.pages += 1;
        for entry in page {
            sums.entries += 1;
            sums.bytes += entry.raw.get().len() as u64;
            sums.attachments += entry.read.artifacts.len() as u64;
            sums.bytes = sums.bytes.saturating_add(total(&entry.read.artifacts));
        }
    }
    Ok(sums)
}

/// Bytes of files, as far as DevRev says.
fn total<'a>(files: impl IntoIterator<Item = &'a ArtifactSummary>) -> u64 {
    files.into_iter().filter_map(ArtifactSummary::size).fold(0, u64::saturating_add)
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.timelines += other.timelines;
        self.pages += other.pages;
        self.entries += other.entries;
        self.attachments += other.attachments;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// What so many timelines of this average come to.
    fn times(self, timelines: u64) -> Self {
        let share = |sum: u64| {
            let product = u128::from(sum) * u128::from(timelines) / u128::from(self.timelines.max(1));
            u64::try_from(product).unwrap_or(u64::MAX)
        };
        Self {
            timelines,
            pages: share(self.pages),
            entries: share(self.entries),
            attachments: share(self.attachments),
            bytes: share(self.bytes),
        }
    }
}
