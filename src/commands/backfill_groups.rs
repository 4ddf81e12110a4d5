//! `backfill-groups`: begins a run, and what a run of it has of its own.

use super::begin::{self, New, Rows};
use super::group_plan::GroupPlan;
use super::issue_feed::IssueFeed;
use super::job::{Job, Plan, Start};
use super::preflight::{self, Preflight};
use crate::cli;
use crate::devrev::works::GroupField;
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::apply::GroupWriter;
use crate::jobs::backfill_groups::decide::{OnAmbiguous, Rules};
use crate::jobs::backfill_groups::group_map::GroupMap;
use crate::jobs::backfill_groups::membership::{Cache, Membership};
use crate::jobs::backfill_groups::{BackfillGroups, Change};
use crate::jobs::failing;
use crate::jobs::rules::Kind;
use crate::journal::atomic;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::Terminal;
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The name under which a run keeps its copy of `--group-map`.
const GROUP_MAP: &str = "group-map.csv";

/// The options of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillOptions {
    /// `--on-ambiguous`.
    pub on_ambiguous: OnAmbiguous,
    /// `--overwrite`.
    pub overwrite: bool,
    /// `--limit`: only the first rows.
    pub limit: Option<u64>,
    /// `CREATOR_GROUP_FIELD`.
    pub field: String,
    /// Whether a `--group-map` was given; its copy is in the run's folder.
    pub group_map: bool,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
}

/// Begins a run and works on it until it ends.
pub async fn run(
    args: cli::batch::BackfillGroups,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let on_ambiguous = super::choice("on-ambiguous", args.on_ambiguous.as_deref(), OnAmbiguous::Skip)?;
    let options = BackfillOptions {
        on_ambiguous,
        overwrite: args.overwrite,
        limit: args.limit,
        field: settings.creator_group_field.clone(),
        group_map: args.group_map.is_some(),
        sandbox: args.batch.sandbox,
    };
    let group_map = args.group_map.as_deref().map(read_group_map).transpose()?;
    let rows = Rows::typed(&args.rows, Kind::Groups, args.limit, &global, &args.batch.client)?;
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    begin::run(options, new, rows, |run| keep_group_map(run, group_map)).await
}

/// Reads the file that `--group-map` names.
fn read_group_map(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Usage, format!("--group-map {}: {error}", path.display())))
}

/// Keeps a copy of it: `resume` goes by what the run began with.
fn keep_group_map(run: &RunDir, text: Option<Vec<u8>>) -> Result<(), Failure> {
    let Some(text) = text else { return Ok(()) };
    let path = run.path().join(GROUP_MAP);
    atomic::replace(&path, |file| file.write_all(&text))
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())))
}

impl BackfillOptions {
    /// Where the group index is kept; a sandbox in this process costs nothing to ask. A plan is not held against the index
    /// that it was made by: who has come or gone since would not show.
    fn cache(&self, start: &Start<'_, Preflight>) -> Option<Cache> {
        let org = start.manifest.org.as_ref().map_or("", |org| org.id.as_str());
        let folder = start.settings.runs_dir.join(".cache");
        let of = format!("{} {org}", start.target);
        let anew = self.sandbox || start.manifest.applies.is_some();
        if anew { None } else { Cache::new(&folder, of, start.settings.cache_ttl) }
    }
}

impl Job for BackfillOptions {
    const COMMAND: &'static str = "backfill-groups";
    const KEPT: &'static [&'static str] = &[GROUP_MAP];
    type Looked = Preflight;
    type Planner = BackfillGroups;
    type Applier = GroupWriter;
    type Feed = IssueFeed;

    fn in_sandbox(&self) -> bool {
        self.sandbox
    }

    fn look(&self, input: &Input) -> Result<Preflight, Failure> {
        preflight::look(input)
    }

    fn total(&self, looked: &Preflight) -> u64 {
        self.limit.map_or(looked.rows, |limit| limit.min(looked.rows))
    }

    fn what(&self, _looked: &Preflight) -> String {
        let more =
            if self.overwrite { ", and those that have one may get another (--overwrite)" } else { "" };
        format!("Issues that lack a creator group will get one{more}.")
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        let Said::Planned(change) = said else { return None };
        let change: Change = serde_json::from_str(change.get()).ok()?;
        let after = match &change.after_name {
            Some(name) => format!("{name} ({})", change.after),
            None => change.after,
        };
        Some(Entry::default().change("creator group", change.before.as_deref(), Some(&after)))
    }

    async fn begin(&self, start: &Start<'_, Preflight>) -> Result<(BackfillGroups, GroupWriter), Failure> {
        let reads = start.client.read_only();
        if start.terminal.draws() {
            start.terminal.say("finding out who is in which groups ...");
        }
        let membership = Membership::load(&reads, self.cache(start).as_ref()).await.map_err(|error| {
            failing::ends_run(&error).unwrap_or_else(|| {
                Failure::new(Exit::Stopped, format!("cannot list the groups and their members: {error}"))
            })
        })?;
        let membership = Arc::new(membership);
        let group_map = if self.group_map {
            GroupMap::read(&start.run.path().join(GROUP_MAP), &membership)?
        } else {
            GroupMap::default()
        };
        let (on_ambiguous, overwrite) = (self.on_ambiguous, self.overwrite);
        let rules = Rules { membership, group_map, on_ambiguous, overwrite };
        let field = GroupField::named(&self.field);
        let planner = BackfillGroups::new(reads, field.clone(), rules);
        Ok((planner, GroupWriter::new(start.client.clone(), field)))
    }

    fn feed(
        &self,
        input: &Input,
        looked: Preflight,
        replay: Replay,
        retry_failed: bool,
        stop: Stop,
    ) -> Result<IssueFeed, Failure> {
        IssueFeed::new(input, looked, self.limit, replay, retry_failed, stop)
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn Plan> {
        Box::new(GroupPlan::new(settings.rate_of(self.sandbox), calls))
    }
}
