//! `undo` of merges: what a run of it has of its own.

use crate::engine::config::Config;
use crate::exit::Failure;
use crate::jobs::merge_contacts::elsewhere;
use crate::jobs::target::DevRev;
use crate::jobs::undo_merge::page;
use crate::jobs::undo_merge::plan::UndoPlan;
use crate::jobs::undo_merge::undoer::Undoer;
use crate::jobs::undo_merge::{Item, UndoMerge, rows};
use crate::jobs::undoing::feed::Made;
use crate::jobs::undoing::job::UndoJob;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::report::id_map;
use crate::run::job::{Make, PlanSummary, Reported, Start, UndoneRun};
use crate::settings::{Rates, Settings};
use serde::{Deserialize, Serialize};

/// The options of an undo of merges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UndoMergeOptions {
    /// The run that is undone.
    pub of: String,
    /// `--limit`: only the first pairs.
    pub limit: Option<u64>,
}

impl Made for Item {
    const COLUMNS: &'static [&'static str] = &rows::COLUMNS;

    fn read(fields: &[&str]) -> Result<(String, Self), String> {
        let &[email, primary, secondary, primary_backup, secondary_backup, merged_ref, merged_name] = fields
        else {
            return Err("it lacks fields".to_owned());
        };
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let item = Self {
            email: email.to_owned(),
            primary: primary.to_owned(),
            secondary: secondary.to_owned(),
            primary_backup: primary_backup.into(),
            secondary_backup: secondary_backup.into(),
            merged_ref: given(merged_ref),
            merged_name: given(merged_name),
        };
        Ok((email.to_owned(), item))
    }
}

impl UndoJob for UndoMergeOptions {
    const COMMAND: &'static str = crate::jobs::undo_merge::COMMAND;
    const UNDOES: &'static [&'static str] = &[crate::jobs::merge_contacts::COMMAND];
    const RATES: Rates = Rates::Merge;
    const LOSES: &'static [&'static str] = &[
        "which new contact stands for which old one (undo-id-map.csv)",
        "that the contacts it created were verified before: merges to come go by what DevRev shows",
    ];
    const REPORTED: Option<Reported> = Some(Reported("undone"));
    const NAME_IS_TYPED: bool = true;
    const TOLD: &'static str = "Merges undone";
    type Target = DevRev;
    type Item = Item;
    type Planner = UndoMerge;
    type Applier = Undoer;

    fn of(&self) -> &str {
        &self.of
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn undoing(of: UndoneRun<'_>) -> Result<(Self, Make), Failure> {
        // Where the merges had them, unless they were moved.
        let is_given = of.settings.origin("BACKUP_DIR") != "default";
        let backup_dir = is_given.then(|| of.settings.backup_dir.clone());
        let backup_dir = backup_dir.map(|dir| std::path::absolute(&dir).unwrap_or(dir));
        let run = of.run.clone();
        let options = Self { of: of.manifest.id.clone(), limit: of.limit };
        Ok((options, Box::new(move |file, _| rows::write(&run, backup_dir.as_deref(), file))))
    }

    fn what(&self, rows: u64) -> String {
        format!(
            "{} merges of run {} will be undone from their backups, as far as possible: each merged contact is \
             created again with a NEW ID, and the works that it owned or reported are assigned to it.\n\
             Not restored: the old IDs, the dates of creation, who created a work, who wrote a message, and who takes \
             part in a conversation. Anything changed since the merge is left alone.",
            rows, self.of
        )
    }

    async fn begin(&self, start: &Start<'_, (), DevRev>) -> Result<(UndoMerge, Undoer), Failure> {
        let settings = start.settings;
        // This process holds the run that is undone: a run of merges that begins meanwhile is turned away.
        let elsewhere = if start.manifest.dry_run {
            elsewhere::Elsewhere::default()
        } else {
            let (runs_dir, own) = (settings.runs_dir.clone(), self.of.clone());
            let (org, stop) = (start.manifest.org.clone(), start.stop.clone());
            let read = move || elsewhere::in_doubt(&runs_dir, &own, org.as_ref(), &stop);
            crate::run::signals::on_thread(start.stop, read).await?
        };
        let planner = UndoMerge::new(start.target.client.read_only(), elsewhere);
        Ok((
            planner,
            Undoer::new(&start.target.client, start.stop, settings.poll_delay, settings.settle_timeout),
        ))
    }

    fn tune(&self, config: &mut Config) {
        config.record_each = true;
    }

    fn plan(&self, _settings: &Settings, _calls: u64) -> Box<dyn PlanSummary> {
        Box::<UndoPlan>::default()
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        page::tell(said)
    }

    fn result_files(run: &RunDir) -> Result<(), String> {
        id_map::write(run).map_err(|error| format!("cannot write {}: {error}", run.id_map().display()))
    }
}
