//! The SQL of each database, as far as a query is looked at here and put into another one.

/// Whose SQL a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grammar {
    /// Snowflake's.
    Snowflake,
    /// PostgreSQL's.
    Postgres,
    /// SQLite's.
    Sqlite,
    /// ClickHouse's.
    Clickhouse,
    /// That of a database which is not known: whatever each of the others takes for one query.
    Any,
}

/// How a text is cut into tokens.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(crate) struct Lexis {
    /// `//` begins a comment.
    pub(super) slashes: bool,
    /// `#` begins a comment, before a space or `!`.
    pub(super) hashes: bool,
    /// `/* /* */ */` is one comment.
    pub(super) nests: bool,
    /// A backslash in a string takes the next character for itself.
    pub(super) backslash: bool,
    /// It does so in a string after `E`.
    pub(super) e_strings: bool,
    /// A name may stand between the dollars of `$$text$$`.
    pub(super) tags: bool,
    /// Whether there are dollar strings at all.
    pub(super) dollars: bool,
    /// Names in backticks.
    pub(super) backticks: bool,
    /// Names in brackets.
    pub(super) brackets: bool,
    /// `->>` sends the rows of one statement to another.
    pub(super) flow: bool,
}

impl Grammar {
    /// The grammars by which a query is judged.
    pub(super) fn all(self) -> &'static [Self] {
        match self {
            Self::Snowflake => &[Self::Snowflake],
            Self::Postgres => &[Self::Postgres],
            Self::Sqlite => &[Self::Sqlite],
            Self::Clickhouse => &[Self::Clickhouse],
            Self::Any => &[Self::Any, Self::Postgres, Self::Sqlite, Self::Clickhouse],
        }
    }

    pub(crate) fn lexis(self) -> Lexis {
        let plain = Lexis {
            slashes: false,
            hashes: false,
            nests: false,
            backslash: false,
            e_strings: false,
            tags: false,
            dollars: false,
            backticks: false,
            brackets: false,
            flow: false,
        };
        match self {
            Self::Snowflake => Lexis { slashes: true, backslash: true, dollars: true, flow: true, ..plain },
            // As Snowflake cuts, but for the operator of JSON in other databases.
            Self::Any => Lexis { slashes: true, backslash: true, dollars: true, ..plain },
            Self::Postgres => Lexis { nests: true, e_strings: true, dollars: true, tags: true, ..plain },
            Self::Sqlite => Lexis { backticks: true, brackets: true, ..plain },
            Self::Clickhouse => Lexis {
                hashes: true,
                nests: true,
                backslash: true,
                dollars: true,
                tags: true,
                backticks: true,
                ..plain
            },
        }
    }

    /// A name without quotes, as the database stores it.
    pub(super) fn folded(self, name: &str) -> String {
        match self {
            Self::Snowflake => name.to_uppercase(),
            Self::Postgres => name.to_lowercase(),
            Self::Sqlite | Self::Clickhouse | Self::Any => name.to_owned(),
        }
    }

    /// Whether two names are those of one column.
    pub(super) fn is_same(self, one: &str, other: &str) -> bool {
        match self {
            Self::Snowflake | Self::Postgres | Self::Clickhouse => one == other,
            Self::Sqlite | Self::Any => one.eq_ignore_ascii_case(other),
        }
    }

    /// A name in quotes.
    pub(crate) fn quoted(self, name: &str) -> String {
        let name = name.replace('"', "\"\"");
        match self {
            Self::Clickhouse => format!("\"{}\"", name.replace('\\', "\\\\")),
            _ => format!("\"{name}\""),
        }
    }
}
