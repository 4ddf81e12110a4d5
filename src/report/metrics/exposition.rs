//! A snapshot in Prometheus' text format (0.0.4), as its server and node_exporter's textfile collector read it.
//!
//! Counters are of this process. A label has few values: states, endpoints, statuses and commands are all from lists
//! of this tool.

use super::snapshot::{BREAKER, STATES, Snapshot, breaker};
use crate::figures::{CallTotals, Following, Latencies};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The format's name in HTTP.
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;
/// How every text begins: by this a file is known to be one of metrics.
pub(super) const BEGINS: &str = "# HELP devrev_batch_";
/// How long a call may take to be counted in each bucket, in milliseconds.
const CALL_BUCKETS: [u64; 13] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];
/// The same of a batch: it waits for the rate limit.
const BATCH_BUCKETS: [u64; 10] = [100, 500, 1000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// The snapshot as text. Fails only where memory does.
pub(super) fn text(snapshot: &Arc<Snapshot>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("devrev_batch");
    registry.register_collector(Box::new(Shown(Arc::clone(snapshot))));
    let mut text = String::with_capacity(16 << 10);
    prometheus_text::encode(&mut text, &registry)?;
    if let Some(prefix) = snapshot.figures.following.as_ref().and_then(|following| following.prefix.as_ref())
    {
        let mut registry = Registry::with_prefix(prefix);
        registry.register_collector(Box::new(Followed(Arc::clone(snapshot))));
        prometheus_text::encode(&mut text, &registry)?;
    }
    Ok(text)
}

/// What follows topics, for those who know it by another prefix.
#[derive(Debug)]
struct Followed(Arc<Snapshot>);

impl Collector for Followed {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        following(&mut Families(encoder), self.0.figures.following.as_ref())
    }
}

#[derive(Debug)]
struct Shown(Arc<Snapshot>);

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let now = &*self.0;
        run(&mut families, now)?;
        rows(&mut families, now)?;
        calls(&mut families, &now.figures.calls)?;
        waits(&mut families, now)?;
        following(&mut families, now.figures.following.as_ref())?;
        process(&mut families, now)
    }
}

/// Labels and a value.
type Sample<'a, V> = (Vec<(&'static str, &'a str)>, V);

/// Writes families of metrics.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn gauges<'v, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'v, V>>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge<V: EncodeGaugeValue>(&mut self, name: &str, help: &str, value: V) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    /// `_total` is added to the name.
    fn counters<'v, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'v, V>>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
        }
        Ok(())
    }

    fn counter<V: EncodeCounterValue>(&mut self, name: &str, help: &str, value: V) -> fmt::Result {
        self.counters(name, help, [(Vec::new(), value)])
    }

    fn histograms<'v>(
        &mut self,
        name: &str,
        help: &str,
        buckets: &[u64],
        samples: impl IntoIterator<Item = Sample<'v, (&'v Latencies, f64)>>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, (times, seconds)) in samples {
            let buckets = counted(times, buckets);
            let mut histogram = family.encode_family(&labels)?;
            histogram.encode_histogram::<NoLabelSet>(seconds, times.count(), &buckets, None)?;
        }
        Ok(())
    }
}

/// Upper bounds in seconds, and how many are in each bucket and in none before it.
fn counted(times: &Latencies, buckets: &[u64]) -> Vec<(f64, u64)> {
    let mut before = 0;
    let bucket = |millis: &u64| {
        let bound = Duration::from_millis(*millis);
        let within = times.within(bound);
        let here = within.saturating_sub(before);
        before = within;
        (bound.as_secs_f64(), here)
    };
    buckets.iter().map(bucket).collect()
}

/// One sample for each of the names, 1 where it is the present one.
fn one_of<'v>(label: &'static str, names: &[&'v str], now: &str) -> Vec<Sample<'v, u64>> {
    names.iter().map(|name| (vec![(label, *name)], u64::from(*name == now))).collect()
}

fn run(families: &mut Families<'_>, now: &Snapshot) -> fmt::Result {
    let about = &now.about;
    let info = Info::new(vec![
        ("run", about.run.as_str()),
        ("command", about.command.as_str()),
        ("dry_run", if about.dry_run { "true" } else { "false" }),
        ("version", env!("CARGO_PKG_VERSION")),
    ]);
    info.encode(families.0.encode_descriptor("run", "Which run this is of.", None, MetricType::Info)?)?;
    let states = ["starting", "running", "finished", "interrupted", "stopped"];
    families.gauges(
        "run_state",
        "How the run stands: 1 for its state.",
        one_of("state", &states, &now.state),
    )?;
    if let Some(exit) = now.exit {
        families.gauge("run_exit_code", "The exit code; there once the run has ended.", u64::from(exit))?;
    }
    // Milliseconds since 1970 stay far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let began = about.began.timestamp_millis() as f64 / 1000.0;
    families.gauge("run_start_timestamp_seconds", "When the run began, in its first process.", began)?;
    let help = "How long this process has worked on the run.";
    families.gauge("run_elapsed_seconds", help, now.elapsed().as_secs_f64())?;
    families.gauges(
        "last_success_timestamp_seconds",
        "When a run of the command, other than a dry one, last ended with exit code 0; 0 if that is not known.",
        now.successes.iter().map(|(command, at)| (vec![("command", command.as_str())], *at)),
    )
}

fn rows(families: &mut Families<'_>, now: &Snapshot) -> fmt::Result {
    families.gauge("expected_rows", "Rows that the run takes.", now.about.rows)?;
    families.gauges(
        "run_rows",
        "Rows of the whole run by state, those that earlier processes settled included.",
        now.rows().map(|(state, rows)| (vec![("state", state)], rows)),
    )?;
    let settled = |state: &str| now.settled.get(state).copied().unwrap_or(0);
    families.counters(
        "rows",
        "Rows that this process has settled, by state.",
        STATES.iter().map(|state| (vec![("state", *state)], settled(state))),
    )?;
    families.counter("batches", "Batches of which every row is settled.", now.batches.count())?;
    families.histograms(
        "batch_duration_seconds",
        "From the first call for a batch to its last answer, waits for the rate limit included.",
        &BATCH_BUCKETS,
        [(Vec::new(), (&now.batches, now.batch_time.as_secs_f64()))],
    )
}

fn calls(families: &mut Families<'_>, calls: &CallTotals) -> fmt::Result {
    let statuses = calls.endpoints.iter().flat_map(|(endpoint, of)| {
        let labels = move |status| vec![("endpoint", *endpoint), ("status", status)];
        of.statuses.iter().map(move |(status, calls)| (labels(status.as_str()), *calls))
    });
    let help = "Requests sent, every try counted, by the answer's HTTP status; none where no answer came.";
    families.counters("api_calls", help, statuses)?;
    families.histograms(
        "api_call_duration_seconds",
        "From sending a request to the last byte of its answer.",
        &CALL_BUCKETS,
        calls
            .endpoints
            .iter()
            .map(|(endpoint, of)| (vec![("endpoint", *endpoint)], (&of.latencies, of.seconds))),
    )?;
    families.counter("api_retries", "Requests that were tries after a failed one.", calls.retries)?;
    families.counter("api_throttled", "Answers 429.", calls.throttled)
}

fn waits(families: &mut Families<'_>, now: &Snapshot) -> fmt::Result {
    let figures = &now.figures;
    let help = "Time in which a call waited for a rate limit, whether or not others were under way.";
    families.counter("rate_limit_waiting_seconds", help, figures.time.waiting.as_secs_f64())?;
    let help = "Time in which no call was under way because of a rate limit.";
    families.counter("rate_limit_held_seconds", help, figures.time.held.as_secs_f64())?;
    let help = "What the circuit breaker is doing: 1 for its state.";
    families.gauges("breaker_state", help, one_of("state", &BREAKER, breaker(figures.breaker)))?;
    families.counter(
        "breaker_openings",
        "How often the circuit breaker has opened.",
        figures.breaker_openings,
    )?;
    let (syncs, time) = figures.syncs;
    families.counter("journal_syncs", "How often the journal was made durable (fsync).", syncs)?;
    families.counter("journal_sync_seconds", "Time that this took.", time.as_secs_f64())
}

/// The names are those of the service that loads from Kafka replace.
fn following(families: &mut Families<'_>, following: Option<&Following>) -> fmt::Result {
    let Some(now) = following else { return Ok(()) };
    let partitions: Vec<(String, u64)> =
        now.lag.iter().map(|((_, partition), lag)| (partition.to_string(), *lag)).collect();
    let lag = now.lag.keys().zip(&partitions).map(|((topic, _), (partition, lag))| {
        (vec![("topic", topic.as_str()), ("partition", partition.as_str())], *lag)
    });
    families.gauges(
        "lag",
        "Messages that are still to be taken of a partition that this process has.",
        lag,
    )?;
    families.counter("messages_consumed", "Messages that were read.", now.consumed)?;
    let help = "Messages that are in the target or were left out, but for rejected records.";
    families.counter("messages_processed", help, now.processed)?;
    families.counter("messages_failed", "Records of messages that were rejected.", now.failed)?;
    families.gauge("batch_size", "Messages of the last batch.", now.batch_size)?;
    families.histograms(
        "processing_duration_seconds",
        "From the transform of a batch to the commit of the target.",
        &CALL_BUCKETS,
        [(Vec::new(), (&now.batches, now.batch_seconds))],
    )
}

/// Names of its own: node_exporter has `process_resident_memory_bytes` for itself.
fn process(families: &mut Families<'_>, now: &Snapshot) -> fmt::Result {
    let Some(process) = now.figures.process else { return Ok(()) };
    families.gauge("process_resident_memory_bytes", "Memory of the process.", process.resident)?;
    let help = "The most memory that the process was seen to have.";
    families.gauge("process_peak_resident_memory_bytes", help, process.peak)?;
    let help = "Time that the threads of the process spent on a CPU.";
    families.counter("process_cpu_seconds", help, process.cpu.as_secs_f64())
}
