//! A `messages.json` that is written entry by entry: a timeline may be longer than memory should hold.

use super::error::BackupError;
use super::layout::{Attachment, FileEntry};
use super::writer::FileWriter;
use serde_json::value::RawValue;

/// Writes `{"object": ..., "display_id": ..., "entries": [...], "attachments": [...]}`.
#[derive(Debug)]
pub struct MessagesWriter {
    file: FileWriter,
    entries: u64,
}

impl MessagesWriter {
    pub(super) fn begin(file: FileWriter, object: &str, display_id: &str) -> Result<Self, BackupError> {
        let mut messages = Self { file, entries: 0 };
        messages.file.write(b"{\"object\":")?;
        messages.json(&object)?;
        messages.file.write(b",\"display_id\":")?;
        messages.json(&display_id)?;
        messages.file.write(b",\"entries\":[")?;
        Ok(messages)
    }

    /// Appends an entry as DevRev returned it.
    pub fn entry(&mut self, entry: &RawValue) -> Result<(), BackupError> {
        self.file.write(if self.entries == 0 { b"\n" } else { b",\n" })?;
        self.file.write(entry.get().as_bytes())?;
        self.entries += 1;
        Ok(())
    }

    /// How many entries there are by now.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Closes the file with the index of the attachments beside it, and makes it durable. The entry is for
    /// [`Draft::add`](super::draft::Draft::add).
    pub fn finish(mut self, attachments: &[Attachment]) -> Result<FileEntry, BackupError> {
        self.file.write(b"\n],\"attachments\":")?;
        self.json(&attachments)?;
        self.file.write(b"}\n")?;
        self.file.finish()
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), BackupError> {
        let written = serde_json::to_writer(self.file.sink(), value);
        written.map_err(BackupError::json(self.file.path()))
    }
}
