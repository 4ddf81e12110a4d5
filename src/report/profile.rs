//! Where the time of a process went, for `--profile`.

use super::units::short_time;
use super::units::span;
use crate::figures::{EndpointCalls, Figures, QUANTILES};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// From here on a time is shown in minutes and hours.
const LONG: Duration = Duration::from_secs(120);

/// Where the time went. The first four add up to the whole; the others lie within them. All in seconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Profile {
    /// All of it.
    pub seconds: f64,
    /// The look at the input, before anything was sent.
    pub parsing: f64,
    /// At least one call was under way.
    pub network: f64,
    /// No call was, because of a rate limit.
    pub held_by_the_limit: f64,
    /// Neither: deciding, writing down, waiting for anything else.
    pub idle: f64,
    /// A call waited for a rate limit, whether or not others were under way.
    pub waiting_for_the_limit: f64,
    /// Making the journal durable: calls of fsync, and their time.
    pub fsync: Fsync,
    /// By endpoint: calls, their time together, and percentiles of it.
    pub endpoints: BTreeMap<&'static str, EndpointCalls>,
}

/// What durability cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Fsync {
    /// How often.
    pub count: u64,
    /// How long, together.
    pub seconds: f64,
}

impl Profile {
    /// Of these figures.
    pub(crate) fn new(figures: &Figures) -> Self {
        let time = figures.time;
        let spent = figures.parsing + time.calling + time.held;
        let (count, sync_time) = figures.syncs;
        Self {
            seconds: figures.elapsed.as_secs_f64(),
            parsing: figures.parsing.as_secs_f64(),
            network: time.calling.as_secs_f64(),
            held_by_the_limit: time.held.as_secs_f64(),
            idle: figures.elapsed.saturating_sub(spent).as_secs_f64(),
            waiting_for_the_limit: time.waiting.as_secs_f64(),
            fsync: Fsync { count, seconds: sync_time.as_secs_f64() },
            endpoints: figures.calls.endpoints.clone(),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("where {} went\n", shown(self.seconds));
        for (what, seconds) in [
            ("reading the input", self.parsing),
            ("calls under way", self.network),
            ("held by the rate limit", self.held_by_the_limit),
            ("neither", self.idle),
        ] {
            let share = 100.0 * seconds / self.seconds.max(f64::MIN_POSITIVE);
            let _ = writeln!(text, "  {what:<24} {:>11}  {share:>3.0} %", shown(seconds));
        }
        let _ = writeln!(
            text,
            "within that: {} fsyncs of the journal, {}; calls waited {} for the rate limit",
            self.fsync.count,
            shown(self.fsync.seconds),
            shown(self.waiting_for_the_limit)
        );
        if self.endpoints.is_empty() {
            return text;
        }
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["endpoint", "calls", "p50", "p95", "p99", "all"]);
        for (name, of_endpoint) in &self.endpoints {
            let mut cells = vec![(*name).to_owned(), of_endpoint.calls.to_string()];
            cells.extend(QUANTILES.map(|(_, share)| short_time(of_endpoint.latencies.quantile(share))));
            cells.push(shown(of_endpoint.seconds));
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
        text
    }
}

fn shown(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if time < LONG { short_time(time) } else { span(time) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::ClientTime;

    #[test]
    fn a_long_time_is_not_counted_in_seconds() {
        assert_eq!([0.25, 119.0, 125.0, 36_000.0].map(shown), ["250 ms", "119 s", "2 min 5 s", "10 h 0 min"]);
        assert_eq!([f64::NAN, -1.0, f64::INFINITY].map(shown), ["0 ms"; 3]);
    }

    #[test]
    fn the_parts_add_up_to_the_whole() {
        let mut figures = Figures {
            elapsed: Duration::from_secs(10),
            parsing: Duration::from_secs(1),
            time: ClientTime {
                calling: Duration::from_secs(6),
                held: Duration::from_secs(2),
                waiting: Duration::from_secs(5),
            },
            syncs: (3, Duration::from_millis(12)),
            ..Figures::default()
        };
        let mut update = EndpointCalls { calls: 200, seconds: 1.2, ..EndpointCalls::default() };
        update.latencies.add(Duration::from_millis(4));
        figures.calls.endpoints.insert("works.update", update);
        let profile = Profile::new(&figures);
        let parts = profile.parsing + profile.network + profile.held_by_the_limit + profile.idle;
        assert!((parts - profile.seconds).abs() < 1e-9, "{profile:?}");
        insta::assert_snapshot!(profile.text(), @r"
        where 10 s went
          reading the input                1 s   10 %
          calls under way                  6 s   60 %
          held by the rate limit           2 s   20 %
          neither                          1 s   10 %
        within that: 3 fsyncs of the journal, 12 ms; calls waited 5 s for the rate limit
         endpoint      calls   p50   p95   p99    all
         works.update    200  4 ms  4 ms  4 ms  1.2 s
        ");
    }
}
