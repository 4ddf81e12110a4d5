//! What `validate` has found, for people and for machines, in memory that does not grow with it.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::exit::Failure;
use crate::finding::{Finding, Rule, Severity, shown};
use crate::kind::Kind;
use crate::report::terminal::{printable, without_controls};
use crate::report::units::counted;

/// How many findings of a rule people are shown.
const SHOWN: usize = 5;

/// Takes the findings as they are made.
pub(crate) struct Report<'w> {
    out: BufWriter<&'w mut dyn Write>,
    json: bool,
    rules: BTreeMap<Rule, Found>,
    errors: u64,
    notes: u64,
    failed: Option<io::Error>,
}

#[derive(Default)]
struct Found {
    count: u64,
    first: Vec<Finding>,
}

/// What was validated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validated<'a> {
    /// What the operator calls the input.
    pub input: &'a str,
    /// The arguments that name it; none where it cannot be read again.
    pub arguments: &'a [String],
    /// Of what kind it is.
    pub kind: Kind,
    /// How many data records were read, bad ones included.
    pub rows: u64,
    /// Whether they were all that there are: neither `--limit` nor an error ended the reading.
    pub complete: bool,
    /// What the operator should know of how it was read.
    pub read: &'a [String],
}

impl<'w> Report<'w> {
    /// Writes to `out`: findings at once and as JSON, or a summary for people at the end.
    pub(crate) fn new(json: bool, out: &'w mut dyn Write) -> Self {
        let mut report = Self {
            out: BufWriter::new(out),
            json,
            rules: BTreeMap::new(),
            errors: 0,
            notes: 0,
            failed: None,
        };
        if json {
            report.write(|out| out.write_all(b"{\"findings\":["));
        }
        report
    }

    /// Takes a finding. A failure to write is kept for [`Self::finish`].
    pub(crate) fn add(&mut self, finding: Finding) {
        let first = self.errors + self.notes == 0;
        match finding.rule.severity() {
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        if self.json {
            self.write(|out| {
                out.write_all(if first { b"\n" } else { b",\n" })?;
                out.write_all(without_controls(&serde_json::to_string(&finding)?).as_bytes())
            });
        }
        let found = self.rules.entry(finding.rule).or_default();
        found.count += 1;
        if !self.json && found.first.len() < SHOWN {
            found.first.push(finding);
        }
    }

    /// Whether anything that was found is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether nothing more can be written.
    pub(crate) fn is_broken(&self) -> bool {
        self.failed.is_some()
    }

    /// Ends a report that cannot be finished: the object that was begun is closed, with the failure in it.
    pub(crate) fn abandon(mut self, failure: Failure) -> Failure {
        if !self.json {
            return failure;
        }
        let error = failure.as_json();
        // A reader that has gone does not miss it.
        self.write(|out| write!(out, "\n],\"error\":{error}}}\n").and_then(|()| out.flush()));
        failure.told()
    }

    /// Writes what is left to write. Fails when this or any earlier write did.
    pub(crate) fn finish(mut self, validated: &Validated<'_>) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.json {
            self.finish_json(validated)?;
        } else {
            // Words of the rules quote cells and what servers say: nothing of them may steer a terminal.
            let mut text = Vec::new();
            self.finish_text(validated, &mut text)?;
            self.out.write_all(printable(&String::from_utf8_lossy(&text)).as_bytes())?;
        }
        self.out.flush()
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<&'w mut dyn Write>) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = write(&mut self.out).err();
        }
    }

    fn finish_json(&mut self, validated: &Validated<'_>) -> io::Result<()> {
        #[derive(Serialize)]
        struct Summary<'a> {
            input: &'a str,
            kind: Kind,
            rows: u64,
            complete: bool,
            valid: bool,
            errors: u64,
            notes: u64,
            by_rule: BTreeMap<&'static str, u64>,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            read: &'a [String],
        }
        let summary = Summary {
            input: validated.input,
            kind: validated.kind,
            rows: validated.rows,
            complete: validated.complete,
            valid: self.errors == 0,
            errors: self.errors,
            notes: self.notes,
            by_rule: self.rules.iter().map(|(rule, found)| (rule.name(), found.count)).collect(),
            read: validated.read,
        };
        self.out.write_all(b"\n],\"summary\":")?;
        serde_json::to_writer(&mut self.out, &summary)?;
        self.out.write_all(b"}\n")
    }

    fn finish_text(&self, validated: &Validated<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        let Validated { input, arguments, kind, rows, complete, read } = *validated;
        if rows == 0 && complete && self.errors + self.notes == 0 {
            return writeln!(out, "{}: no rows of kind `{}`", shown(input), kind.name());
        }
        let (rows, first) = (counted(rows, "row"), if complete { "" } else { "the first " });
        write!(out, "{}: {first}{rows} of kind `{}` read, ", shown(input), kind.name())?;
        match (self.errors, self.notes) {
            (0, 0) => writeln!(out, "nothing wrong")?,
            (0, notes) => writeln!(out, "nothing wrong, {}", counted(notes, "note"))?,
            (errors, 0) => writeln!(out, "{}", counted(errors, "error"))?,
            (errors, notes) => {
                writeln!(out, "{}, {}", counted(errors, "error"), counted(notes, "note"))?;
            }
        }
        for note in read {
            writeln!(out, "{}", shown(note))?;
        }
        self.list(Severity::Error, "Errors", out)?;
        self.list(Severity::Note, "Notes", out)?;

        let known = !arguments.is_empty();
        let arguments = arguments.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
        if self.errors > 0 {
            let again = if known {
                // The header of a file tells its kind.
                let kind = if arguments.starts_with("--csv") {
                    String::new()
                } else {
                    format!(" --kind {}", kind.name())
                };
                format!("devrev-batch validate {arguments}{kind}")
            } else {
                "validate again".into()
            };
            writeln!(out, "\nCorrect these rows, then: {again}")?;
            writeln!(out, "`--json` lists every finding.")
        } else if known {
            let command = kind.command();
            writeln!(out, "\nNext: devrev-batch {command} {arguments} --dry-run")
        } else {
            Ok(())
        }
    }

    fn list(&self, severity: Severity, title: &str, out: &mut Vec<u8>) -> io::Result<()> {
        let rules = self.rules.iter().filter(|(rule, _)| rule.severity() == severity);
        for (index, (rule, found)) in rules.enumerate() {
            if index == 0 {
                writeln!(out, "\n{title}:")?;
            }
            writeln!(out, "  {}: {}", rule.name(), found.count)?;
            for finding in &found.first {
                writeln!(out, "    {}", line(finding))?;
            }
            let more = found.count - found.first.len() as u64;
            if more > 0 {
                writeln!(out, "    and {more} more")?;
            }
        }
        Ok(())
    }
}

/// A finding in one line.
fn line(finding: &Finding) -> String {
    // The header is no row.
    let row = if finding.row == 0 { "header".to_owned() } else { format!("row {}", finding.row) };
    let line = finding.line.map_or(String::new(), |line| format!(", line {line}"));
    let column = finding.column.as_ref().map_or(String::new(), |column| format!(", {column}"));
    let value = if finding.value.is_empty() { String::new() } else { format!(" `{}`", finding.value) };
    format!("{row}{line}{column}{value}: {}", finding.message)
}

/// A text that a shell takes for one word.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,:=@%+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(row: u64, rule: Rule) -> Finding {
        Finding {
            row,
            line: Some(row + 1),
            column: Some("issue_id".into()),
            rule,
            value: "x".into(),
            message: "is wrong".into(),
        }
    }

    fn validated(arguments: &[String]) -> Validated<'_> {
        Validated { input: "a b.csv", arguments, kind: Kind::Groups, rows: 9, complete: true, read: &[] }
    }

    fn report(json: bool, findings: &[Finding]) -> String {
        let mut out = Vec::new();
        let mut report = Report::new(json, &mut out);
        for finding in findings {
            report.add(finding.clone());
        }
        report.finish(&validated(&["--csv".to_owned(), "a b.csv".to_owned()])).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_are_shown_the_first_of_each_rule() {
        let mut findings: Vec<_> = (1..=7).map(|row| finding(row, Rule::IdShape)).collect();
        findings.push(finding(8, Rule::DuplicateSame));
        assert_eq!(
            report(false, &findings),
            "a b.csv: 9 rows of kind `groups` read, 7 errors, 1 note

Errors:
  id-shape: 7
    row 1, line 2, issue_id `x`: is wrong
    row 2, line 3, issue_id `x`: is wrong
    row 3, line 4, issue_id `x`: is wrong
    row 4, line 5, issue_id `x`: is wrong
    row 5, line 6, issue_id `x`: is wrong
    and 2 more

Notes:
  duplicate-same: 1
    row 8, line 9, issue_id `x`: is wrong

Correct these rows, then: devrev-batch validate --csv 'a b.csv'
`--json` lists every finding.
"
        );
    }

    #[test]
    fn nothing_that_is_quoted_steers_the_terminal() {
        let mut odd = finding(1, Rule::IdShape);
        odd.message = "`a\u{1b}[2J\u{9b}31m` is wrong".into();
        let text = report(false, &[odd.clone()]);
        assert!(text.contains("`a\u{fffd}[2J\u{fffd}31m` is wrong\n"), "{text}");
        let json = report(true, &[odd.clone()]);
        assert!(!json.contains(|c: char| c.is_control() && c != '\n'), "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["findings"][0]["message"], odd.message);
    }

    #[test]
    fn people_are_told_what_comes_next() {
        assert_eq!(
            report(false, &[]),
            "a b.csv: 9 rows of kind `groups` read, nothing wrong\n\n\
             Next: devrev-batch backfill-groups --csv 'a b.csv' --dry-run\n"
        );
    }

    #[test]
    fn machines_are_given_all_in_one_object() {
        let findings: Vec<_> = (1..=7).map(|row| finding(row, Rule::IdShape)).collect();
        let object: serde_json::Value = serde_json::from_str(&report(true, &findings)).unwrap();
        assert_eq!(object["findings"].as_array().unwrap().len(), 7);
        assert_eq!(object["findings"][1]["rule"], "id-shape");
        assert_eq!(object["findings"][1]["severity"], "error");
        assert_eq!(object["summary"]["by_rule"]["id-shape"], 7);
        assert_eq!(object["summary"]["valid"], false);
        let object: serde_json::Value = serde_json::from_str(&report(true, &[])).unwrap();
        assert_eq!(object["summary"]["valid"], true);
        assert!(object["findings"].as_array().unwrap().is_empty());
    }

    #[test]
    fn a_failed_write_is_not_forgotten() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Gone;
        let mut report = Report::new(true, &mut out);
        for row in 0..1_000 {
            report.add(finding(row, Rule::IdShape));
        }
        assert!(report.is_broken());
        let error = report.finish(&validated(&[])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
