//! What is known of a table: its columns, its engine, and whether a load may go to it.

use super::kind::Kind;
use super::{ClickhouseStore, quote};
use crate::database::clickhouse::{Session, literal};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::stage::Stage;
use crate::jobs::load_records::store::infer::{self, Kind as Inferred};
use crate::jobs::load_records::store::{Column, Terms};
use crate::stop::Stop;
use std::io;

/// The batches that a new table remembers.
const WINDOW: u64 = 10_000;
/// Fewer are said to be few.
const SMALL_WINDOW: u64 = 1000;
/// The setting of a table that remembers batches, where it is no replicated one.
const PLAIN: &str = "non_replicated_deduplication_window";

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name, and that of its database if it is another one.
    name: String,
    engine: String,
    sorting_key: String,
    /// Its rows now, where ClickHouse knows.
    pub rows: Option<u64>,
    /// Those that it computes too.
    pub columns: Vec<Column>,
    /// Batches that it remembers.
    window: u64,
    /// For how long it does, in seconds, where that has an end.
    pub seconds: Option<i64>,
}

/// The name of a database, and of a table in it.
fn parts(table: &str) -> (Option<&str>, &str) {
    table.split_once('.').map_or((None, table), |(database, table)| (Some(database), table))
}

/// A table's name with its database, in quotes.
pub(super) fn qualified(table: &str) -> String {
    match parts(table) {
        (Some(database), table) => format!("{}.{}", quote(database), quote(table)),
        (None, table) => quote(table),
    }
}

/// The type of a column.
pub(super) fn kind(table: &str, column: &Column) -> Result<Kind, LoadError> {
    Kind::parse(&column.kind).ok_or_else(|| {
        let Column { name, kind, .. } = column;
        let text = if kind.starts_with("MATERIALIZED ") || kind.starts_with("ALIAS ") {
            format!("table `{table}` computes column `{name}` itself ({kind}): leave it out in the transform")
        } else {
            format!(
                "column `{name}` of table `{table}` is a {kind}, for which values cannot be checked before they are sent: make it \
                 another type, such as String, or leave it out in the transform"
            )
        };
        LoadError::Settings(text)
    })
}

impl ClickhouseStore {
    /// A table, if it is there.
    pub(super) async fn table(
        &self,
        session: &Session<'_>,
        name: &str,
        stop: &Stop,
    ) -> Result<Option<Table>, LoadError> {
        let (database, table) = parts(name);
        let database = database.map_or_else(|| "currentDatabase()".to_owned(), literal);
        let table = literal(table);
        let of = |setting: &str, replicated: &str| {
            format!(
                "(SELECT any(value) FROM system.{replicated}merge_tree_settings WHERE name = '{setting}')"
            )
        };
        let sql = format!(
            "SELECT engine, engine_full, sorting_key, ifNull(toString(total_rows), ''), {}, {}, {} FROM system.tables WHERE \
             database = {database} AND name = {table}",
            of(PLAIN, ""),
            of("replicated_deduplication_window", "replicated_"),
            of("replicated_deduplication_window_seconds", "replicated_"),
        );
        let row = self.rows(session, &sql, stop).await?.into_iter().next();
        let Some([engine, full, sorting_key, rows, plain, replicated, seconds]) =
            row.and_then(|row| <[String; 7]>::try_from(row).ok())
        else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT name, type, default_kind FROM system.columns WHERE database = {database} AND table = {table} ORDER BY position"
        );
        let mut columns = Vec::new();
        for row in self.rows(session, &sql, stop).await? {
            let Ok([name, kind, default]) = <[String; 3]>::try_from(row) else { continue };
            let is_computed = matches!(default.as_str(), "MATERIALIZED" | "ALIAS");
            let takes_null = Kind::parse(&kind).is_some_and(|kind| kind.takes_null());
            let required = default.is_empty() && !takes_null;
            columns.push(Column {
                name,
                kind: if is_computed { format!("{default} {kind}") } else { kind },
                required,
            });
        }
        let set = |name: &str, default: &str| setting(&full, name).or_else(|| default.parse().ok());
        let (window, seconds) = if is_replicated(&engine) {
            let seconds = set("replicated_deduplication_window_seconds", &seconds);
            (
                set("replicated_deduplication_window", &replicated),
                seconds.and_then(|seconds| i64::try_from(seconds).ok()),
            )
        } else {
            (set(PLAIN, &plain), None)
        };
        let window = window.filter(|_| engine.ends_with("MergeTree")).unwrap_or(0);
        let rows = rows.parse().ok();
        Ok(Some(Table { name: name.to_owned(), engine, sorting_key, rows, columns, window, seconds }))
    }
}

fn is_replicated(engine: &str) -> bool {
    engine.starts_with("Replicated") || engine.starts_with("Shared")
}

/// A setting of a table, as its engine's definition has it.
fn setting(full: &str, name: &str) -> Option<u64> {
    let (_, settings) = full.rsplit_once("SETTINGS ")?;
    let value =
        settings.split(',').find_map(|setting| setting.trim().strip_prefix(name)?.trim().strip_prefix('='));
    value?.trim().trim_matches('\'').parse().ok()
}

impl Table {
    /// Whether rows of one key become one.
    pub(super) fn is_replacing(&self) -> bool {
        let engine = self.engine.trim_start_matches("Replicated").trim_start_matches("Shared");
        engine == "ReplacingMergeTree"
    }

    /// It, as a query reads it: rows of one key are one.
    pub(super) fn from(&self) -> String {
        format!("{}{}", qualified(&self.name), if self.is_replacing() { " FINAL" } else { "" })
    }

    /// Whether a batch that comes again is no second one.
    pub(super) fn tells_repeats(&self) -> bool {
        self.window > 0
    }

    /// Whether a load can go to it as it should; what there is to say of it.
    pub(super) fn suits(&self, terms: &Terms, at_least_once: bool) -> Result<Vec<String>, LoadError> {
        let Self { name, engine, .. } = self;
        if terms.mode == Mode::Upsert {
            if !self.is_replacing() {
                return Err(LoadError::Settings(format!(
                    "mode upsert needs a table whose engine is ReplacingMergeTree, and `{name}` is {engine}: use mode append, or \
                     another table"
                )));
            }
            // `ORDER BY (id)` is said with its brackets.
            let sorting_key = self.sorting_key.as_str();
            let inner = sorting_key.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
            let sorting_key = inner.unwrap_or(sorting_key);
            let mut sorted: Vec<String> = sorting_key.split(", ").map(unquoted).collect();
            let mut key = terms.table.key.clone();
            sorted.sort();
            key.sort();
            if sorted != key {
                return Err(LoadError::Settings(format!(
                    "mode upsert needs the table's ORDER BY as its key: `{name}` has ORDER BY ({}), and the key is ({})",
                    sorting_key,
                    terms.table.key.join(", ")
                )));
            }
            return Ok(Vec::new());
        }
        if !self.tells_repeats() {
            if at_least_once {
                return Ok(vec![format!(
                    "at least once {name} ({engine}) does not tell repeated batches: a crash can add a batch twice"
                )]);
            }
            let how = if engine == "MergeTree" || (engine.ends_with("MergeTree") && !is_replicated(engine)) {
                format!("ALTER TABLE {name} MODIFY SETTING {PLAIN} = {WINDOW}")
            } else if is_replicated(engine) {
                format!("ALTER TABLE {name} MODIFY SETTING replicated_deduplication_window = {WINDOW}")
            } else {
                "load into a table of the MergeTree family".to_owned()
            };
            return Err(LoadError::Settings(format!(
                "mode append: table `{name}` ({engine}) does not tell repeated batches, so a crash could add a batch twice: {how}, or \
                 set at_least_once: true if that may happen"
            )));
        }
        if self.window < SMALL_WINDOW {
            return Ok(vec![format!(
                "note          {name} remembers only {} batches: of what others write meanwhile, more may make it forget one of this \
                 load's",
                self.window
            )]);
        }
        Ok(Vec::new())
    }
}

/// A column's name in a list of ClickHouse's.
fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
    inner.unwrap_or(name).replace("\\`", "`").replace("\\\\", "\\")
}

/// The statement that makes the table for a slice's records.
pub(in crate::jobs::load_records::store) fn ddl(terms: &Terms, stage: &Stage) -> io::Result<String> {
    let key = &terms.table.key;
    let lines: Vec<String> = infer::columns(stage)?
        .iter()
        .map(|(name, kind)| {
            let kind = type_of(*kind);
            let kind = if key.contains(name) { kind.to_owned() } else { format!("Nullable({kind})") };
            format!("  {} {kind}", quote(name))
        })
        .collect();
    let order: Vec<String> = key.iter().map(|name| quote(name)).collect();
    let order = if order.is_empty() { "tuple()".to_owned() } else { format!("({})", order.join(", ")) };
    let engine = if terms.mode == Mode::Upsert { "ReplacingMergeTree" } else { "MergeTree" };
    Ok(format!(
        "CREATE TABLE IF NOT EXISTS {} (\n{}\n) ENGINE = {engine} ORDER BY {order} SETTINGS {PLAIN} = {WINDOW}",
        qualified(&terms.table.table),
        lines.join(",\n")
    ))
}

/// The type of a new column.
fn type_of(kind: Inferred) -> &'static str {
    match kind {
        Inferred::Boolean => "Bool",
        Inferred::Integer => "Int64",
        Inferred::Real => "Float64",
        Inferred::Numeric => "Decimal(76, 30)",
        Inferred::Date => "Date32",
        Inferred::Time => "DateTime64(6, 'UTC')",
        Inferred::Json | Inferred::Digits | Inferred::Text => "String",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_table_are_read() {
        let full = "MergeTree ORDER BY tuple() SETTINGS index_granularity = 8192, non_replicated_deduplication_window = 100";
        assert_eq!(setting(full, PLAIN), Some(100));
        assert_eq!(setting(full, "replicated_deduplication_window"), None);
        assert_eq!(setting("MergeTree ORDER BY a", PLAIN), None);
    }

    #[test]
    fn names_of_a_sorting_key_are_read() {
        let names: Vec<String> = "day, `a b`, `c\\`d`".split(", ").map(unquoted).collect();
        assert_eq!(names, ["day", "a b", "c`d"]);
    }
}
