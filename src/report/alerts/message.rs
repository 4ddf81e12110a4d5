//! What is said. Counts, IDs and codes only: nothing personal, and no text of DevRev's.

use super::rules::Trouble;
use crate::engine::event::Tally;
use crate::report::summary::Summary;
use crate::report::terminal::one_line;
use crate::report::units::span;
use std::fmt::Write as _;
use std::time::Duration;

/// The longest that a value from outside is shown, in characters.
const LONGEST: usize = 160;
/// The most reasons that are named; the most frequent ones.
const MOST_REASONS: usize = 10;

/// The run that is told about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// Its ID.
    pub run: String,
    /// The command, such as `backfill-groups`.
    pub command: String,
    /// Where: the base URL, or `sandbox`.
    pub target: String,
    /// `ENVIRONMENT`.
    pub environment: String,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// Whether it is against the built-in sandbox.
    pub in_sandbox: bool,
    /// Rows that the run takes.
    pub rows: u64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Unlike that of any other, as e-mail wants it.
    pub(super) id: String,
    /// One line.
    pub(super) subject: String,
    /// What there is to say, a name and a value a line.
    facts: Vec<(&'static str, String)>,
}

impl Message {
    fn new(subject: String, facts: Vec<(&'static str, String)>) -> Self {
        Self { id: format!("<{:032x}@devrev-batch>", rand::random::<u128>()), subject, facts }
    }

    /// Of something that goes wrong.
    pub(super) fn trouble(about: &About, trouble: Trouble, tally: &Tally) -> Self {
        let what = match trouble {
            Trouble::ErrorRate { share, errors, settled } => {
                format!("{share:.1} % of {settled} rows failed ({errors})")
            }
            Trouble::SlowBatch { number, took } => {
                format!("batch {number} took {}, waits for the rate limit aside", span(took))
            }
            Trouble::ApiErrors { in_a_row } => format!("{in_a_row} errors of the API in a row"),
            Trouble::Breaker { openings: 1 } => "the circuit breaker opened: calls wait".to_owned(),
            Trouble::Breaker { openings } => {
                format!("the circuit breaker opened for the {openings}. time: calls wait")
            }
        };
        let mut message = Self::of(about, &what);
        message.facts.push(("so far", format!("{} of {} rows", counts(tally), about.rows)));
        message.reasons(tally);
        message.facts.push(("the run", "continues".to_owned()));
        message
    }

    /// Of the run's end. Why it ended is told by its exit code: the text may hold DevRev's words.
    pub(super) fn end(about: &About, summary: &Summary) -> Self {
        let mut message = Self::of(about, &format!("{}, exit code {}", word(&summary.state), summary.exit));
        message.facts.push(("exit code", format!("{} ({})", summary.exit, meaning(summary.exit))));
        let open = if summary.open > 0 { format!(", open {}", summary.open) } else { String::new() };
        message.facts.push(("rows", format!("{}{open} of {} rows", counts(&summary.tally), summary.rows)));
        message.reasons(&summary.tally);
        let took = Duration::try_from_secs_f64(summary.seconds).unwrap_or_default();
        message.facts.push(("took", format!("{}, {} calls", span(took), summary.calls_total)));
        message.facts.extend(resume(&summary.next).map(|resume| ("next", one_line(resume))));
        message
    }

    /// That says nothing but that it arrives.
    pub(super) fn test() -> Self {
        let facts = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        Self::new("devrev-batch: a test; messages about runs arrive here".to_owned(), facts)
    }

    fn of(about: &About, what: &str) -> Self {
        let dry_run = if about.dry_run { "dry run of " } else { "" };
        let environment = clean(&about.environment);
        let subject = format!("devrev-batch: {dry_run}{}: {what} ({environment})", clean(&about.command));
        let mut facts =
            vec![("run", clean(&about.run)), ("environment", environment), ("target", clean(&about.target))];
        if about.dry_run {
            facts.push(("dry run", "yes: nothing is changed".to_owned()));
        }
        Self::new(subject, facts)
    }

    fn reasons(&mut self, tally: &Tally) {
        let all = tally.reasons.iter().flat_map(|(state, reasons)| {
            reasons.iter().map(move |(reason, rows)| (*rows, state.as_str(), reason.as_str()))
        });
        let mut codes: Vec<_> = all.filter(|(_, state, reason)| is_code(state) && is_code(reason)).collect();
        // What went wrong goes before what was only left alone.
        let is_error = |state: &str| state == "failed" || state == "unknown";
        codes.sort_by_key(|(rows, state, reason)| (!is_error(state), std::cmp::Reverse(*rows), *reason));
        codes.truncate(MOST_REASONS);
        if !codes.is_empty() {
            let codes: Vec<_> =
                codes.into_iter().map(|(rows, state, reason)| format!("{state}/{reason} {rows}")).collect();
            self.facts.push(("reasons", codes.join(", ")));
        }
    }

    /// All of it for an e-mail's body.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.subject);
        for (name, value) in &self.facts {
            let _ = writeln!(text, "{name:<12} {value}");
        }
        text
    }

    /// All of it in Slack's format: the lines stand in a block in which nothing has a meaning of its own.
    pub(super) fn slack(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.facts {
            let _ = writeln!(text, "{name:<12} {value}");
        }
        let escaped = |text: &str| {
            // https://docs.slack.dev/messaging/formatting-message-text: these three, and no others.
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'")
        };
        format!("*{}*\n```{}```", escaped(&self.subject).replace('*', ""), escaped(text.trim_end()))
    }
}

/// Rows by state.
fn counts(tally: &Tally) -> String {
    let states: Vec<_> = tally.states.iter().filter(|(_, rows)| **rows > 0).collect();
    if states.is_empty() {
        return "none".to_owned();
    }
    let states: Vec<_> = states.into_iter().map(|(state, rows)| format!("{} {rows}", clean(state))).collect();
    states.join(", ")
}

/// The command that continues the run, if one of these sentences ends with it.
fn resume(next: &[String]) -> Option<&str> {
    const COMMAND: &str = "devrev-batch resume ";
    next.iter().find_map(|text| text.find(COMMAND).and_then(|place| text.get(place..)))
}

/// How a run ended, in words of this tool.
fn word(state: &str) -> &'static str {
    match state {
        "finished" => "finished",
        "interrupted" => "interrupted",
        _ => "stopped",
    }
}

/// What an exit code of a run says.
fn meaning(exit: u8) -> &'static str {
    match exit {
        0 => "all rows are done, already right, or skipped for a reason that is not an error",
        2 => "the settings are wrong",
        3 => "some rows failed, or their state is unknown",
        4 => "the credentials were refused",
        5 => "the input is invalid",
        6 => "the input or the target has changed",
        7 => "stopped by the circuit breaker, --max-errors or --max-batch-failures",
        12 => "a backup could not be made or verified, so no merge was sent",
        130 => "interrupted by Ctrl-C; all is saved",
        143 => "interrupted by SIGTERM; all is saved",
        _ => "something unexpected; see the run's folder",
    }
}

/// Whether a text is one of this tool's codes.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A text that may be cut.
fn clean(text: &str) -> String {
    let text = one_line(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics;

    fn about() -> About {
        About {
            run: "20261122-061617-backfill-groups-85f4".to_owned(),
            command: "backfill-groups".to_owned(),
            target: "https://api.devrev.ai/".to_owned(),
            environment: "<!channel> & `prod`\r\nBcc: x@example.com".to_owned(),
            dry_run: false,
            in_sandbox: false,
            rows: 300,
        }
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.add("done", None, 203);
        tally.add("failed", Some("not-found"), 3);
        tally.add("failed", Some("Ana Sousa <ana@example.com>"), 1);
        for place in 0..20 {
            tally.add("skipped", Some(&format!("reason-{place}")), 20 - place);
        }
        tally
    }

    #[test]
    fn nothing_but_codes_and_counts() {
        let share = 4.0;
        let trouble = Trouble::ErrorRate { share, errors: 4, settled: 417 };
        let message = Message::trouble(&about(), trouble, &tally());
        insta::assert_snapshot!(message.text(), @r"
        devrev-batch: backfill-groups: 4.0 % of 417 rows failed (4) (<!channel> & `prod`��Bcc: x@example.com)

        run          20261122-061617-backfill-groups-85f4
        environment  <!channel> & `prod`��Bcc: x@example.com
        target       https://api.devrev.ai/
        so far       done 203, failed 4, skipped 210 of 300 rows
        reasons      failed/not-found 3, skipped/reason-0 20, skipped/reason-1 19, skipped/reason-2 18, skipped/reason-3 17, skipped/reason-4 16, skipped/reason-5 15, skipped/reason-6 14, skipped/reason-7 13, skipped/reason-8 12
        the run      continues
        ");
        assert!(!message.subject.contains(['\n', '\r']), "{}", message.subject);
        insta::assert_snapshot!(message.slack(), @r"
        *devrev-batch: backfill-groups: 4.0 % of 417 rows failed (4) (&lt;!channel&gt; &amp; 'prod'��Bcc: x@example.com)*
        ```run          20261122-061617-backfill-groups-85f4
        environment  &lt;!channel&gt; &amp; 'prod'��Bcc: x@example.com
        target       https://api.devrev.ai/
        so far       done 203, failed 4, skipped 210 of 300 rows
        reasons      failed/not-found 3, skipped/reason-0 20, skipped/reason-1 19, skipped/reason-2 18, skipped/reason-3 17, skipped/reason-4 16, skipped/reason-5 15, skipped/reason-6 14, skipped/reason-7 13, skipped/reason-8 12
        the run      continues```
        ");
    }

    #[test]
    fn a_command_is_whole_and_a_long_name_is_seen_to_be_cut() {
        let folder = "x".repeat(500);
        let about = About { environment: "e".repeat(500), ..about() };
        let summary = Summary {
            next: vec![format!("devrev-batch resume R --runs-dir {folder}")],
            ..metrics::tests::summary()
        };
        let text = Message::end(&about, &summary).text();
        assert!(
            text.contains(&format!("next         devrev-batch resume R --runs-dir {folder}\n")),
            "{text}"
        );
        assert!(text.contains(&format!("environment  {} ...\n", "e".repeat(LONGEST))), "{text}");
    }

    #[test]
    fn the_command_to_go_on_with_is_found_in_a_sentence() {
        let next = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let of = |texts: &[&str]| resume(&next(texts)).map(str::to_owned);
        assert_eq!(of(&["look at plan.jsonl"]), None);
        assert_eq!(of(&["look at x", "devrev-batch resume R"]).unwrap(), "devrev-batch resume R");
        let sentence = "check failed.csv, fix the cause, then devrev-batch resume R --retry-failed";
        assert_eq!(of(&[sentence]).unwrap(), "devrev-batch resume R --retry-failed");
    }
}
