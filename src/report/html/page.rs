//! What stands on the page, ready for the template.

use super::chart::{Chart, Shape, WIDTH};
use super::charts;
use super::entry::Entry;
use super::rows::{Group, MOST, Told};
use super::text::{Text, moment};
use super::{Links, Report};
use crate::figures::QUANTILES;
use crate::journal::manifest::{Manifest, Party};
use crate::report::summary::{STATES, Summary, meaning};
use crate::report::units::span;
use crate::report::units::{counted, number, share, short_time};
use askama::Template;
use chrono::Utc;
use serde_json::Value;
use std::time::Duration;

/// The style sheet. The page's policy allows this one and no other.
const STYLE: &str = include_str!("report.css");

/// The page.
#[derive(Debug, Template)]
#[template(path = "report.html", config = "src/report/html/askama.toml")]
pub(super) struct Page {
    style: &'static str,
    style_hash: String,
    width: f64,
    version: &'static str,
    made: String,
    run: Text,
    command: Text,
    dry_run: bool,
    resumed: bool,
    state: Text,
    state_class: &'static str,
    exit: u8,
    meaning: &'static str,
    why: Option<Text>,
    rows: String,
    counts: Vec<Count>,
    next: Vec<Text>,
    plan: Option<String>,
    charts: [Chart; 4],
    links_hint: Option<&'static str>,
    trouble: Option<Text>,
    groups: Vec<ShownGroup>,
    failures_cut: Option<String>,
    told: Option<ShownTold>,
    calls_words: String,
    calls: Vec<Call>,
    facts: Vec<(&'static str, Text)>,
    settings: Vec<Setting>,
}

/// Rows in a state.
#[derive(Debug)]
struct Count {
    state: &'static str,
    rows: String,
    share: String,
    meaning: &'static str,
    reasons: Vec<(Text, String)>,
}

/// A key, and where the object is in the app.
#[derive(Debug)]
struct Key {
    text: Text,
    href: Option<String>,
}

#[derive(Debug)]
struct ShownGroup {
    state: &'static str,
    reason: Text,
    rows_text: String,
    rows: Vec<ShownFailure>,
}

#[derive(Debug)]
struct ShownFailure {
    row: String,
    key: Key,
    words: Text,
    attempts: u32,
}

/// Rows of which more is said.
#[derive(Debug)]
struct ShownTold {
    heading: &'static str,
    cut: Option<String>,
    file: &'static str,
    /// Whether all of them are changes and nothing more.
    as_table: bool,
    rows: Vec<ShownRow>,
}

#[derive(Debug)]
struct ShownRow {
    row: String,
    key: Key,
    state: &'static str,
    why: Option<Text>,
    entry: Entry,
}

/// Calls of an endpoint.
#[derive(Debug)]
struct Call {
    endpoint: &'static str,
    calls: String,
    answers: String,
    quantiles: Vec<String>,
}

/// A setting, and where it was from.
#[derive(Debug)]
struct Setting {
    name: Text,
    value: Text,
    from: Text,
    is_given: bool,
}

impl Page {
    /// What stands on the page of this run.
    pub(super) fn of(report: Report<'_>) -> Self {
        let Report { summary, manifest, figures, points, mut rows, links, heading, .. } = report;
        rows.cut();
        let shown_failures = rows.failures();
        let can_link = rows.groups.iter().flat_map(|group| &group.rows).map(|failed| &failed.key);
        let can_link = can_link.chain(rows.told.iter().map(|told| &told.key));
        let lacks_links =
            links.app.is_none() && can_link.into_iter().any(|key| (links.path)(key.as_str()).is_some());
        let (all_told, told) = (rows.all_told, rows.told);
        let failures = summary.tally.errors();
        Self {
            style: STYLE,
            style_hash: super::hash_of(STYLE),
            width: WIDTH,
            version: env!("CARGO_PKG_VERSION"),
            made: moment(Utc::now()),
            run: Text::of(&summary.run),
            command: Text::of(&summary.command),
            dry_run: summary.dry_run,
            resumed: report.resumed,
            state: Text::of(&summary.state),
            state_class: if summary.exit == 0 { "good" } else { "bad" },
            exit: summary.exit,
            meaning: report.meaning,
            why: summary.why.as_ref().map(Text::of),
            rows: number(summary.rows),
            counts: counts(summary),
            next: summary.next.iter().map(Text::of).collect(),
            plan: Some(plan_text(&summary.plan_text)).filter(|text| !text.is_empty()),
            charts: [
                charts::outcomes(&summary.tally, summary.open),
                charts::throughput(points),
                charts::waits(points),
                charts::latencies(figures),
            ],
            links_hint: lacks_links.then_some(links.hint),
            trouble: report.trouble.as_deref().map(Text::of),
            failures_cut: cut(shown_failures as u64, failures, "failed.csv"),
            groups: groups(rows.groups, summary, &links),
            told: shown_told(told, all_told, heading, summary.dry_run, &links),
            calls_words: calls_words(summary),
            calls: calls(figures),
            facts: facts(summary, manifest),
            settings: settings(manifest),
        }
    }
}

/// What is said where not all rows are shown.
fn cut(shown: u64, all: u64, file: &str) -> Option<String> {
    let text = || format!("The first {} of {} are shown; all are in {file}.", number(shown), number(all));
    let all_lists = format!(" A page shows at most {} rows in all its lists.", number(MOST as u64));
    (shown < all).then(|| text() + &all_lists)
}

fn counts(summary: &Summary) -> Vec<Count> {
    let of_state = |(state, rows): (&'static str, u64)| Count {
        state,
        rows: number(rows),
        share: share(rows, summary.rows),
        meaning: match state {
            "failed" => "not changed, for a reason that is an error",
            "open" => "not done yet",
            _ => meaning(state).trim(),
        },
        reasons: reasons(summary, state),
    };
    let states = STATES.into_iter().map(|state| (state, summary.tally.of(state)));
    states.chain([("open", summary.open)]).filter(|(_, rows)| *rows > 0).map(of_state).collect()
}

/// The reasons of a state, the most frequent first.
fn reasons(summary: &Summary, state: &str) -> Vec<(Text, String)> {
    let mut reasons: Vec<_> = summary.tally.reasons.get(state).into_iter().flatten().collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    reasons.into_iter().map(|(reason, rows)| (Text::of(reason), number(*rows))).collect()
}

/// What a dry run sums up: lines as they are, each of them a text from outside.
fn plan_text(text: &str) -> String {
    text.trim_end().lines().map(|line| Text::of(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn key(text: Text, links: &Links<'_>) -> Key {
    let href = links.app.and_then(|app| {
        let path = (links.path)(text.as_str())?;
        Some(format!("{}/{path}", app.trim_end_matches('/')))
    });
    Key { text, href }
}

fn groups(groups: Vec<Group>, summary: &Summary, links: &Links<'_>) -> Vec<ShownGroup> {
    let all = |group: &Group| {
        let reasons = summary.tally.reasons.get(group.state.name());
        let counted = reasons.and_then(|reasons| reasons.get(&group.reason)).copied();
        counted.unwrap_or(0).max(group.rows.len() as u64)
    };
    let mut groups: Vec<(u64, Group)> =
        groups.into_iter().filter(|group| !group.rows.is_empty()).map(|group| (all(&group), group)).collect();
    groups.sort_by_key(|(rows, group)| (group.state, std::cmp::Reverse(*rows)));
    let shown = |(all, group): (u64, Group)| {
        let shown = group.rows.len() as u64;
        let cut = if shown < all { format!(", the first {}", number(shown)) } else { String::new() };
        let rows = group.rows.into_iter().map(|failed| ShownFailure {
            row: number(failed.row),
            key: key(failed.key, links),
            words: failed.words,
            attempts: failed.attempts,
        });
        ShownGroup {
            state: group.state.name(),
            reason: Text::of(&group.reason),
            rows_text: format!("{}{cut}", counted(all, "row")),
            rows: rows.collect(),
        }
    };
    groups.into_iter().map(shown).collect()
}

fn shown_told(
    told: Vec<Told>,
    all: u64,
    heading: &'static str,
    dry_run: bool,
    links: &Links<'_>,
) -> Option<ShownTold> {
    if told.is_empty() {
        return None;
    }
    let file = if dry_run { "plan.jsonl" } else { "report.json" };
    let is_change =
        |told: &Told| told.entry.facts.is_empty() && told.entry.steps.is_empty() && told.why.is_none();
    let as_table = told.iter().all(is_change);
    let cut = cut(told.len() as u64, all, file);
    let row = |told: Told| ShownRow {
        row: number(told.row),
        key: key(told.key, links),
        state: told.state,
        why: told.why,
        entry: told.entry,
    };
    let rows = told.into_iter().map(row).collect();
    Some(ShownTold { heading, cut, file, as_table, rows })
}

fn calls_words(summary: &Summary) -> String {
    let time = |seconds: f64| span(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default());
    format!(
        "{} in {}, {} of it waiting for the rate limit.",
        counted(summary.calls_total, "API call"),
        time(summary.seconds),
        time(summary.seconds_waiting)
    )
}

fn calls(figures: &crate::figures::Figures) -> Vec<Call> {
    let of_endpoint = |(endpoint, calls): (&'static str, &crate::figures::EndpointCalls)| Call {
        endpoint,
        calls: number(calls.calls),
        answers: calls
            .statuses
            .iter()
            .map(|(status, count)| format!("{status}: {}", number(*count)))
            .collect::<Vec<_>>()
            .join(", "),
        quantiles: QUANTILES.iter().map(|(_, share)| short_time(calls.latencies.quantile(*share))).collect(),
    };
    charts::by_calls(figures).into_iter().map(of_endpoint).collect()
}

fn facts(summary: &Summary, manifest: &Manifest) -> Vec<(&'static str, Text)> {
    let party = |party: &Option<Party>| {
        party.as_ref().map(|party| {
            let parts = [party.name.as_deref(), party.display_id.as_deref(), Some(party.id.as_str())];
            let mut parts: Vec<&str> = parts.into_iter().flatten().collect();
            parts.dedup();
            parts.join(", ")
        })
    };
    let input = manifest.input.as_ref();
    let lasted = manifest.ended_at.map(|ended| {
        let took = (ended - manifest.created_at).to_std().unwrap_or_default();
        format!("{} ({} after it began)", moment(ended), span(took))
    });
    let facts = [
        ("Environment", Some(summary.environment.clone())),
        ("Target", Some(summary.target.clone())),
        ("Organisation", party(&manifest.org)),
        ("User", party(&manifest.user)),
        ("Began", Some(moment(manifest.created_at))),
        ("Ended", lasted),
        ("Folder", Some(summary.folder.clone())),
        ("Takes up", manifest.parent.as_ref().map(|parent| format!("run {parent}"))),
        ("Input", input.map(|input| input.path.clone())),
        ("Input's source", input.and_then(|input| input.source.clone())),
        ("Query", input.and_then(|input| input.query.clone())),
        (
            "Input's size",
            input.map(|input| format!("{}, {}", counted(input.rows, "row"), counted(input.bytes, "byte"))),
        ),
        ("Input's SHA-256", input.map(|input| input.sha256.clone())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, Text::of(value?)))).collect()
}

/// The settings of the run, and the options of its job.
fn settings(manifest: &Manifest) -> Vec<Setting> {
    let members = |name: &str| manifest.settings.get(name).and_then(Value::as_object);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let resolved = members("resolved").into_iter().flatten().map(|(name, entry)| {
        let member = |name: &str| entry.get(name).map(text).unwrap_or_default();
        let from = member("from");
        Setting {
            name: Text::of(name),
            value: Text::of(member("value")),
            is_given: from != "default",
            from: Text::of(from),
        }
    });
    let options = members("job").into_iter().flatten().map(|(name, value)| Setting {
        name: Text::of(name),
        value: Text::of(text(value)),
        from: Text::of("the job"),
        is_given: false,
    });
    options.chain(resolved).collect()
}
