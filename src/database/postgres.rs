//! PostgreSQL, and whatever speaks its protocol: where a database is, how to connect to it, and what its errors mean.

use super::error::{DatabaseError, LONGEST_QUERY_HOURS, Refusal, one_line};
use crate::net::redact::Secrets;
use crate::net::retry::RetryPolicy;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::time::timeout;
use url::{Host, ParseError, Url};

pub(crate) const WHO: &str = "PostgreSQL";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end of a connection may take.
const CLOSING: Duration = Duration::from_secs(3);

/// What is set for a transaction alone, so that a connection which a pooler hands on is as it was: what ends a statement that
/// nobody waits for, and the same text for the same value, whatever the database's defaults are. The last is there from
/// version 14 on.
const SESSION: [&str; 6] = [
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL idle_in_transaction_session_timeout = '10min'",
    "SELECT set_config(name, '10s', true) FROM pg_settings WHERE name = 'client_connection_check_interval'",
];

/// The statements that begin a transaction of this mode, such as `READ ONLY`, in UTC.
pub(crate) fn begin(mode: &str) -> String {
    begin_in(mode, "UTC")
}

/// The same in a time zone.
fn begin_in(mode: &str, zone: &str) -> String {
    let session = SESSION.join("; ");
    format!(
        "BEGIN ISOLATION LEVEL {mode}; {session}; SET LOCAL TimeZone = '{zone}'; \
         SET LOCAL statement_timeout = '{LONGEST_QUERY_HOURS}h'"
    )
}

/// A database, and how to connect to it.
#[derive(Debug, Clone)]
pub struct Postgres {
    url: SecretString,
    /// The passwords in it: no error may quote them.
    pub(crate) secrets: Secrets,
    /// The server, and its port.
    host: String,
    /// The database's name.
    database: String,
    /// What the URL stands in, such as `DATABASE_URL`, for texts that say what to correct.
    setting: String,
    /// The same, without anything secret.
    place: String,
    /// Tries after the first, and the ceiling of the first delay.
    pub(crate) retry: RetryPolicy,
    /// The time zone of what names none, by its IANA name.
    #[cfg_attr(not(feature = "load"), allow(dead_code, reason = "only loads have another"))]
    zone: &'static str,
}

impl Postgres {
    /// Takes the URL apart that stands in this setting. The error says what is wrong with it, without showing any of it.
    pub(crate) fn new(url: &str, setting: &str, retry: RetryPolicy) -> Result<Self, String> {
        let options = options(url)?;
        let host = options.get_socket().map_or_else(
            || format!("{}:{}", options.get_host(), options.get_port()),
            |socket| socket.display().to_string(),
        );
        let user = options.get_username();
        let database = options.get_database().unwrap_or_default().to_owned();
        let place = format!("postgres://{user}@{host}/{database}");
        let (secrets, setting) = (secrets(url), setting.to_owned());
        Ok(Self { url: url.to_owned().into(), secrets, host, database, setting, place, retry, zone: "UTC" })
    }

    /// The same in another time zone than UTC, by its IANA name.
    #[cfg(feature = "load")]
    pub(crate) fn in_zone(self, zone: &'static str) -> Self {
        Self { zone, ..self }
    }

    /// The statements that begin a transaction of this mode, such as `READ ONLY`.
    #[cfg(feature = "load")]
    pub(crate) fn begin_statements(&self, mode: &str) -> String {
        begin_in(mode, self.zone)
    }

    /// The server and its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The database's name; empty where it is the user's.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where the database is, and who asks; without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Connects. Neither waits nor tries again.
    pub(crate) async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        let options = options(self.url.expose_secret()).map_err(DatabaseError::Settings)?;
        // On the heap: it is large.
        let connected = Box::pin(timeout(CONNECT_TIMEOUT, options.connect())).await;
        connected
            .map_err(|_| self.unreachable(&format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?
            .map_err(|error| self.failed(error))
    }

    pub(crate) fn unreachable(&self, text: &str) -> DatabaseError {
        DatabaseError::Unreachable { who: WHO, place: self.place.clone(), text: one_line(text), after: None }
    }

    fn insecure(&self, text: &str) -> DatabaseError {
        DatabaseError::Settings(format!(
            "{WHO} ({}): TLS failed: {}; check sslmode and sslrootcert in {} (sslmode=disable for a server \
             without TLS on a network that you trust)",
            self.place,
            one_line(text),
            self.setting
        ))
    }

    /// What an error of the driver's means, without the passwords that the server may quote.
    pub(crate) fn failed(&self, error: sqlx::Error) -> DatabaseError {
        self.classified(error).without(&self.secrets)
    }

    fn classified(&self, error: sqlx::Error) -> DatabaseError {
        match error {
            sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
                Ok(error) => self.refused(&error),
                Err(error) => DatabaseError::Answer { who: WHO, text: one_line(error.message()) },
            },
            // A certificate that is not trusted.
            sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                self.insecure(&error.to_string())
            }
            sqlx::Error::Io(error) => self.unreachable(&error.to_string()),
            // What it makes of a connection that ends before there is an answer.
            sqlx::Error::Protocol(text) if text.contains("SSLRequest: 0x00") => {
                self.unreachable("the connection ended while it was begun")
            }
            sqlx::Error::Tls(error) => self.insecure(&error.to_string()),
            error => DatabaseError::Answer { who: WHO, text: one_line(&error.to_string()) },
        }
    }

    /// What an error of the server's means, by its code. (Source: PostgreSQL's documentation, appendix A.)
    fn refused(&self, error: &PgDatabaseError) -> DatabaseError {
        let code = error.code();
        let hint = error.hint().map_or(String::new(), |hint| format!(" ({hint})"));
        let text = format!("{}{hint} (code {code})", one_line(error.message()));
        let setting = &self.setting;
        let refused = |text, hint| {
            let position = match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            };
            DatabaseError::Refused(Box::new(Refusal {
                who: WHO,
                text,
                hint,
                code: code.to_owned(),
                position,
                constraint: error.constraint().map(str::to_owned),
                column: error.column().map(str::to_owned),
                at: error.r#where().map(one_line),
            }))
        };
        match code {
            "3D000" => {
                DatabaseError::Settings(format!("{WHO}: {text}; check the database's name in {setting}"))
            }
            // The statement timeout: it has no code of its own.
            "57014"
                if error.routine() == Some("ProcessInterrupts")
                    && error.message().contains("statement timeout") =>
            {
                DatabaseError::TooSlow { who: WHO, hours: LONGEST_QUERY_HOURS }
            }
            "25006" => refused(text, "; the session may only read"),
            "42501" => refused(text, "; check what this user may do"),
            "42P01" | "3F000" => {
                refused(text, "; check the name, its schema and the database that is connected to")
            }
            // Shutting down, starting, too many connections, a standby that has to catch up, two transactions that wait for
            // each other.
            "57P01" | "57P02" | "57P03" | "53300" | "40001" | "40P01" => self.unreachable(&text),
            _ if code.starts_with("28") => {
                let settings = format!("the user and the password in {setting}");
                DatabaseError::Login { who: WHO, text, settings }
            }
            _ if code.starts_with("08") => self.unreachable(&text),
            _ => refused(text, ""),
        }
    }
}

/// Ends a connection in an orderly way, if that is possible soon.
pub(crate) async fn close(connection: PgConnection) {
    let _ = timeout(CLOSING, connection.close()).await;
}

/// The options of a URL, as libpq has them, as far as they make sense here. Over the network TLS is needed unless
/// `sslmode` or PGSSLMODE says otherwise. The error shows nothing but names of options: the rest may hold a password.
fn options(url: &str) -> Result<PgConnectOptions, String> {
    const FORM: &str = "postgres://USER:PASSWORD@HOST:5432/DATABASE";
    let url = parsed(url).map_err(|error| {
        format!("it is not a URL ({error}): write {FORM}, with %40 for `@`, %2F for `/` and %3A for `:` in the password")
    })?;
    let decoded = |text: &str| {
        let text =
            percent_decoded(text).ok_or("it has a `%` in it that is not followed by two digits of UTF-8")?;
        if text.contains('\0') { Err("it has the character NUL in it") } else { Ok(text) }
    };
    // Without ~/.pgpass: what is wrong in that file would be logged as it stands there.
    let mut options = PgConnectOptions::new_without_pgpass()
        .statement_cache_capacity(0)
        .extra_float_digits(None)
        .application_name("devrev-batch")
        .disable_statement_logging();
    let mut chosen = std::env::var_os("PGSSLMODE").is_some();
    match url.host().filter(|host| *host != Host::Domain(NO_HOST)) {
        Some(Host::Ipv6(ip)) => options = options.host(&ip.to_string()),
        Some(host) => {
            let host = decoded(&host.to_string())?;
            options = if host.starts_with('/') { options.socket(host) } else { options.host(&host) };
        }
        None => {}
    }
    if let Some(port) = url.port() {
        options = options.port(port);
    }
    if !url.username().is_empty() {
        options = options.username(&decoded(url.username())?);
    }
    if let Some(password) = url.password() {
        options = options.password(&decoded(password)?);
    }
    let database = decoded(url.path().trim_start_matches('/'))?;
    if !database.is_empty() {
        options = options.database(&database);
    }
    for (name, value) in url.query_pairs() {
        if value.contains('\0') {
            return Err(format!("its option {name} has the character NUL in it"));
        }
        options = match &*name {
            "sslmode" | "ssl-mode" => {
                chosen = true;
                let mode: Result<PgSslMode, _> = value.parse();
                options.ssl_mode(mode.map_err(|_| {
                    format!(
                        "its option {name} is not disable, allow, prefer, require, verify-ca or verify-full"
                    )
                })?)
            }
            "sslrootcert" => options.ssl_root_cert(&*value),
            "sslcert" => options.ssl_client_cert(&*value),
            "sslkey" => options.ssl_client_key(&*value),
            "host" if value.starts_with('/') => options.socket(&*value),
            "host" => options.host(&value),
            "port" => options.port(value.parse().map_err(|_| "its option port is not a port".to_owned())?),
            "dbname" => options.database(&value),
            "user" => options.username(&value),
            "password" => options.password(&value),
            "application_name" => options.application_name(&value),
            _ => {
                let name: String = name.chars().take(40).collect();
                return Err(format!(
                    "it has the option `{name}`: remove it (known are sslmode, sslrootcert, sslcert, sslkey, host, \
                     port, dbname, user, password, application_name)"
                ));
            }
        };
    }
    if !chosen && !is_here(&options) {
        options = options.ssl_mode(PgSslMode::Require);
    }
    Ok(options)
}

/// What stands for a host that a URL does not name: `.invalid` is never a real one (RFC 2606).
const NO_HOST: &str = "none.invalid";

/// A URL taken apart. libpq needs no host where the option `host` has it, or nothing has; the standard does after a user.
pub(crate) fn parsed(text: &str) -> Result<Url, ParseError> {
    Url::parse(text).or_else(|error| {
        let begin = text.find("://").map(|place| place + 3);
        let host = begin.filter(|_| error == ParseError::EmptyHost).and_then(|begin| {
            let authority = text.get(begin..)?.split(['/', '?', '#']).next()?;
            Some(begin + authority.rfind('@').map_or(0, |place| place + 1))
        });
        let (before, after) = host.and_then(|host| text.split_at_checked(host)).ok_or(error)?;
        Url::parse(&format!("{before}{NO_HOST}{after}"))
    })
}

/// The passwords that a connection may be made with.
fn secrets(url: &str) -> Secrets {
    let url = parsed(url).ok();
    let of_user = url.as_ref().and_then(|url| percent_decoded(url.password()?));
    let options = url.iter().flat_map(Url::query_pairs);
    let of_options = options.filter(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
    let all = of_user.into_iter().chain(of_options).chain(std::env::var("PGPASSWORD").ok());
    Secrets::of(&all.map(SecretString::from).collect::<Vec<_>>())
}

/// Whether a connection does not leave this machine.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback = || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    options.get_socket().is_some() || host.starts_with('/') || host == "localhost" || is_loopback()
}

/// A part of a URL as it is meant.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: RetryPolicy = RetryPolicy { max_retries: 0, base: Duration::ZERO };

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, place) in [
            ("postgres://ana:s3%40cr3t@db.example.com/crm", "postgres://ana@db.example.com:5432/crm"),
            ("postgresql://ana@[::1]:5433/crm?sslmode=disable", "postgres://ana@::1:5433/crm"),
            ("postgres://h/crm?user=b%26o&password=s3cr3t", "postgres://b&o@h:5432/crm"),
            ("postgres://ana:s3cr3t@%2Frun%2Fpg/crm", "postgres://ana@/run/pg/crm"),
            ("postgres://ana:s3cr3t@/crm?host=/run/pg", "postgres://ana@/run/pg/crm"),
            ("postgres://ana@:5433?host=db.example.com&dbname=crm", "postgres://ana@db.example.com:5433/crm"),
            ("postgres:///crm?host=/run/pg&user=ana", "postgres://ana@/run/pg/crm"),
        ] {
            let postgres = Postgres::new(url, "DATABASE_URL", RETRY).unwrap();
            assert_eq!(postgres.place(), place);
            let shown = format!("{postgres:?}");
            assert!(!shown.contains("s3cr3t") && !shown.contains("cr3t"), "{shown}");
        }
    }

    #[test]
    fn passwords_are_known_in_each_place() {
        for url in [
            "postgres://ana:s3cr3t%40key@db.example.com/crm",
            "postgres://ana:s3cr3t%40key@/crm?host=/run/pg",
            "postgres://db.example.com/crm?user=ana&password=s3cr3t%40key",
        ] {
            assert_eq!(secrets(url).clean("no s3cr3t@key".to_owned()), "no [secret]", "{url}");
        }
    }

    #[test]
    fn no_error_of_the_driver_quotes_a_password() {
        let postgres = Postgres::new("postgres://ana:s3cr3t-key@h/crm", "DATABASE_URL", RETRY).unwrap();
        for error in [
            sqlx::Error::Protocol("no s3cr3t-key".to_owned()),
            sqlx::Error::Io(std::io::Error::other("no s3cr3t-key")),
            sqlx::Error::Tls("no s3cr3t-key".into()),
        ] {
            let said = postgres.failed(error).to_string();
            assert!(said.contains("no [secret]"), "{said}");
        }
    }

    #[test]
    fn what_goes_over_the_network_is_encrypted_unless_that_is_said() {
        let mode = |url: &str| format!("{:?}", options(url).unwrap().get_ssl_mode());
        for (url, expected) in [
            ("postgres://a@db.example.com/x", "Require"),
            ("postgres://a@db.example.com/x?sslmode=verify-full", "VerifyFull"),
            ("postgres://a@db.example.com/x?sslmode=disable", "Disable"),
            ("postgres://a@localhost/x", "Prefer"),
            ("postgres://a@127.0.0.1/x?host=db", "Require"),
            ("postgres://a@%2Frun/x", "Prefer"),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, says) in [
            ("postgres://ana:s3cr3t@h:port/db", "is not a URL (invalid port number)"),
            ("postgres://ana:s3cr3t%zz@h/db", "has a `%` in it"),
            ("postgres://ana:s3cr3t%00@h/db", "NUL"),
            ("postgres://ana:s3cr3t@h/db?sslmode=s3cr3t", "its option sslmode is not disable"),
            ("postgres://ana:s3cr3t@h/db?port=s3cr3t", "its option port is not a port"),
            ("postgres://ana:s3cr3t@h/db?ssl=s3cr3t", "it has the option `ssl`"),
        ] {
            let error = Postgres::new(url, "DATABASE_URL", RETRY).unwrap_err();
            assert!(error.contains(says) && !error.contains("s3cr3t"), "{url}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_url_does_no_harm(rest in "[-a-z0-9:/@%?=&\\[\\]. \u{e9}]{0,40}") {
            let _ = Postgres::new(&format!("postgres:{rest}"), "DATABASE_URL", RETRY);
        }
    }
}
