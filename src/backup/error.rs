//! What can go wrong with a backup, in words that say what to do.

use crate::exit::{Exit, Failure};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of a backup. It can be cloned: one full disk ends many rows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}{}", path.display(), cure(source))]
    Io {
        /// What was tried, such as `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Something that is no folder stands where the backup has one, a symbolic link perhaps: what is written
    /// there would land elsewhere.
    #[error("{} is not a folder of the backup's own: nothing is written through it; see who put it there", .0.display())]
    NotAFolder(PathBuf),
    /// A path that is not one of a file within a backup: a defect of the caller.
    #[error("`{0}` is not the path of a file in a backup: only plain names with `/` between them are")]
    Path(String),
    /// Content that cannot be written as JSON: a defect of the caller.
    #[error("the content of {} cannot be written as JSON: {problem}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file of a finished backup is not what was written.
    #[error(
        "{}: {problem}. Do not merge by this backup; `devrev-batch backups verify` lists all that is wrong with it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl BackupError {
    /// Makes a [`BackupError::Io`] of an error of the operating system.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Makes an error of one that came up while JSON was written.
    pub(super) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| {
            if error.is_io() {
                Self::io("write", path)(error.into())
            } else {
                Self::Json { path: path.to_owned(), problem: error.to_string() }
            }
        }
    }

    /// Whether there is no room left: no other backup will fare better.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What to do about an error of the operating system, as the end of a sentence.
fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if is_full(error) => "; make room, or choose another place with --backup-dir",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; allow it, or choose another place with --backup-dir"
        }
        _ => "",
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::new(Exit::Backup, error.to_string()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        let path = Path::new("backups/x/tickets.json");
        let full = BackupError::io("write", path)(io::ErrorKind::StorageFull.into());
        assert!(full.is_full());
        let text = full.to_string();
        assert!(text.contains("backups/x/tickets.json") && text.contains("make room"), "{text}");
        let other = BackupError::io("write", path)(io::ErrorKind::NotFound.into());
        assert!(!other.is_full() && !BackupError::Path("x".into()).is_full());
        assert_eq!(Failure::from(other).exit, Exit::Backup);
    }
}
