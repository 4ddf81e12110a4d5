//! Which column of the input names the object, and which ones say what of which field.

use super::fields::{Fields, is_read_only, shape, usage};
use crate::devrev::objects::{Key, Kind, Object, is_custom};
use crate::exit::{Exit, Failure};
use crate::row::Row;
use crate::source::header::Header;
use serde::{Deserialize, Serialize};

/// How columns are read, as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Typed {
    /// `--match`: what rows name objects by, if not by their IDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `--map COLUMN=FIELD`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<(String, String)>,
    /// `--set FIELD=VALUE`, for all rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// `--ignore COLUMN`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

impl Typed {
    /// What is wrong with the flags, given the columns that there are.
    fn wrong(&self, header: &Header) -> Vec<String> {
        let mut wrong = Vec::new();
        for (at, (column, _)) in self.map.iter().enumerate() {
            if header.column(column).is_none() {
                wrong.push(format!("--map {column}: there is no such column"));
            }
            if self.map.iter().take(at).any(|(other, _)| same_name(other, column)) {
                wrong.push(format!("--map {column}: a column is read as one field only"));
            }
            if self.ignore.iter().any(|other| same_name(other, column)) {
                wrong.push(format!("--map {column} and --ignore {column} exclude each other"));
            }
        }
        let missing = self.ignore.iter().filter(|column| header.column(column).is_none());
        wrong.extend(missing.map(|column| format!("--ignore {column}: there is no such column")));
        wrong
    }
}

/// Whether two texts name one column.
fn same_name(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// What names the object of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names {
    /// Its ID, in this column.
    Id(usize),
    /// A value that it holds.
    Key(usize, &'static Key),
}

impl Names {
    /// The column.
    pub(crate) fn column(self) -> usize {
        match self {
            Self::Id(column) | Self::Key(column, _) => column,
        }
    }
}

/// What a column says of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The value that it gets.
    Set,
    /// Elements that its list gets.
    Add,
    /// Elements that its list loses.
    Remove,
    /// The value that it has to have, or it is left alone.
    Was,
}

impl Mode {
    const SUFFIXES: [(&str, Self); 3] = [(":add", Self::Add), (":remove", Self::Remove), (":was", Self::Was)];
}

/// A column that says something of a field.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// What it is called in the file, or the flag.
    pub name: String,
    /// Where its cells are.
    pub cells: Cells,
    /// The field's name.
    pub field: String,
    /// What it says.
    pub mode: Mode,
}

/// Where cells are.
#[derive(Debug, Clone)]
pub(crate) enum Cells {
    /// In this column of each row.
    Column(usize),
    /// The same for each row.
    Constant(String),
}

impl Column {
    /// Its cell of a row, to the last blank.
    pub(crate) fn cell<'r>(&'r self, row: &'r Row) -> &'r str {
        match &self.cells {
            Cells::Constant(text) => text,
            Cells::Column(column) => {
                let bytes = row.fields.get(*column).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }
}

/// The columns of an input.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// What names the object.
    pub names: Names,
    /// What is said of its fields.
    pub columns: Vec<Column>,
    /// Columns without a name: nothing may stand in them.
    pub unnamed: Vec<usize>,
}

impl Columns {
    /// Finds the columns of a header. The error names all that is wrong with it.
    pub(crate) fn find(object: &Object, typed: &Typed, header: &Header) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(Exit::InvalidInput, text);
        let names = names(object, typed, header)?;
        let mut wrong = typed.wrong(header);
        let (mut columns, mut unnamed) = (Vec::new(), Vec::new());
        for (place, name) in header.names().iter().enumerate() {
            if name.trim_ascii().is_empty() {
                unnamed.push(place);
                continue;
            }
            let name = header.name(place);
            let is = |other: &str| same_name(other, &name);
            let mapped = typed.map.iter().find(|(column, _)| is(column)).map(|(_, field)| field.as_str());
            let is_key =
                matches!(names, Names::Key(column, key) if column == place && mapped == Some(key.name));
            let is_left = place == names.column()
                || name.starts_with('#')
                || typed.ignore.iter().any(|other| is(other));
            if is_key || (is_left && mapped.is_none()) {
                continue;
            }
            let (field, mode) = split(mapped.unwrap_or(&name));
            if mapped.is_none() && (is_read_only(field) || field.starts_with('_')) {
                continue;
            }
            columns.push(Column {
                name: name.clone(),
                cells: Cells::Column(place),
                field: field.to_owned(),
                mode,
            });
        }
        for (field, value) in &typed.set {
            let (field, mode) = split(field);
            let cells = Cells::Constant(value.clone());
            columns.push(Column { name: format!("--set {field}"), cells, field: field.to_owned(), mode });
        }
        let stock = Fields::stock(object);
        for column in &columns {
            if let Some(field) = object.field(&column.field) {
                wrong.extend(no_list(column, &field.kind));
            } else if is_read_only(&column.field) {
                wrong.push(format!("{}: the field `{}` cannot be written", column.name, column.field));
            } else if !is_custom(&column.field) {
                let unknown = stock.unknown(object, &column.field);
                wrong.push(format!("column `{}`: {unknown}", column.name));
            } else if !object.has_custom_fields {
                wrong.push(format!("column `{}`: {} take no custom fields", column.name, object.plural));
            }
        }
        wrong.extend(twice(&columns));
        if !wrong.is_empty() {
            let text = format!(
                "{}; leave out a column with --ignore COLUMN, or name its field with --map COLUMN=FIELD",
                wrong.join("; ")
            );
            return Err(invalid(text));
        }
        if !columns.iter().any(|column| column.mode != Mode::Was) {
            let text = format!(
                "no column says what to change: name columns after fields of {}, such as `{}`, or give --set FIELD=VALUE",
                object.plural,
                object.fields.first().map_or("title", |field| &*field.name)
            );
            return Err(invalid(text));
        }
        Ok(Self { names, columns, unnamed })
    }

    /// Fails unless an object can be created with them.
    pub(crate) fn check_creation(&self, object: &Object) -> Result<(), Failure> {
        let mut wrong: Vec<String> = Vec::new();
        for column in &self.columns {
            let name = &column.name;
            if matches!(column.mode, Mode::Remove | Mode::Was) {
                wrong.push(format!(
                    "column `{name}`: what is created had nothing before; leave it out with --ignore"
                ));
            } else if !object.takes_when_created(&column.field) {
                wrong.push(format!(
                    "column `{name}`: it can only be set once the {} exists; leave it out with --ignore, then use `update`",
                    object.name
                ));
            }
        }
        let is_given = |name: &str| self.columns.iter().any(|column| column.field == name);
        let missing: Vec<&str> =
            object.creation.needed.iter().copied().filter(|name| !is_given(name)).collect();
        if !missing.is_empty() {
            wrong.push(format!(
                "{} cannot be created without `{}`: add a column for each, or give --set FIELD=VALUE",
                object.plural,
                missing.join("`, `")
            ));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::new(Exit::InvalidInput, wrong.join("; "))) }
    }

    /// Holds the columns against the tenant's schema.
    pub(crate) fn check(&self, object: &Object, fields: &Fields) -> Result<(), Failure> {
        let mut wrong = Vec::new();
        for column in &self.columns {
            match fields.named(&column.field) {
                None => {
                    wrong.push(format!(
                        "column `{}`: {}",
                        column.name,
                        fields.unknown(object, &column.field)
                    ));
                }
                Some(field) if field.kind == Kind::Other => {
                    wrong.push(format!("column `{}`: the field cannot be written from a cell", column.name));
                }
                Some(field) => wrong.extend(no_list(column, &field.kind)),
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(usage(format!("{}; nothing was written", wrong.join("; "))))
        }
    }

    /// The columns of the input that are used.
    pub(crate) fn used(&self) -> Vec<usize> {
        let cells = self.columns.iter().filter_map(|column| match column.cells {
            Cells::Column(place) => Some(place),
            Cells::Constant(_) => None,
        });
        std::iter::once(self.names.column()).chain(cells).chain(self.unnamed.iter().copied()).collect()
    }
}

/// A field's name and what is said of it: `tags:add`.
fn split(name: &str) -> (&str, Mode) {
    let found = Mode::SUFFIXES.iter().find_map(|(suffix, mode)| Some((name.strip_suffix(suffix)?, *mode)));
    found.unwrap_or((name, Mode::Set))
}

fn names(object: &Object, typed: &Typed, header: &Header) -> Result<Names, Failure> {
    let invalid = |text: String| Failure::new(Exit::InvalidInput, text);
    let Some(wanted) = &typed.key else {
        for name in ["id", "display_id"] {
            if let Some(column) = header.optional(name).map_err(|error| invalid(error.to_string()))? {
                return Ok(Names::Id(column));
            }
        }
        let keys: Vec<&str> = object.keys.iter().map(|key| key.name).collect();
        let or =
            if keys.is_empty() { String::new() } else { format!(", or give --match {}", keys.join("|")) };
        return Err(invalid(format!("no column `id` with the IDs of {}: add it{or}", object.plural)));
    };
    let Some(key) = object.keys.iter().find(|key| key.name == wanted) else {
        let keys: Vec<&str> = object.keys.iter().map(|key| key.name).collect();
        let text = if keys.is_empty() {
            format!("--match: {} are found by their IDs only", object.plural)
        } else {
            format!("--match {wanted}: {} are found by {}", object.plural, keys.join(", "))
        };
        return Err(usage(text));
    };
    let mapped = typed.map.iter().find(|(_, field)| field == key.name).map(|(column, _)| column.as_str());
    let column = header.optional(mapped.unwrap_or(key.name)).map_err(|error| invalid(error.to_string()))?;
    let none = || {
        invalid(format!(
            "there is no column `{}`, by which the {} are found: add it, or name another with --map COLUMN={wanted}",
            mapped.unwrap_or(key.name),
            object.plural
        ))
    };
    Ok(Names::Key(column.ok_or_else(none)?, key))
}

/// Elements are added to lists only, and removed from them.
fn no_list(column: &Column, kind: &Kind) -> Option<String> {
    let is_wrong = matches!(column.mode, Mode::Add | Mode::Remove) && shape(kind).is_none();
    is_wrong.then(|| format!("column `{}`: `{}` is not a list", column.name, column.field))
}

/// What two columns say of one field that cannot both be so.
fn twice(columns: &[Column]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        for other in columns.get(at + 1..).unwrap_or_default() {
            let clash = column.field == other.field
                && (column.mode == other.mode
                    || (column.mode == Mode::Set && matches!(other.mode, Mode::Add | Mode::Remove))
                    || (other.mode == Mode::Set && matches!(column.mode, Mode::Add | Mode::Remove)));
            if clash {
                wrong.push(format!(
                    "columns `{}` and `{}` both say what `{}` gets",
                    column.name, other.name, column.field
                ));
            }
        }
        let is_set = |other: &Column| other.field == column.field && other.mode != Mode::Was;
        if column.mode == Mode::Was && !columns.iter().any(is_set) {
            wrong.push(format!("column `{}`: nothing says what `{}` gets", column.name, column.field));
        }
    }
    wrong
}
