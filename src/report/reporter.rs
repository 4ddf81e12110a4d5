//! Those who report on a run while it continues, and how they hear of it.

use super::summary::Summary;
use crate::engine::event::Event;
use crate::figures::Figures;
use futures_util::FutureExt;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Between two looks at the figures.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// Work that continues when a reporter's part is over, such as a message on its way; bounded in time by anyone who makes it.
pub(crate) type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reports of a run while it continues. It is called between the engine's events: it must not block, and whatever takes
/// time it does in a task of its own.
pub(crate) trait Reporter: Send {
    /// Something happened.
    fn event(&mut self, _event: &Event) {}

    /// What was done so far, and is being done just now: every [`TICK`], and once more when no more events come.
    fn tick(&mut self, _figures: &Figures) {}

    /// The engine has ended, and the run with it: what comes now is the summary.
    fn last_event(&mut self) {}

    /// The run has ended, and this is what it came to. `run.json`, `report.json` and the result files are written.
    fn ended(&mut self, _summary: &Summary, _figures: &Figures) {}

    /// What is left to be done after that; the process waits for it.
    fn close(self: Box<Self>) -> Closing {
        Box::pin(std::future::ready(()))
    }
}

/// All who report of a run. One that panics reports no more; the others and the run do not care.
#[derive(Default)]
pub(crate) struct Reporters(Vec<Box<dyn Reporter>>);

impl fmt::Debug for Reporters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Reporters({})", self.0.len())
    }
}

impl Reporters {
    /// One more.
    pub(crate) fn add(&mut self, reporter: impl Reporter + 'static) {
        self.0.push(Box::new(reporter));
    }

    /// Hands all events on until the engine sends no more, and the figures regularly.
    pub(crate) async fn listen(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        figures: impl Fn() -> Figures + Send,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // The ticks first: a stream of events without a gap must not keep them away.
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    let now = figures();
                    self.each(|reporter| reporter.tick(&now));
                }
                event = events.recv() => match event {
                    Some(event) => self.each(|reporter| reporter.event(&event)),
                    None => break,
                },
            }
        }
        let now = figures();
        self.each(|reporter| reporter.tick(&now));
        self.each(|reporter| reporter.last_event());
    }

    fn each(&mut self, tell: impl Fn(&mut dyn Reporter)) {
        // Anyone who panicked is not used again: what it left half done is seen by nobody.
        self.0.retain_mut(|reporter| catch_unwind(AssertUnwindSafe(|| tell(&mut **reporter))).is_ok());
    }

    /// Tells all how the run ended, and waits for what they have left to do.
    pub(crate) async fn end(mut self, summary: &Summary, figures: &Figures) {
        self.each(|reporter| reporter.ended(summary, figures));
        let closing = self.0.into_iter().filter_map(|reporter| {
            let closing = catch_unwind(AssertUnwindSafe(|| reporter.close())).ok()?;
            Some(AssertUnwindSafe(closing).catch_unwind())
        });
        futures_util::future::join_all(closing).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Settled;
    use crate::report::metrics::tests::summary;
    use std::sync::{Arc, Mutex};

    /// Writes down what it hears.
    struct Hears(Arc<Mutex<Vec<String>>>);

    impl Reporter for Hears {
        fn event(&mut self, event: &Event) {
            if let Event::Row { rows, .. } = event {
                self.0.lock().unwrap().push(rows.row.to_string());
            }
        }

        fn tick(&mut self, figures: &Figures) {
            self.0.lock().unwrap().push(format!("tick {}", figures.calls.calls));
        }

        fn last_event(&mut self) {
            self.0.lock().unwrap().push("last".to_owned());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_in_order_and_figures_between_them() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut reporters = Reporters::default();
        reporters.add(Hears(Arc::clone(&heard)));
        let (sender, events) = mpsc::channel(4);
        let sends = tokio::spawn(async move {
            for row in 1..=3_u64 {
                let settled = Settled::Planned;
                sender.send(Event::Row { rows: row.into(), settled }).await.unwrap();
            }
            tokio::time::sleep(TICK * 2).await;
        });
        reporters.listen(events, Figures::default).await;
        sends.await.unwrap();
        let heard = heard.lock().unwrap();
        let rows: Vec<_> = heard.iter().filter(|text| !text.starts_with("tick")).collect();
        assert_eq!(rows, ["1", "2", "3", "last"]);
        assert!(heard.iter().filter(|text| text.starts_with("tick")).count() >= 3, "{heard:?}");
        assert_eq!(heard.last().unwrap(), "last");
    }

    /// Panics at its third event, or when it closes.
    struct Panics(u64);

    impl Reporter for Panics {
        fn event(&mut self, _event: &Event) {
            self.0 += 1;
            assert!(self.0 != 3, "a defect of a reporter");
        }

        fn close(self: Box<Self>) -> Closing {
            Box::pin(async { panic!("a defect of a reporter") })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_is_no_concern_of_the_others() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut reporters = Reporters::default();
        reporters.add(Panics(0));
        reporters.add(Hears(Arc::clone(&heard)));
        reporters.add(Panics(100));
        let (sender, events) = mpsc::channel(4);
        for row in 1..=4_u64 {
            let settled = Settled::Planned;
            sender.send(Event::Row { rows: row.into(), settled }).await.unwrap();
        }
        drop(sender);
        reporters.listen(events, Figures::default).await;
        assert_eq!(format!("{reporters:?}"), "Reporters(2)");
        reporters.end(&summary(), &Figures::default()).await;
        let heard = heard.lock().unwrap();
        let rows: Vec<_> = heard.iter().filter(|text| !text.starts_with("tick")).collect();
        assert_eq!(rows, ["1", "2", "3", "4", "last"]);
    }
}
