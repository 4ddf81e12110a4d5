//! Settings of Snowflake: only looked at where rows come from there.

use super::dotenv::{DotEnv, dotenv};
use super::sources::{Flag, OfJob, Sources};
use crate::cli::Global;
use crate::cli::client::ClientFlags;
use crate::exit::Failure;
use crate::net;
use crate::net::retry::RetryPolicy;
use crate::source::snowflake::{Access, Login};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The names of all settings that only Snowflake needs.
pub(super) const NAMES: [&str; 9] = [
    "SNOWFLAKE_ACCOUNT",
    "SNOWFLAKE_USER",
    "SNOWFLAKE_PASSWORD",
    "SNOWFLAKE_PRIVATE_KEY_PATH",
    "SNOWFLAKE_WAREHOUSE",
    "SNOWFLAKE_DATABASE",
    "SNOWFLAKE_SCHEMA",
    "SNOWFLAKE_ROLE",
    "SNOWFLAKE_HOST",
];

/// Resolves who asks Snowflake, and what of it goes into `run.json`: no secrets. The error names all that is missing
/// and all that is wrong.
pub(crate) fn resolve(
    global: &Global,
    client: &ClientFlags,
) -> Result<(Access, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    from_sources(client, environment, dotenv(global.env_file.as_deref())?, None)
}

/// The same for a job file.
#[cfg(feature = "load")]
pub(crate) fn of_job(job: &OfJob, env_file: Option<&std::path::Path>) -> Result<Access, Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    from_sources(&ClientFlags::default(), environment, dotenv(env_file)?, Some(job)).map(|(access, _)| access)
}

/// Whether any setting of Snowflake's is there at all.
pub(crate) fn is_set_up(global: &Global) -> Result<bool, Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let dotenv = dotenv(global.env_file.as_deref())?;
    let from = Sources::new(&environment, dotenv);
    Ok(NAMES.iter().any(|name| from.find(name, None).is_some()))
}

fn from_sources(
    client: &ClientFlags,
    environment: impl Fn(&str) -> Option<String>,
    dotenv: DotEnv,
    job: Option<&OfJob>,
) -> Result<(Access, Map<String, Value>), Failure> {
    const NO_FLAG: Flag<'_> = None;
    let mut from = Sources::new(&environment, dotenv).of(job);
    let mut missing = Vec::new();
    let mut needed = |from: &mut Sources<'_>, name: &'static str| {
        let Some((text, place)) = from.find(name, NO_FLAG) else {
            missing.push(name);
            return String::new();
        };
        from.record.insert(name.to_owned(), json!({ "value": text, "from": place }));
        text
    };
    let account = needed(&mut from, "SNOWFLAKE_ACCOUNT");
    let user = needed(&mut from, "SNOWFLAKE_USER");
    let warehouse = needed(&mut from, "SNOWFLAKE_WAREHOUSE");
    let database = needed(&mut from, "SNOWFLAKE_DATABASE");
    let schema = needed(&mut from, "SNOWFLAKE_SCHEMA");
    // How the job file says that the user logs in is the only way.
    let (of_password, of_key) =
        (from.said("SNOWFLAKE_PASSWORD").is_some(), from.said("SNOWFLAKE_PRIVATE_KEY_PATH").is_some());
    let password = from.secret("SNOWFLAKE_PASSWORD").filter(|_| of_password || !of_key);
    let key = from.path("SNOWFLAKE_PRIVATE_KEY_PATH", NO_FLAG, "");
    let key = if of_password && !of_key { PathBuf::new() } else { key };
    let has_key = !key.as_os_str().is_empty();
    if password.is_none() && !has_key {
        missing.push("SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH");
    }
    let role = Some(from.text("SNOWFLAKE_ROLE", NO_FLAG, "")).filter(|role| !role.is_empty());
    let host = from.parsed("SNOWFLAKE_HOST", NO_FLAG, "", host).flatten();
    let retry = from.retries(client);
    if let Some(problem) = dotted(&account) {
        from.problems.push(format!("SNOWFLAKE_ACCOUNT: `{account}` {problem}"));
    } else if !account.is_empty() && !is_account(&account) {
        from.problems.push(format!(
            "SNOWFLAKE_ACCOUNT: `{account}` is not an account: give only what stands before .snowflakecomputing.com"
        ));
    }
    if password.is_some() && has_key {
        from.problems.push(
            "SNOWFLAKE_PASSWORD and SNOWFLAKE_PRIVATE_KEY_PATH are both set: remove one of them".to_owned(),
        );
    }
    let record = from.finish("snowflake", "SNOWFLAKE_", &missing)?;
    let login = password.map_or_else(|| Login::KeyPair(key), Login::Password);
    // None has left a problem above.
    let retry = retry.unwrap_or(RetryPolicy { max_retries: 0, base: Duration::ZERO });
    let access = Access { account, user, warehouse, database, schema, role, login, host, retry };
    Ok((access, record))
}

/// `org-account`, or a locator with its region (`xy12345.eu-central-1`).
fn is_account(text: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    !text.to_lowercase().ends_with("snowflakecomputing.com") && text.split('.').all(fits)
}

/// What is wrong with an account that has a dot, if it is not a locator with its region.
fn dotted(account: &str) -> Option<String> {
    let (first, rest) = account.split_once('.')?;
    if account.to_lowercase().ends_with("snowflakecomputing.com") {
        return None;
    }
    if rest.eq_ignore_ascii_case("global") {
        return Some(
            "is the name of a connection: give the account itself, such as ORGANISATION-ACCOUNT".to_owned(),
        );
    }
    // `eu-central-1`, `us-east-2.aws`.
    let is_region = rest
        .split('.')
        .next()
        .is_some_and(|region| region.contains('-') && region.bytes().any(|byte| byte.is_ascii_digit()));
    let is_locator = !first.contains('-');
    (!is_region || !is_locator).then(|| {
        format!(
            "has a dot: write {}, or a locator with its region, such as xy12345.eu-central-1",
            account.replacen('.', "-", 1)
        )
    })
}

/// A host name, or a URL without a path.
fn host(text: &str) -> Result<Option<Url>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).map_err(|error| format!("is not a host: {error}"))?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("is more than a host".to_owned());
    }
    if !matches!(url.path(), "" | "/") {
        return Err("has a path: give only the host".to_owned());
    }
    if net::is_safe(&url) {
        Ok(Some(url))
    } else {
        Err("is neither https nor http to this machine (localhost): the password would be readable on its way".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    const WHOLE: [(&str, &str); 6] = [
        ("SNOWFLAKE_ACCOUNT", "acme-prod"),
        ("SNOWFLAKE_USER", "loader"),
        ("SNOWFLAKE_PASSWORD", "s3cr3t"),
        ("SNOWFLAKE_WAREHOUSE", "wh"),
        ("SNOWFLAKE_DATABASE", "db"),
        ("SNOWFLAKE_SCHEMA", "public"),
    ];

    fn resolve(change: &[(&str, &str)]) -> Result<(Access, Map<String, Value>), Failure> {
        let all = WHOLE.iter().chain(change).copied();
        let find = |name: &str| all.clone().rfind(|(set, _)| *set == name).map(|(_, value)| value.to_owned());
        from_sources(&ClientFlags::default(), find, DotEnv::default(), None)
    }

    #[test]
    fn a_job_file_says_how_the_user_logs_in() {
        let resolve = |environment: (&'static str, &'static str),
                       given: (&'static str, &'static str, String)| {
            let find = |name: &str| {
                let all = WHOLE.iter().copied().filter(|(name, _)| *name != "SNOWFLAKE_PASSWORD");
                all.chain([environment]).find(|(set, _)| *set == name).map(|(_, value)| value.to_owned())
            };
            let job = OfJob { source: "source.snowflake", given: vec![given] };
            from_sources(&ClientFlags::default(), find, DotEnv::default(), Some(&job)).map(|(of, _)| of.login)
        };
        let (password, key) = (("SNOWFLAKE_PASSWORD", "of-env"), ("SNOWFLAKE_PRIVATE_KEY_PATH", "env.p8"));
        let of_job = ("SNOWFLAKE_PRIVATE_KEY_PATH", "private_key_path", "job.p8".to_owned());
        assert!(
            matches!(resolve(password, of_job).unwrap(), Login::KeyPair(path) if path.ends_with("job.p8"))
        );
        let of_job = || ("SNOWFLAKE_PASSWORD", "password", "of-job".to_owned());
        assert!(matches!(resolve(key, of_job()).unwrap(), Login::Password(_)));
        let error = resolve(("", ""), ("SNOWFLAKE_USER", "user", "ana".to_owned())).unwrap_err().message;
        assert!(
            error.starts_with("source.snowflake needs settings that are not there: SNOWFLAKE_PASSWORD or"),
            "{error}"
        );
    }

    #[test]
    fn all_that_is_missing_is_named_together() {
        let error = from_sources(&ClientFlags::default(), |_| None, DotEnv::default(), None).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        for name in
            ["ACCOUNT", "USER", "WAREHOUSE", "DATABASE", "SCHEMA", "PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH"]
        {
            assert!(error.message.contains(&format!("SNOWFLAKE_{name}")), "{name}: {error}");
        }
        let error = resolve(&[("SNOWFLAKE_USER", " "), ("SNOWFLAKE_PASSWORD", "")]).unwrap_err().message;
        assert!(
            error.contains(": SNOWFLAKE_USER, SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY_PATH ("),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_nowhere_and_the_rest_is_recorded() {
        let (access, record) = resolve(&[("SNOWFLAKE_ROLE", "reader")]).unwrap();
        assert!(!format!("{access:?}").contains("s3cr3t"));
        let record = Value::Object(record);
        assert!(!record.to_string().contains("s3cr3t"));
        assert_eq!(record["SNOWFLAKE_ROLE"]["value"], "reader");
        assert!(access.host.is_none() && record.get("MAX_RETRIES").is_none());
    }

    #[test]
    fn a_key_or_a_password() {
        let key = ("SNOWFLAKE_PRIVATE_KEY_PATH", "key.p8");
        let (access, _) = resolve(&[key, ("SNOWFLAKE_PASSWORD", "")]).unwrap();
        assert!(matches!(access.login, Login::KeyPair(path) if path.ends_with("key.p8")));
        assert!(resolve(&[key]).unwrap_err().message.contains("both set"));
    }

    #[test]
    fn an_account_with_a_dot_is_a_locator_with_its_region_or_wrong() {
        for good in ["xy12345.eu-central-1", "xy12345.us-east-2.aws", "acme-prod"] {
            assert!(resolve(&[("SNOWFLAKE_ACCOUNT", good)]).is_ok(), "{good}");
        }
        for (bad, cure) in [
            ("acme.prod", "write acme-prod"),
            ("acme.prod-eu", "write acme-prod-eu"),
            ("acme-prod.eu-central-1", "or a locator with its region"),
            ("acme-failover.global", "name of a connection"),
        ] {
            let error = resolve(&[("SNOWFLAKE_ACCOUNT", bad)]).unwrap_err().message;
            assert!(error.contains("SNOWFLAKE_ACCOUNT: `") && error.contains(cure), "{error}");
        }
    }

    #[test]
    fn hosts_and_accounts() {
        for good in [
            "acme.privatelink.snowflakecomputing.com",
            "https://x.example.com/",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
        ] {
            assert!(host(good).is_ok_and(|host| host.is_some()), "{good}");
        }
        for bad in
            ["http://x.example.com", "https://u:p@h", "https://h/path", "ftp://localhost", "https://h/?a=1"]
        {
            assert!(host(bad).is_err(), "{bad}");
        }
        for good in ["acme-prod", "xy12345.eu-central-1.aws", "ORG-my_account"] {
            assert!(is_account(good), "{good}");
        }
        for bad in ["acme.snowflakecomputing.com", "https://acme", "a b", "a/b", ".", "a@b"] {
            assert!(resolve(&[("SNOWFLAKE_ACCOUNT", bad)]).is_err(), "{bad}");
        }
    }
}
