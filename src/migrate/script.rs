//! The text of a migration: its first line, and its statements, each with its line.
//!
//! Statements are cut as the database cuts them, so that an error can name one, and since most of what cannot be done in
//! a transaction has to be sent alone. A cut in the wrong place is a syntax error for the database, and changes nothing.

use crate::source::grammar::Grammar;
use crate::source::sql::{Kind, Token, located_tokens};

/// What a first line begins with that says something to this tool.
const MARK: &str = "devrev-batch:";
/// The most characters of a statement that an error shows.
const SHOWN: usize = 60;
/// Shorter strings are no secrets, but parts of other words.
const SHORTEST_SECRET: usize = 4;
/// Words of statements that may hold a secret: none of their strings is shown.
const SECRETIVE: [&str; 12] = [
    "password",
    "identified",
    "secret",
    "credentials",
    "s3",
    "gcs",
    "mysql",
    "postgresql",
    "mongodb",
    "azureblobstorage",
    "remote",
    "remotesecure",
];

/// What a first line says of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    /// Its statements are not to be put into a transaction.
    pub(crate) no_transaction: bool,
    /// It is for databases with TimescaleDB.
    pub(crate) needs_timescaledb: bool,
}

/// What is wrong with a text, and the number of the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its text, without the semicolon at its end.
    pub(crate) text: String,
    /// The number of its first line.
    pub(crate) line: usize,
    /// The strings that are not to be shown, as they stand in the text.
    secrets: Vec<String>,
}

impl Directives {
    /// Reads what the first line says. A line that says something anywhere else is wrong: it would be passed over.
    pub(crate) fn read(text: &str) -> Result<Self, Wrong> {
        let mut directives = Self::default();
        for (line, words) in (1..).zip(text.lines()).filter_map(|(line, text)| Some((line, directive(text)?)))
        {
            if line > 1 {
                let what = format!("`-- {MARK}` has to be the first line of the file");
                return Err(Wrong { line, what });
            }
            for word in words.split(',').map(|word| word.trim().to_ascii_lowercase()) {
                match word.as_str() {
                    "no transaction" => directives.no_transaction = true,
                    "needs timescaledb" => directives.needs_timescaledb = true,
                    _ => {
                        let word: String = word.chars().take(SHOWN).collect();
                        let what = format!(
                            "`{word}` is not known after `-- {MARK}`: write `no transaction` or `needs timescaledb`, or \
                             both with a comma"
                        );
                        return Err(Wrong { line, what });
                    }
                }
            }
        }
        Ok(directives)
    }
}

/// What a line says after the mark, if it is a comment with one.
fn directive(line: &str) -> Option<&str> {
    let comment = line.trim_start().strip_prefix("--")?.trim_start();
    let begin = comment.get(..MARK.len())?;
    begin.eq_ignore_ascii_case(MARK).then(|| comment.get(MARK.len()..).unwrap_or_default())
}

/// Cuts a text into statements. Fails where it cannot be cut, and at a statement that is not for a migration.
pub(crate) fn statements(text: &str, grammar: Grammar) -> Result<Vec<Statement>, Wrong> {
    if let Some(at) = text.find('\0') {
        return Err(Wrong { line: line_of(text, at), what: "the character NUL is in it".to_owned() });
    }
    let cut = located_tokens(text, grammar.lexis());
    let tokens = cut.map_err(|(at, error)| Wrong {
        line: line_of(text, at),
        what: error.to_string().replace("the query", "it"),
    })?;
    let mut statements = Vec::new();
    let mut rest = tokens.as_slice();
    while let [first, ..] = rest {
        let end = end_of(rest, grammar);
        let (these, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let stop = after.first().map_or(text.len(), |semicolon| semicolon.start);
        rest = after.get(1..).unwrap_or_default();
        if these.is_empty() {
            continue;
        }
        let line = line_of(text, first.start);
        if let Some(what) = unfit(these, grammar) {
            return Err(Wrong { line, what });
        }
        let text = text.get(first.start..stop).unwrap_or_default().trim_end().to_owned();
        statements.push(Statement { text, line, secrets: secrets(these) });
    }
    Ok(statements)
}

/// The number of tokens before the semicolon that ends the first statement.
fn end_of(tokens: &[Token<'_>], grammar: Grammar) -> usize {
    let has_body = has_body(tokens, grammar);
    let mut in_body = false;
    for (place, token) in tokens.iter().enumerate() {
        let before = |back: usize| place.checked_sub(back).and_then(|place| tokens.get(place));
        in_body |= has_body && token.is("BEGIN") && token.depth == 0;
        if !token.is_symbol(";") || token.depth > 0 {
            continue;
        }
        // A body ends with END, after a semicolon or at its very beginning.
        let ends_body = before(1).is_some_and(|last| last.is("END"))
            && before(2).is_some_and(|last| last.is_symbol(";") || last.is("ATOMIC") || last.is("BEGIN"));
        if !in_body || ends_body {
            return place;
        }
    }
    tokens.len()
}

/// Whether a statement may have statements with semicolons in it: a trigger of SQLite's, a function of PostgreSQL's with
/// `BEGIN ATOMIC`.
fn has_body(tokens: &[Token<'_>], grammar: Grammar) -> bool {
    let end = tokens.iter().position(|token| token.is_symbol(";")).unwrap_or(tokens.len());
    let head = tokens.get(..end).unwrap_or_default();
    let makes = |words: &[&str]| {
        head.first().is_some_and(|first| first.is("CREATE"))
            && head.iter().skip(1).take(3).any(|token| words.iter().any(|word| token.is(word)))
    };
    match grammar {
        Grammar::Sqlite => makes(&["TRIGGER"]),
        Grammar::Postgres => {
            makes(&["FUNCTION", "PROCEDURE"])
                && head.windows(2).any(|pair| matches!(pair, [a, b] if a.is("BEGIN") && b.is("ATOMIC")))
        }
        _ => false,
    }
}

/// Why a statement is not for a migration.
fn unfit(tokens: &[Token<'_>], grammar: Grammar) -> Option<String> {
    let is = |place: usize, words: &[&str]| {
        tokens.get(place).is_some_and(|token| words.iter().any(|word| token.is(word)))
    };
    let first = tokens.first().map_or("", |token| token.text).to_ascii_uppercase();
    let in_transactions = matches!(grammar, Grammar::Postgres | Grammar::Sqlite);
    let ends_transaction = is(0, &["BEGIN", "COMMIT", "END", "ABORT"])
        || is(0, &["START", "PREPARE"]) && is(1, &["TRANSACTION"])
        || is(0, &["ROLLBACK"]) && !tokens.iter().any(|token| token.is("TO"));
    if in_transactions && ends_transaction {
        return Some(format!(
            "{first} is not for a migration, which is one transaction itself: leave it out (a file whose first line is \
             `-- {MARK} no transaction` has none)"
        ));
    }
    if grammar == Grammar::Postgres
        && is(0, &["COPY"])
        && tokens.iter().any(|token| token.is("STDIN") || token.is("STDOUT"))
    {
        return Some(
            "COPY ... FROM STDIN has no data here: write INSERT, or load the rows afterwards".to_owned(),
        );
    }
    if grammar == Grammar::Postgres && first == "\\" {
        return Some("a line with a backslash is for psql: leave it out".to_owned());
    }
    if grammar == Grammar::Clickhouse && is(0, &["SET", "USE"]) {
        return Some(format!(
            "{first} has no effect on the next statement, which is a request of its own: write SETTINGS in the statement, \
             or the database before the name of the table"
        ));
    }
    None
}

/// The strings of a statement that may hold a secret, as they stand in it.
fn secrets(tokens: &[Token<'_>]) -> Vec<String> {
    let is_secretive = |token: &Token<'_>| match token.kind {
        Kind::Word => SECRETIVE.iter().any(|word| token.is(word)),
        // The body of a function, or what it executes.
        Kind::Text => {
            let text = token.text.to_ascii_lowercase();
            text.contains("password") || text.contains("identified by")
        }
        _ => false,
    };
    if !tokens.iter().any(is_secretive) {
        return Vec::new();
    }
    tokens.iter().filter(|token| token.kind == Kind::Text).map(|token| token.text.to_owned()).collect()
}

impl Statement {
    /// Its beginning, for an error: on one line and without secrets.
    pub(crate) fn head(&self) -> String {
        let words: Vec<_> = self.masked().split_whitespace().map(str::to_owned).collect();
        let text = words.join(" ");
        let cut = text.char_indices().nth(SHOWN).map(|(end, _)| end);
        cut.map_or(text.clone(), |end| format!("{}...", text.get(..end).unwrap_or_default()))
    }

    /// All of it without secrets.
    pub(crate) fn masked(&self) -> String {
        self.secrets.iter().fold(self.text.clone(), |text, secret| text.replace(secret.as_str(), "'...'"))
    }

    /// What a database says of this statement, without its secrets: it may say a part of the text again.
    pub(crate) fn mask(&self, text: &str) -> String {
        let parts = self.secrets.iter().flat_map(|secret| secret.split(['\'', '$']));
        parts
            .filter(|part| part.len() >= SHORTEST_SECRET)
            .fold(text.to_owned(), |text, part| text.replace(part, "..."))
    }

    /// The line of the file that has this character of the statement, from 1; its first line where that is not known.
    pub(crate) fn line_at(&self, position: Option<usize>) -> usize {
        let before = self.text.chars().take(position.unwrap_or(1).saturating_sub(1));
        self.line + before.filter(|next| *next == '\n').count()
    }
}

/// The number of the line that has this byte.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
