//! The job's writing half.

use super::change::MergeUndo;
use super::shown::{Answer, Question};
use crate::devrev::client::Client;
use crate::devrev::read_only::ReadOnly;
use crate::engine::job::Applied;
use crate::jobs::merge_contacts::questions::{Activity, Questions};
use crate::jobs::merge_contacts::settle::{Pace, Waits};
use crate::jobs::track;
use crate::stop::Stop;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;
use tokio::sync::{Mutex, MutexGuard};

/// Works are told apart by so many hashes while they are changed.
pub(super) const WORKS: usize = 256;

/// An undo under way.
pub(crate) type Track<'s> = track::Track<'s, MergeUndo>;

/// The job's writing half: only a real run has one.
#[derive(Debug)]
pub(crate) struct Undoer {
    pub(super) client: Client,
    pub(super) reads: ReadOnly,
    pub(super) stop: Stop,
    pub(super) pace: Pace,
    pub(super) checks: Questions<Question, Answer>,
    pub(super) activity: Activity,
    /// Works that are being changed, by a hash of their IDs.
    pub(super) works: Vec<Mutex<()>>,
}

impl Undoer {
    /// Waits until nobody else changes this work, and keeps others from it.
    pub(super) async fn alone(&self, work: &str) -> MutexGuard<'_, ()> {
        let place = usize::try_from(FxBuildHasher.hash_one(work) % WORKS as u64).unwrap_or_default();
        self.works[place].lock().await
    }

    /// Waits a little. `false` when there was no time left to wait.
    pub(super) async fn wait(&self, track: &Track<'_>, waits: &mut Waits) -> Result<bool, Applied> {
        waits.wait(&self.stop).await.ok_or_else(|| track.interrupted())
    }
}
