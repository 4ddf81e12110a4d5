//! Settings of Metabase: only looked at where rows come from there.

use super::dotenv::{DotEnv, dotenv};
use super::sources::{OfJob, Sources, service_url};
use crate::cli::Global;
use crate::cli::client::ClientFlags;
use crate::exit::{Exit, Failure};
use crate::source::metabase::Metabase;
use serde_json::{Map, Value};

/// The names of all settings that only Metabase needs.
#[cfg(test)]
pub(super) const NAMES: [&str; 4] =
    ["METABASE_BASE_URL", "METABASE_API_KEY", "METABASE_DATABASE", "METABASE_TIMEOUT"];

/// Resolves which Metabase is asked, and what of it goes into `run.json`: no secrets. The error names all that is missing
/// and all that is wrong.
pub(crate) fn resolve(
    global: &Global,
    client: &ClientFlags,
) -> Result<(Metabase, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    from_sources(client, environment, dotenv(global.env_file.as_deref())?, None)
}

/// The same for a job file.
#[cfg(feature = "load")]
pub(crate) fn of_job(job: &OfJob, env_file: Option<&std::path::Path>) -> Result<Metabase, Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    from_sources(&ClientFlags::default(), environment, dotenv(env_file)?, Some(job))
        .map(|(metabase, _)| metabase)
}

fn from_sources(
    client: &ClientFlags,
    environment: impl Fn(&str) -> Option<String>,
    dotenv: DotEnv,
    job: Option<&OfJob>,
) -> Result<(Metabase, Map<String, Value>), Failure> {
    let mut from = Sources::new(&environment, dotenv).of(job);
    let base_url = from.parsed("METABASE_BASE_URL", None, "", service_url);
    let api_key = from.secret("METABASE_API_KEY");
    let database = Some(from.text("METABASE_DATABASE", None, "")).filter(|database| !database.is_empty());
    let timeout = from.seconds("METABASE_TIMEOUT", None, 300.0, 1.0..=21_600.0);
    let retry = from.retries(client);
    let mut missing = Vec::new();
    if !from.given("METABASE_BASE_URL") {
        missing.push("METABASE_BASE_URL");
    }
    if api_key.is_none() {
        missing.push("METABASE_API_KEY");
    }
    let record = from.finish("metabase", "METABASE_", &missing)?;
    // Whatever is not there has left a problem, or is missing.
    let incomplete = || Failure::new(Exit::Usage, "invalid settings");
    let metabase = Metabase {
        base_url: base_url.flatten().ok_or_else(incomplete)?,
        api_key: api_key.ok_or_else(incomplete)?,
        database,
        timeout: timeout.ok_or_else(incomplete)?,
        retry: retry.ok_or_else(incomplete)?,
    };
    Ok((metabase, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(set: &[(&str, &str)]) -> Result<(Metabase, Map<String, Value>), Failure> {
        let find =
            |name: &str| set.iter().rfind(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        from_sources(&ClientFlags::default(), find, DotEnv::default(), None)
    }

    #[test]
    fn a_job_file_stands_before_the_environment_and_is_named() {
        let find = |name: &str| (name == "METABASE_BASE_URL").then(|| "https://m.example.com".to_owned());
        let resolve = |given: Vec<(&'static str, &'static str, String)>| {
            let job = OfJob { source: "source.metabase", given };
            from_sources(&ClientFlags::default(), find, DotEnv::default(), Some(&job)).map(|(of, _)| of)
        };
        let error = resolve(Vec::new()).unwrap_err().message;
        assert!(
            error.starts_with("source.metabase needs settings that are not there: METABASE_API_KEY (in it"),
            "{error}"
        );
        let key = || ("METABASE_API_KEY", "api_key", "mb_s3cr3t".to_owned());
        let metabase = resolve(vec![key(), ("METABASE_DATABASE", "database", "7".to_owned())]).unwrap();
        assert_eq!(
            (metabase.base_url.as_str(), metabase.database.as_deref()),
            ("https://m.example.com/", Some("7"))
        );
        let error =
            resolve(vec![key(), ("METABASE_BASE_URL", "url", "http://h".to_owned())]).unwrap_err().message;
        assert!(
            error.contains("source.metabase.url: `http://h` is neither") && !error.contains("s3cr3t"),
            "{error}"
        );
    }

    #[test]
    fn the_key_is_nowhere_and_the_rest_is_recorded() {
        let set = [
            ("METABASE_BASE_URL", "https://m.example.com/mb"),
            ("METABASE_API_KEY", "mb_s3cr3t"),
            ("METABASE_DATABASE", "crm"),
        ];
        let (metabase, record) = resolve(&set).unwrap();
        assert_eq!((metabase.database.as_deref(), metabase.timeout.as_secs()), (Some("crm"), 300));
        let record = Value::Object(record);
        assert_eq!(record["METABASE_BASE_URL"]["value"], "https://m.example.com/mb");
        assert!(!record.to_string().contains("s3cr3t") && record.get("MAX_RETRIES").is_none(), "{record}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_together() {
        let error = resolve(&[("METABASE_API_KEY", "")]).unwrap_err();
        let missing =
            "--source metabase needs settings that are not there: METABASE_BASE_URL, METABASE_API_KEY (";
        assert!(error.exit == Exit::Usage && error.message.starts_with(missing), "{error}");
        for (name, value, says) in [
            ("METABASE_BASE_URL", "http://m.example.com", "neither https nor http to this machine"),
            ("METABASE_BASE_URL", "https://ana:s3cr3t@m.example.com", "has user info in it"),
            ("METABASE_BASE_URL", "https://m.example.com/?a=1", "has a query or a fragment"),
            ("METABASE_BASE_URL", "m.example.com", "is not a URL"),
            ("METABASE_TIMEOUT", "0", "is not a number of seconds from 1 to 21600"),
        ] {
            let set = [
                ("METABASE_BASE_URL", "http://localhost:3000"),
                ("METABASE_API_KEY", "mb_s3cr3t"),
                (name, value),
            ];
            let error = resolve(&set).unwrap_err().message;
            assert!(error.contains(name) && error.contains(says) && !error.contains("s3cr3t"), "{error}");
        }
    }
}
