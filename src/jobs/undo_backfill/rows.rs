//! The input of an undo, made from the journal of the backfill.

use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::FieldChange;
use crate::journal::done::Done;
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use std::io::Write;

/// The columns.
pub(crate) const COLUMNS: [&str; 4] = ["issue_id", "before", "after", "creator"];

/// Writes a row for every issue that the run changed. An empty `before` says that it had no group.
pub(crate) fn write(run: &RunDir, to: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: String| {
        Failure::new(Exit::Unexpected, format!("cannot write down what run {} did: {error}", run.id()))
    };
    let mut rows = Writer::from_writer(to);
    rows.write_record(COLUMNS).map_err(|error| failed(error.to_string()))?;
    for made in Done::read(run)? {
        let made = made?;
        let change: FieldChange = serde_json::from_str(made.change.get()).map_err(|error| {
            let text = format!("{}: what was done to {} cannot be read: {error}", run.id(), made.key);
            Failure::new(Exit::Changed, text)
        })?;
        let (before, creator) =
            (change.before.as_deref().unwrap_or_default(), change.creator.as_deref().unwrap_or_default());
        rows.write_record([&*change.issue, before, &*change.after, creator])
            .map_err(|error| failed(error.to_string()))?;
    }
    rows.flush().map_err(|error| failed(error.to_string()))
}
