//! `--source jsonl`: a file of JSON objects, a line each.

use crate::exit::{Exit, Failure};
use crate::source::json_lines::{self, Form, JsonLinesError};
use crate::source::query::Columns;
use crate::source::{Input, Source};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A file, ready to be read.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    /// Its path, or `-`.
    pub from: PathBuf,
    /// The columns that are needed.
    pub columns: Vec<Columns>,
    /// Only the first rows.
    pub limit: Option<u64>,
    /// What asks for the same rows again.
    pub arguments: Vec<String>,
    /// Nothing.
    pub record: Map<String, Value>,
}

impl Source for Lines {
    fn name(&self) -> &'static str {
        "JSON lines"
    }

    fn query(&self) -> &'static str {
        ""
    }

    fn record(&self) -> &Map<String, Value> {
        &self.record
    }

    fn spool(&self, to: &Path, _stop: &Stop) -> Result<Input, Failure> {
        let spooled = json_lines::open(&self.from)
            .and_then(|file| json_lines::spool(file, Form::Lines, &[], &self.columns, self.limit, to));
        let (found, _) = spooled.map_err(failure)?;
        Ok(Input::queried(self.name(), to, Some(found), self.arguments.clone()))
    }
}

/// What it means for a command that rows cannot be made of JSON.
pub(super) fn failure(error: JsonLinesError) -> Failure {
    let (exit, next) = match &error {
        JsonLinesError::Unreadable { .. } => (Exit::Usage, "; check the path given with --csv"),
        JsonLinesError::Line { .. } => (Exit::InvalidInput, "; correct it"),
        JsonLinesError::Columns(_) => (Exit::InvalidInput, "; correct the names of the members"),
        JsonLinesError::NoRows { .. } => (Exit::InvalidInput, ": there is nothing to do"),
        JsonLinesError::Disk { .. } => (Exit::Unexpected, ""),
    };
    Failure::new(exit, format!("{error}{next}")).because(error)
}
