//! The list of sources that rows are queried from: what `--source` names, opened as a [`Source`]. A new source is a
//! folder under [`crate::source`], a file here that opens it by its settings, and an arm in [`rows`].

#[cfg(feature = "sql")]
mod database;
mod json_lines;
#[cfg(feature = "snowflake")]
pub(crate) mod snowflake;
mod web;

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::run::begin::RowsFrom;
use crate::source::Source;
use crate::source::query::{Query, Table};
use crate::source::sql::{MAX_SQL_BYTES, Statement};
use serde_json::Map;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The flags of every command that reads rows.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "snowflake", feature = "sql")),
    allow(dead_code, reason = "for sources that have settings")
)]
pub(crate) struct Typed<'a> {
    /// Which rows.
    pub rows: &'a cli::input::RowsArgs,
    /// Flags of every command.
    pub global: &'a cli::Global,
    /// How often to retry.
    pub client: &'a cli::client::ClientFlags,
}

/// The rows that the command line names. Checks the flags, the settings and the SQL; sends nothing. `limit` is passed
/// on to a query.
pub(crate) fn rows(typed: Typed<'_>, table: Table, limit: Option<u64>) -> Result<RowsFrom<'_>, Failure> {
    use cli::input::Source::{Clickhouse, Csv, Jsonl, Metabase, Postgres, Snowflake, Sqlite};
    let usage = |text: &str| Err(Failure::new(Exit::Usage, text));
    let flags = typed.rows;
    let source = flags.source.unwrap_or(Csv);
    let is_file = matches!(source, Csv | Jsonl);
    match (source, &flags.csv) {
        (Csv | Jsonl, None) => {
            usage("no input: give --csv PATH (`-` for standard input) or --source snowflake")
        }
        (Csv | Jsonl, Some(_)) if flags.query.is_some() || flags.query_file.is_some() => {
            usage("--query and --query-file are for sources that are queried: give --source")
        }
        (other, Some(_)) if !is_file => {
            let text =
                format!("--csv and --source {} exclude each other: give one", cli::choices::word(&other));
            Err(Failure::new(Exit::Usage, text))
        }
        (Jsonl | Snowflake | Postgres | Sqlite | Clickhouse | Metabase, _) if flags.delimiter.is_some() => {
            usage("--delimiter is for CSV files")
        }
        (Csv, Some(csv)) => Ok(RowsFrom::Csv(csv, cli::dialect(flags.delimiter.as_deref())?)),
        (Jsonl, Some(from)) => Ok(RowsFrom::Queried(Box::new(json_lines::Lines {
            from: from.clone(),
            columns: table.columns,
            limit,
            arguments: [arguments(flags), vec!["--csv".to_owned(), from.display().to_string()]].concat(),
            record: Map::new(),
        }))),
        (Snowflake, _) => open_snowflake(typed, query(flags, table, limit)?).map(RowsFrom::Queried),
        (Postgres, _) => open_database(typed, Database::Postgres, query(flags, table, limit)?),
        (Sqlite, _) => open_database(typed, Database::Sqlite, query(flags, table, limit)?),
        (Clickhouse, _) => web::Queried::clickhouse(
            query(flags, table, limit)?,
            arguments(flags),
            typed.global,
            typed.client,
        )
        .map(|source| RowsFrom::Queried(Box::new(source))),
        (Metabase, _) => {
            web::Queried::metabase(query(flags, table, limit)?, arguments(flags), typed.global, typed.client)
                .map(|source| RowsFrom::Queried(Box::new(source)))
        }
    }
}

/// The databases that one connector opens.
#[derive(Debug, Clone, Copy)]
enum Database {
    Postgres,
    Sqlite,
}

#[cfg(feature = "sql")]
fn open_database(typed: Typed<'_>, database: Database, query: Query) -> Result<RowsFrom<'_>, Failure> {
    let kind = match database {
        Database::Postgres => crate::source::database::Kind::Postgres,
        Database::Sqlite => crate::source::database::Kind::Sqlite,
    };
    let source = database::Queried::new(kind, query, arguments(typed.rows), typed.global)?;
    Ok(RowsFrom::Queried(Box::new(source)))
}

#[cfg(not(feature = "sql"))]
fn open_database(_typed: Typed<'_>, database: Database, _query: Query) -> Result<RowsFrom<'_>, Failure> {
    let text = format!("--source {database:?}: this build has no databases; build it with --features sql");
    Err(Failure::new(Exit::Usage, text.to_lowercase()))
}

#[cfg(feature = "snowflake")]
fn open_snowflake(typed: Typed<'_>, query: Query) -> Result<Box<dyn Source>, Failure> {
    let arguments = arguments(typed.rows);
    Ok(Box::new(snowflake::Queried::new(query, arguments, typed.global, typed.client)?))
}

#[cfg(not(feature = "snowflake"))]
fn open_snowflake(_typed: Typed<'_>, _query: Query) -> Result<Box<dyn Source>, Failure> {
    let text = "--source snowflake: this build has no Snowflake; build it with --features snowflake";
    Err(Failure::new(Exit::Usage, text))
}

/// The arguments that ask for the same rows again.
fn arguments(flags: &cli::input::RowsArgs) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(source) = flags.source {
        arguments.extend(["--source".to_owned(), cli::choices::word(&source)]);
    }
    if let Some(sql) = &flags.query {
        arguments.extend(["--query".to_owned(), sql.clone()]);
    } else if let Some(path) = &flags.query_file {
        arguments.extend(["--query-file".to_owned(), path.display().to_string()]);
    }
    arguments
}

/// The operator's query, or the default one.
fn query(flags: &cli::input::RowsArgs, table: Table, limit: Option<u64>) -> Result<Query, Failure> {
    let Table { columns, query } = table;
    let statement = match (&flags.query, &flags.query_file) {
        (Some(sql), _) => checked(sql, "--query")?,
        (None, Some(path)) => checked(&read_query(path)?, &format!("--query-file {}", path.display()))?,
        (None, None) if query.is_empty() => {
            return Err(Failure::new(Exit::Usage, "no query: give --query SQL or --query-file FILE"));
        }
        (None, None) => checked(query, "the default query")?,
    };
    Ok(Query { statement, columns, limit })
}

fn checked(sql: &str, from: &str) -> Result<Statement, Failure> {
    Statement::parse(sql).map_err(|error| {
        Failure::new(Exit::Usage, format!("{from}: {error}; nothing was sent")).because(error)
    })
}

fn read_query(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("--query-file {}: {error}", path.display())).because(error)
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
