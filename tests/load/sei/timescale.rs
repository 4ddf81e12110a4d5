//! The migrations where TimescaleDB is. There is none here: functions of the same names write down what they are called with, and
//! what only the extension understands is held against PostgreSQL's parser and then left out.

use super::{FOLDER, check, file, load_samples, migrate, objects, place, refresh};
use crate::load::place::Place;

/// Functions that stand in for those of TimescaleDB, with their parameters. `refresh_continuous_aggregate` commits, which fails
/// within a transaction.
const STAND_INS: &str = "
    CREATE TABLE calls (n serial, call text);
    CREATE FUNCTION create_hypertable(relation regclass, time_column_name name, chunk_time_interval anyelement,
        if_not_exists boolean DEFAULT false, migrate_data boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO calls (call) VALUES (format('hypertable %s %s %s %s', relation, time_column_name, if_not_exists, migrate_data));
        -- A unique key has to contain the time.
        IF EXISTS (SELECT FROM pg_index WHERE indrelid = relation AND indisunique AND NOT
            (SELECT attnum FROM pg_attribute WHERE attrelid = relation AND attname = time_column_name) = ANY (indkey)) THEN
            RAISE 'cannot create a unique index without the column \"%\"', time_column_name;
        END IF;
    END $$;
    CREATE FUNCTION add_compression_policy(hypertable regclass, compress_after interval, if_not_exists boolean DEFAULT false)
        RETURNS int LANGUAGE sql AS $$ INSERT INTO calls (call) VALUES (format('compress %s %s', hypertable, compress_after))
        RETURNING n $$;
    CREATE FUNCTION add_retention_policy(relation regclass, drop_after interval, if_not_exists boolean DEFAULT false)
        RETURNS int LANGUAGE sql AS $$ INSERT INTO calls (call) VALUES (format('retain %s %s', relation, drop_after)) RETURNING n $$;
    CREATE FUNCTION remove_compression_policy(hypertable regclass, if_exists boolean DEFAULT false)
        RETURNS boolean LANGUAGE sql AS $$ INSERT INTO calls (call) VALUES ('no compress ' || hypertable) RETURNING true $$;
    CREATE FUNCTION remove_retention_policy(relation regclass, if_exists boolean DEFAULT false)
        RETURNS void LANGUAGE sql AS $$ INSERT INTO calls (call) VALUES ('no retain ' || relation) $$;
    CREATE FUNCTION add_continuous_aggregate_policy(continuous_aggregate regclass, start_offset interval, end_offset interval,
        schedule_interval interval) RETURNS int LANGUAGE sql AS $$ INSERT INTO calls (call)
        VALUES (format('keep %s %s %s %s', continuous_aggregate, start_offset, end_offset, schedule_interval)) RETURNING n $$;
    CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
        $$ SELECT date_bin(bucket_width, ts, TIMESTAMPTZ '2000-01-03 00:00:00+00') $$;
    CREATE PROCEDURE refresh_continuous_aggregate(continuous_aggregate regclass, window_start text, window_end text)
        LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO calls (call) VALUES (format('refresh %s %s %s', continuous_aggregate, window_start, window_end));
        COMMIT;
        EXECUTE format('REFRESH MATERIALIZED VIEW %s', continuous_aggregate);
    END $$";

/// As much of the extension as is looked at.
const EXTENSION: &str = "SET allow_system_table_mods = on;
    INSERT INTO pg_extension VALUES (99998, 'timescaledb', 10, 2200, false, '2.20.0', NULL, NULL)";

/// PostgreSQL understands all of a statement but the options of TimescaleDB.
fn is_understood(place: &Place, statement: &str) {
    place.run(&format!(
        "DO $do$ BEGIN
             EXECUTE $sql${statement}$sql$;
             RAISE 'it was executed';
         EXCEPTION WHEN invalid_parameter_value THEN
             IF SQLERRM NOT LIKE '%namespace \"timescaledb\"%' THEN RAISE; END IF;
         END $do$"
    ));
}

/// The statements of the file that begin with these words.
fn statements(sql: &str, begin: &str) -> Vec<String> {
    let mark = format!("\n{begin}");
    sql.split(&mark).skip(1).map(|part| format!("{begin}{}", part.split(';').next().unwrap())).collect()
}

/// The files, without what a plain PostgreSQL refuses to execute.
fn write_files(place: &Place) {
    for entry in std::fs::read_dir(super::root().join(FOLDER).join("migrations")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let mut sql = file(&format!("migrations/{name}"));
        if name == "0004_timescaledb.up.sql" {
            for statement in statements(&sql, "ALTER TABLE ") {
                sql = sql.replace(&format!("{statement};"), "");
            }
            sql = sql.replace(" WITH (timescaledb.continuous, timescaledb.materialized_only = false)", "");
            assert!(!sql.contains("timescaledb."), "{sql}");
        }
        std::fs::create_dir_all(place.site.path("migrations")).unwrap();
        place.site.write(&format!("migrations/{name}"), sql);
    }
}

/// The columns of the aggregates, with their types.
fn columns(place: &Place) -> Vec<String> {
    place.rows(
        "SELECT CAST(attrelid::regclass AS text) || '.' || attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE \
         attrelid IN ('commits_daily_stats'::regclass, 'pull_requests_weekly_metrics'::regclass) AND attnum > 0 ORDER BY attrelid, \
         attnum",
    )
}

#[test]
fn postgres_understands_what_is_not_timescaledbs() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    place.run(STAND_INS);
    let sql = file("migrations/0004_timescaledb.up.sql");
    let (compressed, aggregates) =
        (statements(&sql, "ALTER TABLE "), statements(&sql, "CREATE MATERIALIZED VIEW "));
    assert_eq!((compressed.len(), aggregates.len()), (3, 2));
    // TimescaleDB drops no hypertable and no continuous aggregate together with another.
    for down in ["0001_tables.down.sql", "0004_timescaledb.down.sql"] {
        let sql = file(&format!("migrations/{down}"));
        assert!(
            sql.lines().filter(|line| line.starts_with("DROP ")).all(|line| !line.contains(',')),
            "{sql}"
        );
    }
    for statement in compressed.iter().chain(&aggregates) {
        is_understood(&place, &statement.replace("_stats ", "_stats_2 ").replace("_metrics ", "_metrics_2 "));
    }
    // The columns by which chunks are compressed are there.
    for statement in &compressed {
        let table = statement.split(' ').nth(2).unwrap();
        let named = statement.split('\'').skip(1).step_by(2).flat_map(|list| list.split(", "));
        for column in named {
            place.run(&format!("SELECT {} FROM {table}", column.trim_end_matches(" DESC")));
        }
    }
}

#[test]
fn hypertables_and_continuous_aggregates_lead_to_the_same_figures() {
    let Some(place) = place() else { return };
    let before = objects(&place);
    write_files(&place);
    let migrate = |args: &[&str]| {
        super::program(&place, &["migrate"]).args(args).args(["--dir", "migrations", "--yes"])
    };
    // The extension comes when the tables are full.
    migrate(&["up"]).run().exits(0).says("0005_fill_aggregates.up.sql was skipped");
    load_samples(&place);
    refresh(&place);
    let plain = columns(&place);
    place.run(STAND_INS);
    place.run(EXTENSION);
    migrate(&["up"]).run().exits(0).says("applied 2 migrations");
    assert_eq!(columns(&place), plain);
    check(&place);
    // Later loads as well.
    load_samples(&place);
    refresh(&place);
    check(&place);
    assert_eq!(
        place.rows("SELECT call FROM calls ORDER BY n"),
        [
            "hypertable commits committed_at t t",
            "hypertable pull_requests created_at t t",
            "hypertable issues created_at t t",
            "hypertable metrics_daily metric_date t t",
            "compress commits 90 days",
            "compress pull_requests 90 days",
            "compress issues 180 days",
            "retain commits 2 years",
            "retain pull_requests 2 years",
            "retain issues 5 years",
            "keep commits_daily_stats 1 year 01:00:00 01:00:00",
            "keep pull_requests_weekly_metrics 1 year 01:00:00 01:00:00",
            "refresh commits_daily_stats  ",
            "refresh pull_requests_weekly_metrics  ",
        ]
    );
    place.run("DELETE FROM calls");
    migrate(&["down", "2"]).run().exits(0);
    assert_eq!(place.rows("SELECT call FROM calls").len(), 6, "each policy is removed");
    assert_eq!(columns(&place), plain);
    check(&place);
    migrate(&["up"]).run().exits(0);
    migrate(&["down", "5"]).run().exits(0);
    place.run(
        "DROP TABLE calls; DROP FUNCTION create_hypertable, add_compression_policy, add_retention_policy, remove_compression_policy, \
         remove_retention_policy, add_continuous_aggregate_policy, time_bucket; DROP PROCEDURE refresh_continuous_aggregate",
    );
    assert_eq!(objects(&place), before);
}
