//! Puts two contacts, with all that hangs on them, onto the disk, and reads it back.
//!
//! Timelines come page by page and files piece by piece: nothing is held that grows with them.

use super::backups::{Backups, Trouble, on_disk};
use super::change::{Found, MergeChange, Shown, Side};
use super::merger::How;
use super::timelines::{Object, Timeline, copied};
use crate::backup::draft::Draft;
use crate::backup::error::BackupError;
use crate::backup::layout::{Attachments, Counts, Label, Metadata, RelPath};
use crate::backup::name::Names;
use crate::backup::space;
use crate::backup::verify;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::storage::Storage;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Room that is left on the disk, in bytes: the journal has to continue.
const RESERVE: u64 = 64 << 20;

/// The backups of both contacts.
#[derive(Debug, Clone)]
pub(crate) struct BackedUp {
    /// The primary's folder.
    pub primary: PathBuf,
    /// The secondary's folder.
    pub secondary: PathBuf,
    /// Bytes of both, as far as DevRev's content goes.
    pub bytes: u64,
    /// Attachments of both that DevRev has no longer.
    pub missing: u64,
}

/// `tickets.json`
#[derive(Serialize)]
struct Works<'a> {
    works: Vec<&'a RawValue>,
}

/// `conversations.json`
#[derive(Serialize)]
struct Conversations<'a> {
    conversations: Vec<&'a RawValue>,
}

impl Backups {
    /// Backups of a run, as it is to make them.
    pub(crate) fn new(reads: ReadOnly, storage: Storage, how: &How) -> Self {
        let (root, run) = (how.backup_dir.clone(), how.run.clone());
        Self { reads, storage, root, run, any_count: how.any_count, on_missing: how.on_missing }
    }

    /// Backs both contacts up.
    pub(crate) async fn make(&self, change: &MergeChange, found: &Found) -> Result<BackedUp, Trouble> {
        let at = Utc::now();
        let first = self.contact(&change.primary, &found.primary, at, None).await?;
        let second = self.contact(&change.secondary, &found.secondary, at, Some(&first)).await?;
        let (bytes, missing) = (first.bytes + second.bytes, first.missing + second.missing);
        Ok(BackedUp { primary: first.folder, secondary: second.folder, bytes, missing })
    }

    /// Reads both backups back, and holds them against what DevRev shows and what the rows say.
    pub(crate) fn verify(
        &self,
        change: &MergeChange,
        backed_up: &BackedUp,
        found: &Found,
    ) -> Result<(), Trouble> {
        for (folder, side, kept) in [
            (&backed_up.primary, &change.primary, &found.primary),
            (&backed_up.secondary, &change.secondary, &found.secondary),
        ] {
            let verified = on_disk(|| self.whole(folder, side))?;
            let on_disk: BTreeSet<&str> = verified.work_ids.iter().map(String::as_str).collect();
            let shown: BTreeSet<&str> = kept.belongings.work_ids().into_iter().collect();
            if on_disk != shown {
                let missing: Vec<_> = shown.difference(&on_disk).take(5).copied().collect();
                let text = format!(
                    "{} holds {} works, and DevRev shows {} (missing: {})",
                    folder.display(),
                    on_disk.len(),
                    shown.len(),
                    missing.join(", ")
                );
                return Err(Trouble::Short(text));
            }
        }
        Ok(())
    }

    /// Reads one backup back: it is whole, it is this contact's, and it has as many tickets as the row says.
    pub(crate) fn whole(&self, folder: &Path, side: &Side) -> Result<verify::Verified, Trouble> {
        let verified = verify::verify(folder).map_err(|problems| {
            let words: Vec<_> = problems.iter().take(5).map(ToString::to_string).collect();
            Trouble::Short(format!("{}: {} problems: {}", folder.display(), problems.len(), words.join("; ")))
        })?;
        if verified.contact_id != side.id {
            let text = format!("{} is of {}, not of {}", folder.display(), verified.contact_id, side.id);
            return Err(Trouble::Short(text));
        }
        if verified.counts.tickets != side.row.tickets && !self.any_count {
            let text = format!(
                "{} holds {} tickets, and TICKET_COUNT is {}",
                folder.display(),
                verified.counts.tickets,
                side.row.tickets
            );
            return Err(Trouble::Short(text));
        }
        Ok(verified)
    }

    /// Fails when the disk has no room for so many bytes more.
    pub(super) fn room_for(&self, bytes: u64) -> Result<(), Trouble> {
        let failed = BackupError::io("see how much room is left in", &self.root);
        let left = space::available(&self.root).map_err(failed)?;
        if left < bytes.saturating_add(RESERVE) {
            let text = format!(
                "{} has {} MiB left, and {} MiB are needed",
                self.root.display(),
                left >> 20,
                (bytes.saturating_add(RESERVE)) >> 20
            );
            return Err(Trouble::Full(text));
        }
        Ok(())
    }

    /// Backs one contact up. What its fellow's backup has already is taken from there.
    async fn contact(
        &self,
        side: &Side,
        kept: &Shown,
        at: DateTime<Utc>,
        fellow: Option<&Made>,
    ) -> Result<Made, Trouble> {
        self.room_for(side.tickets << 20)?;
        let email = kept.contact.read.email.as_deref().unwrap_or_default();
        let label = Label { email, display_id: &side.display_id, at };
        let mut draft = on_disk(|| Draft::begin(&self.root, &self.run, &label))?;
        let works = &kept.belongings.works;
        let conversations = &kept.belongings.conversations;
        on_disk(|| {
            let metadata = Metadata {
                contact: &kept.contact.raw,
                run: self.run.clone(),
                at,
                expected_tickets: side.row.tickets,
            };
            draft.write_json(&RelPath::METADATA, &metadata)?;
            let works = Works { works: works.iter().map(|work| &*work.raw).collect() };
            draft.write_json(&RelPath::TICKETS, &works)?;
            let conversations = conversations.iter().map(|conversation| &*conversation.raw).collect();
            draft.write_json(&RelPath::CONVERSATIONS, &Conversations { conversations })
        })?;
        let mut counts = Counts {
            tickets: kept.belongings.tickets(),
            works: works.len() as u64,
            conversations: conversations.len() as u64,
            ..Counts::default()
        };
        let own = &kept.contact.read.artifacts;
        if !own.is_empty() {
            let attachments = self.attachments(&mut draft, None, own.clone()).await?;
            counts.add(&attachments);
            on_disk(|| draft.write_json(&RelPath::CONTACT_ATTACHMENTS, &Attachments { attachments }))?;
        }
        let (mut folders, mut timelines) = (Names::default(), HashMap::new());
        let works =
            works.iter().map(|work| (&work.read.id, &work.read.display_id, work.read.artifacts.clone()));
        let conversations = conversations
            .iter()
            .map(|conversation| (&conversation.read.id, &conversation.read.display_id, Vec::new()));
        for (id, display_id, own) in works.chain(conversations) {
            let shown = display_id.as_deref().unwrap_or(id);
            let object = Object { id, shown, folder: folders.claim(shown) };
            let known = fellow.and_then(|fellow| Some((fellow, fellow.timelines.get(id)?)));
            let timeline = match known {
                Some((fellow, timeline)) => {
                    on_disk(|| copied(&mut draft, &object.folder, &fellow.folder, timeline))?
                }
                None => self.timeline(&mut draft, object, own).await?,
            };
            timeline.count(&mut counts);
            timelines.insert(id.clone(), timeline);
        }
        let folder = on_disk(|| draft.finish(counts, side.row.tickets))?;
        Ok(Made { folder, bytes: counts.bytes, missing: counts.missing, timelines })
    }
}

/// A backup that was made, and where in it is what.
struct Made {
    folder: PathBuf,
    bytes: u64,
    missing: u64,
    /// By the ID of the work or the conversation.
    timelines: HashMap<String, Timeline>,
}
