//! What brokers do wrong, and what is not theirs to have.

use super::{Broker, IDS, ids, job, offsets};
use crate::load::place::Place;
use crate::support::eventually;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::types::RDKafkaApiKey;
use std::time::Duration;

#[test]
fn what_cannot_be_reached_ends_resumable_and_what_is_not_there_is_named() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id bigint)");
    let broker = Broker::new(&[("git.commits", 1)]);
    let target = "table: t, mode: append";
    job(&place, &broker, "topics: [git.commit], timeout: 5s", target, "");
    place.load(&[]).run().exits(2).says("did you mean `git.commits`?");
    job(&place, &broker, "topics: [git.commits], timeout: 1s", target, "");
    broker.cluster.broker_down(-1).unwrap();
    place.load(&[]).run().exits(7).says("no answer within 1s");
    let text = std::fs::read_to_string(place.site.path("job.yaml")).unwrap();
    place.site.write("job.yaml", text.replace(&broker.address(), "127.0.0.1:1"));
    place.load(&[]).run().exits(7).says("Kafka at 127.0.0.1:1");
}

#[test]
fn a_broker_that_goes_away_and_comes_back_is_waited_for() {
    for place in Place::each() {
        let broker = Broker::new(&[("t", 2)]);
        place.run("CREATE TABLE t (id bigint)");
        job(&place, &broker, "topics: [t], group: g", "table: t, mode: append", "batch_size: 5");
        broker.send_ids("t", 2, 0..400);
        broker.cluster.broker_round_trip_time(-1, Duration::from_millis(20)).unwrap();
        for _ in 0..2 {
            let running = place.load(&[]).spawn();
            eventually("some are loaded", || !offsets_or_none(&place).is_empty());
            broker.breaks();
            std::thread::sleep(Duration::from_millis(300));
            broker.answers();
            running.wait().exits(0);
            assert_eq!(place.rows(IDS), ids(0..400));
            place.run("DELETE FROM t; DELETE FROM _devrev_batch_offsets");
        }
        // Longer than it is waited for: the next process goes on.
        job(&place, &broker, "topics: [t], timeout: 1s", "table: t, mode: append", "batch_size: 5");
        let running = place.load(&[]).spawn();
        eventually("some are loaded", || !offsets_or_none(&place).is_empty());
        broker.breaks();
        let ended = running.wait();
        assert!(matches!(ended.code, Some(0 | 7)), "{}", ended.all());
        broker.answers();
        place.resume().run().exits(0);
        place.load(&[]).run().exits(0);
        assert_eq!(place.rows(IDS), ids(0..400));
    }
}

fn offsets_or_none(place: &Place) -> Vec<String> {
    place.run(
        "CREATE TABLE IF NOT EXISTS _devrev_batch_offsets (load text NOT NULL, cluster text NOT NULL, topic text NOT NULL, partition \
         bigint NOT NULL, next_offset bigint NOT NULL, last_offset bigint, last_message text, digest text NOT NULL, run text NOT NULL, \
         records bigint NOT NULL, rejected bigint NOT NULL, repeated bigint NOT NULL, tombstones bigint NOT NULL, lost bigint NOT \
         NULL, advanced_at timestamptz NOT NULL, PRIMARY KEY (load, cluster, topic, partition))",
    );
    place.rows("SELECT topic FROM _devrev_batch_offsets WHERE next_offset > 0")
}

#[test]
fn errors_that_pass_are_waited_out_and_others_are_said() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id bigint)");
    let broker = Broker::new(&[("t", 1)]);
    job(&place, &broker, "topics: [t], group: g, timeout: 10s", "table: t, mode: append", "");
    let mut sent = 0;
    for (key, code) in [
        (RDKafkaApiKey::Fetch, Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (RDKafkaApiKey::Fetch, Code::RD_KAFKA_RESP_ERR__TRANSPORT),
        (RDKafkaApiKey::Metadata, Code::RD_KAFKA_RESP_ERR__TRANSPORT),
        (RDKafkaApiKey::ListOffsets, Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE),
        // A group whose offset is not committed does the load no harm.
        (RDKafkaApiKey::OffsetCommit, Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
    ] {
        broker.send_ids("t", 1, sent..sent + 10);
        sent += 10;
        broker.cluster.request_errors(key, &[code, code]);
        place.load(&[]).run().exits(0).says("10 records loaded");
        broker.cluster.clear_request_errors(key);
    }
    assert_eq!(place.rows(IDS), ids(0..sent));
    broker.send_ids("t", 1, sent..sent + 10);
    let code = Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    broker.cluster.request_errors(RDKafkaApiKey::Fetch, &[code; 20]);
    place.load(&[]).run().exits(4);
    broker.cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    place.load(&[]).run().exits(0).says("10 records loaded");
    assert_eq!(place.rows(IDS), ids(0..sent + 10));
}

/// Messages of 100 KiB: the broker of the tests keeps 5 MiB of each partition.
pub(super) fn send_large(broker: &Broker, range: std::ops::Range<u64>) {
    let fill = "x".repeat(100 << 10);
    for id in range {
        broker.send("t", 0, [format!("{{\"id\":{id},\"fill\":\"{fill}\"}}")]);
    }
}

#[test]
fn a_gap_stops_the_run_unless_it_may_go_on() {
    for place in Place::each() {
        let broker = Broker::new(&[("t", 1)]);
        place.run("CREATE TABLE t (id bigint)");
        job(&place, &broker, "topics: [t]", "table: t, mode: append", "transform: '{id}'");
        send_large(&broker, 0..10);
        place.load(&[]).run().exits(0).says("10 records loaded");
        send_large(&broker, 10..100);
        let ended = place.load(&[]).run().exits(6);
        assert!(
            ended.all().contains("topic t, partition 0: the brokers have removed offsets 10 to "),
            "{}",
            ended.all()
        );
        assert_eq!(offsets(&place), ["t/0 10"]);
        place.load(&["--dry-run"]).run().exits(6);
        let ended = place.load(&["--on-gap", "continue"]).run().exits(0);
        assert!(ended.all().contains("offsets LOST"), "{}", ended.all());
        let rows = place.rows(IDS);
        assert_eq!((rows.last().unwrap().as_str(), offsets(&place)), ("99", vec!["t/0 100".to_owned()]));
        let lost = place.rows("SELECT CAST(lost AS text) FROM _devrev_batch_offsets");
        assert_eq!(lost, [(100 - rows.len()).to_string()]);
        place.load(&[]).run().exits(0).says("nothing to change");
    }
}

#[test]
fn a_topic_that_was_made_anew_is_noticed() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id bigint)");
    let broker = Broker::new(&[("t", 1)]);
    job(&place, &broker, "topics: [t]", "table: t, mode: append", "");
    broker.send_ids("t", 1, 0..10);
    place.load(&[]).run().exits(0);
    // As if the same offset had had another message, and as if there had been more.
    place.run("UPDATE _devrev_batch_offsets SET last_message = 'other'");
    place.load(&[]).run().exits(0).says("nothing to change");
    broker.send_ids("t", 1, 10..20);
    place.load(&[]).run().exits(6).says("the topic was made anew");
    place.run("UPDATE _devrev_batch_offsets SET next_offset = 50");
    let ended = place.load(&[]).run().exits(6);
    assert!(ended.all().contains("load ledger forget JOB --slice t/0"), "{}", ended.all());
    assert_eq!(place.rows(IDS), ids(0..10));
}

#[test]
fn a_message_that_is_far_too_long_is_not_taken_into_memory() {
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id bigint)");
    // Each in a topic of its own: the broker of the tests keeps one message of that length.
    let broker = Broker::new(&[("long", 1), ("far.too.long", 1)]);
    let message = |mebibytes: usize| [format!("{{\"id\":2,\"fill\":\"{}\"}}", "x".repeat(mebibytes << 20))];
    broker.send("long", 0, message(17));
    broker.send("far.too.long", 0, message(64));
    for (topic, says) in [("long", "longer than 16 MiB"), ("far.too.long", "is not read")] {
        job(
            &place,
            &broker,
            &format!("topics: [{topic}], timeout: 10s"),
            "table: t, mode: append",
            "transform: '{id}'",
        );
        let (mut running, mut peak) = (place.load(&[]).spawn(), 0);
        while !running.has_ended() {
            peak = peak.max(running.peak_memory());
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = running.wait().exits(3);
        let rejected =
            std::fs::read_to_string(place.site.newest_run().file("rejected.jsonl")).unwrap_or_default();
        assert!((ended.all() + &rejected).contains(says), "{}", ended.all());
        assert!(peak < 120 << 10, "{topic}: {peak}");
        assert_eq!(place.rows(IDS), [""; 0]);
    }
}
