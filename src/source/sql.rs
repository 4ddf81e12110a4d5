//! The operator's SQL: one SELECT or WITH statement, and nothing else. Looked at before anything is sent.
//!
//! `snowflake-api` uploads local files for a statement that begins with PUT, and Snowflake's comments, quotes and
//! dollar strings can hide what a statement is. So the text is cut into tokens as Snowflake cuts it. Whatever
//! passes is sent only within a sub-select, where Snowflake itself takes nothing but a query.

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
    /// By its name, as Snowflake stores it.
    Name(String),
    /// By its place, from 1.
    Place(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Number,
    Symbol,
    Text,
}

/// A piece of the text; comments and white space are none.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    start: usize,
    /// How many parentheses are open where it stands.
    depth: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

impl Statement {
    /// Takes a text for a query, or says why not.
    pub fn parse(sql: &str) -> Result<Self, SqlError> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(SqlError::TooLong);
        }
        let mut tokens = tokens(sql)?;
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
        if tokens.iter().any(|token| token.is_symbol("->>")) {
            return Err(SqlError::Several);
        }
        let top: Vec<Token<'_>> = tokens.iter().copied().filter(|token| token.depth == 0).collect();
        let procedure = top.windows(2).any(|pair| matches!(pair, [a, b] if a.is("AS") && b.is("PROCEDURE")));
        if procedure || !top.iter().any(|token| token.is("SELECT")) {
            return Err(SqlError::NoSelect);
        }
        Ok(Self { text: text.trim().to_owned(), order: order(&tokens) })
    }
}

/// Cuts a text into tokens; fails where parentheses, quotes or comments are not closed.
fn tokens(sql: &str) -> Result<Vec<Token<'_>>, SqlError> {
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0_usize, 0_usize);
    while let Some(next) = sql.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = sql.get(at..).unwrap_or_default();
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        if rest.starts_with("--") || rest.starts_with("//") {
            at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            continue;
        }
        if rest.starts_with("/*") {
            at += rest.find("*/").ok_or(SqlError::Unclosed("a comment"))? + 2;
            continue;
        }
        let (kind, length) = match next {
            '\'' => (Kind::Text, quoted(rest, '\'', true).ok_or(SqlError::Unclosed("a string"))?),
            '"' => (Kind::Quoted, quoted(rest, '"', false).ok_or(SqlError::Unclosed("a quoted name"))?),
            '$' if rest.starts_with("$$") => {
                let body = rest.get(2..).unwrap_or_default();
                (Kind::Text, body.find("$$").ok_or(SqlError::Unclosed("a $$ string"))? + 4)
            }
            _ if next.is_alphabetic() || next == '_' || next == '$' => (Kind::Word, word(rest)),
            _ if next.is_ascii_digit() => (Kind::Number, word(rest)),
            '-' if rest.starts_with("->>") => (Kind::Symbol, 3),
            _ => (Kind::Symbol, next.len_utf8()),
        };
        if kind == Kind::Symbol && next == ')' {
            depth = depth.checked_sub(1).ok_or(SqlError::Parentheses)?;
        }
        tokens.push(Token { kind, text: rest.get(..length).unwrap_or_default(), start: at, depth });
        if kind == Kind::Symbol && next == '(' {
            depth += 1;
        }
        at += length;
    }
    if depth == 0 { Ok(tokens) } else { Err(SqlError::Parentheses) }
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
fn order(tokens: &[Token<'_>]) -> Order {
    let begins = |pair: &[Token<'_>]| matches!(pair, [a, b] if a.depth == 0 && a.is("ORDER") && b.is("BY"));
    let Some(place) = tokens.windows(2).rposition(begins) else { return Order::None };
    let ends = |token: &&Token<'_>| {
        !(token.depth == 0 && ["LIMIT", "OFFSET", "FETCH"].iter().any(|word| token.is(word)))
    };
    let items: Vec<Token<'_>> = tokens.iter().skip(place + 2).take_while(ends).copied().collect();
    let items = items.split(|token| token.depth == 0 && token.is_symbol(","));
    items.map(item).collect::<Option<Vec<_>>>().map_or(Order::Other, Order::Columns)
}

fn item(tokens: &[Token<'_>]) -> Option<(By, String)> {
    let (first, suffix) = tokens.split_first()?;
    let by = match first.kind {
        Kind::Number => By::Place(first.text.parse().ok().filter(|place| *place > 0)?),
        Kind::Word => By::Name(first.text.to_uppercase()),
        Kind::Quoted => By::Name(first.text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"")),
        _ => return None,
    };
    let words: Vec<String> = suffix.iter().map(|token| token.text.to_uppercase()).collect();
    let nulls = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ASC" | "DESC", nulls @ ..] | nulls => nulls.to_vec(),
    };
    matches!(nulls.as_slice(), [] | ["NULLS", "FIRST" | "LAST"]).then(|| (by, words.join(" ")))
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
