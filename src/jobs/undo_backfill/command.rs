//! `undo` of a backfill: what a run of it has of its own.

use crate::devrev::ids::{Issue, Names, Ref, UserId};
use crate::exit::Failure;
use crate::jobs::backfill_groups::apply::GroupWriter;
use crate::jobs::backfill_groups::command::BackfillOptions;
use crate::jobs::backfill_groups::field;
use crate::jobs::backfill_groups::field_check::{self, Named};
use crate::jobs::backfill_groups::plan::GroupPlan;
use crate::jobs::target::DevRev;
use crate::jobs::undo_backfill::{Item, UndoBackfill, rows};
use crate::jobs::undoing::feed::Made;
use crate::jobs::undoing::job::UndoJob;
use crate::report::html::entry::{Entry, Said};
use crate::run::checks::options;
use crate::run::job::{Job, Make, PlanSummary, Start, UndoneRun};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// The options of an undo of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndoBackfillOptions {
    /// The run that is undone.
    pub of: String,
    /// `--limit`: only the first issues.
    pub limit: Option<u64>,
    /// The field that the run wrote.
    pub field: String,
}

impl Made for Item {
    const COLUMNS: &'static [&'static str] = &rows::COLUMNS;

    fn read(fields: &[&str]) -> Result<(String, Self), String> {
        let &[issue, before, after, creator] = fields else { return Err("it lacks fields".to_owned()) };
        let parsed = Ref::parse(issue, Issue::TYPES).map_err(|error| error.to_string())?;
        let item = Self {
            key: parsed.key(),
            issue: issue.to_owned(),
            before: Some(before.to_owned()).filter(|before| !before.is_empty()),
            after: after.to_owned(),
            // Only saves calls: without it the issue is read by itself.
            creator: UserId::parse(creator).ok(),
        };
        Ok((parsed.key().to_string(), item))
    }
}

impl UndoJob for UndoBackfillOptions {
    const COMMAND: &'static str = "undo-backfill";
    const UNDOES: &'static [&'static str] = &[BackfillOptions::COMMAND];
    type Target = DevRev;
    type Item = Item;
    type Planner = UndoBackfill;
    type Applier = GroupWriter;

    fn of(&self) -> &str {
        &self.of
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn undoing(of: UndoneRun<'_>) -> Result<(Self, Make), Failure> {
        let BackfillOptions { field, .. } = options(of.manifest, of.run)?;
        let run = of.run.clone();
        let options = Self { of: of.manifest.id.clone(), limit: of.limit, field };
        Ok((options, Box::new(move |file, _| rows::write(&run, file))))
    }

    fn what(&self, rows: u64) -> String {
        format!(
            "{rows} issues get back the creator group that they had before run {}, or none, where it still is the one \
             that the run set.",
            self.of
        )
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        Entry::before_and_after("creator group", said)
    }

    async fn before_asking(&self, start: &Start<'_, (), DevRev>) -> Result<Vec<String>, Failure> {
        let client = start.target.client.read_only();
        let notes = field_check::check(&client, &self.field, Named::ByRun(&self.of)).await?;
        let lines = notes.iter().map(|note| format!("note          {note}")).collect();
        for note in notes {
            start.note(note);
        }
        Ok(lines)
    }

    async fn begin(&self, start: &Start<'_, (), DevRev>) -> Result<(UndoBackfill, GroupWriter), Failure> {
        let field = field::named(&self.field);
        let planner = UndoBackfill::new(start.target.client.read_only(), field.clone());
        Ok((planner, GroupWriter::new(start.target.client.clone(), field)))
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        Box::new(GroupPlan::new(settings.rate, calls))
    }
}
