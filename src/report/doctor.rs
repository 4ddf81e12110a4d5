//! What `doctor` has found, for people and for machines.

use super::terminal::one_line;
use crate::exit::Exit;
use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Value, json};

/// The longest text that a check shows, in characters; what servers say has no end of its own.
const LONGEST: usize = 600;
/// How wide the table may be, in columns: what any terminal has.
const WIDTH: u16 = 80;

/// How a check came out, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Nobody knows; why is what was found.
    NotChecked,
    /// A run can begin, and may not go as wished.
    Warning,
    /// A run would fail, or could not be told about.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// Its name.
    pub check: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub todo: Option<String>,
    /// What a problem makes of the command's exit code.
    #[serde(skip)]
    exit: Exit,
}

impl Check {
    /// All is well.
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: clipped(found.into()), todo: None, exit: Exit::Ok }
    }

    /// It could not be told, for this reason.
    pub(crate) fn not_checked(check: &'static str, why: impl Into<String>) -> Self {
        Self { state: State::NotChecked, ..Self::ok(check, why) }
    }

    /// Worth a look.
    pub(crate) fn warning(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::ok(check, found) }.todo(todo)
    }

    /// Wrong, with the exit code of its kind.
    pub(crate) fn problem(
        check: &'static str,
        exit: Exit,
        found: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { state: State::Problem, exit, ..Self::ok(check, found) }.todo(todo)
    }

    /// With what was looked at before what was found.
    #[must_use]
    pub(crate) fn of(self, looked_at: &str) -> Self {
        Self { found: clipped(format!("{looked_at} {}", self.found)), ..self }
    }

    /// The same as a check of another name.
    #[must_use]
    pub(crate) fn named(self, check: &'static str) -> Self {
        Self { check, ..self }
    }

    /// With what to do.
    #[must_use]
    pub(crate) fn todo(self, todo: impl Into<String>) -> Self {
        Self { todo: Some(clipped(todo.into())), ..self }
    }
}

fn clipped(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

/// All that was looked at.
#[derive(Debug, Clone)]
pub(crate) struct DoctorReport {
    checks: Vec<Check>,
}

impl DoctorReport {
    /// The checks, in the order in which they are shown.
    pub(crate) fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// The worst state.
    fn worst(&self) -> State {
        self.checks.iter().map(|check| check.state).max().unwrap_or(State::Ok)
    }

    /// The outcome: of several problems the one that has to be solved first. Settings come before the credentials
    /// among them, these before a server that is not reached with them, and all before this machine's own trouble.
    pub(crate) fn exit(&self) -> Exit {
        let mut problems = self.checks.iter().filter(|check| check.state == State::Problem).peekable();
        if problems.peek().is_none() {
            return Exit::Ok;
        }
        let exits: Vec<Exit> = problems.map(|check| check.exit).collect();
        let first =
            [Exit::Usage, Exit::Credentials, Exit::Stopped].into_iter().find(|exit| exits.contains(exit));
        first.unwrap_or(Exit::Unexpected)
    }

    /// The report for machines.
    pub(crate) fn json(&self) -> Value {
        json!({ "checks": self.checks, "exit": self.exit().code(), "worst": self.worst() })
    }

    /// The report for people.
    pub(crate) fn text(&self, coloured: bool) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_width(WIDTH).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["check", "state", "found, and -> what to do"]);
        for check in &self.checks {
            let todo = check.todo.as_ref().map_or(String::new(), |todo| format!("\n-> {}", one_line(todo)));
            let found = format!("{}{todo}", one_line(&check.found));
            table.add_row([check.check, word(check.state), &found]);
        }
        for column in table.column_iter_mut().take(2) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let name = table.column_max_content_widths().first().map_or(0, |width| usize::from(*width) + 2);
        let mut lines: Vec<String> = table
            .lines()
            .map(|line| if coloured { with_colour(&line, name) } else { line }.trim_end().to_owned())
            .collect();
        lines.extend([String::new(), self.verdict()]);
        lines.join("\n")
    }

    /// The last line.
    fn verdict(&self) -> String {
        let count = |state, noun: &str| {
            let count = self.checks.iter().filter(|check| check.state == state).count();
            (count > 0).then(|| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        };
        let (problems, warnings) = (count(State::Problem, "problem"), count(State::Warning, "warning"));
        match (problems, warnings) {
            (None, None) => "ready: nothing is wrong".to_owned(),
            (None, Some(warnings)) => format!("ready, with {warnings}"),
            (Some(problems), warnings) => {
                let warnings = warnings.map_or(String::new(), |warnings| format!(", {warnings}"));
                format!("not ready: {problems}{warnings} (exit code {})", self.exit().code())
            }
        }
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::NotChecked => "not checked",
        State::Warning => "warning",
        State::Problem => "problem",
    }
}

/// A line of the table with its state, which stands after so many columns, in colour. The names are ASCII.
fn with_colour(line: &str, before: usize) -> String {
    const COLOURS: [(State, &str); 3] = [(State::Ok, "32"), (State::Warning, "33"), (State::Problem, "1;31")];
    let Some((name, rest)) = line.split_at_checked(before).filter(|(name, _)| !name.starts_with(' ')) else {
        return line.to_owned();
    };
    let found = COLOURS.iter().find_map(|(state, code)| {
        Some((word(*state), code, rest.strip_prefix(word(*state)).filter(|rest| rest.starts_with(' '))?))
    });
    found.map_or_else(
        || line.to_owned(),
        |(word, code, rest)| format!("{name}\u{1b}[{code}m{word}\u{1b}[0m{rest}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: impl IntoIterator<Item = Check>) -> DoctorReport {
        DoctorReport::new(checks.into_iter().collect())
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        let problem = |exit| Check::problem("x", exit, "f", "t");
        let cases = [
            (vec![], Exit::Ok, State::Ok),
            (vec![Check::ok("x", ""), Check::not_checked("x", "")], Exit::Ok, State::NotChecked),
            (vec![Check::warning("x", "", ""), Check::not_checked("x", "")], Exit::Ok, State::Warning),
            (vec![problem(Exit::Unexpected), Check::ok("x", "")], Exit::Unexpected, State::Problem),
            (vec![problem(Exit::Backup)], Exit::Unexpected, State::Problem),
            (vec![problem(Exit::Unexpected), problem(Exit::Stopped)], Exit::Stopped, State::Problem),
            (vec![problem(Exit::Stopped), problem(Exit::Credentials)], Exit::Credentials, State::Problem),
            (vec![problem(Exit::Credentials), problem(Exit::Usage)], Exit::Usage, State::Problem),
        ];
        for (checks, exit, worst) in cases {
            let report = report(checks);
            assert_eq!((report.exit(), report.worst()), (exit, worst), "{report:?}");
            assert_eq!(report.json()["exit"], exit.code());
        }
    }

    fn all_kinds() -> DoctorReport {
        report([
            Check::ok("first", "fine"),
            Check::warning("second", "a\u{1b}[2Jb", "do this"),
            Check::problem("third", Exit::Unexpected, "word ".repeat(30), "or that"),
            Check::not_checked("fourth-one", "ok for those who do not know"),
        ])
    }

    #[test]
    fn people_get_a_table_of_80_columns() {
        insta::assert_snapshot!(all_kinds().text(false), @"
        check       state        found, and -> what to do
        first       ok           fine
        second      warning      a�[2Jb
                                 -> do this
        third       problem      word word word word word word word word word word
                                 word word word word word word word word word word
                                 word word word word word word word word word word
                                 -> or that
        fourth-one  not checked  ok for those who do not know

        not ready: 1 problem, 1 warning (exit code 1)
        ");
        let long = Check::ok("x", "\u{754c}".repeat(900)).todo("y".repeat(900));
        let text = report([long]).text(false);
        assert!(text.lines().all(|line| line.chars().count() <= 80) && text.contains(" ..."), "{text}");
    }

    #[test]
    fn colours_change_nothing_but_the_state() {
        let coloured = all_kinds().text(true);
        assert!(coloured.contains("second      \u{1b}[33mwarning\u{1b}[0m  "), "{coloured}");
        assert_eq!(coloured.matches('\u{1b}').count(), 6, "{coloured}");
        let plain = ["\u{1b}[32m", "\u{1b}[33m", "\u{1b}[1;31m", "\u{1b}[0m"]
            .iter()
            .fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(plain, all_kinds().text(false));
    }

    #[test]
    fn machines_get_the_same() {
        let json = all_kinds().json();
        assert_eq!(
            json["checks"][1],
            json!({"check": "second", "state": "warning", "found": "a\u{1b}[2Jb", "todo": "do this"})
        );
        assert_eq!(json["checks"][3]["state"], "not-checked");
        assert_eq!(json["checks"][0]["todo"], Value::Null);
        assert_eq!((&json["worst"], &json["exit"]), (&json!("problem"), &json!(1)));
    }
}
