//! Which files have cells that are guarded against formulas: the exports of this tool, of each of which there is a note by
//! its content, and the rows that an update of such a file has put aside.

use super::options::UpdateOptions;
use crate::cli::input::{RowsArgs, Source};
use crate::journal::atomic;
use crate::journal::manifest::Manifest;
use crate::journal::run_dir::RunDir;
use crate::run::checks::options;
use crate::source::fingerprint;
use std::io;
use std::path::{Path, PathBuf};

/// Where it is noted that a file of this content is an export: its cells are guarded against formulas.
fn noted(runs_dir: &Path, sha256: &str) -> PathBuf {
    runs_dir.join(".cache").join("exports").join(sha256)
}

/// Notes a file of this content.
pub(crate) fn remember(runs_dir: &Path, sha256: &str) -> io::Result<()> {
    let path = noted(runs_dir, sha256);
    if let Some(folder) = path.parent() {
        crate::files::make(folder)?;
    }
    atomic::replace(&path, |_| Ok(()))
}

/// Whether the cells of rows are guarded: those of a CSV file that is an export, was edited from one (as a base says), or was
/// put aside by an update of such rows. Other sources have their values as they are.
pub(crate) fn is_guarded(rows: &RowsArgs, has_base: bool, runs_dir: &Path) -> bool {
    let Some(csv) = rows.csv.as_deref().filter(|_| rows.source() == Source::Csv) else { return false };
    let is_export = || fingerprint(csv).is_ok_and(|found| noted(runs_dir, &found.sha256).exists());
    let is_file = csv != Path::new("-");
    has_base || (is_file && of_a_run(csv).unwrap_or_else(is_export))
}

/// Whether the cells of the rows of the update that a file lies in the folder of are guarded; `None` if it lies in none.
fn of_a_run(csv: &Path) -> Option<bool> {
    let csv = csv.canonicalize().ok()?;
    let folder = csv.parent()?;
    let run = RunDir::open(folder.parent()?, folder.file_name()?.to_str()?).ok()?;
    let manifest = Manifest::read(&run).ok()?;
    // Those of another job are no such options.
    Some(options::<UpdateOptions>(&manifest, &run).ok()?.is_export)
}
