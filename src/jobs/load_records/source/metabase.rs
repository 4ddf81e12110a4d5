//! A query of Metabase as a source: an export of a native query, whose rows come as a JSON array of objects.
//!
//! - Metabase sends the query to one of its databases. Places are template tags, whose values Metabase hands to the driver of
//!   that database as parameters.
//! - An export is cut off without a word where its limit is. That of Metabase itself is known; an administrator may have set
//!   another one, so where a round number of rows has come, the database is asked how many there are.

use super::{Chunk, Sender};
use crate::database::error::{DatabaseError, until_answered};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::record::{Cell, Record};
use crate::jobs::load_records::template::{Values, plain};
use crate::source::metabase::{Asked, Column, Export, Metabase, Rows, WHO};
use crate::stop::Stop;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Slices that are read at once: people work with the same Metabase.
const READERS: usize = 4;
/// A limit is a multiple of this.
const ROUND: u64 = 100;

/// A query of a Metabase.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct MetabaseQuery {
    metabase: Metabase,
    query: Query,
    readers: Semaphore,
}

/// A query with its parameters, as the API takes it.
#[derive(Debug)]
struct Native {
    sql: String,
    tags: Map<String, Value>,
    parameters: Vec<Value>,
}

impl Native {
    /// This in place of the query, with `{q}` for the query itself. The line break ends a comment.
    fn within(&self, database: u64, outer: &str) -> Value {
        let sql = outer.replace("{q}", &format!("(\n{}\n) q", self.sql));
        json!({
            "database": database,
            "type": "native",
            "native": {"query": sql, "template-tags": self.tags},
            "parameters": self.parameters,
        })
    }
}

impl MetabaseQuery {
    /// Connects to nothing.
    pub(in crate::jobs::load_records) fn new(metabase: Metabase, query: Query) -> Self {
        Self { metabase, query, readers: Semaphore::new(READERS) }
    }

    pub(super) async fn fetch(
        &self,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let _reader = self.readers.acquire().await.map_err(|_| LoadError::Interrupted)?;
        let secrets = self.metabase.secrets();
        let asked = self.metabase.connect("; it was sent to the database as SELECT * FROM (...) q")?;
        let native = self.bound(values).map_err(LoadError::Settings)?;
        // What breaks after the first row has sent rows already: the slice is read again by `resume`.
        let begin = || Box::pin(begin(&asked, &native));
        let mut begun = until_answered(WHO, self.metabase.retry, &secrets, stop, begin).await?;
        let mut sender = Sender::new(to);
        loop {
            for record in begun.ready.drain(..) {
                if !sender.record(record).await {
                    return Ok(());
                }
            }
            if !begun.goes_on {
                break;
            }
            begun.next().await.map_err(|error| error.without(&secrets))?;
        }
        begun.finish(&asked, &native).await.map_err(|error| error.without(&secrets))?;
        sender.finish().await;
        Ok(())
    }

    /// The query with a template tag in each place, and the parameters that fill them.
    /// (Source: `src/metabase/driver/sql/parameters/substitution.clj` in Metabase's code.)
    fn bound(&self, values: &Values) -> Result<Native, String> {
        let (_, bound) = self.query.bound(values, |place| format!("{{{{p{place}}}}}"))?;
        let null = |place: usize| {
            place.checked_sub(1).and_then(|index| bound.get(index)).is_some_and(Value::is_null)
        };
        let place = |place| if null(place) { "NULL".to_owned() } else { format!("{{{{p{place}}}}}") };
        let (sql, _) = self.query.bound(values, place)?;
        let (mut tags, mut parameters) = (Map::new(), Vec::new());
        for ((index, value), is_moment) in bound.iter().enumerate().zip(self.query.moments()) {
            let name = format!("p{}", index + 1);
            let kind = match value {
                Value::Null => continue,
                Value::Number(_) => "number",
                // A database may not compare a date with a text.
                _ if is_moment => "date",
                _ => "text",
            };
            let value =
                if kind == "number" { value.clone() } else { plain(value).unwrap_or_default().into() };
            let tag = json!({"id": name, "name": name, "display-name": name, "type": kind, "required": true});
            let target = json!(["variable", ["template-tag", name]]);
            parameters.push(json!({"id": name, "type": kind, "target": target, "value": value}));
            tags.insert(name, tag);
        }
        Ok(Native { sql, tags, parameters })
    }
}

/// An export that has begun.
#[derive(Debug)]
struct Begun<'a> {
    database: u64,
    names: Vec<Arc<str>>,
    rows: Rows,
    export: Export<'a>,
    /// Rows that have come.
    ready: Vec<Record>,
    goes_on: bool,
}

/// Asks the query. What comes back has its first rows.
async fn begin<'a>(asked: &'a Asked<'a>, native: &Native) -> Result<Begun<'a>, DatabaseError> {
    let database = asked.database().await?;
    let columns = asked.describe(native.within(database, "SELECT * FROM {q} WHERE 1 = 0")).await;
    let columns = columns.map_err(|error| match error {
        // Every slice would be refused like that.
        DatabaseError::Refused(refusal) => DatabaseError::Settings(refusal.to_string()),
        other => other,
    })?;
    if let Some(twice) = twice(&columns) {
        return Err(DatabaseError::Settings(format!(
            "the query has two columns `{twice}`: name them with AS"
        )));
    }
    let mut begun = Begun {
        database,
        names: columns.iter().map(|column| column.name.as_str().into()).collect(),
        rows: Rows::all(&columns),
        export: asked.export(&native.within(database, "SELECT * FROM {q}")).await?,
        ready: Vec::new(),
        goes_on: true,
    };
    while begun.goes_on && begun.ready.is_empty() {
        begun.next().await?;
    }
    // Else one that breaks off before its first row would not be asked for again.
    if begun.ready.is_empty() {
        begun.export.finish()?;
    }
    Ok(begun)
}

impl Begun<'_> {
    /// Takes the rows that come next.
    async fn next(&mut self) -> Result<(), DatabaseError> {
        let Self { names, rows, ready, .. } = self;
        let take = |object: &[u8]| {
            let cells = rows.values(object).and_then(|values| values.into_iter().map(Cell::of_raw).collect());
            let goes_on = cells.map(|cells: Vec<Cell>| {
                ready.push(Record(names.iter().map(Arc::clone).zip(cells).collect()));
                true
            });
            Ok::<_, DatabaseError>(goes_on)
        };
        self.goes_on = self.export.next(take).await?;
        Ok(())
    }

    /// Says whether all rows have come.
    async fn finish(&self, asked: &Asked<'_>, native: &Native) -> Result<(), DatabaseError> {
        self.export.finish()?;
        let rows = self.export.rows;
        if rows == 0 || !rows.is_multiple_of(ROUND) {
            return Ok(());
        }
        let all = asked.number(native.within(self.database, "SELECT count(*) AS n FROM {q}")).await?;
        if all > rows {
            let text = format!(
                "it is cut off: it has {rows} rows, and the query {all}; ask for less, with more slices, or have the limit of \
                 downloads raised"
            );
            return Err(DatabaseError::Answer { who: WHO, text });
        }
        Ok(())
    }
}

/// The name that two columns have, in the query or in an export.
fn twice(columns: &[Column]) -> Option<&str> {
    let (mut names, mut titles) = (HashSet::new(), HashSet::new());
    columns.iter().find_map(|column| {
        let title = column.display_name.as_ref().unwrap_or(&column.name);
        if !names.insert(&column.name) {
            Some(column.name.as_str())
        } else if titles.insert(title) {
            None
        } else {
            Some(title.as_str())
        }
    })
}
