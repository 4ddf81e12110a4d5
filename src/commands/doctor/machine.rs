//! This machine: the `.env` file, the folders, the room on the disk.

use crate::backup::space;
use crate::cli;
use crate::exit::Exit;
use crate::report::doctor::Check;
use crate::report::units::size;
use crate::report::validation::shell_word;
use crate::settings::{self, Settings};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long a folder may take to answer; one that is mounted from elsewhere may never.
const LONGEST: Duration = Duration::from_secs(10);
/// With less room than this, in bytes, a run may not come to its end.
const LITTLE: u64 = 1 << 30;
/// With less than this it does not get far.
const TOO_LITTLE: u64 = 64 << 20;
/// The bits of a file's mode that are not its owner's.
const OTHERS: u32 = 0o077;

/// Checks the folders and the room that they have.
pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let (runs, backups) = (settings.runs_dir.clone(), settings.backup_dir.clone());
    let look = tokio::task::spawn_blocking(move || {
        let folders = [("runs-dir", runs.as_path()), ("backup-dir", backups.as_path())];
        let mut checks: Vec<Check> = folders.iter().map(|(name, path)| folder(name, path)).collect();
        checks.push(room(&folders.map(|(_, path)| (path.display().to_string(), space::available(path)))));
        checks
    });
    if let Ok(Ok(checks)) = timeout(LONGEST, look).await {
        return checks;
    }
    let why = format!("the disk did not answer within {} s", LONGEST.as_secs());
    ["runs-dir", "backup-dir", "disk-space"].map(|name| Check::not_checked(name, why.as_str())).into()
}

/// Whether a folder can be written to, or made where it is not there yet.
fn folder(check: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let problem = |found: String| {
        let flag = if check == "runs-dir" { "--runs-dir" } else { "--backup-dir" };
        Check::problem(check, Exit::Unexpected, found, format!("fix it, or name another folder with {flag}"))
    };
    match space::writable(path) {
        Ok(true) => Check::ok(check, format!("{shown} can be written to")),
        Ok(false) => Check::ok(check, format!("{shown} is not there yet and can be made")),
        Err(found) => problem(found),
    }
}

/// The room of each folder; the least counts.
fn room(folders: &[(String, io::Result<u64>)]) -> Check {
    const CHECK: &str = "disk-space";
    let shown: Vec<String> = folders
        .iter()
        .map(|(path, room)| match room {
            Ok(bytes) => format!("{path}: {} free", size(*bytes)),
            Err(error) => format!("{path}: {error}"),
        })
        .collect();
    let found = shown.join(", ");
    let todo = "make room, or name folders elsewhere with --runs-dir and --backup-dir";
    match folders.iter().filter_map(|(_, room)| room.as_ref().ok()).min() {
        Some(..TOO_LITTLE) => Check::problem(CHECK, Exit::Unexpected, found, todo),
        Some(..LITTLE) => Check::warning(CHECK, found, todo),
        Some(_) => Check::ok(CHECK, found),
        None => Check::not_checked(CHECK, found),
    }
}

/// Whether others can read the file with the token.
pub(super) fn env_file(global: &cli::Global) -> Check {
    const CHECK: &str = "env-file";
    let path = settings::env_file(global);
    let shown = path.display();
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && global.env_file.is_none() => {
            Check::ok(CHECK, "no .env: flags and the environment are all there is")
        }
        Err(error) => Check::not_checked(CHECK, format!("{shown}: {error}")),
        Ok(data) => {
            let mode = data.permissions().mode() & 0o7777;
            if mode & OTHERS == 0 {
                return Check::ok(CHECK, format!("{shown}: only its owner can read it"));
            }
            let found = format!("{shown}: others on this machine can get at it (mode {mode:04o})");
            Check::warning(CHECK, found, format!("chmod 600 {}", shell_word(&shown.to_string())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doctor::State;

    #[test]
    fn the_least_room_counts() {
        let of = |rooms: &[Option<u64>]| {
            let folders = rooms.iter().map(|room| ("x".to_owned(), room.ok_or(io::Error::other("gone"))));
            let check = room(&folders.collect::<Vec<_>>());
            (check.state, check.found)
        };
        assert_eq!(
            of(&[Some(LITTLE), Some(3 << 40)]),
            (State::Ok, "x: 1.0 GiB free, x: 3.0 TiB free".to_owned())
        );
        assert_eq!(of(&[Some(LITTLE - 1), Some(3 << 40)]).0, State::Warning);
        assert_eq!(of(&[Some(TOO_LITTLE), None]), (State::Warning, "x: 64.0 MiB free, x: gone".to_owned()));
        assert_eq!(of(&[Some(LITTLE), Some(TOO_LITTLE - 1)]).0, State::Problem);
        assert_eq!(of(&[Some(u64::MAX), Some(0)]).0, State::Problem);
        assert_eq!(of(&[None, None]).0, State::NotChecked);
    }

    #[test]
    fn a_folder_is_there_or_can_be_made() {
        let root = tempfile::tempdir().unwrap();
        let state = |path: &str| {
            let check = folder("runs-dir", &root.path().join(path));
            (check.state, check.found)
        };
        assert!(state("").0 == State::Ok && state("").1.ends_with("can be written to"));
        assert!(state("not/yet").0 == State::Ok && state("not/yet").1.ends_with("can be made"));
        std::fs::write(root.path().join("file"), "").unwrap();
        for no_folder in ["file", "file/in/it"] {
            assert!(
                state(no_folder).0 == State::Problem && state(no_folder).1.ends_with("/file is not a folder")
            );
        }
        std::os::unix::fs::symlink("nowhere", root.path().join("link")).unwrap();
        assert_eq!(state("link/in/it").0, State::Problem);
        // Nothing is left behind.
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
