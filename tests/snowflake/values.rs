//! Values of every type, from Snowflake to the run's files.

use super::program;
use crate::support::Fixture;
use crate::support::Org;
use crate::support::fakesnow::Warehouse;

#[test]
fn every_type_survives() {
    let Some(warehouse) = Warehouse::new() else { return };
    let fixture = Fixture::new(&Org::of(9));
    warehouse.run(&[
        "CREATE TABLE T (N INTEGER, A VARCHAR, TS TIMESTAMP_NTZ, TZ TIMESTAMP_TZ, D DATE, F FLOAT, X NUMBER(38,4), B BOOLEAN)",
        "INSERT INTO T VALUES \
         (1, 'plain', '2024-05-01 12:34:56.789', '2024-05-01 12:34:56.789+00', '2024-05-01', 1.5, 12345678901234.5678, TRUE), \
         (2, '', NULL, NULL, NULL, NULL, NULL, NULL), \
         (3, NULL, '1969-12-31 23:59:59', '1969-12-31 23:59:59+00', '0001-01-01', -0.25, -1, FALSE), \
         (4, 'ünï 東京 🎉 \"quoted\", and\nlines', '9999-12-31 00:00:00', NULL, NULL, 0, 0, NULL)",
    ]);
    let of = |column: &str| {
        let sql = format!(
            "SELECT 'ISS-' || N AS ISSUE_ID, {column} AS CREATOR_USER_ID, A AS ASSIGNED_GROUP FROM T ORDER BY N"
        );
        let args = ["backfill-groups", "--source", "snowflake", "--dry-run", "--json", "--query", &sql];
        let ended = program(&fixture, &warehouse, &args).run();
        let folder = fixture.path(ended.json()["folder"].as_str().unwrap());
        let mut kept = csv::Reader::from_path(folder.join("input.csv")).unwrap();
        let fields = |record: csv::StringRecord| (record[1].to_owned(), record[2].to_owned());
        kept.records().map(|record| fields(record.unwrap())).collect::<Vec<_>>()
    };
    let texts = of("A");
    let unicode = "ünï 東京 🎉 \"quoted\", and\nlines";
    let expected = ["plain", "", "", unicode].map(|text| (text.to_owned(), text.to_owned()));
    assert_eq!(texts, expected);
    let first = |column: &str| of(column).into_iter().map(|(value, _)| value).collect::<Vec<_>>();
    assert_eq!(first("TS"), ["2024-05-01 12:34:56.789", "", "1969-12-31 23:59:59", "9999-12-31 00:00:00"]);
    assert!(first("TZ")[0].starts_with("2024-05-01 12:34:56.789+00"));
    assert_eq!(first("D"), ["2024-05-01", "", "0001-01-01", ""]);
    assert_eq!(first("F"), ["1.5", "", "-0.25", "0.0"]);
    assert_eq!(first("X"), ["12345678901234.5678", "", "-1.0000", "0.0000"]);
    assert_eq!(first("B"), ["true", "", "false", ""]);
}
