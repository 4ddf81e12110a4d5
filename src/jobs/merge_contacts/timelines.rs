//! Timelines and files of a backup: pages and pieces go to the disk as they come.

use super::backups::{Backups, Trouble, on_disk};
use crate::backup::draft::Draft;
use crate::backup::error::BackupError;
use crate::backup::layout::{Attachment, Counts, RelPath};
use crate::backup::messages::MessagesWriter;
use crate::backup::name::Names;
use crate::backup::writer::FileWriter;
use crate::cli::choices::OnMissingAttachment;
use crate::devrev::artifacts::{ArtifactSummary, ArtifactsLocate};
use crate::devrev::pages::Pages;
use crate::devrev::storage::{LARGEST, STORAGE};
use crate::devrev::timeline::TimelineEntriesList;
use crate::net::error::{ApiError, ErrorKind};
use reqwest::StatusCode;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The buffer of a copy, in bytes.
const COPY_BYTES: usize = 128 << 10;

impl Backups {
    /// Writes the timeline of a work or a conversation, and all files that hang on either.
    pub(super) async fn timeline(
        &self,
        draft: &mut Draft,
        object: Object<'_>,
        own: Vec<ArtifactSummary>,
    ) -> Result<Timeline, Trouble> {
        let mut messages: MessagesWriter =
            on_disk(|| draft.messages(&object.folder, object.id, object.shown))?;
        let mut files = own;
        let mut pages = Pages::new(TimelineEntriesList::of(object.id));
        while let Some(page) = pages.next(&self.reads).await? {
            self.room_for(0)?;
            for entry in page {
                messages.entry(&entry.raw)?;
                files.extend(entry.read.artifacts);
            }
        }
        let entries = messages.entries();
        let attachments = self.attachments(draft, Some(&object.folder), files).await?;
        draft.add(on_disk(|| messages.finish(&attachments))?);
        Ok(Timeline { folder: object.folder, entries, attachments })
    }

    /// Downloads files, each once, into a timeline's folder or into that of the contact itself.
    pub(super) async fn attachments(
        &self,
        draft: &mut Draft,
        folder: Option<&str>,
        files: Vec<ArtifactSummary>,
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
            let downloaded = self.download(draft, &path, &artifact).await;
            let (name, size) = (artifact.name().to_owned(), artifact.size());
            let attachment = match downloaded {
                Ok(bytes) => Attachment { artifact: artifact.id, name, file, size, bytes, missing: None },
                Err(trouble) => {
                    let why = self.passed_over(trouble)?;
                    on_disk(|| draft.give_up(&path));
                    tracing::warn!("{path} is missing in DevRev, which its backup records: {why}");
                    let (file, missing) = (String::new(), Some(why));
                    Attachment { artifact: artifact.id, name, file, size, bytes: 0, missing }
                }
            };
            kept.push(attachment);
        }
        Ok(kept)
    }

    /// Why an attachment is missing, if it is gone for good and the operator continues without it.
    fn passed_over(&self, trouble: Trouble) -> Result<String, Trouble> {
        match (trouble, self.on_missing) {
            (Trouble::Gone(text), OnMissingAttachment::Record) => Ok(text),
            (Trouble::Gone(text), OnMissingAttachment::Fail) => {
                Err(Trouble::Gone(format!("{text}; --on-missing-attachment record continues without it")))
            }
            (trouble, _) => Err(trouble),
        }
    }

    async fn download(
        &self,
        draft: &mut Draft,
        path: &RelPath,
        artifact: &ArtifactSummary,
    ) -> Result<u64, Trouble> {
        if artifact.id.is_empty() {
            return Err(Trouble::Gone(format!("{path}: an attachment without an ID cannot be asked for")));
        }
        if let Some(size) = artifact.size().filter(|size| *size > LARGEST) {
            let text = format!("{path}: DevRev says that it has {size} bytes, which is impossible");
            return Err(Trouble::Short(text));
        }
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
        let begin = || {
            let file = draft.lock().unwrap_or_else(PoisonError::into_inner).file(path);
            file.map(|file| Download { file, backups: self, unchecked: 0 }).map_err(keep)
        };
        let downloaded = self.storage.download(locate, artifact.size(), begin, Download::write).await;
        let file = downloaded.map_err(|error| {
            match refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(disk) => Trouble::Disk(disk),
                None if error.kind == ErrorKind::NotKept => Trouble::Full(error.text),
                None => {
                    let is_gone = is_gone(&error);
                    let text = format!("{} ({}): {}", artifact.id, path, error.text);
                    let error = ApiError { text, ..error };
                    if is_gone { Trouble::Gone(error.to_string()) } else { Trouble::Unread(error) }
                }
            }
        })?;
        let entry = on_disk(|| file.file.finish())?;
        let bytes = entry.bytes;
        draft.into_inner().unwrap_or_else(PoisonError::into_inner).add(entry);
        Ok(bytes)
    }
}

/// Whether DevRev has no such artifact, or its storage host no such file, also at a URL that was asked for again. A page of
/// a gateway says neither.
fn is_gone(error: &ApiError) -> bool {
    let is_of_storage = error.endpoint == STORAGE;
    error.kind == ErrorKind::NotFound
        || is_of_storage && matches!(error.status, Some(StatusCode::NOT_FOUND | StatusCode::GONE))
}

/// A timeline that is on disk.
pub(super) struct Timeline {
    folder: String,
    entries: u64,
    attachments: Vec<Attachment>,
}

impl Timeline {
    /// Counts what it holds.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.entries += self.entries;
        counts.add(&self.attachments);
    }
}

/// Copies a timeline, with its files, from a backup that has it: both contacts of a pair may be in one
/// conversation.
pub(super) fn copied(
    draft: &mut Draft,
    folder: &str,
    from: &Path,
    timeline: &Timeline,
) -> Result<Timeline, BackupError> {
    let mut copy = |from_path: RelPath, to: RelPath| {
        let source = from_path.below(from);
        let failed = || BackupError::io("read", &source);
        let mut reader = File::open(&source).map_err(failed())?;
        let mut writer = draft.file(&to)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = reader.read(&mut buffer).map_err(failed())?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            writer.write(bytes)?;
        }
        draft.add(writer.finish()?);
        Ok(())
    };
    copy(RelPath::messages(&timeline.folder), RelPath::messages(folder))?;
    for attachment in timeline.attachments.iter().filter(|attachment| attachment.missing.is_none()) {
        let file = &attachment.file;
        copy(RelPath::attachment(&timeline.folder, file), RelPath::attachment(folder, file))?;
    }
    Ok(Timeline {
        folder: folder.to_owned(),
        entries: timeline.entries,
        attachments: timeline.attachments.clone(),
    })
}

/// A work or a conversation.
pub(super) struct Object<'a> {
    pub(super) id: &'a str,
    /// The ID as people know it.
    pub(super) shown: &'a str,
    /// What its folder is called.
    pub(super) folder: String,
}

/// A file that is being downloaded.
struct Download<'a> {
    file: FileWriter,
    backups: &'a Backups,
    /// Bytes since the disk was last looked at.
    unchecked: u64,
}

/// How often it is looked whether the disk has room, in bytes.
const LOOK_EVERY: u64 = 16 << 20;

impl Download<'_> {
    /// An error ends the download for good.
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.unchecked += bytes.len() as u64;
        if self.unchecked >= LOOK_EVERY {
            self.unchecked = 0;
            if let Err(Trouble::Full(text)) = self.backups.room_for(0) {
                return Err(text);
            }
        }
        self.file.write(bytes).map_err(|error| error.to_string())
    }
}
