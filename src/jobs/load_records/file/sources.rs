//! Sources that are no database and no files of their own: DevRev.

use super::{Found, JobFile};
use crate::devrev::objects::{self, OBJECTS};
use crate::jobs::load_records::dates::moment;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// The dates of an object by which its list can be cut.
const DATES: [&str; 2] = ["modified_date", "created_date"];
/// What a list is asked besides filters.
const TAKEN: [&str; 7] = ["type", "limit", "cursor", "mode", "sort_by", "modified_date", "created_date"];

/// Objects of DevRev.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::jobs::load_records) struct DevRevSourceSpec {
    /// Their kind: issue, ticket, task, opportunity, account, workspace or contact
    #[schemars(with = "String")]
    pub object: Spanned<String>,
    /// Filters of DevRev's list of them, such as owned_by, as its API has them
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub filter: BTreeMap<String, Spanned<Value>>,
    /// Only those that have changed since then
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub changed_since: Option<Spanned<String>>,
}

impl JobFile {
    pub(super) fn mistakes_of_devrev_source(&self, found: &mut Found) {
        let Some(DevRevSourceSpec { object, filter, changed_since }) = &self.source.value.devrev else {
            return;
        };
        if objects::named(&object.value).is_none() {
            let names: Vec<&str> = OBJECTS.iter().map(|object| object.name).collect();
            found.at(object, format!("`{}` is none of {}", object.value, names.join(", ")));
        }
        for (name, value) in filter {
            if TAKEN.contains(&name.as_str()) {
                let text = "is no filter here: object, changed_since and slices.dates say it";
                found.at(value, format!("`{name}` {text}"));
            }
        }
        if let Some(since) = changed_since {
            self.template(since, found);
            if !since.value.contains("${") && moment(&since.value, self.zone()).is_none() {
                found.at(since, format!("`{}` is not a date such as 2026-12-31", since.value));
            }
        }
        if let Some(dates) = self.slices.as_ref().and_then(|slices| slices.value.dates.as_ref())
            && !DATES.contains(&dates.value.field.as_str())
        {
            let text =
                "slices.dates.field: DevRev's lists are cut by modified_date or created_date; keep its name";
            found.at(dates, text.to_owned());
        }
    }
}
