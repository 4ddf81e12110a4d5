use super::entry::{Entry, Said};
use super::*;
use crate::engine::event::Tally;
use crate::exit::Exit;
use crate::journal::manifest::{FORMAT, Input, RunState};
use crate::journal::ordered::Word;
use crate::journal::record::{Outcome, State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::DateTime;
use serde_json::json;
use serde_json::value::to_raw_value;
use sha2::{Digest, Sha256};

/// Text that would do harm if it were taken for anything but text.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\0{{7*7}}&amp;";
/// The same as the page has it.
const ESCAPED: &str = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#62;&#60;img src=x onerror=alert(2)&#62;\u{27e8}U+202E\u{27e9}\u{2400}{{7*7}}&#38;amp;";

fn summary(tally: Tally) -> Summary {
    Summary {
        run: "20261122-034500-test-7f3a".to_owned(),
        folder: "runs/20261122-034500-test-7f3a".to_owned(),
        command: "test".to_owned(),
        dry_run: false,
        carries_out: None,
        memory_peak_bytes: None,
        cpu_seconds: None,
        target: "https://api.example.com".to_owned(),
        environment: "production".to_owned(),
        state: "finished".to_owned(),
        why: None,
        notes: Vec::new(),
        exit: 3,
        rows: tally.total(),
        open: 0,
        tally,
        plan: None,
        plan_text: String::new(),
        calls: json!({}),
        calls_total: 0,
        calls_retried: 1,
        resumed: false,
        seconds: 1.0,
        seconds_waiting: 0.0,
        profile: None,
        next: vec!["look at failed.csv".to_owned()],
    }
}

fn manifest() -> Manifest {
    let at = DateTime::from_timestamp(1_795_319_100, 0).unwrap();
    Manifest {
        format: FORMAT,
        tool_version: "0.1.0".to_owned(),
        id: "20261122-034500-test-7f3a".to_owned(),
        command: "test".to_owned(),
        created_at: at,
        updated_at: at,
        ended_at: Some(at + chrono::TimeDelta::seconds(90)),
        settings: json!({
            "job": {"overwrite": true},
            "resolved": {"BATCH_SIZE": {"value": "7", "from": "--batch-size"}, "NOTIFY": {"value": "", "from": "default"}},
        }),
        input: Some(Input {
            delimiter: None,
            leaves_out_blank_rows: true,
            path: "/data/issues.csv".to_owned(),
            bytes: 12_345,
            sha256: "ab".to_owned(),
            rows: 2,
            spooled: false,
            source: None,
            query: None,
        }),
        org: None,
        user: None,
        base_url: "https://api.example.com".to_owned(),
        environment: "production".to_owned(),
        dry_run: false,
        journal_bytes: None,
        counts: std::collections::BTreeMap::new(),
        state: RunState::Finished,
        exit_code: Some(3),
        applies: None,
        portion: None,
        closed: None,
        why: None,
        notes: Vec::new(),
        parent: None,
    }
}

fn tell(said: Said<'_>) -> Option<Entry> {
    let (Said::Planned(raw) | Said::Meant(raw) | Said::Ended(raw)) = said;
    let text: String = serde_json::from_str(raw.get()).ok()?;
    let at = DateTime::from_timestamp(1_795_319_100, 0);
    Some(Entry::default().fact("Who", &text).change("Name", Some(&text), None).step(&text, at))
}

fn path(key: &str) -> Option<String> {
    key.starts_with("OK-").then(|| format!("works/{key}"))
}

fn html(summary: &Summary, manifest: &Manifest, rows: RowsTable, app: Option<&str>, resumed: bool) -> String {
    let report = Report {
        summary,
        manifest,
        meaning: Exit::SomeFailed.meaning(),
        figures: &Figures::default(),
        points: &[],
        resumed,
        rows,
        heading: "Pairs",
        links: Links { app, path, hint: "Set THE_APP for links." },
        trouble: None,
    };
    let mut page = Vec::new();
    write(&mut page, report).unwrap();
    String::from_utf8(page).unwrap()
}

fn failed(key: &str, words: &str) -> Word {
    let outcome = Outcome::of(State::Failed, "refused", words).reported(to_raw_value(words).ok());
    Word::Outcome { key: key.to_owned(), outcome, first: true }
}

#[test]
fn whatever_comes_from_outside_is_text() {
    let mut tally = Tally::default();
    tally.add("failed", Some(HOSTILE), 1);
    let mut summary = summary(tally);
    let mut manifest = manifest();
    for text in [
        &mut summary.run,
        &mut summary.folder,
        &mut summary.command,
        &mut summary.target,
        &mut summary.environment,
        &mut summary.state,
        &mut summary.plan_text,
    ] {
        HOSTILE.clone_into(text);
    }
    summary.why = Some(HOSTILE.to_owned());
    summary.next = vec![HOSTILE.to_owned()];
    manifest.settings =
        json!({"job": {HOSTILE: HOSTILE}, "resolved": {HOSTILE: {"value": HOSTILE, "from": HOSTILE}}});
    manifest.parent = Some(HOSTILE.to_owned());
    manifest.org =
        Some(crate::journal::manifest::Party { id: HOSTILE.to_owned(), display_id: None, name: None });
    let mut rows = RowsTable::new(tell);
    rows.take(1, &failed(HOSTILE, HOSTILE));
    let page = html(&summary, &manifest, rows, Some("https://app.example.com/acme"), false);
    assert_eq!(page.matches("<script").count(), 0);
    assert_eq!(page.matches("<img").count(), 0);
    assert!(!page.contains(['\0', '\u{202e}']));
    // Each of them is there: 7 of the summary (the run also in the title), why, next, 5 settings, parent, organisation,
    // the reason, and of the row its key twice, its words, its reason with them, a fact, a change and a step.
    assert!(page.matches(ESCAPED).count() >= 23, "{}", page.matches(ESCAPED).count());
}

#[test]
fn the_policy_allows_the_one_style_sheet_and_nothing_else() {
    let page = html(&summary(Tally::default()), &manifest(), RowsTable::new(tell), None, false);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "content=\"default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'\""
    );
    assert!(page.contains(&policy));
    assert!(page.find("Content-Security-Policy").unwrap() < page.find("<style>").unwrap());
    for absent in [" style=", "<script", " onload=", "http://", "javascript:", "url(", "@import", "src="] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn links_go_to_the_app_and_nowhere_else() {
    let mut tally = Tally::default();
    tally.add("failed", Some("refused"), 2);
    let summary = summary(tally);
    let rows = || {
        let mut rows = RowsTable::new(tell);
        rows.take(1, &failed("OK-1", "w"));
        rows.take(2, &failed("https://evil.example/", "w"));
        rows
    };
    let hrefs = |page: &str| {
        let parts = page.split("<a href=\"").skip(1).map(|part| part.split('"').next().unwrap().to_owned());
        parts.filter(|href| !href.starts_with('#')).collect::<Vec<_>>()
    };
    let page = html(&summary, &manifest(), rows(), Some("https://app.example.com/acme/"), false);
    assert_eq!(hrefs(&page), ["https://app.example.com/acme/works/OK-1"; 2]);
    assert_eq!(page.matches("rel=\"noopener noreferrer\"").count(), 2);
    assert!(!page.contains("Set THE_APP"));
    let page = html(&summary, &manifest(), rows(), None, false);
    assert!(hrefs(&page).is_empty() && page.contains("Set THE_APP for links."));
}

#[test]
fn a_page_is_complete_and_says_what_it_leaves_out() {
    let mut tally = Tally::default();
    tally.add("failed", Some("refused"), 100_000);
    tally.add("skipped", Some("left-so"), 5);
    let mut rows = RowsTable::new(|_| None);
    for row in 1..=100_000 {
        rows.take(row, &failed(&format!("K-{row}"), "words"));
    }
    let page = html(&summary(tally), &manifest(), rows, None, true);
    for text in [
        "Exit code 3: finished, but some rows failed, or their state is unknown.",
        "<b>100,005</b>",
        "The first 1,000 of 100,000 are shown; all are in failed.csv.",
        "100,000 rows, the first 1,000",
        "<code>left-so</code>",
        "The run was resumed: the counts are of the whole run",
        "2026-11-22 03:46:30 UTC (1 min 30 s after it began)",
        "2 rows, 12,345 bytes",
        "<code>BATCH_SIZE</code>",
        "look at failed.csv",
        "No call was made: there are no latencies.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert_eq!(page.matches("<bdi>K-").count(), 1000);
    assert!(page.trim_end().ends_with("</html>"));
}

#[test]
fn a_page_without_rows_says_that_there_is_nothing() {
    let page = html(&summary(Tally::default()), &manifest(), RowsTable::new(tell), None, false);
    assert!(page.contains("The run has no rows: there is nothing to count."));
    for absent in ["id=\"failures\"", "id=\"rows\"", "was resumed"] {
        assert!(!page.contains(absent), "{absent}");
    }
}
