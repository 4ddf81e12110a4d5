//! A load into DevRev: all slices are fetched, transformed and judged into the run's folder, and are the rows of an update.
//!
//! From there on the run is one of `update`: its plan, journal, resume, undo and proof. What is there already is for DevRev to
//! say, so there is no ledger.

use super::error::LoadError;
use super::fetch::Fetch;
use super::file::DevRevTargetSpec;
use super::options::LoadOptions;
use super::slices::Slice;
use super::stage::{self, StageWriter};
use super::target;
use crate::cli::choices::{OnEmpty, OnMissing};
use crate::exit::{Exit, Failure};
use crate::jobs::update_fields::columns::Typed;
use crate::jobs::update_fields::options::UpdateOptions;
use crate::report::units::counted;
use crate::run::signals;
use crate::settings::Settings;
use crate::source::jsonl::{Jsonl, JsonlError};
use crate::source::query::Columns;
use crate::source::rows_file::KeepError;
use crate::source::{Input, Source};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The records of all slices, before they are rows.
const RECORDS: &str = "records.jsonl";
/// Records that are read together.
const BATCH: usize = 1000;

/// The options of the update that a load is.
pub(super) fn update(options: &LoadOptions, spec: &DevRevTargetSpec) -> UpdateOptions {
    UpdateOptions {
        object: spec.object.value.clone(),
        limit: None,
        typed: Typed {
            key: spec.key.as_ref().map(|key| key.value.clone()),
            map: spec.map.clone().into_iter().collect(),
            set: Vec::new(),
            ignore: spec.ignore.clone(),
        },
        base: None,
        is_export: false,
        on_empty: spec.empty.unwrap_or(OnEmpty::Leave),
        condition: Vec::new(),
        on_missing: if spec.create { OnMissing::Create } else { OnMissing::Fail },
        creates: false,
        skip_invalid: spec.skip_invalid,
        no_required_check: false,
        create_tags: spec.create_tags,
        rejected: Some(stage::REJECTED.to_owned()),
        sandbox: options.sandbox,
        known: Arc::default(),
    }
}

/// The records of a load, ready to be fetched.
#[derive(Debug)]
pub(super) struct Records {
    options: LoadOptions,
    settings: Settings,
    name: String,
    record: Map<String, Value>,
}

impl Records {
    /// Those of these slices.
    pub(super) fn new(options: LoadOptions, settings: Settings) -> Result<Self, Failure> {
        let name = format!("load {}", options.job()?.file.load_id());
        Ok(Self { options, settings, name, record: Map::new() })
    }

    /// Fetches all slices into a file of JSON Lines in this folder.
    async fn fetch(&self, folder: &Path, stop: &Stop) -> Result<(PathBuf, usize), Failure> {
        let sandbox = target::sandbox(&self.options).await?;
        let slices = self.options.slices(&self.settings, target::address(sandbox.as_ref()), stop).await?;
        let source = self.options.source(&self.settings, target::address(sandbox.as_ref()), stop)?;
        let fetch = Fetch::new(&self.options, Arc::new(source), stop)?;
        let path = folder.join(RECORDS);
        let disk = |error: std::io::Error| {
            Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())).because(error)
        };
        let file = crate::files::private().create_new(true).write(true).open(&path).map_err(disk)?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        for (row, slice) in (1..).zip(&slices) {
            self.fetch_slice(&fetch, folder, row, slice, &mut file)
                .await
                .map_err(|error| of_slice(slice, error))?;
        }
        file.flush().map_err(disk)?;
        stage::collect(folder).map_err(|problem| Failure::new(Exit::Unexpected, problem))?;
        // What is left is in rejected.jsonl; what cannot be removed does no harm.
        let _ = std::fs::remove_dir_all(folder.join(stage::FOLDER));
        Ok((path, slices.len()))
    }

    async fn fetch_slice(
        &self,
        fetch: &Fetch,
        folder: &Path,
        row: u64,
        slice: &Slice,
        to: &mut BufWriter<File>,
    ) -> Result<(), LoadError> {
        let known = self.options.job().map_err(|failure| LoadError::Settings(failure.message))?;
        let stage = StageWriter::create_in(folder, row, slice.name())?;
        let mut stage = fetch.run(slice, &slice.values(&known.params), stage, None).await?;
        if self.options.strict && stage.rejected.count() > 0 {
            let first = stage.rejected.first().unwrap_or_default();
            return Err(LoadError::Rejected(format!("--strict: a record was rejected: {first}")));
        }
        let mut batches = stage.batches(BATCH)?;
        while let Some(batch) = batches.next()? {
            for row in 0..batch.len() {
                to.write_all(batch.object(row).as_bytes())?;
                to.write_all(b"\n")?;
            }
        }
        stage.rejected.keep()?;
        stage.remove();
        Ok(())
    }
}

/// Nothing was sent to DevRev yet.
fn of_slice(slice: &Slice, error: LoadError) -> Failure {
    let failure = error.failure();
    let text = format!("slice {}: {}; nothing was sent to DevRev", slice.name(), failure.message);
    Failure::new(failure.exit, text).because(failure)
}

impl Source for Records {
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
        let folder = crate::files::folder_of(to);
        let fetched = tokio::runtime::Handle::current().block_on(self.fetch(folder, stop));
        if stop.is_set() {
            return Err(signals::interrupted(
                stop,
                "interrupted while records were fetched; nothing was sent",
            ));
        }
        let (path, slices) = fetched?;
        // As `update --source jsonl` reads them: a list, a reference or an amount is a cell in the same way.
        let none = Columns { required: &["id"], optional: None, key: "id" };
        let rows = Jsonl { path: Some(path.clone()), columns: vec![none], limit: None };
        let spooled = rows.spool(to, stop).map_err(|error| self.unkept(error, stop))?;
        let _ = std::fs::remove_file(&path);
        tracing::info!("{} from {}", counted(spooled.rows, "record"), counted(slices as u64, "slice"));
        Ok(Input::of_source(&self.name, to, Some(spooled.fingerprint), Vec::new()))
    }
}

impl Records {
    fn unkept(&self, error: JsonlError, stop: &Stop) -> Failure {
        let exit = match &error {
            JsonlError::Interrupted => {
                return signals::interrupted(
                    stop,
                    "interrupted while records were made rows; nothing was sent",
                );
            }
            JsonlError::Source(_) | JsonlError::Keep { error: KeepError::Disk { .. }, .. } => {
                Exit::Unexpected
            }
            JsonlError::Line { .. } | JsonlError::Keep { .. } | JsonlError::Empty(_) => Exit::InvalidInput,
        };
        let problem = match &error {
            JsonlError::Line { line, problem, .. } => format!("record {line} {problem}"),
            other => other.to_string(),
        };
        Failure::new(exit, format!("{}: {problem}; nothing was sent to DevRev", self.name)).because(error)
    }
}
