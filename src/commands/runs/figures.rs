//! What a run's folder says of it in numbers.

use super::look;
use crate::journal::manifest::{Manifest, RunState};
use crate::journal::run_dir::RunDir;
use crate::report::run_figures::{ReportJson, RunFigures};
use std::fs::File;
use std::io::{self, BufReader};

/// What `run.json` and `report.json` say, and why the latter could not be read, if it could not. A run whose process is
/// at work or gone, and one of a job that writes no report, has none.
pub(crate) fn figures(run: &RunDir, manifest: &Manifest) -> (RunFigures, Option<String>) {
    let mut figures = RunFigures::of(manifest, look::rows(manifest));
    if manifest.state == RunState::Running {
        return (figures, None);
    }
    let path = run.report();
    let report = File::open(&path).map(|file| serde_json::from_reader::<_, ReportJson>(BufReader::new(file)));
    let problem = match report {
        Ok(Ok(report)) => {
            figures.take(&report);
            None
        }
        Ok(Err(error)) => Some(error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
    };
    (figures, problem.map(|problem| format!("{}: {problem}", path.display())))
}
