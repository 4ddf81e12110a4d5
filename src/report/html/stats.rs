//! What many runs came to, as a page: `runs stats --html`, and a page of `runs serve`.

use super::chart::{Chart, Key, Px, Shape, WIDTH, round_up};
use super::text::{Text, moment};
use super::{RUNS_STYLE, hash_of};
use crate::report::stats::{JobStats, PERCENTILES, Stats, time};
use crate::report::summary::STATES;
use crate::report::units::{counted, measure, number, share, span};
use askama::Template;
use chrono::{NaiveDate, TimeDelta, Utc};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Jobs that are drawn; the table has them all.
const DRAWN: usize = 8;
/// Reasons that are drawn.
const REASONS: usize = 10;
/// Bars over time, at most.
const BARS: i64 = 40;
/// How runs end: the order of [`Outcome`](crate::report::stats::Outcome), the class of its colour, and what it is called.
const OUTCOMES: [(&str, &str); 4] = [
    ("done", "finished"),
    ("failed", "finished with failures"),
    ("unknown", "ended early"),
    ("planned", "running"),
];
/// The classes of the bars of percentiles.
const PERCENTILE_BARS: [&str; PERCENTILES.len()] = ["q50", "q95", "q99"];

/// Where the page is served, if it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    /// Filters, as links.
    pub filters: Vec<Filter>,
}

/// A choice of which runs are shown: a link each.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// What is chosen.
    pub name: &'static str,
    /// The choices.
    pub choices: Vec<Choice>,
}

/// One choice.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// What it is called.
    pub text: String,
    /// The query that makes it: `?job=update`. What it is made of needs no escaping but the page's.
    pub query: String,
    /// Whether it is made.
    pub is_made: bool,
}

impl Choice {
    /// What it is called, fit to be shown.
    pub(super) fn shown(&self) -> Text {
        Text::of(&self.text)
    }
}

#[derive(Debug, Template)]
#[template(path = "stats.html", config = "src/report/html/askama.toml")]
struct Page {
    style: &'static str,
    style_hash: String,
    width: f64,
    version: &'static str,
    made: String,
    folder: Text,
    what: Text,
    served: Option<Served>,
    tiles: Vec<(&'static str, String, &'static str)>,
    charts: Vec<Chart>,
    jobs: Vec<ShownJob>,
    failures: Vec<(Text, Text, String, String)>,
    damaged: Vec<(Text, Text, bool)>,
    more_damaged: Option<String>,
}

/// A line of the table.
#[derive(Debug)]
struct ShownJob {
    name: Text,
    runs: String,
    states: String,
    rows: String,
    speed: String,
    durations: [String; PERCENTILES.len()],
    errors: String,
    calls: String,
    waits: String,
    resumed: Option<String>,
}

/// Writes the page.
pub(crate) fn write(file: &mut dyn Write, stats: &Stats) -> io::Result<()> {
    page(stats, None).write_into(file)
}

/// The page as it is served.
pub(crate) fn served(stats: &Stats, served: Served) -> Result<String, askama::Error> {
    page(stats, Some(served)).render()
}

fn page(stats: &Stats, served: Option<Served>) -> Page {
    let rows = |states: &[&str]| {
        let of_job =
            |job: &JobStats| states.iter().filter_map(|state| job.rows.get(state)).copied().sum::<u64>();
        number(stats.jobs.iter().map(of_job).fold(0, u64::saturating_add))
    };
    let outcomes = outcomes(stats);
    let [good, failures, early, at_work] = outcomes.map(number);
    let more = stats.damaged_runs.saturating_sub(stats.damaged.len() as u64);
    Page {
        style: RUNS_STYLE,
        style_hash: hash_of(RUNS_STYLE),
        width: WIDTH,
        version: env!("CARGO_PKG_VERSION"),
        made: moment(Utc::now()),
        folder: Text::of(&stats.scope.runs_dir),
        what: Text::of(stats.what()),
        served,
        tiles: vec![
            ("done", good, "finished, no failures"),
            ("failed", failures, "finished with failures"),
            ("unknown", early, "ended early"),
            ("planned", at_work, "running"),
            ("done", rows(&["done", "planned"]), "rows changed or planned"),
            ("failed", rows(&["failed", "unknown"]), "rows failed or unknown"),
        ],
        charts: vec![over_time(stats), durations(stats), rows_by_job(stats), failures_by_reason(stats)],
        jobs: stats.jobs.iter().map(shown).collect(),
        failures: failures_of(stats),
        damaged: stats
            .damaged
            .iter()
            .map(|damaged| (Text::of(&damaged.run), Text::of(&damaged.problem), damaged.counted))
            .collect(),
        more_damaged: (more > 0).then(|| format!("and {}", counted(more, "more damaged folder"))),
    }
}

fn shown(job: &JobStats) -> ShownJob {
    let none = || "-".to_owned();
    let took = job.duration_seconds.map(|took| [took.p50, took.p90, took.p99]);
    ShownJob {
        name: Text::of(job.name()),
        runs: number(job.runs),
        states: job.states_text(),
        rows: if job.rows.is_empty() { none() } else { job.rows_text() },
        speed: job.rows_a_second.map_or_else(none, |rate| format!("{}/s", measure(rate))),
        durations: took.map_or_else(|| [none(), none(), none()], |took| took.map(|took| span(time(took)))),
        errors: number(job.errors()),
        calls: if job.last_processes.calls > 0 { job.calls_text() } else { none() },
        waits: if job.last_processes.calls > 0 { job.waits_text() } else { none() },
        resumed: (job.resumed > 0).then(|| counted(job.resumed, "run")),
    }
}

fn failures_of(stats: &Stats) -> Vec<(Text, Text, String, String)> {
    let of_job = |job: &JobStats| {
        let (name, all) = (job.name(), job.errors());
        let row = |(reason, rows): (&str, u64)| {
            (Text::of(&name), Text::of(reason), number(rows), share(rows, all.max(rows)))
        };
        job.by_frequency().into_iter().map(row).collect::<Vec<_>>()
    };
    stats.jobs.iter().flat_map(of_job).collect()
}

/// Runs by how they ended.
fn outcomes(stats: &Stats) -> [u64; 4] {
    let mut all = [0; 4];
    for day in stats.days.values() {
        for (sum, runs) in all.iter_mut().zip(day) {
            *sum += runs;
        }
    }
    all
}

/// A part of a length. What is there is seen.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
fn part(of: u64, all: u64, length: f64) -> f64 {
    if of == 0 { 0.0 } else { (length * of as f64 / all.max(1) as f64).max(1.5) }
}

/// Runs by when they began.
fn over_time(stats: &Stats) -> Chart {
    const LEFT: f64 = 38.0;
    const HEIGHT: f64 = 150.0;
    let (id, title) = ("over-time", "Runs over time");
    let (Some(first), Some(last)) = (stats.days.keys().next(), stats.days.keys().next_back()) else {
        return Chart::empty(id, title, "There is no run to draw.");
    };
    // A span that was asked for is drawn whole.
    let first = stats.scope.since.map_or(*first, |since| since.date_naive().min(*first));
    let a_year = first.checked_add_signed(TimeDelta::days(365)).unwrap_or(*last);
    let last = (*last).max(Utc::now().date_naive().min(a_year));
    let days = (last - first).num_days() + 1;
    let step = ((days + BARS - 1) / BARS).max(1);
    let bars = usize::try_from((days + step - 1) / step).unwrap_or(1).max(1);
    let mut counts = vec![[0_u64; OUTCOMES.len()]; bars];
    for (day, runs) in &stats.days {
        let place = usize::try_from((*day - first).num_days() / step).unwrap_or(0).min(bars - 1);
        for (sum, runs) in counts[place].iter_mut().zip(runs) {
            *sum += runs;
        }
    }
    let most = counts.iter().map(|bar| bar.iter().sum::<u64>()).max().unwrap_or(0);
    #[allow(clippy::cast_precision_loss)] // counts far below 2^52
    let top = round_up((most as f64).max(2.0));
    let mut shapes = Vec::new();
    for mark in [0.0, 0.5, 1.0] {
        let y = 10.0 + HEIGHT * (1.0 - mark);
        let class = if mark == 0.0 { "axis" } else { "grid" };
        shapes.push(Shape::line(class, (LEFT, y), (WIDTH, y)));
        shapes.push(Shape::text("end", LEFT - 6.0, y + 4.0, measure(top * mark)));
    }
    #[allow(clippy::cast_precision_loss)] // at most 40
    let width = (WIDTH - LEFT) / bars as f64;
    for (place, bar) in counts.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)] // at most 40
        let x = LEFT + width * place as f64;
        let mut y = 10.0 + HEIGHT;
        for (runs, (class, _)) in bar.iter().zip(OUTCOMES) {
            #[allow(clippy::cast_precision_loss)] // counts far below 2^52
            let height = HEIGHT * *runs as f64 / top;
            y -= height;
            if *runs > 0 {
                let shown = (width * 0.8).min(36.0);
                shapes.push(Shape::rect(class, x + (width - shown) / 2.0, y, shown, height));
            }
        }
    }
    let label = |date: NaiveDate| date.format("%Y-%m-%d").to_string();
    shapes.push(Shape::text("", LEFT, 10.0 + HEIGHT + 18.0, label(first)));
    if days > 1 {
        shapes.push(Shape::text("end", WIDTH, 10.0 + HEIGHT + 18.0, label(last)));
    }
    let all = outcomes(stats);
    let keys = all.iter().zip(OUTCOMES).filter(|(runs, _)| **runs > 0);
    let keys =
        keys.map(|(runs, (class, name))| Key::new(class, format!("{name} {}", number(*runs)))).collect();
    let every = if step == 1 { "a bar a day".to_owned() } else { format!("a bar for {step} days") };
    let words = format!(
        "{} from {} to {}; at most {} in one bar, {every}.",
        counted(stats.runs, "run"),
        label(first),
        label(last),
        number(most)
    );
    Chart { id, title, words, height: Px(10.0 + HEIGHT + 22.0), shapes, keys }
}

/// How long runs took, by job.
fn durations(stats: &Stats) -> Chart {
    const ROW: f64 = 66.0;
    const BAR_END: f64 = 120.0;
    let (id, title) = ("durations", "Duration by job");
    let mut timed: Vec<_> = stats.jobs.iter().filter_map(|job| Some((job, job.duration_seconds?))).collect();
    timed.sort_by(|a, b| b.1.p99.total_cmp(&a.1.p99));
    let Some(most) = timed.first().map(|(_, took)| took.p99) else {
        return Chart::empty(id, title, "No run has finished in one go: there are no durations.");
    };
    let mut shapes = Vec::new();
    let mut y = 0.0;
    for (job, took) in timed.iter().take(DRAWN) {
        shapes.push(Shape::text("name", 0.0, y + 14.0, Text::of(job.name()).to_string()));
        shapes.push(Shape::text("end", WIDTH, y + 14.0, counted(took.runs, "run")));
        let mut top = y + 20.0;
        for ((name, seconds), class) in
            [("p50", took.p50), ("p90", took.p90), ("p99", took.p99)].into_iter().zip(PERCENTILE_BARS)
        {
            let width = ((WIDTH - BAR_END) * seconds / most.max(1e-9)).max(1.5);
            shapes.push(Shape::rect(class, 0.0, top, width, 10.0));
            shapes.push(Shape::text("", width + 6.0, top + 9.5, format!("{name} {}", span(time(seconds)))));
            top += 13.0;
        }
        y += ROW;
    }
    let keys = PERCENTILES.iter().zip(PERCENTILE_BARS);
    let keys = keys
        .map(|((name, percent), class)| {
            Key::new(class, format!("{name}: {percent} of 100 runs took no longer"))
        })
        .collect();
    let mut words = format!("Of runs that finished in one go; the longest took {}.", span(time(most)));
    if timed.len() > DRAWN {
        let _ = write!(words, " The {DRAWN} longest jobs of {} are drawn.", timed.len());
    }
    Chart { id, title, words, height: Px(y), shapes, keys }
}

/// What became of the rows, by job.
fn rows_by_job(stats: &Stats) -> Chart {
    const ROW: f64 = 48.0;
    let (id, title) = ("rows-by-job", "Rows by job");
    let all = |job: &JobStats| job.rows.values().copied().fold(0, u64::saturating_add);
    let mut jobs: Vec<(&JobStats, u64)> =
        stats.jobs.iter().map(|job| (job, all(job))).filter(|(_, rows)| *rows > 0).collect();
    jobs.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    if jobs.is_empty() {
        return Chart::empty(id, title, "No run has ended with rows: there is nothing to count.");
    }
    let mut shapes = Vec::new();
    let mut y = 0.0;
    let states: Vec<&'static str> = STATES.into_iter().chain(["open"]).collect();
    let mut seen = Vec::new();
    for (job, rows) in jobs.iter().take(DRAWN) {
        shapes.push(Shape::text("name", 0.0, y + 14.0, Text::of(job.name()).to_string()));
        shapes.push(Shape::text("end", WIDTH, y + 14.0, counted(*rows, "row")));
        let mut x = 0.0;
        for state in &states {
            let width = part(job.rows.get(state).copied().unwrap_or(0), *rows, WIDTH).min(WIDTH - x);
            if width > 0.0 {
                shapes.push(Shape::rect(state, x, y + 20.0, width, 14.0));
                x += width;
                if !seen.contains(state) {
                    seen.push(*state);
                }
            }
        }
        y += ROW;
    }
    let keys =
        states.iter().filter(|state| seen.contains(state)).map(|state| Key::new(state, *state)).collect();
    let mut words = "Each bar is all rows of a job's runs.".to_owned();
    if jobs.len() > DRAWN {
        let _ = write!(words, " The {DRAWN} jobs with the most rows of {} are drawn.", jobs.len());
    }
    Chart { id, title, words, height: Px(y), shapes, keys }
}

/// Why rows failed.
fn failures_by_reason(stats: &Stats) -> Chart {
    const ROW: f64 = 34.0;
    let (id, title) = ("reasons", "Failures by reason");
    let mut reasons = std::collections::BTreeMap::<&str, u64>::new();
    for (reason, rows) in stats.jobs.iter().flat_map(|job| &job.failures) {
        let sum = reasons.entry(reason).or_default();
        *sum = sum.saturating_add(*rows);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let all = reasons.iter().map(|(_, rows)| *rows).fold(0, u64::saturating_add);
    let Some(most) = reasons.first().map(|(_, rows)| *rows) else {
        return Chart::empty(id, title, "No report says that a row failed.");
    };
    let mut shapes = Vec::new();
    let mut y = 0.0;
    for (reason, rows) in reasons.iter().take(REASONS) {
        shapes.push(Shape::text("", 0.0, y + 13.0, Text::of(reason).to_string()));
        shapes.push(Shape::text(
            "end",
            WIDTH,
            y + 13.0,
            format!("{} ({})", number(*rows), share(*rows, all)),
        ));
        shapes.push(Shape::rect("failed", 0.0, y + 19.0, part(*rows, most, WIDTH).min(WIDTH), 8.0));
        y += ROW;
    }
    let mut words = format!("{} failed or unknown, by reason.", counted(all, "row"));
    if reasons.len() > REASONS {
        let _ = write!(words, " The {REASONS} most frequent of {} are drawn.", reasons.len());
    }
    Chart { id, title, words, height: Px(y), shapes, keys: Vec::new() }
}
