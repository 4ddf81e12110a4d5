//! Whether backups can be kept: how much room there is, and whether the folder can be written to.

use std::io;
use std::path::Path;

/// Bytes that may still be written below a path, which need not exist yet: its nearest ancestor that does tells.
///
/// Fails when the system does not tell.
pub fn available(path: &Path) -> io::Result<u64> {
    let path = std::path::absolute(path)?;
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&path);
    fs4::available_space(existing)
}

/// Whether a folder can be written to (`true`), or is not there and can be made (`false`): makes a file and removes it. The
/// error names what is in the way.
pub(crate) fn writable(path: &Path) -> Result<bool, String> {
    let absolute = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // A link that leads nowhere is there too, and in the way.
    let there =
        absolute.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok()).unwrap_or(&absolute);
    if !there.is_dir() {
        return Err(format!("{} is not a folder", there.display()));
    }
    let probe = || {
        let mut file = tempfile::Builder::new().prefix(".devrev-batch-").tempfile_in(there)?;
        io::Write::write_all(&mut file, b"can this folder be written to?\n")?;
        file.close()
    };
    probe().map_err(|error| format!("{} cannot be written to: {error}", there.display()))?;
    Ok(there == absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_to_be_has_the_room_of_the_one_that_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(available(folder.path()).unwrap() > 0);
        assert!(available(&folder.path().join("not/yet/there")).unwrap() > 0);
        assert!(available(Path::new("backups")).unwrap() > 0);
    }
}
