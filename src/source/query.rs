//! What is sent to a database: the operator's query as a sub-select, from which the needed columns are taken by name,
//! as text and in an order that is the same each time.
//!
//! As text, because what follows is a CSV file anyway, and because `snowflake-api` fails on a NULL timestamp as
//! Snowflake encodes it. How dates and timestamps are written is set for the session.

use super::grammar::Grammar;
use super::header::{ColumnError, Header};
use super::sql::{By, Order, Statement};
use std::fmt::Write as _;

/// The columns that a job needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns {
    /// Those that there must be.
    pub required: &'static [&'static str],
    /// One that there may be.
    pub optional: Option<&'static str>,
    /// The one that rows are ordered by where the query says nothing.
    pub key: &'static str,
}

/// What a query has to return, and the query that is sent where the operator gives none.
#[derive(Debug)]
pub struct Table {
    /// The columns; the columns of the operator's own query tell which of them it is about.
    pub columns: Vec<Columns>,
    /// The query.
    pub query: &'static str,
}

/// A query and what is wanted of it.
#[derive(Debug, Clone)]
pub struct Query {
    /// The operator's, or the job's own.
    pub statement: Statement,
    /// Whose SQL it is.
    pub grammar: Grammar,
    /// What is taken from it: the first of these whose columns are all there. All columns, where nothing is said.
    pub columns: Vec<Columns>,
    /// Only the first rows.
    pub limit: Option<u64>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Its text.
    pub sql: String,
    /// The names of its columns, as the job calls them.
    pub names: Vec<String>,
    /// What the operator is told about the order; nothing where it is the query's own.
    pub note: Option<String>,
}

impl Query {
    /// What tells the names of the columns without reading a row.
    pub fn describe(&self) -> String {
        format!("SELECT * FROM (\n{}\n) AS q LIMIT 0", self.statement.text)
    }

    /// What reads the rows, once it is known which columns there are. `text` says how a column is read as text, given its
    /// place and how it is called in the query that is sent.
    pub fn select(
        &self,
        found: &[String],
        text: impl Fn(usize, &str) -> String,
    ) -> Result<Select, ColumnError> {
        let wanted = self.wanted(found)?;
        let mut sql = "SELECT ".to_owned();
        for (index, (name, place)) in wanted.columns.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let text = text(*place, &self.column(found, *place));
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma}{text} AS {}", self.grammar.quoted(name));
        }
        let by = |place: usize| self.column(found, place);
        let (order, note) = self.order(found, &wanted, " NULLS LAST", by);
        let _ = write!(sql, " FROM (\n{}\n) AS q ORDER BY {order}", self.statement.text);
        if let Some(limit) = self.limit {
            let _ = write!(sql, " LIMIT {limit}");
        }
        Ok(Select { sql, names: wanted.columns.into_iter().map(|(name, _)| name).collect(), note })
    }

    /// The columns that are taken, each with its place.
    pub(super) fn wanted(&self, found: &[String]) -> Result<Wanted, ColumnError> {
        let header = Header::of_texts(found, "the query");
        if self.columns.is_empty() {
            let key = found.first().cloned().unwrap_or_default();
            return Ok(Wanted { columns: found.iter().cloned().zip(0..).collect(), key: (key, 0) });
        }
        let fits = |columns: &&Columns| columns.required.iter().all(|name| header.column(name).is_some());
        let wanted = self.columns.iter().find(fits).or(self.columns.first()).copied().unwrap_or_default();
        let places = header.require(wanted.required)?;
        let required = wanted.required.iter().map(|name| (*name).to_owned());
        let mut columns: Vec<(String, usize)> = required.zip(places).collect();
        if let Some(name) = wanted.optional
            && let Some(place) = header.optional(name)?
        {
            columns.push((name.to_owned(), place));
        }
        let place = columns.iter().find(|(name, _)| *name == wanted.key).map_or(0, |(_, place)| *place);
        Ok(Wanted { columns, key: (wanted.key.to_owned(), place) })
    }

    /// The order, and what is to be said of it. The order of a sub-select says nothing about the whole, so the
    /// query's own is said once more outside; the key decides among equals. `by` says how a column is named there.
    pub(super) fn order(
        &self,
        found: &[String],
        wanted: &Wanted,
        nulls: &str,
        by: impl Fn(usize) -> String,
    ) -> (String, Option<String>) {
        let (name, place) = &wanted.key;
        let by_key = format!("{}{nulls}", by(*place));
        match &self.statement.order {
            Order::None => {
                (by_key, Some(format!("the query has no ORDER BY: its rows are ordered by {name}")))
            }
            Order::Columns(items) => {
                let place = |item: &By| match item {
                    By::Name(name) => found.iter().position(|found| self.grammar.is_same(found, name)),
                    By::Place(place) => Some(place - 1).filter(|place| *place < found.len()),
                };
                let said = items.iter().map(|(item, suffix)| {
                    place(item).map(|place| format!("{} {suffix}", by(place)).trim_end().to_owned())
                });
                match said.collect::<Option<Vec<_>>>() {
                    Some(items) => (format!("{}, {by_key}", items.join(", ")), None),
                    None => (by_key, Some(not_carried(name))),
                }
            }
            Order::Other => (by_key, Some(not_carried(name))),
        }
    }

    /// How a column is called outside of the operator's query.
    pub(super) fn column(&self, found: &[String], place: usize) -> String {
        format!("q.{}", self.grammar.quoted(found.get(place).map_or("", String::as_str)))
    }
}

/// The columns that are taken from a query.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What they are called, and their places in the query.
    pub(super) columns: Vec<(String, usize)>,
    /// The one that rows are ordered by where the query says nothing.
    pub(super) key: (String, usize),
}

/// A column as text, for databases that know no better.
#[cfg(any(test, feature = "snowflake", feature = "sql"))]
pub(crate) fn as_varchar(_place: usize, column: &str) -> String {
    format!("CAST({column} AS VARCHAR)")
}

fn not_carried(key: &str) -> String {
    format!(
        "the query's ORDER BY is not by columns of its result, so it decides only which rows a LIMIT takes: the rows \
         are ordered by {key}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns =
        Columns { required: &["issue_id", "creator"], optional: Some("creator_group"), key: "issue_id" };

    fn select(sql: &str, found: &[&str]) -> Result<Select, ColumnError> {
        select_by(Grammar::Snowflake, sql, found, vec![COLUMNS])
    }

    fn select_by(
        grammar: Grammar,
        sql: &str,
        found: &[&str],
        columns: Vec<Columns>,
    ) -> Result<Select, ColumnError> {
        let statement = Statement::parse(sql, grammar).unwrap();
        let query = Query { statement, grammar, columns, limit: Some(3) };
        let found: Vec<_> = found.iter().map(|name| (*name).to_owned()).collect();
        query.select(&found, as_varchar)
    }

    #[test]
    fn needed_columns_are_taken_by_name_as_text() {
        let made = select("SELECT * FROM t -- all", &["EXTRA", "ISSUE_ID", "Crea\"tor", "CREATOR"]).unwrap();
        assert_eq!(
            made.sql,
            "SELECT CAST(q.\"ISSUE_ID\" AS VARCHAR) AS \"issue_id\", CAST(q.\"CREATOR\" AS VARCHAR) AS \"creator\" \
             FROM (\nSELECT * FROM t -- all\n) AS q ORDER BY q.\"ISSUE_ID\" NULLS LAST LIMIT 3"
        );
        assert_eq!(made.names, ["issue_id", "creator"]);
        assert!(made.note.unwrap().contains("ordered by issue_id"));
    }

    #[test]
    fn an_order_by_columns_is_kept() {
        let found = ["ISSUE_ID", "CREATOR", "CREATOR_GROUP", "made \"at\""];
        let made = select("SELECT * FROM t ORDER BY \"made \"\"at\"\"\" DESC, 2", &found).unwrap();
        let order = "ORDER BY q.\"made \"\"at\"\"\" DESC, q.\"CREATOR\", q.\"ISSUE_ID\" NULLS LAST LIMIT 3";
        assert!(made.sql.ends_with(order), "{}", made.sql);
        assert_eq!((made.names.len(), made.note), (3, None));
        for other in ["t.created", "LENGTH(creator)", "hidden", "9"] {
            let made = select(&format!("SELECT * FROM t ORDER BY {other}"), &found).unwrap();
            assert!(made.sql.ends_with("ORDER BY q.\"ISSUE_ID\" NULLS LAST LIMIT 3"), "{}", made.sql);
            assert!(made.note.unwrap().contains("decides only"), "{other}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_what_is_there() {
        let error = select("SELECT 1", &["ISSUE", "OTHER"]).unwrap_err().to_string();
        assert!(
            error.starts_with("columns missing from the query: `issue_id` (nearest: `ISSUE`)"),
            "{error}"
        );
        assert!(error.ends_with("found: `ISSUE`, `OTHER`"), "{error}");
        assert!(matches!(select("SELECT 1", &["ISSUE_ID", "issue_id"]), Err(ColumnError::Twice { .. })));
    }

    #[test]
    fn each_database_names_columns_in_its_own_way() {
        let found = ["issue_id", "creator", "Made At"];
        for (grammar, by, order) in [
            (Grammar::Postgres, "CREATOR DESC", "q.\"creator\" DESC, q.\"issue_id\" NULLS LAST"),
            (Grammar::Sqlite, "Creator", "q.\"creator\", q.\"issue_id\" NULLS LAST"),
            (Grammar::Sqlite, "[Made At]", "q.\"Made At\", q.\"issue_id\" NULLS LAST"),
            (Grammar::Clickhouse, "`Made At`", "q.\"Made At\", q.\"issue_id\" NULLS LAST"),
            (Grammar::Clickhouse, "CREATOR", "q.\"issue_id\" NULLS LAST"),
        ] {
            let made = select_by(grammar, &format!("SELECT * FROM t ORDER BY {by}"), &found, vec![COLUMNS]);
            let made = made.unwrap();
            assert!(made.sql.ends_with(&format!("ORDER BY {order} LIMIT 3")), "{}", made.sql);
        }
        assert_eq!(Grammar::Clickhouse.quoted("a\\\""), "\"a\\\\\"\"\"");
    }

    #[test]
    fn where_no_columns_are_named_all_are_taken() {
        let made = select_by(Grammar::Postgres, "SELECT * FROM t", &["b", "A"], Vec::new()).unwrap();
        assert_eq!(made.names, ["b", "A"]);
        assert!(made.sql.ends_with("ORDER BY q.\"b\" NULLS LAST LIMIT 3"), "{}", made.sql);
        assert!(made.note.unwrap().ends_with("ordered by b"));
    }
}
