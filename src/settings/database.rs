//! `DATABASE_URL`: only looked at where rows come from a database.

use super::dotenv::dotenv;
use super::sources::Sources;
use crate::cli::Global;
use crate::exit::{Exit, Failure};
use secrecy::SecretString;
use serde_json::Map;

/// The address, and where it comes from. It may have a password.
pub(crate) fn url(global: &Global) -> Result<(SecretString, String), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let dotenv = dotenv(global.env_file.as_deref())?;
    let from = Sources { environment: &environment, dotenv, record: Map::new(), problems: Vec::new() };
    let found = from.find("DATABASE_URL", None).ok_or_else(|| {
        let text = "DATABASE_URL is not set (in the environment or in .env; .env.sample shows how)";
        Failure::new(Exit::Usage, text)
    })?;
    Ok((SecretString::from(found.0), found.1))
}
