//! Which files are exports of this tool: a note on each, by its content. Their cells are guarded against formulas.

use crate::journal::atomic;
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

/// Whether a file of this content is an export of this tool.
pub(crate) fn is_export(runs_dir: &Path, sha256: &str) -> bool {
    noted(runs_dir, sha256).exists()
}
