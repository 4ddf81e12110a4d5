//! `.env` files as people write them: what is read, what is said of the rest, and that no value is ever shown.

use super::*;
use proptest::prelude::*;

const SECRET: &str = "s3cr3t";

fn values(text: &str) -> HashMap<String, String> {
    parse(text.as_bytes()).unwrap().values
}

fn problem(text: &str) -> String {
    let error = parse(text.as_bytes()).unwrap_err();
    assert!(!error.contains(SECRET) && !error.contains("eyJ"), "{error}");
    error
}

#[test]
fn what_is_read() {
    let text = "# comment\n\nexport BATCH_SIZE = 7 # so many\nRUNS_DIR='a b'\nSMTP_PASSWORD=\"a\\\"b\"\nMAX_RETRIES=1\nMAX_RETRIES=2 ";
    let found = values(text);
    for (name, value) in
        [("BATCH_SIZE", "7"), ("RUNS_DIR", "a b"), ("SMTP_PASSWORD", "a\"b"), ("MAX_RETRIES", "2")]
    {
        assert_eq!(found[name], value, "{name}");
    }
    assert_eq!(values("\u{feff}DEVREV_API_TOKEN=x\r\n")["DEVREV_API_TOKEN"], "x");
    assert!(values("").is_empty() && values("\u{feff}").is_empty());
}

#[test]
fn a_line_that_cannot_be_read_is_named_by_its_number_and_setting() {
    for (line, said) in [
        (
            "DEVREV_API_TOKEN: eyJhb.s3cr3t.sig",
            "DEVREV_API_TOKEN: use `=` instead of the colon: DEVREV_API_TOKEN=value",
        ),
        ("DEVREV_API_TOKEN s3cr3t", "DEVREV_API_TOKEN: there is no `=` after the name"),
        (
            "SMTP_PASSWORD=s3cr3t efgh",
            "SMTP_PASSWORD: a value with spaces needs quotes: SMTP_PASSWORD='value'",
        ),
        ("SNOWFLAKE_PASSWORD=\"half s3cr3t", "SNOWFLAKE_PASSWORD: the quote is not closed on this line"),
        ("SNOWFLAKE_PASSWORD='s3cr3t", "SNOWFLAKE_PASSWORD: the quote is not closed"),
        ("SNOWFLAKE_PASSWORD='s3cr3t' x", "SNOWFLAKE_PASSWORD: text follows the closing quote"),
        ("SNOWFLAKE_PASSWORD=it's3cr3t", "SNOWFLAKE_PASSWORD: the value has a quote in it"),
        ("SNOWFLAKE_PASSWORD=s3cr3t\\x", "SNOWFLAKE_PASSWORD: put the value in single quotes"),
        ("s3cr3t", "there is no `=`: write NAME=value"),
        ("s3cr3t: s3cr3t", "use `=` instead of the colon: NAME=value"),
        ("s3cr3t=s3cr3t x", "a value with spaces needs quotes: NAME='value'"),
        ("-s3cr3t=x", "what stands before `=` is not a name"),
    ] {
        let error = problem(&format!("# first\n\nBATCH_SIZE=7\n{line}"));
        assert!(error.contains(&format!("\n  line 4: {said}")), "{line}: {error}");
    }
}

#[test]
fn every_line_that_cannot_be_read_is_listed() {
    let error = problem("A b\nBATCH_SIZE=7\n# c\nSMTP_PASSWORD=a s3cr3t\nMAX_RETRIES: 3\n");
    for part in ["line 1: ", "line 4: SMTP_PASSWORD", "line 5: MAX_RETRIES"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(problem(&"x y\n".repeat(25)).ends_with("and 5 more"));
}

#[test]
fn a_quote_that_swallows_lines_is_named_where_it_opens() {
    let text = format!("RUNS_DIR=\"runs\nDEVREV_API_TOKEN={SECRET}\nBACKUP_DIR=\"x\n");
    assert!(problem(&text).contains("line 1: RUNS_DIR: the quote is not closed"));
    let text = format!("BATCH_SIZE=1\nRUNS_DIR=\"runs\nDEVREV_API_TOKEN={SECRET}\nX=\"\n");
    assert!(problem(&text).contains("line 2: RUNS_DIR: the quote is not closed"));
    // Other programs' settings may have several lines.
    let found = parse(b"OTHER_KEY=\"a\nb\"\nBATCH_SIZE=7\n").unwrap();
    assert_eq!(found.values["BATCH_SIZE"], "7");
    assert_eq!(found.strange.len(), 1);
}

#[test]
fn names_that_are_no_settings_are_told_with_the_nearest() {
    let text = format!("RATE_LIMT_CALLS=5\n{SECRET}=\nBATCH_SIZE=7\nX=1\n");
    let strange = parse(text.as_bytes()).unwrap().strange;
    assert_eq!(
        strange,
        [
            "line 1: no setting has the name RATE_LIMT_CALLS: did you mean RATE_LIMIT_CALLS?",
            "lines 2, 4: no setting of devrev-batch has this name, so the line is ignored",
        ]
    );
}

#[test]
fn other_encodings_are_named() {
    assert_eq!(parse(b"A=1\nB=\xe9\n").unwrap_err(), "line 2 is not UTF-8: save the file as UTF-8");
    assert_eq!(parse(b"\xff\xfeA\0=\0").unwrap_err(), "is UTF-16: save it as UTF-8");
    assert!(parse(&vec![b'#'; (1 << 20) + 1]).unwrap_err().contains("longer than 1 MiB"));
}

#[test]
fn a_long_line_counts_once() {
    let text = format!("RUNS_DIR='{}é'\nMAX_RETRIES: 3\n", "é".repeat(20_000));
    assert!(problem(&text).contains("line 2: MAX_RETRIES"));
}

proptest! {
    #[test]
    fn no_value_is_ever_shown(
        before in "[A-Z_a-z:= '\"#\\\\$]{0,12}", quote in "['\"]?", after in "[ a-z'\"\\\\\n=:#$]{0,12}",
    ) {
        let text = format!("BATCH_SIZE=1\n{before}={quote}{SECRET}{after}\nMAX_RETRIES=2\n");
        if let Err(error) = parse(text.as_bytes()) {
            prop_assert!(!error.contains(SECRET), "{}", error);
        }
        let text = format!("BATCH_SIZE=1\n{SECRET}{before}{after}\nMAX_RETRIES=2\n");
        match parse(text.as_bytes()) {
            Err(error) => prop_assert!(!error.contains(SECRET), "{}", error),
            Ok(parsed) => prop_assert!(!parsed.strange.concat().contains(SECRET)),
        }
    }
}
