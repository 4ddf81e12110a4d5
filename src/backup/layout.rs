//! The folder of a backup: its name, its files, and what stands in those that this tool makes up itself.
//!
//! ```text
//! <email>_<YYYYMMDD_HHMMSS>_<display ID>/
//!   metadata.json                           Metadata
//!   tickets.json                            {"works": [...]}
//!   conversations.json                      {"conversations": [...]}
//!   conversations/<display ID>/messages.json  a timeline, with the index of the attachments beside it
//!   conversations/<display ID>/attachments/...
//!   contact/attachments.json                Attachments, only if the contact has any
//!   contact/attachments/...
//!   verification.json                       Verification: every other file
//! ```

use super::error::BackupError;
use super::name;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// The version of [`Verification`] that is written and understood.
pub const VERSION: u32 = 1;
/// How the folder begins of a backup that is not finished.
pub(super) const PARTIAL: &str = ".partial-";
/// The longest parts of a folder's name, in bytes.
const EMAIL_BYTES: usize = 100;
const DISPLAY_ID_BYTES: usize = 40;

/// The path of a file within a backup: safe names with `/` between them, so that it stays within.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Cow<'static, str>);

impl RelPath {
    /// `metadata.json`: the contact, and who backed it up when; see [`Metadata`].
    pub const METADATA: Self = Self(Cow::Borrowed("metadata.json"));
    /// `tickets.json`: the contact's works.
    pub const TICKETS: Self = Self(Cow::Borrowed("tickets.json"));
    /// `conversations.json`: the contact's conversations.
    pub const CONVERSATIONS: Self = Self(Cow::Borrowed("conversations.json"));
    /// `contact/attachments.json`: the contact's own attachments; see [`Attachments`].
    pub const CONTACT_ATTACHMENTS: Self = Self(Cow::Borrowed("contact/attachments.json"));
    /// `verification.json`: see [`Verification`].
    pub(super) const VERIFICATION: Self = Self(Cow::Borrowed("verification.json"));

    /// A path as it stands in `verification.json`. Fails when it could lead outside, or could be written in
    /// another way too.
    pub fn new(text: &str) -> Result<Self, BackupError> {
        if text.split('/').all(name::is_safe) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(BackupError::Path(text.to_owned()))
        }
    }

    /// `conversations/<folder>/messages.json`: a work's or a conversation's timeline. The folder is the
    /// display ID as [`name::Names`] gives it.
    pub fn messages(folder: &str) -> Self {
        Self(format!("conversations/{}/messages.json", name::safe(folder)).into())
    }

    /// `conversations/<folder>/attachments/<file>`: a file of that timeline, or of the work itself.
    pub fn attachment(folder: &str, file: &str) -> Self {
        Self(format!("conversations/{}/attachments/{}", name::safe(folder), name::safe(file)).into())
    }

    /// `contact/attachments/<file>`: a file of the contact itself.
    pub fn contact_attachment(file: &str) -> Self {
        Self(format!("contact/attachments/{}", name::safe(file)).into())
    }

    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below a folder.
    pub fn below(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_owned();
        path.extend(self.0.split('/'));
        path
    }

    /// The folders that hold the file, outermost first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(slash, _)| self.0.get(..slash))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a backup's folder is named after.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// The contact's address; may be empty.
    pub email: &'a str,
    /// The contact's display ID, such as `REVU-7`.
    pub display_id: &'a str,
    /// When the backup was begun.
    pub at: DateTime<Utc>,
}

impl Label<'_> {
    /// The folder's name.
    pub fn folder(&self) -> String {
        let email = name::email(self.email, EMAIL_BYTES);
        let display_id = name::safe_within(self.display_id, DISPLAY_ID_BYTES);
        format!("{email}_{}_{display_id}", self.at.format("%Y%m%d_%H%M%S"))
    }
}

/// Whether a folder is a backup, whole or damaged: by its name, or by any of the files that each backup has.
pub fn is_backup(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_number = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('_').collect();
    let named = parts.windows(2).any(|pair| is_number(pair[0], 8) && is_number(pair[1], 6));
    let files = [RelPath::METADATA, RelPath::TICKETS, RelPath::CONVERSATIONS, RelPath::VERIFICATION];
    named || files.iter().any(|file| file.below(folder).symlink_metadata().is_ok())
}

/// Whether a folder's name says that its backup was never finished.
pub fn is_partial(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL))
}

/// `metadata.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata<C> {
    /// The contact as DevRev returned it.
    pub contact: C,
    /// The ID of the run that made the backup.
    pub run: String,
    /// When the backup was begun.
    pub at: DateTime<Utc>,
    /// Tickets that the contact should have.
    pub expected_tickets: u64,
}

/// A file that came from DevRev.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The artifact's ID.
    pub artifact: String,
    /// What it was called.
    pub name: String,
    /// What it is called here, in `attachments/`.
    pub file: String,
    /// Its size in bytes by what DevRev says, if it does.
    pub size: Option<u64>,
    /// Its size in bytes here.
    pub bytes: u64,
    /// Why there is no file: DevRev refers to it, and has it no longer. Then `file` is empty, and `bytes` 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// `contact/attachments.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachments {
    /// The contact's attachments.
    pub attachments: Vec<Attachment>,
}

/// A file as `verification.json` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path; see [`RelPath`].
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its content, in lower-case hexadecimal.
    pub sha256: String,
}

/// How much there is in a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Works of type `ticket`.
    pub tickets: u64,
    /// Works of all types.
    pub works: u64,
    /// Conversations.
    pub conversations: u64,
    /// Entries of all timelines.
    pub entries: u64,
    /// Attachments, the contact's own included.
    pub attachments: u64,
    /// Bytes of all attachments.
    pub bytes: u64,
    /// Attachments that DevRev refers to and has no longer; they are not among the others.
    #[serde(default, skip_serializing_if = "is_none")]
    pub missing: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Counts the files of an index.
    pub fn add(&mut self, index: &[Attachment]) {
        for attachment in index {
            let missing = u64::from(attachment.missing.is_some());
            self.missing += missing;
            self.attachments += 1 - missing;
            self.bytes = self.bytes.saturating_add(attachment.bytes);
        }
    }
}

/// `verification.json`: all that is needed to prove that nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// [`VERSION`].
    pub version: u32,
    /// Every other file, by path.
    pub files: Vec<FileEntry>,
    /// How much there is.
    pub counts: Counts,
    /// Tickets that the contact should have.
    pub expected_tickets: u64,
}

impl Verification {
    /// The one form in which it is written: any changed byte makes another.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_who_and_when() {
        let at = DateTime::from_timestamp(1_795_319_100, 0).unwrap();
        let label = Label { email: "Ann+1@x.org", display_id: "REVU-7", at };
        assert_eq!(label.folder(), "Ann+1@x.org_20261122_034500_REVU-7");
        let evil = Label { email: "../../x", display_id: "/etc", at }.folder();
        assert_eq!(evil, "_.._x_20261122_034500__etc");
        assert!(name::is_safe(&evil) && name::is_safe(&Label { email: "", ..label }.folder()));
        let long = "x".repeat(300);
        assert!(Label { email: &long, display_id: &long, at }.folder().len() < 180);
        assert!(is_backup(Path::new("b/Ann_20261122_034500_REVU-7~2")) && !is_backup(Path::new("b/other")));
    }

    #[test]
    fn no_path_leads_outside() {
        for path in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a/.b", "a\0", "con"] {
            RelPath::new(path).unwrap_err();
        }
        let path = RelPath::new("conversations/TKT-1/messages.json").unwrap();
        assert_eq!(path, RelPath::messages("TKT-1"));
        assert_eq!(path.folders().collect::<Vec<_>>(), ["conversations", "conversations/TKT-1"]);
        let evil = RelPath::attachment("../..", "/etc/passwd");
        assert_eq!(evil.as_str(), "conversations/_/attachments/_etc_passwd");
    }
}
