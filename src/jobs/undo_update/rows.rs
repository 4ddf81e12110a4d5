//! The input of an undo, made from the journal of the update.

use crate::exit::{Exit, Failure};
use crate::jobs::update_fields::change::ObjectChange;
use crate::jobs::update_fields::tags::TagIds;
use crate::journal::done::{Done, Made};
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;

/// The columns.
pub(crate) const COLUMNS: [&str; 2] = ["id", "change"];

/// A change that was made, and the names of its tags that did not exist before. One that created an object gets the
/// object's ID, and what DevRev made of its other fields; new tags get their IDs.
pub(crate) fn change_of(made: &Made) -> serde_json::Result<(ObjectChange, Vec<String>)> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Report {
        created: String,
        others: BTreeMap<String, Value>,
        tags: TagIds,
    }
    let mut change: ObjectChange = serde_json::from_str(made.change.get())?;
    let report = made.outcome.report.as_ref().map(|report| serde_json::from_str(report.get()));
    let Report { created, others, tags } = report.and_then(Result::ok).unwrap_or_default();
    if change.create.is_some() {
        (change.id, change.condition) = (created, others);
    }
    let new = change.new_tags();
    let change = change.with_tags(&tags);
    match change.new_tags().first() {
        Some(name) => {
            Err(serde_json::Error::custom(format!("the new tag `{name}` has no ID in the journal")))
        }
        None => Ok((change, new)),
    }
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
        let change = change_of(&made).and_then(|(change, _)| serde_json::to_string(&change));
        let change = change.map_err(|error| failed(error.to_string()))?;
        rows.write_record([&*made.key, &change]).map_err(|error| failed(error.to_string()))?;
    }
    rows.flush().map_err(|error| failed(error.to_string()))
}
