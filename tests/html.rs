//! `report.html`: every run leaves one, and whatever its rows say, it is a page that does nothing.

use crate::support::browser::Browser;
use crate::support::fixture::Trouble;
use crate::support::org::HEADER;
use crate::support::people::People;
use crate::support::{Fixture, Merging, Org, Run};
use serde_json::json;
use std::fmt::Write as _;

/// A name that would do harm if it were taken for anything but text.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x>\u{202e}\0{{7*7}}";
/// The same as the page has it.
const ESCAPED: &str = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#62;&#60;img \
    src=x&#62;\u{27e8}U+202E\u{27e9}\u{2400}{{7*7}}";

/// The page of a run. Wants it whole, closed to others, and without anything that acts.
#[track_caller]
fn page(run: &Run) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = run.file("report.html");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    for absent in ["<script", "<img", "javascript:", " style=", "src=\"", "\0", "\u{202e}"] {
        assert!(!page.contains(absent), "{absent}");
    }
    page
}

/// The run of these that is none of those: two of one second are in no order.
#[track_caller]
fn but(runs: Vec<Run>, known: &[&Run]) -> Run {
    let mut others = runs.into_iter().filter(|run| known.iter().all(|known| known.id() != run.id()));
    others.next().unwrap()
}

/// Where the page's links lead outside of it.
fn links(page: &str) -> Vec<&str> {
    let hrefs = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    hrefs.filter(|href| !href.starts_with('#') && *href != "data:,").collect()
}

#[track_caller]
fn assert_has(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "`{text}` is missing in {page}");
    }
}

#[test]
fn a_run_and_its_dry_run_leave_a_page() {
    let fixture = Fixture::broken(&Org::of(30), ["path=works.update,status=403,count=2"]);
    let dry = fixture.program(["backfill-groups", "--csv", "issues.csv", "--dry-run"]);
    dry.env("DEVREV_APP_URL", "https://app.devrev.ai/acme").run().exits(0);
    let dry = fixture.the_run();
    let plan = page(&dry);
    assert_has(
        &plan,
        &["Dry run of backfill-groups", "Planned changes", "Team 1 (don:identity:", "plan.jsonl"],
    );
    let linked = links(&plan);
    assert_eq!((linked.len(), linked[0]), (30, "https://app.devrev.ai/acme/works/ISS-1"));

    fixture.backfill(&[]).run().exits(3);
    let page = page(&but(fixture.runs(), &[&dry]));
    let why = "Exit code 3: finished, but some rows failed";
    let user = "<dt>User</dt>";
    assert_has(
        &page,
        &[why, "<b>30</b>", "<b>28</b>", "<code>works.update</code>", user, "Set DEVREV_APP_URL"],
    );
    assert_eq!(page.matches("class=\"words\"").count(), 2);
    assert!(links(&page).is_empty());
    fixture.assert_no_token();
}

#[test]
fn a_page_is_there_however_a_run_ends_and_says_so() {
    let mut fixture = Fixture::with(&Org::of(100), &Trouble::delay(20));
    let running = fixture.backfill(&["--batch-size", "10"]).run_until(|| fixture.writes() >= 15);
    running.signal("INT");
    running.wait().exits(130);
    let run = fixture.the_run();
    let resume = format!("devrev-batch resume {}", run.id());
    assert_has(&page(&run), &["interrupted by Ctrl-C", "not done yet", &resume]);
    assert!(!page(&run).contains("The run was resumed"));

    fixture.restart(&Trouble::faults(["path=works.update,status=401,after=5"]));
    fixture.resume(&[]).run().exits(4);
    assert_has(&page(&run), &["the credentials were refused", "class=\"why\"", "The run was resumed"]);

    fixture.restart(&Trouble::none());
    fixture.resume(&[]).run().exits(0);
    assert_has(&page(&run), &["Exit code 0", "<b>100</b>", "The run was resumed"]);
}

#[test]
fn a_run_of_no_rows_and_one_of_ten_say_what_there_is() {
    let fixture = Fixture::new(&Org::of(10));
    fixture.write("issues.csv", HEADER);
    fixture.backfill(&[]).run().exits(0);
    let empty = fixture.the_run();
    assert_has(&page(&empty), &["<b>0</b>", "The run has no rows", "No call was made"]);
    fixture.write("issues.csv", fixture.org.csv());
    fixture.backfill(&[]).run().exits(0);
    let page = page(&but(fixture.runs(), &[&empty]));
    assert_has(&page, &["<b>10</b>", "10 rows and ", "<rect class=\"done\""]);
}

#[test]
fn of_many_rows_the_first_thousand_are_shown() {
    let fixture = Fixture::new(&Org::of(1));
    let mut csv = HEADER.to_owned();
    for issue in 1..=1234 {
        writeln!(csv, "ISS-{},DEVU-1,GROUP-1,", 1000 + issue).unwrap();
    }
    fixture.write("issues.csv", csv);
    fixture.backfill(&["--max-batch-failures", "100"]).run().exits(3);
    let page = page(&fixture.the_run());
    assert_has(
        &page,
        &["The first 1,000 of 1,234 are shown; all are in failed.csv.", "1,234 rows, the first 1,000"],
    );
    assert_eq!(page.matches("class=\"words\"").count(), 1000);
    assert!(page.contains("<bdi>ISS-2000</bdi>") && !page.contains("<bdi>ISS-2001</bdi>"));
}

/// A world in which a contact of the first pair has a hostile name.
fn hostile() -> People {
    let mut people = People::of(3);
    people.contact("REVU-1")["display_name"] = json!(HOSTILE);
    people
}

#[test]
fn merges_and_what_takes_them_back_are_told_pair_by_pair() {
    let fixture = Merging::new(&hostile());
    fixture.quick(["merge-contacts", "--csv", "contacts.csv", "--preview"]).run().exits(0);
    let dry = fixture.the_run();
    let plan = page(&dry);
    assert_has(
        &plan,
        &["Planned changes", ESCAPED, "<dt>Backup</dt>", "user_20002", "3 pairs would be merged"],
    );
    fixture.merge(&[]).run().exits(0);
    let merged = but(fixture.runs(), &[&dry]);
    let done = page(&merged);
    let backups = fixture.path("backups").display().to_string();
    assert_has(&done, &["Pairs", ESCAPED, "<dt>Stays</dt>", "<dt>Ends</dt>", "<dt>Moved</dt>", &backups]);
    // The works of both, the reference that the primary got, and when each step was taken.
    assert_has(&done, &["works 2 (tickets 1)", "<bdi>REVU-20001</bdi>", "<bdi>user_20002</bdi>"]);
    assert_eq!(done.matches("<article").count(), 3);
    for step in ["backed up", "verified", "merging", "acknowledged", "proven", "ref set", "checked"] {
        assert_eq!(done.matches(&format!("<li>{step} <time datetime=\"20")).count(), 3, "{step}");
    }
    let run = merged.id();
    fixture.quick(["undo", run, "--yes"]).run().exits(0);
    let undone = but(fixture.runs(), &[&dry, &merged]);
    assert_has(&page(&undone), &["Merges undone", "<dt>Cannot come back</dt>", "<li>created <time", run]);
    fixture.assert_no_token();
}

#[test]
fn a_page_that_cannot_be_written_is_a_warning() {
    let fixture = Fixture::with(&Org::of(60), &Trouble::delay(20));
    let running = fixture.backfill(&["--batch-size", "10"]).run_until(|| fixture.writes() >= 5);
    std::fs::create_dir(fixture.the_run().file("report.html")).unwrap();
    running.wait().exits(0).says("warning: cannot write ").says("report.html: ");
    assert_eq!(fixture.the_run().manifest()["state"], "finished");
}

#[test]
fn a_browser_shows_the_page_and_runs_nothing_of_it() {
    let Some(browser) = Browser::find() else { return };
    let fixture = Merging::new(&hostile());
    fixture.merge(&[]).run().exits(0);
    let run = fixture.the_run();
    let title = format!("<title>{}: finished</title>", run.id());
    let path = run.file("report.html");
    let looked = browser.look(&path);
    assert_eq!(looked.console, [""; 0]);
    assert!(looked.dom.contains(&title) && looked.dom.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));

    // Whatever a fault of ours might let through: the policy holds.
    let injected = "<script>document.title='owned'</script><img src=\"http://127.0.0.1:9/x.png\" \
        onerror=\"document.title='owned'\">\
                    <style>body{display:none}</style><p style=\"color:red\">x</p></main>";
    let broken = fixture.write("broken.html", page(&run).replace("</main>", injected));
    let looked = browser.look(&broken);
    assert!(looked.dom.contains(&title), "{}", looked.dom);
    for refused in ["inline script", "inline event handler", "inline style", "the image"] {
        let is_refused = |line: &String| line.contains(refused) && line.contains("Content Security Policy");
        assert!(looked.console.iter().any(is_refused), "{refused}: {:?}", looked.console);
    }

    let blank = browser.picture(&fixture.write("blank.html", "<!DOCTYPE html>"), false);
    let (light, dark) = (browser.picture(&path, false), browser.picture(&path, true));
    for picture in [&light, &dark] {
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > blank.len() * 5, "{}", picture.len());
    }
    assert_ne!(light, dark);
}
