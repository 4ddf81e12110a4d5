//! The options of an update, and what follows from them alone.

use super::base::BaseFile;
use super::columns::{self, Columns, Typed};
use super::decide::condition;
use super::fields::{Fields, usage};
use super::names::Names;
use super::rows::RowReader;
use super::value;
use crate::cli::choices::{OnEmpty, OnMissing, word};
use crate::devrev::objects::{self, Field, Object};
use crate::devrev::read_only::ReadOnly;
use crate::exit::Failure;
use crate::report::validation::shell_word;
use crate::source::Input;
use crate::source::header::Header;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// The options of an update.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "flags, as they were typed")]
pub(crate) struct UpdateOptions {
    /// `--object`
    pub object: String,
    /// `--limit`: only the first rows.
    pub limit: Option<u64>,
    /// How columns are read.
    #[serde(flatten)]
    pub typed: Typed,
    /// `--base`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseFile>,
    /// Whether the cells of the rows are guarded against formulas: a CSV file that this tool's export wrote, or that was
    /// edited from one, or what an update of such a file has put aside.
    #[serde(default)]
    pub is_export: bool,
    /// `--empty`
    pub on_empty: OnEmpty,
    /// `--where FIELD=VALUE`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<(String, String)>,
    /// `--on-missing`
    #[serde(default)]
    pub on_missing: OnMissing,
    /// Whether every row is to create an object, and what is there already is left alone: `create`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub creates: bool,
    /// `--skip-invalid`
    #[serde(default)]
    pub skip_invalid: bool,
    /// `--no-required-check`
    #[serde(default)]
    pub no_required_check: bool,
    /// `--create-tags`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_tags: bool,
    /// The file in the run's folder that has what a load has rejected before there were rows; nothing for other updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
    /// The fields of the object in this organisation, once they are known.
    #[serde(skip)]
    pub known: Arc<OnceLock<Arc<Fields>>>,
}

impl UpdateOptions {
    /// The type of object.
    pub(crate) fn object(&self) -> &'static Object {
        // `--object` takes no other word; a `run.json` that was changed by hand may hold one.
        objects::named(&self.object).unwrap_or(&objects::OBJECTS[0])
    }

    /// What reads rows with this header. Blocks if there is a base.
    pub(crate) fn reader(&self, header: &Header) -> Result<RowReader, Failure> {
        let object = self.object();
        let is_by_ref = self.typed.key.as_deref() == Some("external_ref");
        if self.on_missing == OnMissing::Create && !is_by_ref {
            return Err(usage("--on-missing create needs --match external_ref".to_owned()));
        }
        let columns = self.find(header)?;
        if self.base.is_some() && matches!(columns.names, columns::Names::Key(..)) {
            return Err(usage("--base and --match exclude each other: an export has the IDs".to_owned()));
        }
        let base = self.base.as_ref().map(|base| base.open(object.types)).transpose()?;
        let mut needed: &[_] = &[];
        if self.creates {
            columns.check_creation(object)?;
            needed = object.creation.needed;
        }
        RowReader::new(columns, object.types, self.on_empty, base, self.is_export, needed)
    }

    /// The columns of a header.
    fn find(&self, header: &Header) -> Result<Columns, Failure> {
        if self.on_empty == OnEmpty::Leave
            && let Some((field, _)) = self.typed.set.iter().find(|(_, value)| value.trim().is_empty())
        {
            return Err(usage(format!(
                "--set {field}=: nothing to set; `{}` empties the field",
                value::CLEAR
            )));
        }
        Columns::find(self.object(), &self.typed, header)
    }

    /// The fields of the object in this organisation; asked for once.
    pub(super) async fn fields(&self, client: &ReadOnly, said: &[String]) -> Result<Arc<Fields>, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(Arc::clone(known));
        }
        let conditions = self.condition.iter().map(|(name, _)| name.clone());
        let names = said.iter().cloned().chain(conditions).collect();
        let fields = Arc::new(Fields::load(client, self.object(), &names).await?);
        Ok(Arc::clone(self.known.get_or_init(|| fields)))
    }

    /// The fields whose state is read: those that are spoken of, and those of `--where`.
    pub(super) fn read(&self, columns: &Columns, fields: &Fields) -> Result<Vec<Field>, Failure> {
        let mut names: Vec<&str> = columns.columns.iter().map(|column| &*column.field).collect();
        names.extend(self.condition.iter().map(|(name, _)| &**name));
        names.sort_unstable();
        names.dedup();
        let named = |name: &&str| {
            fields.named(name).cloned().ok_or_else(|| usage(fields.unknown(self.object(), name)))
        };
        let read = names.iter().map(named).collect::<Result<_, _>>()?;
        Ok(match (self.on_missing, columns.names) {
            // What DevRev makes of the others is written down, so that an undo knows whether someone has changed them.
            (OnMissing::Create, columns::Names::Key(_, key)) => fields.with_key(self.object(), key),
            _ => read,
        })
    }

    pub(crate) fn columns(&self, input: &Input) -> Result<Columns, Failure> {
        let file = input.open().map_err(|error| crate::run::scan::source_failure(&error))?;
        self.find(file.header())
    }

    /// Fails if a `--where` asks for what its field cannot hold.
    pub(super) async fn check_condition(&self, client: &ReadOnly, fields: &Fields) -> Result<(), Failure> {
        let mut names = Names::with_stages(fields.stages.clone());
        let named = |(field, text): &(String, String)| Some(value::names(&fields.named(field)?.kind, text));
        names.learn(client, self.condition.iter().filter_map(named).flatten().collect()).await?;
        for (field, text) in &self.condition {
            condition(fields, field, text, &names).map_err(usage)?;
        }
        Ok(())
    }

    /// The flags that make the same options, each a word for the shell.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec!["--object".to_owned(), self.object.clone()];
        let mut push = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        if let Some(key) = self.typed.key.as_ref().filter(|_| !self.creates) {
            push("--match", key);
        }
        for (flag, pairs) in
            [("--map", &self.typed.map), ("--set", &self.typed.set), ("--where", &self.condition)]
        {
            for (name, value) in pairs {
                push(flag, &format!("{name}={value}"));
            }
        }
        self.typed.ignore.iter().for_each(|column| push("--ignore", column));
        if let Some(base) = &self.base {
            push("--base", &base.path.to_string_lossy());
        }
        if self.on_empty != OnEmpty::Leave {
            push("--empty", &word(&self.on_empty));
        }
        for (given, flag) in [
            (self.on_missing == OnMissing::Create && !self.creates, &["--on-missing", "create"][..]),
            (self.skip_invalid, &["--skip-invalid"]),
            (self.no_required_check, &["--no-required-check"]),
            (self.create_tags, &["--create-tags"]),
            (self.sandbox, &["--sandbox"]),
        ] {
            words.extend(flag.iter().filter(|_| given).map(|word| (*word).to_owned()));
        }
        words
    }

    pub(super) fn typed_flags(&self) -> String {
        self.words().iter().fold(String::new(), |flags, word| flags + " " + &shell_word(word))
    }
}
