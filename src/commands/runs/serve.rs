//! `runs serve`: a read-only page about all runs of a folder, for a browser.
//!
//! - [`gate`]: who gets an answer: whoever knows the token, under a name of this machine
//! - [`board`]: what is known of the runs, kept from one request to the next
//! - [`query`]: which runs are asked for
//! - [`pages`]: pages made of numbers; [`report_file`]: the `report.html` of a run; [`answers`]: what every answer has
//!
//! No path is made of what a request says: a run is looked up among those that were listed.

mod answers;
mod board;
mod gate;
mod pages;
mod query;
mod report_file;

use crate::exit::{Exit, Failure};
use crate::net::listener::Listener;
use crate::report::terminal::{Terminal, result};
use crate::run::signals;
use crate::run::standing::Place;
use crate::settings::watch;
use crate::stop::Stop;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use board::Board;
use gate::{Gate, Passed};
use pages::Pages;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections at once; more wait.
const CONNECTIONS: usize = 32;
/// The longest that a connection may live: long enough for a large report on a slow line.
const LIFETIME: Duration = Duration::from_secs(30);
/// How long answers under way may take when the command ends.
const LAST: Duration = Duration::from_secs(2);

/// What was typed.
pub(crate) struct Asked {
    /// `--listen`
    pub listen: String,
    /// `--allow-host`
    pub allow_host: Vec<String>,
    /// `--json`
    pub json: bool,
}

/// Who gets an answer, and which.
struct Server {
    gate: Gate,
    pages: Arc<Pages>,
}

/// Serves until a signal ends it.
pub(crate) async fn run(
    runs_dir: &Path,
    asked: Asked,
    place: Place,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let addr = watch::address(&asked.listen)
        .map_err(|problem| usage(format!("--listen: `{}` {problem}", asked.listen)))?;
    let gate = Gate::new(&asked.allow_host).map_err(|problem| usage(format!("--allow-host: {problem}")))?;
    let unexpected = |error: std::io::Error| {
        Failure::new(Exit::Unexpected, format!("cannot wait for signals: {error}")).because(error)
    };
    let stop = Stop::default();
    signals::listen_quietly(&stop).map_err(unexpected)?;
    let failed = |error| {
        let text = format!("--listen: cannot listen at {addr}: {error}; name another port");
        Failure::new(Exit::Usage, text).because(error)
    };
    let tcp = TcpListener::bind(addr).await.map_err(failed)?;
    let taken = tcp.local_addr().map_err(failed)?;
    if !taken.ip().is_loopback() {
        terminal.say(&format!(
            "warning: --listen: {taken} is not this machine's loopback: whoever can reach it and learns the address below \
             can read about all runs, and nothing is encrypted on its way"
        ));
    }

    let board = Board::new(runs_dir);
    // A folder that cannot be listed is an error now; and the first request need not wait.
    let first = board.clone();
    signals::on_thread(&stop, move || first.look().map(drop)).await?;
    let url = format!("http://{}/{}/", here(taken), gate.token());
    let text = if asked.json {
        json!({ "url": url }).to_string()
    } else {
        format!("runs at {url} until Ctrl-C; whoever has this address can read about all runs")
    };
    result(&text).map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?;

    let pages = Arc::new(Pages::new(board, place, gate.token()));
    let server = Arc::new(Server { gate, pages });
    let router = Router::new().fallback(answer).with_state(server);
    let ended = {
        let stop = stop.clone();
        async move { stop.wait().await }
    };
    let listener = Listener::new(tcp, CONNECTIONS, LIFETIME);
    let serving = async move { axum::serve(listener, router).with_graceful_shutdown(ended).await };
    tokio::pin!(serving);
    // It never fails: see axum's documentation.
    if stop.race(&mut serving).await.is_none() {
        let _ = tokio::time::timeout(LAST, serving).await;
    }
    Ok(Exit::Ok)
}

/// The address as a browser on this machine takes it.
fn here(taken: SocketAddr) -> SocketAddr {
    let ip = match taken.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, taken.port())
}

/// Answers a request. Its body is not read.
async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match server.gate.pass(&parts) {
        Ok(Passed { path, query }) => {
            let pages = Arc::clone(&server.pages);
            let made = tokio::task::spawn_blocking(move || pages.answer(&path, &query)).await;
            made.unwrap_or_else(|_| answers::defect())
        }
        Err(refused) => answers::refused(refused),
    }
}
