//! `undo` of a backfill: what a run of it has of its own.

use super::job::{Job, Start};
use super::made_feed::{Made, MadeFeed, MadeRows, nothing_to_do};
use crate::devrev::ids::{Issue, Names, Ref, UserId};
use crate::devrev::works::GroupField;
use crate::exit::Failure;
use crate::jobs::backfill_groups::apply::GroupWriter;
use crate::jobs::undo_backfill::{Item, UndoBackfill, rows};
use crate::journal::replay::Replay;
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use serde::{Deserialize, Serialize};

/// The options of an undo of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoBackfillOptions {
    /// The run that is taken back.
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
        let number = parsed.number().ok_or_else(|| format!("`{issue}` is no issue's ID"))?;
        let item = Self {
            number,
            issue: issue.to_owned(),
            before: Some(before.to_owned()).filter(|before| !before.is_empty()),
            after: after.to_owned(),
            // Only saves calls: without it the issue is read by itself.
            creator: UserId::parse(creator).ok(),
        };
        Ok((parsed.key().to_string(), item))
    }
}

impl Job for UndoBackfillOptions {
    const COMMAND: &'static str = "undo-backfill";
    type Looked = MadeRows;
    type Planner = UndoBackfill;
    type Applier = GroupWriter;
    type Feed = MadeFeed<Item>;

    fn in_sandbox(&self) -> bool {
        false
    }

    fn look(&self, input: &Input) -> Result<MadeRows, Failure> {
        MadeRows::look::<Item>(input)
    }

    fn total(&self, looked: &MadeRows) -> u64 {
        looked.within(self.limit)
    }

    fn what(&self, looked: &MadeRows) -> String {
        format!(
            "{} issues get back the creator group that they had before run {}, or none, where it still is the one that \
             the run set.",
            looked.within(self.limit),
            self.of
        )
    }

    fn check(&self, _settings: &Settings, looked: &MadeRows, _dry_run: bool) -> Result<(), Failure> {
        if looked.within(None) == 0 { Err(nothing_to_do(&self.of)) } else { Ok(()) }
    }

    async fn begin(&self, start: &Start<'_, MadeRows>) -> Result<(UndoBackfill, GroupWriter), Failure> {
        let field = GroupField::named(&self.field);
        let planner = UndoBackfill::new(start.client.read_only(), field.clone());
        Ok((planner, GroupWriter::new(start.client.clone(), field)))
    }

    fn feed(
        &self,
        input: &Input,
        looked: MadeRows,
        replay: Replay,
        retry_failed: bool,
        stop: Stop,
    ) -> Result<MadeFeed<Item>, Failure> {
        MadeFeed::new(input, &looked, self.limit, replay, retry_failed, stop)
    }
}
