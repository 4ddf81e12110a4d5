//! `load` from Kafka: each message once, whatever happens. The broker is that of librdkafka, in the process of the test.

mod crash;
mod faults;
mod follow;
mod sei;
mod speed;

use super::place::Place;
use super::{assert_nowhere, site};
use crate::support::program::Program;
use crate::support::site::Trouble;
use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value;
use std::time::Duration;

/// What no file and no output may have.
const SECRET: &str = "pw-Kx7secret4vQz";
const WAIT: Duration = Duration::from_secs(20);
/// What a reader asks a broker.
const READING: [RDKafkaApiKey; 3] =
    [RDKafkaApiKey::Fetch, RDKafkaApiKey::ListOffsets, RDKafkaApiKey::Metadata];
const IDS: &str = "SELECT CAST(t.id AS text) FROM t ORDER BY t.id";

/// A cluster of one broker.
struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Broker {
    fn new(topics: &[(&str, i32)]) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1).unwrap();
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("message.max.bytes", "200000000")
            .set("queue.buffering.max.kbytes", "400000")
            .set("linger.ms", "1")
            .create()
            .unwrap();
        Self { cluster, producer }
    }

    /// Breaks the connection of whoever asks, as a broker that is just gone. (One that is down for a while may find its port taken
    /// when it comes back, by whatever else runs on this machine.)
    fn breaks(&self) {
        for key in READING {
            self.cluster.request_errors(key, &vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 5000]);
        }
    }

    /// Answers again.
    fn answers(&self) {
        for key in READING {
            self.cluster.clear_request_errors(key);
        }
    }

    fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Sends messages with these values, and waits until the broker has them.
    fn send<P: AsRef<[u8]>>(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = P>) {
        for value in values {
            self.put(BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_ref()));
        }
        self.flush();
    }

    fn put(&self, record: BaseRecord<'_, [u8], [u8]>) {
        let mut record = record;
        while let Err((error, back)) = self.producer.send(record) {
            assert!(error.to_string().contains("Queue full"), "{error}");
            self.producer.poll(Duration::from_millis(10));
            record = back;
        }
    }

    fn flush(&self) {
        // A broker that was away is asked again after up to 10 s, and machines are slow.
        self.producer.flush(3 * WAIT).unwrap();
    }

    /// Sends `{"id": N}` for each number, in turn to each partition.
    fn send_ids(&self, topic: &str, partitions: i32, ids: std::ops::Range<u64>) {
        for id in ids {
            let partition = i32::try_from(id % u64::try_from(partitions).unwrap()).unwrap();
            let value = format!("{{\"id\":{id}}}");
            self.put(BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_bytes()));
        }
        self.flush();
    }

    /// What a group has committed.
    fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.address())
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        match consumer.committed_offsets(list, WAIT).unwrap().elements().first()?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

/// A job that loads topics into the table `t`.
fn job(place: &Place, broker: &Broker, source: &str, target: &str, rest: &str) {
    let target = place.target(target);
    let kafka = format!("source: {{kafka: {{brokers: \"{}\", {source}}}}}", broker.address());
    place.site.write("job.yaml", format!("version: 1\njob_name: events\n{kafka}\n{target}{rest}\n"));
}

fn offsets(place: &Place) -> Vec<String> {
    place.rows(
        "SELECT topic || '/' || CAST(partition AS text) || ' ' || CAST(next_offset AS text) FROM _devrev_batch_offsets ORDER BY \
         topic, partition",
    )
}

fn ids(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

fn rejected(place: &Place) -> Vec<Value> {
    place.site.newest_run().lines("rejected.jsonl")
}

#[test]
fn topics_are_drained_and_the_next_run_goes_on() {
    for place in Place::each() {
        let broker = Broker::new(&[("git.commits", 3), ("git.empty", 1)]);
        broker.send_ids("git.commits", 3, 0..100);
        place.run("CREATE TABLE t (id bigint)");
        job(
            &place,
            &broker,
            "topics: [git.commits, git.empty], group: g",
            "table: t, mode: append",
            "batch_size: 7",
        );
        let planned = place.load(&["--dry-run"]).run().exits(0);
        for line in ["100 messages in 3 of 4 partitions", "git.commits/0 0..34  (34 messages)", "sample"] {
            assert!(planned.all().contains(line), "{line}: {}", planned.all());
        }
        assert_eq!(place.rows(IDS), [""; 0]);
        assert_eq!(broker.committed("g", "git.commits", 0), None, "a dry run commits nothing");
        place.load(&[]).run().exits(0).says("100 records loaded");
        assert_eq!(place.rows(IDS), ids(0..100));
        assert_eq!(
            offsets(&place),
            ["git.commits/0 34", "git.commits/1 33", "git.commits/2 33", "git.empty/0 0"]
        );
        assert_eq!(broker.committed("g", "git.commits", 0), Some(34));
        place.load(&[]).run().exits(0).says("4  nothing to change");
        broker.send_ids("git.commits", 3, 100..130);
        place.program(&["load", "job.yaml", "--show", "1"]).run().exits(0).says("\"id\":102");
        place.load(&[]).run().exits(0).says("30 records loaded");
        assert_eq!(place.rows(IDS), ids(0..130));
        place.program(&["validate", "--job", "job.yaml"]).run().exits(0).says("is valid");
    }
}

#[test]
fn what_a_message_is_besides_its_value_is_known_to_the_filter() {
    for place in Place::each() {
        let broker = Broker::new(&[("jira.issues", 1)]);
        let headers = OwnedHeaders::new()
            .insert(Header { key: "source", value: Some("jira") })
            .insert(Header { key: "raw", value: Some(&[0_u8, 255][..]) })
            .insert(Header { key: "none", value: None::<&str> });
        let record = BaseRecord::<[u8], [u8]>::to("jira.issues")
            .partition(0)
            .key(b"PROJ-1")
            .payload(b"{\"status\":\"Done\"}")
            .timestamp(1_759_320_000_123)
            .headers(headers);
        broker.put(record);
        broker.flush();
        broker.put(BaseRecord::<[u8], [u8]>::to("jira.issues").partition(0).key(b"PROJ-2"));
        broker.flush();
        let source = "topics: [\"${topic}\"], tombstones: true";
        let transform = "params: {topic: jira.issues}\ntransform: '{key: $kafka.key, status: (.status? // \"gone\"), place: \
                         \"\\($kafka.topic)/\\($kafka.partition)/\\($kafka.offset)\", time: $kafka.timestamp, source: \
                         $kafka.headers.source, raw: $kafka.headers.raw}'";
        job(&place, &broker, source, "table: t, key: [key], create: true", transform);
        place.load(&[]).run().exits(0).says("2 records loaded");
        let first =
            "SELECT status || ' ' || place || ' ' || source || ' ' || raw FROM t WHERE key = 'PROJ-1'";
        assert_eq!(place.rows(first), ["Done jira.issues/0/0 jira 00ff"]);
        let time = "SELECT CAST(time AS text) FROM t WHERE key = 'PROJ-1'";
        assert!(place.rows(time)[0].starts_with("2025-10-01"), "{:?}", place.rows(time));
        assert_eq!(place.rows("SELECT status FROM t WHERE key = 'PROJ-2'"), ["gone"]);
    }
}

#[test]
fn bad_messages_are_named_by_their_offsets_and_tombstones_are_counted() {
    for place in Place::each() {
        let broker = Broker::new(&[("t", 2)]);
        broker.send("t", 0, ["{\"id\":1}", "not json", "{\"id\":-5}", "[3]"]);
        broker.put(BaseRecord::<[u8], [u8]>::to("t").partition(1).key(b"k"));
        broker.flush();
        broker.send("t", 1, ["{\"id\":null}", "{\"id\":2}", "{\"id\":2}"]);
        place.run("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY)");
        let rest = "rules: [{field: id, min: 0}]\nbatch_size: 3";
        job(&place, &broker, "topics: [t]", "table: t, key: [id], mode: insert", rest);
        let ended = place.load(&[]).run().exits(3);
        for text in [
            "2 records loaded, 4 rejected",
            "1 record had a key that came again",
            "1 message without a value",
        ] {
            assert!(ended.all().contains(text), "{text}: {}", ended.all());
        }
        assert_eq!(place.rows(IDS), ids(1..3));
        let lines: Vec<String> = rejected(&place)
            .iter()
            .map(|line| {
                format!(
                    "{}/{} {} {}",
                    line["topic"].as_str().unwrap(),
                    line["partition"],
                    line["offset"],
                    line["rule"]
                )
            })
            .collect();
        assert_eq!(lines, ["t/0 1 \"json\"", "t/0 2 \"min\"", "t/0 3 \"transform\"", "t/1 1 \"target\""]);
        assert_eq!(rejected(&place)[0]["record"], "not json");
        place.load(&[]).run().exits(0).says("2  nothing to change");
    }
}

#[test]
fn it_begins_where_it_is_told_where_nothing_is_loaded_yet() {
    let place = Place::sqlite();
    let broker = Broker::new(&[("t", 1)]);
    broker.send_ids("t", 1, 0..10);
    place.run("CREATE TABLE t (id bigint)");
    job(&place, &broker, "topics: [t], from: latest", "table: t, mode: append", "");
    place.load(&[]).run().exits(0).says("0 records loaded");
    broker.send_ids("t", 1, 10..15);
    place.load(&[]).run().exits(0).says("5 records loaded");
    // From here on the ledger says it.
    job(&place, &broker, "topics: [t], from: earliest", "table: t, mode: append", "");
    broker.send_ids("t", 1, 15..17);
    place.load(&[]).run().exits(0).says("2 records loaded");
    assert_eq!(place.rows(IDS), ids(10..17));
    place.program(&["load", "ledger", "list", "job.yaml"]).run().exits(0).says("t/0 17");
    place.program(&["load", "ledger", "forget", "job.yaml", "--slice", "t/0", "--yes"]).run().exits(0);
    place.run("DELETE FROM t");
    place.load(&[]).run().exits(0).says("17 records loaded");

    // Another service has committed for this group.
    let place = Place::sqlite();
    place.run("CREATE TABLE t (id bigint)");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("group.id", "earlier")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Offset(12)).unwrap();
    consumer.commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
    job(&place, &broker, "topics: [t], group: earlier, from: committed", "table: t, mode: append", "");
    place.load(&[]).run().exits(0).says("5 records loaded");
    assert_eq!(place.rows(IDS), ids(12..17));
    // Offsets that are reset by hand change nothing.
    list.set_partition_offset("t", 0, Offset::Offset(0)).unwrap();
    consumer.commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
    place.load(&[]).run().exits(0).says("nothing to change");
}

#[test]
fn settings_come_from_the_environment_and_secrets_go_nowhere() {
    let place = Place::sqlite();
    let broker = Broker::new(&[("t", 1)]);
    broker.send_ids("t", 1, 0..25);
    place.run("CREATE TABLE t (id bigint)");
    let target = place.target("table: t, mode: append");
    let write = |source: &str| {
        place
            .site
            .write("job.yaml", format!("version: 1\njob_name: e\nsource: {{kafka: {{{source}}}}}\n{target}"));
    };
    write("topics: [t]");
    let load = || -> Program {
        place
            .load(&[])
            .env("KAFKA_BROKERS", broker.address())
            .env("CONSUMER_GROUP_ID", "of-env")
            .env("BATCH_SIZE", "10")
    };
    place.load(&[]).run().exits(2).says("set KAFKA_BROKERS");
    load().env("BATCH_SIZE", "0").run().exits(2).says("BATCH_SIZE");
    load().run().exits(0).says("25 records loaded");
    assert_eq!(broker.committed("of-env", "t", 0), Some(25));
    // The broker does not speak SASL: what matters is what is said.
    write(
        "topics: [t], timeout: 2s, security: {protocol: sasl_plaintext, mechanism: PLAIN, user: u, password: \"${env.KAFKA_PW}\"}",
    );
    let ended = load().env("KAFKA_PW", SECRET).run();
    assert!(matches!(ended.code, Some(4 | 7)), "{}", ended.all());
    assert!(!ended.out.contains(SECRET) && !ended.err.contains(SECRET));
    assert_nowhere(place.site.folder(), SECRET);
    if cfg!(not(feature = "kafka-tls")) {
        write("topics: [t], security: {user: u, password: \"${env.KAFKA_PW}\"}");
        load().env("KAFKA_PW", SECRET).run().exits(2).says("--features kafka-tls");
    }
}

#[test]
fn mistakes_are_named_with_their_places() {
    let site = site(&Trouble::none());
    let file = |source: &str, rest: &str| {
        format!(
            "version: 1\njob_name: e\nsource:\n  kafka: {{ brokers: b:9092, {source} }}\ntarget:\n  sqlite: {{ path: t.db, table: t }}\n{rest}"
        )
    };
    for (text, says) in [
        (file("topics: []", ""), "job.yaml:4:3: kafka: topics names none"),
        (file("topics: [\"a b\"]", ""), "4:38: `a b` is not the name of a topic"),
        (file("topics: [a, a]", ""), "topic `a` is named twice"),
        (file("topics: [a], from: never", ""), "4:48: from is earliest"),
        (file("topics: [a], timeout: 1h", ""), "not a time from 1s"),
        (file("topics: [a], tombstones: true", ""), "tombstones: true needs a transform"),
        (file("topics: [a], security: {user: u, password: p}", ""), "a password is a secret"),
        (file("topics: [a], security: {user: u}", ""), "user and password go together"),
        (file("topics: [a], nosuch: 1", ""), "nosuch"),
        (file("topics: [a]", "slices: {each: {x: [1]}}"), "7:9: a source of kafka has slices of its own"),
        (file("topics: [a]", "undo: true"), "7:7: undo: true does not go"),
        (file("topics: [a]", "rules: [{unique: [id]}]"), "unique looks at one slice"),
        (file("topics: [a]", "checks: [{count: source}]"), "checks of sql alone"),
        (file("topics: [a]", "max_records: 5"), "max_records is of a slice"),
        (
            file("topics: [a]", "").replace("sqlite: { path: t.db, table: t }", "csv: { path: a.csv }"),
            "6:3: a source of kafka needs a target of postgres or sqlite",
        ),
        (file("topics: [a]", "").replace("table: t", "table: t, mode: replace"), "replace deletes a range"),
    ] {
        site.write("job.yaml", &text);
        site.program(["validate", "--job", "job.yaml"]).run().exits(5).says(says);
    }
}
