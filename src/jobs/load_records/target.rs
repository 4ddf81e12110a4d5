//! What a load changes, as the run knows it: a store, and the sandbox that plays the source if there is one.

use super::error::LoadError;
use super::options::LoadOptions;
use super::source::Source;
use super::store::Store;
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use crate::jobs::target::DevRev;
use crate::run::target::{Identity, Place, Target};
use crate::sandbox::{Data, Options, Sandbox};
use crate::settings::Settings;
use crate::stop::Stop;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// A store.
#[derive(Debug)]
pub(crate) struct LoadTarget {
    pub(super) store: Arc<Store>,
    name: String,
    stop: Stop,
    sandbox: Option<Sandbox>,
    /// Whose calls are counted, once it is there.
    source: Mutex<Option<Arc<Source>>>,
}

/// The sandbox that plays the source, if there is to be one.
pub(super) async fn sandbox(job: &LoadOptions) -> Result<Option<Sandbox>, Failure> {
    if !job.sandbox {
        return Ok(None);
    }
    Sandbox::start(Options::new(Data::demo())).await.map(Some).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("the sandbox does not start: {error}")).because(error)
    })
}

/// Where it is.
pub(super) fn address(sandbox: Option<&Sandbox>) -> Option<Url> {
    Url::parse(&sandbox?.base_url()).ok()
}

impl LoadTarget {
    /// A store without a source.
    pub(super) fn of(store: Store, stop: &Stop) -> Self {
        Self {
            name: store.place(),
            store: Arc::new(store),
            stop: stop.clone(),
            sandbox: None,
            source: Mutex::new(None),
        }
    }

    /// Who it is, and who asks.
    pub(super) async fn who(&self) -> Result<Identity, Failure> {
        self.store.identity(&self.stop).await.map_err(LoadError::failure)
    }

    /// The source, made once.
    pub(super) fn source(&self, job: &LoadOptions, settings: &Settings) -> Result<Arc<Source>, Failure> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &*source {
            return Ok(Arc::clone(source));
        }
        let made = Arc::new(job.source(settings, address(self.sandbox.as_ref()), &self.stop)?);
        *source = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Target<LoadOptions> for LoadTarget {
    const LINK_HINT: &'static str = "";
    const ORG: &'static str = "database";

    fn check(job: &LoadOptions, settings: &Settings) -> Result<(), Failure> {
        job.environment().map(drop)?;
        if job.reads_devrev()? && !job.sandbox {
            DevRev::has_token(settings)?;
        }
        job.store(settings.retry).map(drop)
    }

    fn place(job: &LoadOptions, settings: &Settings) -> Place {
        let address = job.store(settings.retry).map_or_else(|failure| failure.message, |store| store.place());
        Place { address, setting: "the job file's target" }
    }

    async fn open(job: &LoadOptions, settings: &Settings, stop: &Stop) -> Result<Self, Failure> {
        let store = job.store(settings.retry)?;
        Ok(Self { sandbox: sandbox(job).await?, ..Self::of(store, stop) })
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn identity(&self) -> Result<Identity, Failure> {
        self.who().await
    }

    fn counters(&self) -> impl Fn() -> Figures + Send + Sync + use<> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        move || match source.as_deref() {
            Some(Source::Http(http)) => http.figures(),
            Some(Source::DevRev(objects)) => objects.figures(),
            #[cfg(feature = "kafka")]
            Some(Source::Kafka(topics)) => Figures { following: topics.following(), ..Figures::default() },
            _ => Figures::default(),
        }
    }

    fn page_of(_key: &str) -> Option<String> {
        None
    }
}
