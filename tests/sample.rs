//! `sample`: a small input whose rows are the large one's, byte for byte.

use crate::support::{Fixture, Org, test_data};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const HEADER: &str = "issue_id,creator_user_id,assigned_group\n";

fn fixture() -> Fixture {
    let fixture = Fixture::down(&Org::of(1));
    for name in ["issues.csv", "contacts.csv"] {
        fs::copy(test_data(name), fixture.path(name)).unwrap();
    }
    fixture
}

/// The records of a file that has quoted lines, header first.
fn records(text: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(Result::unwrap).collect()
}

#[test]
fn issues_are_spread_over_their_groups() {
    let fixture = fixture();
    let sample = |seed: &str, to: &str| {
        let args = ["sample", "--csv", "issues.csv", "--size", "30", "--seed", seed, "-o", to, "--json"];
        let object = fixture.program(args).without("DEVREV_API_TOKEN").run().exits(0).json();
        assert_eq!(
            (&object["rows"], &object["groups"], &object["file"]),
            (&json!(30), &json!(12), &json!(to))
        );
        fs::read_to_string(fixture.path(to)).unwrap()
    };
    let (one, same, other) = (sample("1", "1.csv"), sample("1", "again.csv"), sample("2", "2.csv"));
    assert_eq!(one, same);
    assert_ne!(one, other);
    let mut groups = BTreeMap::new();
    for record in records(&one).iter().skip(1) {
        // In either form of its ID.
        let group = record[2].rsplit(['-', '/']).next().unwrap().to_owned();
        *groups.entry(group).or_insert(0) += 1;
    }
    assert_eq!((groups.len(), groups.values().min(), groups.values().max()), (12, Some(&2), Some(&3)));

    // In the order of the input, and as they stand there.
    let whole = fs::read_to_string(fixture.path("issues.csv")).unwrap();
    let mut rest = whole.as_str();
    for line in one.split_inclusive('\n') {
        let at = rest.find(line).unwrap_or_else(|| panic!("not in the input: {line}"));
        rest = &rest[at + line.len()..];
    }
    fixture.program(["validate", "--csv", "1.csv"]).run().exits(0).says("30 rows");
}

#[test]
fn of_contacts_whole_pairs_are_taken() {
    let fixture = fixture();
    let args = ["sample", "--csv", "contacts.csv", "--size", "11", "-o", "small.csv"];
    fixture
        .program(args)
        .run()
        .exits(0)
        .says("10 rows (5 pairs) of the 52 rows of contacts.csv written to small.csv");
    let args = ["merge-contacts", "--csv", "small.csv", "--sandbox", "--dry-run", "--json"];
    let states = fixture.program(args).run().json();
    assert_eq!(states["rows"], 10);
    assert!(states["reasons"]["skipped"].get("no-duplicate").is_none(), "{states}");
    let text = fs::read_to_string(fixture.path("small.csv")).unwrap();
    let mut emails = BTreeMap::new();
    for record in records(&text).iter().skip(1) {
        emails
            .entry(record[2].trim().to_lowercase())
            .or_insert_with(BTreeSet::new)
            .insert(record[0].to_owned());
    }
    assert!(emails.len() == 5 && emails.values().all(|ids| ids.len() == 2), "{emails:?}");
}

#[test]
fn more_than_there_is_is_all_there_is() {
    let fixture = fixture();
    let sample =
        |csv: &str, to: &str| fixture.program(["sample", "--csv", csv, "--size", "1000", "-o", to]).run();
    sample("issues.csv", "all.csv")
        .exits(0)
        .says("note: 1000 were asked for, and the input has no more valid rows");
    let [all, whole] = ["all.csv", "issues.csv"].map(|name| fs::read(fixture.path(name)).unwrap());
    assert!(all == whole);
    sample("contacts.csv", "pairs.csv")
        .exits(0)
        .says("38 rows (19 pairs)")
        .says("the input has no more pairs");
}

#[test]
fn standard_input_to_standard_output() {
    let fixture = fixture();
    let input = fs::read(fixture.path("issues.csv")).unwrap();
    let ended =
        fixture.program(["sample", "--csv", "-", "-o", "-", "--size", "3"]).stdin(input).run().exits(0);
    assert_eq!(records(&ended.out).len(), 4, "{}", ended.all());
    assert!(
        ended.err.starts_with("3 rows of 3 assigned groups of the 300 rows of standard input"),
        "{}",
        ended.all()
    );
    assert_eq!(fs::read_dir(fixture.path("tmp")).unwrap().count(), 0);
    let both = fixture.program(["sample", "--csv", "issues.csv", "-o", "-", "--json"]).run().exits(2);
    assert!(both.json()["error"]["message"].as_str().unwrap().contains("both need standard output"));
    let quiet = fixture.program(["sample", "--csv", "issues.csv", "-o", "-", "-q"]).run().exits(0);
    assert_eq!(quiet.err, "");
}

#[test]
fn bytes_stay_as_they_are() {
    let fixture = fixture();
    let input = "\u{feff}issue_id,creator_user_id,assigned_group,\" t\"\r\n\r\nISS-1,DEVU-1,GROUP-1,\"two\r\nlines\"\r\n\
                 ISS-2,DEVU-1,GROUP-2,\"plain\"\r\nISS-3 , DEVU-1,GROUP-3,x";
    fixture.write("windows.csv", input);
    fixture.program(["sample", "--csv", "windows.csv", "-o", "small.csv"]).run().exits(0);
    let small = fs::read_to_string(fixture.path("small.csv")).unwrap();
    assert_eq!(small, input.replace("\r\n\r\n", "\r\n") + "\r\n");
}

#[test]
fn bad_rows_are_not_taken_and_said() {
    let fixture = fixture();
    fixture.write(
        "bad.csv",
        format!("{HEADER}ISS-1,DEVU-1,GROUP-1\nISS-2,DEVU-1\nx,DEVU-1,GROUP-1\nISS-3,\"a\"b,GROUP-1\n"),
    );
    let ended = fixture.program(["sample", "--csv", "bad.csv", "-o", "good.csv"]).run().exits(0);
    ended
        .says("1 row of 1 assigned group of the 4 rows")
        .says("note: 3 rows of the input are invalid and not taken");
    assert_eq!(
        fs::read_to_string(fixture.path("good.csv")).unwrap(),
        format!("{HEADER}ISS-1,DEVU-1,GROUP-1\n")
    );
}

#[test]
fn garbage_leaves_no_file() {
    let fixture = fixture();
    for (content, code, says) in [
        ("", 5, "is empty"),
        ("a,b\n1,2\n", 5, "columns missing"),
        ("\0\u{1}\n", 5, "columns missing"),
        (&format!("{HEADER}x\n"), 5, "no valid row"),
        (&format!("{HEADER}ISS-1,\"DEVU-1,GROUP-1\nISS-2,DEVU-1,GROUP-1\n"), 5, "never closed"),
    ] {
        fixture.write("in.csv", content);
        let ended =
            fixture.program(["sample", "--csv", "in.csv", "-o", "out.csv"]).run().exits(code).says(says);
        assert!(!fixture.path("out.csv").exists(), "{}", ended.all());
    }
    for (args, says) in [
        (&["--csv", "none.csv", "-o", "out.csv"][..], "none.csv"),
        (&["--csv", "issues.csv", "-o", "out.csv", "--size", "0"], "--size 0"),
        (&["--csv", "contacts.csv", "-o", "out.csv", "--size", "1"], "at least 2 rows"),
        (&["--csv", "issues.csv", "-o", "out.csv", "--size", "99999999999"], "1 to 1000000 rows"),
        (&["--csv", "issues.csv", "-o", "out.csv", "--size=-1"], "invalid value"),
        (&["--csv", "issues.csv", "-o", "tmp"], "is a folder"),
        (&["--csv", "issues.csv", "-o", "none/out.csv"], "cannot write none/out.csv"),
    ] {
        fixture.program(["sample"]).args(args).run().exits(2).says(says);
    }
    assert!(!fixture.path("out.csv").exists());
}

#[test]
fn nothing_is_overwritten_unasked() {
    let fixture = fixture();
    fixture.write("kept.csv", "mine");
    let sample = |to: &str, force: &[&str]| {
        fixture.program(["sample", "--csv", "issues.csv", "--size", "2", "-o", to]).args(force).run()
    };
    sample("kept.csv", &[]).exits(2).says("kept.csv is there already: give --force to replace it");
    assert_eq!(fs::read(fixture.path("kept.csv")).unwrap(), b"mine");
    sample("kept.csv", &["--force"]).exits(0);
    assert_eq!(records(&fs::read_to_string(fixture.path("kept.csv")).unwrap()).len(), 3);
    sample("./issues.csv", &["--force"]).exits(2).says("is the input itself");
    #[cfg(unix)]
    {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        std::os::unix::fs::symlink(fixture.path("kept.csv"), fixture.path("link.csv")).unwrap();
        sample("link.csv", &["--force"]).exits(2).says("link.csv cannot be replaced");
        // As a device would be: whatever is written to it is another's.
        let _socket = std::os::unix::net::UnixListener::bind(fixture.path("socket")).unwrap();
        sample("socket", &["--force"]).exits(2).says("socket cannot be replaced");
        assert!(fs::symlink_metadata(fixture.path("socket")).unwrap().file_type().is_socket());
        assert_eq!(fs::metadata(fixture.path("kept.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
