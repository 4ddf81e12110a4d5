//! `undo` of an update: what a run of it has of its own.

use super::{Item, UndoUpdate, rows};
use crate::devrev::objects::{self, Field, Object};
use crate::exit::Failure;
use crate::jobs::target::DevRev;
use crate::jobs::undoing::feed::Made;
use crate::jobs::undoing::job::UndoJob;
use crate::jobs::update_fields::apply::ObjectWriter;
use crate::jobs::update_fields::change::ObjectChange;
use crate::jobs::update_fields::fields::{Fields, usage};
use crate::jobs::update_fields::lookup::{Extent, Lookup};
use crate::jobs::update_fields::options::UpdateOptions;
use crate::jobs::update_fields::plan::{self, ObjectPlan};
use crate::journal::done::Done;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::run::checks::options;
use crate::run::job::{Job, Make, PlanSummary, Start, UndoneRun};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The options of an undo of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndoUpdateOptions {
    /// The run that is undone.
    pub of: String,
    /// `--limit`: only the first objects.
    pub limit: Option<u64>,
    /// The type of object.
    pub object: String,
    /// The fields that the run wrote.
    pub fields: Vec<String>,
    /// `--no-required-check` of the run.
    pub no_required_check: bool,
}

impl Made for Item {
    const COLUMNS: &'static [&'static str] = &rows::COLUMNS;

    fn read(fields: &[&str]) -> Result<(String, Self), String> {
        let &[key, change] = fields else { return Err("it lacks fields".to_owned()) };
        let change: ObjectChange = serde_json::from_str(change).map_err(|error| error.to_string())?;
        Ok((key.to_owned(), Self(change)))
    }
}

impl UndoUpdateOptions {
    fn object(&self) -> &'static Object {
        objects::named(&self.object).unwrap_or(&objects::OBJECTS[0])
    }

    async fn fields(&self, start: &Start<'_, (), DevRev>) -> Result<Vec<Field>, Failure> {
        let names: HashSet<String> = self.fields.iter().cloned().collect();
        let fields = Fields::load(&start.target.client.read_only(), self.object(), &names).await?;
        let named = |name: &String| {
            let gone = || {
                usage(format!(
                    "run {} wrote a field that is gone: {}",
                    self.of,
                    fields.unknown(self.object(), name)
                ))
            };
            fields.named(name).cloned().ok_or_else(gone)
        };
        self.fields.iter().map(named).collect()
    }
}

impl UndoJob for UndoUpdateOptions {
    const COMMAND: &'static str = "undo-update";
    const UNDOES: &'static str = UpdateOptions::COMMAND;
    type Item = Item;
    type Planner = UndoUpdate;
    type Applier = ObjectWriter;

    fn of(&self) -> &str {
        &self.of
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn undoing(of: UndoneRun<'_>) -> Result<(Self, Make), Failure> {
        let UpdateOptions { object, no_required_check, .. } = options(of.manifest, of.run)?;
        let mut fields: Vec<String> = Vec::new();
        for made in Done::read(of.run)? {
            let change: ObjectChange = serde_json::from_str(made?.change.get())
                .map_err(|error| usage(format!("{}: what was done cannot be read: {error}", of.run.id())))?;
            let new = change.fields.into_keys().filter(|name| !fields.contains(name)).collect::<Vec<_>>();
            fields.extend(new);
        }
        let run = of.run.clone();
        let (of, limit) = (of.manifest.id.clone(), of.limit);
        let options = Self { of, limit, object, fields, no_required_check };
        Ok((options, Box::new(move |file| rows::write(&run, file))))
    }

    fn what(&self, rows: u64) -> String {
        let object = self.object();
        format!(
            "These fields of {rows} {} get the values back that they had before run {}, unless they were changed since: {}.",
            if rows == 1 { object.name } else { object.plural },
            self.of,
            self.fields.join(", ")
        )
    }

    fn plan_files(run: &RunDir) -> Result<(), String> {
        plan::write_table(run)
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }

    async fn begin(&self, start: &Start<'_, (), DevRev>) -> Result<(UndoUpdate, ObjectWriter), Failure> {
        let (object, fields) = (self.object(), self.fields(start).await?);
        let client = &start.target.client;
        let lookup = Lookup::new(client.read_only(), object, fields.clone(), Extent::default());
        let planner = UndoUpdate::new(object, lookup, fields.clone());
        Ok((planner, ObjectWriter::new(client.clone(), object, fields, !self.no_required_check)))
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        Box::new(ObjectPlan::new(self.object(), settings.rate, calls))
    }
}
