//! Sources that are services, which are asked a query: Metabase and Snowflake.

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
#[serde(untagged, expecting = "expected an ID, which is a whole number, or a name")]
pub(in crate::jobs::load_records) enum Named {
    Id(u64),
    Name(String),
}

/// A query of Snowflake.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::jobs::load_records) struct SnowflakeSpec {
    /// What stands before .snowflakecomputing.com [default: ${env.SNOWFLAKE_ACCOUNT}]
    #[schemars(with = "Option<String>")]
    pub account: Option<Spanned<String>>,
    /// Who asks [default: ${env.SNOWFLAKE_USER}]
    #[schemars(with = "Option<String>")]
    pub user: Option<Spanned<String>>,
    /// The password, as ${env.NAME} [default: ${env.SNOWFLAKE_PASSWORD}]
    #[schemars(with = "Option<String>")]
    pub password: Option<Spanned<String>>,
    /// A file with a private key, in place of a password [default: ${env.SNOWFLAKE_PRIVATE_KEY_PATH}]
    #[schemars(with = "Option<String>")]
    pub private_key_path: Option<Spanned<String>>,
    /// The warehouse [default: ${env.SNOWFLAKE_WAREHOUSE}]
    #[schemars(with = "Option<String>")]
    pub warehouse: Option<Spanned<String>>,
    /// The database [default: ${env.SNOWFLAKE_DATABASE}]
    #[schemars(with = "Option<String>")]
    pub database: Option<Spanned<String>>,
    /// The schema [default: ${env.SNOWFLAKE_SCHEMA}]
    #[schemars(with = "Option<String>")]
    pub schema: Option<Spanned<String>>,
    /// The role [default: SNOWFLAKE_ROLE, or else the user's own]
    #[schemars(with = "Option<String>")]
    pub role: Option<Spanned<String>>,
    /// Where the account is, if not at .snowflakecomputing.com [default: SNOWFLAKE_HOST]
    #[schemars(with = "Option<String>")]
    pub host: Option<Spanned<String>>,
    /// One SELECT or WITH
    #[schemars(with = "Option<String>")]
    pub query: Option<Spanned<String>>,
    /// A whole table
    #[schemars(with = "Option<String>")]
    pub table: Option<Spanned<String>>,
}

impl SnowflakeSpec {
    /// The settings that it can have in place of those of the environment, what it calls each, and what it says.
    pub(in crate::jobs::load_records) fn given(
        &self,
    ) -> [(&'static str, &'static str, Option<&Spanned<String>>); 9] {
        [
            ("SNOWFLAKE_ACCOUNT", "account", self.account.as_ref()),
            ("SNOWFLAKE_USER", "user", self.user.as_ref()),
            ("SNOWFLAKE_PASSWORD", "password", self.password.as_ref()),
            ("SNOWFLAKE_PRIVATE_KEY_PATH", "private_key_path", self.private_key_path.as_ref()),
            ("SNOWFLAKE_WAREHOUSE", "warehouse", self.warehouse.as_ref()),
            ("SNOWFLAKE_DATABASE", "database", self.database.as_ref()),
            ("SNOWFLAKE_SCHEMA", "schema", self.schema.as_ref()),
            ("SNOWFLAKE_ROLE", "role", self.role.as_ref()),
            ("SNOWFLAKE_HOST", "host", self.host.as_ref()),
        ]
    }
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
        if let Some(spec) = &self.source.value.snowflake {
            self.one_of_query_and_table(spec.query.is_some(), spec.table.is_some(), found);
            for text in spec.given().into_iter().filter_map(|(_, _, text)| text).chain(&spec.query) {
                self.template(text, found);
            }
            found.secret(spec.password.as_ref(), "a password");
            if let (Some(_), Some(path)) = (&spec.password, &spec.private_key_path) {
                found.at(path, "snowflake has one of password and private_key_path".to_owned());
            }
            found.query(spec.query.as_ref(), Grammar::Snowflake);
        }
    }
}
