//! The list of sources that rows come from: what `--source` names, opened as a [`Source`](crate::source::Source). A new source is a file or
//! folder under [`crate::source`], a file here that opens it by its settings, and an arm in [`rows`].

#[cfg(feature = "clickhouse")]
mod clickhouse;
pub(crate) mod jsonl;
mod metabase;
#[cfg(feature = "sql")]
mod postgres;
mod queried;
#[cfg(feature = "snowflake")]
pub(crate) mod snowflake;
#[cfg(feature = "sql")]
mod sqlite;

use crate::cli;
use crate::cli::choices::word;
use crate::cli::input::Source;
use crate::exit::{Exit, Failure};
use crate::run::begin::RowsFrom;
use crate::run::scan::source_failure;
use crate::source::Input;
use crate::source::grammar::Grammar;
use crate::source::query::{Columns, Query, Table};
use crate::source::sql::{MAX_SQL_BYTES, Statement};
use crate::stop::Stop;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The flags of every command that reads rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typed<'a> {
    /// Which rows.
    pub rows: &'a cli::input::RowsArgs,
    /// Flags of every command.
    pub global: &'a cli::Global,
    /// How often to retry.
    pub client: &'a cli::client::ClientFlags,
}

/// A query that is to be asked, and the flags that came with it.
#[derive(Debug)]
struct Asking<'a> {
    query: Query,
    /// The arguments that ask for the same rows again.
    arguments: Vec<String>,
    global: &'a cli::Global,
    client: &'a cli::client::ClientFlags,
}

/// The rows that the command line names. Checks the flags, the settings and the SQL; sends nothing. `limit` is passed
/// on to a source.
pub(crate) fn rows(typed: Typed<'_>, table: Table, limit: Option<u64>) -> Result<RowsFrom<'_>, Failure> {
    let flags = typed.rows;
    let source = flags.source();
    check(flags, source)?;
    match (source, &flags.csv) {
        (Source::Csv, Some(csv)) => {
            return Ok(RowsFrom::Csv(csv, cli::dialect(flags.delimiter.as_deref())?));
        }
        (Source::Csv, None) => return Err(no_input()),
        (Source::Jsonl, _) => {
            // A file without objects has no columns, and the rows that are kept of it need a header.
            let any = || vec![Columns { required: &["id"], ..Columns::default() }];
            let columns = if table.columns.is_empty() { any() } else { table.columns };
            return jsonl::open(flags, columns, limit).map(RowsFrom::Source);
        }
        _ => {}
    }
    let asking = |grammar: Grammar| Asking::new(typed, table, limit, grammar);
    let opened = match source {
        Source::Metabase => metabase::open(asking(Grammar::Any)?),
        #[cfg(feature = "snowflake")]
        Source::Snowflake => snowflake::open(asking(Grammar::Snowflake)?),
        #[cfg(feature = "sql")]
        Source::Postgres => postgres::open(asking(Grammar::Postgres)?),
        #[cfg(feature = "sql")]
        Source::Sqlite => sqlite::open(asking(Grammar::Sqlite)?),
        #[cfg(feature = "clickhouse")]
        Source::Clickhouse => clickhouse::open(asking(Grammar::Clickhouse)?),
        other => Err(not_in_this_build(other)),
    };
    opened.map(RowsFrom::Source)
}

/// Whether the flags fit the source that they go with.
fn check(flags: &cli::input::RowsArgs, source: Source) -> Result<(), Failure> {
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    let has_query = flags.query.is_some() || flags.query_file.is_some();
    match source {
        Source::Csv | Source::Jsonl if has_query => {
            let databases = Source::DATABASES.map(|source| word(&source)).join(", ");
            usage(format!("--query and --query-file are for --source with one of {databases}"))
        }
        Source::Csv if flags.jsonl.is_some() => {
            usage("--jsonl and --source csv exclude each other: give one".to_owned())
        }
        Source::Csv => Ok(()),
        // `--source jsonl --csv PATH` names the file, too.
        Source::Jsonl if flags.csv.is_some() && flags.delimiter.is_none() => Ok(()),
        _ if flags.csv.is_some() && source != Source::Jsonl => {
            usage(format!("--csv and --source {} exclude each other: give one", word(&source)))
        }
        _ if flags.delimiter.is_some() => usage("--delimiter is for --csv".to_owned()),
        Source::Jsonl => Ok(()),
        _ if flags.jsonl.is_some() => {
            usage(format!("--jsonl and --source {} exclude each other: give one", word(&source)))
        }
        _ => Ok(()),
    }
}

fn no_input() -> Failure {
    let text =
        "no input: give --csv PATH or --jsonl PATH (`-` for standard input), or --source with a database";
    Failure::new(Exit::Usage, text)
}

fn not_in_this_build(source: Source) -> Failure {
    let (word, feature) = (word(&source), source.feature());
    let text = format!("--source {word}: this build leaves it out; build it with --features {feature}");
    Failure::new(Exit::Usage, text)
}

/// Gets at rows for a command that begins no run. Blocks; what is no CSV file is copied to a new one at the path.
pub(crate) type Fetch = Box<dyn FnOnce(&Path, &Stop) -> Result<Input, Failure> + Send>;

/// What gets at these rows.
pub(crate) fn fetch(rows: RowsFrom<'_>) -> Fetch {
    match rows {
        RowsFrom::Csv(path, dialect) => {
            let path = path.to_owned();
            Box::new(move |spool, _| {
                let input = if path == Path::new("-") {
                    Input::stdin(spool).map_err(|error| source_failure(&error))?
                } else {
                    Input::file(&path)
                };
                Ok(input.read_as(dialect))
            })
        }
        RowsFrom::Source(source) => Box::new(move |spool, stop| source.spool(spool, stop)),
        RowsFrom::Made(_) | RowsFrom::Again(..) => {
            Box::new(|_, _| Err(Failure::new(Exit::Unexpected, "a defect: these rows are a run's own")))
        }
    }
}

impl<'a> Asking<'a> {
    /// The operator's query, or the default one.
    fn new(typed: Typed<'a>, table: Table, limit: Option<u64>, grammar: Grammar) -> Result<Self, Failure> {
        let Typed { rows: flags, global, client } = typed;
        let Table { columns, query } = table;
        let statement = match (&flags.query, &flags.query_file) {
            (Some(sql), _) => checked(sql, "--query", grammar)?,
            (None, Some(path)) => {
                checked(&read_query(path)?, &format!("--query-file {}", path.display()), grammar)?
            }
            (None, None) if query.is_empty() => {
                return Err(Failure::new(Exit::Usage, "no query: give --query SQL or --query-file FILE"));
            }
            (None, None) => checked(query, "the default query", grammar)?,
        };
        let query = Query { statement, grammar, columns, limit };
        Ok(Self { query, arguments: arguments(flags), global, client })
    }
}

fn arguments(flags: &cli::input::RowsArgs) -> Vec<String> {
    let mut arguments = vec!["--source".to_owned(), word(&flags.source())];
    if let Some(sql) = &flags.query {
        arguments.extend(["--query".to_owned(), sql.clone()]);
    } else if let Some(path) = &flags.query_file {
        arguments.extend(["--query-file".to_owned(), path.display().to_string()]);
    }
    arguments
}

fn checked(sql: &str, from: &str, grammar: Grammar) -> Result<Statement, Failure> {
    Statement::parse(sql, grammar).map_err(|error| {
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
