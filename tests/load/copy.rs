//! `load` into PostgreSQL where no key is looked at: the records are copied into the table itself, and it is as if each had been
//! inserted.

use super::{KEY, load, site};
use crate::support::postgres::Database;
use crate::support::program::Ended;
use crate::support::site::{Site, Trouble};

/// Appends these records, JSON Lines, to a table `t` that these statements make.
fn append(database: &Database, site: &Site, table: &str, records: &str) -> Ended {
    database.run(&format!("DROP TABLE IF EXISTS t, u, _devrev_batch_loads CASCADE; {table}"));
    site.write("in.jsonl", records);
    let job =
        "version: 1\njob_name: lines\nsource: {jsonl: {path: in.jsonl}}\ntarget: {postgres: {table: t}}\n";
    site.write("job.yaml", job);
    database.prepare(load(site, &[])).env("PRICES_API_KEY", KEY).run()
}

#[test]
fn columns_that_number_themselves_take_no_numbers() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    let table = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, name text)";
    append(&database, &site, table, "{\"id\":7,\"name\":\"a\"}\n").exits(2).says("cannot insert");
    assert_eq!(database.ask("SELECT count(*)::text FROM t").unwrap(), "0");
    append(&database, &site, table, "{\"name\":\"a\"}\n").exits(0).says("1 record loaded");
}

#[test]
fn rules_of_the_table_are_kept() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    let table = "CREATE TABLE t (id int); CREATE TABLE u (id int); \
                 CREATE RULE elsewhere AS ON INSERT TO t DO INSTEAD INSERT INTO u VALUES (NEW.id)";
    append(&database, &site, table, "{\"id\":7}\n{\"id\":8}\n").exits(0);
    assert_eq!(
        database.ask("SELECT (SELECT count(*) FROM t) || ' ' || (SELECT sum(id) FROM u)").unwrap(),
        "0 15"
    );
}

#[test]
fn defaults_are_kept_and_a_record_that_is_refused_leaves_the_others() {
    let Some(database) = Database::new() else { return };
    let site = site(&Trouble::none());
    let table = "CREATE TABLE t (id int, kind varchar(3) DEFAULT 'abc', day date)";
    let records = "{\"id\":1}\n{\"id\":2,\"kind\":\"x\"}\n{\"id\":3,\"kind\":null}\n{\"id\":4,\"day\":\"2024-02-29\"}\n";
    append(&database, &site, table, records).exits(0).says("4 records loaded");
    let all = "SELECT string_agg(concat_ws(' ', id, coalesce(kind, '-'), day), '|' ORDER BY id) FROM t";
    assert_eq!(database.ask(all).unwrap(), "1 abc|2 x|3 -|4 abc 2024-02-29");
    // A date that there is not, a text that is too long, a character that cannot be stored.
    let bad =
        "{\"id\":5,\"day\":\"2024-02-30\"}\n{\"id\":6,\"kind\":\"long\"}\n{\"id\":7,\"kind\":\"\\u0000\"}\n";
    let ended = append(&database, &site, table, &format!("{records}{bad}")).exits(3);
    ended.says("4 records loaded, 3 rejected");
    assert_eq!(database.ask(all).unwrap(), "1 abc|2 x|3 -|4 abc 2024-02-29");
    let rejected = site.newest_run().lines("rejected.jsonl");
    let ids: Vec<u64> = rejected.iter().map(|line| line["record"]["id"].as_u64().unwrap()).collect();
    assert_eq!(rejected.len(), 3);
    assert!([5, 6, 7].iter().all(|id| ids.contains(id)), "{ids:?}");
}
