//! The input of an undo, made from the journal of the update.

use crate::exit::{Exit, Failure};
use crate::journal::done::Done;
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use std::io::Write;

/// The columns.
pub(crate) const COLUMNS: [&str; 2] = ["id", "change"];

/// Writes a row for every object that the run changed: its ID as people know it, and what was done as JSON.
pub(crate) fn write(run: &RunDir, to: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: String| {
        Failure::new(Exit::Unexpected, format!("cannot write down what run {} did: {error}", run.id()))
    };
    let mut rows = Writer::from_writer(to);
    rows.write_record(COLUMNS).map_err(|error| failed(error.to_string()))?;
    for made in Done::read(run)? {
        let made = made?;
        rows.write_record([&*made.key, made.change.get()]).map_err(|error| failed(error.to_string()))?;
    }
    rows.flush().map_err(|error| failed(error.to_string()))
}
