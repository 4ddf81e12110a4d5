//! `--source snowflake`: which query a command asks, and what its failure means for the command.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::run::signals;
use crate::settings;
use crate::source::snowflake::sql::MAX_SQL_BYTES;
use crate::source::snowflake::{self, Access, Columns, Query, SnowflakeError, Statement};
use crate::source::{Input, header::ColumnError};
use crate::stop::Stop;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a query has to bring, and the query that is asked where the operator gives none.
#[derive(Debug)]
pub struct Table {
    /// The columns; the operator's own query tells by its columns which of them it is about.
    pub columns: Vec<Columns>,
    /// The query.
    pub query: &'static str,
}

/// A query, ready to be asked.
#[derive(Debug, Clone)]
pub struct Asking {
    access: Access,
    query: Query,
    arguments: Vec<String>,
    /// The settings, without secrets: for `run.json`.
    pub record: Map<String, Value>,
}

/// What `--csv`, `--source`, `--query` and `--query-file` come to.
#[derive(Debug)]
pub enum Typed<P> {
    /// A file, or standard input for `-`.
    Csv(P),
    /// A query.
    Snowflake(Box<Asking>),
}

/// Checks what was typed, the settings and the SQL; sends nothing.
pub fn typed<'a>(
    rows: &'a cli::input::RowsArgs,
    table: Table,
    limit: Option<u64>,
    global: &cli::Global,
    client: &cli::client::ClientFlags,
) -> Result<Typed<&'a Path>, Failure> {
    let usage = |text: &str| Err(Failure::new(Exit::Usage, text));
    match (rows.source, &rows.csv) {
        (Some(cli::input::Source::Snowflake), Some(_)) => {
            usage("--csv and --source snowflake exclude each other: give one")
        }
        (Some(cli::input::Source::Snowflake), None) if rows.delimiter.is_some() => {
            usage("--delimiter is for --csv")
        }
        (Some(cli::input::Source::Snowflake), None) => {
            Asking::new(rows, table, limit, global, client).map(|asking| Typed::Snowflake(Box::new(asking)))
        }
        (_, None) => {
            usage("where are the rows? Give --csv PATH (`-` for standard input) or --source snowflake")
        }
        (_, Some(_)) if rows.query.is_some() || rows.query_file.is_some() => {
            usage("--query and --query-file are for --source snowflake")
        }
        (_, Some(csv)) => Ok(Typed::Csv(csv)),
    }
}

impl Asking {
    fn new(
        rows: &cli::input::RowsArgs,
        table: Table,
        limit: Option<u64>,
        global: &cli::Global,
        client: &cli::client::ClientFlags,
    ) -> Result<Self, Failure> {
        let mut arguments = vec!["--source".to_owned(), "snowflake".to_owned()];
        let Table { columns, query } = table;
        let statement = match (&rows.query, &rows.query_file) {
            (Some(sql), _) => {
                arguments.extend(["--query".to_owned(), sql.clone()]);
                checked(sql, "--query")?
            }
            (None, Some(path)) => {
                arguments.extend(["--query-file".to_owned(), path.display().to_string()]);
                checked(&read_query(path)?, &format!("--query-file {}", path.display()))?
            }
            (None, None) => checked(query, "the default query")?,
        };
        let (access, record) = settings::snowflake::resolve(global, client)?;
        Ok(Self { access, query: Query { statement, columns, limit }, arguments, record })
    }

    /// The operator's query or the default, as it was checked.
    pub fn sql(&self) -> &str {
        &self.query.statement.text
    }

    /// Asks, and keeps the rows in a new file at `to`. Blocks.
    pub fn spool(&self, to: &Path, stop: &Stop) -> Result<Input, Failure> {
        let asked = snowflake::spool(&self.access, &self.query, to, stop);
        let spooled = tokio::runtime::Handle::current().block_on(asked).map_err(|error| match error {
            SnowflakeError::Interrupted => {
                signals::interrupted(stop, "interrupted while Snowflake was asked")
            }
            error => failure(&error),
        })?;
        if let Some(note) = &spooled.note {
            tracing::warn!("{note}");
        }
        Ok(Input::queried(to, Some(spooled.fingerprint), self.arguments.clone()))
    }
}

fn checked(sql: &str, from: &str) -> Result<Statement, Failure> {
    Statement::parse(sql)
        .map_err(|error| Failure::new(Exit::Usage, format!("{from}: {error}; nothing was sent")))
}

fn read_query(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("--query-file {}: {error}", path.display()))
    };
    let mut text = String::new();
    // A byte more than is taken: the check then says that it is too long.
    File::open(path)
        .map_err(failed)?
        .take(MAX_SQL_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// What a failure of Snowflake's means for a command that has sent nothing to DevRev yet.
pub fn failure(error: &SnowflakeError) -> Failure {
    let (exit, next) = match error {
        SnowflakeError::Login { .. } => {
            let next = "; check SNOWFLAKE_USER and SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH";
            (Exit::Credentials, next)
        }
        SnowflakeError::Session { .. } => (Exit::Credentials, "; begin again"),
        SnowflakeError::Refused { .. } | SnowflakeError::Account { .. } | SnowflakeError::Key(_) => {
            (Exit::Usage, "")
        }
        SnowflakeError::Columns(ColumnError::Missing(_)) => (Exit::Usage, "; name them in the query with AS"),
        SnowflakeError::Columns(_) => (Exit::Usage, ""),
        SnowflakeError::Unreachable { .. } => (Exit::Stopped, "; nothing was sent to DevRev: begin again"),
        SnowflakeError::Answer(_) | SnowflakeError::Disk { .. } | SnowflakeError::Interrupted => {
            (Exit::Unexpected, "")
        }
    };
    Failure::new(exit, format!("{error}{next}"))
}
