//! `merge-contacts`: begins a run, and what a run of it has of its own.

use crate::backup::{draft, space};
use crate::cli;
use crate::cli::choices::OnDrift;
use crate::cli::choices::word;
use crate::cli::choices::{Keep, OnCountMismatch, OnMissingAttachment};
use crate::connectors::{self, Typed};
use crate::engine::config::Config;
use crate::engine::event::Tally;
use crate::exit::{Exit, Failure};
use crate::jobs;
use crate::jobs::merge_contacts::apply::MERGE_REFUSED;
use crate::jobs::merge_contacts::backups::on_disk;
use crate::jobs::merge_contacts::feed::ContactFeed;
use crate::jobs::merge_contacts::merger::{How, Merger};
use crate::jobs::merge_contacts::note::Scope;
use crate::jobs::merge_contacts::page;
use crate::jobs::merge_contacts::pairing::Pairing;
use crate::jobs::merge_contacts::plan::MergePlan;
use crate::jobs::merge_contacts::scan::{self, ContactPreflight};
use crate::jobs::merge_contacts::{COUNT_DIFFERS, MergeContacts, Rules, elsewhere, restored};
use crate::jobs::rules::queries;
use crate::jobs::target::DevRev;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::kind::Kind;
use crate::report::html::entry::{Entry, Said};
use crate::report::review::write_review;
use crate::report::terminal::Terminal;
use crate::report::validation::shell_word;
use crate::run::begin::{self, New};
use crate::run::corrections::{Corrected, Corrections};
use crate::run::job::{Job, PlanSummary, Reported, Start};
use crate::run::scan::source_failure;
use crate::run::signals;
use crate::settings::{Rates, Settings};
use crate::source::Input;
use crate::stop::Stop;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Disk space that a ticket is estimated with, in bytes.
const TICKET_BYTES: u64 = 1 << 20;
/// Pairs that may be under way at once: most of them wait for DevRev.
const OPEN_PAIRS: usize = 400;
/// Pairs that are read together before the first merge.
const FIRST_PAIRS: usize = 25;
/// How old a look at both contacts may be when their merge is sent, unless the limit is so low that more time
/// passes while others are looked at.
const MAX_AGE: Duration = Duration::from_secs(120);
/// Calls that may go before a merge after its look.
const CALLS_BEFORE: u32 = 120;

/// What is said before merges are sent.
const IRREVERSIBLE: &str = "DevRev cannot undo a merge.";

/// The options of a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeOptions {
    /// `--primary`.
    pub primary: Keep,
    /// `--filter-email`.
    pub filter_email: Vec<String>,
    /// `--exclude-email`; older runs do not say.
    #[serde(default)]
    pub exclude_email: Vec<String>,
    /// `--limit`: only the first pairs.
    pub limit: Option<u64>,
    /// `--on-count-mismatch`.
    pub on_count_mismatch: OnCountMismatch,
    /// `--on-missing-attachment`; older runs do not say.
    #[serde(default)]
    pub on_missing_attachment: OnMissingAttachment,
    /// Where backups are, as an absolute path.
    pub backup_dir: PathBuf,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
}

/// Begins a run and works on it until it ends.
pub(crate) async fn run(
    args: cli::batch::MergeContacts,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let settings = Settings::resolve(&global, &args.batch, Rates::Merge)?;
    // Not the limit: it counts pairs.
    let typed = Typed { rows: &args.rows, global: &global, client: &args.batch.client };
    let rows = connectors::rows(typed, queries::table(Some(Kind::Contacts)), None)?;
    let options = MergeOptions {
        primary: args.primary,
        filter_email: args.filter_email,
        exclude_email: args.exclude_email,
        limit: args.limit,
        on_count_mismatch: args.on_count_mismatch,
        on_missing_attachment: args.on_missing_attachment,
        backup_dir: absolute(&settings.backup_dir),
        sandbox: args.batch.sandbox,
    };
    let new = New {
        resend_unproven: args.resend_unproven,
        ..New::run(settings, args.dry_run, &args.batch, &global, terminal)
    };
    begin::run(options, new, rows, |_| Ok(())).await
}

/// Writes the rows that people must look at.
fn review(start: &Start<'_, Pairing, DevRev>) -> Result<(), Failure> {
    let rows = start.input.open().map_err(|error| source_failure(&error))?.rows();
    let path = start.run.review();
    let written = write_review(&path, rows, start.stop, |row| start.scan.found.review_of(row));
    match written {
        _ if start.stop.is_set() => Err(signals::interrupted(start.stop, "interrupted")),
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())))
        }
    }
}

impl MergeOptions {
    /// What earlier runs mean for this one: merges that they have in doubt, and contacts that undos have made. The sandbox
    /// of another process is another world.
    async fn of_other_runs(
        &self,
        start: &Start<'_, Pairing, DevRev>,
    ) -> Result<(elsewhere::Elsewhere, restored::Made), Failure> {
        let (in_sandbox, dry_run) = (self.sandbox, start.manifest.dry_run);
        let (backup_dir, runs_dir) = (self.backup_dir.clone(), start.settings.runs_dir.clone());
        let (own, org, stop) = (start.run.id().to_owned(), start.manifest.org.clone(), start.stop.clone());
        let read = move || {
            if !dry_run && backup_dir.is_dir() {
                draft::clear_partials(&backup_dir, &own)?;
            }
            if in_sandbox {
                return Ok((elsewhere::Elsewhere::default(), restored::Made::default()));
            }
            let elsewhere = if dry_run {
                elsewhere::Elsewhere::default()
            } else {
                elsewhere::in_doubt(&runs_dir, &own, org.as_ref(), &stop)?
            };
            Ok((elsewhere, restored::verified(&runs_dir, org.as_ref(), &stop)))
        };
        crate::run::signals::on_thread(start.stop, read).await
    }

    /// `backup_dir` if it was typed.
    fn typed_flags(&self, backup_dir: bool) -> String {
        let mut flags = String::new();
        if self.primary != Keep::Revu {
            let _ = write!(flags, " --primary {}", word(&self.primary));
        }
        if self.on_count_mismatch != OnCountMismatch::Fail {
            let _ = write!(flags, " --on-count-mismatch {}", word(&self.on_count_mismatch));
        }
        if self.on_missing_attachment != OnMissingAttachment::Fail {
            let _ = write!(flags, " --on-missing-attachment {}", word(&self.on_missing_attachment));
        }
        if backup_dir {
            let _ = write!(flags, " --backup-dir {}", shell_word(&self.backup_dir.to_string_lossy()));
        }
        flags.push_str(if self.sandbox { " --sandbox" } else { "" });
        flags
    }
}

/// `resume` may be called from elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Job for MergeOptions {
    const COMMAND: &'static str = jobs::merge_contacts::COMMAND;
    const RATES: Rates = Rates::Merge;
    const REPORTED: Option<Reported> = Some(Reported("pairs"));
    const WARNING: Option<&'static str> = Some(IRREVERSIBLE);
    const NAME_IS_TYPED: bool = true;
    const TOLD: &'static str = "Pairs";
    type Target = DevRev;
    type Found = Pairing;
    type Planner = MergeContacts;
    type Applier = Merger;
    type Feed = ContactFeed;

    fn in_sandbox(&self) -> bool {
        self.sandbox
    }

    fn scan(&self, input: &Input) -> Result<ContactPreflight, Failure> {
        let scope = Scope {
            keep: self.primary,
            emails: self.filter_email.clone(),
            except: self.exclude_email.clone(),
            limit: self.limit,
        };
        let scan = scan::scan(input, scope)?;
        let unmatched = scan.found.unmatched();
        if unmatched.is_empty() {
            return Ok(scan);
        }
        let text = format!("--filter-email: {} has no row with {}", input.name(), unmatched.join(", "));
        Err(Failure::new(Exit::Usage, text))
    }

    fn total(&self, scan: &ContactPreflight) -> u64 {
        scan.found.numbers().in_scope
    }

    fn rows(&self, rows: u64) -> Option<u64> {
        // They count pairs, or rows with certain addresses.
        let is_whole = self.limit.is_none() && self.filter_email.is_empty() && self.exclude_email.is_empty();
        is_whole.then_some(rows)
    }

    fn flags(&self, _run: &RunDir, manifest: &Manifest) -> Option<String> {
        Some(self.typed_flags(manifest.settings["resolved"]["BACKUP_DIR"]["from"] == "--backup-dir"))
    }

    fn correct(&mut self, given: &Corrections<'_>) -> Result<Corrected, Failure> {
        let mut corrected = Corrected::default();
        given.only(&["on-count-mismatch", "on-missing-attachment"])?;
        given.keep_plan()?;
        let flags = given.flags;
        corrected.choose("on-count-mismatch", &mut self.on_count_mismatch, flags.on_count_mismatch);
        corrected.choose(
            "on-missing-attachment",
            &mut self.on_missing_attachment,
            flags.on_missing_attachment,
        );
        // The disk of the first one may be full. Backups that were made stay where they are.
        let dir = absolute(&given.settings.backup_dir);
        if let Some(entry) = given.given("BACKUP_DIR").filter(|_| dir != self.backup_dir) {
            let (now, then) = (dir.display().to_string(), self.backup_dir.display().to_string());
            corrected.set("BACKUP_DIR", entry, &now, &then);
            self.backup_dir = dir;
        }
        Ok(corrected)
    }

    fn what(&self, scan: &ContactPreflight) -> String {
        let numbers = scan.found.numbers();
        let kept = match self.primary {
            Keep::Revu => "REVU-",
            Keep::User => "user_",
        };
        let left_out = if self.filter_email.is_empty() && self.exclude_email.is_empty() {
            String::new()
        } else {
            let rows = numbers.rows.saturating_sub(numbers.in_filter);
            format!("{rows} of {} rows are left out by --filter-email or --exclude-email.\n", numbers.rows)
        };
        format!(
            "{} pairs of contacts ({} tickets) will be backed up to {} and merged; the {kept} one of each stays.\n\
             {left_out}{IRREVERSIBLE}",
            numbers.pairs,
            numbers.tickets,
            self.backup_dir.display()
        )
    }

    fn check(&self, _settings: &Settings, scan: &ContactPreflight, dry_run: bool) -> Result<(), Failure> {
        if dry_run {
            return Ok(());
        }
        let folder = self.backup_dir.display();
        space::writable(&self.backup_dir).map_err(|found| {
            let text = format!(
                "nothing was sent: {found}, so no backup can be kept there; give another --backup-dir"
            );
            Failure::new(Exit::Backup, text)
        })?;
        let wanted = scan.found.numbers().tickets.saturating_mul(TICKET_BYTES);
        let left = space::available(&self.backup_dir).map_err(|error| {
            Failure::new(Exit::Backup, format!("cannot see how much room is left for {folder}: {error}"))
                .because(error)
        })?;
        if left >= wanted {
            return Ok(());
        }
        let text = format!(
            "nothing was sent: backing up {} tickets may need {} MiB, and {folder} has {} MiB free; make room, give \
                another --backup-dir, or take fewer pairs with --limit",
            scan.found.numbers().tickets,
            wanted >> 20,
            left >> 20
        );
        Err(Failure::new(Exit::Backup, text))
    }

    async fn begin(&self, start: &Start<'_, Pairing, DevRev>) -> Result<(MergeContacts, Merger), Failure> {
        on_disk(|| review(start))?;
        let (elsewhere, made) = self.of_other_runs(start).await?;
        let made = Arc::new(made);
        let rules = Rules {
            made: Arc::clone(&made),
            keep: self.primary,
            on_count_mismatch: self.on_count_mismatch,
            elsewhere,
            preview: start.manifest.dry_run,
        };
        let settings = start.settings;
        let calls = settings.rate.map(|rate| rate.period / rate.calls.get() * CALLS_BEFORE);
        let how = How {
            made,
            run: start.run.id().to_owned(),
            backup_dir: self.backup_dir.clone(),
            concurrency: settings.concurrency,
            rate: settings.rate_of(self.sandbox),
            settle_timeout: settings.settle_timeout,
            poll_delay: settings.poll_delay,
            max_age: calls.unwrap_or_default().max(MAX_AGE),
            resend_unproven: start.resend_unproven,
            any_count: self.on_count_mismatch == OnCountMismatch::Warn,
            on_missing: self.on_missing_attachment,
            on_drift: start.manifest.applies.as_ref().map(OnDrift::of),
        };
        let planner = MergeContacts::new(&start.target.client.read_only(), rules);
        Ok((planner, Merger::new(&start.target.client, start.stop, how)?))
    }

    fn feed(
        &self,
        input: &Input,
        scan: ContactPreflight,
        replay: Replay,
        stop: Stop,
    ) -> Result<ContactFeed, Failure> {
        ContactFeed::new(input, scan, replay, stop)
    }

    fn tune(&self, config: &mut Config) {
        // The job bounds what is done at once by itself: pairs that wait for DevRev must not hold up others.
        config.concurrency = OPEN_PAIRS.max(config.batch_size) * 2;
        config.open_batches = config.open_batches.max(OPEN_PAIRS.div_ceil(config.batch_size));
        config.record_each = true;
        // Before the first merge, only a few pairs are read.
        config.first_batch = config.first_batch.min(FIRST_PAIRS);
    }

    fn plan(&self, settings: &Settings, _calls: u64) -> Box<dyn PlanSummary> {
        Box::new(MergePlan::new(settings.rate_of(self.sandbox)))
    }

    fn tell(said: Said<'_>) -> Option<Entry> {
        page::tell(said)
    }

    fn exit(&self, tally: &Tally) -> Option<Exit> {
        let failed = |wanted: &dyn Fn(&str) -> bool| {
            tally.reasons.get("failed").is_some_and(|reasons| reasons.keys().any(|reason| wanted(reason)))
        };
        let for_backups = failed(&|reason| reason.starts_with("backup-") || reason == COUNT_DIFFERS);
        let sent = ["planned", "done", "unknown"].into_iter().any(|state| tally.of(state) > 0)
            || failed(&|reason| reason == MERGE_REFUSED);
        (!sent && for_backups).then_some(Exit::Backup)
    }
}
