//! What a row of an export holds, and which objects have one.

use crate::cli::choices::ExportFormat;
use crate::devrev::any_object::Members;
use crate::devrev::objects::{Field, Kind, Object, read_only_field};
use crate::exit::Failure;
use crate::jobs::update_fields::decide::holds;
use crate::jobs::update_fields::fields::{Fields, usage};
use crate::jobs::update_fields::names::Names;
use crate::jobs::update_fields::value;
use crate::report::formula::guarded_for_good;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// A column.
#[derive(Debug, Clone)]
enum Column {
    /// A member of the object that is its ID or a text that no request changes.
    Plain(&'static str),
    /// A field.
    Field(Field),
    /// The names of what a field's IDs name.
    Names(Field),
}

/// What objects are exported, and what of them.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    /// What an object has to hold.
    conditions: Vec<(Field, Value)>,
    format: ExportFormat,
}

/// Members that every row begins with.
const FIRST: [&str; 2] = ["id", "display_id"];
/// Members that a row ends with unless fields are named.
const LAST: [&str; 2] = ["created_date", "modified_date"];

impl Columns {
    /// The columns for these names of fields, or of everything that can be written.
    pub(crate) fn find(
        object: &Object,
        fields: &Fields,
        names: &[String],
        with_names: bool,
        format: ExportFormat,
    ) -> Result<Self, Failure> {
        let mut columns: Vec<Column> = FIRST.into_iter().map(Column::Plain).collect();
        let mut push = |field: Field| {
            let of_names = Column::Names(field.clone());
            let names_something = names_something(&field.kind);
            columns.push(Column::Field(field));
            if with_names && names_something {
                columns.push(of_names);
            }
        };
        if names.is_empty() {
            fields.all.iter().filter(|field| field.kind != Kind::Other).cloned().for_each(&mut push);
            LAST.iter().filter_map(|name| read_only_field(name)).for_each(push);
        } else {
            for name in names.iter().filter(|name| !FIRST.contains(&name.as_str())) {
                push(field(object, fields, name)?);
            }
        }
        Ok(Self { columns, conditions: Vec::new(), format })
    }

    /// With what objects have to hold.
    pub(crate) fn holding(
        mut self,
        object: &Object,
        fields: &Fields,
        conditions: &[(String, String)],
        names: &Names,
    ) -> Result<Self, Failure> {
        for (name, text) in conditions {
            let field = field(object, fields, name)?;
            if field.kind == Kind::Other {
                return Err(usage(format!(
                    "--where {name}: {} cannot be selected by this field",
                    object.plural
                )));
            }
            let wanted = if text.is_empty() {
                Value::Null
            } else {
                value::parse(&field.kind, text, Some(names))
                    .map_err(|why| usage(format!("--where {name}={text}: {why}")))?
            };
            self.conditions.push((field, wanted));
        }
        Ok(self)
    }

    /// The filters that the list itself knows; all conditions are looked at here, too.
    pub(crate) fn filters(&self, object: &Object) -> Members {
        let mut filters = Members::new();
        for (field, wanted) in &self.conditions {
            let text = wanted.as_str();
            match (&*field.name, object.work_type) {
                // That a field is empty cannot be asked of the list.
                ("stage", Some(_)) if text.is_some() => {
                    filters.insert("stage".to_owned(), json!({"name": [wanted]}));
                }
                ("created_by" | "applies_to_part", Some(_)) if text.is_some() => {
                    filters.insert(field.name.to_string(), json!([wanted]));
                }
                ("owned_by" | "reported_by", Some(_)) if wanted.is_array() => {
                    filters.insert(field.name.to_string(), wanted.clone());
                }
                ("email" | "external_ref" | "display_name" | "tier", None) if text.is_some() => {
                    let is_filter =
                        object.keys.iter().any(|key| key.field == field.name) || field.name == "tier";
                    if is_filter && object.name != "workspace" {
                        filters.insert(field.name.to_string(), json!([wanted]));
                    }
                }
                _ => {}
            }
        }
        filters
    }

    /// Whether an object is exported.
    pub(crate) fn take(&self, object: &Members) -> bool {
        self.conditions.iter().all(|(field, wanted)| holds(&field.kind, &value::of(field, object), wanted))
    }

    /// The names of the columns.
    fn names(&self) -> Vec<String> {
        let name = |column: &Column| match column {
            Column::Plain(name) => (*name).to_owned(),
            Column::Field(field) => field.name.to_string(),
            Column::Names(field) => format!("#{}", field.name),
        };
        self.columns.iter().map(name).collect()
    }

    /// Writes what stands before the rows.
    pub(crate) fn begin(&self, to: &mut dyn Write) -> io::Result<()> {
        match self.format {
            ExportFormat::Csv => write_record(to, self.names().iter().map(String::as_bytes)),
            ExportFormat::Jsonl => Ok(()),
        }
    }

    /// Writes an object.
    pub(crate) fn write(&self, object: &Members, to: &mut dyn Write) -> io::Result<()> {
        match self.format {
            ExportFormat::Csv => {
                let cells: Vec<Vec<u8>> = self.columns.iter().map(|column| cell(column, object)).collect();
                write_record(to, cells.iter().map(Vec::as_slice))
            }
            ExportFormat::Jsonl => {
                let mut shown = Map::new();
                for (name, column) in self.names().into_iter().zip(&self.columns) {
                    let value = match column {
                        Column::Plain(name) => object.get(*name).cloned().unwrap_or_default(),
                        Column::Field(field) => value::in_json(&field.kind, value::of(field, object)),
                        Column::Names(field) => names(field, object).into(),
                    };
                    if !value.is_null() {
                        shown.insert(name, value);
                    }
                }
                serde_json::to_writer(&mut *to, &shown)?;
                to.write_all(b"\n")
            }
        }
    }
}

/// A field by its name, written or not.
fn field(object: &Object, fields: &Fields, name: &str) -> Result<Field, Failure> {
    match fields.named(name).cloned().or_else(|| read_only_field(name)) {
        Some(field) => Ok(field),
        None => Err(usage(fields.unknown(object, name))),
    }
}

fn write_record<'a>(to: &mut dyn Write, cells: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut record = csv::WriterBuilder::new().from_writer(Vec::new());
    record.write_record(cells)?;
    to.write_all(&record.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
}

fn cell(column: &Column, object: &Members) -> Vec<u8> {
    let (text, is_number) = match column {
        Column::Plain(name) => {
            (object.get(*name).and_then(Value::as_str).unwrap_or_default().to_owned(), false)
        }
        Column::Field(field) => {
            let is_number = matches!(field.kind, Kind::Int | Kind::Number | Kind::Money);
            (value::cell(&field.kind, &value::of(field, object)), is_number)
        }
        Column::Names(field) => (names(field, object), false),
    };
    if is_number { text.into_bytes() } else { guarded_for_good(text.as_bytes()).into_owned() }
}

fn names_something(kind: &Kind) -> bool {
    match kind {
        Kind::One(_) | Kind::Tags(_) => true,
        Kind::List(kind, _) => names_something(kind),
        _ => false,
    }
}

/// The names of the objects that a field shows.
fn names(field: &Field, object: &Members) -> String {
    let shown = if field.is_custom() {
        object.get("custom_fields").and_then(|fields| fields.get(&*field.name))
    } else {
        object.get(&*field.name)
    };
    let all = shown
        .map_or(&[][..], |shown| shown.as_array().map_or_else(|| std::slice::from_ref(shown), Vec::as_slice));
    let name = |shown: &Value| {
        let named = shown.get("tag").unwrap_or(shown);
        let name =
            ["full_name", "display_name", "name"].iter().find_map(|member| named.get(*member)?.as_str());
        name.or_else(|| named.get("display_id")?.as_str()).unwrap_or_default().to_owned()
    };
    all.iter().map(name).collect::<Vec<_>>().join("; ")
}
