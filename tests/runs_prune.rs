//! `runs prune`: what nobody needs goes, and nothing else.

use crate::support::fixture::Trouble;
use crate::support::past::{copy, edit};
use crate::support::terminal::{OnTerminal, plain};
use crate::support::{Fixture, Merging, Org, People, Run};
use devrev_batch::journal::lock::RunLock;
use devrev_batch::journal::run_dir::RunDir;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, SystemTime};

const FINISHED: &str = "20260102-000001-backfill-groups-0001";

/// An organisation, and a finished run of it that ended just now.
fn fixture() -> (Fixture, Run) {
    let fixture = Fixture::new(&Org::of(3));
    fixture.backfill(&[]).run().exits(0);
    let run = fixture.the_run();
    (fixture, run)
}

/// Makes it a run of long ago.
fn old(manifest: &mut Value) {
    for time in ["created_at", "updated_at", "ended_at"] {
        manifest[time] = "2026-01-02T03:04:05Z".into();
    }
}

fn prune(fixture: &Fixture, args: &[&str]) -> crate::support::program::Program {
    fixture.program(["runs", "prune", "--older-than", "10d"]).args(args).without("DEVREV_API_TOKEN")
}

fn there(fixture: &Fixture) -> Vec<String> {
    fixture.runs().iter().map(|run| run.id().to_owned()).collect()
}

#[test]
fn what_is_done_with_goes_and_nothing_else() {
    let (fixture, recent) = fixture();
    let past = |id: &str, change: &dyn Fn(&mut Value)| {
        copy(&fixture, &recent, id, |manifest| {
            old(manifest);
            change(manifest);
        })
    };
    let goes = [FINISHED, "20260102-000002-backfill-groups-0002", "20260102-000003-backfill-groups-0003"];
    past(goes[0], &|_| ());
    past(goes[1], &|manifest| {
        manifest["dry_run"] = true.into();
        manifest["state"] = "interrupted".into();
        manifest["counts"] = json!({"planned": 1, "open": 2});
    });
    // Never began, and nobody has touched it for long.
    let spool = fixture.path("runs").join(goes[2]).join("input.csv");
    fs::create_dir(spool.parent().unwrap()).unwrap();
    fs::write(&spool, "x").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(11 * 86_400);
    fs::File::options().write(true).open(&spool).unwrap().set_modified(long_ago).unwrap();

    let in_use = past("20260102-000010-backfill-groups-0010", &|_| ());
    let lock = RunLock::take(&RunDir::open(&fixture.path("runs"), in_use.id()).unwrap()).unwrap();
    for (number, state) in [(11, "running"), (12, "interrupted"), (13, "stopped")] {
        let id = format!("20260102-0000{number}-backfill-groups-00{number}");
        past(&id, &|manifest| manifest["state"] = state.into());
    }
    past("20260102-000014-backfill-groups-0014", &|manifest| {
        manifest["counts"] = json!({"done": 2, "unknown": 1});
    });
    past("20260102-000015-backfill-groups-0015", &|manifest| {
        manifest["counts"] = json!({"done": 2, "open": 1});
    });
    let torn = past("20260102-000016-backfill-groups-0016", &|_| ());
    fs::write(torn.file("run.json"), "{").unwrap();
    fs::remove_file(past("20260102-000017-backfill-groups-0017", &|_| ()).file("journal.jsonl")).unwrap();
    // Anyone who continues its child may ask for it.
    past("20260102-000018-backfill-groups-0018", &|_| ());
    past("20260102-000019-undo-backfill-0019", &|manifest| {
        manifest["command"] = "undo-backfill".into();
        manifest["state"] = "stopped".into();
        manifest["parent"] = "20260102-000018-backfill-groups-0018".into();
    });
    fs::create_dir(fixture.path("runs/20260102-000020-backfill-groups-0020")).unwrap();
    fs::write(fixture.path("runs/20260102-000020-backfill-groups-0020/input.csv"), "being written").unwrap();
    let backup = fixture.path("backups/ann@example.com_20200101_000000_REVU-1/metadata.json");
    fs::create_dir_all(backup.parent().unwrap()).unwrap();
    fs::write(&backup, "{}").unwrap();
    // A torn `run.json` tells no time: that of its files counts.
    for entry in fs::read_dir(&torn.0).unwrap() {
        fs::File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
    }
    let all = there(&fixture);

    let dry = prune(&fixture, &["--dry-run", "--json"]).run().exits(0).json();
    assert_eq!(there(&fixture), all);
    assert_eq!((dry["runs"].as_array().unwrap().len(), &dry["removed"]), (3, &json!(0)), "{dry}");
    let text = prune(&fixture, &["--dry-run"]).run().exits(0);
    let text = text.says("goes with it: the way to undo what it did to 3 rows");
    text.says("3 runs, ")
        .says("kept: 20260102-000012-backfill-groups-0012: it is interrupted: `devrev-batch resume");
    assert_eq!(there(&fixture), all);

    let ended = prune(&fixture, &["--yes", "--json"]).run().exits(0).json();
    let left: Vec<_> = all.into_iter().filter(|id| !goes.contains(&id.as_str())).collect();
    assert_eq!(there(&fixture), left);
    assert_eq!((&ended["removed"], &ended["younger"]), (&json!(3), &json!(2)), "{ended}");
    let why = |run: &str| {
        let kept = ended["kept"]
            .as_array()
            .unwrap()
            .iter()
            .find(|kept| kept["run"].as_str().unwrap().ends_with(run));
        kept.map(|kept| kept["why"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    for (run, says) in [
        ("0010", "another process works on it"),
        ("0011", "it is crashed: `devrev-batch resume 20260102-000011-backfill-groups-0011`"),
        ("0013", "it is stopped"),
        ("0014", "it has 1 unknown rows"),
        ("0015", "it has 1 open rows"),
        ("0016", "cannot tell whether it is needed"),
        ("0017", "cannot tell whether any of its rows is in doubt"),
        (
            "0018",
            "20260102-000019-undo-backfill-0019, which takes it back or carries it out, has not finished",
        ),
        ("0019", "it is stopped"),
    ] {
        assert!(why(run).contains(says), "{run}: {}", why(run));
    }
    assert!(backup.exists() && fixture.path("runs/.cache").exists());
    // Once it is let go of, it goes, too.
    drop(lock);
    prune(&fixture, &["--yes"]).run().exits(0).says("1 run removed, ");
    fixture.program(["runs", "show", in_use.id()]).run().exits(2);
}

#[test]
fn off_a_terminal_it_wants_a_yes() {
    let (fixture, recent) = fixture();
    copy(&fixture, &recent, FINISHED, old);
    let half = fixture.path("runs/.removed-20250102-000001-backfill-groups-0001");
    fs::create_dir(&half).unwrap();
    let all = there(&fixture);
    prune(&fixture, &[])
        .stdin("y\n")
        .run()
        .exits(14)
        .says("nothing was removed: 1 run would be")
        .says("--yes");
    let ended = prune(&fixture, &["--json"]).run().exits(14);
    assert_eq!(ended.json()["error"]["exit"], 14);
    assert!(there(&fixture) == all && half.exists());
    // What a killed process has left is no run, and goes with the next ones.
    fs::write(half.join("journal.jsonl"), "").unwrap();
    let listed = fixture.program(["runs"]).run().exits(0);
    assert!(!listed.out.contains("20250102"), "{}", listed.all());
    fixture.program(["resume", "20250102-000001-backfill-groups-0001"]).run().exits(2);
    prune(&fixture, &["--yes"]).run().exits(0);
    assert!(there(&fixture) == [recent.id()] && !half.exists());
    // Nothing to remove is nothing to ask about.
    prune(&fixture, &[]).run().exits(0).says("can go");
}

/// What the program shows to somebody who answers so.
fn on_a_terminal(fixture: &Fixture, answer: &str, code: u32) -> String {
    let mut program = OnTerminal::start(fixture, &["runs", "prune", "--older-than", "10d"], &[]);
    program.until_it_shows("[y/N]");
    program.types(answer);
    plain(&program.exits(code))
}

#[test]
fn on_a_terminal_it_says_what_goes_and_asks() {
    let (fixture, recent) = fixture();
    copy(&fixture, &recent, FINISHED, old);
    for answer in ["n\n", "\n", "yess\n"] {
        let said = on_a_terminal(&fixture, answer, 14);
        assert!(
            said.contains(&format!("{FINISHED}  finished, 2026-01-02")) && said.contains("[y/N]"),
            "{said}"
        );
        assert_eq!(fixture.runs().len(), 2);
    }
    let said = on_a_terminal(&fixture, "y\n", 0);
    assert!(said.contains("1 run removed"), "{said}");
    assert_eq!(there(&fixture), [recent.id()]);
}

#[test]
fn an_age_that_is_none_is_refused() {
    let (fixture, _) = fixture();
    for age in ["", "90", "-5d", "soon", "9000000y", "1e9d", "99999999999999999999d"] {
        let ended =
            fixture.program(["runs", "prune", "--yes", &format!("--older-than={age}")]).run().exits(2);
        ended.says("--older-than");
    }
    fixture.program(["runs", "prune", "--yes"]).run().exits(2).says("--older-than");
    assert_eq!(fixture.runs().len(), 1);
    fixture.program(["runs", "prune", "--yes", "--older-than", "0s"]).run().exits(0);
    assert_eq!(fixture.runs().len(), 0);
}

#[cfg(unix)]
#[test]
fn nothing_outside_the_folder_is_reached() {
    let (fixture, recent) = fixture();
    let elsewhere = fixture.path("elsewhere");
    let linked = copy(&fixture, &recent, FINISHED, old);
    fs::rename(&linked.0, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &linked.0).unwrap();
    let with_folder = copy(&fixture, &recent, "20260102-000002-backfill-groups-0002", old);
    fs::create_dir(with_folder.file("backups")).unwrap();
    let with_link = copy(&fixture, &recent, "20260102-000003-backfill-groups-0003", old);
    fixture.write("precious.csv", "x");
    fs::remove_file(with_link.file("input.csv")).unwrap();
    std::os::unix::fs::symlink(fixture.path("precious.csv"), with_link.file("input.csv")).unwrap();
    let ended = prune(&fixture, &["--yes"]).run().exits(0).says("1 run removed");
    ended.says("it is a symbolic link, which is not followed").says("it holds a folder, `backups`");
    assert!(elsewhere.join("run.json").exists() && linked.0.exists() && with_folder.0.exists());
    assert!(!with_link.0.exists() && fixture.path("precious.csv").exists());
}

#[test]
fn what_the_journal_has_in_doubt_stays_whatever_run_json_says() {
    let fixture = Fixture::with(&Org::of(20), &Trouble::faults(["path=works.update,hang,after=5"]));
    let running = fixture.backfill(&[]).run_until(|| fixture.calls("works.update") > 6);
    running.kill();
    let run = fixture.the_run();
    edit(&run, "run.json", |manifest| {
        old(manifest);
        manifest["state"] = "finished".into();
        manifest["counts"] = json!({"done": 20, "open": 0});
    });
    prune(&fixture, &["--yes"]).run().exits(0).says("rows in doubt: `devrev-batch resume");
    edit(&run, "run.json", |manifest| manifest["dry_run"] = true.into());
    prune(&fixture, &["--yes"]).run().exits(0).says("it is a dry run, but its journal has rows in doubt");
    assert!(run.0.exists());
}

#[test]
fn a_merge_in_doubt_is_kept_and_goes_on_guarding() {
    let fixture = Merging::with(&People::of(1), &Trouble::none().merge("ends=never"));
    fixture.merge(&[]).run().exits(3);
    let run = fixture.the_run();
    assert_eq!(run.manifest()["counts"]["unknown"], 2);
    edit(&run, "run.json", old);
    fixture
        .program(["runs", "prune", "--older-than", "1d", "--yes"])
        .run()
        .exits(0)
        .says("it has 2 unknown rows");
    fixture.merge(&[]).run().exits(3);
    assert_eq!(fixture.merges(), 1);
}

#[test]
fn a_run_keeps_its_own_copy_of_rows_that_came_from_a_runs_folder() {
    let fixture = Fixture::with(&Org::of(20), &Trouble::faults(["path=works.update,status=403,count=9"]));
    fixture.backfill(&[]).run().exits(3);
    let first = fixture.the_run();
    let rows = format!("runs/{}/failed.csv", first.id());
    let running = fixture.program(["backfill-groups", "--yes", "--batch-size", "2", "--csv", &rows]);
    running.run_until(|| fixture.writes() > 13).kill();
    let second = fixture.runs().into_iter().find(|run| run.id() != first.id()).unwrap();
    // Whether the first is continued, which writes its files again, or removed.
    fixture.resume(&[first.id(), "--retry-failed"]).run();
    edit(&first, "run.json", old);
    prune(&fixture, &["--yes"]).run().exits(0).says("1 run removed");
    fixture.resume(&[second.id()]).run().exits(0);
    fixture.assert_right();
}
