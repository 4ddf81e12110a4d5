//! Files and folders that only their owner may read: they hold personal data.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Options that make files with mode 0600.
pub(crate) fn private() -> OpenOptions {
    #[allow(unused_mut, reason = "mutable where modes exist")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A builder of folders with mode 0700.
pub(crate) fn private_folder() -> DirBuilder {
    #[allow(unused_mut, reason = "mutable where modes exist")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes a folder with those above it, durably.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.is_dir()).collect();
    private_folder().recursive(true).create(folder)?;
    missing
        .into_iter()
        .filter(|path| !path.as_os_str().is_empty())
        .try_for_each(|path| sync_folder(folder_of(path)))
}

/// Makes a folder's entries durable: a new or renamed file is found again after a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot open a folder as a file, and journals its entries itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Which file a name stands for: another file of the same name differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(Option<(u64, u64)>);

impl Identity {
    /// The identity of a file. Windows does not tell it here: there, only a file that is gone is noticed.
    pub(crate) fn of(data: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Self(Some((data.dev(), data.ino())))
        }
        #[cfg(not(unix))]
        {
            let _ = data;
            Self(None)
        }
    }
}

/// The folder that holds `path`; a bare name is in the working folder.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
