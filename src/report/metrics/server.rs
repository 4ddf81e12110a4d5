//! `--metrics-listen`: `/metrics` and `/healthz` over HTTP while the run continues.
//!
//! Anyone who asks gets little and is soon gone: one answer a connection, few connections at once, and each ends after
//! some seconds whatever it does. Of a request only its head is read, and hyper bounds that.

use super::exposition;
use super::snapshot::Snapshot;
use crate::net::listener::Listener;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Connections at once; more wait.
const CONNECTIONS: usize = 16;
/// The longest that a connection may live.
const LIFETIME: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";

type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// Takes an address.
pub(super) async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

/// Serves until there are no more snapshots, and what was asked by then is answered.
pub(super) async fn serve(tcp: TcpListener, snapshots: Snapshots) {
    let mut ended = snapshots.clone();
    let listener = Listener::new(tcp, CONNECTIONS, LIFETIME);
    let ended = async move { while ended.changed().await.is_ok() {} };
    // It never fails: see axum's documentation.
    let _ = axum::serve(listener, router(snapshots)).with_graceful_shutdown(ended).await;
}

fn router(snapshots: Snapshots) -> Router {
    Router::new()
        .route("/metrics", get(metrics).fallback(nothing))
        .route("/healthz", get(health).fallback(nothing))
        .fallback(nothing)
        .with_state(snapshots)
}

async fn metrics(State(snapshots): State<Snapshots>) -> Response {
    let now = Arc::clone(&snapshots.borrow());
    match exposition::text(&now) {
        Ok(text) => answer(StatusCode::OK, exposition::CONTENT_TYPE, text),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}".to_owned()),
    }
}

async fn health(State(snapshots): State<Snapshots>) -> Response {
    let now = Arc::clone(&snapshots.borrow());
    let status = if now.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, JSON, format!("{}\n", now.health()))
}

async fn nothing() -> Response {
    answer(StatusCode::NOT_FOUND, "text/plain", "there are /metrics and /healthz\n".to_owned())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The next request takes another connection, and its place among the few.
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metrics::About;
    use std::collections::BTreeMap;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn about() -> About {
        About {
            run: "R".to_owned(),
            command: "backfill-groups".to_owned(),
            dry_run: true,
            began: chrono::DateTime::UNIX_EPOCH,
            since: std::time::Instant::now(),
            rows: 1,
            before: BTreeMap::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_only_hold_a_place_lose_it() {
        let tcp = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = tcp.local_addr().unwrap();
        let snapshots = watch::Sender::new(Arc::new(Snapshot::new(about(), BTreeMap::new())));
        let server = tokio::spawn(serve(tcp, snapshots.subscribe()));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(addr).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let mut asks = TcpStream::connect(addr).await.unwrap();
        asks.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        // To its end: that there is one shows that the connection is not kept.
        asks.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"dry_run\":true"), "{answer}");
        assert!(began.elapsed() >= LIFETIME, "{:?}", began.elapsed());
        drop(snapshots);
        server.await.unwrap();
    }
}
