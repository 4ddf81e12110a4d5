//! What operators read, as snapshots: a change of wording is seen in review. Help texts are in `src/cli/snapshots/`.

use crate::support::site::{Site, Trouble};
use crate::support::test_data;
use devrev_batch::sandbox::Data;
use std::fmt::Write as _;

/// The demo, and an export of each kind.
fn demo() -> Site {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none().merge("delay=0"));
    for name in ["issues.csv", "contacts.csv"] {
        std::fs::copy(test_data(name), site.path(name)).unwrap();
    }
    site
}

/// A text with what differs from run to run made the same.
fn redacted(site: &Site, text: &str) -> String {
    let text = text.replace(&site.folder().display().to_string(), "FOLDER").replace(&site.base_url(), "URL");
    let is_run = |part: &&str| {
        let date = part.split('-').next().unwrap_or_default();
        part.len() > 20 && date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut redacted = String::new();
    for line in text.lines() {
        let word = |word: &str| {
            let run = word.split(['`', ':', ',', ';', '(', ')', '?', '/']).find(is_run);
            run.map_or_else(|| word.to_owned(), |run| word.replace(run, "RUN"))
        };
        let mut line = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
        if let Some(at) = line.find(" API calls in ") {
            line.truncate(at + " API calls in ".len());
            line.push_str("[time]");
        } else if let Some(at) = line.find("(made 20") {
            line.truncate(at);
            line.push_str("(made [time])");
        } else if line.starts_with("20")
            && let Some((_, rest)) = line.split_once("Z  WARN ")
        {
            line = format!("[time] WARN {rest}");
        }
        let _ = writeln!(redacted, "{}", line.trim_end());
    }
    redacted
}

#[test]
fn errors() {
    let site = demo();
    site.write("empty.csv", "");
    site.write("header.csv", "issue,creator_user_id,assigned_group\nISS-1,DEVU-1,GROUP-1\n");
    site.write("zip.csv", b"\x1f\x8b\x08\0\0");
    site.write("map.csv", "DEVU-1\n");
    site.write("bad.env", "BATCH_SIZE=0\nCONCURENCY=4\nRATE_LIMIT_CALLS=x\n");
    site.program(["backfill-groups", "--csv", "issues.csv", "--dry-run", "--limit", "5"]).run().exits(0);
    let dry = site.the_run();
    let dry = dry.id();
    let commands: [&[&str]; 22] = [
        &["validate"],
        &["validate", "--csv", "none.csv"],
        &["validate", "--csv", "empty.csv"],
        &["validate", "--csv", "zip.csv"],
        &["validate", "--csv", "issues.csv", "--query", "SELECT 1"],
        &["backfill-groups", "--csv", "header.csv", "--yes"],
        &["backfill-groups", "--csv", "issues.csv"],
        &["backfill-groups", "--csv", "issues.csv", "--yes", "--on-ambiguous", "last"],
        &["backfill-groups", "--csv", "issues.csv", "--yes", "--group-map", "map.csv"],
        &["backfill-groups", "--csv", "issues.csv", "--yes", "--env-file", "bad.env", "--max-errors", "x"],
        &["merge-contacts", "--csv", "issues.csv", "--yes"],
        &["merge-contacts", "--csv", "contacts.csv", "--yes", "--backup-dir", "issues.csv"],
        &["resume"],
        &["resume", "20260101-000000-backfill-groups-0000"],
        &["resume", dry, "--on-drift", "skip"],
        &["apply", dry, "--limit", "x"],
        &["apply", dry, "--limit", "0"],
        &["undo", dry],
        &["runs", "list", "--state", "done"],
        &["runs", "prune", "--older-than", "soon"],
        &["backups", "verify", "none"],
        &["sandbox", "--fault", "path=works.update"],
    ];
    let mut text = String::new();
    for args in commands {
        let ended = site.program(args).env("RETRY_BACKOFF", "0").run();
        let code = ended.code.unwrap();
        assert!(code != 0, "{args:?}");
        let shown =
            redacted(&site, &format!("$ devrev-batch {}\n{}{}", args.join(" "), ended.out, ended.err));
        let _ = writeln!(text, "{}exit code {code}\n", shown.trim_end().to_owned() + "\n");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn plans_and_summaries() {
    let site = demo();
    let mut text = String::new();
    let mut run = |args: &[&str], code: i32| {
        let ended = site.program(args).env("MERGE_POLL_DELAY", "0.005").run().exits(code);
        let shown =
            redacted(&site, &format!("$ devrev-batch {}\n{}{}", args.join(" "), ended.out, ended.err));
        let _ = writeln!(text, "{shown}");
    };
    let newest = || site.newest_run().id().to_owned();
    let olga = ["--filter-email", "olga.ivanova@customer.example.com"];
    run(&["backfill-groups", "--csv", "issues.csv", "--dry-run", "--rate-limit-calls", "100"], 3);
    run(&["apply", &newest(), "--yes"], 0);
    let applied = newest();
    run(&["undo", &applied, "--dry-run"], 0);
    run(&[&["merge-contacts", "--csv", "contacts.csv", "--preview"], &olga[..]].concat(), 0);
    run(&[&["merge-contacts", "--csv", "contacts.csv", "--yes"], &olga[..]].concat(), 0);
    run(&["undo", &newest(), "--preview"], 0);
    run(&["backups", "verify"], 0);
    insta::assert_snapshot!(text);
}

/// The words of a page, a line for each element; without those that hold a number, which differ from run to run.
fn words(site: &Site, page: &str) -> String {
    // The folder's name is random: only sometimes does it hold a digit.
    let page = page.replace(&site.folder().display().to_string(), "0");
    let body = page.split("</style>").nth(1).unwrap_or(&page);
    let mut words = String::new();
    for part in body.split('<').skip(1) {
        let text = part.split_once('>').map_or("", |(_, text)| text).trim();
        if !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_digit()) {
            let _ = writeln!(words, "{text}");
        }
    }
    words
}

#[test]
fn the_report_page() {
    let site = demo();
    let olga = ["--filter-email", "olga.ivanova@customer.example.com"];
    site.program(["backfill-groups", "--csv", "issues.csv", "--limit", "30", "--yes"]).run().exits(0);
    let of_backfill = std::fs::read_to_string(site.the_run().file("report.html")).unwrap();
    let merge = site.program(["merge-contacts", "--csv", "contacts.csv", "--yes"]).args(olga);
    merge.env("MERGE_POLL_DELAY", "0.005").run().exits(0);
    let runs = site.runs();
    let merged = runs.iter().find(|run| run.id().contains("merge")).unwrap();
    let of_merge = std::fs::read_to_string(merged.file("report.html")).unwrap();
    insta::assert_snapshot!("backfill_page", words(&site, &of_backfill));
    insta::assert_snapshot!("merge_page", words(&site, &of_merge));
}
