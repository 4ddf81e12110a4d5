//! How many pairs may be backed up before their merges are sent: under a rate limit few, so that the first merges end
//! before the last pairs begin, and a stop leaves few backups that nothing was sent for.

use crate::net::rate::Rate;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// The fewest and the most pairs that may be begun and not sent.
const FEWEST: u32 = 8;
const MOST: u32 = 50;
/// A pair needs some ten calls before its merge is sent: this much of a limit's time keeps the way full.
const SHARE: Duration = Duration::from_secs(10);
/// How long others wait for the first pair at most: it may be a large one, or never settle.
const FIRST_ALONE: Duration = Duration::from_secs(20);

/// Lets pairs begin.
#[derive(Debug)]
pub(super) struct Gate {
    places: Arc<Semaphore>,
    /// Places that are added once the first pair has ended.
    kept_back: AtomicUsize,
    unsent: usize,
}

/// A pair's place, from its beginning until its merge is sent. The first pair keeps it to its end.
#[derive(Debug)]
pub(super) struct Place {
    /// Set for the first pair under a limit.
    opens: Option<Arc<Gate>>,
    _place: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate for this limit, if there is one: then the first pair goes alone, and shows that all is well.
    pub(super) fn new(rate: Option<Rate>) -> Arc<Self> {
        let unsent = rate.map_or(MOST, |rate| {
            let calls = f64::from(rate.calls.get()) * SHARE.div_duration_f64(rate.period);
            // In range after `clamp`.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let calls = calls.clamp(f64::from(FEWEST), f64::from(MOST)) as usize;
            u32::try_from(calls).unwrap_or(MOST)
        });
        let unsent = unsent as usize;
        let first = if rate.is_some() { 1 } else { unsent };
        let kept_back = AtomicUsize::new(unsent - first);
        Arc::new(Self { places: Arc::new(Semaphore::new(first)), kept_back, unsent })
    }

    /// Pairs that may be backed up and not sent.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Waits for a place.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let until = Instant::now() + FIRST_ALONE;
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::pin!(place);
        let place = loop {
            tokio::select! {
                biased;
                place = &mut place => break place.ok()?,
                () = sleep_until(until), if self.is_narrow() => self.open(),
            }
        };
        let opens = self.is_narrow().then(|| Arc::clone(self));
        Some(Place { opens, _place: place })
    }

    fn is_narrow(&self) -> bool {
        self.kept_back.load(Ordering::Relaxed) > 0
    }

    fn open(&self) {
        self.places.add_permits(self.kept_back.swap(0, Ordering::Relaxed));
    }
}

impl Place {
    /// The pair's merge is sent: the place is free for another one, unless this is the first pair.
    pub(super) fn once_sent(self) -> Option<Self> {
        self.opens.is_some().then_some(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(gate) = self.opens.take() {
            gate.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn gate(calls: u32, seconds: u64) -> Arc<Gate> {
        let rate = Rate { calls: NonZeroU32::new(calls).unwrap(), period: Duration::from_secs(seconds) };
        Gate::new(Some(rate))
    }

    /// How many can enter without waiting.
    async fn enter_all(gate: &Arc<Gate>) -> Vec<Place> {
        let mut places = Vec::new();
        while let Ok(place) = tokio::time::timeout(Duration::from_millis(1), gate.enter()).await {
            places.extend(place);
        }
        places
    }

    #[test]
    fn a_low_limit_lets_few_begin() {
        for (calls, seconds, unsent) in
            [(1, 3600, 8), (45, 60, 8), (60, 60, 10), (50, 10, 50), (5000, 60, 50)]
        {
            assert_eq!(gate(calls, seconds).unsent(), unsent, "{calls}/{seconds}");
        }
        assert_eq!(Gate::new(None).unsent(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_pair_goes_alone_to_its_end() {
        let gate = gate(45, 60);
        let mut first = enter_all(&gate).await;
        assert_eq!(first.len(), 1);
        let first = first.pop().and_then(Place::once_sent).unwrap();
        assert_eq!(enter_all(&gate).await.len(), 0);
        drop(first);
        let mut places = enter_all(&gate).await;
        assert_eq!(places.len(), 8);
        assert!(places.pop().and_then(Place::once_sent).is_none());
        assert_eq!(enter_all(&gate).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn others_do_not_wait_for_ever_for_the_first() {
        let gate = gate(45, 60);
        let first = gate.enter().await.unwrap();
        let since = Instant::now();
        let second = gate.enter().await.unwrap();
        assert_eq!(since.elapsed(), FIRST_ALONE);
        assert_eq!(enter_all(&gate).await.len(), 6);
        drop((first, second));
    }
}
