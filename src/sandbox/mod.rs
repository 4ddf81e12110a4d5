//! An in-memory DevRev: what `--sandbox`, the `sandbox` command and every test talk to.
//!
//! It holds requests against the tables of DevRev's API file and refuses what does not fit, so a client
//! that it accepts has a chance with the real one. What it does not imitate it refuses too, and says so.
//! Beside the API it has control endpoints for tests (see `control.rs`): `GET /_sandbox/stats`,
//! `GET /_sandbox/issues` and `POST /_sandbox/issues/ISS-1`.
//!
//! A request's way: `connection` -> `server` (limit, token, fault) -> `check` against `schema` ->
//! `endpoints` -> `world`.

mod check;
mod clock;
mod connection;
mod control;
mod cursor;
mod data;
mod endpoints;
mod error;
mod fault;
mod format;
mod issues;
mod limit;
mod schema;
mod server;
mod stats;
#[cfg(test)]
mod tests;
mod world;

pub use data::Data;
pub use fault::{Fault, FaultError};
pub use limit::{RateLimit, RateLimitError};

use connection::{Connection, Listener, Open};
use server::Server;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a sandbox is set up.
#[derive(Debug)]
pub struct Options {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What it holds.
    pub data: Data,
    /// The calls it allows; `None` for any number.
    pub rate_limit: Option<RateLimit>,
    /// The calls it breaks. Of several rules the first that matches is taken.
    pub faults: Vec<Fault>,
    /// Time added to each answer.
    pub delay: Option<Duration>,
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The data file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The data is not JSON of the right shape.
    #[error("{}{source}", prefix(path.as_deref()))]
    Json {
        /// The file, where the data comes from one.
        path: Option<PathBuf>,
        /// The problem, with line and column.
        source: serde_json::Error,
    },
    /// A reference in the data leads nowhere, or a number stands there twice.
    #[error("{}{problem}", prefix(path.as_deref()))]
    Data {
        /// The file, where the data comes from one.
        path: Option<PathBuf>,
        /// The object and the member, and what is wrong.
        problem: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

fn prefix(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!("{}: ", path.display()))
}

impl SandboxError {
    /// Names the file that the data came from.
    fn in_file(self, file: &Path) -> Self {
        let path = Some(file.to_owned());
        match self {
            Self::Json { source, .. } => Self::Json { path, source },
            Self::Data { problem, .. } => Self::Data { path, problem },
            other => other,
        }
    }
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    open: Arc<Open>,
    accepting: JoinHandle<()>,
}

impl Sandbox {
    /// Listens, and serves on the present Tokio runtime.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let refused = |source| SandboxError::Listen { addr: options.listen, source };
        let tcp = TcpListener::bind(options.listen).await.map_err(refused)?;
        let addr = tcp.local_addr().map_err(refused)?;
        let open = Arc::new(Open::default());
        let listener = Listener { tcp, open: Arc::clone(&open) };
        let server = Server::new(options.data.0, options.rate_limit, options.faults, options.delay);
        let service = server.router().into_make_service_with_connect_info::<Connection>();
        let accepting = tokio::spawn(async move {
            // Accepting never ends by itself: `accept` tries again after an error.
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self { addr, open, accepting })
    }

    /// The base URL for a client, without a slash at the end: `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens, with the port it was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops it: requests under way get no answer, and the port is free when this returns.
    pub async fn stop(mut self) {
        self.end();
        // Aborted, or already over: gone either way.
        let _ = (&mut self.accepting).await;
    }

    fn end(&self) {
        self.accepting.abort();
        self.open.close();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}
