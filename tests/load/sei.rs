//! The delivery metrics of `test_data/jobs/sei`: what the samples' messages amount to, worked out by hand.

mod figures;
mod timescale;

use super::place::Place;
use crate::support::program::{BINARY, Program};
use figures::FIGURES;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The jobs whose source is Kafka, each with its topic. The samples have the names of the jobs.
pub(super) const TOPICS: [(&str, &str); 5] = [
    ("commits", "git.commits"),
    ("pull_requests", "git.pull_requests"),
    ("repositories", "git.repositories"),
    ("issues", "jira.issues"),
    ("sprints", "jira.sprints"),
];
const FOLDER: &str = "test_data/jobs/sei";

/// A file of the pipeline.
pub(super) fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(FOLDER).join(name)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// An empty database, and a folder in which the project's files are.
pub(super) fn place() -> Option<Place> {
    let place = Place::postgres()?;
    symlink(root().join("test_data"), place.site.path("test_data")).unwrap();
    Some(place)
}

pub(super) fn program(place: &Place, args: &[&str]) -> Program {
    let url =
        place.database.as_ref().unwrap().url(&format!("postgres:{}", crate::support::postgres::PASSWORD));
    place.program(args).env("TIMESCALE_URL", url)
}

pub(super) fn load(place: &Place, job: &str) -> Program {
    program(place, &["load", job, "--yes"])
}

pub(super) fn migrate(place: &Place, args: &[&str]) -> Program {
    program(place, &["migrate"]).args(args).args(["--dir", &format!("{FOLDER}/migrations")])
}

/// A job without a broker: its messages are in a file.
fn from_file(place: &Place, job: &str, messages: &str) -> String {
    let (text, name) = (file(&format!("{job}.yaml")), format!("{job}-file.yaml"));
    let line = text.lines().find(|line| line.trim_start().starts_with("kafka: ")).unwrap();
    place.site.write(&name, text.replace(line, &format!("  jsonl: {{ path: {messages} }}")));
    name
}

/// What is not from Kafka, and what is counted of all.
pub(super) fn load_the_rest(place: &Place) {
    for job in ["deployments", "incidents", "metrics_daily"] {
        load(place, &format!("{FOLDER}/{job}.yaml")).arg("--reload").run().exits(0);
    }
}

fn load_samples(place: &Place) {
    for (job, _) in TOPICS {
        let job = from_file(place, job, &format!("{FOLDER}/samples/{job}.jsonl"));
        load(place, &job).arg("--reload").run().exits(0);
    }
    load_the_rest(place);
}

/// Statements of a session whose zone is not UTC, by which no figure may go.
fn elsewhere(place: &Place, sql: &str) {
    place.run(&format!("SET timezone = 'Asia/Tokyo'; {sql}"));
}

pub(super) fn refresh(place: &Place) {
    for view in ["commits_daily_stats", "pull_requests_weekly_metrics"] {
        elsewhere(place, &format!("REFRESH MATERIALIZED VIEW {view}"));
    }
}

/// All figures are as they were worked out.
pub(super) fn check(place: &Place) {
    for (query, expected) in FIGURES {
        elsewhere(place, &format!("CREATE TABLE seen AS SELECT CAST(q AS text) AS line FROM ({query}) AS q"));
        assert_eq!(place.rows("SELECT line FROM seen ORDER BY line"), *expected, "{query}");
        place.run("DROP TABLE seen");
    }
}

/// What there is in the database besides what `load` and `migrate` keep for themselves.
fn objects(place: &Place) -> Vec<String> {
    place.rows(
        "SELECT name FROM (SELECT CAST(relname AS text) AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND \
         relname NOT LIKE '\\_devrev\\_batch%' UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS q \
         ORDER BY 1",
    )
}

#[test]
fn every_file_is_valid() {
    let Some(place) = place() else { return };
    for job in TOPICS.map(|(job, _)| job).into_iter().chain(["deployments", "incidents", "metrics_daily"]) {
        let job = format!("{FOLDER}/{job}.yaml");
        program(&place, &["validate", "--job", &job]).run().exits(0).says("is valid");
    }
}

#[test]
fn figures_are_those_that_were_worked_out_and_a_second_load_changes_none() {
    let Some(place) = place() else { return };
    let before = objects(&place);
    migrate(&place, &["up", "--yes"])
        .run()
        .exits(0)
        .says("0004_timescaledb.up.sql was skipped: it needs TimescaleDB");
    // Nothing is divided by zero, and nothing is there.
    refresh(&place);
    for (query, _) in FIGURES {
        assert_eq!(place.rows(&format!("SELECT CAST(q AS text) FROM ({query}) AS q")), [""; 0], "{query}");
    }
    for _ in 0..2 {
        load_samples(&place);
        refresh(&place);
        check(&place);
    }
    migrate(&place, &["down", "5", "--yes"]).run().exits(0).says("0001_tables.down.sql");
    assert_eq!(objects(&place), before);
    migrate(&place, &["up", "--yes"]).run().exits(0);
}

/// Messages of one commit, in this order: minutes of the event, the commit's time, lines added.
fn commits(of: &[(u8, &str, u32)]) -> String {
    let message = |(minute, time, additions): &(u8, &str, u32)| {
        format!(
            "{{\"event_type\":\"commit_updated\",\"timestamp\":\"2025-10-01T12:{minute:02}:00Z\",\"repository_id\":\"r\",\"data\":\
             {{\"sha\":\"a\",\"committed_at\":\"{time}\",\"additions\":{additions}}}}}\n"
        )
    };
    of.iter().map(message).collect()
}

#[test]
fn an_older_event_changes_nothing_also_where_it_has_another_time() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    let job = from_file(&place, "commits", "\"in-*.jsonl\"");
    let (first, second) = ("2025-10-01T10:00:00Z", "2025-10-01T13:00:00+02:00");
    let files = [
        (commits(&[(1, first, 1), (3, first, 3), (2, first, 2)]), "10:00 3"),
        // Moved, and not moved back by an event that is older.
        (commits(&[(5, second, 5), (4, first, 4)]), "11:00 5"),
        (commits(&[(4, first, 44)]), "11:00 5"),
        (commits(&[(6, first, 6), (7, second, 7), (8, first, 8)]), "10:00 8"),
        (commits(&[(8, first, 8)]), "10:00 8"),
    ];
    for (number, (messages, left)) in files.into_iter().enumerate() {
        place.site.write(&format!("in-{number}.jsonl"), messages);
        load(&place, &job).run().exits(0);
        let all = "SELECT to_char(committed_at AT TIME ZONE 'UTC', 'HH24:MI ') || additions FROM commits";
        assert_eq!(place.rows(all), [left], "{number}");
    }
}

#[test]
fn times_are_read_in_all_forms_and_kept_in_utc() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    // As it comes, and as the times of the commit and of the event are kept.
    let times = [
        ("\"2025-10-01T12:00:00Z\"", "01 12:00:00 12:00:00.000000"),
        ("\"2025-10-01T12:00:00.123456+02:00\"", "01 10:00:00 10:00:00.123456"),
        ("\" 2025-10-01T12:00:00.500+0000 \"", "01 12:00:00 12:00:00.500000"),
        ("\"2025-10-01 12:00:00-05\"", "01 17:00:00 17:00:00.000000"),
        ("\"2025-10-01 12:00:00 UTC\"", "01 12:00:00 12:00:00.000000"),
        ("\"2025-10-01T12:00:00\"", "01 12:00:00 12:00:00.000000"),
        ("\"2025-10-01t12:00:00z\"", "01 12:00:00 12:00:00.000000"),
        ("\"2025-10-01\"", "01 00:00:00 00:00:00.000000"),
        ("1759579200", "04 12:00:00 12:00:00.000000"),
        ("1759579200123", "04 12:00:00 12:00:00.123000"),
    ];
    let wrong = ["\"2025-13-01T12:00:00Z\"", "\"2025-02-30\"", "\"\"", "null", "true", "\"1759579200\""];
    let all = times.iter().map(|(time, _)| *time).chain(wrong).enumerate();
    let message = |(number, time): (usize, &str)| {
        format!(
            "{{\"event_type\":\"commit_created\",\"timestamp\":{time},\"repository_id\":\"r\",\"data\":{{\"sha\":\"{number}\"}}}}\n"
        )
    };
    place.site.write("in.jsonl", all.map(message).collect::<String>());
    let job = from_file(&place, "commits", "in.jsonl");
    load(&place, &job).run().exits(3).says("10 records loaded, 6 rejected");
    let kept = "SELECT to_char(committed_at AT TIME ZONE 'UTC', 'DD HH24:MI:SS ') || to_char(event_at AT TIME ZONE 'UTC', \
                'HH24:MI:SS.US') FROM commits ORDER BY CAST(sha AS int)";
    assert_eq!(place.rows(kept), times.map(|(_, kept)| kept));
}

#[test]
fn two_loads_at_once_leave_one_row_of_an_object() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    let jobs: Vec<String> = (0..2)
        .map(|number| {
            let name = format!("in-{number}.jsonl");
            // The same objects, in another order and with other times.
            let mut lines: Vec<String> = (0..500)
                .map(|id| {
                    commits(&[(number * 7, &format!("2025-10-01T0{number}:00:00Z"), u32::from(number))])
                        .replace("\"sha\":\"a\"", &format!("\"sha\":\"{id:03}\""))
                })
                .collect();
            if number == 1 {
                lines.reverse();
            }
            place.site.write(&name, lines.concat());
            let job = from_file(&place, "commits", &name);
            let text = std::fs::read_to_string(place.site.path(&job)).unwrap();
            let own = format!("in-{number}.yaml");
            place.site.write(&own, text.replace("job_name: sei-commits", &format!("job_name: of-{number}")));
            own
        })
        .collect();
    for _ in 0..3 {
        let runs = jobs.iter().enumerate().map(|(number, job)| {
            load(&place, job).args(["--reload", "--runs-dir", &format!("runs-{number}")]).spawn()
        });
        for running in runs.collect::<Vec<_>>() {
            running.wait().exits(0);
        }
        let all = "SELECT count(*) || ' ' || count(DISTINCT sha) || ' ' || sum(additions) FROM commits";
        assert_eq!(place.rows(all), ["500 500 500"]);
        place.run("DELETE FROM commits; DELETE FROM newest_events");
    }
}

#[test]
fn what_is_wrong_with_a_message_is_said_and_the_others_are_loaded() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    place.site.write("in.jsonl", BAD_ISSUES.map(|(line, _)| line).join("\n"));
    let job = from_file(&place, "issues", "in.jsonl");
    load(&place, &job).run().exits(3).says("1 record loaded, 6 rejected");
    let rejected = place.site.newest_run().lines("rejected.jsonl");
    let said: Vec<String> = rejected
        .iter()
        .map(|line| format!("{} {}", line["rule"].as_str().unwrap(), line["field"].as_str().unwrap_or("-")))
        .collect();
    let expected: Vec<&str> =
        BAD_ISSUES.iter().map(|(_, said)| *said).filter(|said| !said.is_empty()).collect();
    assert_eq!(said, expected);
    assert_eq!(
        place.rows("SELECT issue_key || ' ' || project_key || ' ' || assignee FROM issues"),
        ["PROJ-1 PROJ li@example.com"]
    );
}

/// Messages, each with the rule that it breaks and the field.
pub(super) const BAD_ISSUES: [(&str, &str); 7] = [
    (
        r#"{"timestamp":"2025-10-01T12:00:00Z","data":{"key":" PROJ-1 ","assignee":"LI@EXAMPLE.COM","created":"2025-09-25T10:00:00Z"}}"#,
        "",
    ),
    (
        r#"{"timestamp":"2025-10-01T12:00:00Z","project_key":"PROJ","data":{"created":"2025-09-25T10:00:00Z"}}"#,
        "required issue_key",
    ),
    (
        r#"{"timestamp":"2025-10-01T12:00:00Z","project_key":"PROJ","data":{"key":"PROJ-2","created":"yesterday"}}"#,
        "transform -",
    ),
    (
        r#"{"timestamp":"","project_key":"PROJ","data":{"key":"PROJ-3","created":"2025-09-25T10:00:00Z"}}"#,
        "required event_at",
    ),
    (
        r#"{"timestamp":"2025-10-01T12:00:00Z","data":{"key":"PROJ-4","created":"2025-09-25T10:00:00Z","resolved":"2025-09-24T10:00:00Z"}}"#,
        "min cycle_time_days",
    ),
    (r#"{"timestamp":"2025-10-01T12:00:00Z","data":"PROJ-5"}"#, "transform -"),
    (
        r#"{"timestamp":"2025-10-01T12:00:00Z","data":{"key":"PROJ-6","story_points":-1,"created":"2025-09-25T10:00:00Z"}}"#,
        "min story_points",
    ),
];

#[test]
fn the_page_leads_to_a_chart() {
    let Some(place) = place() else { return };
    let page = std::fs::read_to_string(root().join("docs/delivery-metrics.md")).unwrap();
    std::fs::create_dir(place.site.path("bin")).unwrap();
    symlink(BINARY, place.site.path("bin/devrev-batch")).unwrap();
    let url =
        place.database.as_ref().unwrap().url(&format!("postgres:{}", crate::support::postgres::PASSWORD));
    let (mut scripts, mut queries) = (0, 0);
    let mut parts = page.split("```");
    while let (Some(before), Some(block)) = (parts.next(), parts.next()) {
        if let Some(script) = block.strip_prefix("sh\n") {
            if before.trim_end().ends_with("<!-- not run: needs PostgreSQL -->") {
                let path = format!("{}:/usr/local/bin:/usr/bin:/bin", place.site.path("bin").display());
                let mut shell = Command::new("sh");
                shell.args(["-e", "-c", script]).current_dir(place.site.folder()).env_clear();
                shell.env("PATH", path).env("HOME", place.site.folder());
                let ended = shell.env("TIMESCALE_URL", &url).env("DATABASE_URL", &url).output().unwrap();
                let said = String::from_utf8_lossy(&ended.stderr);
                assert!(
                    ended.status.success(),
                    "{script}\n{}\n{said}",
                    String::from_utf8_lossy(&ended.stdout)
                );
                scripts += 1;
            }
        } else if let Some(sql) = block.strip_prefix("sql\n") {
            if sql.starts_with("SELECT") {
                let sql = sql.trim_end().trim_end_matches(';');
                assert!(
                    !place.rows(&format!("SELECT CAST(q AS text) FROM ({sql}) AS q")).is_empty(),
                    "{sql}"
                );
            } else {
                place.run(sql);
            }
            queries += 1;
        }
    }
    assert!(scripts >= 2 && queries >= 3, "{scripts} scripts, {queries} queries");
    check(&place);
}
