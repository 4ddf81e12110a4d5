//! One run: starts the stages, joins them, and says how it ended.

use super::batch::{Finished, Prepared};
use super::config::{Config, How, Mode};
use super::event::{Event, Tally};
use super::execute::Executor;
use super::halt::Halt;
use super::job::{Applier, Planner, Task};
use super::prepare;
use super::record::Recorder;
use crate::exit::{Exit, Failure};
use crate::journal::writer::Journal;
use crate::stop::Stop;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;

/// Runs all tasks of a feed. Events go to `events`; a listener that lags slows the run.
///
/// The journal's owner closes it. The tally counts what this process settled.
pub(crate) async fn run<P, A>(
    config: Config,
    planner: P,
    mode: Mode<A>,
    feed: impl Iterator<Item = Result<Task<P::Item>, Failure>> + Send + 'static,
    journal: Journal,
    events: mpsc::Sender<Event>,
    stop: Stop,
) -> (How, Tally)
where
    P: Planner,
    A: Applier<P::Change>,
{
    let halt = Halt { failure: Arc::default(), stop: stop.clone() };
    // Short queues: one batch waits while another is worked on. That bounds the memory, and how old a value
    // is when it is acted upon.
    let (task_sender, tasks) = mpsc::channel::<Vec<Task<P::Item>>>(1);
    let (prepared_sender, prepared) = mpsc::channel::<Prepared<P::Change>>(1);
    let (finished_sender, finished) = mpsc::channel::<Finished<P::Change>>(2);

    let reader = {
        let (halt, stop) = (halt.clone(), stop.clone());
        tokio::task::spawn_blocking(move || {
            prepare::read(feed, (config.first_batch, config.batch_size), &task_sender, &halt, &stop);
        })
    };
    let applies = matches!(mode, Mode::Apply(_));
    let preparer = {
        let (halt, journal) = (halt.clone(), applies.then(|| journal.clone()));
        let max_changes = config.max_changes;
        tokio::spawn(prepare::prepare(
            planner,
            tasks,
            prepared_sender,
            journal,
            max_changes,
            halt,
            stop.clone(),
        ))
    };
    let recorder = Recorder::new(journal.clone(), events.clone(), halt.clone());
    let recorder = tokio::spawn(recorder.run(finished));
    let executor = Executor::new(config, mode, journal, finished_sender, events, halt.clone(), stop.clone());
    executor.run(prepared).await;

    let (mut tally, mut portion) = (Tally::default(), false);
    let ends = (reader.await, preparer.await, recorder.await);
    match ends {
        (Ok(()), Ok(reached), Ok(counted)) => (tally, portion) = (counted, reached),
        (reader, preparer, recorder) => {
            // A stage that panicked: a defect, and the journal says what is done.
            let error = reader.err().or(preparer.err()).or(recorder.err());
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            halt.with(Failure::new(Exit::Unexpected, format!("a defect: {text}")));
        }
    }
    let failure = halt.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let how = match (failure, stop.cause()) {
        (Some(failure), _) => How::Stopped(failure),
        (None, Some(cause)) => How::Interrupted(cause),
        (None, None) if portion => How::Portion,
        (None, None) => How::Finished,
    };
    (how, tally)
}
