//! Where records come from, slice by slice.

mod files;
mod http;

pub(super) use files::{Files, find};
pub(super) use http::{Http, variables};

use super::error::LoadError;
use super::record::Record;
use super::slices::Slice;
use super::template::Values;
use crate::stop::Stop;
use jaq_json::Val;
use tokio::sync::mpsc;

/// Records that come together; bounded by whoever sends them.
#[derive(Debug)]
pub(super) enum Chunk {
    /// What an answer of JSON holds.
    Json(Vec<Val>),
    /// What a file or a query holds.
    Records(Vec<Record>),
}

/// A source of records.
#[derive(Debug)]
pub(super) enum Source {
    Http(Box<Http>),
    Files(Files),
}

impl Source {
    /// Sends the records of a slice, in order. Ends when all are sent, or when nobody wants more.
    pub(super) async fn fetch(
        &self,
        slice: &Slice,
        values: &Values,
        to: mpsc::Sender<Chunk>,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        match self {
            Self::Http(http) => http.fetch(slice, values, to).await,
            Self::Files(files) => files.fetch(slice, to, stop).await,
        }
    }
}
