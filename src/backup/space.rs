//! How much room there is for backups.

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
