//! How fast messages are loaded, and in how much memory: run by hand.

use super::{Broker, job};
use crate::load::place::Place;
use crate::support::tell;
use rdkafka::producer::BaseRecord;
use std::time::{Duration, Instant};

#[test]
#[ignore = "a measurement, for a machine at rest"]
fn a_hundred_thousand_messages() {
    let topics = [("git.commits", 4)];
    for place in Place::each() {
        let broker = Broker::new(&topics);
        for id in 0..100_000_u64 {
            let value =
                format!("{{\"id\":{id},\"author\":\"user{}@example.com\",\"n\":{}}}", id % 100, id % 7);
            let partition = i32::try_from(id % 4).unwrap();
            broker.put(
                BaseRecord::<[u8], [u8]>::to("git.commits").partition(partition).payload(value.as_bytes()),
            );
        }
        broker.flush();
        let rest =
            "transform: '{id, author: (.author | ascii_upcase), n, place: $kafka.offset}'\nbatch_size: 2000";
        job(&place, &broker, "topics: [git.commits], group: g", "table: t, key: [id], create: true", rest);
        let (begun, mut peak) = (Instant::now(), 0);
        let mut running = place.load(&[]).spawn();
        while !running.has_ended() {
            peak = peak.max(running.peak_memory());
            std::thread::sleep(Duration::from_millis(5));
        }
        running.wait().exits(0).says("100,000 records loaded");
        let took = begun.elapsed().as_secs_f64();
        tell(&format!("{}: {took:.1} s, {} MiB", place.kind(), peak / 1024));
    }
}
