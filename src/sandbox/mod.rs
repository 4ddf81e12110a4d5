//! An in-memory DevRev: what `--sandbox`, the `sandbox` command and every test talk to.
//!
//! It holds requests against the tables of DevRev's API file and refuses what does not fit, so a client
//! that it accepts has a chance with the real one. What it does not imitate it refuses too, and says so.
//! Beside the API it has control endpoints for tests (see `control.rs`), and a second port that plays the host
//! of the artifacts (see `storage.rs`).
//!
//! A request's way: `connection` -> `serve` (limit, token, fault) -> `check` against `schema` ->
//! `endpoints` -> `world` (what stays) and `state` (what changes).

mod artifacts;
mod check;
mod clock;
mod connection;
mod contacts;
mod content;
mod control;
mod conversations;
mod cursor;
mod data;
mod documents;
mod dons;
mod endpoints;
mod error;
mod fault;
mod format;
mod limit;
mod merge;
mod prices;
mod query;
mod references;
mod schema;
mod serve;
mod server;
mod stages;
mod state;
mod stats;
mod stock;
mod storage;
mod summary;
mod tenant;
#[cfg(test)]
mod tests;
mod timelines;
mod user_index;
mod works;
mod world;

pub use content::artifact_content;
pub use data::Data;
pub use fault::{Fault, FaultError};
pub use limit::{RateLimit, RateLimitError};
pub use merge::{MergeEnds, MergeError, MergeOptions};

use connection::{Connection, Listener, Open};
use server::Server;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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
    /// How merges go; `None` as the data says.
    pub merge: Option<MergeOptions>,
}

impl Options {
    /// A sandbox that listens on any free port of this machine, has no limit and breaks nothing.
    pub fn new(data: Data) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, data, rate_limit: None, faults: Vec::new(), delay: None, merge: None }
    }
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
    /// A reference in the data leads nowhere, or a number appears twice.
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

/// Where a client on this machine finds a listener: one that listens everywhere is found here too.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// A running sandbox. Dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    open: Arc<Open>,
    accepting: [JoinHandle<()>; 2],
}

impl Sandbox {
    /// Listens, and serves on the present Tokio runtime.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let refused = |source| SandboxError::Listen { addr: options.listen, source };
        let tcp = TcpListener::bind(options.listen).await.map_err(refused)?;
        let addr = tcp.local_addr().map_err(refused)?;
        let storage = SocketAddr::new(addr.ip(), 0);
        let refused = |source| SandboxError::Listen { addr: storage, source };
        let storage = TcpListener::bind(storage).await.map_err(refused)?;
        let mut world = options.data.0;
        world.artifacts.serve_at(reachable(storage.local_addr().map_err(refused)?));
        if let Some(merge) = options.merge {
            world.write().merges.options = merge;
        }
        let open = Arc::new(Open::default());
        let server = Server::new(world, options.rate_limit, options.faults, options.delay);
        let accept = |tcp, router: axum::Router| {
            let listener = Listener { tcp, open: Arc::clone(&open) };
            let service = router.into_make_service_with_connect_info::<Connection>();
            tokio::spawn(async move {
                // Accepting never ends by itself: `accept` tries again after an error.
                let _ = axum::serve(listener, service).await;
            })
        };
        let accepting = [accept(tcp, Arc::clone(&server).router()), accept(storage, server.storage_router())];
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
        for accepting in &mut self.accepting {
            // Aborted, or already over: gone either way.
            let _ = accepting.await;
        }
    }

    fn end(&self) {
        self.accepting.iter().for_each(JoinHandle::abort);
        self.open.close();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
    }
}
