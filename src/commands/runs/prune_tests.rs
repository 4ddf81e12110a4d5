//! Which runs are old enough, and what is said to go with them.

use super::*;
use crate::jobs::backfill_groups::command::BackfillOptions;
use crate::jobs::{merge_contacts, undo_merge};
use crate::journal::manifest::{FORMAT, RunState};
use crate::run::job::Job as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

/// A run that has finished, with an empty journal.
struct Past {
    _folder: tempfile::TempDir,
    run: RunDir,
    manifest: Manifest,
}

fn ended() -> DateTime<Utc> {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn past(command: &str, counts: &[(&str, u64)]) -> Past {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path(), command, ended()).unwrap();
    fs::write(run.journal(), "").unwrap();
    let manifest = Manifest {
        format: FORMAT,
        tool_version: "0.1.0".into(),
        id: run.id().into(),
        command: command.into(),
        created_at: ended(),
        updated_at: ended(),
        ended_at: Some(ended()),
        settings: json!({}),
        input: None,
        org: None,
        user: None,
        base_url: "https://api.devrev.ai/".into(),
        environment: "production".into(),
        dry_run: false,
        journal_bytes: Some(0),
        counts: counts.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect::<BTreeMap<_, _>>(),
        state: RunState::Finished,
        exit_code: Some(0),
        applies: None,
        portion: None,
        closed: None,
        why: None,
        notes: Vec::new(),
        parent: None,
    };
    Past { _folder: folder, run, manifest }
}

impl Past {
    fn judged(&self, before: DateTime<Utc>) -> Verdict {
        self.manifest.write(&self.run).unwrap();
        judge(&Seen::of(self.run.clone()), &Others::default(), before)
    }

    /// What goes with it.
    fn loses(&self) -> String {
        match self.judged(ended() + TimeDelta::seconds(1)) {
            Verdict::Goes(going) => going.loses.join("\n"),
            verdict => panic!("{verdict:?}"),
        }
    }
}

#[test]
fn longer_ago_is_longer_not_as_long() {
    let run = past("backfill-groups", &[("done", 1)]);
    let moment = TimeDelta::nanoseconds(1);
    assert_eq!(run.judged(ended() - moment), Verdict::Young);
    assert_eq!(run.judged(ended()), Verdict::Young);
    assert!(matches!(run.judged(ended() + moment), Verdict::Goes(_)));
}

#[test]
fn a_run_that_never_began_may_be_beginning_for_a_day() {
    let touched_at = |age: TimeDelta| {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now() - age).unwrap();
        judge(&Seen::of(run), &Others::default(), Utc::now() + TimeDelta::days(1))
    };
    assert_eq!(touched_at(TimeDelta::hours(23)), Verdict::Young);
    assert!(matches!(touched_at(TimeDelta::hours(25)), Verdict::Goes(_)));
    // Its files tell, too.
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path(), "undo", ended()).unwrap();
    fs::write(run.lock(), "").unwrap();
    let verdict = |run: &RunDir| judge(&Seen::of(run.clone()), &Others::default(), Utc::now());
    assert!(matches!(verdict(&run), Verdict::Goes(_)));
    fs::write(run.input(), "half of it").unwrap();
    assert_eq!(verdict(&run), Verdict::Young);
}

#[test]
fn what_goes_with_a_run_is_said() {
    let done = [("done", 3), ("failed", 1)];
    for command in [BackfillOptions::COMMAND, merge_contacts::COMMAND] {
        let loses = past(command, &done).loses();
        assert!(loses.contains("undo what it did to 3 rows"), "{loses}");
        assert!(loses.contains("take 1 failed row again"), "{loses}");
    }
    assert_eq!(past(BackfillOptions::COMMAND, &[("already", 2)]).loses(), "");
    let loses = past(undo_merge::COMMAND, &[("done", 3)]).loses();
    assert!(loses.contains("undo-id-map.csv") && loses.contains("were verified before"), "{loses}");
    let mut in_sandbox = past(BackfillOptions::COMMAND, &[("done", 3)]);
    in_sandbox.manifest.base_url = SANDBOX.into();
    assert_eq!(in_sandbox.loses(), "");
    let mut plan = past(BackfillOptions::COMMAND, &[("planned", 3)]);
    plan.manifest.dry_run = true;
    assert_eq!(plan.loses(), "its plan, which was not applied");
}

#[test]
fn ages_are_times_that_have_been() {
    assert_eq!(age(" 90d").unwrap(), TimeDelta::days(90));
    assert_eq!(age("1h 30m").unwrap(), TimeDelta::minutes(90));
    for wrong in ["", "90", "-1d", "x", "9000000y"] {
        assert_eq!(age(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
    }
}
