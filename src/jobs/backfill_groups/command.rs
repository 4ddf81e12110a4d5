//! `backfill-groups`: begins a run, and what a run of it has of its own.

use crate::cli;
use crate::cli::choices::OnAmbiguous;
use crate::cli::choices::word;
use crate::connectors::{self, Typed};
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::apply::GroupWriter;
use crate::jobs::backfill_groups::decide::Rules;
use crate::jobs::backfill_groups::feed::IssueFeed;
use crate::jobs::backfill_groups::field;
use crate::jobs::backfill_groups::field_check::{self, Named};
use crate::jobs::backfill_groups::group_map::GroupMap;
use crate::jobs::backfill_groups::membership::{Cache, GroupRef, Listed, Scope};
use crate::jobs::backfill_groups::plan::GroupPlan;
use crate::jobs::backfill_groups::scan::{self, Issues, Preflight};
use crate::jobs::backfill_groups::{BackfillGroups, FieldChange};
use crate::jobs::rules::queries;
use crate::jobs::target::DevRev;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::kind::Kind;
use crate::report::html::entry::{Entry, Said};
use crate::report::terminal::Terminal;
use crate::report::units::counted;
use crate::report::units::span;
use crate::report::validation::shell_word;
use crate::run::begin::{self, New};
use crate::run::corrections::{Corrected, Corrections, keep_file};
use crate::run::job::{Job, PlanSummary, Start};
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The name under which a run keeps its copy of `--group-map`.
const GROUP_MAP: &str = "group-map.csv";

/// The options of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
pub(crate) struct BackfillOptions {
    /// `--on-ambiguous`.
    pub on_ambiguous: OnAmbiguous,
    /// `--overwrite`.
    pub overwrite: bool,
    /// `--include-default-groups`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub include_default_groups: bool,
    /// `--use-cached-groups`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub use_cached_groups: bool,
    /// `--limit`: only the first rows.
    pub limit: Option<u64>,
    /// `CREATOR_GROUP_FIELD`.
    pub field: String,
    /// Whether a `--group-map` was given; its copy is in the run's folder.
    pub group_map: bool,
    /// What the operator calls it; older runs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_map_name: Option<String>,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Begins a run and works on it until it ends.
pub(crate) async fn run(
    args: cli::batch::BackfillGroups,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Backfill)?;
    let options = BackfillOptions {
        on_ambiguous: args.on_ambiguous,
        overwrite: args.overwrite,
        include_default_groups: args.include_default_groups,
        use_cached_groups: args.use_cached_groups,
        limit: args.limit,
        field: settings.creator_group_field.clone(),
        group_map: args.group_map.is_some(),
        group_map_name: args.group_map.as_ref().map(|path| path.display().to_string()),
        sandbox: args.batch.sandbox,
    };
    let group_map = args.group_map.as_deref().map(read_group_map).transpose()?;
    let typed = Typed { rows: &args.rows, global: &global, client: &args.batch.client };
    let rows = connectors::rows(typed, queries::table(Some(Kind::Groups)), args.limit)?;
    let new = New::run(settings, args.dry_run, &args.batch, &global, terminal);
    begin::run(options, new, rows, |run| group_map.map_or(Ok(()), |text| keep_file(run, GROUP_MAP, &text)))
        .await
}

/// Reads the file that `--group-map` names.
fn read_group_map(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("--group-map {}: {error}", path.display())).because(error)
    })
}

/// A run that writes uses groups and members no older than this, unless `--use-cached-groups` is given.
const FRESH: Duration = Duration::from_secs(60);

impl BackfillOptions {
    /// Which groups count.
    fn scope(&self, start: &Start<'_, Issues, DevRev>) -> Scope {
        Scope { default: self.include_default_groups, contacts: start.scan.found.of_contacts }
    }

    fn typed_flags(&self, run: &RunDir) -> String {
        let mut flags = String::new();
        if self.on_ambiguous != OnAmbiguous::Skip {
            let _ = write!(flags, " --on-ambiguous {}", word(&self.on_ambiguous));
        }
        if self.group_map {
            let kept = run.path().join(GROUP_MAP);
            let _ = write!(flags, " --group-map {}", shell_word(&kept.to_string_lossy()));
        }
        let given = [
            (self.overwrite, " --overwrite"),
            (self.include_default_groups, " --include-default-groups"),
            (self.sandbox, " --sandbox"),
        ];
        for (given, flag) in given {
            flags.push_str(if given { flag } else { "" });
        }
        flags
    }

    /// Where the group index is kept; a sandbox in this process costs nothing to ask. A plan is not held against the index
    /// that it was made by: who has come or gone since would not show.
    fn cache(&self, start: &Start<'_, Issues, DevRev>) -> Option<Cache> {
        let manifest = start.manifest;
        if self.sandbox || manifest.applies.is_some() {
            return None;
        }
        let org = manifest.org.as_ref().map_or("", |org| org.id.as_str());
        let Scope { default, contacts } = self.scope(start);
        let default = if default { " with default groups" } else { "" };
        let contacts = if contacts { " with groups of contacts" } else { "" };
        let of = format!("{} {org}{default}{contacts}", start.target.address());
        let max_age = match start.settings.cache_ttl {
            ttl if self.use_cached_groups => ttl,
            _ if start.retries => Duration::ZERO,
            ttl if manifest.dry_run => ttl,
            ttl => ttl.min(FRESH),
        };
        Cache::new(&start.settings.runs_dir.join(".cache"), of, max_age)
    }
}

/// Rows whose result says something of the field that the run goes by.
fn settled_by_field(replay: &Replay) -> u64 {
    let in_row = replay.by_reason.get("already").and_then(|reasons| reasons.get("set-in-row"));
    let rows = |state: &str| replay.counts.get(state).copied().unwrap_or_default();
    ["done", "already", "unknown"].into_iter().map(rows).sum::<u64>() - in_row.copied().unwrap_or_default()
}

/// What the summary says of the groups that a run went by.
fn of_groups(listed: &Listed) -> String {
    let Listed { membership, at, from_cache } = listed;
    let mut text = counted(membership.len() as u64, "group");
    if *from_cache {
        let age = span(listed.age(Utc::now()));
        let _ =
            write!(text, ", from the cache: listed {age} earlier, at {}", at.format("%Y-%m-%d %H:%M:%S UTC"));
    } else {
        text.push_str(", listed by this run");
    }
    if !membership.left_out().is_empty() {
        let left_out = counted(membership.left_out().len() as u64, "default group");
        let _ = write!(text, "; {left_out} left out (--include-default-groups uses them)");
    }
    if !membership.gone().is_empty() {
        let gone: Vec<_> = membership.gone().iter().map(GroupRef::named).collect();
        let _ = write!(text, "; left out because they were deleted meanwhile: {}", gone.join(", "));
    }
    text
}

impl Job for BackfillOptions {
    const COMMAND: &'static str = "backfill-groups";
    const KEPT: &'static [&'static str] = &[GROUP_MAP];
    type Target = DevRev;
    type Found = Issues;
    type Planner = BackfillGroups;
    type Applier = GroupWriter;
    type Feed = IssueFeed;

    fn in_sandbox(&self) -> bool {
        self.sandbox
    }

    fn scan(&self, input: &Input) -> Result<Preflight, Failure> {
        scan::scan(input)
    }

    fn total(&self, scan: &Preflight) -> u64 {
        self.limit.map_or(scan.rows, |limit| limit.min(scan.rows))
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        Some(self.limit.map_or(rows, |limit| limit.min(rows)))
    }

    fn flags(&self, run: &RunDir, _manifest: &Manifest) -> Option<String> {
        Some(self.typed_flags(run))
    }

    fn correct(&mut self, given: &Corrections<'_>) -> Result<Corrected, Failure> {
        let mut corrected = Corrected::default();
        given.only(&["on-ambiguous", "group-map"])?;
        given.keep_plan()?;
        let field = &given.settings.creator_group_field;
        if let Some(entry) = given.given("CREATOR_GROUP_FIELD").filter(|_| *field != self.field) {
            let from = entry["from"].as_str().unwrap_or_default();
            given.decides(from)?;
            let of_old = given.replay.map_or(0, settled_by_field);
            if of_old > 0 {
                let text = format!(
                    "{from}: run {} has {} settled by the field `{}`, and the field is now `{field}`: change it back, \
                     or start a new run",
                    given.id(),
                    counted(of_old, "row"),
                    self.field
                );
                return Err(Corrections::usage(text));
            }
            corrected.set("CREATOR_GROUP_FIELD", entry, field, &self.field);
            self.field.clone_from(field);
        }
        corrected.choose("on-ambiguous", &mut self.on_ambiguous, given.flags.on_ambiguous);
        if let Some(path) = &given.flags.group_map {
            corrected.files.push((GROUP_MAP, read_group_map(path)?));
            let then = if self.group_map { "the one before" } else { "none" };
            let text = format!("--group-map {} replaces {then} for the rows that are left", path.display());
            corrected.said.push(text);
            self.group_map = true;
            self.group_map_name = Some(path.display().to_string());
        }
        Ok(corrected)
    }

    fn what(&self, _scan: &Preflight) -> String {
        let more =
            if self.overwrite { ", and those that have one may get another (--overwrite)" } else { "" };
        format!("Issues that lack a creator group will get one{more}.")
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        let Said::Planned(change) = said else { return None };
        let change: FieldChange = serde_json::from_str(change.get()).ok()?;
        let after = match &change.after_name {
            Some(name) => format!("{name} ({})", change.after),
            None => change.after,
        };
        Some(Entry::default().change("creator group", change.before.as_deref(), Some(&after)))
    }

    async fn before_asking(&self, start: &Start<'_, Issues, DevRev>) -> Result<Vec<String>, Failure> {
        let client = start.target.client.read_only();
        let notes = field_check::check(&client, &self.field, Named::BySetting).await?;
        let cached = match self.cache(start) {
            Some(cache) => cache.read().await,
            None => None,
        };
        let groups = match cached {
            Some(listed) => format!("as listed {} ago", span(listed.age(Utc::now()))),
            None => "listed when the run begins".to_owned(),
        };
        let mut lines = vec![format!("groups        {groups}")];
        lines.extend(notes.iter().map(|note| format!("note          {note}")));
        for note in notes {
            start.note(note);
        }
        Ok(lines)
    }

    async fn begin(
        &self,
        start: &Start<'_, Issues, DevRev>,
    ) -> Result<(BackfillGroups, GroupWriter), Failure> {
        let reads = start.target.client.read_only();
        if start.terminal.draws() {
            start.terminal.say("listing groups and their members ...");
        }
        let cache = self.cache(start);
        let listed = Listed::load(&reads, cache.as_ref(), self.scope(start)).await?;
        start.note(format!("groups: {}", of_groups(&listed)));
        let membership = Arc::new(listed.membership);
        let group_map = if self.group_map {
            let kept = start.run.path().join(GROUP_MAP);
            let name = self.group_map_name.clone().unwrap_or_else(|| kept.display().to_string());
            GroupMap::read(&kept, &name, &membership)?
        } else {
            GroupMap::default()
        };
        let (on_ambiguous, overwrite) = (self.on_ambiguous, self.overwrite);
        let rules = Rules { membership, group_map, on_ambiguous, overwrite };
        let field = field::named(&self.field);
        let planner = BackfillGroups::new(reads, field.clone(), rules);
        Ok((planner, GroupWriter::new(start.target.client.clone(), field)))
    }

    fn feed(&self, input: &Input, scan: Preflight, replay: Replay, stop: Stop) -> Result<IssueFeed, Failure> {
        IssueFeed::new(input, scan, self.limit, replay, stop)
    }

    fn plan(&self, settings: &Settings, calls: u64) -> Box<dyn PlanSummary> {
        Box::new(GroupPlan::new(settings.rate_of(self.sandbox), calls))
    }
}
