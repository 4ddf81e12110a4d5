//! `load --follow`: a service that takes each message once, whatever happens to it, its broker, its database and its peers.

use super::faults::send_large;
use super::{Broker, IDS, ids, job, offsets};
use crate::load::crash::scattered;
use crate::load::place::Place;
use crate::metrics::{address, ask, check, sample};
use crate::support::eventually;
use crate::support::postgres::PASSWORD;
use crate::support::program::{Program, Running};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A session that ends soon after whoever has it is gone, and batches that do not wait.
const SOURCE: &str = "topics: [t], group: g, session_timeout: 6s, batch_timeout: 50ms";
const TARGET: &str = "table: t, mode: append";

/// A topic of so many partitions, and a job that appends its messages.
fn prepare(place: &Place, partitions: i32) -> Broker {
    let broker = Broker::new(&[("t", partitions)]);
    place.run("CREATE TABLE t (id bigint)");
    job(place, &broker, SOURCE, TARGET, "batch_size: 7");
    broker
}

fn follow(place: &Place, more: &[&str]) -> Program {
    place.load(&["--follow"]).args(more)
}

fn until(place: &Place, count: u64) {
    eventually(&format!("{count} rows"), || place.rows(IDS).len() as u64 >= count);
    assert_eq!(place.rows(IDS), ids(0..count), "{}", place.kind());
}

fn stopped(running: Running) {
    running.signal("TERM");
    running.wait().exits(143).says("resume");
}

/// `/healthz`: the status and what it says.
fn health(addr: &str) -> (u16, Value) {
    let (head, body) = ask(addr, "GET", "/healthz");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn what_comes_is_taken_until_a_signal_and_resume_goes_on() {
    for place in Place::each() {
        let broker = prepare(&place, 2);
        broker.send_ids("t", 2, 0..30);
        let running = follow(&place, &["--metrics-listen", "0", "--metrics-prefix", "processor"]).spawn();
        let addr = address(&running);
        until(&place, 30);
        broker.send_ids("t", 2, 30..60);
        broker.send("t", 0, ["no json"]);
        until(&place, 60);
        let mut page = String::new();
        eventually("the figures", || {
            page = ask(&addr, "GET", "/metrics").1;
            sample(&page, "processor_messages_failed_total") == Some(1.0)
        });
        check(&page);
        for prefix in ["devrev_batch", "processor"] {
            let of = |name: &str| sample(&page, &format!("{prefix}_{name}"));
            assert_eq!(of("messages_consumed_total"), Some(61.0), "{page}");
            assert_eq!(of("messages_processed_total"), Some(60.0));
            assert_eq!(of("lag{topic=\"t\",partition=\"0\"}"), Some(0.0));
            assert_eq!(of("lag{topic=\"t\",partition=\"1\"}"), Some(0.0));
            assert!(of("batch_size").unwrap() >= 1.0);
            assert!(of("processing_duration_seconds_count").unwrap() >= 8.0);
        }
        let (status, says) = health(&addr);
        assert_eq!((status, &says["status"]), (200, &"healthy".into()), "{says}");
        assert_eq!((&says["kafka_connected"], &says["database_connected"]), (&true.into(), &true.into()));
        assert_eq!((&says["lag"], &says["version"]), (&0.into(), &env!("CARGO_PKG_VERSION").into()));
        stopped(running);
        assert_eq!(offsets(&place), ["t/0 31", "t/1 30"]);
        for (partition, next) in [(0, 31), (1, 30)] {
            assert_eq!(broker.committed("g", "t", partition), Some(next));
        }
        place.program(&["runs", "list"]).run().exits(0).says("interrupted");
        broker.send_ids("t", 2, 60..90);
        let running = place.resume().spawn();
        until(&place, 90);
        running.signal("INT");
        running.wait().exits(130);
        // What is rejected is with the run, once; and a run that is followed for long says no more in its journal.
        let run = place.site.the_run();
        assert_eq!(run.lines("rejected.jsonl").len(), 1);
        assert!(std::fs::metadata(run.file("journal.jsonl")).unwrap().len() < 10_000);
        // A load without --follow goes on from there, too.
        broker.send_ids("t", 2, 90..100);
        place.load(&[]).run().exits(0).says("10 records loaded");
        until(&place, 100);
    }
}

#[test]
fn a_batch_waits_for_more_messages_only_so_long() {
    let place = Place::sqlite();
    let broker = Broker::new(&[("t", 1)]);
    place.run("CREATE TABLE t (id bigint)");
    job(&place, &broker, "topics: [t], group: g, session_timeout: 6s", TARGET, "batch_size: 1000");
    broker.send_ids("t", 1, 0..1);
    let running = follow(&place, &["--metrics-listen", "0"]).env("BATCH_TIMEOUT_MS", "2000").spawn();
    let addr = address(&running);
    until(&place, 1);
    broker.send_ids("t", 1, 1..3);
    let sent = Instant::now();
    // It is known at once that they are there, and they are not in the target yet.
    eventually("the lag", || health(&addr).1["lag"] == 2);
    assert!(sent.elapsed() < Duration::from_millis(1900), "{:?}", sent.elapsed());
    until(&place, 3);
    let took = sent.elapsed();
    assert!((1500..5000).contains(&took.as_millis()), "{took:?}");
    stopped(running);
}

#[test]
fn kills_at_any_moment_leave_each_message_once() {
    for place in Place::each() {
        let broker = prepare(&place, 3);
        let mut sent = 0;
        let mut next = follow(&place, &[]);
        for kill in 0..8_u64 {
            broker.send_ids("t", 3, sent..sent + 300);
            sent += 300;
            let before = place.rows(IDS).len();
            let running = next.spawn();
            // In the midst of its work: it takes some time until the group gives it something.
            eventually("its first rows", || place.rows(IDS).len() > before);
            std::thread::sleep(Duration::from_millis(scattered(kill, 60)));
            running.kill();
            let rows = place.rows(IDS);
            assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "after {kill} kills");
            next = if kill % 3 == 0 { follow(&place, &[]) } else { place.resume() };
        }
        let running = next.spawn();
        until(&place, sent);
        stopped(running);
    }
}

/// The run that took the last batch of each partition.
fn takers(place: &Place) -> Vec<String> {
    place.rows("SELECT run FROM _devrev_batch_offsets ORDER BY partition")
}

#[test]
fn three_processes_of_a_group_share_its_partitions_and_one_that_is_killed_is_replaced() {
    for place in Place::each() {
        let broker = prepare(&place, 3);
        let mut sent = 0;
        let mut running = Vec::new();
        for processes in 1..=3 {
            running.push(follow(&place, &[]).spawn());
            broker.send_ids("t", 3, sent..sent + 30);
            sent += 30;
            eventually("the first rows", || !place.rows(IDS).is_empty());
            // Messages come all the time, so that batches are under way while the group shares its partitions anew.
            eventually("each process has its share", || {
                broker.send_ids("t", 3, sent..sent + 30);
                sent += 30;
                std::thread::sleep(Duration::from_millis(100));
                let takers = takers(&place);
                takers.len() == 3 && takers.iter().collect::<BTreeSet<_>>().len() == processes
            });
        }
        let one = running.remove(1);
        one.kill();
        let gone = sent;
        eventually("the others have its share", || {
            broker.send_ids("t", 3, sent..sent + 30);
            sent += 30;
            std::thread::sleep(Duration::from_millis(100));
            let least = place.rows("SELECT CAST(MIN(next_offset) AS text) FROM _devrev_batch_offsets");
            least[0].parse::<u64>().unwrap() > gone / 3 + 10
        });
        // One leaves in an orderly way.
        stopped(running.remove(0));
        broker.send_ids("t", 3, sent..sent + 30);
        until(&place, sent + 30);
        stopped(running.remove(0));
    }
}

#[test]
fn a_broker_that_is_gone_is_waited_for() {
    let place = Place::sqlite();
    let broker = prepare(&place, 2);
    broker.send_ids("t", 2, 0..20);
    let running = follow(&place, &["--metrics-listen", "0"]).spawn();
    let addr = address(&running);
    until(&place, 20);
    broker.breaks();
    eventually("it is said", || health(&addr).0 == 503);
    assert_eq!(health(&addr).1["kafka_connected"], false);
    assert_eq!(health(&addr).1["database_connected"], true);
    broker.answers();
    broker.send_ids("t", 2, 20..50);
    until(&place, 50);
    eventually("it is said", || health(&addr).0 == 200);
    stopped(running);
}

/// Hands connections on to a server, until it does not.
struct Proxy {
    port: u16,
    is_open: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            is_open: Arc::new(AtomicBool::new(true)),
            open: Arc::default(),
        };
        let (is_open, open) = (Arc::clone(&proxy.is_open), Arc::clone(&proxy.open));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), true) = (client, is_open.load(Ordering::SeqCst)) else { continue };
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                }
                open.lock().unwrap().extend([client, server]);
            }
        });
        proxy
    }

    /// Ends all connections, and takes no other ones.
    fn cut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.end_all();
    }

    fn end_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_database_that_is_gone_is_waited_for() {
    let Some(place) = Place::postgres() else { return };
    let broker = prepare(&place, 3);
    let database = place.database.as_ref().unwrap();
    let proxy = Proxy::before(database.port());
    let url = database
        .url(&format!("postgres:{PASSWORD}"))
        .replace(&format!(":{}/", database.port()), &format!(":{}/", proxy.port));
    broker.send_ids("t", 3, 0..30);
    let retries = [("MAX_RETRIES", "1"), ("RETRY_BACKOFF", "0.1")];
    let program = follow(&place, &["--metrics-listen", "0"]).env("DATABASE_URL", url);
    let running = retries.iter().fold(program, |program, (name, value)| program.env(name, value)).spawn();
    let addr = address(&running);
    until(&place, 30);
    let mut sent = 30;
    // Connections that break in the midst of batches: whether the last one was committed is found out.
    for _ in 0..10 {
        broker.send_ids("t", 3, sent..sent + 200);
        sent += 200;
        std::thread::sleep(Duration::from_millis(scattered(sent, 120)));
        proxy.end_all();
    }
    until(&place, sent);
    proxy.cut();
    broker.send_ids("t", 3, sent..sent + 200);
    sent += 200;
    eventually("it is said", || health(&addr).0 == 503);
    assert_eq!(health(&addr).1["database_connected"], false);
    eventually("the lag", || health(&addr).1["lag"] == 200);
    proxy.mend();
    until(&place, sent);
    eventually("it is said", || health(&addr).0 == 200);
    eventually("no lag", || health(&addr).1["lag"] == 0);
    stopped(running);
}

#[test]
fn what_does_not_pass_ends_it_with_its_code() {
    for place in Place::each() {
        let broker = Broker::new(&[("t", 1)]);
        place.run("CREATE TABLE t (id bigint)");
        job(&place, &broker, SOURCE, TARGET, "transform: '{id}'");
        send_large(&broker, 0..10);
        let running = follow(&place, &[]).spawn();
        until(&place, 10);
        // A table that is gone.
        place.run("ALTER TABLE t RENAME TO u");
        send_large(&broker, 10..11);
        running.wait().exits(2);
        place.run("ALTER TABLE u RENAME TO t");
        // A gap, and what is done about it.
        send_large(&broker, 11..100);
        follow(&place, &[]).run().exits(6).says("the brokers have removed offsets 10 to ");
        let running = follow(&place, &["--on-gap", "continue"]).spawn();
        eventually("the last one", || place.rows(IDS).last().unwrap() == "99");
        stopped(running);
        let lost = place.rows("SELECT CAST(lost AS text) FROM _devrev_batch_offsets");
        assert_eq!(lost, [(100 - place.rows(IDS).len()).to_string()]);
        // A topic that was made anew, as far as can be told.
        place.run("UPDATE _devrev_batch_offsets SET last_message = 'other'");
        send_large(&broker, 100..101);
        follow(&place, &[]).run().exits(6).says("the topic was made anew");
        place.run("UPDATE _devrev_batch_offsets SET next_offset = 5000");
        follow(&place, &[]).run().exits(6).says("ends with offset");
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_done() {
    let place = Place::sqlite();
    let broker = prepare(&place, 1);
    job(&place, &broker, "topics: [t]", TARGET, "");
    follow(&place, &[]).run().exits(2).says("set CONSUMER_GROUP_ID");
    follow(&place, &["--dry-run"]).run().exits(2);
    job(&place, &broker, SOURCE, TARGET, "");
    follow(&place, &["--metrics-prefix", "A b"]).run().exits(2).says("--metrics-prefix");
    place.load(&["--metrics-prefix", "processor"]).run().exits(2).says("--follow");
    job(&place, &broker, "topics: [t], group: g", TARGET, "");
    follow(&place, &[]).env("BATCH_TIMEOUT_MS", "5s").run().exits(2).says("BATCH_TIMEOUT_MS");
    job(&place, &broker, "topics: [t], group: g, batch_timeout: 1h", TARGET, "");
    place.program(&["validate", "--job", "job.yaml"]).run().exits(5).says("not a time from 10ms");
    place.site.write("in.jsonl", "{\"id\":1}\n");
    place.site.write(
        "job.yaml",
        format!("version: 1\njob_name: e\nsource: {{jsonl: {{path: in.jsonl}}}}\n{}", place.target(TARGET)),
    );
    follow(&place, &[]).run().exits(2).says("only a source of kafka");
    assert_eq!(place.site.runs().len(), 0);
}
