//! Files, downloaded from the storage host that `artifacts.locate` names.
//!
//! That is another host than the API's: the token is never sent there (this client does not have it), and the
//! limit of the API does not count there. URLs are signed, so they are not shown either.

use crate::net;
use crate::net::error::{ApiError, ErrorKind};
use crate::net::meter::Meter;
use crate::net::retry::{Failed, RetryPolicy, retry};
use crate::net::transport::{self, SetupError};
use crate::stop::Stop;
use reqwest::StatusCode;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What these downloads are called among the endpoints.
pub(crate) const STORAGE: &str = "storage";
/// Of a whole download.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(4 * 3600);
/// Hops from host to host; storage hosts have been seen to make one.
const MOST_REDIRECTS: usize = 3;
/// The largest file of unknown size that is kept, in bytes.
pub(crate) const LARGEST: u64 = 64 << 30;

/// Downloads files.
#[derive(Debug)]
pub(crate) struct Storage {
    http: reqwest::Client,
    retry: RetryPolicy,
    stop: Stop,
    meter: Arc<Meter>,
}

impl Storage {
    pub(super) fn new(
        is_https: bool,
        retry: RetryPolicy,
        stop: Stop,
        meter: Arc<Meter>,
    ) -> Result<Self, SetupError> {
        let http = net::builder(is_https)?
            .redirect(reqwest::redirect::Policy::limited(MOST_REDIRECTS))
            // The URL of one host is not the next one's business.
            .referer(false)
            // A file that is stored compressed is kept as it is stored: that is what its size is of.
            .no_gzip()
            .timeout(TOTAL_TIMEOUT);
        Ok(Self { http: transport::build(http)?, retry, stop, meter })
    }

    /// Downloads a file, and returns what `begin` began and `write` wrote it to; an error of theirs ends the download
    /// for good. `locate` gives its URL: it is asked once more, and only once, when the host does not take the first
    /// one, which may have expired. A download that broke is begun again, and so is one of another size than `size`
    /// says, in bytes.
    pub(crate) async fn download<T, L, F>(
        &self,
        locate: L,
        size: Option<u64>,
        begin: impl Fn() -> Result<T, String> + Sync,
        write: impl Fn(&mut T, &[u8]) -> Result<(), String> + Sync,
    ) -> Result<T, ApiError>
    where
        T: Send,
        L: Fn() -> F + Sync,
        F: Future<Output = Result<String, ApiError>> + Send,
    {
        let mut url = locate().await?;
        let has_asked_again = AtomicBool::new(false);
        loop {
            let tried = retry(
                self.retry,
                &self.stop,
                |failed, _| {
                    self.meter.retried();
                    tracing::warn!("{}; trying again", failed.error);
                },
                || self.attempt(&url, size, &begin, &write),
            );
            match tried.await {
                Err(error) if is_expired(&error) && !has_asked_again.swap(true, Ordering::Relaxed) => {
                    url = locate().await?;
                }
                ended => return ended,
            }
        }
    }

    async fn attempt<T: Send>(
        &self,
        url: &str,
        size: Option<u64>,
        begin: &(impl Fn() -> Result<T, String> + Sync),
        write: &(impl Fn(&mut T, &[u8]) -> Result<(), String> + Sync),
    ) -> Result<T, Failed> {
        let once = |error: ApiError| Failed { error, again: false, after: None };
        let mut file = begin().map_err(|text| once(unwritten(text)))?;
        let start = Instant::now();
        let exchange = self.stop.race(self.exchange(url, size, |bytes| write(&mut file, bytes))).await;
        let exchanged = exchange.unwrap_or_else(|| {
            let text = "given up: the run is being stopped";
            Err(ApiError::unanswered(STORAGE, ErrorKind::Stopped, text))
        });
        let status = match &exchanged {
            Ok(status) => Some(*status),
            Err(error) => error.status,
        };
        let is_ours = |error: &ApiError| matches!(error.kind, ErrorKind::Stopped | ErrorKind::NotKept);
        let given_up = exchanged.as_ref().is_err_and(is_ours);
        self.meter.called(STORAGE, status, start.elapsed(), given_up);
        match exchanged {
            Ok(_) => Ok(file),
            Err(error) => Err(Failed { again: error.transient(), error, after: None }),
        }
    }

    async fn exchange(
        &self,
        url: &str,
        size: Option<u64>,
        mut write: impl FnMut(&[u8]) -> Result<(), String> + Send,
    ) -> Result<StatusCode, ApiError> {
        let broken = |error: reqwest::Error| {
            let kind = if error.is_connect() { ErrorKind::Connect } else { ErrorKind::Broken };
            ApiError::unanswered(STORAGE, kind, net::chain(&error.without_url()))
        };
        let url = reqwest::Url::parse(url).map_err(|error| {
            let text = format!("artifacts.locate answered with something that is not a URL: {error}");
            ApiError::unanswered(STORAGE, ErrorKind::Refused, text)
        })?;
        let mut response = self.http.get(url).send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(ApiError::of_storage(STORAGE, status));
        }
        let most = size.unwrap_or(LARGEST);
        let other_size = |bytes: u64| {
            let text = match size {
                Some(size) => format!("at least {bytes} bytes came, where DevRev says {size}"),
                None => format!("the file is longer than {LARGEST} bytes"),
            };
            ApiError::unanswered(STORAGE, ErrorKind::Unreadable, text)
        };
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            bytes += chunk.len() as u64;
            if bytes > most {
                return Err(other_size(bytes));
            }
            write(&chunk).map_err(unwritten)?;
        }
        if size.is_some_and(|size| size != bytes) { Err(other_size(bytes)) } else { Ok(status) }
    }
}

/// Storage hosts say so in different ways, 403 above all.
fn is_expired(error: &ApiError) -> bool {
    error.status.is_some_and(|status| status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS)
}

/// The disk's failure, not the host's.
fn unwritten(text: String) -> ApiError {
    ApiError::unanswered(STORAGE, ErrorKind::NotKept, text)
}
