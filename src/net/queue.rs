//! Whose call goes out next: the most urgent one, and among equally urgent ones the one that has waited longest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How urgent a call is, the most urgent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// It completes a change that was sent.
    Complete,
    /// It sends a change, or is the last look before that.
    Send,
    /// Any other call.
    #[default]
    Normal,
    /// It reads for changes that have not begun.
    Ahead,
}

/// One turn in so many goes to the call that has waited longest, however little urgent it is: none waits for ever.
const FAIR: u32 = 8;

/// A lock that is handed to the most urgent caller.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    is_taken: bool,
    /// Callers so far; tells who came first.
    came: u64,
    /// Turns that were handed over.
    handed: u32,
    /// Those who wait, with their numbers. Anyone who gave up is passed over.
    waiting: BTreeMap<Urgency, VecDeque<(u64, oneshot::Sender<Turn>)>>,
}

/// The turn of one caller; the next one gets it when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Queue>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.hand_over();
        }
    }
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    pub(crate) async fn turn(self: &Arc<Self>, urgency: Urgency) -> Turn {
        loop {
            let Some(waiting) = self.line().enter(urgency) else { return Turn(Some(Arc::clone(self))) };
            // An error means that the line has lost this caller: it enters again.
            if let Ok(turn) = waiting.await {
                return turn;
            }
        }
    }

    fn hand_over(self: Arc<Self>) {
        let mut turn = Turn(Some(self.clone()));
        loop {
            let Some(next) = self.line().next() else {
                turn.0 = None;
                return;
            };
            match next.send(turn) {
                Ok(()) => return,
                // That one gave up.
                Err(unsent) => turn = unsent,
            }
        }
    }
}

impl Line {
    /// Takes the turn if it is free (`None`); else says where it will come.
    fn enter(&mut self, urgency: Urgency) -> Option<oneshot::Receiver<Turn>> {
        if !self.is_taken {
            self.is_taken = true;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.came += 1;
        self.waiting.entry(urgency).or_default().push_back((self.came, sender));
        Some(receiver)
    }

    /// Who is next; without anybody, the turn is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.handed = self.handed.wrapping_add(1);
        let mut lines = self.waiting.values_mut().filter(|line| !line.is_empty());
        let line = if self.handed.is_multiple_of(FAIR) {
            lines.min_by_key(|line| line.front().map(|(came, _)| *came))
        } else {
            lines.next()
        };
        let next = line.and_then(VecDeque::pop_front).map(|(_, sender)| sender);
        self.is_taken = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    type Heard = Arc<Mutex<Vec<(Urgency, u32)>>>;

    /// Lets callers wait behind a turn that is taken, in this order, and says in which order they were served.
    async fn served(callers: &[Urgency]) -> Vec<(Urgency, u32)> {
        let (queue, heard) = (Arc::new(Queue::default()), Heard::default());
        let first = queue.turn(Urgency::Normal).await;
        let mut waiting = Vec::new();
        for (urgency, number) in callers.iter().copied().zip(1..) {
            let (queue, heard) = (queue.clone(), heard.clone());
            waiting.push(tokio::spawn(async move {
                let _turn = queue.turn(urgency).await;
                heard.lock().unwrap().push((urgency, number));
                yield_now().await;
            }));
            yield_now().await;
        }
        drop(first);
        for caller in waiting {
            caller.await.unwrap();
        }
        let heard = heard.lock().unwrap();
        heard.clone()
    }

    #[tokio::test]
    async fn the_most_urgent_go_first_and_equals_in_the_order_in_which_they_came() {
        use Urgency::{Ahead, Complete, Normal, Send};
        let order = served(&[Ahead, Normal, Send, Normal, Complete, Send]).await;
        assert_eq!(
            order,
            [(Complete, 5), (Send, 3), (Send, 6), (Normal, 2), (Normal, 4), (Ahead, 1)],
            "{order:?}"
        );
    }

    #[tokio::test]
    async fn the_least_urgent_one_does_not_wait_for_ever() {
        let mut callers = vec![Urgency::Ahead];
        callers.extend([Urgency::Complete; 30]);
        let order = served(&callers).await;
        let place = order.iter().position(|(urgency, _)| *urgency == Urgency::Ahead).unwrap();
        assert_eq!(place, FAIR as usize - 1);
    }

    #[tokio::test]
    async fn whoever_gives_up_is_passed_over() {
        let queue = Arc::new(Queue::default());
        let first = queue.turn(Urgency::Normal).await;
        let mut callers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { drop(queue.turn(Urgency::Normal).await) })
            })
            .collect();
        yield_now().await;
        let last = callers.pop().unwrap();
        // One that waits gives up, and one that has been handed the turn without knowing of it.
        callers[1].abort();
        yield_now().await;
        drop(first);
        callers[0].abort();
        last.await.unwrap();
        drop(queue.turn(Urgency::Ahead).await);
    }
}
