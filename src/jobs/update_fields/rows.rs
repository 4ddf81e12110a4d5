//! A row of the input as a run takes it: which object it names, and which cells say something.

use super::base::{Base, plain};
use super::columns::{Cells, Column, Columns, Mode, Names as NamedBy};
use super::decide::{contradictions, wish};
use super::fields::Fields;
use super::names::Names;
use super::{Cell, Item, value};
use crate::cli::choices::OnEmpty;
use crate::devrev::ids::{ObjectType, Ref, id_text};
use crate::devrev::objects::Kind;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule, shown};
use crate::row::Row;
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// What reads rows.
#[derive(Debug)]
pub(crate) struct RowReader {
    /// The columns.
    pub columns: Columns,
    types: &'static [ObjectType],
    on_empty: OnEmpty,
    base: Option<Base>,
    /// Whether cells are guarded against formulas, as this tool's export does it.
    is_guarded: bool,
    /// The fields that every row needs.
    needed: &'static [&'static str],
    /// Where the columns are in the base.
    in_base: Vec<Option<usize>>,
    /// The stages, once they are known.
    stages: Option<Names>,
}

/// A row that was read.
pub(crate) struct Read {
    /// What it asks for, if it names an object and its cells are sound.
    pub item: Option<Item>,
    /// The object's ID as people know it, or the key.
    pub shown: String,
    /// Equal for rows about the same object.
    pub key: u64,
    /// Equal for rows that say the same of it.
    pub values: u64,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl RowReader {
    /// Reads rows with these columns. Fails if the base lacks one of the fields.
    pub(crate) fn new(
        columns: Columns,
        types: &'static [ObjectType],
        on_empty: OnEmpty,
        base: Option<Base>,
        is_guarded: bool,
        needed: &'static [&'static str],
    ) -> Result<Self, Failure> {
        // Elements of a list, and what a field was, are held against DevRev alone.
        let is_held = |column: &Column| matches!((&column.cells, column.mode), (Cells::Column(_), Mode::Set));
        let place = |column: &Column| base.as_ref().filter(|_| is_held(column))?.column(&column.field);
        let in_base: Vec<Option<usize>> = columns.columns.iter().map(place).collect();
        let missing: Vec<String> = columns
            .columns
            .iter()
            .zip(&in_base)
            .filter(|(column, place)| base.is_some() && is_held(column) && place.is_none())
            .map(|(column, _)| format!("column `{}`: the base has no column `{}`", column.name, column.field))
            .collect();
        if !missing.is_empty() {
            let text = format!(
                "{}; what was edited cannot be told: export that field too, or leave the column out with --ignore COLUMN",
                missing.join("; ")
            );
            return Err(Failure::new(Exit::InvalidInput, text));
        }
        Ok(Self { columns, types, on_empty, base, is_guarded, needed, in_base, stages: None })
    }

    /// Holds stages against those that there are.
    pub(crate) fn knowing_stages(self, stages: Option<Vec<String>>) -> Self {
        Self { stages: Some(Names::with_stages(stages)), ..self }
    }

    /// The organisation of the base's objects, if it says.
    pub(crate) fn organisation(&self) -> Option<&str> {
        self.base.as_ref()?.organisation.as_deref()
    }

    /// Reads a row. `fields`, where they are known, say whether its cells are sound.
    pub(crate) fn read(&mut self, row: &Row, fields: Option<&Fields>) -> Result<Read, Failure> {
        let mut findings = Vec::new();
        let mut note = |column: &str, rule: Rule, value: &str, message: String| {
            findings.push(Finding {
                row: row.number,
                line: Some(row.line),
                column: Some(column.to_owned().into()),
                rule,
                value: shown(value),
                message,
            });
        };
        let text = row.text(Some(self.columns.names.column()));
        let text = if self.is_guarded { plain(text.as_bytes()) } else { text };
        for column in &self.columns.unnamed {
            let text = row.text(Some(*column));
            if !text.is_empty() {
                let message = "in a column without a name: name the column, or empty it".to_owned();
                note(&format!("column {}", column + 1), Rule::FieldValue, text, message);
            }
        }
        let name = match self.columns.names {
            NamedBy::Id(_) => {
                if let Some(named) = Ref::pasted(text, self.types) {
                    Some((id_text(text, self.types).into_owned(), named.key().to_string()))
                } else {
                    let (rule, message) = no_id(text, self.types);
                    note("id", rule, text, message);
                    None
                }
            }
            NamedBy::Key(_, key) if text.is_empty() => {
                note(key.name, Rule::EmptyValue, "", "a value is needed here".to_owned());
                None
            }
            NamedBy::Key(_, key) => Some((text.to_owned(), key.folded(text))),
        };
        let base = match (&mut self.base, &name) {
            (Some(base), Some(_)) => {
                let own = base.row(text)?;
                if own.is_none() {
                    note("id", Rule::NotInBase, text, "the base has no such object".to_owned());
                }
                own
            }
            _ => None,
        };
        let (mut cells, mut wishes) = (Vec::new(), Vec::new());
        for (at, column) in self.columns.columns.iter().enumerate() {
            let cell = column.cell(row);
            let base = self.in_base.get(at).copied().flatten().and_then(|place| base?.get(place)).map(plain);
            let cell = match column.cells {
                Cells::Column(_) if self.is_guarded => plain(cell.as_bytes()),
                _ => cell,
            };
            if base == Some(cell) {
                continue;
            }
            let cell = Cell { column: at, text: cell.into(), base: base.map(Into::into) };
            if self.needed.contains(&&*column.field) && matches!(cell.text.trim(), "" | value::CLEAR) {
                note(&column.name, Rule::EmptyValue, &cell.text, "a value is needed here".to_owned());
            }
            let field = fields.and_then(|fields| fields.named(&column.field));
            if let Some(field) = field {
                // Other names are looked up with the batch.
                let names = self.stages.as_ref().filter(|_| field.kind == Kind::Stage);
                match wish(column, field, &cell, self.on_empty, names) {
                    Ok(wish) => wishes.extend(wish),
                    Err(why) => note(&column.name, Rule::FieldValue, &cell.text, why),
                }
            }
            cells.push(cell);
        }
        for (field, why) in contradictions(&wishes) {
            note(field, Rule::FieldValue, "", why);
        }
        let mut values = FxHasher::default();
        for cell in &cells {
            (cell.column, &cell.text).hash(&mut values);
        }
        let mut key = FxHasher::default();
        let shown = name.as_ref().map_or_else(String::new, |(_, shown)| shown.clone());
        shown.hash(&mut key);
        let item = name.filter(|_| findings.is_empty()).map(|(name, _)| Item {
            name: name.into(),
            line: row.line,
            cells: cells.into(),
        });
        Ok(Read { item, shown, key: key.finish(), values: values.finish(), findings })
    }
}

/// Why a text is no ID of these types.
fn no_id(text: &str, types: &[ObjectType]) -> (Rule, String) {
    use crate::devrev::ids::IdError;
    if text.is_empty() {
        return (Rule::EmptyValue, "an ID is needed here".to_owned());
    }
    if let Err(IdError::WrongType { found, wanted, .. }) = Ref::parse(text, types) {
        (Rule::IdType, format!("the ID of {found}, where {wanted} is needed"))
    } else {
        let prefix = types.first().map_or("", |object| object.display_prefix());
        (Rule::IdShape, format!("neither a DON (don:...) nor a display ID such as {prefix}-123"))
    }
}
