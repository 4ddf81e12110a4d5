//! The operator's SQL: one SELECT or WITH statement, and nothing else. Looked at before anything is sent.
//!
//! `snowflake-api` uploads local files for a statement that begins with PUT, and a database's comments, quotes and
//! dollar strings can hide what a statement is. So the text is cut into tokens as that database cuts it
//! ([`super::grammar`]). Whatever passes is sent only within a sub-select, where databases take nothing but a query.

use super::grammar::{Grammar, Lexis};

/// The longest statement that is taken, in bytes: Snowflake's own limit.
pub const MAX_SQL_BYTES: usize = 1 << 20;

/// Why a text is not taken for a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// Nothing but white space and comments.
    #[error("the query is empty")]
    Empty,
    /// It is no SELECT and no WITH.
    #[error("the query begins with `{0}`: only one SELECT or WITH statement is accepted")]
    NotAQuery(String),
    /// Something stands after the semicolon.
    #[error("the query holds several statements: only one SELECT or WITH statement is accepted")]
    Several,
    /// WITH and no SELECT, or a procedure.
    #[error("the query's WITH is not followed by a SELECT: only one SELECT or WITH statement is accepted")]
    NoSelect,
    /// A part of it writes.
    #[error("the query has {0} in it: only one SELECT or WITH statement that reads is accepted")]
    Writes(&'static str),
    /// The character that ends a text for some databases.
    #[error("the query has the character NUL in it")]
    Nul,
    /// Parentheses that do not match.
    #[error("the query's parentheses do not match")]
    Parentheses,
    /// A quote, a dollar string or a comment without its end.
    #[error("the query ends within {0}")]
    Unclosed(&'static str),
    /// Longer than [`MAX_SQL_BYTES`].
    #[error("the query is longer than 1 MiB")]
    TooLong,
}

/// A query that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without a semicolon at the end.
    pub text: String,
    /// Its own order.
    pub order: Order,
}

/// What a query says of the order of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    None,
    /// Columns of its result, each with what stands after it (`DESC NULLS LAST`).
    Columns(Vec<(By, String)>),
    /// Anything else: it cannot be said outside of the query.
    Other,
}

/// A column of a result in an ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By its name, as the database stores it.
    Name(String),
    /// By its place, from 1.
    Place(usize),
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Quoted,
    Number,
    Symbol,
    Text,
}

/// A piece of the text; comments and white space are none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// How many parentheses are open where it stands.
    pub(crate) depth: usize,
}

impl Token<'_> {
    pub(crate) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

impl Statement {
    /// Takes a text for a query, or says why not.
    pub fn parse(sql: &str, grammar: Grammar) -> Result<Self, SqlError> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(SqlError::TooLong);
        }
        if sql.contains('\0') {
            return Err(SqlError::Nul);
        }
        let mut judged = grammar.all().iter().map(|grammar| Self::judge(sql, *grammar));
        let first = judged.next().unwrap_or(Err(SqlError::Empty))?;
        for other in judged {
            // What is one statement for each of them, but not the same one, is not to be sent.
            if other?.text != first.text {
                return Err(SqlError::Several);
            }
        }
        Ok(first)
    }

    fn judge(sql: &str, grammar: Grammar) -> Result<Self, SqlError> {
        let lexis = grammar.lexis();
        let mut tokens = tokens(sql, lexis)?;
        let mut text = sql;
        if let Some(place) = tokens.iter().position(|token| token.is_symbol(";")) {
            if tokens.iter().skip(place).any(|token| !token.is_symbol(";")) {
                return Err(SqlError::Several);
            }
            text = sql.get(..tokens.get(place).map_or(0, |token| token.start)).unwrap_or_default();
            tokens.truncate(place);
        }
        let first = tokens.first().ok_or(SqlError::Empty)?;
        if !first.is("SELECT") && !first.is("WITH") {
            return Err(SqlError::NotAQuery(first.text.chars().take(20).collect::<String>().to_uppercase()));
        }
        if lexis.flow && tokens.iter().any(|token| token.is_symbol("->>")) {
            return Err(SqlError::Several);
        }
        if let Some(word) = tokens.windows(3).find_map(writes) {
            return Err(SqlError::Writes(word));
        }
        let top: Vec<Token<'_>> = tokens.iter().copied().filter(|token| token.depth == 0).collect();
        let written = top.windows(2).find_map(|pair| match pair {
            [a, b] if a.is("INSERT") && b.is("INTO") => Some("INSERT"),
            [a, b] if a.is("DELETE") && b.is("FROM") => Some("DELETE"),
            [a, b] if a.is("MERGE") && b.is("INTO") => Some("MERGE"),
            [_, b] if b.is("INTO") => Some("INTO"),
            _ => None,
        });
        if let Some(word) = written {
            return Err(SqlError::Writes(word));
        }
        let procedure = top.windows(2).any(|pair| matches!(pair, [a, b] if a.is("AS") && b.is("PROCEDURE")));
        if procedure || !top.iter().any(|token| token.is("SELECT")) {
            return Err(SqlError::NoSelect);
        }
        Ok(Self { text: text.trim().to_owned(), order: order(&tokens, grammar) })
    }
}

/// The word by which a part of a query changes something, such as `WITH x AS (DELETE FROM ...)`.
fn writes(part: &[Token<'_>]) -> Option<&'static str> {
    let [open, word, next] = part else { return None };
    if !open.is_symbol("(") {
        return None;
    }
    let follows = |verb: &str, second: &str| word.is(verb) && next.is(second);
    match () {
        () if follows("INSERT", "INTO") => Some("INSERT"),
        () if follows("DELETE", "FROM") => Some("DELETE"),
        () if follows("MERGE", "INTO") => Some("MERGE"),
        () if word.is("UPDATE") && matches!(next.kind, Kind::Word | Kind::Quoted) => Some("UPDATE"),
        () => None,
    }
}

/// Cuts a text into tokens; fails where parentheses, quotes or comments are not closed.
fn tokens(sql: &str, lexis: Lexis) -> Result<Vec<Token<'_>>, SqlError> {
    located_tokens(sql, lexis).map_err(|(_, error)| error)
}

/// The same; an error comes with the place, in bytes, of what is not closed.
pub(crate) fn located_tokens(sql: &str, lexis: Lexis) -> Result<Vec<Token<'_>>, (usize, SqlError)> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let (mut at, mut depth) = (0_usize, 0_usize);
    let mut opened = Vec::new();
    while let Some(next) = sql.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = sql.get(at..).unwrap_or_default();
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let is_hash = || lexis.hashes && (rest.starts_with("# ") || rest.starts_with("#!"));
        if rest.starts_with("--") || (lexis.slashes && rest.starts_with("//")) || is_hash() {
            at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            continue;
        }
        if rest.starts_with("/*") {
            at += comment(rest, lexis.nests).ok_or((at, SqlError::Unclosed("a comment")))?;
            continue;
        }
        let (kind, length) = match next {
            '\'' => {
                let is_e = |last: &Token<'_>| last.is("E") && last.start + 1 == at;
                let backslash = lexis.backslash || (lexis.e_strings && tokens.last().is_some_and(is_e));
                (Kind::Text, quoted(rest, '\'', backslash).ok_or((at, SqlError::Unclosed("a string")))?)
            }
            '"' => {
                let backslash = lexis.backslash && lexis.backticks;
                (Kind::Quoted, quoted(rest, '"', backslash).ok_or((at, SqlError::Unclosed("a quoted name")))?)
            }
            '`' if lexis.backticks => (
                Kind::Quoted,
                quoted(rest, '`', lexis.backslash).ok_or((at, SqlError::Unclosed("a quoted name")))?,
            ),
            '[' if lexis.brackets => {
                (Kind::Quoted, rest.find(']').ok_or((at, SqlError::Unclosed("a quoted name")))? + 1)
            }
            '$' if dollars(rest, lexis).is_some() => {
                let mark = dollars(rest, lexis).unwrap_or_default();
                let body = rest.get(mark.len()..).unwrap_or_default();
                (Kind::Text, body.find(mark).ok_or((at, SqlError::Unclosed("a $$ string")))? + 2 * mark.len())
            }
            _ if next.is_alphabetic() || next == '_' || next == '$' => (Kind::Word, word(rest)),
            _ if next.is_ascii_digit() => (Kind::Number, word(rest)),
            '-' if rest.starts_with("->>") => (Kind::Symbol, 3),
            _ => (Kind::Symbol, next.len_utf8()),
        };
        if kind == Kind::Symbol && next == ')' {
            depth = depth.checked_sub(1).ok_or((at, SqlError::Parentheses))?;
            opened.pop();
        }
        tokens.push(Token { kind, text: rest.get(..length).unwrap_or_default(), start: at, depth });
        if kind == Kind::Symbol && next == '(' {
            depth += 1;
            opened.push(at);
        }
        at += length;
    }
    opened.pop().map_or(Ok(tokens), |open| Err((open, SqlError::Parentheses)))
}

/// The length of the comment that a text begins with.
fn comment(text: &str, nests: bool) -> Option<usize> {
    let (mut at, mut depth) = (2, 1);
    loop {
        let rest = text.get(at..)?;
        let end = rest.find("*/")?;
        if let Some(begin) = rest.find("/*").filter(|begin| nests && *begin < end) {
            depth += 1;
            at += begin + 2;
        } else {
            depth -= 1;
            at += end + 2;
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The mark that a dollar string begins and ends with, if a text begins with one: `$$`, or `$name$`.
fn dollars(text: &str, lexis: Lexis) -> Option<&str> {
    if !lexis.dollars {
        return None;
    }
    let end = text.get(1..)?.find('$')? + 1;
    let name = text.get(1..end)?;
    let is_name =
        |(at, next): (usize, char)| next.is_alphabetic() || next == '_' || (at > 0 && next.is_numeric());
    let fits = if lexis.tags { name.char_indices().all(is_name) } else { name.is_empty() };
    fits.then(|| text.get(..=end)).flatten()
}

/// The length of what begins with a quote, both quotes included. A doubled quote does not end it, nor does one
/// after a backslash in a string.
fn quoted(text: &str, quote: char, backslash: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, next)) = chars.next() {
        if next == '\\' && backslash {
            chars.next();
        } else if next == quote && chars.next_if(|(_, after)| *after == quote).is_none() {
            return Some(at + 1);
        }
    }
    None
}

fn word(text: &str) -> usize {
    text.find(|next: char| !(next.is_alphanumeric() || next == '_' || next == '$')).unwrap_or(text.len())
}

/// The order that stands at the end of a query, not in a part of it.
fn order(tokens: &[Token<'_>], grammar: Grammar) -> Order {
    let begins = |pair: &[Token<'_>]| matches!(pair, [a, b] if a.depth == 0 && a.is("ORDER") && b.is("BY"));
    let Some(place) = tokens.windows(2).rposition(begins) else { return Order::None };
    let ends = |token: &&Token<'_>| {
        !(token.depth == 0 && ["LIMIT", "OFFSET", "FETCH"].iter().any(|word| token.is(word)))
    };
    let items: Vec<Token<'_>> = tokens.iter().skip(place + 2).take_while(ends).copied().collect();
    let items = items.split(|token| token.depth == 0 && token.is_symbol(","));
    items.map(|tokens| item(tokens, grammar)).collect::<Option<Vec<_>>>().map_or(Order::Other, Order::Columns)
}

fn item(tokens: &[Token<'_>], grammar: Grammar) -> Option<(By, String)> {
    let (first, suffix) = tokens.split_first()?;
    let by = match first.kind {
        Kind::Number => By::Place(first.text.parse().ok().filter(|place| *place > 0)?),
        Kind::Word => By::Name(grammar.folded(first.text)),
        Kind::Quoted => By::Name(unquoted(first.text)?),
        _ => return None,
    };
    let words: Vec<String> = suffix.iter().map(|token| token.text.to_uppercase()).collect();
    let nulls = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ASC" | "DESC", nulls @ ..] | nulls => nulls.to_vec(),
    };
    matches!(nulls.as_slice(), [] | ["NULLS", "FIRST" | "LAST"]).then(|| (by, words.join(" ")))
}

/// The name that is in quotes, backticks or brackets.
fn unquoted(text: &str) -> Option<String> {
    let quote = text.get(..1)?;
    let name = text.get(1..text.len() - 1)?;
    Some(if quote == "[" { name.to_owned() } else { name.replace(&quote.repeat(2), quote) })
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
