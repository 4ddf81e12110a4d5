//! Whether the files are those that were written: all of them, byte for byte, and nothing else.

use super::super::layout::{FileEntry, RelPath, VERSION, Verification};
use super::problem::Problems;
use crate::source::fingerprint;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::FileType;
use std::io::{self, Read};
use std::path::Path;

/// The longest `verification.json` that is read, in bytes: a million files.
const MOST_BYTES: u64 = 256 << 20;

/// Holds a folder against its `verification.json`, which is returned if it can be gone by.
pub(super) fn check(folder: &Path, problems: &mut Problems) -> Option<Verification> {
    match folder.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(metadata) => {
            problems.add(".", format!("is {}, not a folder", kind(metadata.file_type())));
            return None;
        }
        Err(error) => {
            problems.add(".", format!("cannot be read: {error}"));
            return None;
        }
    }
    let verification = read(folder).map_err(|problem| problems.add(RelPath::VERIFICATION, problem)).ok()?;
    let listed = listed(&verification, problems);
    for (path, entry) in &listed {
        if let Err(problem) = check_file(&path.below(folder), entry) {
            problems.add(path, problem);
        }
    }
    let mut known =
        Known { folders: BTreeSet::new(), files: BTreeSet::from([RelPath::VERIFICATION.as_str()]) };
    for path in listed.keys() {
        known.files.insert(path.as_str());
        known.folders.extend(path.folders());
    }
    known.walk(folder, "", problems);
    Some(verification)
}

fn read(folder: &Path) -> Result<Verification, String> {
    let path = RelPath::VERIFICATION.below(folder);
    let metadata = path.symlink_metadata().map_err(|error| absent(&error))?;
    if !metadata.is_file() {
        return Err(format!("is {}, not a file", kind(metadata.file_type())));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(|error| absent(&error))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| absent(&error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("is longer than {MOST_BYTES} bytes"));
    }
    let verification: Verification =
        serde_json::from_slice(&bytes).map_err(|error| format!("is not what it should be: {error}"))?;
    if verification.version != VERSION {
        let version = verification.version;
        return Err(format!("has version {version}, and this devrev-batch knows {VERSION}"));
    }
    // What says the same in other bytes was not written by this tool.
    if verification.to_bytes().ok().as_ref() != Some(&bytes) {
        return Err("is not as it was written".to_owned());
    }
    Ok(verification)
}

/// The listed files by their paths, in so far as these are any.
fn listed<'v>(verification: &'v Verification, problems: &mut Problems) -> BTreeMap<RelPath, &'v FileEntry> {
    let mut listed = BTreeMap::new();
    let mut last = None;
    for entry in &verification.files {
        let path = entry.path.as_str();
        if last.is_some_and(|last| last >= path) {
            problems.add(RelPath::VERIFICATION, format!("lists `{path}` out of order"));
        }
        last = Some(path);
        match RelPath::new(path) {
            Ok(path) if path != RelPath::VERIFICATION => drop(listed.insert(path, entry)),
            _ => problems.add(RelPath::VERIFICATION, format!("lists `{path}`, which no backup may")),
        }
    }
    listed
}

fn check_file(path: &Path, entry: &FileEntry) -> Result<(), String> {
    let metadata = path.symlink_metadata().map_err(|error| absent(&error))?;
    if !metadata.is_file() {
        return Err(format!("is {}, not a file", kind(metadata.file_type())));
    }
    if metadata.len() != entry.bytes {
        return Err(format!("has {} bytes, and had {}", metadata.len(), entry.bytes));
    }
    let found = fingerprint(path).map_err(|error| format!("cannot be read: {error}"))?;
    if found.bytes != entry.bytes || found.sha256 != entry.sha256 {
        return Err("its content has changed (its SHA-256 is another)".to_owned());
    }
    Ok(())
}

/// What may be in the folder.
struct Known<'a> {
    folders: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
}

impl Known<'_> {
    /// Names everything below a folder that is not known. Folders that are not are not entered, so that this
    /// goes no deeper than a backup does.
    fn walk(&self, folder: &Path, below: &str, problems: &mut Problems) {
        let shown = if below.is_empty() { "." } else { below };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return problems.add(shown, format!("cannot be read: {error}")),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let (entry, is) = match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((is, entry)) => (entry, is),
                Err(error) => return problems.add(shown, format!("cannot be read: {error}")),
            };
            let is_folder = is.is_dir();
            let name = entry.file_name();
            let path = match below {
                "" => name.to_string_lossy().into_owned(),
                _ => format!("{below}/{}", name.to_string_lossy()),
            };
            let known = if is_folder { &self.folders } else { &self.files };
            if name.to_str().is_some() && known.contains(path.as_str()) {
                if is_folder {
                    folders.push((entry.path(), path));
                }
            } else if name.to_str().is_none() || !self.files.contains(path.as_str()) {
                // Where a file is listed, and something else stands, that has been told already.
                problems.add(path, format!("is {} that the backup did not have", kind(is)));
            }
        }
        for (folder, path) in folders {
            self.walk(&folder, &path, problems);
        }
    }
}

/// What something is, for people.
fn kind(is: FileType) -> &'static str {
    match is {
        is if is.is_symlink() => "a symbolic link",
        is if is.is_dir() => "a folder",
        is if is.is_file() => "a file",
        _ => "something else",
    }
}

fn absent(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
