//! `runs list` and `runs show`: what became of past runs, whatever is left of them.

use crate::support::fixture::Trouble;
use crate::support::past::{copy, edit};
use crate::support::{Fixture, Org, Run};
use devrev_batch::journal::lock::RunLock;
use devrev_batch::journal::run_dir::RunDir;
use serde_json::{Value, json};
use std::fs;

/// An organisation of three issues, and a finished run of it in which one has failed.
fn fixture() -> (Fixture, Run) {
    let fixture = Fixture::broken(&Org::of(3), ["path=works.update,status=409,count=1"]);
    fixture.backfill(&["--concurrency", "1"]).run().exits(3);
    let run = fixture.the_run();
    edit(&run, "report.json", |report| {
        (report["seconds"], report["seconds_waiting"]) = (json!(12.3), json!(0));
    });
    (fixture, run)
}

/// Puts a run into a state, at a place and a time that are always the same.
fn stands(manifest: &mut Value, state: &str, exit: u8, counts: Value) {
    manifest["state"] = state.into();
    manifest["exit_code"] = exit.into();
    manifest["counts"] = counts;
    manifest["base_url"] = "https://api.devrev.ai/".into();
    manifest["environment"] = "production".into();
    manifest["input"]["path"] = "/srv/issues.csv".into();
    manifest["created_at"] = "2026-01-02T03:04:05Z".into();
    manifest["updated_at"] = "2026-01-02T03:07:15Z".into();
    manifest["ended_at"] = "2026-01-02T03:07:15Z".into();
}

fn held(fixture: &Fixture, run: &Run) -> RunLock {
    RunLock::take(&RunDir::open(&fixture.path("runs"), run.id()).unwrap()).unwrap()
}

/// Makes a run the one that carries out the ninth one's plan.
fn carries_out(manifest: &mut Value) {
    let (run, at) = ("20260102-000009-backfill-groups-0009", "2026-01-02T03:04:05Z");
    manifest["parent"] = run.into();
    manifest["applies"] =
        json!({"run": run, "planned_at": at, "rows": 3, "sha256": "0", "abort_on_drift": false});
}

fn never_began(fixture: &Fixture, id: &str) {
    let run = fixture.path(format!("runs/{id}"));
    fs::create_dir(&run).unwrap();
    fs::write(run.join("lock"), "").unwrap();
}

#[test]
fn the_list_says_how_each_run_stands() {
    let (fixture, run) = fixture();
    let past = |id: &str, state: &str, exit: u8, counts: Value, more: &dyn Fn(&mut Value)| {
        copy(&fixture, &run, id, |manifest| {
            stands(manifest, state, exit, counts);
            more(manifest);
        })
    };
    let plain = |_: &mut Value| ();
    let dry = |manifest: &mut Value| manifest["dry_run"] = true.into();
    let child_of = |parent: &'static str| move |manifest: &mut Value| manifest["parent"] = parent.into();
    past("20260102-000001-backfill-groups-0001", "finished", 0, json!({"done": 3, "open": 0}), &plain);
    past("20260102-000002-backfill-groups-0002", "finished", 3, json!({"done": 2, "failed": 1}), &plain);
    past("20260102-000003-backfill-groups-0003", "finished", 3, json!({"done": 2, "unknown": 1}), &plain);
    past("20260102-000004-backfill-groups-0004", "interrupted", 130, json!({"done": 1, "open": 2}), &plain);
    past("20260102-000005-backfill-groups-0005", "stopped", 7, json!({"failed": 1, "open": 2}), &plain);
    past("20260102-000006-backfill-groups-0006", "running", 0, json!({}), &plain);
    let alive = past("20260102-000007-backfill-groups-0007", "running", 0, json!({}), &|manifest| {
        // Else it would have taken longer with every day.
        manifest["created_at"] = "2999-01-02T03:04:05Z".into();
    });
    past("20260102-000008-backfill-groups-0008", "finished", 0, json!({"planned": 3}), &dry);
    past("20260102-000009-backfill-groups-0009", "finished", 0, json!({"planned": 3}), &dry);
    past("20260102-000010-backfill-groups-0010", "finished", 0, json!({"done": 3}), &carries_out);
    past("20260102-000011-undo-backfill-0011", "finished", 0, json!({"done": 3}), &|manifest| {
        child_of("20260102-000001-backfill-groups-0001")(manifest);
        manifest["command"] = "undo-backfill".into();
    });
    let torn = past("20260102-000012-backfill-groups-0012", "finished", 0, json!({}), &plain);
    fs::write(torn.file("run.json"), "{\"format\": 2, \"id").unwrap();
    never_began(&fixture, "20260102-000013-backfill-groups-0013");
    fs::remove_dir_all(&run.0).unwrap();

    let _lock = held(&fixture, &alive);
    let ended = fixture.program(["runs"]).without("DEVREV_API_TOKEN").run().exits(0);
    assert_eq!(ended.err, "", "{}", ended.all());
    // Commands are for copying: they are not broken.
    let is_narrow = |line: &str| line.starts_with("next: ") || line.chars().count() <= 80;
    assert!(ended.out.lines().all(is_narrow), "{}", ended.all());
    insta::assert_snapshot!(ended.out, @r"
    RUN                                   STATE        ROWS
    20260102-000013-backfill-groups-0013  never began  nothing was sent
    20260102-000012-backfill-groups-0012  unreadable   runs/20260102-000012-backfill
                                                       -groups-0012/run.json: EOF
                                                       while parsing a string at
                                                       line 1 column 17
    20260102-000011-undo-backfill-0011    finished     3 done
    https://api.devrev.ai/, production    3 min 10 s
    undoes
    20260102-000001-backfill-groups-0001
    20260102-000010-backfill-groups-0010  finished     3 done
    https://api.devrev.ai/, production    3 min 10 s
    applies
    20260102-000009-backfill-groups-0009
    20260102-000009-backfill-groups-0009  finished     3 planned
    https://api.devrev.ai/, production    dry run
    applied by                            3 min 10 s
    20260102-000010-backfill-groups-0010
    20260102-000008-backfill-groups-0008  finished     3 planned
    https://api.devrev.ai/, production    dry run
                                          3 min 10 s
    20260102-000007-backfill-groups-0007  running      of 3 rows
    https://api.devrev.ai/, production    0.0 s
    20260102-000006-backfill-groups-0006  crashed      2 done, 1 failed
    https://api.devrev.ai/, production
    20260102-000005-backfill-groups-0005  stopped      1 failed, 2 open
    https://api.devrev.ai/, production    3 min 10 s
    20260102-000004-backfill-groups-0004  interrupted  1 done, 2 open
    https://api.devrev.ai/, production    3 min 10 s
    20260102-000003-backfill-groups-0003  finished     2 done, 1 unknown
    https://api.devrev.ai/, production    3 min 10 s
    20260102-000002-backfill-groups-0002  finished     2 done, 1 failed
    https://api.devrev.ai/, production    3 min 10 s
    20260102-000001-backfill-groups-0001  finished     3 done
    https://api.devrev.ai/, production    3 min 10 s
    undone by
    20260102-000011-undo-backfill-0011

    next: devrev-batch apply 20260102-000008-backfill-groups-0008 --yes
    next: devrev-batch resume 20260102-000006-backfill-groups-0006 --yes
    next: devrev-batch resume 20260102-000005-backfill-groups-0005 --yes
    next: devrev-batch resume 20260102-000004-backfill-groups-0004 --yes
    next: devrev-batch resume 20260102-000003-backfill-groups-0003 --yes
    next: devrev-batch resume 20260102-000002-backfill-groups-0002 --retry-failed --yes
    ");

    let object = fixture.program(["runs", "list", "--json"]).run().exits(0).json();
    let runs = object["runs"].as_array().unwrap();
    let states: Vec<_> = runs.iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(
        states[..8],
        ["never-began", "unreadable", "finished", "finished", "finished", "finished", "running", "crashed"]
    );
    assert_eq!(
        runs[2]["parent"],
        json!({"run": "20260102-000001-backfill-groups-0001", "how": "takes-back"})
    );
    assert_eq!(runs[3]["parent"]["how"], "carries-out");
    assert_eq!((&runs[4]["next"], &runs[6]["next"]), (&Value::Null, &Value::Null));
    assert_eq!(runs[5]["next"], "devrev-batch apply 20260102-000008-backfill-groups-0008 --yes");
    assert_eq!((&runs[6]["in_use"], &runs[7]["in_use"]), (&json!(true), &json!(false)));
    // What `run.json` does not say the journal does.
    assert_eq!(runs[7]["counts"], json!({"done": 2, "failed": 1}));
    assert_eq!(object["left_out"], 0);

    let few = fixture.program(["runs", "list", "--limit", "2"]).run().exits(0);
    let few = few.says("11 older runs not shown: devrev-batch runs list --limit N shows more");
    assert!(!few.out.contains("-0011"), "{}", few.all());
}

#[test]
fn a_run_is_shown_with_all_that_is_known_of_it() {
    let (fixture, run) = fixture();
    let id = "20260102-000002-backfill-groups-0002";
    copy(&fixture, &run, id, |manifest| {
        stands(manifest, "finished", 3, json!({"done": 2, "failed": 1, "open": 0}));
    });
    let show = || fixture.program(["runs", "show", id]).without("DEVREV_API_TOKEN");
    let ended = show().run().exits(0);
    assert_eq!(ended.err, "", "{}", ended.all());
    // Sizes follow the length of times, and the settings have the sandbox's address.
    let files = ["KiB", "bytes"];
    let redacted = |line: &str| match line.trim().split_once(' ') {
        Some((name, _))
            if files.iter().any(|unit| line.ends_with(unit))
                && line.starts_with("  ")
                && name.contains('.') =>
        {
            format!("  {name} [size]\n")
        }
        Some(("lock", _)) => "  lock [size]\n".to_owned(),
        Some(("DEVREV_BASE_URL", _)) => "  DEVREV_BASE_URL [url]\n".to_owned(),
        _ => format!("{line}\n"),
    };
    insta::assert_snapshot!(ended.out.lines().map(redacted).collect::<String>(), @r"
    backfill-groups finished
      run           20260102-000002-backfill-groups-0002
      at            https://api.devrev.ai/ (production)
      organisation  TEST (devo/TEST)
      as            user-1 (DEVU-1)
      input         /srv/issues.csv, a copy in its folder, 3 rows, 120 bytes
      SHA-256       c57f019972e7582b4143f7007cebed8c81d95de1067b07e6df9d0bdc7dc06f8e
      began         2026-01-02 03:04:05 UTC
      ended         2026-01-02 03:07:15 UTC, 3 min 10 s later
      last process  11 API calls in 12.3 s, 0.0 s of it waiting for the rate limit
      exit code     3: finished, but some rows failed, or their state is unknown
      note          groups: 4 groups, listed by this run; 4 default groups left out (--include-default-groups uses them)

      done             2  changed, and the answer shows it
      failed           1
                       1  conflict
      rows             3

    failed for conflict: 1
      row 1, ISS-1: works.update: 409 Conflict: the request conflicts with the object's present state (Ref: 895725fa3c0aeb87)

    settings that are not the default:
      BREAKER_COOLDOWN = 0.01 (BREAKER_COOLDOWN in the environment)
      CONCURRENCY = 1 (--concurrency)
      DEVREV_BASE_URL [url]
      RATE_LIMIT_CALLS = 0 (RATE_LIMIT_CALLS in the environment)
      RETRY_BACKOFF = 0.01 (RETRY_BACKOFF in the environment)

    options: field tnt__creator_group, on_ambiguous skip

    files in runs/20260102-000002-backfill-groups-0002:
      failed.csv [size]
      input.csv [size]
      journal.begun [size]
      journal.jsonl [size]
      lock [size]
      log.jsonl [size]
      report.html [size]
      report.json [size]
      run.json [size]
      skipped.csv [size]
      success.csv [size]

    next: to retry the rows in runs/20260102-000002-backfill-groups-0002/failed.csv as they are, run devrev-batch resume 20260102-000002-backfill-groups-0002 --retry-failed --yes
    next: to correct them first, edit that file, then run devrev-batch backfill-groups --csv runs/20260102-000002-backfill-groups-0002/failed.csv --yes
    ");

    let object = show().arg("--json").run().exits(0).json();
    assert_eq!(
        (&object["run"], &object["state"], &object["exit"]),
        (&json!(id), &json!("finished"), &json!(3))
    );
    assert_eq!(object["counts"], json!({"done": 2, "failed": 1}));
    assert_eq!(object["failures"][0]["reason"], "conflict");
    assert_eq!(object["failures"][0]["examples"][0]["key"], "ISS-1");
    assert_eq!(object["last_process"]["seconds"], 12.3);
    assert_eq!(object["input"]["rows"], 3);
    assert_eq!(object["next_steps"].as_array().unwrap().len(), 2);
    assert!(object["settings"].as_array().unwrap().iter().any(|setting| setting["name"] == "CONCURRENCY"));
    fixture.assert_no_token();
}

#[test]
fn a_run_that_is_at_work_is_not_disturbed() {
    let mut fixture = Fixture::broken(&Org::of(30), ["path=works.update,hang,after=9"]);
    let mut running =
        fixture.backfill(&["--batch-size", "5"]).run_until(|| fixture.calls("works.update") > 9);
    let run = fixture.the_run();
    let journal = || fs::read(run.file("journal.jsonl")).unwrap();
    for _ in 0..3 {
        let list = fixture.program(["runs", "--json"]).run().exits(0).json();
        assert_eq!((&list["runs"][0]["state"], &list["runs"][0]["next"]), (&json!("running"), &Value::Null));
        let before = journal();
        let shown = fixture.program(["runs", "show", run.id(), "--json"]).run().exits(0).json();
        assert_eq!((&shown["state"], &shown["next_steps"]), (&json!("running"), &json!([])));
        let prune = ["runs", "prune", "--older-than", "0s", "--yes", "--json"];
        assert_eq!(fixture.program(prune).run().exits(0).json()["removed"], 0);
        assert!(journal().starts_with(&before) && !running.has_ended());
    }
    running.kill();
    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    let shown = fixture.program(["runs", "show", run.id()]).run().exits(0).says("backfill-groups finished");
    assert!(!shown.out.contains("\nnext: "), "{}", shown.all());
    fixture.assert_right();
}

#[test]
fn of_a_crash_the_journal_tells() {
    let fixture = Fixture::with(&Org::of(100), &Trouble::delay(10));
    let running = fixture.backfill(&["--batch-size", "5"]).run_until(|| fixture.writes() > 20);
    running.kill();
    let id = fixture.the_run().id().to_owned();
    let list = fixture.program(["runs", "--json"]).run().exits(0).json();
    let run = &list["runs"][0];
    assert_eq!(
        (&run["state"], &run["seconds"], &run["ended_at"]),
        (&json!("crashed"), &Value::Null, &Value::Null)
    );
    let counts = run["counts"].as_object().unwrap();
    assert_eq!(counts.values().map(|rows| rows.as_u64().unwrap()).sum::<u64>(), 100, "{counts:?}");
    assert!(counts["open"].as_u64() > Some(0), "{counts:?}");
    assert_eq!(run["next"], format!("devrev-batch resume {id} --yes"));
    let resume = format!("\nnext: devrev-batch resume {id}");
    fixture.program(["runs", "show", &id]).run().exits(0).says("backfill-groups crashed").says(&resume);
    fixture.resume(&[]).run().exits(0);
    fixture.program(["runs"]).run().exits(0).says("100 done");
    fixture.assert_right();
}

#[test]
fn the_folder_is_the_one_that_is_set() {
    let fixture = Fixture::broken(&Org::of(2), ["path=works.update,status=409,count=1"]);
    fixture.program(["runs"]).run().exits(0).says("no runs in runs");
    fixture.backfill(&["--runs-dir", "my runs"]).run().exits(3);
    let next = "--retry-failed --runs-dir 'my runs' --yes";
    fixture.program(["runs", "--runs-dir", "my runs"]).run().exits(0).says(next);
    fixture.program(["runs"]).env("RUNS_DIR", "my runs").run().exits(0).says(next);
    fixture.program(["runs", "list", "--runs-dir", "issues.csv"]).run().exits(1).says("issues.csv");
}

#[test]
fn a_run_that_is_not_there() {
    let (fixture, run) = fixture();
    let slip = run.id().replace("backfill", "backfil");
    let ended = fixture.program(["runs", "show", &slip]).run().exits(2);
    ended.says(&format!("did you mean {}?", run.id()));
    let ended = fixture.program(["runs", "show", "../runs", "--json"]).run().exits(2);
    assert_eq!(ended.json()["error"]["exit"], 2);
    let empty = fixture.path("runs/20260102-000013-backfill-groups-0013");
    fs::create_dir(&empty).unwrap();
    let show = || fixture.program(["runs", "show", "20260102-000013-backfill-groups-0013"]).run().exits(0);
    fs::write(empty.join("lock"), "").unwrap();
    show().says("run never began").says("nothing was sent");
}

/// How a folder becomes unreadable, and what is said of it.
type Case<'a> = (&'a dyn Fn(&std::path::Path), &'a str);

#[test]
fn of_what_cannot_be_read_nothing_is_claimed_and_nothing_is_removed() {
    let (fixture, _) = fixture();
    let id = "20260102-000013-backfill-groups-0013";
    let folder = fixture.path("runs").join(id);
    let emptied = |_: &std::path::Path| ();
    let without_run_json = |folder: &std::path::Path| fs::write(folder.join("failed.csv"), "").unwrap();
    let loops = |folder: &std::path::Path| {
        std::os::unix::fs::symlink(folder.join("run.json"), folder.join("run.json")).unwrap();
    };
    let gone = |folder: &std::path::Path| {
        fs::remove_dir(folder).unwrap();
        std::os::unix::fs::symlink("/not-mounted", folder).unwrap();
    };
    let cases: [Case<'_>; 4] = [
        (&emptied, "the folder was emptied"),
        (&without_run_json, "failed.csv shows that the run had begun"),
        (&loops, "cannot read"),
        (&gone, "cannot read the folder"),
    ];
    for (break_it, says) in cases {
        fs::create_dir(&folder).unwrap();
        break_it(&folder);
        let list = fixture.program(["runs", "--json"]).run().exits(0).json();
        let run = list["runs"].as_array().unwrap().iter().find(|run| run["run"] == id).unwrap();
        let problem = run["problem"].as_str().unwrap_or_default();
        assert!(run["state"] == "unreadable" && problem.contains(says), "{run}");
        let prune = ["runs", "prune", "--older-than", "0s", "--dry-run", "--json"];
        let pruned = fixture.program(prune).run().exits(0).json();
        assert!(pruned["runs"].as_array().unwrap().iter().all(|run| run["run"] != id), "{pruned}");
        assert!(!list.to_string().contains("nothing was sent"), "{list}");
        if folder.is_symlink() { fs::remove_file(&folder) } else { fs::remove_dir_all(&folder) }.unwrap();
    }
}

#[test]
fn the_list_can_be_narrowed_down() {
    let (fixture, run) = fixture();
    let url = fixture.base_url();
    let shown = |flags: &[&str]| {
        let list = fixture.program(["runs", "list", "--json"]).args(flags).run().exits(0).json();
        list["runs"].as_array().unwrap().iter().any(|shown| shown["run"] == run.id())
    };
    for flags in
        [["--job", "backfill-groups"], ["--job", "backfill"], ["--state", "finished"], ["--since", "1h"]]
    {
        assert!(shown(&flags), "{flags:?}");
    }
    assert!(shown(&["--target", &url]) && shown(&["--target", "DEVO/test"]));
    for flags in
        [["--job", "merge-contacts"], ["--state", "stopped"], ["--since", "0s"], ["--target", "other"]]
    {
        assert!(!shown(&flags), "{flags:?}");
    }
    fixture
        .program(["runs", "list", "--state", "done"])
        .run()
        .exits(2)
        .says("[possible values: running, crashed");
    fixture.program(["runs", "list", "--since", "x"]).run().exits(2).says("--since: `x` is not an age");
    for (flags, says) in [
        (&["--days", "0"][..], "0 is not in 1..=36500"),
        (&["--days", "x"], "invalid value 'x' for '--days <N>'"),
        (&["--days", "7", "--since", "7d"], "cannot be used with"),
    ] {
        fixture.program(["runs", "list"]).args(flags).run().exits(2).says(says);
    }
}

#[test]
fn the_list_can_go_back_so_many_days() {
    let (fixture, run) = fixture();
    for days in [0, 1, 2, 8, 40] {
        let began = chrono::Utc::now() - chrono::TimeDelta::days(days) - chrono::TimeDelta::hours(1);
        copy(&fixture, &run, &format!("20260102-0000{days:02}-backfill-groups-0001"), |manifest| {
            manifest["created_at"] = began.to_rfc3339().into();
        });
    }
    for (days, runs) in [("1", 2), ("2", 3), ("3", 4), ("9", 5), ("36500", 6)] {
        let list = fixture.program(["runs", "list", "--json", "--days", days]).run().exits(0).json();
        assert_eq!(list["runs"].as_array().unwrap().len(), runs, "{days}: {list}");
    }
}
