//! Past runs, for people and for machines.

use super::summary::STATES;
use super::terminal::printable;
use super::units::counted;
use super::units::span;
use chrono::{DateTime, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How wide the table is at the most, in columns of a terminal.
const WIDTH: u16 = 80;
/// Between two of its columns.
const GAP: u16 = 2;
/// The length of an ID of `backfill-groups`.
const USUAL_ID: usize = 36;
/// An ID that is longer than this leaves no room for the rest.
const LONGEST_ID: usize = 40;

/// The state of a folder without a `run.json`.
pub(crate) const NEVER_BEGAN: &str = "never-began";
/// The state of a run whose `run.json` says nothing.
pub(crate) const UNREADABLE: &str = "unreadable";

/// A run as it stands.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Past {
    /// Its ID.
    pub run: String,
    /// `running`, `crashed`, `interrupted`, `stopped`, `finished`, [`NEVER_BEGAN`] or [`UNREADABLE`].
    pub state: &'static str,
    /// Whether a process holds it just now: one that works on it, or one that undoes what it did.
    pub in_use: bool,
    /// What `run.json` says.
    #[serde(flatten)]
    pub about: Option<About>,
    /// The runs that take it back or carry it out, the newest first; no dry runs.
    pub by: Vec<By>,
    /// The command that is the next thing to do.
    pub next: Option<String>,
    /// What of it could not be read, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What `run.json` says of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct About {
    /// The command, such as `backfill-groups`.
    pub command: String,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The run that it has to do with.
    pub parent: Option<Parent>,
    /// Where: the base URL, or `sandbox`.
    pub target: String,
    /// `ENVIRONMENT`.
    pub environment: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// From its beginning to its end, or until now while it is worked on.
    pub seconds: Option<f64>,
    /// Rows that it takes, where that can be told.
    pub rows: Option<u64>,
    /// Rows by state, those of no row left out; none while it is worked on.
    pub counts: BTreeMap<String, u64>,
    /// The exit code of the process that worked on it last.
    pub exit: Option<u8>,
}

/// Another run that a run has to do with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Parent {
    /// Its ID.
    pub run: String,
    /// What is done about it.
    pub how: How,
}

/// What a run does about its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// It undoes what that one did.
    TakesBack,
    /// It carries out what that one planned.
    CarriesOut,
}

impl Parent {
    /// In words.
    pub(crate) fn text(&self) -> String {
        let how = match self.how {
            How::TakesBack => "undoes",
            How::CarriesOut => "applies",
        };
        format!("{how} {}", self.run)
    }
}

/// A run that has to do with an earlier one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct By {
    /// Its ID.
    pub run: String,
    /// What it does about the earlier one.
    pub how: How,
    /// Whether it has come to its end, and all its rows with it.
    pub finished: bool,
}

impl By {
    /// In words.
    pub(crate) fn text(&self) -> String {
        let how = match (self.how, self.finished) {
            (How::TakesBack, true) => "undone by",
            (How::TakesBack, false) => "undone in part by",
            (How::CarriesOut, true) => "applied by",
            (How::CarriesOut, false) => "partly applied by",
        };
        format!("{how} {}", self.run)
    }
}

/// The runs of a folder.
#[derive(Debug, Serialize)]
pub(crate) struct PastRuns {
    /// The folder.
    pub runs_dir: String,
    /// The runs that are shown, newest first.
    pub runs: Vec<Past>,
    /// How many older ones are not.
    pub left_out: usize,
}

impl PastRuns {
    /// The list for people.
    pub(crate) fn text(&self) -> String {
        if self.runs.is_empty() && self.left_out == 0 {
            return printable(&format!("no runs in {}", self.runs_dir));
        }
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_header(["RUN", "STATE", "ROWS"]);
        for run in &self.runs {
            table.add_row([run.what(), run.state(), run.rows()].map(|cell| printable(&cell)));
        }
        for (column, padding) in table.column_iter_mut().zip([(0, GAP), (0, GAP), (0, 0)]) {
            column.set_padding(padding);
        }
        // An ID that is broken in two cannot be copied.
        let longest =
            self.runs.iter().map(|run| run.run.len()).max().unwrap_or(0).clamp(USUAL_ID, LONGEST_ID);
        let width = u16::try_from(longest).unwrap_or_default() + GAP;
        if let Some(column) = table.column_mut(0) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
        let mut text = table.trim_fmt();
        let next: Vec<&String> = self.runs.iter().filter_map(|run| run.next.as_ref()).collect();
        if !next.is_empty() {
            text.push('\n');
        }
        for command in next {
            text.push_str(&printable(&format!("\nnext: {command}")));
        }
        if self.left_out > 0 {
            let older = counted(self.left_out as u64, "older run");
            text.push_str("\n\n");
            text.push_str(&older);
            text.push_str(" not shown: devrev-batch runs list --limit N shows more");
        }
        text
    }
}

impl Past {
    /// Its ID, where it ran, and what it has to do with another run.
    fn what(&self) -> String {
        let mut lines = vec![self.run.clone()];
        if let Some(about) = &self.about {
            lines.push(format!("{}, {}", about.target, about.environment));
            lines.extend(about.parent.as_ref().map(Parent::text));
        }
        lines.extend(self.by.iter().map(By::text));
        lines.join("\n")
    }

    /// How it stands and how long it took.
    fn state(&self) -> String {
        let mut lines = vec![self.state.replace('-', " ")];
        if self.in_use && self.state != "running" {
            lines.push("in use".to_owned());
        }
        if let Some(about) = &self.about {
            lines.extend(about.dry_run.then(|| "dry run".to_owned()));
            lines.extend(about.took());
        }
        lines.join("\n")
    }

    /// What became of its rows.
    fn rows(&self) -> String {
        if let Some(problem) = &self.problem {
            return problem.clone();
        }
        let Some(about) = &self.about else { return String::new() };
        let counts: Vec<String> = about.counted().map(|(state, rows)| format!("{rows} {state}")).collect();
        match (counts.is_empty(), about.rows) {
            (false, _) => counts.join(", "),
            (true, Some(rows)) => format!("of {}", counted(rows, "row")),
            (true, None) => String::new(),
        }
    }
}

impl About {
    /// Rows by state, in the order in which people read them.
    fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |state: &'static str| Some((state, *self.counts.get(state)?));
        STATES.into_iter().chain(["open"]).filter_map(of)
    }

    /// How long it took, for people.
    pub(crate) fn took(&self) -> Option<String> {
        self.seconds.map(|seconds| span(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(run: &str, state: &'static str, counts: &[(&str, u64)]) -> Past {
        let about = About {
            command: "backfill-groups".into(),
            dry_run: false,
            parent: None,
            target: "https://api.devrev.ai/".into(),
            environment: "production".into(),
            created_at: DateTime::UNIX_EPOCH,
            ended_at: None,
            seconds: Some(185.0),
            rows: Some(1),
            counts: counts.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect(),
            exit: None,
        };
        let (about, by) = (Some(about), Vec::new());
        Past { run: run.into(), state, in_use: false, about, by, next: None, problem: None }
    }

    fn list(runs: Vec<Past>) -> PastRuns {
        PastRuns { runs_dir: "runs".into(), runs, left_out: 0 }
    }

    #[test]
    fn a_list_fits_a_narrow_terminal() {
        const LONG: u64 = 123_456_789;
        let states = STATES.into_iter().chain(["open"]).map(|state| (state, LONG)).collect::<Vec<_>>();
        let mut run = past("20261122-061617-backfill-groups-85f4", "interrupted", &states);
        run.in_use = true;
        run.next = Some("devrev-batch resume 20261122-061617-backfill-groups-85f4 --retry-failed".into());
        let mut run_by = Vec::new();
        if let Some(about) = &mut run.about {
            about.target = "https://a-proxy.of-a-company.example.com/devrev/api/".into();
            let run = "20261121-061617-backfill-groups-85f4".to_owned();
            about.parent = Some(Parent { run: run.clone(), how: How::CarriesOut });
            let by = |finished| By { run: run.clone(), how: How::TakesBack, finished };
            run_by = vec![by(true), by(false)];
        }
        run.by = run_by;
        let text = list(vec![run]).text();
        for line in text.lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{line}");
        }
        for whole in
            ["20261122-061617-backfill-groups-85f4  interrupted  ", "20261121-061617-backfill-groups-85f4"]
        {
            assert!(text.contains(whole), "{text}");
        }
    }

    #[test]
    fn what_a_file_says_steers_nothing() {
        let mut run = past("20261122-061617-undo-85f4", "finished", &[("done", 1)]);
        run.about.as_mut().unwrap().environment = "\u{1b}[2Jprod".into();
        run.next = Some("x\u{7}".into());
        let text = list(vec![run]).text();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(list(Vec::new()).text(), "no runs in runs");
        let none_shown = PastRuns { left_out: 1, ..list(Vec::new()) }.text();
        assert!(none_shown.ends_with("1 older run not shown: devrev-batch runs list --limit N shows more"));
    }

    #[test]
    fn while_it_runs_only_the_number_of_rows_is_known() {
        let text = list(vec![past("20261122-061617-undo-85f4", "running", &[])]).text();
        insta::assert_snapshot!(text, @r"
        RUN                                   STATE      ROWS
        20261122-061617-undo-85f4             running    of 1 row
        https://api.devrev.ai/, production    3 min 5 s
        ");
    }
}
