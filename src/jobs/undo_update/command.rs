//! `undo` of an update: what a run of it has of its own.

use super::{Item, UndoUpdate, rows};
use crate::devrev::objects::{self, Field, Object};
use crate::exit::Failure;
use crate::jobs::target::DevRev;
use crate::jobs::undoing::feed::Made;
use crate::jobs::undoing::job::UndoJob;
use crate::jobs::update_fields::apply::ObjectWriter;
use crate::jobs::update_fields::change::ObjectChange;
use crate::jobs::update_fields::command::{AUTOMATIONS, CreateJob, UpdateJob};
use crate::jobs::update_fields::fields::{Fields, usage};
use crate::jobs::update_fields::lookup::{EXTERNAL_REF, Extent, Lookup};
use crate::jobs::update_fields::options::UpdateOptions;
use crate::jobs::update_fields::plan::{self, ObjectPlan};
use crate::jobs::update_fields::tags::{self, TagNames};
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
    /// `--delete-created`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_created: bool,
    /// How many objects the run created.
    #[serde(default)]
    pub created: u64,
    /// The fields that it gave them.
    #[serde(default)]
    pub given: Vec<String>,
    /// `--create-tags` of the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created_tags: bool,
    /// The tags that it set and that did not exist before.
    #[serde(default, skip_serializing_if = "TagNames::is_empty")]
    pub new_tags: TagNames,
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

    /// What is said of tags that the run created: others may use them by now, and the API cannot delete them.
    fn tags_stay(&self) -> Option<String> {
        let names = tags::listed(&self.new_tags);
        let names = if names.is_empty() { names } else { format!(": {names}") };
        let text = || format!("Tags that run {} created stay, the API cannot delete them{names}.", self.of);
        self.created_tags.then(text)
    }

    async fn fields(&self, start: &Start<'_, (), DevRev>) -> Result<Vec<Field>, Failure> {
        let names: HashSet<String> = self.fields.iter().chain(&self.given).cloned().collect();
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
        let written = self.fields.iter().map(named).collect::<Result<_, _>>()?;
        let key = self.object().keys.iter().find(|key| key.name == EXTERNAL_REF);
        Ok(key.filter(|_| self.created > 0).map_or(written, |key| fields.with_key(self.object(), key)))
    }
}

impl UndoJob for UndoUpdateOptions {
    const COMMAND: &'static str = "undo-update";
    const DELETES: bool = true;
    const UNDOES: &'static [&'static str] = &[UpdateJob::COMMAND, CreateJob::COMMAND];
    const WARNING: Option<&'static str> = Some(AUTOMATIONS);
    type Target = DevRev;
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
        let UpdateOptions { object, no_required_check, create_tags: created_tags, .. } =
            options(of.manifest, of.run)?;
        let mut fields: Vec<String> = Vec::new();
        let (mut created, mut given, mut new_tags) = (0, Vec::new(), TagNames::new());
        for made in Done::read(of.run)? {
            let (change, new) = rows::change_of(&made?)
                .map_err(|error| usage(format!("{}: what was done cannot be read: {error}", of.run.id())))?;
            for name in new {
                new_tags.entry(tags::folded(&name)).or_insert(name);
            }
            created += u64::from(change.create.is_some());
            let names = if change.create.is_some() { &mut given } else { &mut fields };
            let new = change.fields.into_keys().filter(|name| !names.contains(name)).collect::<Vec<_>>();
            names.extend(new);
        }
        let run = of.run.clone();
        let UndoneRun { manifest, limit, delete_created, .. } = of;
        let of = manifest.id.clone();
        let options = Self {
            of,
            limit,
            object,
            fields,
            delete_created,
            created,
            given,
            created_tags,
            new_tags,
            no_required_check,
        };
        Ok((options, Box::new(move |file, _| rows::write(&run, file))))
    }

    fn what(&self, rows: u64) -> String {
        let (plural, of) = (self.object().plural, &self.of);
        let mut parts = Vec::new();
        if !self.fields.is_empty() {
            let rows = rows.saturating_sub(self.created);
            parts.push(format!(
                "These fields of {rows} {} get the values back that they had before run {of}, unless they were changed \
                 since: {}.",
                if rows == 1 { self.object().name } else { plural },
                self.fields.join(", ")
            ));
        }
        if self.created > 0 {
            let created = self.created.min(rows);
            let what = if self.object().deletion.is_none() {
                "stay: the API cannot delete them"
            } else if self.delete_created {
                "are DELETED for good, where nobody has changed them since"
            } else {
                "stay: --delete-created deletes them"
            };
            parts.push(format!("{created} {plural} that run {of} created {what}."));
        }
        parts.extend(self.tags_stay());
        parts.join(" ")
    }

    fn plan_files(&self, run: &RunDir) -> Result<(), String> {
        plan::write_table(run, self.object(), None)
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        plan::tell(said)
    }

    async fn begin(&self, start: &Start<'_, (), DevRev>) -> Result<(UndoUpdate, ObjectWriter), Failure> {
        let (object, fields) = (self.object(), self.fields(start).await?);
        self.tags_stay().into_iter().for_each(|text| start.note(text));
        let client = &start.target.client;
        let lookup = Lookup::new(client.read_only(), object, fields.clone(), Extent::default());
        let planner = UndoUpdate::new(object, lookup, fields.clone(), self.delete_created);
        Ok((planner, ObjectWriter::new(client.clone(), object, fields, !self.no_required_check)))
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        Box::new(ObjectPlan::new(self.object(), settings.rate, calls))
    }
}
