//! Questions of many pairs, put to DevRev together: what one pair asks alone costs as many calls as what fifty
//! pairs ask at once.
//!
//! Anyone who asks waits until so many have asked, until nobody is busy any more (so that nobody else would ask
//! soon), or for a bounded time.

use crate::jobs::failing;
use crate::net::error::ApiError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a question waits for others at most.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How many pairs are being worked on right now: neither waiting for others nor for DevRev to settle.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<watch::Sender<usize>>);

/// Counts as one while it lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<watch::Sender<usize>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Activity {
    /// One more is busy.
    pub(crate) fn begin(&self) -> Busy {
        self.0.send_modify(|busy| *busy += 1);
        Busy(Arc::clone(&self.0))
    }

    async fn ended(&self) {
        // An error means that the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|busy| *busy == 0).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|busy| *busy -= 1);
    }
}

type Answers<A> = Pin<Box<dyn Future<Output = Result<Vec<A>, ApiError>> + Send>>;
type Waiting<Q, A> = (Q, oneshot::Sender<Result<A, ApiError>>);

/// Puts questions together.
#[derive(Debug)]
pub(crate) struct Questions<Q, A> {
    questions: mpsc::UnboundedSender<Waiting<Q, A>>,
    task: JoinHandle<()>,
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Questions<Q, A> {
    /// At most `most` questions at once are put to `ask`, which answers each of them, in order.
    pub(crate) fn new(
        activity: Activity,
        most: usize,
        ask: impl Fn(Vec<Q>) -> Answers<A> + Send + Sync + 'static,
    ) -> Self {
        // Not bounded here: each pair has one question open at most, and the engine bounds the pairs.
        let (questions, waiting) = mpsc::unbounded_channel();
        Self { questions, task: tokio::spawn(serve(activity, most, waiting, ask)) }
    }

    /// Asks, and waits for the answer. The error is that of the whole question.
    pub(crate) async fn ask(&self, question: Q) -> Result<A, ApiError> {
        let (answer, answered) = oneshot::channel();
        let lost = || ApiError::of_answer("a defect: a question was not answered");
        self.questions.send((question, answer)).map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }
}

impl<Q, A> Drop for Questions<Q, A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<Q: Clone, A>(
    activity: Activity,
    most: usize,
    mut waiting: mpsc::UnboundedReceiver<Waiting<Q, A>>,
    ask: impl Fn(Vec<Q>) -> Answers<A>,
) {
    while let Some(first) = waiting.recv().await {
        let mut gathered = vec![first];
        let until = Instant::now() + LONGEST_WAIT;
        while gathered.len() < most {
            tokio::select! {
                biased;
                next = waiting.recv() => match next {
                    Some(next) => gathered.push(next),
                    None => break,
                },
                () = activity.ended() => break,
                () = tokio::time::sleep_until(until) => break,
            }
        }
        let (questions, answers): (Vec<_>, Vec<_>) = gathered.into_iter().unzip();
        // Those who are busy with the question count as busy.
        let busy = activity.begin();
        let alone = questions.clone();
        let answered = ask(questions).await;
        // Anyone who asked may have gone.
        match answered {
            Ok(found) => {
                for (answer, sender) in found.into_iter().zip(answers) {
                    let _ = sender.send(Ok(answer));
                }
            }
            // One question that cannot be answered must not take the others along.
            Err(error) if alone.len() > 1 && failing::ends_run(&error).is_none() => {
                tracing::debug!("asked one by one: {error}");
                for (question, sender) in alone.into_iter().zip(answers) {
                    let answered = ask(vec![question]).await;
                    let lost = || ApiError::of_answer("a defect: a question was not answered");
                    let _ = sender.send(answered.and_then(|found| found.into_iter().next().ok_or_else(lost)));
                }
            }
            Err(error) => {
                for sender in answers {
                    let _ = sender.send(Err(error.clone()));
                }
            }
        }
        drop(busy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    type Sizes = Arc<Mutex<Vec<usize>>>;

    fn sums(activity: &Activity, most: usize) -> (Arc<Questions<u32, usize>>, Sizes) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let sizes = Arc::clone(&asked);
        let gather = Questions::new(activity.clone(), most, move |questions: Vec<u32>| {
            sizes.lock().unwrap_or_else(PoisonError::into_inner).push(questions.len());
            let answers = questions.iter().map(|question| *question as usize * 2).collect();
            Box::pin(async { Ok(answers) })
        });
        (Arc::new(gather), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn questions_go_together_once_nobody_is_busy() {
        let activity = Activity::default();
        let (gather, asked) = sums(&activity, 10);
        let busy = activity.begin();
        let asking: Vec<_> = (0..3)
            .map(|question| {
                let gather = Arc::clone(&gather);
                tokio::spawn(async move { gather.ask(question).await.unwrap() })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(asked.lock().unwrap().is_empty());
        drop(busy);
        for (question, asking) in asking.into_iter().enumerate() {
            assert_eq!(asking.await.unwrap(), question * 2);
        }
        assert_eq!(*asked.lock().unwrap(), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn enough_of_them_or_enough_time_is_enough() {
        let activity = Activity::default();
        let (gather, asked) = sums(&activity, 2);
        let _busy = activity.begin();
        let (one, other) = tokio::join!(gather.ask(1), gather.ask(2));
        assert_eq!((one.unwrap(), other.unwrap()), (2, 4));
        let since = Instant::now();
        assert_eq!(gather.ask(3).await.unwrap(), 6);
        assert_eq!(since.elapsed(), LONGEST_WAIT);
        assert_eq!(*asked.lock().unwrap(), [2, 1]);
    }
}
