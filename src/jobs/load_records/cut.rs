//! Cuts slices by a key: the ends are counted in the source, between what the target's ledger has.
//!
//! A range that is loaded keeps its ends for good, whatever the source has come to since; what lies between two of them, and what
//! is beyond the last, is cut anew. The last range ends with the greatest key that there is, so that the next run goes on after it.

use super::error::LoadError;
use super::file::KeysSpec;
use super::keys::{Ask, Keys, gaps};
use super::record::{Cell, Record};
use super::slices::{MAX_SLICES, Slice};
use super::source::{Chunk, Source};
use super::template::Values;
use crate::stop::Stop;
use serde_json::Value;
use tokio::sync::mpsc;

/// Chunks of keys that may wait.
const AHEAD: usize = 2;

/// Cuts a slice. `loaded` are those that the ledger has.
pub(super) async fn by_keys(
    spec: &KeysSpec,
    slice: &Slice,
    values: &Values,
    loaded: &[Slice],
    source: &Source,
    stop: &Stop,
) -> Result<Vec<Slice>, LoadError> {
    let field = spec.field.as_str();
    let ask = async |ask, keys: Keys| {
        let values = Values { keys: Some((keys, ask)), ..values.clone() };
        keys_of(field, slice, &values, source, stop).await
    };
    if !ask(Ask::Missing, Keys::all(field)).await?.is_empty() {
        return Err(LoadError::Settings(format!(
            "slices.keys: there are rows without a `{field}`, or with bytes in its place, and no range would have them: leave them \
             out in the query, or name a column that has an integer or a text in all rows"
        )));
    }
    let known =
        loaded.iter().filter(|other| other.each == slice.each).filter_map(|other| other.keys.as_ref());
    let known: Vec<&Keys> = known.filter(|keys| keys.field == field).collect();
    let mut ranges: Vec<Keys> = known.iter().map(|keys| (*keys).clone()).collect();
    for gap in gaps(field, known) {
        let last = match gap.upto.clone() {
            Some(upto) => Some(upto),
            None => ask(Ask::Last, gap.clone()).await?.pop(),
        };
        let Some(last) = last else { continue };
        let gap = Keys { upto: Some(last.clone()), ..gap };
        let mut ends = ask(Ask::Every(spec.rows.value), gap.clone()).await?;
        ends.push(last);
        // Where more rows than that have the same key, they are in one slice.
        ends.dedup();
        let mut after = gap.after;
        for end in ends {
            ranges.push(Keys { field: field.to_owned(), after, upto: Some(end.clone()) });
            after = Some(end);
        }
        if ranges.len() as u64 > MAX_SLICES {
            return Err(too_many());
        }
    }
    ranges.sort_by(Keys::order);
    Ok(ranges.into_iter().map(|keys| Slice { keys: Some(keys), ..slice.clone() }).collect())
}

fn too_many() -> LoadError {
    LoadError::Settings(format!("slices.keys: that is more than {MAX_SLICES} slices: give each more rows"))
}

/// The keys that an answer has.
async fn keys_of(
    field: &str,
    slice: &Slice,
    values: &Values,
    source: &Source,
    stop: &Stop,
) -> Result<Vec<Value>, LoadError> {
    let (to, mut chunks) = mpsc::channel(AHEAD);
    // It takes the channel with it: where it ends early, so does what sends.
    let receive = async move {
        let mut keys = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            let records = match chunk {
                Chunk::Records(records) => records.into_iter().map(Ok).collect(),
                Chunk::Json(vals) => vals.iter().map(|val| Record::of_val(val, None)).collect::<Vec<_>>(),
                // No databases: they have no keys.
                #[cfg(feature = "kafka")]
                Chunk::Messages(_) => Vec::new(),
            };
            for record in records {
                let cell = record.ok().and_then(|record| record.0.into_iter().next()).map(|(_, cell)| cell);
                keys.push(key(field, cell)?);
            }
            if keys.len() as u64 > MAX_SLICES {
                return Err(too_many());
            }
        }
        Ok(keys)
    };
    let both = async {
        let (fetched, keys) = tokio::join!(source.fetch(slice, values, to, stop), receive);
        let keys = keys?;
        fetched.map(|()| keys)
    };
    stop.race(Box::pin(both)).await.ok_or(LoadError::Interrupted)?
}

/// A key that is compared the same way here and in the database.
fn key(field: &str, cell: Option<Cell>) -> Result<Value, LoadError> {
    let shown = match cell {
        Some(Cell::Text(text)) => return Ok(Value::String(text)),
        Some(Cell::Number(text)) => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => return Ok(number.into()),
            (_, Ok(number)) => return Ok(number.into()),
            _ => text,
        },
        Some(Cell::Bool(truth)) => truth.to_string(),
        Some(Cell::Json(text)) => text,
        Some(Cell::Null) | None => "null".to_owned(),
    };
    Err(LoadError::Settings(format!(
        "slices.keys: `{field}` has the value {shown}: a key is an integer or a text"
    )))
}
