//! The terminal: the one place that prints, and what it may print there.

use crate::cli::Color;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Standard error with the progress bars that are drawn on it: whatever else is written there appears above
/// them.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    bars: MultiProgress,
    /// Whether bars are drawn at all.
    draws: bool,
    /// Whether the cursor stands behind a question that has no answer yet.
    asking: Arc<AtomicBool>,
}

impl Terminal {
    /// Standard error; bars only on a terminal and unless `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let draws = !quiet && io::stderr().is_terminal();
        let target = if draws { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), draws, asking: Arc::default() }
    }

    /// Whether progress is drawn as a bar.
    pub(crate) fn draws(&self) -> bool {
        self.draws
    }

    /// The bars.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes a line to standard error: on a line of its own, whatever stands there.
    pub(crate) fn say(&self, line: &str) {
        self.bars.suspend(|| {
            let mut stderr = io::stderr().lock();
            // Without a standard error there is nobody to tell.
            let _ = writeln!(stderr, "{}{}", self.line_break(), printable(line));
        });
    }

    /// Whether a question waits for its answer.
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed)
    }

    /// What ends the line of a question that was not answered.
    fn line_break(&self) -> &'static str {
        if self.asking.swap(false, Ordering::Relaxed) { "\n" } else { "" }
    }

    /// Asks on standard error and reads a line from standard input; `None` at its end (Ctrl-D). Whatever is said before
    /// there is an answer begins a line of its own.
    pub(crate) fn ask(&self, question: &str) -> io::Result<Option<String>> {
        self.bars.suspend(|| {
            let mut stderr = io::stderr().lock();
            self.asking.store(true, Ordering::Relaxed);
            write!(stderr, "{} ", printable(question))?;
            stderr.flush()
        })?;
        // Nothing is locked while a person thinks: an interruption has to be told, and acted upon, meanwhile.
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer)?;
        if answer.ends_with('\n') {
            // The terminal has begun a new line.
            self.asking.store(false, Ordering::Relaxed);
        }
        Ok((read > 0).then(|| answer.trim().to_owned()))
    }
}

/// Whether a stream is written to in colours.
pub(crate) fn is_coloured(color: Color, stream: &impl IsTerminal) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Writes the result to standard output, without control characters: what stands in a file or a path must not steer the
/// terminal. A reader that has gone is no error.
pub(crate) fn result(text: &str) -> io::Result<()> {
    written(&without_controls(text))
}

/// The same for a text that has colours, and whose parts are clean already.
pub(crate) fn coloured_result(text: &str) -> io::Result<()> {
    written(text)
}

fn written(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to standard output as [`result`] does, and says whether anybody reads it.
pub(crate) fn is_heard(line: &str) -> bool {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", printable(line)).and_then(|()| stdout.flush()).is_ok()
}

/// Whether whatever is written to standard output is lost: it was closed before the program began. Rust opens `/dev/null`
/// in its place, for reading and writing; a shell opens it for writing only where it is asked for.
#[cfg(unix)]
pub(crate) fn is_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let stdout = io::stdout();
    let (Ok(out), Ok(null)) = (fstat(&stdout), stat("/dev/null")) else { return false };
    out.st_rdev == null.st_rdev
        && out.st_rdev != 0
        && fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR))
}

/// The same where that cannot be told.
#[cfg(not(unix))]
pub(crate) fn is_closed() -> bool {
    false
}

/// What is said where data is to be written to it.
pub(crate) const CLOSED: &str = "-o -: standard output is closed: redirect it, or give -o a file";

/// Standard output for text of any length; on a terminal as [`printable`] text, line by line.
#[derive(Debug)]
pub(crate) struct TextOut {
    out: io::Stdout,
    /// What stands in an unfinished line; nothing off a terminal.
    held: Vec<u8>,
    is_terminal: bool,
}

impl TextOut {
    /// Begins.
    pub(crate) fn new() -> Self {
        let out = io::stdout();
        Self { is_terminal: out.is_terminal(), out, held: Vec::new() }
    }

    fn show(&mut self, length: usize) -> io::Result<()> {
        let rest = self.held.split_off(length);
        let lines = std::mem::replace(&mut self.held, rest);
        self.out.write_all(printable(&String::from_utf8_lossy(&lines)).as_bytes())
    }
}

impl Write for TextOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        let end = memchr::memrchr(b'\n', &self.held).map_or(0, |end| end + 1);
        self.show(end).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.show(self.held.len())?;
        self.out.flush()
    }
}

/// Standard output for data that is passed on byte for byte; on a terminal as [`printable`] text. What is written to
/// a reader that has gone is dropped.
#[derive(Debug)]
pub(crate) struct Data {
    out: BufWriter<io::Stdout>,
    is_terminal: bool,
    is_gone: bool,
}

impl Data {
    /// Begins.
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        Self { is_terminal: stdout.is_terminal(), out: BufWriter::new(stdout), is_gone: false }
    }

    fn or_gone<T>(&mut self, done: io::Result<T>, then: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_gone = true;
                Ok(then)
            }
            done => done,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self::new()
    }
}

/// Each write is one or several whole records.
impl Write for Data {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_gone {
            return Ok(bytes.len());
        }
        let written = if self.is_terminal {
            self.out.write_all(printable(&String::from_utf8_lossy(bytes)).as_bytes())
        } else {
            self.out.write_all(bytes)
        };
        self.or_gone(written.map(|()| bytes.len()), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_gone {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.or_gone(flushed, ())
    }
}

/// Text without control characters (but for line breaks) and others that are not seen: what comes from files and
/// servers must not steer the terminal, nor turn what stands beside it round.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The same on one line: a name from DevRev must not begin a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that set the direction of a text, break lines or take no room.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text without control characters other than line breaks and tabs, as terminals obey them: escaped as JSON does it.
/// Those that JSON lets stand as they are, DEL and those from U+0080 to U+009F, say the same to anyone who reads it.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    let is_suspect = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_suspect) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_suspect(c) {
            let _ = write!(clean, "\\u{:04x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// For the log: each write is one whole record.
/// Each write is one record of the log, and becomes one line.
impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = record_line(bytes);
        self.bars.suspend(|| {
            let mut stderr = io::stderr().lock();
            stderr.write_all(self.line_break().as_bytes())?;
            stderr.write_all(&line)
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// A record without line breaks but for its last: what DevRev says is not taken for a record of its own. Colours stay.
fn record_line(bytes: &[u8]) -> Cow<'_, [u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if !body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Cow::Borrowed(bytes);
    }
    let mut line: Vec<u8> =
        body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    line.extend_from_slice(&bytes[body.len()..]);
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        for (record, line) in
            [("a\n", "a\n"), ("\u{1b}[33ma\nb\r\nc\n", "\u{1b}[33ma b  c\n"), ("a\nb", "a b"), ("", "")]
        {
            assert_eq!(record_line(record.as_bytes()), line.as_bytes());
        }
        assert_eq!(one_line("a\nb\r\u{2028}\u{1b}[1mé"), "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}[1mé");
    }

    #[test]
    fn json_says_the_same_and_steers_no_terminal() {
        let json = serde_json::json!({ "name": "a\u{9b}31m\u{7f}\u{a0}\u{1b}[2J" });
        let text = json.to_string();
        let shown = without_controls(&text);
        assert!(text.contains('\u{9b}') && !shown.contains(char::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
        assert_eq!(without_controls("a\tb\n\u{1b}[31mc\r"), "a\tb\n\\u001b[31mc\\u000d");
    }
}
