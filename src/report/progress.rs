//! Progress while a run continues: a bar on a terminal, a line every 30 seconds off it.

use super::reporter::Reporter;
use super::speed::{Mark, Speeds, TimeLeft, Work};
use super::terminal::Terminal;
use super::under_way::UnderWay;
use super::units::span;
use crate::engine::event::{Event, Tally};
use crate::figures::{Breaker, Figures};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::time::Duration;

/// Between two lines off a terminal.
pub(super) const LINE_EVERY: Duration = Duration::from_secs(30);
/// Waits that are shorter come and go too fast to be read.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What progress is measured against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// Rows of the input that the run takes.
    pub total: u64,
    /// Rows that were settled before this process.
    pub before: u64,
}

/// Shows progress.
pub(crate) struct Progress {
    terminal: Terminal,
    scope: Scope,
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// Off it, unless it is to be quiet.
    has_lines: bool,
    next_line: Duration,
    tally: Tally,
    under_way: UnderWay,
    /// Rows whose change has no result yet, by the row that it is written down under.
    pending: HashMap<u64, u64>,
    changed: u64,
    left: TimeLeft,
    speeds: Speeds,
}

impl Progress {
    /// Shows it on this terminal.
    pub(crate) fn new(terminal: Terminal, quiet: bool, scope: Scope) -> Self {
        Self {
            bar: None,
            has_lines: !quiet && !terminal.draws(),
            next_line: LINE_EVERY,
            tally: Tally::default(),
            under_way: UnderWay::default(),
            pending: HashMap::new(),
            changed: 0,
            left: TimeLeft::default(),
            speeds: Speeds::default(),
            terminal,
            scope,
        }
    }

    fn settled(&self) -> u64 {
        self.scope.before + self.tally.total()
    }

    fn work(&self) -> Work {
        let pending: u64 = self.pending.values().sum();
        // Two rows share what is done of a pair.
        #[allow(clippy::cast_precision_loss)]
        let rows_a_change = pending as f64 / self.pending.len().max(1) as f64;
        Work {
            left: self.scope.total.saturating_sub(self.settled()),
            pending,
            credit: self.under_way.credit() * rows_a_change,
            changed: self.changed,
            free: self.tally.total().saturating_sub(self.changed),
        }
    }

    /// Takes in the present figures; returns what is to be said of them.
    fn look(&mut self, figures: &Figures) -> Line {
        let now = Mark { at: figures.elapsed, rows: self.tally.total(), calls: figures.calls.calls };
        let (rows, calls) = self.speeds.look(now);
        let time_left = self.left.look(figures.elapsed, self.work(), now.calls, figures.rate);
        Line {
            rows,
            calls,
            time_left: time_left.map(|left| left.max(figures.closed_for.unwrap_or_default())),
            waits_for: waits_for(figures),
        }
    }

    fn text(&self, line: &Line) -> String {
        let done = done_text(&self.tally, &self.under_way);
        let waits = line.waits_for.as_ref().map(|what| format!(" | waiting {what}")).unwrap_or_default();
        format!("{done} | {:.1} rows/s, {:.1} calls/s{waits}", line.rows, line.calls)
    }
}

/// `done 4 failed 2 | pairs: 3 backed up, 1 sent`.
fn done_text(tally: &Tally, under_way: &UnderWay) -> String {
    let states = ["done", "planned", "already", "skipped", "failed", "unknown"];
    let states = states.into_iter().filter(|state| tally.of(state) > 0);
    let states: Vec<_> = states.map(|state| format!("{state} {}", tally.of(state))).collect();
    let states = (!states.is_empty()).then(|| states.join(" "));
    let parts: Vec<_> = states.into_iter().chain(under_way.text()).collect();
    if parts.is_empty() { "nothing yet".to_owned() } else { parts.join(" | ") }
}

/// What is to be said at one moment.
struct Line {
    /// Rows a second.
    rows: f64,
    /// Calls a second.
    calls: f64,
    time_left: Option<Duration>,
    waits_for: Option<String>,
}

impl Line {
    fn to_go(&self) -> String {
        self.time_left.map(|left| format!("{} to go", span(left))).unwrap_or_default()
    }
}

impl Reporter for Progress {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Row { rows, settled } => {
                self.tally.count(settled, rows.count());
                self.under_way.ended(rows.row);
                self.changed += self.pending.remove(&rows.row).unwrap_or(0);
            }
            Event::Meant { rows } => drop(self.pending.insert(rows.row, rows.count())),
            Event::Step { rows, step } => self.under_way.step(rows.row, step),
            Event::Batch { .. } => {}
        }
    }

    fn tick(&mut self, figures: &Figures) {
        if self.terminal.draws() {
            let line = self.look(figures);
            let (text, position) = (self.text(&line), self.settled());
            let bar = self.bar.get_or_insert_with(|| bar(&self.terminal, self.scope.total));
            bar.set_position(position);
            bar.set_prefix(line.to_go());
            bar.set_message(text);
        } else if self.has_lines {
            let line = self.look(figures);
            if figures.elapsed < self.next_line {
                return;
            }
            self.next_line = figures.elapsed + LINE_EVERY;
            let to_go = if line.time_left.is_some() { format!(" | {}", line.to_go()) } else { String::new() };
            let (settled, total) = (self.settled(), self.scope.total);
            self.terminal.say(&format!("{settled} of {total} rows: {}{to_go}", self.text(&line)));
        }
    }

    fn last_event(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

pub(super) fn bar(terminal: &Terminal, total: u64) -> ProgressBar {
    let bar = terminal.bars().add(ProgressBar::new(total));
    // The upper line is cut to the terminal's width, the lower one is short. What a terminal shows of Ctrl-C behind it wraps
    // and leaves the upper line standing: it says how far the run came.
    let style = ProgressStyle::with_template("{wide_msg}\n{bar:24} {pos}/{len} rows  {prefix}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(super::reporter::TICK);
    bar
}

/// What all calls wait for, if they do.
fn waits_for(figures: &Figures) -> Option<String> {
    let seconds = |left: Duration| left.as_secs() + u64::from(left.subsec_nanos() > 0);
    match figures.breaker {
        Breaker::Open(left) => {
            Some(format!("{} s for the API to come back (circuit breaker open)", seconds(left)))
        }
        Breaker::HalfOpen => Some("for the API to come back (circuit breaker half-open)".to_owned()),
        Breaker::GaveUp => Some("no longer: the circuit breaker gave up".to_owned()),
        Breaker::Closed => {
            let left = figures.closed_for.max(figures.next_call_in).filter(|left| *left >= SHORTEST_WAIT)?;
            Some(format!("{} s for the rate limit", seconds(left)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Settled;

    fn figures(seconds: u64, calls: u64) -> Figures {
        let mut figures = Figures { elapsed: Duration::from_secs(seconds), ..Figures::default() };
        figures.calls.calls = calls;
        figures.rate = Some((50, Duration::from_secs(10)));
        figures
    }

    fn progress(total: u64) -> Progress {
        Progress::new(Terminal::new(true), true, Scope { total, before: 0 })
    }

    fn settle(progress: &mut Progress, rows: u64) {
        for row in 1..=rows {
            progress.event(&Event::Row { rows: row.into(), settled: Settled::Planned });
        }
    }

    #[test]
    fn pairs_under_way_are_told_until_they_end() {
        let mut progress = progress(20);
        let step = |row: u64, step: &str| Event::Step { rows: row.into(), step: step.to_owned() };
        progress.event(&step(1, "backed-up"));
        progress.event(&step(3, "merging"));
        let line = progress.look(&figures(1, 10));
        let text = progress.text(&line);
        assert_eq!(text, "pairs: 1 backed up, 1 sent | 0.0 rows/s, 10.0 calls/s");
        settle(&mut progress, 3);
        let line = progress.look(&figures(1, 10));
        assert!(progress.text(&line).starts_with("planned 3 | 3"), "{}", progress.text(&line));
    }

    #[test]
    fn waits_are_named() {
        let mut now = figures(0, 0);
        now.closed_for = Some(Duration::from_millis(11_200));
        assert_eq!(waits_for(&now).unwrap(), "12 s for the rate limit");
        now.closed_for = Some(Duration::from_millis(200));
        assert_eq!(waits_for(&now), None);
        now.next_call_in = Some(Duration::from_secs(41));
        assert_eq!(waits_for(&now).unwrap(), "41 s for the rate limit");
        now.breaker = Breaker::Open(Duration::from_secs(5));
        assert_eq!(waits_for(&now).unwrap(), "5 s for the API to come back (circuit breaker open)");
    }
}
