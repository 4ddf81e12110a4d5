//! `load --show`: records before and after the transform, and nothing else.

use super::place::Place;
use super::{load, query, with};
use crate::support::program::Program;
use crate::support::site::{Site, Trouble};
use serde_json::{Value, json};

fn show(site: &Site, more: &[&str]) -> Program {
    site.program(["load", "job.yaml", "--show"]).args(more).env("PRICES_API_KEY", super::KEY)
}

pub(crate) fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_are_shown_and_nothing_is_written() {
    let site = with(&Trouble::none(), |text| text);
    let shown = show(&site, &["2"]).run().exits(0).says("slice BTC 2023-01-01..2023-01-31");
    assert_eq!(shown.out.matches("\"time\":1672531200,").count(), 1, "{}", shown.out);
    assert_eq!(
        shown.out.matches("after    {\"symbol\":\"BTC\",\"day\":\"2023-01-0").count(),
        2,
        "{}",
        shown.out
    );
    assert!(!site.path("prices.db").exists() && !site.path("runs").exists());
    // A slice that is loaded is passed over, but for one that was named.
    load(&site, &["--only-slice", "BTC 2023-01-01..2023-01-31"]).run().exits(0);
    show(&site, &["1"]).run().exits(0).says("slice BTC 2023-01-31..2023-03-02");
    let named = show(&site, &["1", "--only-slice", "BTC 2023-01-01..2023-01-31"]);
    named.run().exits(0).says("2023-01-31, which is loaded");
    show(&site, &["1", "--param", "symbols=SOL", "--start-date", "2024-01-01", "--end-date", "2024-01-02"])
        .run()
        .exits(0)
        .says("slice SOL 2024-01-01..2024-01-03");
    assert_eq!(query(&site, "prices.db", "SELECT count(*) FROM prices"), ["30"]);
    for flag in ["--dry-run", "--reload", "--yes"] {
        show(&site, &["1", flag]).run().exits(2).says("cannot be used with");
    }
    show(&site, &["0"]).run().exits(2);
    site.assert_no_token();
}

#[test]
fn each_kind_of_problem_is_shown_beside_its_record() {
    let place = Place::sqlite();
    let records = [
        r#"{"n":1,"day":"2024-01-01"}"#,
        r#"{"n":"x","day":"2024-01-01"}"#,
        r#"{"n":-5,"day":"2024-01-01"}"#,
        r#"{"n":2,"day":"2025-01-01"}"#,
        r#"{"n":null,"day":"2024-01-01"}"#,
        r#"{"n":9,"day":"2024-01-01"}"#,
        r#"{"n":3,"day":"2024-01-01"}"#,
    ];
    place.site.write("in.jsonl", records.join("\n"));
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: kinds\nparams: {{start_date: 2024-01-01, end_date: 2024-01-31}}\n\
             source: {{jsonl: {{path: in.jsonl}}}}\nslices: {{dates: {{field: day, step: 1month}}}}\n\
             transform: 'select(.n != null) | if .n == 9 then (., {{day, n: -1}}) else {{day, n: (.n + 1)}} end'\n\
             rules: [{{field: n, min: 0}}]\n{}",
            place.target("table: t, key: [n]")
        ),
    );
    let ended = show(&place.site, &["6", "--json"]).run().exits(3);
    let shown = lines(&ended.out);
    assert_eq!(
        shown[0],
        json!({"before": {"n": 1, "day": "2024-01-01"}, "after": [{"day": "2024-01-01", "n": 2}]})
    );
    assert_eq!(shown[1]["before"]["n"], "x");
    assert!(shown[1]["problem"].as_str().unwrap().ends_with("(transform)"), "{}", shown[1]);
    assert_eq!(shown[2]["problem"], "n: -4 is less than 0 (min)");
    assert_eq!(shown[3]["problem"], "outside the slice: its date is another slice's");
    assert_eq!(shown[4]["after"], json!([]), "it becomes nothing");
    assert_eq!(
        (&shown[5]["after"][0]["n"], &shown[5]["problem"]),
        (&json!(9), &json!("n: -1 is less than 0 (min)"))
    );
    assert_eq!(shown.len(), 6, "no more than was asked for");
    assert!(shown[1].get("after").is_none() && shown[0].get("problem").is_none());
    assert!(!place.site.path("t.db").exists() && !place.site.path("runs").exists());
    // A rule that is broken is no failure of the transform.
    place.site.write("in.jsonl", records[2]);
    show(&place.site, &["6"])
        .run()
        .exits(0)
        .says("before   {\"n\":-5")
        .says("problem  n: -4 is less than 0 (min)");
}

#[test]
fn each_source_is_shown_and_a_reader_may_leave() {
    for place in Place::each() {
        place.run(
            "CREATE TABLE s (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO s VALUES (1, 'a'), (2, 'b')",
        );
        let path = if place.database.is_some() { "" } else { "path: t.db, " };
        place.site.write(
            "job.yaml",
            format!(
                "version: 1\njob_name: tables\nsource: {{{}: {{{path}query: \"SELECT id, name FROM s ORDER BY id\"}}}}\n{}",
                place.kind(),
                place.target("table: t, key: [id], create: true")
            ),
        );
        let shown = lines(&place.program(&["load", "job.yaml", "--show", "9", "--json"]).run().exits(0).out);
        assert_eq!(shown[1], json!({"before": {"id": 2, "name": "b"}, "after": [{"id": 2, "name": "b"}]}));
        assert_eq!(shown.len(), 2);
    }
    let place = Place::sqlite();
    place.site.write("in.csv", "id,name\n1,é\n");
    place.site.write(
        "job.yaml",
        "version: 1\njob_name: files\nsource: {csv: {path: in.csv}}\ntarget: {jsonl: {path: out.jsonl}}\n",
    );
    let shown = lines(&show(&place.site, &["3", "--json"]).run().exits(0).out);
    assert_eq!(shown, [json!({"before": {"id": "1", "name": "é"}, "after": [{"id": "1", "name": "é"}]})]);
    place.site.write("in.csv", "id,name\n");
    show(&place.site, &["3"]).run().exits(0).says("it has no records");
    assert!(!place.site.path("out.jsonl").exists());
    // Objects of DevRev, from the sandbox in the program.
    place.site.write(
        "job.yaml",
        "version: 1\njob_name: objects\nsource: {devrev: {object: account}}\ntarget: {jsonl: {path: out.jsonl}}\n",
    );
    let shown = show(&place.site, &["1", "--sandbox", "--json"]).run().exits(0);
    assert!(lines(&shown.out)[0]["before"]["id"].is_string(), "{}", shown.out);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    show(&place.site, &["1", "--sandbox"]).stdout(writer.into()).run().exits(0);
}

#[test]
fn a_signal_ends_the_wait_for_a_source() {
    let place = Place::sqlite();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: silent\nsource: {{http: {{url: \"http://{}/a\"}}}}\n{}",
            silent.local_addr().unwrap(),
            place.target("table: t, key: [id], create: true")
        ),
    );
    let running = show(&place.site, &["1"]).spawn();
    let _asked = silent.accept().unwrap();
    running.signal("INT");
    running.wait().exits(130);
}

#[test]
fn a_dry_run_shows_the_table_that_would_be_made() {
    for place in Place::each() {
        place.site.write("in.jsonl", "{\"id\":1,\"price\":1.5,\"day\":\"2026-01-31\"}\n");
        let target = place.target("table: t, key: [id], create: true");
        place.site.write(
            "job.yaml",
            format!("version: 1\njob_name: j\nsource: {{jsonl: {{path: in.jsonl}}}}\n{target}"),
        );
        let (id, price, day) = match place.kind() {
            "sqlite" => ("INTEGER", "REAL", "TEXT"),
            _ => ("bigint", "double precision", "date"),
        };
        let ddl = format!(
            "would make CREATE TABLE \"t\" ( \"id\" {id} NOT NULL, \"price\" {price}, \"day\" {day}, PRIMARY KEY (\"id\") )"
        );
        place.load(&["--dry-run"]).run().exits(0).says(&ddl);
        place.load(&[]).run().exits(0).says("1 record loaded");
    }
}
