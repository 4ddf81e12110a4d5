//! Replaces a file in one step: a reader, and a crash, finds the old file or the new one, never a part.

use crate::files;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::{NamedTempFile, PersistError};

/// How files begin that have not got their name yet.
const PREFIX: &str = ".tmp-";

/// Writes a file (0600) beside `path`, makes it durable and puts it in the place of `path`.
///
/// Fails when `write` does or the disk does; `path` is then as it was.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    put(path, write, |file| file.persist(path))
}

/// The same, but never in the place of a file that is there.
pub fn create(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    put(path, write, |file| file.persist_noclobber(path))
}

fn put(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    name: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> io::Result<()> {
    let folder = files::folder_of(path);
    // Removed again when anything fails before it has its name.
    let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    let mut buffered = BufWriter::with_capacity(64 << 10, file);
    write(&mut buffered)?;
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    name(file).map_err(|error| error.error)?;
    files::sync_folder(folder)
}

/// Removes what processes that were killed while they replaced files have left in a folder. Only for who holds
/// the folder's lock: another process's files may be in use.
pub fn clear_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn replaces_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        replace(&path, |out| out.write_all(b"old")).unwrap();
        replace(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("interrupted"))
        })
        .unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_new_file_takes_no_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.csv");
        create(&path, |out| out.write_all(b"one")).unwrap();
        let error = create(&path, |out| out.write_all(b"two")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".tmp-x1", ".tmp-", "run.json"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        clear_leftovers(folder.path()).unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["run.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failed.csv");
        replace(&path, |out| out.write_all(b"x")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
