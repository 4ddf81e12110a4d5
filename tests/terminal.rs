//! On a terminal: the question before a run writes, the bars while it continues, and Ctrl-C.

use crate::support::fixture::Trouble;
use crate::support::terminal::{OnTerminal, plain};
use crate::support::{Fixture, Merging, Org, People, Run};

const BACKFILL: [&str; 3] = ["backfill-groups", "--csv", "issues.csv"];

fn start(fixture: &Fixture, more: &[&str], variables: &[(&str, &str)]) -> OnTerminal {
    OnTerminal::start(fixture, &[&BACKFILL, more].concat(), variables)
}

#[test]
fn the_question_says_what_will_happen_where_and_as_whom() {
    let fixture = Fixture::new(&Org::of(30));
    for (answer, code) in [("n\n", 14), ("\n", 14), ("yess\n", 14), ("y\n", 0)] {
        let mut program = start(&fixture, &[], &[("ENVIRONMENT", "staging")]);
        program.until_it_shows("Continue? [y/N]");
        assert_eq!(fixture.writes(), 0);
        program.types(answer);
        let shown = plain(&program.exits(code));
        for part in [
            &*format!("backfill-groups at {}/", fixture.base_url()),
            "environment   staging",
            "organisation  TEST (devo/TEST)",
            "as            ",
            "rows          30 of ",
            "Issues that lack a creator group will get one.",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        let said = shown.contains("nothing was written: not confirmed");
        assert_eq!((said, fixture.runs().len()), (code == 14, usize::from(code == 0)), "{shown}");
    }
    fixture.assert_right();
}

#[test]
fn in_production_the_organisations_name_is_typed() {
    let fixture = Fixture::new(&Org::of(10));
    for environment in ["production", "PROD"] {
        for answer in ["y\n", "yes\n", "test\n", "\n"] {
            let mut program = start(&fixture, &[], &[("ENVIRONMENT", environment)]);
            program.until_it_shows("Type the organisation's name, TEST, to continue:");
            program.types(answer);
            let shown = program.exits(14);
            assert!(shown.contains("nothing was written: not confirmed"), "{shown}");
        }
    }
    assert_eq!((fixture.writes(), fixture.runs().len()), (0, 0));
    let mut program = start(&fixture, &[], &[("ENVIRONMENT", "production")]);
    program.until_it_shows("TEST, to continue:");
    program.types("TEST\n");
    program.exits(0);
    fixture.assert_right();
}

#[test]
fn ctrl_c_and_ctrl_d_at_the_question_write_nothing_and_end_on_a_line_of_their_own() {
    let fixture = Fixture::new(&Org::of(10));
    for key in ["\x03", "\x04"] {
        let mut program = start(&fixture, &[], &[]);
        program.until_it_shows("Continue? [y/N] ");
        program.types(key);
        let shown = plain(&program.exits(14));
        let (_, after) = shown.split_once("Continue? [y/N] ").unwrap();
        let lines: Vec<_> = after.lines().collect();
        assert!(["", "^C", "^D"].contains(&lines[0].trim_end_matches('\x08')), "{shown:?}");
        assert!(lines.len() == 2 && lines[1].contains("nothing was written"), "{shown:?}");
        assert_eq!((fixture.writes(), fixture.runs().len()), (0, 0));
    }
}

#[test]
fn merges_say_that_they_cannot_be_taken_back() {
    let fixture = Merging::new(&People::of(2));
    let mut program = OnTerminal::start(&fixture, &["merge-contacts", "--csv", "contacts.csv"], &[]);
    program.until_it_shows("Type the organisation's name, TEST, to continue:");
    program.types("n\n");
    let shown = program.exits(14);
    assert!(shown.contains("DevRev cannot undo a merge."), "{shown}");
    assert_eq!(fixture.merges(), 0);
}

#[test]
fn merges_and_their_undoing_want_the_organisations_name_in_every_environment() {
    let fixture = Merging::new(&People::of(2));
    let merge = ["merge-contacts", "--csv", "contacts.csv"];
    let start = |args: &[&str]| {
        let quick =
            [("ENVIRONMENT", "staging"), ("MERGE_POLL_DELAY", "0.005"), ("MERGE_SETTLE_TIMEOUT", "2")];
        let program = OnTerminal::start(&fixture, args, &quick);
        program.until_it_shows("Type the organisation's name, TEST, to continue:");
        program
    };
    let mut program = start(&merge);
    program.types("y\n");
    let shown = program.exits(14);
    assert!(shown.contains("nothing was written") && !shown.contains("This is production"), "{shown}");
    let mut program = start(&merge);
    program.types("TEST\n");
    program.exits(0);
    assert_eq!(fixture.merges(), 2);
    let run = fixture.the_run().id().to_owned();
    let mut program = start(&["undo", &run]);
    program.types("yes\n");
    program.exits(14);
    let mut program = start(&["undo", &run]);
    program.types("TEST\n");
    program.exits(0);
}

#[test]
fn a_plan_is_asked_about_with_its_age() {
    let fixture = Fixture::new(&Org::of(10));
    start(&fixture, &["--dry-run"], &[]).exits(0);
    let dry = fixture.the_run();
    let mut program = OnTerminal::start(&fixture, &["apply", dry.id()], &[]);
    program.until_it_shows("Continue? [y/N]");
    program.types("y\n");
    let shown = plain(&program.exits(0));
    assert!(
        shown
            .contains(&format!("The plan of {}, less than a minute old, will be applied: 10 rows", dry.id())),
        "{shown}"
    );
    fixture.assert_right();
}

#[test]
fn bars_are_drawn_ctrl_c_saves_and_the_terminal_is_left_clean() {
    let fixture = Fixture::with(&Org::of(400), &Trouble::delay(20));
    let mut program = start(&fixture, &["--yes", "--batch-size", "20"], &[("NO_COLOR", "1")]);
    program.until_it_shows("/400 rows");
    program.until_it_shows("done ");
    program.until_it_shows(" rows/s, ");
    program.until_it_shows(" to go");
    // Resized while it draws.
    for (rows, cols) in [(24, 200), (10, 40), (3, 10), (24, 80)] {
        program.resize(rows, cols);
    }
    program.types("\x03");
    program.until_it_shows("stopping: no new calls");
    let shown = program.exits(130);
    let end = plain(&shown);
    let summary = end.split("interrupted (").nth(1).unwrap();
    assert!(!summary.contains("/400 rows  ") && summary.contains("next: devrev-batch resume "), "{end}");
    // NO_COLOR: no colours, while the cursor may well be moved.
    assert!(!has_colors(&shown), "{shown:?}");
    fixture.program(["resume", "--yes"]).run().exits(0);
    fixture.assert_right();
}

/// Whether a sequence sets a colour (`ESC [ 3x m`, `9x m`, `38;...m`).
fn has_colors(shown: &str) -> bool {
    shown.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        rest[end..].starts_with('m')
            && rest[..end]
                .split(';')
                .any(|code| code.len() == 2 && (code.starts_with('3') || code.starts_with('9')))
    })
}

#[test]
fn logs_stand_above_the_bars_in_whole_lines() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    let program = start(&fixture, &["--yes", "--log-level", "debug", "--color", "never"], &[]);
    program.resize(24, 240);
    let shown = plain(&program.exits(0));
    let calls =
        shown.lines().filter(|line| line.contains("DEBUG") && line.contains("endpoint=\"works.update\""));
    let whole = calls.filter(|line| line.contains("call endpoint=") && line.contains("latency_ms=")).count();
    assert_eq!(whole, 60, "{shown}");
}

#[test]
fn quiet_draws_nothing() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(10));
    let shown = start(&fixture, &["--yes", "--quiet"], &[]).exits(0);
    assert!(!shown.contains("rows/s") && !shown.contains('\x1b'), "{shown:?}");
}

#[test]
fn what_everything_waits_for_is_said() {
    let fixture = Fixture::with(&Org::of(200), &Trouble::rate_limit("30/2"));
    let program = start(&fixture, &["--yes"], &[]);
    program.until_it_shows("s for the rate limit");
    drop(program);
    let fixture = Fixture::broken(
        &Org::of(50),
        [
            "path=works.update,status=503,after=5",
            "path=works.get,status=503",
            "path=works.list,status=503,after=5",
            "path=dev-users.self,status=503,after=1",
        ],
    );
    let variables = [("BREAKER_COOLDOWN", "60"), ("MAX_RETRIES", "20")];
    let mut program = start(&fixture, &["--yes"], &variables);
    program.until_it_shows("s for the API to come back (circuit breaker open)");
    program.types("\x03");
    program.exits(130);
    let run: Run = fixture.the_run();
    assert_eq!(run.manifest()["state"], "interrupted");
}
