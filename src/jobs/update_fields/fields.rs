//! The fields of a type of object in this organisation: DevRev's own, and the tenant's, from its schema.

use crate::devrev::objects::{Clear, Field, Key, Kind, Object, READ_ONLY, Shape, is_custom};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::schemas::{Schema, SchemaGet, StageDiagramGet, SubtypesList};
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::net::error::ErrorKind;
use std::collections::HashSet;

/// Subtypes whose schemas are asked for.
const MOST_SUBTYPES: usize = 100;
/// How alike two names must be for one to be offered for the other, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The fields that may be written, and the stages.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub all: Vec<Field>,
    /// The stages' names; `None` where DevRev does not tell them.
    pub stages: Option<Vec<String>>,
}

impl Fields {
    /// DevRev's own fields alone: what is known without asking.
    pub(crate) fn stock(object: &Object) -> Self {
        Self { all: object.fields.clone(), stages: None }
    }

    /// Asks for the schema, as far as these names need it.
    pub(crate) async fn load(
        client: &ReadOnly,
        object: &'static Object,
        names: &HashSet<String>,
    ) -> Result<Self, Failure> {
        let failed = format!("cannot read the schema of {}", object.plural);
        let leaf = object.leaf_type;
        let schema = client.call(&SchemaGet::of(leaf)).await;
        let mut fields = Self::stock(object);
        match schema {
            Ok(answer) => fields.take(&answer.schema),
            Err(error) if names.iter().any(|name| is_custom(name)) || failing::ends_run(&error).is_some() => {
                return Err(failing::needed(&error, &failed));
            }
            Err(error) => tracing::info!("{failed}: {error}"),
        }
        let apps: HashSet<&str> = names.iter().filter_map(|name| app_of(name)).collect();
        for app in apps {
            let schema = client.call(&SchemaGet::with(leaf, vec![app.to_owned()], None)).await;
            fields.take(&schema.map_err(|error| failing::needed(&error, &failed))?.schema);
        }
        if names.iter().any(|name| name.starts_with("ctype__")) {
            let listed = client.call(&SubtypesList { leaf_type: leaf }).await;
            let subtypes = listed.map_err(|error| failing::needed(&error, &failed))?.subtypes;
            for subtype in subtypes.into_iter().take(MOST_SUBTYPES) {
                let schema = client.call(&SchemaGet::with(leaf, Vec::new(), Some(subtype.value))).await;
                fields.take(&schema.map_err(|error| failing::needed(&error, &failed))?.schema);
            }
        }
        if names.contains("stage") {
            match client.call(&StageDiagramGet { leaf_type: leaf }).await {
                Ok(answer) => fields.stages = Some(answer.stages()).filter(|stages| !stages.is_empty()),
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(failing::needed(&error, "cannot read the stages")),
            }
        }
        Ok(fields)
    }

    /// Adds the custom fields of a schema, and takes over what the tenant has made of DevRev's own choices.
    fn take(&mut self, schema: &Schema) {
        for field in schema.custom_fields.iter().flatten() {
            let name = field.name();
            if !is_custom(name) || self.named(name).is_some() {
                continue;
            }
            let clear = if field.is_required() { Clear::Never } else { Clear::Null };
            let kind = if field.is_immutable() { Kind::Other } else { field.kind() };
            self.all.push(Field { name: name.to_owned().into(), kind, clear });
        }
        for stock in schema.stock_fields.iter().flatten() {
            if let Kind::Choice(choices) = stock.kind()
                && !choices.is_empty()
                && let Some(own) = self.all.iter_mut().find(|own| own.name == stock.name())
                && matches!(own.kind, Kind::Choice(_))
            {
                own.kind = Kind::Choice(choices);
            }
        }
    }

    /// All of them, and the one that holds a key.
    pub(crate) fn with_key(&self, object: &Object, key: &Key) -> Vec<Field> {
        let key = Some(object.key_field(key)).filter(|key| self.named(&key.name).is_none());
        self.all.iter().cloned().chain(key).collect()
    }

    /// A field by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Field> {
        self.all.iter().find(|field| field.name == name)
    }

    /// Refuses a name that is no field, and says which ones are like it.
    pub(crate) fn unknown(&self, object: &Object, name: &str) -> String {
        let mut alike: Vec<(f64, &str)> = self
            .all
            .iter()
            .map(|field| &*field.name)
            .map(|field| (strsim::jaro_winkler(&name.to_lowercase(), &field.to_lowercase()), field))
            .filter(|(alike, _)| *alike >= ALIKE)
            .collect();
        alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let near: Vec<String> = alike.iter().take(2).map(|(_, name)| format!("`{name}`")).collect();
        let hint =
            if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
        format!("{} have no field `{name}`{hint}", object.plural)
    }
}

/// The app whose field this is: `app_x__y` is one of `x`.
pub(crate) fn app_of(name: &str) -> Option<&str> {
    name.strip_prefix("app_").and_then(|rest| rest.split_once("__")).map(|(app, _)| app)
}

/// Whether DevRev shows a member that cannot be written.
pub(crate) fn is_read_only(name: &str) -> bool {
    READ_ONLY.contains(&name)
}

/// How a list field is written.
pub(crate) fn shape(kind: &Kind) -> Option<Shape> {
    match kind {
        Kind::List(_, shape) | Kind::Tags(shape) => Some(*shape),
        _ => None,
    }
}

/// A wrong flag or column.
pub(crate) fn usage(text: String) -> Failure {
    Failure::new(Exit::Usage, text)
}
