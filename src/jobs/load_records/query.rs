//! The query of a database that is a source: one SELECT or WITH, whose places are bound as parameters.

use super::keys::{Ask, Keys};
use super::template::{Template, Values};
use crate::source::grammar::Grammar;
use crate::source::sql::{Kind, Statement, located_tokens};
use serde_json::Value;

/// What stands for a place while the text around it is looked at.
const PLACE: &str = "_devrev_batch_place_";

/// What a key and its number are called where they are counted: no column of the query's.
const KEY: &str = "_devrev_batch_key";
const NUMBER: &str = "_devrev_batch_number";

/// A query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    template: Template,
    grammar: Grammar,
}

impl Query {
    /// The operator's query. The error says what is wrong with it.
    pub(super) fn parse(text: &str, grammar: Grammar) -> Result<Self, String> {
        let template = Template::parse(text)?;
        let statement = Statement::parse(&template.places(|_| PLACE.to_owned()), grammar)
            .map_err(|error| error.to_string())?;
        let tokens =
            located_tokens(&statement.text, grammar.lexis()).map_err(|(_, error)| error.to_string())?;
        let alone = tokens.iter().filter(|token| token.kind == Kind::Word && token.text == PLACE).count();
        if alone != statement.text.matches(PLACE).count() {
            return Err("a place such as ${name} stands within quotes, a comment or a word: its value is bound, so write it \
                        alone, without quotes"
                .to_owned());
        }
        Ok(Self { template, grammar })
    }

    /// All of a table. Its name is meant as it is written, but for Snowflake, which has names in upper case; where it is not
    /// known whose SQL it is, quotes are for names that need them.
    pub(super) fn table(name: &str, grammar: Grammar) -> Result<Self, String> {
        let is_plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let part = |part: &str| match grammar {
            Grammar::Any if is_plain(part) && part == part.to_lowercase() => part.to_owned(),
            Grammar::Snowflake if is_plain(part) => grammar.quoted(&part.to_uppercase()),
            _ => grammar.quoted(part),
        };
        let name = match grammar {
            Grammar::Sqlite => grammar.quoted(name),
            _ => name.split('.').map(part).collect::<Vec<_>>().join("."),
        };
        Self::parse(&format!("SELECT * FROM {}", name.replace("${", "$${")), grammar)
    }

    /// The column that slices go by, in quotes.
    pub(super) fn key(&self, keys: &Keys) -> String {
        // With its table: SQLite takes a name in quotes that it does not know for a text, and ClickHouse an alias for a column.
        format!("q.{}", self.grammar.quoted(&keys.field))
    }

    /// Its text for a slice, with a numbered place for each value, and the values; `key` is how the column is written that slices
    /// go by.
    pub(super) fn ranged(
        &self,
        values: &Values,
        place: impl Fn(usize) -> String,
        key: &str,
    ) -> Result<(String, Vec<Value>), String> {
        let (text, mut bound) = self.bound(values, &place)?;
        let Some((keys, ask)) = &values.keys else { return Ok((text, bound)) };
        let mut range = Vec::new();
        for (sign, end) in [(">", &keys.after), ("<=", &keys.upto)] {
            let Some(end) = end else { continue };
            bound.push(end.clone());
            range.push(format!("{key} {sign} {}", place(bound.len())));
        }
        // The line break ends a comment.
        let (from, column) = (format!("FROM (\n{text}\n) AS q"), self.key(keys));
        if matches!(ask, Ask::Last | Ask::Every(_)) {
            range.push(format!("{column} IS NOT NULL"));
        }
        let range = range.join(" AND ");
        let text = match ask {
            Ask::Rows if range.is_empty() => text,
            Ask::Rows => format!("SELECT * {from} WHERE {range}"),
            Ask::Missing => {
                // Bytes come as a text that says them, and are none.
                let bytes = match self.grammar {
                    Grammar::Sqlite => format!(" OR typeof({column}) = 'blob'"),
                    _ => String::new(),
                };
                format!("SELECT 1 AS {KEY} {from} WHERE {column} IS NULL{bytes} LIMIT 1")
            }
            Ask::Last => format!("SELECT {column} AS {KEY} {from} WHERE {range} ORDER BY {key} DESC LIMIT 1"),
            Ask::Every(rows) => format!(
                "SELECT {KEY} FROM (SELECT {column} AS {KEY}, row_number() OVER (ORDER BY {key}) AS {NUMBER} {from} WHERE {range}) \
                 AS c WHERE {NUMBER} % {rows} = 0 ORDER BY {NUMBER}"
            ),
        };
        Ok((text, bound))
    }

    /// Which of its places have a date or a time.
    pub(super) fn moments(&self) -> impl Iterator<Item = bool> {
        self.template.moments()
    }

    /// The text as it was written, with a numbered place for each value, and the values.
    pub(super) fn bound(
        &self,
        values: &Values,
        place: impl Fn(usize) -> String,
    ) -> Result<(String, Vec<Value>), String> {
        let bound = self.template.bound(values)?;
        let statement = Statement::parse(&self.template.places(place), self.grammar)
            .map_err(|error| error.to_string())?;
        Ok((statement.text, bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn places_stand_alone_and_are_bound() {
        let params = BTreeMap::from([("name".to_owned(), "O'Hara".into()), ("most".to_owned(), 5.into())]);
        let values = Values { params, ..Values::default() };
        let text = "SELECT * FROM t WHERE a = ${name} AND note <> '$${x}' LIMIT ${most}; -- all";
        let query = Query::parse(text, Grammar::Postgres).unwrap();
        let (text, bound) = query.bound(&values, |place| format!("${place}")).unwrap();
        assert_eq!(text, "SELECT * FROM t WHERE a = $1 AND note <> '${x}' LIMIT $2");
        assert_eq!(bound, [Value::from("O'Hara"), 5.into()]);
        for text in [
            "SELECT '${name}'",
            "SELECT \"${name}\" FROM t",
            "SELECT 1 -- ${name}",
            "SELECT x${name}",
            "SELECT $$ ${name}$$",
            "DELETE FROM t",
            "SELECT 1; SELECT 2",
        ] {
            assert!(Query::parse(text, Grammar::Postgres).is_err(), "{text}");
        }
    }

    #[test]
    fn a_table_is_named_as_its_database_has_it() {
        for (name, grammar, from) in [
            ("sales.or\"ders", Grammar::Postgres, "\"sales\".\"or\"\"ders\""),
            ("sales.orders", Grammar::Sqlite, "\"sales.orders\""),
            ("crm.sales.Orders", Grammar::Snowflake, "\"CRM\".\"SALES\".\"ORDERS\""),
            ("all orders", Grammar::Snowflake, "\"all orders\""),
            ("sales.orders_2", Grammar::Any, "sales.orders_2"),
            ("sales.Orders", Grammar::Any, "sales.\"Orders\""),
        ] {
            let table = Query::table(name, grammar).unwrap();
            let (sql, _) = table.bound(&Values::default(), |_| String::new()).unwrap();
            assert_eq!(sql, format!("SELECT * FROM {from}"));
        }
    }
}
