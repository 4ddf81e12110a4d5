//! What all requests share.

use super::fault::{Fault, Faults};
use super::limit::{Limiter, RateLimit};
use super::stats::Stats;
use super::world::World;
use axum::http::HeaderValue;
use std::sync::{Arc, RwLock};
use std::time::Duration;

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const PAGE: &[u8] = b"<!doctype html>\n<html><head><title>Just a moment...</title></head>\n\
    <body><h1>We are checking your browser</h1></body></html>\n";

/// Everything that requests share.
pub(super) struct Server {
    pub(super) world: World,
    pub(super) stats: Stats,
    pub(super) limiter: Option<Limiter>,
    pub(super) faults: Faults,
    pub(super) delay: Duration,
    /// Whether calls are turned away; read while a call is carried out.
    pub(super) closed: RwLock<bool>,
}

impl Server {
    pub(super) fn new(
        world: World,
        limit: Option<RateLimit>,
        faults: Vec<Fault>,
        delay: Option<Duration>,
    ) -> Arc<Self> {
        let limiter = limit.map(Limiter::new);
        let stats = Stats::new(limiter.as_ref().map(Limiter::period));
        Arc::new(Self {
            world,
            stats,
            limiter,
            faults: Faults::new(faults),
            delay: delay.unwrap_or_default(),
            closed: RwLock::new(false),
        })
    }
}
