//! Settings of the sources that are asked over HTTP: ClickHouse and Metabase. Only looked at where rows come from there.

use super::dotenv::dotenv;
use super::sources::{Sources, flag};
use crate::cli::Global;
use crate::cli::client::ClientFlags;
use crate::exit::{Exit, Failure};
use crate::net;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;

/// Where and as whom a service is asked.
#[derive(Debug, Clone)]
pub(crate) struct WebAccess {
    /// Its address.
    pub url: Url,
    /// The user.
    pub user: String,
    /// The password or the key.
    pub secret: Option<SecretString>,
    /// The database.
    pub database: String,
    /// How long a query may take.
    pub timeout: Duration,
    /// How often it is asked again.
    pub retries: u32,
}

/// The names of a service's settings.
struct Names {
    url: &'static str,
    user: Option<&'static str>,
    secret: &'static str,
    database: &'static str,
    default_database: &'static str,
    timeout: Option<&'static str>,
}

/// Those of ClickHouse, and what of them goes into `run.json`.
pub(crate) fn clickhouse(
    global: &Global,
    client: &ClientFlags,
) -> Result<(WebAccess, Map<String, Value>), Failure> {
    let names = Names {
        url: "CLICKHOUSE_URL",
        user: Some("CLICKHOUSE_USER"),
        secret: "CLICKHOUSE_PASSWORD",
        database: "CLICKHOUSE_DATABASE",
        default_database: "default",
        timeout: None,
    };
    resolve(global, client, &names)
}

/// Those of Metabase.
pub(crate) fn metabase(
    global: &Global,
    client: &ClientFlags,
) -> Result<(WebAccess, Map<String, Value>), Failure> {
    let names = Names {
        url: "METABASE_BASE_URL",
        user: None,
        secret: "METABASE_API_KEY",
        database: "METABASE_DATABASE",
        default_database: "",
        timeout: Some("METABASE_TIMEOUT"),
    };
    let (access, record) = resolve(global, client, &names)?;
    if access.secret.is_none() || access.database.parse::<u32>().is_err() {
        let text =
            "--source metabase needs METABASE_API_KEY, and METABASE_DATABASE with the number of a database";
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok((access, record))
}

fn resolve(
    global: &Global,
    client: &ClientFlags,
    names: &Names,
) -> Result<(WebAccess, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let dotenv = dotenv(global.env_file.as_deref())?;
    let mut from = Sources { environment: &environment, dotenv, record: Map::new(), problems: Vec::new() };
    if from.find(names.url, None).is_none() {
        let text = format!("{} is not set (in the environment or in .env; .env.sample shows how)", names.url);
        return Err(Failure::new(Exit::Usage, text));
    }
    let url = from.parsed(names.url, None, "", |text| match Url::parse(text) {
        Ok(url) if url.username() != "" || url.password().is_some() => {
            Err("has a user in it: give it in settings of its own".to_owned())
        }
        Ok(url) if net::is_safe(&url) => Ok(url),
        _ => Err("is neither https nor http to this machine".to_owned()),
    });
    let user = names.user.map_or_else(String::new, |name| from.text(name, None, "default"));
    let database = from.text(names.database, None, names.default_database);
    let timeout = names
        .timeout
        .map_or(Some(Duration::from_secs(3_600)), |name| from.seconds(name, None, 600.0, 1.0..=86_400.0));
    let retries = from.number("MAX_RETRIES", flag("max-retries", client.max_retries.as_ref()), 3, 0..=20);
    let secret = from.secret(names.secret);
    match (url, timeout) {
        (Some(url), Some(timeout)) if from.problems.is_empty() => {
            // Recorded by the settings that every command has.
            from.record.remove("MAX_RETRIES");
            let retries = retries.unwrap_or_default();
            Ok((WebAccess { url, user, secret, database, timeout, retries }, from.record))
        }
        _ => {
            let text = format!("invalid settings:\n  {}", from.problems.join("\n  "));
            Err(Failure::new(Exit::Usage, text))
        }
    }
}
