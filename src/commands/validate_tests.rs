//! Inputs validated from the file to the report.

use serde_json::Value;

use super::*;

const ISSUES: &str = "issue_id,creator_user_id,assigned_group,creator_group\n";

struct Outcome {
    exit: Exit,
    text: String,
}

fn validate_with(
    bytes: &[u8],
    kind: Option<Kind>,
    limit: Option<u64>,
    json: bool,
) -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    let exit = check_input(&Input::file(&path), kind, limit, json, None, &mut out)?;
    let text = String::from_utf8(out).unwrap().replace(&folder.path().display().to_string(), "DIR");
    Ok(Outcome { exit, text })
}

/// The exit code, and rule, row and line of each finding.
fn validate(rows: &str) -> (Exit, Vec<(String, u64, u64)>) {
    let outcome = validate_with(format!("{ISSUES}{rows}").as_bytes(), None, None, true).unwrap();
    let object: Value = serde_json::from_str(&outcome.text).unwrap();
    let findings = object["findings"].as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let found = findings.iter().map(|found| {
        (found["rule"].as_str().unwrap().to_owned(), number(&found["row"]), number(&found["line"]))
    });
    (outcome.exit, found.collect())
}

fn found(rule: &str, row: u64, line: u64) -> (String, u64, u64) {
    (rule.to_owned(), row, line)
}

#[test]
fn nothing_wrong() {
    let rows = format!("{ISSUES}ISS-1,DEVU-1,GROUP-1,\nISS-2,REVU-b,GROUP-1,GROUP-2\n");
    let outcome = validate_with(rows.as_bytes(), None, None, false).unwrap();
    assert_eq!(outcome.exit, Exit::Ok);
    assert_eq!(
        outcome.text,
        "DIR/in.csv: 2 rows of kind `groups` read, nothing wrong\n\n\
         Next: devrev-batch backfill-groups --csv DIR/in.csv --dry-run\n"
    );
}

#[test]
fn all_that_is_wrong_is_found_in_one_go() {
    let (exit, findings) =
        validate("ISS-1,DEVU-1,GROUP-1,\n,DEVU-1,4,\n\nISS-3,x\nISS-4,DEVU-1,GROUP-1,ISS-9\n");
    assert_eq!(exit, Exit::InvalidInput);
    assert_eq!(
        findings,
        [
            found("empty-value", 2, 3),
            found("id-shape", 2, 3),
            found("ragged-record", 3, 5),
            found("id-type", 4, 6)
        ]
    );
}

#[test]
fn the_same_issue_twice() {
    let same = "ISS-1,DEVU-1,GROUP-1,\nISS-2,DEVU-1,GROUP-1,\ndon:core:dvrv-us-1:devo/X:issue/1,DEVU-1,GROUP-1,null\n";
    assert_eq!(validate(same), (Exit::Ok, vec![found("duplicate-same", 3, 4)]));
    let different = "ISS-1,DEVU-1,GROUP-1,\n\nISS-2,DEVU-1,GROUP-1,\nISS-1,DEVU-2,GROUP-1,\n";
    assert_eq!(
        validate(different),
        (Exit::InvalidInput, vec![found("duplicate-conflict", 1, 2), found("duplicate-conflict", 3, 5)])
    );
    let outcome = validate_with(format!("{ISSUES}{different}").as_bytes(), None, None, false).unwrap();
    let said = "row 3, line 5, issue_id `ISS-1`: the same issue with other values than row 1 (line 2): keep one of them";
    assert!(outcome.text.contains(said), "{}", outcome.text);
}

#[test]
fn an_unclosed_quote_ends_it_and_what_came_before_is_told() {
    let (exit, findings) = validate("ISS-1,DEVU-1,4,\nISS-2,\"DEVU-1,GROUP-1,\nISS-3,DEVU-1,GROUP-1,\n");
    assert_eq!(exit, Exit::InvalidInput);
    assert_eq!(findings, [found("id-shape", 1, 2), found("unclosed-quote", 2, 3)]);
}

#[test]
fn contacts() {
    let rows = "REV_USER_ID,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,CREATED_AT,UPDATED_AT,TICKET_COUNT\n\
                REVU-1,Ann,ann@example.com,REVU-9,,2024-05-01,2024-05-02,3\n\
                REVU-2,Ann,ann(at)example.com,user_9,,2024-05-01,2024-04-01,x\n\
                REVU-1,Ann,Ann@example.com,REVU-9,,2024-05-01,2024-05-02,3\n";
    let outcome = validate_with(rows.as_bytes(), None, None, false).unwrap();
    assert_eq!(outcome.exit, Exit::InvalidInput);
    assert!(outcome.text.starts_with("DIR/in.csv: 3 rows of kind `contacts` read, 2 errors, 2 notes\n"));
    for rule in ["email-shape: 1", "ticket-count: 1", "date-order: 1", "duplicate-same: 1"] {
        assert!(outcome.text.contains(rule), "{rule}: {}", outcome.text);
    }
}

#[test]
fn a_limit_reads_no_further() {
    let rows = format!("{ISSUES}ISS-1,DEVU-1,GROUP-1,\nbad\n");
    let outcome = validate_with(rows.as_bytes(), None, Some(1), false).unwrap();
    assert_eq!(outcome.exit, Exit::Ok);
    assert!(outcome.text.contains("the first 1 row of kind"), "{}", outcome.text);
}

#[test]
fn headers_to_go_by() {
    let failure = validate_with(b"issue,creator_user_id\n", None, None, false).err().unwrap();
    assert_eq!(failure.exit, Exit::InvalidInput);
    assert!(failure.message.contains("`issue_id` (nearest: `issue`), `assigned_group`; found:"), "{failure}");
    let failure = validate_with(ISSUES.as_bytes(), Some(Kind::Contacts), None, false).err().unwrap();
    assert_eq!(failure.exit, Exit::InvalidInput);
    assert!(failure.message.contains("`REV_USER_ID`"), "{failure}");
    assert_eq!(validate_with(b"", None, None, false).err().unwrap().exit, Exit::InvalidInput);
    assert_eq!(validate_with(ISSUES.as_bytes(), None, None, false).unwrap().exit, Exit::Ok);
}

#[test]
fn a_file_that_is_not_there_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Input::file(&folder.path().join("none.csv"));
    let failure = check_input(&missing, None, None, false, None, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("none.csv"), "{failure}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, format!("{ISSUES}{}", "bad\n".repeat(1_000))).unwrap();
    for json in [false, true] {
        assert_eq!(
            check_input(&Input::file(&path), None, None, json, None, &mut Gone).unwrap(),
            Exit::InvalidInput
        );
    }
}
