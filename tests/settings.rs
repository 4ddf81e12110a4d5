//! Settings as an operator meets them: where they come from, and what is said of those that are wrong.

use crate::support::fixture::TOKEN;
use crate::support::{Fixture, Org};

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write(".env", "MAX_ERRORS=many\nCREATOR_GROUP_FIELD=\"no field\"\n");
    let ended = fixture
        .backfill(&["--batch-size", "0", "--concurrency", "x"])
        .env("DEVREV_BASE_URL", "http://devrev.example.com")
        .env("MAX_RETRIES", "99")
        .run()
        .exits(2);
    let texts = [
        "--batch-size: `0`",
        "--concurrency: `x`",
        "DEVREV_BASE_URL in the environment: `http://devrev.example.com` is neither https",
        "MAX_RETRIES in the environment: `99`",
        "MAX_ERRORS in .env: `many`",
        "CREATOR_GROUP_FIELD in .env: `no field`",
    ];
    texts.into_iter().fold(ended, crate::support::program::Ended::says);
    assert_eq!(fixture.stats()["total"], 0);
    assert!(fixture.runs().is_empty());
}

#[test]
fn flags_the_environment_and_the_file_in_this_order() {
    let fixture = Fixture::new(&Org::of(1));
    let program = |flags: &[&str]| fixture.backfill(flags).without("DEVREV_API_TOKEN");
    program(&[]).run().exits(2).says("DEVREV_API_TOKEN");
    fixture.write(".env", format!("DEVREV_API_TOKEN={TOKEN}\nBATCH_SIZE=7\n"));
    program(&[]).run().exits(0);
    fixture.write("other.env", format!("DEVREV_API_TOKEN={TOKEN}\nBATCH_SIZE=8\n"));
    program(&["--env-file", "other.env"]).run().exits(0);
    program(&[]).env("BATCH_SIZE", "9").run().exits(0);
    program(&["--batch-size", "10"]).env("BATCH_SIZE", "9").run().exits(0);
    let mut used: Vec<_> = fixture
        .runs()
        .iter()
        .map(|run| run.manifest()["settings"]["resolved"]["BATCH_SIZE"]["value"].clone())
        .map(|value| value.as_str().unwrap().to_owned())
        .collect();
    // Runs of the same second sort by chance.
    used.sort();
    assert_eq!(used, ["10", "7", "8", "9"]);
}

#[test]
fn an_env_file_that_is_not_there_or_not_one() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.backfill(&["--env-file", "none.env"]).run().exits(2).says("none.env");
    fixture.write(".env", format!("DEVREV_API_TOKEN {TOKEN} x\n"));
    let ended = fixture.backfill(&[]).run().exits(2).says(".env: ");
    assert!(
        !ended.all().replace(&format!("DEVREV_API_TOKEN=\"{TOKEN}\""), "").contains(TOKEN),
        "{}",
        ended.all()
    );
}

#[test]
fn wrong_usage_is_exit_2() {
    let fixture = Fixture::new(&Org::of(1));
    let cases: [&[&str]; 8] = [
        &[],
        &["backfill"],
        &["backfill-groups"],
        &["backfill-groups", "--csv", "issues.csv", "--on-ambiguous", "last"],
        &["backfill-groups", "--csv", "issues.csv", "--limit", "-1"],
        &["backfill-groups", "--csv", "issues.csv", "--token", "x"],
        &["backfill-groups", "--csv", "issues.csv", "--log-level", "loud", "--yes"],
        &["resume", "--retry-failed", "x", "y"],
    ];
    for case in cases {
        fixture.program(case).run().exits(2);
    }
    assert_eq!(fixture.stats()["total"], 0);
    fixture.program(["--help"]).run().exits(0).says("backfill-groups");
    fixture.program(["--version"]).run().exits(0).says(env!("CARGO_PKG_VERSION"));
}

/// Wants the token in nothing that was said or left behind.
#[track_caller]
fn assert_no_token(fixture: &Fixture, said: &[&str]) {
    for text in said {
        assert!(!text.contains(TOKEN), "{text}");
    }
    fixture.assert_no_token();
}

#[test]
fn the_token_is_nowhere_whatever_fails() {
    let echo =
        format!("path=works.update,status=301,location=https://devrev.example.com/?token={TOKEN},count=2");
    let cases: [&[&str]; 5] = [
        &["status=401"],
        &["path=works.update,status=401,after=3"],
        &["path=works.update,reset=after,count=2", "path=works.update,html,count=2", "p=0.3,status=500"],
        &[&echo],
        &["path=works.get,truncate", "path=works.list,status=400"],
    ];
    for faults in cases {
        let fixture = Fixture::broken(&Org::of(20), faults.iter().copied());
        for format in ["json", "text"] {
            let flags = ["--log-level", "trace", "--log-format", format, "--json"];
            let ended = fixture.backfill(&flags).run();
            assert_no_token(&fixture, &[&ended.out, &ended.err]);
            let ended = fixture.resume(&["--latest", "--log-level", "trace", "--log-format", format]).run();
            assert_no_token(&fixture, &[&ended.out, &ended.err]);
        }
    }
}

#[test]
fn a_token_that_is_none_is_not_shown_either() {
    let fixture = Fixture::new(&Org::of(1));
    let ended = fixture.backfill(&[]).env("DEVREV_API_TOKEN", format!("{TOKEN}\nx")).run().exits(2);
    assert_no_token(&fixture, &[&ended.out, &ended.err]);
}
