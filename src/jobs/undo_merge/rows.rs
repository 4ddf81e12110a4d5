//! The input of an undo, made from the journal of the merges.

use crate::exit::{Exit, Failure};
use crate::jobs::merge_contacts::change::MergeChange;
use crate::journal::done::{Done, Made};
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The columns.
pub(crate) const COLUMNS: [&str; 7] = [
    "email",
    "primary_id",
    "secondary_id",
    "primary_backup",
    "secondary_backup",
    "merged_ref",
    "merged_name",
];

/// What the report of a merge says, as far as it is needed.
#[derive(Debug, Default, Deserialize)]
struct Report {
    #[serde(default)]
    primary: Primary,
    #[serde(default)]
    backups: Option<Backups>,
}

#[derive(Debug, Default, Deserialize)]
struct Primary {
    #[serde(default)]
    after: Option<After>,
}

#[derive(Debug, Default, Deserialize)]
struct After {
    display_name: Option<String>,
    external_ref: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Backups {
    primary: PathBuf,
    secondary: PathBuf,
}

/// Writes a row for every pair that the run merged. An empty field says that there is none.
///
/// Backups that are in `backup_dir` by now are taken from there.
pub(crate) fn write(run: &RunDir, backup_dir: Option<&Path>, to: &mut dyn Write) -> Result<(), Failure> {
    let mut rows = Writer::from_writer(to);
    let failed = |error: ::csv::Error| {
        let text = format!("cannot write down what run {} did: {error}", run.id());
        Failure::new(Exit::Unexpected, text)
    };
    rows.write_record(COLUMNS).map_err(failed)?;
    for made in Done::read(run)? {
        let made = made?;
        let fields = fields(&made, backup_dir).map_err(|error| {
            let text = format!("{}: what was done for {} cannot be read: {error}", run.id(), made.key);
            Failure::new(Exit::Changed, text)
        })?;
        rows.write_record(&fields).map_err(failed)?;
    }
    rows.flush().map_err(|error| failed(error.into()))
}

fn fields(made: &Made, backup_dir: Option<&Path>) -> Result<[String; 7], serde_json::Error> {
    let change: MergeChange = serde_json::from_str(made.change.get())?;
    let report: Report = match &made.outcome.report {
        Some(report) => serde_json::from_str(report.get())?,
        None => Report::default(),
    };
    let path = |recorded: PathBuf| {
        let moved = backup_dir.zip(recorded.file_name()).map(|(dir, name)| dir.join(name));
        moved.filter(|moved| moved.is_dir()).unwrap_or(recorded).to_string_lossy().into_owned()
    };
    let (primary_backup, secondary_backup) =
        report.backups.map(|both| (path(both.primary), path(both.secondary))).unwrap_or_default();
    // A run that was resumed at its very end has not read the primary again: a merge that is done has left the
    // name as it was.
    let after = report.primary.after.unwrap_or_else(|| After {
        display_name: change.primary.display_name.clone(),
        external_ref: change.new_ref.clone().or_else(|| change.primary.external_ref.clone()),
    });
    Ok([
        change.email,
        change.primary.id,
        change.secondary.id,
        primary_backup,
        secondary_backup,
        after.external_ref.unwrap_or_default(),
        after.display_name.unwrap_or_default(),
    ])
}
