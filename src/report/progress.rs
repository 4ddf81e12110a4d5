//! Progress while a run goes on: a bar on a terminal, a line every 30 seconds off it.

use super::terminal::Terminal;
use crate::engine::event::{Event, Tally};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Between two lines off a terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Between two looks at the live figures on a terminal.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the client is doing just now.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Calls made so far.
    pub calls: u64,
    /// What everything waits for, if it does: `the rate limit, 12 s`.
    pub waiting_for: Option<String>,
}

/// What progress is measured against.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Rows of the input that the run takes.
    pub total: u64,
    /// Rows that were settled before this process.
    pub before: u64,
}

/// Shows progress until the engine sends no more events.
pub async fn show(
    mut events: mpsc::Receiver<Event>,
    terminal: Terminal,
    quiet: bool,
    scope: Scope,
    live: impl Fn() -> Live + Send,
) {
    let bar = terminal.draws().then(|| bar(&terminal, scope));
    let every = if bar.is_some() { LOOK_EVERY } else { LINE_EVERY };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    let (mut tally, since) = (Tally::default(), Instant::now());
    let mut shown = since;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Row { rows, settled, .. }) => tally.count(&settled, rows.count()),
                Some(Event::Batch { .. }) => {}
                None => break,
            },
            _ = ticks.tick() => if bar.is_none() && !quiet {
                terminal.say(&line(&tally, scope, &live(), since.elapsed()));
            },
        }
        if let Some(bar) = &bar
            && shown.elapsed() >= LOOK_EVERY
        {
            shown = Instant::now();
            bar.set_position(scope.before + tally.total());
            let left = time_left(&tally, scope, since.elapsed());
            bar.set_message(format!("{}{left}", figures(&tally, &live(), since.elapsed())));
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn bar(terminal: &Terminal, scope: Scope) -> ProgressBar {
    let bar = terminal.bars().add(ProgressBar::new(scope.total));
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(scope.before);
    bar.enable_steady_tick(LOOK_EVERY);
    bar
}

fn figures(tally: &Tally, live: &Live, elapsed: Duration) -> String {
    let states: Vec<_> = ["done", "planned", "already", "skipped", "failed", "unknown"]
        .into_iter()
        .filter(|state| tally.of(state) > 0)
        .map(|state| format!("{state} {}", tally.of(state)))
        .collect();
    // Counts stay far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let rate = live.calls as f64 / elapsed.as_secs_f64().max(0.001);
    let waiting = live.waiting_for.as_ref().map(|what| format!(" | waiting for {what}")).unwrap_or_default();
    format!("{} | {rate:.1} calls/s{waiting}", states.join(" "))
}

fn line(tally: &Tally, scope: Scope, live: &Live, elapsed: Duration) -> String {
    let settled = scope.before + tally.total();
    let left = time_left(tally, scope, elapsed);
    format!("{settled} of {} rows: {}{left}", scope.total, figures(tally, live, elapsed))
}

/// A rough guess, once there is something to go by.
fn time_left(tally: &Tally, scope: Scope, elapsed: Duration) -> String {
    let left = scope.total.saturating_sub(scope.before + tally.total());
    match tally.total() {
        0 => String::new(),
        #[allow(clippy::cast_precision_loss)] // counts far below 2^52
        rows => format!(" | {} to go", span(elapsed.mul_f64(left as f64 / rows as f64))),
    }
}

/// A time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
