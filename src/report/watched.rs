//! A run that another process works on: a bar on a terminal, else a line at once and every 30 seconds, and a line for rows
//! that do not go well.

use super::pace::Pace;
use super::progress::{LINE_EVERY, bar};
use super::terminal::{self, Terminal, one_line};
use super::under_way::UnderWay;
use crate::journal::follow::Trouble;
use crate::journal::replay::Now;
use crate::report::summary::STATES;
use crate::report::units::span;
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows of one reason that are told one by one; the others are counted.
const EXAMPLES: u64 = 5;
/// Reasons that are counted on a line.
const REASONS: usize = 5;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Nowhere.
    None,
    /// To standard output.
    Out,
    /// To standard error, above the bar if there is one.
    Err,
}

/// Shows it.
#[derive(Debug)]
pub(crate) struct Watched {
    terminal: Terminal,
    lines: Lines,
    bar: Option<ProgressBar>,
    next_line: Duration,
    pace: Pace,
    /// By reason, how many rows were told.
    told: BTreeMap<String, u64>,
    /// Whether anyone who read the lines has gone.
    is_gone: bool,
}

impl Watched {
    /// Begins.
    pub(crate) fn new(terminal: Terminal, lines: Lines) -> Self {
        Self {
            terminal,
            lines,
            bar: None,
            next_line: Duration::ZERO,
            pace: Pace::default(),
            told: BTreeMap::new(),
            is_gone: false,
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Tells of rows that did not go well; of those before the first look only the counts are told.
    pub(crate) fn trouble(&mut self, trouble: &Trouble) {
        if !self.pace.has_begun() {
            return;
        }
        let Trouble { rows, key, outcome } = trouble;
        let (state, reason) = (outcome.state.name(), outcome.reason.as_deref().unwrap_or_default());
        let told = self.told.entry(reason.to_owned()).or_default();
        *told += 1;
        if *told > EXAMPLES {
            return;
        }
        let more = if *told == EXAMPLES { " (more of these are only counted)" } else { "" };
        let detail = outcome.detail.as_deref().unwrap_or_default();
        self.say(&format!("row {}, {key}: {state} for {reason}: {detail}{more}", rows.row));
    }

    /// Shows how it stands, so long after the beginning.
    pub(crate) fn look(&mut self, now: &Now, total: Option<u64>, elapsed: Duration) {
        let (rows, left) = self.pace.look(now, total, elapsed);
        let to_go = left.map(|left| format!("{} to go", span(left))).unwrap_or_default();
        let text = format!("{} | {rows:.1} rows/s", text(now));
        if self.lines == Lines::Err && self.terminal.draws() {
            let terminal = &self.terminal;
            let bar = self.bar.get_or_insert_with(|| bar(terminal, total.unwrap_or(0)));
            bar.set_length(total.unwrap_or(now.rows));
            bar.set_position(now.rows);
            bar.set_prefix(to_go);
            bar.set_message(text);
        } else if elapsed >= self.next_line {
            self.next_line = elapsed + LINE_EVERY;
            let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
            let to_go = if to_go.is_empty() { to_go } else { format!(" | {to_go}") };
            self.say(&format!("{}{of} rows: {text}{to_go}", now.rows));
        }
    }

    fn say(&mut self, line: &str) {
        let line = one_line(line);
        match self.lines {
            Lines::None => {}
            Lines::Err => self.terminal.say(&line),
            Lines::Out => self.is_gone |= !terminal::is_heard(&line),
        }
    }

    /// The run is worked on no longer: what comes now is what it came to.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// `done 12 failed 3 (refused 2, timeout 1) | pairs: 1 sent`.
fn text(now: &Now) -> String {
    let state =
        |state: &&str| now.counts.get(*state).map(|rows| format!("{state} {rows}{}", reasons(now, state)));
    let states: Vec<_> = STATES.iter().filter_map(state).collect();
    let states = (!states.is_empty()).then(|| states.join(" "));
    let parts: Vec<_> = states.into_iter().chain(UnderWay::of(&now.under_way).text()).collect();
    if parts.is_empty() { "nothing yet".to_owned() } else { parts.join(" | ") }
}

/// The reasons of rows that did not go well, the most frequent first.
fn reasons(now: &Now, state: &str) -> String {
    let Some(reasons) = now.by_reason.get(state).filter(|_| matches!(state, "failed" | "unknown")) else {
        return String::new();
    };
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    let more = if reasons.len() > REASONS { ", ..." } else { "" };
    let shown: Vec<_> =
        reasons.iter().take(REASONS).map(|(reason, rows)| format!("{reason} {rows}")).collect();
    format!(" ({}{more})", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_failed_for_which_reason() {
        let mut now = Now { rows: 7, ..Now::default() };
        assert_eq!(text(&now), "nothing yet");
        let count = |name: &str, rows| (name.to_owned(), rows);
        now.counts = [count("done", 3), count("failed", 4), count("skipped", 1)].into();
        let reasons = [count("refused", 1), count("timeout", 3)].into();
        now.by_reason =
            [("failed".to_owned(), reasons), ("skipped".to_owned(), [count("gone", 1)].into())].into();
        now.under_way = vec![(9, "merging".to_owned()), (11, String::new())];
        assert_eq!(text(&now), "done 3 skipped 1 failed 4 (timeout 3, refused 1) | pairs: 1 sent");
    }
}
