//! The jobs' target: DevRev, or a sandbox in this process.

use crate::devrev::client::{Client, ClientSettings};
use crate::devrev::dev_users::{DevUserAnswer, DevUsersSelf};
use crate::devrev::ids::{ObjectType, Ref};
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::jobs::failing;
use crate::journal::manifest::{Party, SANDBOX};
use crate::net::rate::PaceSettings;
use crate::run::job::Job;
use crate::run::target::{Identity, Place, Target};
use crate::sandbox::{Data, Options, Sandbox};
use crate::settings::Settings;
use crate::stop::Stop;
use secrecy::SecretString;
use url::Url;

/// Works have a page in the app each.
const WORKS: [ObjectType; 2] = [ObjectType::Issue, ObjectType::Ticket];

/// A client, and the sandbox that it talks to if there is one: it serves as long as this lives.
#[derive(Debug)]
pub(crate) struct DevRev {
    /// The client.
    pub client: Client,
    /// The base URL, or `sandbox`.
    name: String,
    _sandbox: Option<Sandbox>,
}

impl<J: Job> Target<J> for DevRev {
    const LINK_HINT: &'static str = "Set DEVREV_APP_URL to your organisation's address in DevRev's app, such as \
                                     https://app.devrev.ai/acme, and the reports of later runs link to each work.";

    fn check(_job: &J, settings: &Settings) -> Result<(), Failure> {
        Self::has_token(settings)
    }

    fn place(_job: &J, settings: &Settings) -> Place {
        Self::at(settings)
    }

    async fn open(job: &J, settings: &Settings, stop: &Stop) -> Result<Self, Failure> {
        Self::connect(settings, job.in_sandbox(), stop).await
    }

    fn name(&self) -> &str {
        self.address()
    }

    async fn identity(&self) -> Result<Identity, Failure> {
        self.who().await
    }

    fn counters(&self) -> impl Fn() -> Figures + Send + Sync + use<J> {
        self.figures()
    }

    fn page_of(key: &str) -> Option<String> {
        page_of(key)
    }
}

impl DevRev {
    /// The base URL, or `sandbox`.
    pub(crate) fn address(&self) -> &str {
        &self.name
    }

    /// Fails if the settings have no token.
    pub(crate) fn has_token(settings: &Settings) -> Result<(), Failure> {
        if settings.token.is_none() { Err(Settings::no_token()) } else { Ok(()) }
    }

    /// Where it is by these settings.
    pub(crate) fn at(settings: &Settings) -> Place {
        Place { address: settings.base_url.to_string(), setting: "DEVREV_BASE_URL" }
    }

    /// Connects to DevRev, or to a sandbox in this process. Sends nothing.
    pub(crate) async fn connect(settings: &Settings, sandbox: bool, stop: &Stop) -> Result<Self, Failure> {
        if sandbox {
            return Self::to_sandbox(settings, stop).await;
        }
        let client = Self::client(settings, None, stop)?;
        Ok(Self { client, name: settings.base_url.to_string(), _sandbox: None })
    }

    /// A client of DevRev, or of a sandbox at this address. Sends nothing.
    pub(crate) fn client(settings: &Settings, sandbox: Option<Url>, stop: &Stop) -> Result<Client, Failure> {
        if let Some(url) = sandbox {
            let pace = PaceSettings { rate: settings.rate_of(true), ..PaceSettings::default() };
            return client(settings, url, SecretString::from("sandbox"), pace, stop);
        }
        let token = settings.token.clone().ok_or_else(Settings::no_token)?;
        let recent_calls = settings.recent_calls(&token);
        let pace = PaceSettings { rate: settings.rate, share: settings.rate_share, recent_calls };
        client(settings, settings.base_url.clone(), token, pace, stop)
    }

    /// Asks who the token belongs to.
    pub(crate) async fn who(&self) -> Result<Identity, Failure> {
        let answer = self.token_user().await?;
        let org = answer.organisation().unwrap_or(Party::UNKNOWN).to_owned();
        let user = answer.dev_user;
        Ok(Identity {
            org: Party { id: org, display_id: None, name: None },
            user: Party { id: user.id, display_id: user.display_id, name: user.display_name },
        })
    }

    /// Counts what this process has sent so far; may be called at any time.
    pub(crate) fn figures(&self) -> impl Fn() -> Figures + Send + Sync + use<> {
        let client = self.client.clone();
        move || client.figures()
    }

    async fn to_sandbox(settings: &Settings, stop: &Stop) -> Result<Self, Failure> {
        let failed =
            |error: String| Failure::new(Exit::Unexpected, format!("the sandbox does not start: {error}"));
        let sandbox =
            Sandbox::start(Options::new(Data::demo())).await.map_err(|error| failed(error.to_string()))?;
        let url = Url::parse(&sandbox.base_url()).map_err(|error| failed(error.to_string()))?;
        let client = Self::client(settings, Some(url), stop)?;
        Ok(Self { client, name: SANDBOX.to_owned(), _sandbox: Some(sandbox) })
    }

    /// Asks who the token belongs to.
    pub(crate) async fn token_user(&self) -> Result<DevUserAnswer, Failure> {
        self.client.read_only().call(&DevUsersSelf {}).await.map_err(|error| {
            failing::needed(&error, &format!("cannot ask {} who the token belongs to", self.name))
        })
    }
}

/// The path of a work's page: only for a display ID, made of a known prefix and digits, whatever the text was.
fn page_of(key: &str) -> Option<String> {
    let parsed = Ref::parse(key, &WORKS).ok().filter(|_| !key.starts_with("don:"))?;
    Some(format!("works/{}-{}", parsed.object.display_prefix(), parsed.number()?))
}

fn client(
    settings: &Settings,
    base_url: Url,
    token: SecretString,
    pace: PaceSettings,
    stop: &Stop,
) -> Result<Client, Failure> {
    let settings = ClientSettings { base_url, token, pace, retry: settings.retry, breaker: settings.breaker };
    Client::new(&settings, stop.clone())
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_works_have_a_place() {
        for (key, place) in [
            ("ISS-5", Some("works/ISS-5")),
            ("tkt-12", Some("works/TKT-12")),
            ("don:core:dvrv-us-1:devo/1:issue/5", None),
            ("REVU-5", None),
            ("DEVU-1", None),
            ("ISS-", None),
            ("ISS-5/../../x", None),
            ("ISS-5?x=javascript:alert(1)", None),
            ("javascript:alert(1)", None),
            ("//evil.example/ISS-5", None),
            ("", None),
        ] {
            assert_eq!(page_of(key).as_deref(), place, "{key}");
        }
    }
}
