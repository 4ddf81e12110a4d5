//! A chart as shapes: what they are made of, and the axes that charts have in common. The template draws them.

use crate::report::units::measure;
use std::fmt;
use std::time::Duration;

/// A chart's width in its own units, which are pixels on a screen that is wide enough.
pub(super) const WIDTH: f64 = 440.0;

/// A place or a length, in the units of the chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Px(pub(super) f64);

impl fmt::Display for Px {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A number in any case: the shape of the page must not hang on a division by nothing.
        write!(formatter, "{:.1}", if self.0.is_finite() { self.0 } else { 0.0 })
    }
}

/// Something drawn; `class` is a class of the style sheet.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Rect { class: &'static str, x: Px, y: Px, width: Px, height: Px },
    Path { class: &'static str, d: String },
    Text { class: &'static str, x: Px, y: Px, text: String },
}

impl Shape {
    pub(super) fn rect(class: &'static str, x: f64, y: f64, width: f64, height: f64) -> Self {
        Self::Rect { class, x: Px(x), y: Px(y), width: Px(width.max(0.0)), height: Px(height.max(0.0)) }
    }

    pub(super) fn text(class: &'static str, x: f64, y: f64, text: impl Into<String>) -> Self {
        Self::Text { class, x: Px(x), y: Px(y), text: text.into() }
    }

    pub(super) fn line(class: &'static str, from: (f64, f64), to: (f64, f64)) -> Self {
        let d = format!("M{} {}L{} {}", Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        Self::Path { class, d }
    }
}

/// What a colour of the chart stands for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) class: &'static str,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(class: &'static str, name: impl Into<String>) -> Self {
        Self { class, name: name.into() }
    }
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// Its name in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// The same in words: for those who do not see it, and where there is too little to draw.
    pub(super) words: String,
    pub(super) height: Px,
    /// None where the words say it all.
    pub(super) shapes: Vec<Shape>,
    pub(super) keys: Vec<Key>,
}

impl Chart {
    /// A chart that has nothing to draw, and says why.
    pub(super) fn empty(id: &'static str, title: &'static str, words: impl Into<String>) -> Self {
        Self { id, title, words: words.into(), height: Px(0.0), shapes: Vec::new(), keys: Vec::new() }
    }
}

/// The part of a chart in which values are drawn over time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The last moment.
    pub(super) end: Duration,
    /// The greatest value.
    pub(super) most: f64,
}

impl Plot {
    pub(super) fn x(&self, at: Duration) -> f64 {
        let end = self.end.as_secs_f64().max(0.001);
        self.left + self.width * (at.as_secs_f64() / end).clamp(0.0, 1.0)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let part = if self.most > 0.0 { (value / self.most).clamp(0.0, 1.0) } else { 0.0 };
        self.top + self.height * (1.0 - part)
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The lines and numbers at the left: nothing, the middle and the greatest value.
    pub(super) fn value_axis(&self, shapes: &mut Vec<Shape>, unit: &str) {
        for part in [0.0, 0.5, 1.0] {
            let value = self.most * part;
            let y = self.y(value);
            let class = if part == 0.0 { "axis" } else { "grid" };
            shapes.push(Shape::line(class, (self.left, y), (self.left + self.width, y)));
            shapes.push(Shape::text("end", self.left - 6.0, y + 4.0, format!("{}{unit}", measure(value))));
        }
    }

    /// The marks and times at the bottom.
    pub(super) fn time_axis(&self, shapes: &mut Vec<Shape>) {
        let step = time_step(self.end);
        let mut at = Duration::ZERO;
        while at <= self.end {
            let x = self.x(at);
            let y = self.bottom();
            shapes.push(Shape::line("axis", (x, y), (x, y + 4.0)));
            let class = if x > self.left + self.width - 12.0 { "end" } else { "middle" };
            shapes.push(Shape::text(class, x, y + 18.0, time(at, step)));
            at += step;
        }
    }
}

/// A round number that is not less than the value, for the end of an axis.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let round =
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().find(|digit| digit * power >= value * 0.9999);
    round.unwrap_or(10.0) * power
}

/// The time between two marks, so that there are at most six of them.
fn time_step(end: Duration) -> Duration {
    const STEPS: [u64; 23] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000,
        300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
    ];
    let fits = |millis: &u64| Duration::from_millis(*millis) * 5 >= end;
    if let Some(millis) = STEPS.into_iter().find(fits) {
        return Duration::from_millis(millis);
    }
    let hours = end.as_secs() / 3600 / 5 + 1;
    Duration::from_secs(hours.next_multiple_of(if hours > 12 { 24 } else { 3 }) * 3600)
}

/// A time on the axis, in the unit of its steps.
fn time(at: Duration, step: Duration) -> String {
    let seconds = at.as_secs_f64();
    match step.as_millis() {
        _ if at.is_zero() => "0".to_owned(),
        0..1000 if step < Duration::from_millis(20) => format!("{} ms", measure(seconds * 1000.0)),
        0..60_000 if at < Duration::from_secs(120) => format!("{} s", measure(seconds)),
        0..3_600_000 if at < Duration::from_secs(7200) => format!("{} min", measure(seconds / 60.0)),
        _ => format!("{} h", measure(seconds / 3600.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_with_round_numbers() {
        let ends =
            [0.0, f64::NAN, 0.013, 1.0, 1.1, 7.2, 45.0, 99.0, 12_554.9].map(|value| measure(round_up(value)));
        assert_eq!(ends, ["1", "1", "0.02", "1", "2", "8", "50", "100", "20,000"]);
    }

    #[test]
    fn an_axis_of_any_length_has_few_marks() {
        for seconds in [0.001, 0.05, 0.4, 1.0, 59.0, 61.0, 3000.0, 86_400.0, 1e6, 1e8] {
            let end = Duration::from_secs_f64(seconds);
            let plot = Plot { left: 40.0, top: 0.0, width: 400.0, height: 100.0, end, most: 1.0 };
            let mut shapes = Vec::new();
            plot.time_axis(&mut shapes);
            assert!((2..=12).contains(&shapes.len()), "{seconds}: {shapes:?}");
        }
        let times = [(500, 100), (90_000, 30_000), (150_000, 30_000), (7_200_000, 3_600_000)];
        let times = times.map(|(at, step)| time(Duration::from_millis(at), Duration::from_millis(step)));
        assert_eq!(times, ["0.5 s", "90 s", "2.5 min", "2 h"]);
    }

    #[test]
    fn what_is_no_number_is_drawn_at_nothing() {
        assert_eq!([f64::NAN, f64::INFINITY, 1.25].map(|px| Px(px).to_string()), ["0.0", "0.0", "1.2"]);
        let plot = Plot { left: 0.0, top: 0.0, width: 10.0, height: 10.0, end: Duration::ZERO, most: 0.0 };
        assert_eq!((plot.x(Duration::from_secs(1)), plot.y(5.0)), (10.0, 10.0));
    }
}
