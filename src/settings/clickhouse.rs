//! Settings of ClickHouse: only looked at where rows come from there.

use super::dotenv::{DotEnv, dotenv};
use super::sources::{Sources, service_url};
use crate::cli::Global;
use crate::cli::client::ClientFlags;
use crate::database::clickhouse::Clickhouse;
use crate::exit::{Exit, Failure};
use serde_json::{Map, Value};

/// The names of all settings that only ClickHouse needs.
#[cfg(test)]
pub(super) const NAMES: [&str; 4] =
    ["CLICKHOUSE_URL", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_DATABASE"];

/// Resolves which ClickHouse is asked, and what of it goes into `run.json`: no secrets. The error names all that is
/// missing and all that is wrong.
pub(crate) fn resolve(
    global: &Global,
    client: &ClientFlags,
) -> Result<(Clickhouse, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    from_sources(client, environment, dotenv(global.env_file.as_deref())?)
}

/// The address of a ClickHouse that a job file names. The error does not quote it.
#[cfg(feature = "load")]
pub(crate) fn address(text: &str) -> Result<url::Url, String> {
    service_url(text)?.ok_or_else(|| "it is empty".to_owned())
}

fn from_sources(
    client: &ClientFlags,
    environment: impl Fn(&str) -> Option<String>,
    dotenv: DotEnv,
) -> Result<(Clickhouse, Map<String, Value>), Failure> {
    let mut from = Sources::new(&environment, dotenv);
    let url = from.parsed("CLICKHOUSE_URL", None, "", service_url);
    let user = from.text("CLICKHOUSE_USER", None, "default");
    let password = from.secret("CLICKHOUSE_PASSWORD");
    let database = from.text("CLICKHOUSE_DATABASE", None, "default");
    let retry = from.retries(client);
    let missing: &[&str] = if from.given("CLICKHOUSE_URL") { &[] } else { &["CLICKHOUSE_URL"] };
    let record = from.finish("clickhouse", "CLICKHOUSE_", missing)?;
    // Whatever is not there has left a problem, or is missing.
    let incomplete = || Failure::new(Exit::Usage, "invalid settings");
    let clickhouse = Clickhouse {
        url: url.flatten().ok_or_else(incomplete)?,
        user,
        password,
        database,
        retry: retry.ok_or_else(incomplete)?,
    };
    Ok((clickhouse, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(set: &[(&str, &str)]) -> Result<(Clickhouse, Map<String, Value>), Failure> {
        let find =
            |name: &str| set.iter().rfind(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        from_sources(&ClientFlags::default(), find, DotEnv::default())
    }

    #[test]
    fn the_password_is_nowhere_and_the_rest_is_recorded() {
        let set = [("CLICKHOUSE_URL", "https://c.example.com:8443"), ("CLICKHOUSE_PASSWORD", "s3cr3t")];
        let (clickhouse, record) = resolve(&set).unwrap();
        assert_eq!((&*clickhouse.user, &*clickhouse.database), ("default", "default"));
        assert!(!format!("{clickhouse:?}").contains("s3cr3t"));
        let record = Value::Object(record);
        assert_eq!(record["CLICKHOUSE_URL"]["value"], "https://c.example.com:8443");
        assert!(!record.to_string().contains("s3cr3t") && record.get("MAX_RETRIES").is_none(), "{record}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let error = resolve(&[]).unwrap_err();
        let missing = "--source clickhouse needs settings that are not there: CLICKHOUSE_URL (";
        assert!(error.exit == Exit::Usage && error.message.starts_with(missing), "{error}");
        for (url, says) in [
            ("http://c.example.com:8123", "neither https nor http to this machine"),
            ("https://ana:s3cr3t@c.example.com", "has user info in it"),
            ("https://c.example.com/?password=s3cr3t", "has a query or a fragment"),
            ("c.example.com", "is not a URL"),
        ] {
            let error = resolve(&[("CLICKHOUSE_URL", url)]).unwrap_err().message;
            assert!(error.contains("CLICKHOUSE_URL") && error.contains(says), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
