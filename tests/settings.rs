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
fn nothing_of_a_line_that_cannot_be_read_is_shown() {
    let fixture = Fixture::new(&Org::of(1));
    for (line, said) in [
        (format!("DEVREV_API_TOKEN: {TOKEN}"), "line 2: DEVREV_API_TOKEN: use `=` instead of the colon"),
        (format!("SMTP_PASSWORD=abcd {TOKEN}"), "line 2: SMTP_PASSWORD: a value with spaces needs quotes"),
        (format!("SNOWFLAKE_PASSWORD=\"half {TOKEN}"), "line 2: SNOWFLAKE_PASSWORD: the quote is not closed"),
        (format!("{TOKEN} {TOKEN}"), "line 2: there is no `=`"),
    ] {
        fixture.write(".env", format!("# mine\n{line}\n"));
        for json in [&[][..], &["--json", "--log-level", "trace"]] {
            let ended = fixture.backfill(json).run().exits(2).says(".env: lines that are not NAME=value");
            let ended = ended.says(said);
            // The file itself has the token.
            assert!(!ended.out.contains(TOKEN) && !ended.err.contains(TOKEN), "{}", ended.err);
        }
    }
}

#[test]
fn a_byte_order_mark_and_misspelt_names_in_an_env_file() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write(".env", format!("\u{feff}DEVREV_API_TOKEN={TOKEN}\r\nRATE_LIMT_CALLS=5\r\n"));
    let ended = fixture.backfill(&[]).without("DEVREV_API_TOKEN").env("BATCH_SIZ", "1").run().exits(0);
    ended
        .says(".env: line 2: no setting has the name RATE_LIMT_CALLS: did you mean RATE_LIMIT_CALLS?")
        .says("BATCH_SIZ in the environment: no setting has this name: did you mean BATCH_SIZE?");
}

#[test]
fn a_token_that_was_pasted_with_something_is_refused() {
    let fixture = Fixture::new(&Org::of(1));
    for (token, said) in [
        (format!("\"{TOKEN}\""), "has a quote at its start or end"),
        (format!("Bearer {TOKEN}"), "begins with `Bearer`"),
        (format!("\u{feff}{TOKEN}"), "a byte order mark (U+FEFF)"),
        (format!("{TOKEN} x"), "a blank"),
        (format!("{TOKEN} # mine"), "a comment"),
    ] {
        let ended = fixture.backfill(&[]).env("DEVREV_API_TOKEN", &token).run().exits(2).says(said);
        let ended = ended.says("DEVREV_API_TOKEN in the environment: ");
        assert_no_token(&fixture, &[&ended.out, &ended.err]);
    }
    assert_eq!(fixture.stats()["total"], 0);
}

#[cfg(unix)]
#[test]
fn a_tilde_in_a_path_is_the_home_folder() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write(".env", "RUNS_DIR=~/trialruns\n");
    let home = fixture.path("home");
    std::fs::create_dir(&home).unwrap();
    fixture.backfill(&[]).env("HOME", &home).run().exits(0);
    let runs = std::fs::read_dir(home.join("trialruns")).unwrap();
    let runs = runs.filter(|entry| entry.as_ref().unwrap().path().join("run.json").exists());
    assert_eq!(runs.count(), 1);
    assert!(!fixture.path("~").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_is_dumped() {
    let fixture = Fixture::new(&Org::of(1));
    let running = fixture.program(["sandbox", "--listen", "127.0.0.1:0"]).spawn();
    let limits = format!("/proc/{}/limits", running.id());
    let read = || std::fs::read_to_string(&limits).unwrap_or_default();
    crate::support::eventually("the limit of core dumps to be 0", || {
        let limits = read();
        let words = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        words.split_whitespace().skip(4).take(2).eq(["0", "0"])
    });
    running.signal("INT");
    running.wait();
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
