//! `undo-id-map.csv`: which contact was created in the place of which, for all who know the old IDs.

use super::formula::guarded;
use crate::journal::atomic;
use crate::journal::ordered::{Word, Words};
use crate::journal::run_dir::RunDir;
use ::csv::Writer;
use serde::Deserialize;
use std::io;

const COLUMNS: [&str; 5] = ["old_id", "old_display_id", "new_id", "new_display_id", "email"];

/// A pair, as outcomes say it.
#[derive(Deserialize)]
struct Pair {
    email: String,
    secondary: Ids,
}

#[derive(Deserialize)]
struct Ids {
    #[serde(rename = "old_id")]
    old: String,
    #[serde(rename = "old_display_id")]
    old_shown: String,
    /// Absent as long as no contact was created.
    #[serde(rename = "new_id")]
    new: Option<String>,
    #[serde(rename = "new_display_id")]
    new_shown: Option<String>,
}

/// Writes the map again from the journal, in the order of the input. A dry run gets none.
pub(crate) fn write(run: &RunDir) -> io::Result<()> {
    let words = Words::read(run).map_err(io::Error::other)?;
    atomic::replace(&run.id_map(), |file| {
        let mut file = Writer::from_writer(file);
        file.write_record(COLUMNS)?;
        for word in words {
            let Word::Outcome { outcome, .. } = word.map_err(io::Error::other)?.1 else { continue };
            let Some(report) = outcome.report else { continue };
            let Ok(Pair { email, secondary }) = serde_json::from_str(report.get()) else { continue };
            let Ids { old, old_shown, new: Some(new), new_shown } = secondary else { continue };
            let fields = [old, old_shown, new, new_shown.unwrap_or_default(), email];
            file.write_record(fields.iter().map(|field| guarded(field.as_bytes())))?;
        }
        file.flush()
    })
}
