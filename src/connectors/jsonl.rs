//! `--source jsonl`: a file of JSON Lines, or standard input.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::run::scan::source_failure;
use crate::run::signals;
use crate::source::jsonl::{Jsonl, JsonlError};
use crate::source::query::Columns;
use crate::source::rows_file::KeepError;
use crate::source::{Input, Source, SourceError};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::path::Path;

/// JSON Lines, ready to be read.
#[derive(Debug)]
struct Lines {
    input: Jsonl,
    name: String,
    /// No settings go with it.
    record: Map<String, Value>,
}

/// The file that was typed; reads nothing yet.
pub(super) fn open(
    flags: &cli::input::RowsArgs,
    columns: Vec<Columns>,
    limit: Option<u64>,
) -> Result<Box<dyn Source>, Failure> {
    let Some(path) = flags.jsonl.as_ref().or(flags.csv.as_ref()) else {
        let text = "--source jsonl: give --jsonl PATH (`-` for standard input)";
        return Err(Failure::new(Exit::Usage, text));
    };
    let path = Some(path.clone()).filter(|path| path != Path::new("-"));
    let input = Jsonl { path, columns, limit };
    let name = input.name();
    Ok(Box::new(Lines { input, name, record: Map::new() }))
}

impl Source for Lines {
    fn name(&self) -> &str {
        &self.name
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let spooled = self.input.spool(to, stop).map_err(|error| failure(error, stop))?;
        let file = self.input.path.iter();
        let arguments = file.flat_map(|path| ["--jsonl".to_owned(), path.display().to_string()]).collect();
        Ok(Input::of_source(&self.name, to, Some(spooled.fingerprint), arguments))
    }
}

fn failure(error: JsonlError, stop: &Stop) -> Failure {
    let text = error.to_string();
    let failure = match &error {
        JsonlError::Interrupted => return signals::interrupted(stop, "interrupted while the input was read"),
        JsonlError::Source(inner @ (SourceError::Unreadable { .. } | SourceError::NotAFile { .. })) => {
            Failure::new(Exit::Usage, format!("{inner}; check the path given with --jsonl"))
        }
        JsonlError::Source(inner) => source_failure(inner),
        JsonlError::Keep { error: KeepError::Disk { .. }, .. } => Failure::new(Exit::Unexpected, text),
        JsonlError::Empty(_) => Failure::new(Exit::InvalidInput, format!("{text}; nothing was sent")),
        JsonlError::Line { .. } | JsonlError::Keep { .. } => {
            Failure::new(Exit::InvalidInput, format!("{text}; correct it and try again: nothing was sent"))
        }
    };
    failure.because(error)
}
