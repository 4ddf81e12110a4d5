//! What a run talks to: DevRev, or a sandbox in this process.

use crate::devrev::client::{Client, ClientSettings};
use crate::devrev::dev_users::{DevUserAnswer, DevUsersSelf};
use crate::exit::{Exit, Failure};
use crate::journal::manifest::SANDBOX;
use crate::net::rate::PaceSettings;
use crate::run::failing;
use crate::sandbox::{Data, Options, Sandbox};
use crate::settings::Settings;
use crate::stop::Stop;
use secrecy::SecretString;
use url::Url;

/// A client, and the sandbox that it talks to if there is one: it serves as long as this lives.
#[derive(Debug)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The base URL, or `sandbox`.
    pub target: String,
    _sandbox: Option<Sandbox>,
}

impl Connection {
    /// A client as the settings say; sends nothing.
    pub async fn open(settings: &Settings, sandbox: bool, stop: &Stop) -> Result<Self, Failure> {
        if sandbox {
            return Self::to_sandbox(settings, stop).await;
        }
        let token = settings.token.clone().ok_or_else(Settings::no_token)?;
        let recent_calls = settings.recent_calls(&token);
        let pace = PaceSettings { rate: settings.rate, share: settings.rate_share, recent_calls };
        let client = client(settings, settings.base_url.clone(), token, pace, stop)?;
        Ok(Self { client, target: settings.base_url.to_string(), _sandbox: None })
    }

    async fn to_sandbox(settings: &Settings, stop: &Stop) -> Result<Self, Failure> {
        let failed =
            |error: String| Failure::new(Exit::Unexpected, format!("the sandbox does not start: {error}"));
        let sandbox =
            Sandbox::start(Options::new(Data::demo())).await.map_err(|error| failed(error.to_string()))?;
        let url = Url::parse(&sandbox.base_url()).map_err(|error| failed(error.to_string()))?;
        let pace = PaceSettings { rate: settings.rate_of(true), ..PaceSettings::default() };
        let client = client(settings, url, SecretString::from("sandbox"), pace, stop)?;
        Ok(Self { client, target: SANDBOX.to_owned(), _sandbox: Some(sandbox) })
    }

    /// Asks who the token belongs to.
    pub async fn identity(&self) -> Result<DevUserAnswer, Failure> {
        self.client.read_only().call(&DevUsersSelf {}).await.map_err(|error| {
            failing::needed(&error, &format!("cannot ask {} who the token belongs to", self.target))
        })
    }
}

fn client(
    settings: &Settings,
    base_url: Url,
    token: SecretString,
    pace: PaceSettings,
    stop: &Stop,
) -> Result<Client, Failure> {
    let settings = ClientSettings { base_url, token, pace, retry: settings.retry, breaker: settings.breaker };
    Client::new(&settings, stop.clone()).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}
