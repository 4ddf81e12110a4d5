//! Who asks whom: the account, and how the user logs in.

use super::answer::Terms;
use super::error::SnowflakeError;
use super::wire::{Route, Wire};
use crate::net;
use crate::net::redact::Secrets;
use crate::net::retry::RetryPolicy;
use crate::stop::Stop;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use secrecy::{ExposeSecret, SecretString};
use snowflake_api::{AuthArgs, AuthType, CertificateArgs, PasswordArgs, SnowflakeApi, SnowflakeApiBuilder};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Between two bytes of an answer. Snowflake answers within 45 s that a query still runs.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// Of a whole request, whatever the bytes do.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(900);
/// The longest private key that is read, in bytes; one of 4096 bits has some 3,300.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// How a user logs in.
#[derive(Debug, Clone)]
pub enum Login {
    /// `SNOWFLAKE_PASSWORD`.
    Password(SecretString),
    /// `SNOWFLAKE_PRIVATE_KEY_PATH`: a file with a private key, PKCS#8 in PEM, not encrypted.
    KeyPair(PathBuf),
}

/// What it takes to ask Snowflake. Names are as the settings have them; Snowflake compares them in upper case.
#[derive(Debug, Clone)]
pub struct Access {
    /// `SNOWFLAKE_ACCOUNT`: what stands before `.snowflakecomputing.com`.
    pub account: String,
    /// `SNOWFLAKE_USER`.
    pub user: String,
    /// `SNOWFLAKE_WAREHOUSE`.
    pub warehouse: String,
    /// `SNOWFLAKE_DATABASE`.
    pub database: String,
    /// `SNOWFLAKE_SCHEMA`.
    pub schema: String,
    /// `SNOWFLAKE_ROLE`; the user's default if none.
    pub role: Option<String>,
    /// How the user logs in.
    pub login: Login,
    /// `SNOWFLAKE_HOST`: where the account is, if not at `.snowflakecomputing.com`. https, or http to this machine.
    pub host: Option<Url>,
    /// How often and how soon to try again.
    pub(crate) retry: RetryPolicy,
}

/// A session that is yet to begin: the crate logs in with the first query.
pub(super) struct Session {
    pub(super) api: SnowflakeApi,
    pub(super) wire: Wire,
    /// For what is fetched without the session.
    pub(super) http: ClientWithMiddleware,
}

impl Access {
    /// What no text may quote.
    pub(crate) fn secrets(&self) -> Secrets {
        match &self.login {
            Login::Password(password) => Secrets::of([password]),
            Login::KeyPair(_) => Secrets::none(),
        }
    }

    /// Where the account is.
    fn target(&self) -> Result<Url, SnowflakeError> {
        match &self.host {
            Some(host) => Ok(host.clone()),
            None => {
                Url::parse(&format!("https://{}.snowflakecomputing.com/", self.account.replace('_', "-")))
                    .map_err(|error| {
                        SnowflakeError::Key(format!(
                            "SNOWFLAKE_ACCOUNT `{}` makes no host name: {error}",
                            self.account
                        ))
                    })
            }
        }
    }

    /// Sets a session up; sends nothing. Fails when the private key cannot be used.
    pub(super) fn session(&self, terms: &Terms, stop: &Stop) -> Result<Session, SnowflakeError> {
        let target = self.target()?;
        if !net::is_safe(&target) {
            return Err(SnowflakeError::Key(format!("{target} is neither https nor http to this machine")));
        }
        let auth_type = match &self.login {
            Login::Password(password) => {
                AuthType::Password(PasswordArgs { password: password.expose_secret().to_owned() })
            }
            Login::KeyPair(path) => {
                let private_key_pem = private_key(path)?.expose_secret().to_owned();
                AuthType::Certificate(CertificateArgs { private_key_pem })
            }
        };
        // Of an account with its region the login, and the token that a key signs, name the account alone.
        let account = self.account.split('.').next().unwrap_or_default().to_owned();
        let builder = net::builder(target.scheme() == "https")
            .map_err(|error| SnowflakeError::Key(error.to_string()))?
            .redirect(reqwest::redirect::Policy::none())
            .read_timeout(READ_TIMEOUT)
            .timeout(TOTAL_TIMEOUT);
        let client = builder
            .build()
            .map_err(|error| SnowflakeError::Answer(format!("could not set up HTTPS: {error}")))?;
        let wire = Wire::new(Route {
            believed: format!("{}.snowflakecomputing.com", account.to_lowercase()),
            target,
            retry: self.retry,
            stop: stop.clone(),
            terms: terms.clone(),
        });
        let http = ClientBuilder::new(client).with(wire.clone()).build();
        let auth = AuthArgs {
            account_identifier: account,
            warehouse: Some(self.warehouse.clone()),
            database: Some(self.database.clone()),
            schema: Some(self.schema.clone()),
            username: self.user.clone(),
            role: self.role.clone(),
            auth_type,
        };
        let api = SnowflakeApiBuilder::new(auth)
            .with_client(http.clone())
            .build()
            .map_err(|error| SnowflakeError::Answer(error.to_string()))?;
        Ok(Session { api, wire, http })
    }
}

/// Reads a private key. Says what to do with one that is encrypted or in another format.
fn private_key(path: &Path) -> Result<SecretString, SnowflakeError> {
    let failed =
        |text: String| SnowflakeError::Key(format!("SNOWFLAKE_PRIVATE_KEY_PATH {}: {text}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    warn_of_readers(path, &file);
    let mut pem = String::new();
    file.take(MAX_KEY_BYTES + 1).read_to_string(&mut pem).map_err(|error| failed(error.to_string()))?;
    let pem = SecretString::from(pem.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(pem));
    let text = pem.expose_secret();
    let plain = path.with_extension("plain.p8");
    let (old, new) = (path.display(), plain.display());
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        let text = format!(
            "the key is encrypted; make a plain one: openssl pkcs8 -in {old} -out {new} && chmod 600 {new}"
        );
        return Err(failed(text));
    }
    if text.contains("-----BEGIN RSA PRIVATE KEY-----") {
        let text = format!(
            "the key is not PKCS#8; make one that is: openssl pkcs8 -topk8 -nocrypt -in {old} -out {new} && chmod 600 {new}"
        );
        return Err(failed(text));
    }
    let new_key = format!(
        "make one: openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt -out {new} && chmod 600 {new}, and give its public \
         key to the user"
    );
    // How the algorithm of an elliptic curve stands in PKCS#8, in Base64.
    if text.contains("-----BEGIN EC PRIVATE KEY-----") || text.contains("GByqGSM49AgEG") {
        return Err(failed(format!(
            "is an elliptic-curve key, and Snowflake takes RSA keys alone; {new_key}"
        )));
    }
    if text.contains("-----BEGIN PUBLIC KEY-----") {
        return Err(failed("is the public key: name the file with the private one".to_owned()));
    }
    if text.contains("-----BEGIN PRIVATE KEY-----") && text.trim().lines().count() < 2 {
        let text = "the key is on one line: put back the line breaks after -----BEGIN PRIVATE KEY-----, before -----END \
                    PRIVATE KEY-----, and after every 64 characters between them";
        return Err(failed(text.to_owned()));
    }
    if text.len() as u64 > MAX_KEY_BYTES || !text.contains("-----BEGIN PRIVATE KEY-----") {
        return Err(failed("is not a private key in PEM (-----BEGIN PRIVATE KEY-----)".to_owned()));
    }
    Ok(pem)
}

/// Tells of a key file that others can read.
#[cfg(unix)]
fn warn_of_readers(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|data| data.permissions().mode() & 0o077 != 0) {
        tracing::warn!("others can read the private key {0}: chmod 600 {0}", path.display());
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &File) {}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
