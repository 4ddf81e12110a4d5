//! What becomes of lines of JSON.

use super::*;
use std::fs;

/// The CSV that is made of a text, or the error.
fn spooled(text: impl AsRef<[u8]>, limit: Option<u64>) -> Result<String, JsonlError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    fs::write(&path, text).unwrap();
    let to = folder.path().join("input.csv");
    let spooled = Jsonl { path: Some(path), limit, columns: Vec::new() }.spool(&to, &Stop::default());
    assert_eq!(spooled.is_ok(), to.exists(), "half a file stays");
    let spooled = spooled?;
    let text = fs::read_to_string(&to).unwrap();
    assert_eq!(spooled.fingerprint, super::super::fingerprint(&to).unwrap());
    Ok(text)
}

fn refused(text: impl AsRef<[u8]>) -> String {
    spooled(text, None).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn values_become_the_text_of_cells() {
    let text = concat!(
        "\u{feff}{\"s\":\"a \\\"b\\\", \\u00e9 \\ud83d\\ude00\\n\",\"n\":12345678901234567890.10,\"e\":1e400,\"t\":true,\"z\":null}\r\n",
        "\n   \n",
        "{\"n\": -0, \"l\": [\"x;y\", \"\\\\\", 7, false], \"o\": {\"a\": [1, null]}, \"m\": [1, null], \"k\": []}\n",
        "{}\n{\"S\":\"\",\"s\":\"last\"}",
    );
    assert_eq!(
        spooled(text, None).unwrap(),
        "s,n,e,t,z,l,o,m,k,S\n\
         \"a \"\"b\"\", \u{e9} \u{1f600}\n\",12345678901234567890.10,1e400,true,,,,,,\n\
         ,-0,,,,x\\;y;\\\\;7;false,\"{\"\"a\"\": [1, null]}\",\"[1, null]\",,\n\
         ,,,,,,,,,\n\
         last,,,,,,,,,\n"
    );
}

#[test]
fn references_and_amounts_are_cells() {
    let text = concat!(
        "{\"tags\":[{\"id\":\"TAG-1\",\"value\":\"a;b\"},{\"id\":\"TAG-2\"},\"c\"],\"owner\":{\"id\":\"DEVU-1\"},",
        "\"sum\":{\"amount\":\"5\",\"currency\":\"EUR\"},\"other\":{\"id\":\"x\",\"more\":1}}",
    );
    assert_eq!(
        spooled(text, None).unwrap(),
        "tags,owner,sum,other\nTAG-1=a\\;b;TAG-2;c,DEVU-1,5 EUR,\"{\"\"id\"\":\"\"x\"\",\"\"more\"\":1}\"\n"
    );
}

#[test]
fn without_objects_the_needed_columns_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join("in.jsonl"), folder.path().join("input.csv"));
    fs::write(&path, "\n").unwrap();
    let columns = Columns { required: &["a", "b"], optional: Some("c"), key: "a" };
    let jsonl = Jsonl { path: Some(path), columns: vec![columns], limit: None };
    assert_eq!(jsonl.spool(&to, &Stop::default()).unwrap().rows, 0);
    assert_eq!(fs::read_to_string(&to).unwrap(), "a,b\n");
}

#[test]
fn a_limit_leaves_the_rest_unread() {
    assert_eq!(spooled("{\"a\":1}\n{\"a\":2}\nnot JSON", Some(2)).unwrap(), "a\n1\n2\n");
}

#[test]
fn what_is_no_object_is_named_by_its_line() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES));
    let many = |from: usize| {
        let names: Vec<_> = (from..from + MAX_COLUMNS).map(|name| format!("\"{name}\":1")).collect();
        format!("{{{}}}\n", names.join(","))
    };
    for (line, says) in [
        ("[{\"a\":1}]", "line 2 is a list, where an object is needed: `jq -c '.[]'`"),
        ("12", "line 2 is not a JSON object"),
        ("a,b", "line 2 is not a JSON object"),
        ("{", "line 2 is not a whole JSON object: each object needs a line of its own"),
        ("{\"a\":1} {\"a\":2}", "line 2 is not a JSON object: trailing characters (character 9)"),
        ("{\"a\":1,\"a\":2}", "line 2 is not a JSON object: it has `a` twice"),
        ("{\"a\":nan}", "line 2 is not a JSON object: expected ident"),
        ("{'a':1}", "line 2 is not a JSON object: key must be a string"),
        ("{\"a\":\"\\ud800\"}", "line 2 has a string that is not text"),
        (&*long, "line 2 is longer than 1 MiB"),
        (&*(many(0) + &many(MAX_COLUMNS)), "after 1000 others"),
    ] {
        let error = refused(format!("{{\"a\":1}}\n{line}\n"));
        let shown: String = error.chars().take(300).collect();
        assert!(error.contains(says) && error.contains("in.jsonl: line "), "{shown}");
    }
    assert!(refused(b"{\"a\":\"\xff\"}").ends_with("line 1 is not UTF-8: save the file as UTF-8"));
    for empty in ["", "\n\n", "{}\n"] {
        assert!(refused(empty).contains("in.jsonl has no rows, so its columns are not known"), "{empty}");
    }
    assert!(refused(b"\x1f\x8b\x08").ends_with("is a gzip file: unpack it with gunzip"));
    assert!(refused("{\"password\":\"s3cr3t\"").find("s3cr3t").is_none(), "values are not shown");
}

#[test]
fn only_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let spool = |path: PathBuf| {
        Jsonl { path: Some(path), limit: None, columns: Vec::new() }
            .spool(&folder.path().join("input.csv"), &Stop::default())
    };
    let error = spool(folder.path().to_owned()).unwrap_err();
    assert!(matches!(error, JsonlError::Source(SourceError::NotAFile { .. })), "{error}");
    assert!(matches!(spool(folder.path().join("none")), Err(JsonlError::Source(error)) if error.is_access()));
}

#[test]
fn a_stop_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    fs::write(&path, "{\"a\":1}\n".repeat(5000)).unwrap();
    let stop = Stop::default();
    stop.set(crate::stop::Cause::Interrupt);
    let spooled = Jsonl { path: Some(path), limit: None, columns: Vec::new() }
        .spool(&folder.path().join("input.csv"), &stop);
    assert!(matches!(spooled, Err(JsonlError::Interrupted)));
}

proptest::proptest! {
    #[test]
    fn any_text_does_no_harm(text in "(\\{\"a\":|\\[|)?[-\\[\\]{}\"\\\\:,;a0 \nnul\u{e9}]{0,40}") {
        if let Err(error) = spooled(&text, None) {
            proptest::prop_assert!(error.to_string().contains("in.jsonl"), "{}", error);
        }
    }
}
