//! The `.env` file. A line that cannot be read may hold a secret, so no part of it is ever shown: only its number, and
//! the name before `=` if a setting has that name.

use super::names;
use crate::exit::{Exit, Failure};
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The largest file that is read, in bytes: a limit against a wrong path.
const MAX_BYTES: u64 = 1 << 20;
/// Problems that are listed before the rest is only counted.
const SHOWN: usize = 20;
const BOM: &str = "\u{feff}";

/// The `.env` file.
#[derive(Debug, Clone, Default)]
pub(super) struct DotEnv {
    pub(super) path: PathBuf,
    pub(super) values: HashMap<String, String>,
}

/// Reads the named file, or `.env` if there is one. Warns, once per process, of names that are no settings; also of those
/// in the environment that are nearly one.
pub(super) fn dotenv(named: Option<&Path>) -> Result<DotEnv, Failure> {
    static ENVIRONMENT: Once = Once::new();
    static FILE: Once = Once::new();
    ENVIRONMENT.call_once(|| {
        for (name, nearest) in names::misspelt(std::env::vars_os().map(|(name, _)| name)) {
            tracing::warn!("{name} in the environment: no setting has this name: did you mean {nearest}?");
        }
    });
    let path = named.unwrap_or(Path::new(".env"));
    let failure = |text: String| Failure::new(Exit::Usage, format!("{}: {text}", path.display()));
    if named.is_none() && !path.exists() {
        return Ok(DotEnv::default());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| failure(format!("cannot be read: {error}")))?;
    let parsed = parse(&bytes).map_err(failure)?;
    if !parsed.strange.is_empty() {
        FILE.call_once(|| {
            for text in &parsed.strange {
                tracing::warn!("{}: {text}", path.display());
            }
        });
    }
    Ok(DotEnv { path: path.to_owned(), values: parsed.values })
}

/// What a file says.
#[derive(Debug, Default)]
struct Parsed {
    values: HashMap<String, String>,
    /// What to warn of: names that are no settings.
    strange: Vec<String>,
}

/// Reads the text of a file. The error lists every line that cannot be read.
fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    // dotenvy takes a blank at the very end of a file for an open line.
    let text = format!("{}\n", decoded(bytes)?);
    let lines: Vec<&str> = text.lines().collect();
    let given = Cell::new(0);
    let mut entries = dotenvy::from_read_iter(ByLine { text: &text, given: &given });
    let (mut parsed, mut problems, mut unknown) = (Parsed::default(), Vec::new(), Vec::new());
    loop {
        let before = given.get();
        let Some(entry) = entries.next() else { break };
        // Blank lines and comments are passed over on the way to an entry.
        let is_entry = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let at = before + lines.get(before..).unwrap_or_default().iter().position(is_entry).unwrap_or(0);
        let line = lines.get(at).copied().unwrap_or_default();
        let number = at + 1;
        match entry {
            Ok((name, value)) => {
                let is_known = names::is_setting(&name);
                // An open quote takes the lines after it for part of the value, other secrets among them.
                if is_known && value.contains(['\n', '\r']) {
                    problems.push(format!("line {number}: {name}: {OPEN_QUOTE}"));
                } else if !is_known {
                    unknown.push((number, name));
                } else {
                    // As in the environment, an earlier line does not overrule a later one.
                    parsed.values.insert(name, value);
                }
            }
            Err(_) => problems.push(format!("line {number}: {}", advice(line))),
        }
    }
    if problems.is_empty() {
        parsed.strange = strange(&unknown);
        return Ok(parsed);
    }
    let more = problems.len().saturating_sub(SHOWN);
    problems.truncate(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    Err(format!("lines that are not NAME=value:\n  {}{more}", problems.join("\n  ")))
}

/// The text without a byte order mark.
fn decoded(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is longer than 1 MiB: is this a file of settings?".to_owned());
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16: save it as UTF-8".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        format!("line {line} is not UTF-8: save the file as UTF-8")
    })?;
    Ok(text.strip_prefix(BOM).unwrap_or(text))
}

const OPEN_QUOTE: &str =
    "the quote is not closed on this line: close it, or put the whole value in single quotes";

/// What to do about a line that is not NAME=value. Nothing of the line is in it but the name of a setting.
fn advice(line: &str) -> String {
    let line = line.trim();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let known = Some(name).filter(|name| names::is_setting(name));
    let (named, wanted) =
        (known.map(|name| format!("{name}: ")).unwrap_or_default(), known.unwrap_or("NAME"));
    let rest = rest.trim_start();
    let Some(value) = rest.strip_prefix('=').map(str::trim) else {
        let text = if rest.starts_with(':') {
            format!("use `=` instead of the colon: {wanted}=value")
        } else if known.is_some() {
            format!("there is no `=` after the name: write {wanted}=value")
        } else if line.contains('=') {
            "what stands before `=` is not a name: use letters, digits and `_`".to_owned()
        } else {
            "there is no `=`: write NAME=value, or put `#` before a comment".to_owned()
        };
        return format!("{named}{text}");
    };
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.and_then(|quote| value.get(1..)?.split_once(quote));
    let text = match (quote, inner) {
        (Some(_), None) => OPEN_QUOTE.to_owned(),
        (Some(_), Some(_)) => {
            format!("text follows the closing quote: put the whole value in single quotes: {wanted}='value'")
        }
        (None, _) if value.contains(['"', '\'']) => {
            format!("the value has a quote in it: put the whole value in single quotes: {wanted}='value'")
        }
        (None, _) if value.contains(char::is_whitespace) => {
            format!("a value with spaces needs quotes: {wanted}='value'")
        }
        _ => format!("put the value in single quotes: {wanted}='value'"),
    };
    format!("{named}{text}")
}

/// What to say of names that are no settings. A name is shown only if it is nearly that of a setting: what stands before
/// `=` may be a secret that ends in one.
fn strange(unknown: &[(usize, String)]) -> Vec<String> {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for (line, name) in unknown {
        match names::nearest(name) {
            Some(nearest) => {
                texts.push(format!("line {line}: no setting has the name {name}: did you mean {nearest}?"));
            }
            None => others.push(line.to_string()),
        }
    }
    if !others.is_empty() {
        let more = others.len().saturating_sub(SHOWN);
        others.truncate(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let lines = if others.len() == 1 { "line" } else { "lines" };
        texts.push(format!(
            "{lines} {}{more}: no setting of devrev-batch has this name, so the line is ignored",
            others.join(", ")
        ));
    }
    texts
}

/// Hands out a text one line at a time, so that anyone who reads lines has never taken more of them than it has used.
struct ByLine<'a> {
    text: &'a str,
    /// Lines that were handed out to their ends.
    given: &'a Cell<usize>,
}

impl Read for ByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = memchr::memchr(b'\n', self.text.as_bytes()).map_or(self.text.len(), |end| end + 1);
        let mut taken = end.min(buffer.len());
        while !self.text.is_char_boundary(taken) {
            taken -= 1;
        }
        let (now, rest) = self.text.split_at_checked(taken).unwrap_or((self.text, ""));
        if let Some(to) = buffer.get_mut(..now.len()) {
            to.copy_from_slice(now.as_bytes());
        }
        self.given.set(self.given.get() + usize::from(taken == end && taken > 0));
        self.text = rest;
        Ok(now.len())
    }
}

#[cfg(test)]
#[path = "dotenv_tests.rs"]
mod tests;
