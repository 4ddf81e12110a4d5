//! Where records go: tables, files, and DevRev.

use super::{Found, JobFile, TargetSpec};
use crate::cli::choices::OnEmpty;
use crate::devrev::objects::{self, OBJECTS};
use crate::jobs::load_records::template::Template;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// A table.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct TableSpec {
    /// The file of an SQLite database
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// The address of a database [default: ${env.DATABASE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// The table, with its schema if need be
    pub table: String,
    /// The columns that tell records apart
    pub key: Vec<String>,
    /// Upsert: the column by which the newest of the records of one key stays, such as a time of change [default: the last
    /// one that comes stays]
    #[schemars(with = "Option<String>")]
    pub newest: Option<Spanned<String>>,
    /// What is done where a record's key is there already
    #[schemars(with = "Mode")]
    pub mode: Option<Spanned<Mode>>,
    /// Make the table from the first records if it is not there
    pub create: bool,
}

/// How records get into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::jobs::load_records) enum Mode {
    /// A record whose key is there takes its place
    Upsert,
    /// What is there stays
    Insert,
    /// All records are added
    Append,
    /// The slice's range is deleted first
    Replace,
}

/// Files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct FileTargetSpec {
    /// The file. Where it has a place of the slice, such as ${slice.start} or a value of slices.each, each slice is a file
    /// of its own
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// Read so that its mistake can be said.
    #[serde(default)]
    #[schemars(skip)]
    mode: Option<Spanned<Value>>,
}

/// A table of ClickHouse.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct ClickhouseTargetSpec {
    /// The address of its HTTP interface [default: ${env.CLICKHOUSE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// Who writes [default: CLICKHOUSE_USER, or else default]
    #[schemars(with = "Option<String>")]
    pub user: Option<Spanned<String>>,
    /// The password, as ${env.NAME} [default: ${env.CLICKHOUSE_PASSWORD}]
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// The database [default: CLICKHOUSE_DATABASE, or else default]
    #[schemars(with = "Option<String>")]
    pub database: Option<Spanned<String>>,
    /// The table, with its database if that is another one
    pub table: String,
    /// The columns that tell records apart: for upsert the ORDER BY of the table
    pub key: Vec<String>,
    /// upsert, or append
    #[schemars(with = "Mode")]
    pub mode: Option<Spanned<Mode>>,
    /// Make the table from the first records if it is not there
    pub create: bool,
    /// Mode append into a table that does not tell repeated batches: a crash can add a batch twice
    pub at_least_once: bool,
}

/// Objects of DevRev.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct DevRevTargetSpec {
    /// What records are about: issue, ticket, task, opportunity, account, workspace or contact
    #[schemars(with = "String")]
    pub object: Spanned<String>,
    /// The field by which objects are found, such as external_ref [default: their IDs, in `id`]
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub key: Option<Spanned<String>>,
    /// Create objects that are not there; needs key: external_ref
    #[serde(default)]
    pub create: bool,
    /// Fields of records, each with the name of its field in DevRev
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// Fields of records that DevRev does not get
    #[serde(default)]
    pub ignore: Vec<String>,
    /// What null and an empty text mean: leave, or clear [default: leave]
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub empty: Option<OnEmpty>,
    /// Create tags that records name and that do not exist
    #[serde(default)]
    pub create_tags: bool,
    /// Leave out records that DevRev's schema does not allow, instead of changing nothing
    #[serde(default)]
    pub skip_invalid: bool,
    /// Read so that its mistake can be said.
    #[serde(default)]
    #[schemars(skip)]
    mode: Option<Spanned<Value>>,
}

impl ClickhouseTargetSpec {
    /// What it has in common with tables of other databases.
    pub(super) fn table(&self) -> TableSpec {
        TableSpec {
            path: None,
            url: None,
            table: self.table.clone(),
            key: self.key.clone(),
            newest: None,
            mode: self.mode.clone(),
            create: self.create,
        }
    }
}

impl JobFile {
    /// Whether a place of this name is another for each slice.
    pub(in crate::jobs::load_records) fn is_of_slice(&self, name: &str) -> bool {
        self.slices.as_ref().is_some_and(|slices| slices.value.each.contains_key(name))
    }

    pub(super) fn mistakes_of_file_target(&self, found: &mut Found) {
        let TargetSpec { csv, jsonl, .. } = &self.target.value;
        for (spec, kind) in
            csv.iter().map(|spec| (spec, "csv")).chain(jsonl.iter().map(|spec| (spec, "jsonl")))
        {
            self.template(&spec.path, found);
            if let Some(mode) = &spec.mode {
                let text = format!("{kind} has no mode: the file of a slice is replaced whole");
                found.at(mode, text);
            }
            let text = spec.path.value.as_str();
            if text.trim().is_empty() || text.ends_with(std::path::is_separator) {
                found.at(&spec.path, "the path names no file".to_owned());
            }
            let Ok(template) = Template::parse(text) else { continue };
            if template.variables().next().is_some() {
                found.at(
                    &spec.path,
                    "a path is shown, so it takes no ${env.NAME}: pass it as a parameter".to_owned(),
                );
            }
            let inner = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
            if inner.into_iter().any(|place| place.contains(std::path::is_separator)) {
                let text = "a place of a path makes no folders: write ${slice.start:%Y}/${slice.start:%m}";
                found.at(&spec.path, text.to_owned());
            }
        }
        if self.file_target().is_some() {
            for check in self.checks.iter().filter(|check| check.value.sql.is_some()) {
                found.at(check, "sql needs a database as the target: files have count and gaps".to_owned());
            }
        }
    }

    pub(super) fn mistakes_of_clickhouse_target(&self, found: &mut Found) {
        let Some(spec) = &self.target.value.clickhouse else { return };
        let ClickhouseTargetSpec { url, user, password, database, mode, .. } = spec;
        self.mistakes_of_clickhouse_access([url, user, password, database], found);
        if let Some(mode) = mode
            && matches!(mode.value, Mode::Insert | Mode::Replace)
        {
            let text = "ClickHouse has modes upsert and append: it has no transaction in which a key could be looked for, or rows \
                        be replaced";
            found.at(mode, text.to_owned());
        }
    }

    pub(super) fn mistakes_of_devrev_target(&self, found: &mut Found) {
        let Some(spec) = &self.target.value.devrev else { return };
        let DevRevTargetSpec { object, key, create, mode, .. } = spec;
        if let Some(mode) = mode {
            let text =
                "devrev has no mode: what differs is changed, and create: true creates what is not there";
            found.at(mode, text.to_owned());
        }
        for check in &self.checks {
            let text = "devrev has no checks: every change is proved by DevRev's answer";
            found.at(check, text.to_owned());
        }
        let Some(of) = objects::named(&object.value) else {
            let names: Vec<&str> = OBJECTS.iter().map(|object| object.name).collect();
            found.at(object, format!("`{}` is none of {}", object.value, names.join(", ")));
            return;
        };
        let keys: Vec<&str> = of.keys.iter().map(|key| key.name).collect();
        match key {
            Some(key) if !keys.contains(&key.value.as_str()) => {
                let by = if keys.is_empty() { "their IDs only".to_owned() } else { keys.join(", ") };
                found.at(key, format!("key: {} are found by {by}", of.plural));
            }
            Some(key) if *create && key.value != "external_ref" => {
                found.at(key, "create: true needs key: external_ref".to_owned());
            }
            None if *create => found.at(object, "create: true needs key: external_ref".to_owned()),
            _ => {}
        }
    }
}
