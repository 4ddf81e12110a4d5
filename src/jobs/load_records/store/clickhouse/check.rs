//! Holds records against the columns, on as many threads as there are cores.

use super::Kind;
use super::table::{self, Table};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::stage::Batch;
use crate::jobs::load_records::store::{Column, Terms, shortened};
use chrono_tz::Tz;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What became of a batch.
pub(super) struct Checked {
    /// The columns of its records.
    pub columns: Vec<String>,
    /// The records that fit, as they are sent, each with a line break after it.
    pub lines: String,
    /// How many these are.
    pub fitting: u64,
    /// How many there were.
    pub records: u64,
    /// The others, in order.
    pub refused: Vec<Refused>,
}

/// A record that does not fit.
pub(super) struct Refused {
    /// Its place in the batch.
    pub place: u64,
    /// The record.
    pub record: String,
    /// The column whose value does not fit.
    pub column: String,
    /// Why.
    pub problem: String,
}

/// What records of these columns are held against.
#[derive(Clone)]
pub(super) struct Check {
    names: Vec<String>,
    columns: Arc<Vec<(Column, Kind)>>,
    /// A column that they lack, and that has to be there.
    lacks: Option<Column>,
    zone: Tz,
}

impl Check {
    /// For records of these columns.
    pub(super) fn new(table: &Table, terms: &Terms, names: &[String]) -> Result<Self, LoadError> {
        let columns = names
            .iter()
            .filter_map(|name| table.columns.iter().find(|column| column.name == *name))
            .map(|column| Ok((column.clone(), table::kind(&terms.table.table, column)?)))
            .collect::<Result<_, LoadError>>()?;
        let is_key = |name: &String| terms.mode == Mode::Upsert && terms.table.key.contains(name);
        let lacks = table
            .columns
            .iter()
            .find(|column| (column.required || is_key(&column.name)) && !names.contains(&column.name));
        let lacks = lacks.cloned();
        Ok(Self { names: names.to_vec(), columns: Arc::new(columns), lacks, zone: terms.zone })
    }

    /// Whether it is for records of these columns.
    pub(super) fn is_for(&self, names: &[String]) -> bool {
        self.names == names
    }

    /// Looks at a batch, on a thread of its own.
    pub(super) async fn look(self, batch: Batch) -> Result<Checked, LoadError> {
        let looked = tokio::task::spawn_blocking(move || self.run(&batch)).await;
        looked.map_err(|error| LoadError::Refused(format!("a defect: records cannot be looked at: {error}")))
    }

    fn run(&self, batch: &Batch) -> Checked {
        let mut checked = Checked {
            columns: batch.columns.clone(),
            lines: String::new(),
            fitting: 0,
            records: batch.len() as u64,
            refused: Vec::new(),
        };
        for (place, row) in batch.rows().enumerate() {
            let before = checked.lines.len();
            let written = match &self.lacks {
                Some(column) => Err((column, "the record has none, and the column no default".to_owned())),
                None => self.write(row, &mut checked.lines),
            };
            match written {
                Ok(()) => {
                    checked.lines.push('\n');
                    checked.fitting += 1;
                }
                Err((column, problem)) => {
                    checked.lines.truncate(before);
                    checked.refused.push(Refused {
                        place: place as u64,
                        record: batch.object(place),
                        column: column.name.clone(),
                        problem: format!("column `{}` ({}): {problem}", column.name, column.kind),
                    });
                }
            }
        }
        checked
    }

    /// Writes a record as it is sent; the error names the column whose value does not fit.
    fn write(&self, row: &str, json: &mut String) -> Result<(), (&Column, String)> {
        let cells: Vec<&RawValue> = serde_json::from_str(row).unwrap_or_default();
        json.push('[');
        for (place, ((column, kind), cell)) in self.columns.iter().zip(cells).enumerate() {
            if place > 0 {
                json.push(',');
            }
            kind.write(cell, self.zone, json)
                .map_err(|problem| (column, format!("{} does not fit: {problem}", shortened(cell.get()))))?;
        }
        json.push(']');
        Ok(())
    }
}
