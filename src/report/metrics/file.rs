//! `--metrics-file`: a file for node_exporter's textfile collector, replaced as a whole every few seconds.

use super::exposition::{self, BEGINS};
use super::snapshot::{STARTING, Snapshot};
use crate::report::terminal::Terminal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two writes.
const EVERY: Duration = Duration::from_secs(5);
/// No text of metrics is larger, in bytes.
const LARGEST: u64 = 1 << 20;
/// Commands whose last success is kept; there are fewer.
const MOST_COMMANDS: usize = 16;
/// What the collector reads.
const EXTENSION: &str = "prom";

/// A file that can be written.
#[derive(Debug)]
pub(super) struct MetricsFile(PathBuf);

impl MetricsFile {
    /// Makes sure that the file can be replaced, without changing what it says; returns what it says of the last
    /// successes. A file that holds anything but metrics of this tool is not touched. Blocks.
    ///
    /// Where the path is a link, it is what the link leads to that is replaced.
    pub(super) fn claim(path: PathBuf) -> Result<(Self, BTreeMap<String, f64>), String> {
        let path = if path.is_symlink() {
            path.canonicalize().map_err(|error| format!("is a link that leads nowhere: {error}"))?
        } else {
            path
        };
        let before = before(&path)?;
        let file = Self(path);
        let tried = match &before {
            Some(text) => file.replace(text),
            None => made_beside(&file.0).map(drop),
        };
        tried.map_err(|error| format!("cannot be written: {}", cause(&error)))?;
        Ok((file, successes(before.as_deref().unwrap_or_default())))
    }

    /// Whether the collector would pass it over.
    pub(super) fn is_passed_over(&self) -> bool {
        self.0.extension().is_none_or(|extension| extension != EXTENSION)
    }

    /// Puts a text in the place of the file: a reader finds the old one or the new one. A crash of the machine may
    /// leave neither, and nothing is lost by that.
    fn replace(&self, text: &str) -> io::Result<()> {
        let mut file = made_beside(&self.0)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.0).map_err(|error| error.error)?;
        Ok(())
    }

    /// Keeps the file up to date until the last snapshot, which it shows then. Of a run that never began it shows
    /// nothing. What goes wrong is said once.
    pub(super) async fn keep(self, mut snapshots: watch::Receiver<Arc<Snapshot>>, terminal: Terminal) {
        let file = Arc::new(self);
        let mut is_told = false;
        loop {
            let goes_on = snapshots.changed().await.is_ok();
            let now = Arc::clone(&snapshots.borrow_and_update());
            if now.state != STARTING
                && let Err(error) = file.write(now).await
                && !std::mem::replace(&mut is_told, true)
            {
                let path = file.0.display();
                terminal.say(&format!(
                    "warning: the metrics are out of date: cannot write {path}: {}",
                    cause(&error)
                ));
            }
            if !goes_on {
                return;
            }
            let ended = async { while snapshots.changed().await.is_ok() {} };
            // Over in time or not: the next one to be shown is the last one that there is.
            let _ = tokio::time::timeout(EVERY, ended).await;
        }
    }

    /// The snapshot with what another run has said of its success in the meantime, where several keep the same file.
    fn with_others(&self, now: Arc<Snapshot>) -> Arc<Snapshot> {
        let said = before(&self.0).ok().flatten();
        let mut known = now.successes.clone();
        for (command, at) in successes(said.as_deref().unwrap_or_default()) {
            let ours = known.entry(command).or_insert(at);
            *ours = ours.max(at);
        }
        if known == now.successes {
            return now;
        }
        let mut now = Snapshot::clone(&now);
        now.successes = known;
        Arc::new(now)
    }

    /// Writes a snapshot, on a thread that may block.
    async fn write(self: &Arc<Self>, now: Arc<Snapshot>) -> io::Result<()> {
        let file = Arc::clone(self);
        let write =
            move || file.replace(&exposition::text(&file.with_others(now)).map_err(io::Error::other)?);
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }
}

/// What an error says without the name of the file beside it, which says nothing to anybody.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |(cause, _)| cause).to_owned()
}

/// What stands in the file, if there is one, and it is one of metrics.
fn before(path: &Path) -> Result<Option<String>, String> {
    let unread = |error: io::Error| format!("cannot be read: {error}");
    let about = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(unread)?,
    };
    if !about.is_file() {
        return Err("is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unread)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= LARGEST);
    match text {
        Some(text) if text.is_empty() || text.starts_with(BEGINS) => Ok(Some(text)),
        _ => Err("holds something else than metrics of devrev-batch: name another file".to_owned()),
    }
}

/// A file without a name that the collector would read, in the same folder; others may read it.
fn made_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".devrev-batch-").tempfile_in(folder)?;
    // It is read as another user. Not by the options that make it: the umask would have its say.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

/// What a text says of the last successes: a run that fails must not forget them.
fn successes(text: &str) -> BTreeMap<String, f64> {
    let success = |line: &str| {
        let rest = line.strip_prefix("devrev_batch_last_success_timestamp_seconds{command=\"")?;
        let (command, at) = rest.split_once("\"} ")?;
        let is_name = command.len() <= 40 && command.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let at: f64 = at.parse().ok().filter(|at: &f64| at.is_finite())?;
        is_name.then(|| (command.to_owned(), at))
    };
    text.lines().filter_map(success).take(MOST_COMMANDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_files_of_metrics_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let claim = |name: &str| MetricsFile::claim(folder.path().join(name)).map(|(_, successes)| successes);
        fs::write(folder.path().join("issues.csv"), "issue_id\nISS-1\n").unwrap();
        fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("empty.prom"), "").unwrap();
        assert!(claim("issues.csv").unwrap_err().contains("something else than metrics"));
        assert!(claim("binary").unwrap_err().contains("something else than metrics"));
        assert!(claim(".").unwrap_err().contains("is no file"));
        let unwritten = claim("none/x.prom").unwrap_err();
        assert!(
            unwritten.contains("cannot be written") && !unwritten.contains(".devrev-batch"),
            "{unwritten}"
        );
        assert_eq!(claim("empty.prom").unwrap(), BTreeMap::new());
        assert_eq!(claim("new.prom").unwrap(), BTreeMap::new());
        assert!(!folder.path().join("new.prom").exists(), "nothing is said of a run that has not begun");
        assert_eq!(fs::read(folder.path().join("issues.csv")).unwrap(), b"issue_id\nISS-1\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left lying about");
    }

    #[test]
    fn the_success_of_a_run_at_the_same_time_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = MetricsFile::claim(folder.path().join("x.prom")).unwrap();
        let begun = |successes: &[(&str, f64)]| {
            let successes = successes.iter().map(|(command, at)| ((*command).to_owned(), *at)).collect();
            Arc::new(Snapshot::new(crate::report::metrics::tests::about(), successes))
        };
        let other = begun(&[("merge-contacts", 1_795_000_000.5), ("backfill-groups", 5.0)]);
        file.replace(&exposition::text(&other).unwrap()).unwrap();
        let ours = file.with_others(begun(&[("backfill-groups", 7.0)]));
        let expected = [("backfill-groups", 7.0), ("merge-contacts", 1_795_000_000.5)];
        assert_eq!(ours.successes, BTreeMap::from(expected.map(|(command, at)| (command.to_owned(), at))));
        fs::remove_file(&file.0).unwrap();
        assert_eq!(file.with_others(begun(&[])).successes.len(), 1);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (link, real) = (folder.path().join("link.prom"), elsewhere.path().join("real.prom"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let nowhere = MetricsFile::claim(link.clone()).unwrap_err();
        assert!(nowhere.contains("leads nowhere"), "{nowhere}");
        fs::write(&real, "").unwrap();
        let (file, _) = MetricsFile::claim(link.clone()).unwrap();
        file.replace("x").unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&real).unwrap() == "x");
    }

    #[test]
    fn what_is_claimed_says_what_it_said_and_others_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        let text = "# HELP devrev_batch_run_info Which run this is of.\n\
                    devrev_batch_last_success_timestamp_seconds{command=\"merge-contacts\"} 1795000000.25\n\
                    devrev_batch_last_success_timestamp_seconds{command=\"A\\\"B\"} 1\n\
                    devrev_batch_last_success_timestamp_seconds{command=\"x\"} NaN\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (file, successes) = MetricsFile::claim(path.clone()).unwrap();
        assert!(!file.is_passed_over());
        assert_eq!(successes, BTreeMap::from([("merge-contacts".to_owned(), 1_795_000_000.25)]));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
