//! A run's metrics, for Prometheus: in a file for node_exporter's textfile collector, over HTTP, or both.
//!
//! Counts and IDs only: nothing of it is personal or secret.
//!
//! - [`snapshot`]: what is known of the run at one moment; both show the same
//! - [`exposition`]: a snapshot in Prometheus' text format
//! - [`file`]: `--metrics-file`; [`server`]: `--metrics-listen`

mod exposition;
mod file;
mod server;
mod snapshot;

pub(crate) use snapshot::About;

use super::reporter::{Closing, Reporter};
use super::summary::Summary;
use super::terminal::Terminal;
use crate::engine::event::Event;
use crate::exit::{Exit, Failure};
use crate::figures::Figures;
use file::MetricsFile;
use snapshot::Snapshot;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the last write, and answers under way, may take when the run has ended.
const LAST: Duration = Duration::from_secs(2);

/// A setting and where it came from, such as `--metrics-file`, for what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked<T> {
    /// The setting.
    pub value: T,
    /// Where it came from.
    pub from: String,
}

/// Where the metrics go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// `--metrics-file`.
    pub file: Option<Asked<PathBuf>>,
    /// `--metrics-listen`.
    pub listen: Option<Asked<SocketAddr>>,
}

/// Reports the run's metrics.
pub(crate) struct Metrics {
    now: Snapshot,
    snapshots: watch::Sender<Arc<Snapshot>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Metrics {
    /// Begins to report there; `None` if nowhere. Fails where the file cannot be written or the address not be had.
    pub(crate) async fn begin(
        places: Places,
        about: About,
        terminal: &Terminal,
    ) -> Result<Option<Self>, Failure> {
        if places.file.is_none() && places.listen.is_none() {
            return Ok(None);
        }
        let (mut file, mut successes) = (None, BTreeMap::new());
        if let Some(Asked { value: path, from }) = places.file {
            let failed = |why: String| Failure::new(Exit::Usage, format!("{from}: {} {why}", path.display()));
            let claim = {
                let path = path.clone();
                tokio::task::spawn_blocking(move || MetricsFile::claim(path))
            };
            let claimed = claim.await.map_err(|error| failed(format!("cannot be written: {error}")))?;
            let (claimed, before) = claimed.map_err(failed)?;
            if claimed.is_passed_over() {
                terminal.say(&format!(
                    "warning: {from}: {} does not end with .prom, and node_exporter reads no other files",
                    path.display()
                ));
            }
            (file, successes) = (Some(claimed), before);
        }
        let listener = match places.listen {
            Some(asked) => Some(listen(&asked, terminal).await?),
            None => None,
        };
        let now = Snapshot::new(about, successes);
        let snapshots = watch::Sender::new(Arc::new(now.clone()));
        let mut tasks = Vec::new();
        tasks.extend(file.map(|file| tokio::spawn(file.keep(snapshots.subscribe(), terminal.clone()))));
        tasks.extend(listener.map(|listener| tokio::spawn(server::serve(listener, snapshots.subscribe()))));
        Ok(Some(Self { now, snapshots, tasks }))
    }

    fn publish(&self) {
        self.snapshots.send_replace(Arc::new(self.now.clone()));
    }
}

async fn listen(asked: &Asked<SocketAddr>, terminal: &Terminal) -> Result<tokio::net::TcpListener, Failure> {
    let Asked { value: addr, from } = asked;
    let failed = |error| {
        Failure::new(Exit::Usage, format!("{from}: cannot listen at {addr}: {error}; name another port"))
            .because(error)
    };
    let listener = server::bind(*addr).await.map_err(failed)?;
    let taken = listener.local_addr().map_err(failed)?;
    if !addr.ip().is_loopback() {
        terminal.say(&format!(
            "warning: {from}: {taken} is not this machine's loopback: whoever can reach it can read the run's metrics"
        ));
    }
    if addr.port() == 0 {
        terminal.say(&format!("metrics: http://{taken}/metrics"));
    }
    Ok(listener)
}

impl Reporter for Metrics {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Row { rows, settled } => self.now.count(settled.state(), rows.count()),
            Event::Batch { took, .. } => self.now.batch(*took),
            Event::Meant { .. } | Event::Step { .. } => {}
        }
    }

    fn tick(&mut self, figures: &Figures) {
        self.now.look(figures);
        self.publish();
    }

    fn ended(&mut self, summary: &Summary, figures: &Figures) {
        self.now.end(summary, figures);
        self.publish();
    }

    fn close(self: Box<Self>) -> Closing {
        let Self { snapshots, tasks, .. } = *self;
        Box::pin(async move {
            // By this they know that no more comes.
            drop(snapshots);
            // What takes longer, such as a write to a disk that hangs, ends with the process.
            let _ = tokio::time::timeout(LAST, futures_util::future::join_all(tasks)).await;
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
