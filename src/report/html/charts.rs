//! The charts of a run.

use super::chart::{Chart, Key, Plot, Px, Shape, WIDTH, round_up};
use crate::engine::event::Tally;
use crate::figures::{EndpointCalls, Figures, QUANTILES};
use crate::report::series::Point;
use crate::report::summary::STATES;
use crate::report::units::span;
use crate::report::units::{counted, measure, number, share, short_time};
use std::fmt::Write as _;
use std::time::Duration;

/// Room at the left of a plot, for the numbers.
const LEFT: f64 = 52.0;
/// Endpoints that are drawn.
const ENDPOINTS: usize = 8;
/// The height of what is drawn of one.
const ENDPOINT: f64 = 66.0;
/// Room at the right of the longest bar, for its number.
const BAR_END: f64 = 104.0;
/// The classes of the bars: those of [`QUANTILES`].
const BARS: [&str; QUANTILES.len()] = ["q50", "q95", "q99"];

fn plot(points: &[Point], top: f64, height: f64, most: f64) -> Plot {
    let end = points.last().map_or(Duration::ZERO, |last| last.from + last.took);
    Plot { left: LEFT, top, width: WIDTH - LEFT - 8.0, height, end, most }
}

/// So many in a second.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

/// An area in steps: each point is flat from its beginning to its end. `low` and `high` are its edges.
fn area(plot: &Plot, points: &[Point], edges: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (place, (point, (_, high))) in points.iter().zip(edges).enumerate() {
        let y = Px(plot.y(*high));
        let (from, to) = (plot.x(point.from), plot.x(point.from + point.took));
        let _ = write!(d, "{}{} {y}H{}", if place == 0 { "M" } else { "L" }, Px(from), Px(to));
    }
    for (point, (low, _)) in points.iter().zip(edges).rev() {
        let y = Px(plot.y(*low));
        let (from, to) = (plot.x(point.from), plot.x(point.from + point.took));
        let _ = write!(d, "L{} {y}H{}", Px(to), Px(from));
    }
    d.push('Z');
    d
}

/// Rows a second by state, and calls a second, over time.
pub(super) fn throughput(points: &[Point]) -> Chart {
    let (id, title) = ("throughput", "Throughput over time");
    let totals: Vec<u64> =
        (0..STATES.len()).map(|state| points.iter().map(|point| point.done.rows[state]).sum()).collect();
    let (rows, calls): (u64, u64) = (totals.iter().sum(), points.iter().map(|point| point.done.calls).sum());
    if rows == 0 && calls == 0 {
        return Chart::empty(
            id,
            title,
            "No row was worked on, and no call was made: there is nothing to draw.",
        );
    }
    let most_rows =
        points.iter().map(|point| rate(point.done.all_rows(), point.took)).fold(0.0_f64, f64::max);
    let most_calls = points.iter().map(|point| rate(point.done.calls, point.took)).fold(0.0_f64, f64::max);
    let plot = plot(points, 12.0, 150.0, round_up(most_rows.max(most_calls)));
    let mut shapes = Vec::new();
    plot.value_axis(&mut shapes, "/s");
    let mut keys = Vec::new();
    let mut low = vec![0.0; points.len()];
    for (state, name) in STATES.into_iter().enumerate().filter(|(state, _)| totals[*state] > 0) {
        let edges: Vec<(f64, f64)> = points
            .iter()
            .zip(&low)
            .map(|(point, low)| (*low, low + rate(point.done.rows[state], point.took)))
            .collect();
        shapes.push(Shape::Path { class: name, d: area(&plot, points, &edges) });
        low = edges.into_iter().map(|(_, high)| high).collect();
        keys.push(Key::new(name, format!("rows {name}")));
    }
    let line = points.iter().enumerate().fold(String::new(), |mut d, (place, point)| {
        let y = Px(plot.y(rate(point.done.calls, point.took)));
        let (from, to) = (Px(plot.x(point.from)), Px(plot.x(point.from + point.took)));
        let _ = write!(d, "{}{from} {y}H{to}", if place == 0 { "M" } else { "L" });
        d
    });
    shapes.push(Shape::Path { class: "calls", d: line });
    keys.push(Key::new("calls", "API calls"));
    plot.time_axis(&mut shapes);
    let words = format!(
        "{} and {} in {}; at most {} rows and {} calls a second.",
        counted(rows, "row"),
        counted(calls, "call"),
        span(plot.end),
        measure(most_rows),
        measure(most_calls)
    );
    Chart { id, title, words, height: Px(190.0), shapes, keys }
}

/// How long answers took, by endpoint.
pub(super) fn latencies(figures: &Figures) -> Chart {
    let (id, title) = ("latencies", "Latency by endpoint");
    let endpoints = by_calls(figures);
    if endpoints.is_empty() {
        return Chart::empty(id, title, "No call was made: there are no latencies.");
    }
    let shown = &endpoints[..endpoints.len().min(ENDPOINTS)];
    let longest = |calls: &EndpointCalls| {
        QUANTILES.iter().map(|(_, share)| calls.latencies.quantile(*share)).max().unwrap_or_default()
    };
    let most = shown.iter().map(|(_, calls)| longest(calls)).max().unwrap_or_default();
    let mut shapes = Vec::new();
    let mut y = 0.0;
    for (name, calls) in shown {
        shapes.push(Shape::text("name", 0.0, y + 14.0, *name));
        shapes.push(Shape::text("end", WIDTH, y + 14.0, counted(calls.calls, "call")));
        for (bar, ((name, quantile), class)) in QUANTILES.iter().zip(BARS).enumerate() {
            let took = calls.latencies.quantile(*quantile);
            let part = took.as_secs_f64() / most.as_secs_f64().max(1e-9);
            let width = ((WIDTH - BAR_END) * part).max(1.0);
            #[allow(clippy::cast_precision_loss)] // one of three
            let top = y + 20.0 + 13.0 * bar as f64;
            shapes.push(Shape::rect(class, 0.0, top, width, 10.0));
            shapes.push(Shape::text("", width + 6.0, top + 9.5, format!("{name} {}", short_time(took))));
        }
        y += ENDPOINT;
    }
    let slowest = shown.iter().max_by_key(|(_, calls)| longest(calls));
    let mut words = slowest.map_or_else(String::new, |(name, calls)| {
        format!("The slowest is {name}: 99 of 100 calls took at most {}.", short_time(longest(calls)))
    });
    if endpoints.len() > shown.len() {
        let _ = write!(words, " The {} with the most calls of {} are drawn.", shown.len(), endpoints.len());
    }
    let name = |share: f64| format!("{} of 100 calls took no longer", measure(share * 100.0));
    let keys = QUANTILES
        .iter()
        .zip(BARS)
        .map(|((short, share), class)| Key::new(class, format!("{short}: {}", name(*share))));
    Chart { id, title, words, height: Px(y), shapes, keys: keys.collect() }
}

/// Endpoints, the ones with the most calls first.
pub(super) fn by_calls(figures: &Figures) -> Vec<(&'static str, &EndpointCalls)> {
    let mut endpoints: Vec<_> = figures.calls.endpoints.iter().map(|(name, calls)| (*name, calls)).collect();
    endpoints.sort_by_key(|(_, calls)| std::cmp::Reverse(calls.calls));
    endpoints
}

/// What became of the rows.
pub(super) fn outcomes(tally: &Tally, open: u64) -> Chart {
    let (id, title) = ("outcomes", "Outcomes");
    let states = STATES.into_iter().map(|state| (state, tally.of(state))).chain([("open", open)]);
    let states: Vec<(&'static str, u64)> = states.filter(|(_, rows)| *rows > 0).collect();
    let all: u64 = states.iter().map(|(_, rows)| rows).sum();
    if all == 0 {
        return Chart::empty(id, title, "The run has no rows: there is nothing to count.");
    }
    // What is there is seen, however few it is: each has two units before the rest is divided.
    #[allow(clippy::cast_precision_loss)] // seven, and counts far below 2^52
    let width = |rows: u64| 2.0 + (WIDTH - 2.0 * states.len() as f64) * rows as f64 / all as f64;
    let mut shapes = Vec::new();
    let mut x = 0.0;
    for (state, rows) in &states {
        let gap = if x > 0.0 { 1.0 } else { 0.0 };
        shapes.push(Shape::rect(state, x + gap, 0.0, width(*rows) - gap, 36.0));
        x += width(*rows);
    }
    let keys: Vec<Key> = states
        .iter()
        .map(|(state, rows)| Key::new(state, format!("{state} {} ({})", number(*rows), share(*rows, all))))
        .collect();
    let words = format!("{} by state.", counted(all, "row"));
    Chart { id, title, words, height: Px(36.0), shapes, keys }
}

/// When calls waited for a rate limit, and when the API refused them because of one.
pub(super) fn waits(points: &[Point]) -> Chart {
    let (id, title) = ("waits", "Waits and throttling over time");
    let waiting: Duration = points.iter().map(|point| point.done.waiting).sum();
    let throttled: u64 = points.iter().map(|point| point.done.throttled).sum();
    if waiting.is_zero() && throttled == 0 {
        let words = "No call waited for a rate limit, and none was answered with 429 (too many requests).";
        return Chart::empty(id, title, words);
    }
    let mut shapes = Vec::new();
    let plot_waits = plot(points, 12.0, 78.0, 100.0);
    plot_waits.value_axis(&mut shapes, " %");
    let shares = points.iter().map(|point| {
        let part = point.done.waiting.as_secs_f64() / point.took.as_secs_f64().max(0.001);
        (0.0, part.min(1.0) * 100.0)
    });
    let shares: Vec<(f64, f64)> = shares.collect();
    shapes.push(Shape::Path { class: "waits", d: area(&plot_waits, points, &shares) });
    let mut keys = vec![Key::new("waits", "share of the time in which calls waited")];
    let mut height = 118.0;
    if throttled > 0 {
        height = 190.0;
        throttling(&mut shapes, points);
        keys.push(Key::new("throttled", format!("answers 429 in {}", span(longest(points)))));
    } else {
        plot_waits.time_axis(&mut shapes);
    }
    let words = format!(
        "Calls waited for a rate limit in {} of {} ({}); {} answered with 429.",
        span(waiting),
        span(plot_waits.end),
        share(millis(waiting), millis(plot_waits.end)),
        match throttled {
            0 => "none was".to_owned(),
            1 => "1 was".to_owned(),
            more => format!("{} were", number(more)),
        },
    );
    Chart { id, title, words, height: Px(height), shapes, keys }
}

/// The answers 429, below the waits.
fn throttling(shapes: &mut Vec<Shape>, points: &[Point]) {
    #[allow(clippy::cast_precision_loss)] // counts far below 2^52
    let counts: Vec<(f64, f64)> = points.iter().map(|point| (0.0, point.done.throttled as f64)).collect();
    let most = counts.iter().map(|(_, count)| *count).fold(0.0_f64, f64::max);
    let plot = plot(points, 112.0, 50.0, round_up(most).max(2.0));
    plot.value_axis(shapes, "");
    shapes.push(Shape::Path { class: "throttled", d: area(&plot, points, &counts) });
    plot.time_axis(shapes);
}

fn longest(points: &[Point]) -> Duration {
    points.iter().map(|point| point.took).max().unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::series::Done;

    fn points() -> Vec<Point> {
        let point = |n: u64, rows: [u64; 6], calls, throttled, waiting| Point {
            from: Duration::from_secs(n),
            took: Duration::from_secs(1),
            done: Done { rows, calls, throttled, waiting: Duration::from_millis(waiting) },
        };
        vec![
            point(0, [0, 10, 0, 0, 0, 0], 12, 0, 0),
            point(1, [0, 4, 0, 0, 6, 0], 15, 3, 500),
            point(2, [0, 0, 0, 0, 0, 0], 0, 0, 1000),
        ]
    }

    fn paths(chart: &Chart) -> Vec<(&str, &str)> {
        let paths = chart.shapes.iter().filter_map(|shape| match shape {
            Shape::Path { class, d } if !["axis", "grid"].contains(class) => Some((*class, d.as_str())),
            _ => None,
        });
        paths.collect()
    }

    #[test]
    fn rows_are_stacked_and_calls_are_a_line() {
        let chart = throughput(&points());
        assert_eq!(chart.words, "20 rows and 27 calls in 3.0 s; at most 10 rows and 15 calls a second.");
        let paths = paths(&chart);
        let classes: Vec<&str> = paths.iter().map(|(class, _)| *class).collect();
        assert_eq!(classes, ["done", "failed", "calls"]);
        // The axis ends at 20: ten rows are half of the height of 150.
        assert!(
            paths[0].1.starts_with("M52.0 87.0H178.7L178.7 132.0H305.3L305.3 162.0H432.0L"),
            "{}",
            paths[0].1
        );
        // Those that failed stand on those that are done.
        assert!(paths[1].1.contains("L178.7 87.0H305.3") && paths[1].1.ends_with('Z'), "{}", paths[1].1);
        assert_eq!(paths[2].1, "M52.0 72.0H178.7L178.7 49.5H305.3L305.3 162.0H432.0");
    }

    #[test]
    fn waits_are_shares_of_the_time() {
        let chart = waits(&points());
        assert_eq!(
            chart.words,
            "Calls waited for a rate limit in 1.5 s of 3.0 s (50 %); 3 were answered with 429."
        );
        let paths = paths(&chart);
        assert!(
            paths[0].1.starts_with("M52.0 90.0H178.7L178.7 51.0H305.3L305.3 12.0H432.0"),
            "{}",
            paths[0].1
        );
    }

    #[test]
    fn what_has_nothing_to_draw_says_so() {
        let charts =
            [throughput(&[]), latencies(&Figures::default()), outcomes(&Tally::default(), 0), waits(&[])];
        for chart in charts {
            assert!(chart.shapes.is_empty() && chart.words.len() > 20, "{chart:?}");
        }
    }

    #[test]
    fn every_state_is_seen_in_the_bar_and_none_beyond_its_end() {
        let mut tally = Tally::default();
        for (state, rows) in [("done", 1_000_000), ("failed", 1), ("unknown", 1)] {
            tally.add(state, None, rows);
        }
        let chart = outcomes(&tally, 1);
        let bars: Vec<(f64, f64)> = chart
            .shapes
            .iter()
            .map(|shape| match shape {
                Shape::Rect { x, width, .. } => (x.0, width.0),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bars.len(), 4);
        assert!(bars.iter().all(|(_, width)| *width >= 1.0), "{bars:?}");
        let (x, width) = bars[3];
        assert!((x + width - WIDTH).abs() < 0.01, "{bars:?}");
        assert_eq!(chart.keys[1].name, "failed 1 (under 0.1 %)");
        assert_eq!(chart.keys[0].name, "done 1,000,000 (over 99.9 %)");
    }

    #[test]
    fn the_longest_bar_is_the_slowest_endpoint() {
        let mut figures = Figures::default();
        for (name, millis) in [("works.list", 20), ("works.update", 200)] {
            let calls = figures.calls.endpoints.entry(name).or_default();
            for _ in 0..100 {
                calls.calls += 1;
                calls.latencies.add(Duration::from_millis(millis));
            }
        }
        let chart = latencies(&figures);
        // Times are known to two digits.
        assert_eq!(chart.words, "The slowest is works.update: 99 of 100 calls took at most 201 ms.");
        let widths = chart.shapes.iter().filter_map(|shape| match shape {
            Shape::Rect { width, .. } => Some(width.0),
            _ => None,
        });
        let widest = widths.fold(0.0_f64, f64::max);
        assert!((widest - (WIDTH - BAR_END)).abs() < 0.01, "{widest}");
    }
}
