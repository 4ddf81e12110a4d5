//! `timezone`: slices whose days are those of a zone, around both changes of its clocks.

use super::place::Place;
use super::show::lines;
use serde_json::json;

/// A job of days of Berlin from a file of records with `id` and `at`.
fn job(place: &Place, range: (&str, &str), more: &str, members: &str) {
    place.site.write(
        "job.yaml",
        format!(
            "version: 1\njob_name: zone\ntimezone: Europe/Berlin\nparams: {{start_date: {}, end_date: {}}}\n\
             source: {{jsonl: {{path: in.jsonl}}}}\nslices: {{dates: {{field: at, step: 1d}}}}\n{more}{}",
            range.0,
            range.1,
            place.target(members)
        ),
    );
}

/// The records of each slice, by the ledger.
fn slices(place: &Place) -> Vec<String> {
    place.rows(
        "SELECT substr(name, 1, 22) || ' ' || CAST(rows AS text) FROM _devrev_batch_loads ORDER BY name",
    )
}

fn records(dates: &[&str]) -> String {
    let line = |(id, at): (usize, &&str)| json!({"id": id, "at": at}).to_string() + "\n";
    dates.iter().enumerate().map(line).collect()
}

const SPRING: [&str; 7] = [
    "2026-03-28T22:59:59Z",
    "2026-03-28T23:00:00Z",
    "2026-03-29 01:30",
    "2026-03-29T23:59:59",
    "2026-03-29T21:59:59Z",
    "2026-03-29T22:00:00Z",
    "2026-03-30",
];
const AUTUMN: [&str; 6] = [
    "2026-10-24T21:59:59Z",
    "2026-10-24T22:00:00Z",
    "2026-10-25",
    "2026-10-25T22:59:59Z",
    "2026-10-25 23:30:00",
    "2026-10-25T23:00:00Z",
];

#[test]
fn records_are_in_the_day_of_their_zone() {
    let expected = [
        (
            &SPRING[..],
            ("2026-03-28", "2026-03-30"),
            [1, 4, 2],
            ["2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"],
        ),
        (
            &AUTUMN[..],
            ("2026-10-24", "2026-10-26"),
            [1, 4, 1],
            ["2026-10-24", "2026-10-25", "2026-10-26", "2026-10-27"],
        ),
    ];
    for place in Place::each() {
        for (dates, range, counts, days) in expected {
            let kind = if place.database.is_some() { "timestamptz" } else { "text" };
            place.run(&format!(
                "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _devrev_batch_loads; CREATE TABLE t (id integer PRIMARY KEY, at {kind})"
            ));
            place.site.write("in.jsonl", records(dates));
            // What a text column counts by are the clocks: here only PostgreSQL has moments.
            let checks =
                if place.database.is_some() { "checks: [{count: source}, {gaps: at}]\n" } else { "" };
            job(&place, range, checks, "table: t, key: [id]");
            place.load(&[]).run().exits(0).says(&format!("{} records loaded", dates.len()));
            let named: Vec<String> =
                (0..3).map(|day| format!("{}..{} {}", days[day], days[day + 1], counts[day])).collect();
            assert_eq!(slices(&place), named, "{}", place.kind());
            // The ledger has instants: a second run finds them.
            place.load(&[]).run().exits(0).says("3  nothing to change");
            let one = place.ledger()[1].clone();
            place.load(&["--reload", "--only-slice", &one]).run().exits(0).says("4 records loaded");
            if place.database.is_some() {
                place.run("DELETE FROM t WHERE id BETWEEN 1 AND 4");
                let checked = place.program(&["validate", "--job", "job.yaml", "--online"]).run().exits(5);
                checked.says(&format!("lacks {}", days[1])).says("has 0 of 4 records");
            }
            let text = std::fs::read_to_string(place.site.path("job.yaml")).unwrap();
            place.site.write("job.yaml", text.replace("Europe/Berlin", "Europe/London"));
            place.load(&[]).run().exits(6).says("--reload");
        }
    }
}

#[test]
fn replace_deletes_exactly_a_day_of_the_zone() {
    for place in Place::each() {
        let kinds: &[&str] =
            if place.database.is_some() { &["timestamptz", "timestamp", "date"] } else { &["text"] };
        for kind in kinds {
            place.run(&format!(
                "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _devrev_batch_loads; CREATE TABLE t (id integer, at {kind})"
            ));
            place.site.write("in.jsonl", records(&["2026-10-25", "2026-10-25 12:00:00"]));
            let zoned = *kind == "timestamptz";
            // The last and the first of the days beside it stay.
            let old = if zoned {
                [
                    "2026-10-24T21:59:59Z",
                    "2026-10-24T22:00:00Z",
                    "2026-10-25T22:59:59Z",
                    "2026-10-25T23:00:00Z",
                ]
            } else if *kind == "date" {
                ["2026-10-24", "2026-10-25", "2026-10-25", "2026-10-26"]
            } else {
                ["2026-10-24 23:59:59", "2026-10-25 00:00:00", "2026-10-25 23:59:59", "2026-10-26 00:00:00"]
            };
            for (at, id) in old.iter().zip(10..) {
                place.run(&format!("INSERT INTO t VALUES ({id}, '{at}')"));
            }
            job(
                &place,
                ("2026-10-25", "2026-10-25"),
                "checks: [{count: source}]\n",
                "table: t, mode: replace",
            );
            place.load(&[]).run().exits(0).says("2 records loaded").says("1 check passed");
            let left = place.rows("SELECT CAST(id AS text) FROM t ORDER BY id");
            assert_eq!(left, ["0", "1", "10", "13"], "{kind}");
        }
    }
}

#[test]
fn replace_takes_no_date_of_another_zone_and_no_hours() {
    for place in Place::each() {
        place.run("CREATE TABLE t (id integer, at text)");
        place.run("INSERT INTO t VALUES (9, '2026-10-25T12:00:00Z')");
        place.site.write("in.jsonl", records(&["2026-10-25 09:00", "2026-10-25T08:00:00Z"]));
        job(&place, ("2026-10-25", "2026-10-25"), "", "table: t, mode: replace");
        place.load(&[]).run().exits(3).says("without a zone");
        assert_eq!(place.rows("SELECT CAST(id AS text) FROM t"), ["9"], "nothing was deleted");
        let text = std::fs::read_to_string(place.site.path("job.yaml")).unwrap();
        place.site.write("job.yaml", text.replace("step: 1d", "step: 1h"));
        place.load(&[]).run().exits(5).says("an hour may come twice");
    }
}

#[test]
fn a_query_gets_the_range_of_the_zone() {
    for place in Place::each() {
        let (kind, path) =
            if place.database.is_some() { ("timestamptz", "") } else { ("text", "path: t.db, ") };
        place.run(&format!("CREATE TABLE s (id integer, at {kind})"));
        let at: &[&str] = if place.database.is_some() {
            &["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"]
        } else {
            &["2026-03-28 23:59", "2026-03-29 00:00", "2026-03-29 23:59", "2026-03-30 00:00"]
        };
        for (at, id) in at.iter().zip(0..) {
            place.run(&format!("INSERT INTO s VALUES ({id}, '{at}')"));
        }
        place.site.write(
            "job.yaml",
            format!(
                "version: 1\njob_name: asked\ntimezone: Europe/Berlin\nparams: {{start_date: 2026-03-29, end_date: 2026-03-29}}\n\
                 slices: {{dates: {{field: at, step: 1d}}}}\nsource: {{{}: {{{path}query: \"SELECT id, at FROM s WHERE at >= \
                 ${{slice.start}} AND at < ${{slice.end}} ORDER BY id\"}}}}\n\
                 transform: '. + {{days: ($slice.start + \" \" + $slice.end)}}'\n{}",
                place.kind(),
                place.target("table: t, key: [id], create: true")
            ),
        );
        let shown = place.program(&["load", "job.yaml", "--show", "9", "--json"]).run().exits(0);
        let shown = lines(&shown.out);
        let ids: Vec<&serde_json::Value> = shown.iter().map(|line| &line["before"]["id"]).collect();
        assert_eq!(ids, [1, 2], "{}: no row is missed, and none asked for in vain", place.kind());
        assert!(
            shown.iter().all(|line| line["after"][0]["days"] == "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z")
        );
    }
}

#[test]
fn files_are_named_by_the_day_of_the_zone_and_mistakes_have_their_place() {
    let place = Place::sqlite();
    place.site.write("in.jsonl", records(&SPRING));
    let text = "version: 1\njob_name: named\ntimezone: Europe/Berlin\nparams: {start_date: 2026-03-28, end_date: 2026-03-30}\n\
                source: {jsonl: {path: in.jsonl}}\nslices: {dates: {field: at, step: 1d}}\n\
                target: {jsonl: {path: \"day-${slice.start:%Y%m%d}-${slice.start.unix}-${slice.days}.jsonl\"}}\nchecks: [{count: source}, {gaps: at}]\n";
    place.site.write("job.yaml", text);
    place.load(&[]).run().exits(0).says("2 checks passed");
    for name in [
        "day-20260328-1774652400-1.jsonl",
        "day-20260329-1774738800-1.jsonl",
        "day-20260330-1774821600-1.jsonl",
    ] {
        assert!(place.site.path(name).exists(), "{name}");
    }
    place.site.write("job.yaml", text.replace("Europe/Berlin", "Europe/Berln"));
    place
        .load(&[])
        .run()
        .exits(5)
        .says("job.yaml:3:11: timezone: `Europe/Berln`")
        .says("did you mean Europe/Berlin?");
}
