//! Puts two contacts, with all that hangs on them, onto the disk, and reads it back.
//!
//! Timelines come page by page and files piece by piece: nothing is held that grows with them.

use super::change::{Change, Found, Shown, Side};
use crate::backup::draft::Draft;
use crate::backup::error::BackupError;
use crate::backup::layout::{Attachment, Attachments, Counts, Label, Metadata, RelPath};
use crate::backup::messages::MessagesWriter;
use crate::backup::name::Names;
use crate::backup::space;
use crate::backup::verify;
use crate::backup::writer::FileWriter;
use crate::devrev::artifacts::{ArtifactSummary, ArtifactsLocate};
use crate::devrev::error::{ApiError, ErrorKind};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::storage::{Sink, Storage};
use crate::devrev::timeline::TimelineEntriesList;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Room that is left on the disk, in bytes: the journal has to go on.
const RESERVE: u64 = 64 << 20;

/// Why a contact is not backed up.
#[derive(Debug)]
pub enum Trouble {
    /// Something could not be read from DevRev.
    Unread(ApiError),
    /// Something could not be written.
    Disk(BackupError),
    /// There is no room for it.
    Full(String),
    /// The backup does not hold what it should.
    Short(String),
}

impl From<BackupError> for Trouble {
    fn from(error: BackupError) -> Self {
        Self::Disk(error)
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Unread(error)
    }
}

/// The backups of both contacts.
#[derive(Debug, Clone)]
pub struct BackedUp {
    /// The primary's folder.
    pub primary: PathBuf,
    /// The secondary's folder.
    pub secondary: PathBuf,
    /// Bytes of both, as far as DevRev's content goes.
    pub bytes: u64,
}

/// Makes backups below one folder.
#[derive(Debug)]
pub struct Backups {
    reads: ReadOnly,
    storage: Storage,
    root: PathBuf,
    run: String,
    /// Whether another number of tickets than the row's is put up with.
    any_count: bool,
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
    /// Backups of a run below `root`.
    pub fn new(reads: ReadOnly, storage: Storage, root: PathBuf, run: String, any_count: bool) -> Self {
        Self { reads, storage, root, run, any_count }
    }

    /// Backs both contacts up.
    pub async fn make(&self, change: &Change, found: &Found) -> Result<BackedUp, Trouble> {
        let at = Utc::now();
        let (primary, some) = self.contact(&change.primary, &found.primary, at).await?;
        let (secondary, more) = self.contact(&change.secondary, &found.secondary, at).await?;
        Ok(BackedUp { primary, secondary, bytes: some + more })
    }

    /// Reads both backups back, and holds them against what DevRev shows and what the rows say.
    pub fn verify(&self, change: &Change, backed_up: &BackedUp, found: &Found) -> Result<(), Trouble> {
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
    pub fn whole(&self, folder: &Path, side: &Side) -> Result<verify::Verified, Trouble> {
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
    fn room_for(&self, bytes: u64) -> Result<(), Trouble> {
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

    /// Backs one contact up. Returns the folder and the bytes of its files.
    async fn contact(&self, side: &Side, kept: &Shown, at: DateTime<Utc>) -> Result<(PathBuf, u64), Trouble> {
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
            let attachments = self.attachments(&mut draft, None, own.clone(), &mut counts).await?;
            on_disk(|| draft.write_json(&RelPath::CONTACT_ATTACHMENTS, &Attachments { attachments }))?;
        }
        let mut folders = Names::default();
        for work in works {
            let shown = work.read.display_id.as_deref().unwrap_or(&work.read.id);
            let object = Object { id: &work.read.id, shown, folder: folders.claim(shown) };
            self.timeline(&mut draft, object, work.read.artifacts.clone(), &mut counts).await?;
        }
        for conversation in conversations {
            let shown = conversation.read.display_id.as_deref().unwrap_or(&conversation.read.id);
            let object = Object { id: &conversation.read.id, shown, folder: folders.claim(shown) };
            self.timeline(&mut draft, object, Vec::new(), &mut counts).await?;
        }
        let folder = on_disk(|| draft.finish(counts, side.row.tickets))?;
        Ok((folder, counts.bytes))
    }

    /// Writes the timeline of a work or a conversation, and all files that hang on either.
    async fn timeline(
        &self,
        draft: &mut Draft,
        object: Object<'_>,
        own: Vec<ArtifactSummary>,
        counts: &mut Counts,
    ) -> Result<(), Trouble> {
        let mut messages: MessagesWriter =
            on_disk(|| draft.messages(&object.folder, object.id, object.shown))?;
        let mut files = own;
        let mut pages = Pages::new(TimelineEntriesList::of(object.id));
        while let Some(page) = pages.next(&self.reads).await? {
            for entry in page {
                messages.entry(&entry.raw)?;
                files.extend(entry.read.artifacts);
            }
        }
        counts.entries += messages.entries();
        let attachments = self.attachments(draft, Some(&object.folder), files, counts).await?;
        draft.add(on_disk(|| messages.finish(&attachments))?);
        Ok(())
    }

    /// Downloads files, each once, into a timeline's folder or into that of the contact itself.
    async fn attachments(
        &self,
        draft: &mut Draft,
        folder: Option<&str>,
        files: Vec<ArtifactSummary>,
        counts: &mut Counts,
    ) -> Result<Vec<Attachment>, Trouble> {
        let (mut names, mut known, mut kept) = (Names::default(), HashSet::new(), Vec::new());
        for artifact in files {
            if !known.insert(artifact.id.clone()) {
                continue;
            }
            let file = names.claim(artifact.name());
            let path = match folder {
                Some(folder) => RelPath::attachment(folder, &file),
                None => RelPath::contact_attachment(&file),
            };
            let bytes = self.download(draft, &path, &artifact).await?;
            counts.attachments += 1;
            counts.bytes += bytes;
            let (name, size) = (artifact.name().to_owned(), artifact.size());
            kept.push(Attachment { artifact: artifact.id, name, file, size, bytes });
        }
        Ok(kept)
    }

    async fn download(
        &self,
        draft: &mut Draft,
        path: &RelPath,
        artifact: &ArtifactSummary,
    ) -> Result<u64, Trouble> {
        self.room_for(artifact.size().unwrap_or(0))?;
        let draft = Mutex::new(draft);
        let refused: Mutex<Option<BackupError>> = Mutex::new(None);
        let keep = |error: BackupError| {
            let text = error.to_string();
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            text
        };
        let locate = || async {
            let located = self.reads.call(&ArtifactsLocate { id: artifact.id.clone() }).await;
            located.map(|answer| answer.url)
        };
        let sink = || {
            let file = draft.lock().unwrap_or_else(PoisonError::into_inner).file(path);
            file.map(Download).map_err(keep)
        };
        let downloaded = self.storage.download(locate, artifact.size(), sink).await;
        let file = downloaded.map_err(|error| {
            match refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(disk) => Trouble::Disk(disk),
                None if error.kind == ErrorKind::NotKept => Trouble::Full(error.text),
                None => {
                    let text = format!("{} ({}): {}", artifact.id, path, error.text);
                    Trouble::Unread(ApiError { text, ..error })
                }
            }
        })?;
        let entry = on_disk(|| file.0.finish())?;
        let bytes = entry.bytes;
        draft.into_inner().unwrap_or_else(PoisonError::into_inner).add(entry);
        Ok(bytes)
    }
}

/// A work or a conversation.
struct Object<'a> {
    id: &'a str,
    shown: &'a str,
    /// What its folder is called.
    folder: String,
}

/// A file that is being downloaded.
struct Download(FileWriter);

impl Sink for Download {
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.write(bytes).map_err(|error| error.to_string())
    }
}

/// Does what may block for long, an fsync above all, without holding up other pairs.
pub fn on_disk<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
