//! Sources that are services, which are asked a query: Metabase.

use super::{Found, JobFile};
use crate::jobs::load_records::span::Span;
use crate::source::grammar::Grammar;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A query of one of the databases that a Metabase knows.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct MetabaseSpec {
    /// The address of Metabase [default: ${env.METABASE_BASE_URL}]
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// The key of its API, as ${env.NAME} [default: ${env.METABASE_API_KEY}]
    #[schemars(with = "Option<String>")]
    pub api_key: Option<Spanned<String>>,
    /// The database: its ID or its name [default: METABASE_DATABASE, or else the only one]
    #[schemars(with = "Option<Named>")]
    pub database: Option<Spanned<Named>>,
    /// One SELECT or WITH
    #[schemars(with = "Option<String>")]
    pub query: Option<Spanned<String>>,
    /// A whole table
    #[schemars(with = "Option<String>")]
    pub table: Option<Spanned<String>>,
}

/// An ID or a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::jobs::load_records) enum Named {
    Id(u64),
    Name(String),
}

impl JobFile {
    pub(super) fn mistakes_of_services(&self, found: &mut Found) {
        if let Some(MetabaseSpec { url, api_key, database, query, table }) = &self.source.value.metabase {
            self.one_of_query_and_table(query.is_some(), table.is_some(), found);
            for text in url.iter().chain(api_key).chain(query) {
                self.template(text, found);
            }
            if let Some(database) = database
                && let Named::Name(name) = &database.value
            {
                self.template_text(Span::of(database), name, found);
            }
            found.secret(api_key.as_ref(), "a key");
            if let Some(url) = url {
                found.no_password(url);
            }
            found.query(query.as_ref(), Grammar::Any);
            if let Some(query) = query
                && query.value.contains("{{")
            {
                found.at(query, "a query has no {{name}} of Metabase's own: write ${name}".to_owned());
            }
        }
    }
}
