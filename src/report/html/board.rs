//! The pages of `runs serve`: the runs of a folder, and one of them.

use super::stats::Filter;
use super::text::{Text, moment};
use super::{RUNS_STYLE, hash_of};
use crate::report::run_figures::OTHER;
use crate::report::stats::time;
use crate::report::summary::STATES;
use crate::report::units::{counted, measure, number, share, size, span};
use askama::Template;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// The width of a bar in its own units.
const BAR: f64 = 1000.0;
/// Reasons that are shown of a run in a list.
const REASONS: usize = 4;

/// The hash of the style sheet, for the policy.
pub(crate) fn style_hash() -> String {
    hash_of(RUNS_STYLE)
}

/// The list.
#[derive(Debug)]
pub(crate) struct BoardPage {
    /// The folder.
    pub folder: String,
    /// Runs: at work, finished, with failures, interrupted or stopped, crashed, others.
    pub counts: [u64; 6],
    /// Which are shown.
    pub filters: Vec<Filter>,
    /// Those at work.
    pub at_work: Vec<Card>,
    /// How many more are.
    pub more_at_work: usize,
    /// The others.
    pub past: Vec<Card>,
    /// Where among them this page is.
    pub pager: Pager,
    /// Seconds until the page is loaded again.
    pub refresh: Option<u32>,
    /// The query that stops that, or begins it again.
    pub pause: String,
}

/// A part of a long list.
#[derive(Debug)]
pub(crate) struct Pager {
    /// Runs in the list.
    pub runs: usize,
    /// This part of it, from 0.
    pub page: usize,
    /// How many parts it has.
    pub pages: usize,
    /// The queries of those before and after.
    pub newer: Option<String>,
    pub older: Option<String>,
}

/// A run.
#[derive(Debug, Default)]
pub(crate) struct Card {
    /// Its ID.
    pub run: String,
    /// The command.
    pub command: String,
    /// How it stands.
    pub state: &'static str,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// Where: the base URL, `ENVIRONMENT`, the organisation.
    pub place: Option<(String, String, Option<String>)>,
    /// When it began, and when it ended.
    pub began: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    /// Rows that it takes.
    pub rows: Option<u64>,
    /// Rows by state.
    pub counts: BTreeMap<String, u64>,
    /// Rows that failed or are unknown, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Rows with a result, and the seconds of work that they took, if one process did all of it.
    pub rate: Option<(u64, f64)>,
    /// Calls, retries and answers 429 of its last process.
    pub calls: Option<(u64, u64, u64)>,
    /// Seconds that its last process waited for the rate limit, and all.
    pub waited: Option<(f64, f64)>,
    /// What its journal says just now.
    pub live: Option<Live>,
    /// What could not be read.
    pub problem: Option<String>,
    /// Whether there is a report.
    pub has_report: bool,
}

/// What the journal of a run says just now.
#[derive(Debug)]
pub(crate) struct Live {
    /// Rows a second; none at the first look.
    pub rows_a_second: Option<f64>,
    /// How long it may still take.
    pub left: Option<Duration>,
    /// Rows whose change is under way.
    pub under_way: Option<u64>,
    /// How far these have come.
    pub steps: Option<String>,
    /// Bytes of the journal that were read so far, and all.
    pub reading: Option<(u64, u64)>,
}

/// One run, and what only its own page has.
#[derive(Debug)]
pub(crate) struct RunPage {
    /// The run.
    pub card: Card,
    /// The exit code, and what it means.
    pub exit: Option<(u8, &'static str)>,
    /// Why it stopped or was closed.
    pub why: Option<String>,
    /// Other runs that it has to do with.
    pub kin: Vec<String>,
    /// The version that made it.
    pub version: Option<String>,
    /// What can be done, the most useful first.
    pub next: Vec<String>,
    /// As in [`BoardPage`].
    pub refresh: Option<u32>,
    pub pause: String,
}

/// A part of a bar.
#[derive(Debug)]
struct Segment {
    class: &'static str,
    x: String,
    width: String,
}

/// A run, ready for the template.
#[derive(Debug)]
struct Shown {
    run: Text,
    command: Text,
    state: String,
    badge: &'static str,
    dry_run: bool,
    place: Option<Text>,
    began: Option<String>,
    took: Option<String>,
    /// `1,234 of 5,000 rows (24.7 %)`
    rows: String,
    counts: Vec<(&'static str, String)>,
    bar: Vec<Segment>,
    bar_words: String,
    reasons: Vec<(Text, String)>,
    more_reasons: bool,
    /// `12.3 rows/s`, `5 min 3 s to go`, ...
    facts: Vec<String>,
    problem: Option<Text>,
    has_report: bool,
}

#[derive(Debug, Template)]
#[template(path = "board.html", config = "src/report/html/askama.toml")]
struct List {
    style: &'static str,
    style_hash: String,
    made: String,
    version: &'static str,
    folder: Text,
    tiles: Vec<(&'static str, String, &'static str)>,
    filters: Vec<Filter>,
    at_work: Vec<Shown>,
    more_at_work: Option<String>,
    past: Vec<Shown>,
    past_words: String,
    newer: Option<String>,
    older: Option<String>,
    refresh: Option<u32>,
    pause: String,
}

#[derive(Debug, Template)]
#[template(path = "run.html", config = "src/report/html/askama.toml")]
struct One {
    style: &'static str,
    style_hash: String,
    made: String,
    version: &'static str,
    card: Shown,
    tiles: Vec<(&'static str, String, String)>,
    why: Option<Text>,
    next: Vec<Text>,
    facts: Vec<(&'static str, Text)>,
    refresh: Option<u32>,
    pause: String,
}

/// The page of the list.
pub(crate) fn list(page: BoardPage) -> Result<String, askama::Error> {
    let [at_work, good, failures, early, crashed, others] = page.counts.map(number);
    let mut tiles = vec![
        ("planned", at_work, "running"),
        ("done", good, "finished, no failures"),
        ("failed", failures, "finished with failures"),
        ("unknown", early, "interrupted or stopped"),
        ("failed", crashed, "crashed"),
    ];
    if page.counts[5] > 0 {
        tiles.push(("skipped", others, "closed, never began or unreadable"));
    }
    let Pager { runs, page: part, pages, newer, older } = page.pager;
    let all = counted(runs as u64, "run");
    let list = List {
        style: RUNS_STYLE,
        style_hash: style_hash(),
        made: moment(Utc::now()),
        version: env!("CARGO_PKG_VERSION"),
        folder: Text::of(page.folder),
        tiles,
        filters: page.filters,
        at_work: page.at_work.into_iter().map(|card| shown(card, REASONS)).collect(),
        more_at_work: (page.more_at_work > 0)
            .then(|| format!("and {} running", counted(page.more_at_work as u64, "more run"))),
        past: page.past.into_iter().map(|card| shown(card, REASONS)).collect(),
        past_words: if pages > 1 { format!("{all}, page {} of {pages}", part + 1) } else { all },
        newer,
        older,
        refresh: page.refresh,
        pause: page.pause,
    };
    list.render()
}

/// The page of a run.
pub(crate) fn run(page: RunPage) -> Result<String, askama::Error> {
    let RunPage { card, exit, why, kin, version, next, refresh, pause } = page;
    let counts = counts(&card);
    let all: u64 = counts.iter().map(|(_, rows)| *rows).fold(0, u64::saturating_add);
    let tiles = counts
        .iter()
        .map(|(state, rows)| (*state, number(*rows), share(*rows, card.rows.unwrap_or(all).max(all))));
    let place = card.place.clone();
    let (target, environment, org) =
        place.map_or((None, None, None), |(target, environment, org)| (Some(target), Some(environment), org));
    let waited = card
        .waited
        .map(|(waiting, all)| format!("{} of {} for the rate limit", span(time(waiting)), span(time(all))));
    let calls = card.calls.map(|(calls, retries, throttled)| {
        format!(
            "{}, {} retries, {} answered with 429",
            counted(calls, "call"),
            number(retries),
            number(throttled)
        )
    });
    let facts = [
        ("Exit code", exit.map(|(code, meaning)| format!("{code}: {meaning}"))),
        ("Environment", environment),
        ("Target", target),
        ("Organisation", org),
        ("Began", card.began.map(moment)),
        ("Ended", card.ended.map(moment)),
        ("Other runs", Some(kin.join("; ")).filter(|kin| !kin.is_empty())),
        ("Calls of the last process", calls),
        ("Waiting of the last process", waited),
        ("Made by version", version),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some((name, Text::of(value?)))).collect();
    let one = One {
        style: RUNS_STYLE,
        style_hash: style_hash(),
        made: moment(Utc::now()),
        version: env!("CARGO_PKG_VERSION"),
        tiles: tiles.collect(),
        card: shown(card, usize::MAX),
        why: why.map(Text::of),
        next: next.into_iter().map(Text::of).collect(),
        facts,
        refresh,
        pause,
    };
    one.render()
}

/// Rows by state, in the order in which people read them.
fn counts(card: &Card) -> Vec<(&'static str, u64)> {
    let states = STATES.into_iter().chain(["open"]);
    states.filter_map(|state| Some((state, *card.counts.get(state).filter(|rows| **rows > 0)?))).collect()
}

fn shown(card: Card, most_reasons: usize) -> Shown {
    let counts = counts(&card);
    let settled = counts.iter().filter(|(state, _)| *state != "open").map(|(_, rows)| *rows);
    let settled = settled.fold(0, u64::saturating_add);
    let counted_rows = counts.iter().map(|(_, rows)| *rows).fold(0, u64::saturating_add);
    let all = card.rows.unwrap_or(counted_rows).max(counted_rows);
    let errors =
        ["failed", "unknown"].iter().filter_map(|state| card.counts.get(*state)).any(|rows| *rows > 0);
    let badge = match card.state {
        "running" => "planned",
        "finished" if errors => "failed",
        "finished" => "done",
        "interrupted" | "unreadable" => "unknown",
        "stopped" | "crashed" => "failed",
        _ => "skipped",
    };
    let mut reasons: Vec<_> = card.reasons.iter().filter(|(_, rows)| **rows > 0).collect();
    // What is only counted together comes last.
    reasons.sort_by_key(|(reason, rows)| (*reason == OTHER, std::cmp::Reverse(**rows)));
    let more_reasons = reasons.len() > most_reasons;
    let reasons = reasons
        .into_iter()
        .take(most_reasons)
        .map(|(reason, rows)| (Text::of(reason), number(*rows)))
        .collect();
    let until = if card.state == "running" { Some(Utc::now()) } else { card.ended };
    let took = card.began.zip(until).map(|(began, until)| span((until - began).to_std().unwrap_or_default()));
    let rows = match (all, card.state) {
        (0, "running") => "no rows yet".to_owned(),
        (0, "unreadable" | "never-began") => String::new(),
        (0, _) => "no rows".to_owned(),
        _ if settled == all => counted(all, "row"),
        _ => format!("{} of {} ({})", number(settled), counted(all, "row"), share(settled, all)),
    };
    Shown {
        bar: bar(&counts, all),
        bar_words: counts
            .iter()
            .map(|(state, rows)| format!("{} {state}", number(*rows)))
            .collect::<Vec<_>>()
            .join(", "),
        counts: counts.iter().map(|(state, rows)| (*state, number(*rows))).collect(),
        state: card.state.replace('-', " "),
        facts: facts(&card),
        place: card.place.map(|(target, environment, _)| Text::of(format!("{environment}, {target}"))),
        run: Text::of(card.run),
        command: Text::of(card.command),
        badge,
        dry_run: card.dry_run,
        began: card.began.map(|began| began.format("%Y-%m-%d %H:%M").to_string()),
        took,
        rows,
        reasons,
        more_reasons,
        problem: card.problem.map(Text::of),
        has_report: card.has_report,
    }
}

/// How fast it goes or went, and what is under way.
fn facts(card: &Card) -> Vec<String> {
    let mut facts = Vec::new();
    #[allow(clippy::cast_precision_loss)] // counts far below 2^52
    if let Some((rows, seconds)) = card.rate.filter(|(rows, seconds)| *rows > 0 && *seconds > 0.0) {
        facts.push(format!("{} rows/s", measure(rows as f64 / seconds)));
    }
    let Some(live) = &card.live else { return facts };
    if let Some((read, all)) = live.reading {
        facts.push(format!("reading its journal: {} of {}", size(read), size(all)));
        return facts;
    }
    if card.state == "running" {
        facts.push(
            live.rows_a_second
                .map_or_else(|| "measuring the speed".to_owned(), |rate| format!("{} rows/s", measure(rate))),
        );
    }
    facts.extend(live.left.map(|left| format!("{} to go", span(left))));
    facts.extend(live.under_way.map(|rows| format!("{} under way", counted(rows, "row"))));
    facts.extend(live.steps.clone());
    facts
}

/// Rows as a bar of all rows. What is there is seen, however few it is.
fn bar(counts: &[(&'static str, u64)], all: u64) -> Vec<Segment> {
    let mut x = 0.0;
    let mut bar = Vec::new();
    for (class, rows) in counts.iter().filter(|(state, _)| *state != "open") {
        #[allow(clippy::cast_precision_loss)] // counts far below 2^52
        let width = (BAR * *rows as f64 / all.max(1) as f64).max(6.0).min(BAR - x);
        if width > 0.0 {
            bar.push(Segment { class, x: format!("{x:.1}"), width: format!("{width:.1}") });
            x += width;
        }
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x>\u{202e}\0";

    fn card() -> Card {
        Card {
            run: "20261122-034500-update-7f3a".to_owned(),
            command: HOSTILE.to_owned(),
            state: "running",
            place: Some((HOSTILE.to_owned(), HOSTILE.to_owned(), Some(HOSTILE.to_owned()))),
            began: Some(DateTime::UNIX_EPOCH),
            rows: Some(5000),
            counts: [("done".to_owned(), 1000), ("failed".to_owned(), 3), (HOSTILE.to_owned(), 7)].into(),
            reasons: [(HOSTILE.to_owned(), 1), ("conflict".to_owned(), 2)].into(),
            problem: Some(HOSTILE.to_owned()),
            live: Some(Live {
                rows_a_second: Some(12.34),
                left: Some(Duration::from_secs(324)),
                under_way: Some(8),
                steps: None,
                reading: None,
            }),
            ..Card::default()
        }
    }

    fn is_harmless(page: &str) {
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
        for absent in ["<script", "<img", " style=", "src=\"", "\0", "\u{202e}", "http://", "https://"] {
            assert!(!page.contains(absent), "{absent}: {page}");
        }
    }

    #[test]
    fn a_run_at_work_is_told_with_what_is_left() {
        let page = RunPage {
            card: card(),
            exit: None,
            why: Some(HOSTILE.to_owned()),
            kin: vec![HOSTILE.to_owned()],
            version: Some(HOSTILE.to_owned()),
            next: vec![HOSTILE.to_owned()],
            refresh: Some(4),
            pause: "?pause=1".to_owned(),
        };
        let page = run(page).unwrap();
        is_harmless(&page);
        for text in [
            "1,003 of 5,000 rows (20.1 %)",
            "12.3 rows/s",
            "5 min 24 s to go",
            "8 rows under way",
            "<meta http-equiv=\"refresh\" content=\"4\">",
            "&#60;script&#62;",
        ] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }

    #[test]
    fn a_list_shows_what_there_is_and_where_it_goes_on() {
        let mut long = card();
        long.live = Some(Live {
            rows_a_second: None,
            left: None,
            under_way: None,
            steps: None,
            reading: Some((1 << 20, 1 << 30)),
        });
        let mut strange = card();
        strange.state = "finished";
        strange.counts = [("done".to_owned(), u64::MAX), ("failed".to_owned(), u64::MAX)].into();
        strange.rate = Some((u64::MAX, 0.0));
        (strange.began, strange.ended) = (Some(DateTime::<Utc>::MAX_UTC), Some(DateTime::<Utc>::MIN_UTC));
        let page = BoardPage {
            folder: HOSTILE.to_owned(),
            counts: [1, 2, 3, 4, 5, 6],
            filters: Vec::new(),
            at_work: vec![card(), long],
            more_at_work: 3,
            past: vec![strange, Card { state: "unreadable", ..Card::default() }],
            pager: Pager {
                runs: 120,
                page: 1,
                pages: 3,
                newer: Some("?".to_owned()),
                older: Some("?page=2".to_owned()),
            },
            refresh: None,
            pause: "?".to_owned(),
        };
        let page = list(page).unwrap();
        is_harmless(&page);
        for text in
            ["and 3 more runs running", "120 runs, page 2 of 3", "reading its journal: 1.0 MiB of 1.0 GiB"]
        {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains("http-equiv=\"refresh\""));
    }

    #[test]
    fn a_bar_has_an_end() {
        let widths = |counts: &[(&'static str, u64)], all| -> Vec<f64> {
            bar(counts, all).iter().map(|part| part.width.parse().unwrap()).collect()
        };
        assert_eq!(widths(&[("done", 1), ("open", 1)], 2), [500.0]);
        let many = widths(&[("done", 1_000_000), ("failed", 1), ("unknown", 1)], 1_000_002);
        assert!(many.iter().sum::<f64>() <= BAR + 0.1, "{many:?}");
        assert!(widths(&[], 0).is_empty());
    }
}
