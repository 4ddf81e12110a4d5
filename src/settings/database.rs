//! `DATABASE_URL`: only looked at where rows come from there. Its password is in no output, record or error.

use super::dotenv::{DotEnv, dotenv};
use super::sources::Sources;
use crate::cli::Global;
use crate::cli::client::ClientFlags;
use crate::database::postgres::Postgres;
use crate::database::sqlite::Sqlite;
use crate::exit::{Exit, Failure};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

pub(super) const NAME: &str = "DATABASE_URL";
/// What the URL of a PostgreSQL database looks like.
const POSTGRES: &str = "postgres://USER:PASSWORD@HOST:5432/DATABASE";
/// What the URL of an SQLite database looks like.
pub(super) const SQLITE: &str = "sqlite:PATH, such as sqlite:data/crm.db";

/// The SQLite database that the setting names, and what of it goes into `run.json`.
pub(crate) fn sqlite(global: &Global) -> Result<(Sqlite, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    sqlite_from(environment, &dotenv(global.env_file.as_deref())?)
}

fn sqlite_from(
    environment: impl Fn(&str) -> Option<String>,
    dotenv: &DotEnv,
) -> Result<(Sqlite, Map<String, Value>), Failure> {
    let (text, from) = find(&sources(&environment, dotenv), "sqlite", SQLITE)?;
    let Some(rest) = text.strip_prefix("sqlite:") else {
        return Err(other_scheme(&text, &from, "sqlite", SQLITE));
    };
    let path = sqlite_path(rest).map_err(|why| Failure::new(Exit::Usage, format!("{from}: {why}")))?;
    let sqlite = Sqlite { path: PathBuf::from(path), setting: NAME.to_owned() };
    Ok((sqlite, record(&format!("sqlite:{path}"), &from)))
}

/// The path in a URL of SQLite's, after its scheme.
pub(super) fn sqlite_path(rest: &str) -> Result<&str, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if let Some((_, options)) = path.split_once('?') {
        // How the file is opened does not depend on them.
        if !["", "mode=ro", "mode=rw", "mode=rwc"].contains(&options) {
            return Err(format!("it has options after the path: write {SQLITE}"));
        }
    }
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.is_empty() || path == ":memory:" {
        return Err(format!("it names no file: write {SQLITE}"));
    }
    Ok(path)
}

/// The PostgreSQL database that the setting names, and what of it goes into `run.json`.
pub(crate) fn postgres(
    global: &Global,
    client: &ClientFlags,
) -> Result<(Postgres, Map<String, Value>), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    postgres_from(client, environment, &dotenv(global.env_file.as_deref())?)
}

fn postgres_from(
    client: &ClientFlags,
    environment: impl Fn(&str) -> Option<String>,
    dotenv: &DotEnv,
) -> Result<(Postgres, Map<String, Value>), Failure> {
    let mut sources = sources(&environment, dotenv);
    let (text, from) = find(&sources, "postgres", POSTGRES)?;
    if !["postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(other_scheme(&text, &from, "postgres", POSTGRES));
    }
    let retry = sources.retries(client);
    let invalid = |problems: &[String]| {
        Failure::new(Exit::Usage, format!("invalid settings:\n  {}", problems.join("\n  ")))
    };
    let retry = retry.ok_or_else(|| invalid(&sources.problems))?;
    let postgres = Postgres::new(&text, NAME, retry).map_err(|why| invalid(&[format!("{from}: {why}")]))?;
    let record = record(postgres.place(), &from);
    Ok((postgres, record))
}

fn sources<'a>(environment: &'a dyn Fn(&str) -> Option<String>, dotenv: &DotEnv) -> Sources<'a> {
    Sources::new(environment, dotenv.clone())
}

/// The value and where it came from.
fn find(from: &Sources<'_>, source: &str, form: &str) -> Result<(String, String), Failure> {
    from.find(NAME, None).ok_or_else(|| {
        let text = format!(
            "--source {source} needs {NAME} (in the environment or in .env; .env.sample shows how): {form}"
        );
        Failure::new(Exit::Usage, text)
    })
}

fn record(shown: &str, from: &str) -> Map<String, Value> {
    let entry = json!({ "value": shown, "from": from });
    Map::from_iter([(NAME.to_owned(), entry)])
}

/// What is said of a URL of another database. Of the value only its scheme is shown: the rest may hold a password.
fn other_scheme(text: &str, from: &str, source: &str, form: &str) -> Failure {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |text: &&str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let begins = scheme
        .filter(is_scheme)
        .map_or_else(|| "has no scheme".to_owned(), |scheme| format!("begins with `{scheme}:`"));
    Failure::new(Exit::Usage, format!("{from} {begins}: --source {source} needs {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(url: &str) -> Result<(Sqlite, Map<String, Value>), Failure> {
        sqlite_from(|name| (name == NAME).then(|| url.to_owned()), &DotEnv::default())
    }

    #[test]
    fn a_path_in_any_form() {
        for (url, path) in [
            ("sqlite:data/a.db", "data/a.db"),
            ("sqlite://data/a.db", "data/a.db"),
            ("sqlite:///srv/a.db", "/srv/a.db"),
            ("sqlite:/srv/a b.db?mode=ro", "/srv/a b.db"),
        ] {
            let (found, record) = sqlite(url).unwrap();
            assert_eq!(found.path, PathBuf::from(path), "{url}");
            assert_eq!(record[NAME]["value"], format!("sqlite:{path}"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_password() {
        for (url, says) in [
            ("", "needs DATABASE_URL (in the environment or in .env"),
            ("postgres://ana:s3cr3t@h/db", "begins with `postgres:`: --source sqlite needs sqlite:PATH"),
            ("s3cr3t/a.db", "has no scheme"),
            ("s3cr3t@h:1", "has no scheme"),
            ("sqlite:", "names no file"),
            ("sqlite::memory:", "names no file"),
            ("sqlite:a.db?key=s3cr3t", "has options after the path"),
        ] {
            let error = sqlite(url).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(says) && !error.message.contains("s3cr3t"), "{url}: {error}");
        }
    }

    #[test]
    fn a_postgresql_database_is_recorded_without_its_password() {
        let postgres = |set: &[(&str, &str)]| {
            let find =
                |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            postgres_from(&ClientFlags::default(), find, &DotEnv::default())
        };
        let (found, record) =
            postgres(&[(NAME, "postgres://ana:s3cr3t@h/crm"), ("MAX_RETRIES", "7")]).unwrap();
        assert_eq!(found.retry.max_retries, 7);
        assert_eq!(record[NAME]["value"], "postgres://ana@h:5432/crm");
        for (set, says) in [
            (&[][..], "--source postgres needs DATABASE_URL"),
            (&[(NAME, "sqlite:s3cr3t.db")], "begins with `sqlite:`: --source postgres needs postgres://USER"),
            (&[(NAME, "postgres://a:s3cr3t@h:x/db")], "DATABASE_URL in the environment: it is not a URL"),
            (&[(NAME, "postgres://h"), ("MAX_RETRIES", "x")], "MAX_RETRIES in the environment: `x` is not"),
        ] {
            let error = postgres(set).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.message.contains(says) && !error.message.contains("s3cr3t"), "{error}");
        }
    }
}
