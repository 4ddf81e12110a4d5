//! Sources that are services: who they are, as the job file says, or else the settings that `--source` has too.

use super::LoadOptions;
use crate::exit::{Exit, Failure};
use crate::jobs::load_records::file::{MetabaseSpec, Named, SnowflakeSpec};
#[cfg(feature = "snowflake")]
use crate::jobs::load_records::source::SnowflakeQuery;
use crate::jobs::load_records::source::{MetabaseQuery, Source};
use crate::net::retry::RetryPolicy;
use crate::settings::sources::OfJob;
use crate::settings::{self, Variables};
use crate::source::grammar::Grammar;
use serde_saphyr::Spanned;

/// A setting, what the file calls it, and what it says.
type Given<'a> = (&'static str, &'static str, Option<&'a str>);

impl LoadOptions {
    /// A query of the Metabase that the file names.
    pub(super) fn metabase(&self, spec: &MetabaseSpec, retry: RetryPolicy) -> Result<Source, Failure> {
        let id = spec.database.as_ref().map(|database| match &database.value {
            Named::Id(id) => id.to_string(),
            Named::Name(name) => name.clone(),
        });
        let given = [
            ("METABASE_BASE_URL", "url", text(spec.url.as_ref())),
            ("METABASE_API_KEY", "api_key", text(spec.api_key.as_ref())),
            ("METABASE_DATABASE", "database", id.as_deref()),
        ];
        let job = self.of_job("source.metabase", &given)?;
        let mut metabase = self.named(settings::metabase::of_job(&job, self.env_file.as_deref()))?;
        metabase.retry = self.retry(retry)?;
        let query = self.query(spec.query.as_ref(), spec.table.as_ref(), Grammar::Any)?;
        Ok(Source::Metabase(Box::new(MetabaseQuery::new(metabase, query))))
    }

    /// A query of the Snowflake that the file names.
    #[cfg(feature = "snowflake")]
    pub(super) fn snowflake(&self, spec: &SnowflakeSpec, retry: RetryPolicy) -> Result<Source, Failure> {
        let given = spec.given().map(|(setting, field, said)| (setting, field, text(said)));
        let mut job = self.of_job("source.snowflake", &given)?;
        // Paths begin from the folder in which the command was run, also for a `resume`.
        for (setting, _, path) in &mut job.given {
            if *setting == "SNOWFLAKE_PRIVATE_KEY_PATH" && !path.starts_with('~') {
                *path = self.folder.join(&path).to_string_lossy().into_owned();
            }
        }
        let mut access = self.named(settings::snowflake::of_job(&job, self.env_file.as_deref()))?;
        access.retry = self.retry(retry)?;
        let query = self.query(spec.query.as_ref(), spec.table.as_ref(), Grammar::Snowflake)?;
        let zone = self.job()?.file.zone();
        Ok(Source::Snowflake(Box::new(SnowflakeQuery::new(access, query, zone.name()))))
    }

    #[cfg(not(feature = "snowflake"))]
    pub(super) fn snowflake(&self, _: &SnowflakeSpec, _: RetryPolicy) -> Result<Source, Failure> {
        Err(self.usage("source.snowflake: this build leaves it out; build it with --features snowflake"))
    }

    /// What the file says, with its places filled.
    fn of_job(&self, source: &'static str, given: &[Given<'_>]) -> Result<OfJob, Failure> {
        let variables = Variables::read(self.env_file.as_deref())?;
        let said = given.iter().filter_map(|(setting, field, text)| Some((*setting, *field, (*text)?)));
        let given = said.map(|(setting, field, text)| Ok((setting, field, self.filled(text, &variables)?)));
        Ok(OfJob { source, given: given.collect::<Result<_, Failure>>()? })
    }

    /// A failure that names the job file.
    fn named<T>(&self, resolved: Result<T, Failure>) -> Result<T, Failure> {
        resolved.map_err(|failure| match failure.exit {
            Exit::Usage => self.usage(failure.message),
            _ => failure,
        })
    }
}

fn text(given: Option<&Spanned<String>>) -> Option<&str> {
    given.map(|text| text.value.as_str())
}
