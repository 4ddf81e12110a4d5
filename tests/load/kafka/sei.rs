//! The delivery metrics from messages of a broker.

use super::Broker;
use crate::load::sei::{BAD_ISSUES, TOPICS, check, file, load, load_the_rest, migrate, place, refresh};

#[test]
fn five_topics_are_what_was_worked_out_and_a_second_run_changes_nothing() {
    // Together and one by one, so that an older event is in the same batch or in another one.
    for batch in ["1", "100"] {
        let Some(place) = place() else { return };
        migrate(&place, &["up", "--yes"]).run().exits(0);
        let broker = Broker::new(&TOPICS.map(|(_, topic)| (topic, 1)));
        let run = |job: &str| {
            let job = format!("test_data/jobs/sei/{job}.yaml");
            load(&place, &job)
                .env("KAFKA_BROKERS", broker.address())
                .env("CONSUMER_GROUP_ID", "data-processor-group")
                .env("BATCH_SIZE", batch)
        };
        for (job, topic) in TOPICS {
            let messages = file(&format!("samples/{job}.jsonl"));
            broker.send(topic, 0, messages.lines());
            run(job).run().exits(0);
            let count = i64::try_from(messages.lines().count()).unwrap();
            assert_eq!(broker.committed("data-processor-group", topic, 0), Some(count), "{topic}");
        }
        load_the_rest(&place);
        refresh(&place);
        check(&place);
        for (job, topic) in TOPICS {
            run(job).run().exits(0).says("nothing to change");
            // The same messages once more, as a collector sends them that was killed.
            broker.send(topic, 0, file(&format!("samples/{job}.jsonl")).lines());
            run(job).run().exits(0);
        }
        load_the_rest(&place);
        refresh(&place);
        check(&place);
    }
}

#[test]
fn bad_messages_are_named_by_topic_and_offset() {
    let Some(place) = place() else { return };
    migrate(&place, &["up", "--yes"]).run().exits(0);
    let broker = Broker::new(&[("jira.issues", 1)]);
    broker.send("jira.issues", 0, BAD_ISSUES.map(|(message, _)| message).into_iter().chain(["no JSON"]));
    let ended = load(&place, "test_data/jobs/sei/issues.yaml").env("KAFKA_BROKERS", broker.address()).run();
    ended.exits(3).says("1 record loaded, 7 rejected");
    let rejected = place.site.newest_run().lines("rejected.jsonl");
    let offsets: Vec<u64> = rejected.iter().map(|line| line["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [1, 2, 3, 4, 5, 6, 7]);
    assert!(rejected.iter().all(|line| line["topic"] == "jira.issues"));
}
