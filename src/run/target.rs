//! What a run changes: an API today, a database tomorrow. A job brings its own, and nothing else here knows which.

use crate::exit::Failure;
use crate::figures::Figures;
use crate::journal::manifest::Party;
use crate::settings::Settings;
use crate::stop::Stop;
use std::fmt::Debug;
use std::future::Future;

/// Where a target is, as `run.json` keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its address, without secrets.
    pub address: String,
    /// The setting that names it.
    pub setting: &'static str,
}

/// Who a run is to its target.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The organisation: a run continues only in the one in which it began.
    pub org: Party,
    /// The user.
    pub user: Party,
}

/// A connection to what runs of a job change.
pub(crate) trait Target<J>: Debug + Send + Sync + Sized + 'static {
    /// What is said on the report page where links would be, if there is no setting for them.
    const LINK_HINT: &'static str;
    /// What an [`Identity::org`] of it is called.
    const ORG: &'static str = "organisation";

    /// Fails if the settings lack what connecting needs. Sends nothing.
    fn check(job: &J, settings: &Settings) -> Result<(), Failure>;

    /// Where it is by the job and these settings.
    fn place(job: &J, settings: &Settings) -> Place;

    /// Connects as the job and the settings say, or to a sandbox in this process. Sends nothing.
    fn open(job: &J, settings: &Settings, stop: &Stop) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Its address, or `sandbox`.
    fn name(&self) -> &str;

    /// Asks who the credentials belong to.
    fn identity(&self) -> impl Future<Output = Result<Identity, Failure>> + Send;

    /// Counts what this process has sent so far; may be called at any time.
    fn counters(&self) -> impl Fn() -> Figures + Send + Sync + use<Self, J>;

    /// The path of an object's page below the app's address, if it has one.
    fn page_of(key: &str) -> Option<String>;
}
