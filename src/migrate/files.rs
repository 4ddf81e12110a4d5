//! The folder of migrations: `0001_name.up.sql`, and `0001_name.down.sql` to take it back.

use super::script::{Directives, Wrong};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The longest file, in bytes: a migration is not for data.
const MAX_BYTES: u64 = 16 << 20;
/// The longest name, in bytes.
const MAX_NAME: usize = 200;
const FORM: &str = "NUMBER_NAME.up.sql or NUMBER_NAME.down.sql, such as 0001_commits.up.sql";

/// What is wrong with the folder; names the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FilesError(pub(crate) String);

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Its name in the folder.
    pub(crate) file: String,
    /// Its text, without a byte order mark.
    pub(crate) text: String,
    /// The SHA-256 of the text with `\n` at the end of each line, so that a checkout on another system is the same.
    pub(crate) checksum: String,
    /// What its first line says.
    pub(crate) directives: Directives,
}

/// A migration.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    /// Its number.
    pub(crate) version: i64,
    /// Its name, as it stands in the files' names.
    pub(crate) name: String,
    /// What makes the change.
    pub(crate) up: Script,
    /// What takes it back.
    pub(crate) down: Option<Script>,
}

/// What a file's name says.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    version: i64,
    name: String,
    is_up: bool,
}

/// Reads all migrations of a folder, by number.
pub(crate) fn read(folder: &Path) -> Result<Vec<Migration>, FilesError> {
    let unreadable = |error: std::io::Error| {
        FilesError(format!("--dir {}: {error}: name the folder of the migrations", folder.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let (mut ups, mut downs) = (BTreeMap::new(), BTreeMap::new());
    for path in files {
        let Some(file) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        // Editors' copies, READMEs and folders are none.
        if file.starts_with('.') || path.is_dir() || !concerns(&file) {
            continue;
        }
        let Named { version, name, is_up } = named(&file)?;
        let script = script(&path, &file)?;
        let side = if is_up { &mut ups } else { &mut downs };
        if let Some((_, other)) = side.insert(version, (name, script)) {
            let text = format!("{} and {file} have one number: give one of them another", other.file);
            return Err(FilesError(text));
        }
    }
    let mut migrations = Vec::new();
    for (version, (name, up)) in ups {
        let down = downs.remove(&version);
        if let Some((other, down)) = down.as_ref().filter(|(other, _)| *other != name) {
            let text = format!(
                "{} and {} have one number and other names ({other}, {name}): rename one of them",
                down.file, up.file
            );
            return Err(FilesError(text));
        }
        migrations.push(Migration { version, name, up, down: down.map(|(_, down)| down) });
    }
    if let Some((_, down)) = downs.into_values().next() {
        let up = down.file.replace(".down.sql", ".up.sql");
        return Err(FilesError(format!(
            "{} takes back what no file does: add {up}, or remove it",
            down.file
        )));
    }
    Ok(migrations)
}

/// Whether a name may be meant for a migration's.
fn concerns(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".sql") || file.starts_with(|first: char| first.is_ascii_digit())
}

fn named(file: &str) -> Result<Named, FilesError> {
    let odd = |why: &str| FilesError(format!("{file}: {why}: name it {FORM}"));
    let side = file.strip_suffix(".up.sql").map(|stem| (stem, true));
    let Some((stem, is_up)) = side.or_else(|| file.strip_suffix(".down.sql").map(|stem| (stem, false)))
    else {
        return Err(odd("it ends with neither .up.sql nor .down.sql"));
    };
    let Some((number, name)) = stem.split_once('_') else {
        return Err(odd("there is no `_` between a number and a name"));
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let version =
        number.parse().ok().filter(|_| is_number).ok_or_else(|| odd("it does not begin with a number"))?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
        return Err(odd("its name has other characters than letters, digits, `_`, `-` and `.`"));
    }
    Ok(Named { version, name: name.to_owned(), is_up })
}

fn script(path: &PathBuf, file: &str) -> Result<Script, FilesError> {
    let failed = |why: &dyn std::fmt::Display| FilesError(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let read = File::open(path).and_then(|opened| opened.take(MAX_BYTES + 1).read_to_string(&mut text));
    let read = read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => failed(&"is not UTF-8: save it as UTF-8"),
        _ => failed(&error),
    })?;
    if read as u64 > MAX_BYTES {
        return Err(failed(&"is longer than 16 MiB: load data in another way"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    let directives = Directives::read(&text)
        .map_err(|Wrong { line, what }| FilesError(format!("{}, line {line}: {what}", path.display())))?;
    Ok(Script { file: file.to_owned(), checksum: checksum(&text), text, directives })
}

fn checksum(text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(text.replace("\r\n", "\n").as_bytes());
    crate::source::hex(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn migrations_are_read_by_number() {
        let folder = folder(&[
            ("10_b.c-d.up.sql", "\u{feff}-- devrev-batch: no transaction\r\nSELECT 1"),
            ("0002_a.up.sql", "SELECT 1;\r\nSELECT 2\n"),
            ("0002_a.down.sql", "SELECT 3"),
            ("README.md", "not one"),
            (".0003_x.sql.swp", ""),
        ]);
        std::fs::create_dir(folder.path().join("old")).unwrap();
        let all = read(folder.path()).unwrap();
        let named: Vec<_> =
            all.iter().map(|one| (one.version, one.name.as_str(), one.down.is_some())).collect();
        assert_eq!(named, [(2, "a", true), (10, "b.c-d", false)]);
        assert!(all[1].up.directives.no_transaction && !all[0].up.directives.no_transaction);
        assert_eq!(all[0].up.checksum, checksum("SELECT 1;\nSELECT 2\n"));
        assert_ne!(all[0].up.checksum, checksum("SELECT 1;\nSELECT 2"));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said_with_the_file() {
        for (files, says) in [
            (&[("1_a.sql", "")][..], "1_a.sql: it ends with neither .up.sql nor .down.sql: name it"),
            (&[("1_a.up.sq", "")], "1_a.up.sq: it ends with neither"),
            (&[("1.up.sql", "")], "1.up.sql: there is no `_`"),
            (&[("a_1.up.sql", "")], "a_1.up.sql: it does not begin with a number"),
            (&[("+1_a.up.sql", "")], "+1_a.up.sql: it does not begin with a number"),
            (&[("99999999999999999999_a.up.sql", "")], "it does not begin with a number"),
            (&[("1_a b.up.sql", "")], "1_a b.up.sql: its name has other characters"),
            (&[("1_.up.sql", "")], "1_.up.sql: its name"),
            (&[("1_a.up.sql", ""), ("01_b.up.sql", "")], "01_b.up.sql and 1_a.up.sql have one number"),
            (
                &[("1_a.up.sql", ""), ("1_b.down.sql", "")],
                "1_b.down.sql and 1_a.up.sql have one number and other names",
            ),
            (&[("1_a.down.sql", "")], "1_a.down.sql takes back what no file does: add 1_a.up.sql"),
            (&[("1_a.up.sql", "-- devrev-batch: fast")], "1_a.up.sql, line 1: `fast` is not known"),
        ] {
            let error = read(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let folder = folder(&[]);
        std::fs::write(folder.path().join("1_a.up.sql"), b"\xff").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("1_a.up.sql: is not UTF-8"));
        let error = read(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none: No such file") && error.contains("name the folder"), "{error}");
    }
}
