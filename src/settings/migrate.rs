//! Which database is migrated: `--target`, or else `DATABASE_URL`.
//!
//! A command line is seen by everyone on the machine, so `--target` has no password. It comes from `DATABASE_URL` or
//! `PGPASSWORD`, or from `CLICKHOUSE_PASSWORD`, and goes only to the server that it was set for.

#[cfg(feature = "sql")]
use super::database::sqlite_path;
use super::dotenv::{DotEnv, dotenv};
use super::sources::Sources;
#[cfg(feature = "clickhouse")]
use super::sources::service_url;
use crate::cli::Global;
use crate::cli::client::ClientFlags;
#[cfg(feature = "clickhouse")]
use crate::database::clickhouse::Clickhouse;
#[cfg(feature = "sql")]
use crate::database::postgres::{Postgres, parsed};
#[cfg(feature = "sql")]
use crate::database::sqlite::Sqlite;
use crate::exit::{Exit, Failure};
use crate::net::retry::RetryPolicy;
use std::time::Duration;
use url::Url;

/// What a target looks like.
const FORMS: &str = "postgres://USER@HOST/DATABASE, sqlite:PATH (or a path that ends with .db, .sqlite or .sqlite3) or \
                     clickhouse+https://HOST:8443/DATABASE";
const DATABASE_URL: &str = "DATABASE_URL";

/// A database that can be migrated.
#[derive(Debug)]
pub(crate) enum Database {
    /// PostgreSQL.
    #[cfg(feature = "sql")]
    Postgres(Postgres),
    /// SQLite.
    #[cfg(feature = "sql")]
    Sqlite(Sqlite),
    /// ClickHouse.
    #[cfg(feature = "clickhouse")]
    Clickhouse(Clickhouse),
}

/// What was said of the target.
struct Said<'a> {
    sources: &'a Sources<'a>,
    text: &'a str,
    /// Where it was said.
    from: &'a str,
    /// Whether that was on the command line.
    is_typed: bool,
    retry: RetryPolicy,
}

/// The database that is meant. The error shows no password.
pub(crate) fn resolve(global: &Global, target: Option<&str>) -> Result<Database, Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    resolve_from(target, environment, dotenv(global.env_file.as_deref())?)
}

/// A time that a flag says.
pub(crate) fn duration(flag: &str, text: &str) -> Result<Duration, Failure> {
    let wrong = |why: &str| {
        let text = format!("--{flag}: `{text}` is not a duration such as 30s, 5m or 2h, up to 7 days: {why}");
        Failure::new(Exit::Usage, text)
    };
    let duration = humantime::parse_duration(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    let range = Duration::from_millis(1)..=Duration::from_secs(7 * 24 * 3600);
    if range.contains(&duration) { Ok(duration) } else { Err(wrong("it is too short or too long")) }
}

fn resolve_from(
    target: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
    dotenv: DotEnv,
) -> Result<Database, Failure> {
    let mut sources = Sources::new(&environment, dotenv);
    let retry = sources.retries(&ClientFlags::default()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("invalid settings:\n  {}", sources.problems.join("\n  ")))
    })?;
    let typed = target.map(|target| ("target", target));
    let (text, from) = sources.find(DATABASE_URL, typed).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no target: give --target or set {DATABASE_URL}: {FORMS}"))
    })?;
    let said = Said { sources: &sources, text: &text, from: &from, is_typed: target.is_some(), retry };
    said.database()
}

impl Said<'_> {
    fn wrong(&self, why: &str) -> Failure {
        Failure::new(Exit::Usage, format!("{}: {why}", self.from))
    }

    fn database(&self) -> Result<Database, Failure> {
        let text = self.text;
        let is_file =
            [".db", ".sqlite", ".sqlite3"].iter().any(|end| text.to_ascii_lowercase().ends_with(end));
        match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => self.postgres(),
            Some(("sqlite", rest)) => self.sqlite(rest),
            Some(("clickhouse+https" | "clickhouse+http", _)) => self.clickhouse(),
            Some(("http" | "https" | "clickhouse", _)) => {
                Err(self
                    .wrong("for ClickHouse write clickhouse+https://HOST:8443/DATABASE (its HTTP interface)"))
            }
            None if is_file => self.sqlite(text),
            // Whatever this is, it may hold a password.
            _ => Err(self.wrong(&format!("it is none of {FORMS}"))),
        }
    }

    /// What is said where a password stands on the command line.
    fn exposed(&self, instead: &str) -> Failure {
        self.wrong(&format!(
            "there is a password in it, which everyone on this machine can see in the list of processes: leave it out, and \
             set {instead}"
        ))
    }

    #[cfg(not(all(feature = "sql", feature = "clickhouse")))]
    fn left_out(&self, feature: &str) -> Failure {
        self.wrong(&format!("this build leaves that database out; build it with --features {feature}"))
    }

    #[cfg(not(feature = "sql"))]
    fn postgres(&self) -> Result<Database, Failure> {
        Err(self.left_out("sql"))
    }

    #[cfg(not(feature = "sql"))]
    fn sqlite(&self, _: &str) -> Result<Database, Failure> {
        Err(self.left_out("sql"))
    }

    #[cfg(not(feature = "clickhouse"))]
    fn clickhouse(&self) -> Result<Database, Failure> {
        Err(self.left_out("clickhouse"))
    }

    #[cfg(feature = "sql")]
    fn sqlite(&self, rest: &str) -> Result<Database, Failure> {
        let path = sqlite_path(rest).map_err(|why| self.wrong(&why))?;
        Ok(Database::Sqlite(Sqlite { path: path.into(), setting: self.from.to_owned() }))
    }

    #[cfg(feature = "sql")]
    fn postgres(&self) -> Result<Database, Failure> {
        let mut text = self.text.to_owned();
        if self.is_typed
            && let Ok(mut url) = parsed(self.text)
        {
            if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
                return Err(self.exposed("DATABASE_URL with the same server and user, or PGPASSWORD"));
            }
            if let Some(password) = self.password_for(&url) {
                // As it stands in the other URL. It fails only for a URL without a host, which has none.
                let _ = url.set_password(Some(&password));
                text = url.into();
            }
        }
        Postgres::new(&text, self.from, self.retry).map(Database::Postgres).map_err(|why| self.wrong(&why))
    }

    /// The password of `DATABASE_URL`, if that is for the same server and user.
    #[cfg(feature = "sql")]
    fn password_for(&self, url: &Url) -> Option<String> {
        let (other, _) = self.sources.find(DATABASE_URL, None)?;
        let other = parsed(&other).ok()?;
        let server = |url: &Url| {
            let is_postgres = ["postgres", "postgresql"].contains(&url.scheme());
            // Options may name another host.
            let is_plain = !url.query_pairs().any(|(name, _)| ["host", "port", "user"].contains(&&*name));
            (is_postgres && is_plain).then(|| {
                (url.host_str().map(str::to_owned), url.port().unwrap_or(5432), url.username().to_owned())
            })
        };
        let same = server(url)? == server(&other)?;
        same.then(|| other.password().map(str::to_owned)).flatten()
    }

    #[cfg(feature = "clickhouse")]
    fn clickhouse(&self) -> Result<Database, Failure> {
        let plain = self.text.strip_prefix("clickhouse+").unwrap_or_default();
        let mut url = Url::parse(plain).map_err(|error| self.wrong(&format!("it is not a URL ({error})")))?;
        let user = percent_decoded(url.username());
        let password = url.password().map(percent_decoded);
        if self.is_typed && password.is_some() {
            return Err(self.exposed("CLICKHOUSE_PASSWORD"));
        }
        let database = url.path().trim_matches('/').to_owned();
        if database.contains(['/', '%']) {
            return Err(self.wrong("after the host stands the database, one name"));
        }
        // They fail only for a URL without a host.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_path("/");
        let url = service_url(url.as_str())
            .map_err(|why| self.wrong(&why.replace("is neither", "it is neither")))?;
        let url = url.ok_or_else(|| self.wrong("it names no server"))?;
        let setting = |name: &str| self.sources.find(name, None).map(|(value, _)| value);
        // What is set for one server is not sent to another.
        let is_other = setting("CLICKHOUSE_URL")
            .and_then(|other| Url::parse(&other).ok())
            .is_some_and(|other| other.origin() != url.origin());
        let of_server = |name: &str| setting(name).filter(|_| !is_other);
        let user = Some(user).filter(|user| !user.is_empty()).or_else(|| of_server("CLICKHOUSE_USER"));
        let database =
            Some(database).filter(|name| !name.is_empty()).or_else(|| of_server("CLICKHOUSE_DATABASE"));
        let password = password.or_else(|| of_server("CLICKHOUSE_PASSWORD")).map(Into::into);
        Ok(Database::Clickhouse(Clickhouse {
            url,
            user: user.unwrap_or_else(|| "default".to_owned()),
            password,
            database: database.unwrap_or_else(|| "default".to_owned()),
            retry: self.retry,
        }))
    }
}

/// A name or a password as it is meant, as far as it is text.
#[cfg(feature = "clickhouse")]
fn percent_decoded(text: &str) -> String {
    // As the value of a form, but for `+`, which is only itself.
    let form = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes()).next().map_or(String::new(), |(_, value)| value.into_owned())
}

#[cfg(all(test, feature = "sql", feature = "clickhouse"))]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn resolve(target: Option<&str>, set: &[(&str, &str)]) -> Result<Database, Failure> {
        let find =
            |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        resolve_from(target, find, DotEnv::default())
    }

    #[test]
    fn a_target_in_any_form() {
        for (target, shown) in [
            ("postgres://ana@h/crm", "Postgres(Postgres { "),
            ("postgresql://ana@h/crm", "place: \"postgres://ana@h:5432/crm\""),
            ("postgres://ana@/crm?host=/run/pg", "place: \"postgres://ana@/run/pg/crm\""),
            ("sqlite:data/a.db", "path: \"data/a.db\""),
            ("sqlite:///srv/a", "path: \"/srv/a\""),
            ("data/A.SQLITE3", "path: \"data/A.SQLITE3\""),
            ("clickhouse+https://h:8443/crm", "database: \"crm\""),
            ("clickhouse+http://ana@localhost:8123", "user: \"ana\", password: None, database: \"default\""),
        ] {
            let database = format!("{:?}", resolve(Some(target), &[]).unwrap());
            assert!(database.contains(shown), "{target}: {database}");
        }
        assert!(matches!(resolve(None, &[(DATABASE_URL, "sqlite:a.db")]), Ok(Database::Sqlite(_))));
        assert!(matches!(
            resolve(None, &[(DATABASE_URL, "postgres://a:s3cr3t@h/x")]),
            Ok(Database::Postgres(_))
        ));
    }

    #[test]
    fn what_is_wrong_is_said_without_a_password() {
        for (target, says) in [
            (None, "no target: give --target or set DATABASE_URL"),
            (Some("postgres://ana:s3cr3t@h/crm"), "--target: there is a password in it"),
            (Some("postgres://ana:s3cr3t@/crm?host=/run/pg"), "--target: there is a password in it"),
            (Some("postgres://ana@/crm?password=s3cr3t"), "--target: there is a password in it"),
            (Some("postgres://ana@h/crm?password=s3cr3t"), "leave it out, and set DATABASE_URL"),
            (Some("clickhouse+https://ana:s3cr3t@h/crm"), "leave it out, and set CLICKHOUSE_PASSWORD"),
            (Some("mysql://ana:s3cr3t@h/crm"), "it is none of postgres://"),
            (Some("s3cr3t"), "it is none of postgres://"),
            (Some("https://h:8443/crm"), "for ClickHouse write clickhouse+https://"),
            (Some("clickhouse://h"), "for ClickHouse write clickhouse+https://"),
            (Some("clickhouse+http://h.example.com:8123"), "it is neither https nor http to this machine"),
            (Some("clickhouse+https://h/a/b"), "one name"),
            (Some("clickhouse+https://h/a?password=s3cr3t"), "has a query"),
            (Some("sqlite::memory:"), "it names no file"),
            (Some("postgres://h:x/crm"), "it is not a URL"),
        ] {
            let error = resolve(target, &[]).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(says) && !error.message.contains("s3cr3t"), "{target:?}: {error}");
        }
    }

    #[test]
    fn a_password_goes_to_its_own_server_only() {
        let set = [(DATABASE_URL, "postgres://ana:s3%40cr3t@h/other"), ("CLICKHOUSE_PASSWORD", "s3cr3t")];
        let sources =
            |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        let sources = Sources::new(&sources, DotEnv::default());
        let retry = RetryPolicy { max_retries: 0, base: Duration::ZERO };
        let said = Said { sources: &sources, text: "", from: "", is_typed: true, retry };
        for (target, password) in [
            ("postgresql://ana@h:5432/crm", Some("s3%40cr3t")),
            ("postgres://ana@h:5433/crm", None),
            ("postgres://ana@i/crm", None),
            ("postgres://bob@h/crm", None),
            ("postgres://ana@h/crm?host=i", None),
            ("postgres://ana@/crm", None),
            ("postgres://ana@/crm?host=h", None),
        ] {
            assert_eq!(said.password_for(&parsed(target).unwrap()).as_deref(), password, "{target}");
        }
        let password = |set: &[(&str, &str)]| match resolve(Some("clickhouse+https://h:8443/crm"), set) {
            Ok(Database::Clickhouse(found)) => found.password.map(|found| found.expose_secret().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(password(&set).as_deref(), Some("s3cr3t"));
        let url = |url| [("CLICKHOUSE_URL", url), ("CLICKHOUSE_PASSWORD", "s3cr3t")];
        assert_eq!(password(&url("https://h:8443/")).as_deref(), Some("s3cr3t"));
        assert_eq!(password(&url("https://i:8443/")), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("timeout", "90s").unwrap().as_secs(), 90);
        for text in ["", "x", "5", "0s", "8d"] {
            let error = duration("timeout", text).unwrap_err().message;
            assert!(error.starts_with(&format!("--timeout: `{text}` is not a duration")), "{error}");
        }
    }
}
