//! The input of an undo, made from the journal of the update.

use crate::exit::{Exit, Failure};
use crate::jobs::update_fields::change::ObjectChange;
use crate::journal::done::{Done, Made};
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;

/// The columns.
pub(crate) const COLUMNS: [&str; 2] = ["id", "change"];

/// A change that was made. One that created an object gets the object's ID, and what DevRev made of its other fields.
pub(crate) fn change_of(made: &Made) -> serde_json::Result<ObjectChange> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Created {
        created: String,
        others: BTreeMap<String, Value>,
    }
    let mut change: ObjectChange = serde_json::from_str(made.change.get())?;
    if change.create.is_some()
        && let Some(report) = &made.outcome.report
    {
        let Created { created, others } = serde_json::from_str(report.get()).unwrap_or_default();
        (change.id, change.condition) = (created, others);
    }
    Ok(change)
}

/// Writes a row for every object that the run changed: its ID as people know it, and what was done as JSON.
pub(crate) fn write(run: &RunDir, to: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: String| {
        Failure::new(Exit::Unexpected, format!("cannot write down what run {} did: {error}", run.id()))
    };
    let mut rows = Writer::from_writer(to);
    rows.write_record(COLUMNS).map_err(|error| failed(error.to_string()))?;
    for made in Done::read(run)? {
        let made = made?;
        let change = change_of(&made).and_then(|change| serde_json::to_string(&change));
        let change = change.map_err(|error| failed(error.to_string()))?;
        rows.write_record([&*made.key, &change]).map_err(|error| failed(error.to_string()))?;
    }
    rows.flush().map_err(|error| failed(error.to_string()))
}
