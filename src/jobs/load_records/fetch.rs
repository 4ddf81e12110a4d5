//! From a source to the run's folder: fetch, transform, judge, keep. All at once, with bounded buffers between.

use super::error::LoadError;
use super::file::JobFile;
use super::filter::Filter;
use super::options::LoadOptions;
use super::record::Record;
use super::rules::{Broken, Judged, Rules};
use super::slices::Slice;
use super::source::{Chunk, Source};
use super::stage::{Stage, StageWriter};
use super::template::Values;
use crate::exit::Failure;
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use jaq_json::Val;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that may wait for the transform.
const AHEAD: usize = 2;
/// How long the transform may work on a chunk.
const TRANSFORM_TIME: Duration = Duration::from_secs(30);

/// The rule that a record breaks whose transform failed.
pub(super) const TRANSFORM: &str = "transform";

/// What a chunk has become.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The target's records, and the source's that could not be transformed.
    pub records: Vec<Result<Record, (String, Broken)>>,
    /// Where they are wanted: each record of the source, as JSON, and how many records it has become.
    pub inputs: Vec<(String, usize)>,
    /// Where messages are the source: the offset of each, and how many records it has become.
    #[cfg(feature = "kafka")]
    pub messages: Vec<(i64, usize)>,
    /// Messages without a value that were left out.
    #[cfg(feature = "kafka")]
    pub tombstones: u64,
    /// Where they end a batch.
    #[cfg(feature = "kafka")]
    pub end: Option<super::source::kafka::End>,
}

/// Whether more records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Enough,
    More,
}

/// The way of a job's records.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    /// The job.
    pub file: Arc<JobFile>,
    /// Where they come from.
    pub source: Arc<Source>,
    /// What becomes of each.
    pub transform: Option<Filter>,
    /// The names of its variables.
    pub variables: Vec<String>,
    /// Threads that transform.
    pub threads: usize,
    /// What ends every wait.
    pub stop: Stop,
}

impl Fetch {
    /// That of a job.
    pub(super) fn new(options: &LoadOptions, source: Arc<Source>, stop: &Stop) -> Result<Self, Failure> {
        let known = options.job()?;
        Ok(Self {
            variables: known.file.variables(),
            file: Arc::clone(&known.file),
            source,
            transform: options.transform()?,
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            stop: stop.clone(),
        })
    }

    /// What the records of a slice have to keep.
    pub(super) fn rules<'a>(&'a self, slice: &'a Slice) -> Rules<'a> {
        let rules = self.file.rules.iter().map(|rule| &rule.value);
        let date = self.file.dates().map(|dates| dates.field.as_str());
        let mut rules = Rules::new(rules, date, slice);
        rules.clocks = self.file.compares_clocks();
        rules
    }

    /// Fetches a slice into the run's folder; only so many records, if that is said.
    pub(super) async fn run(
        &self,
        slice: &Slice,
        values: &Values,
        mut stage: StageWriter,
        most: Option<u64>,
    ) -> Result<Stage, LoadError> {
        stage.as_json = self.file.takes_json();
        let mut rules = self.rules(slice);
        let take = |made: Made| {
            for record in made.records {
                match record {
                    Err((text, broken)) => stage.reject(&text, &broken)?,
                    Ok(record) => match rules.judge(&record) {
                        Judged::Good => stage.push(&record)?,
                        Judged::Outside => stage.outside(),
                        Judged::Broken(broken) => stage.reject(&record.text(), &broken)?,
                    },
                }
                if most.is_some_and(|most| stage.count() >= most) {
                    return Ok(Wanted::Enough);
                }
                if let Some(limit) = self.file.max_records.filter(|limit| stage.count() > *limit) {
                    return Err(LoadError::Guard(format!("it has more than {limit} records (max_records)")));
                }
            }
            Ok(Wanted::More)
        };
        self.stream(slice, values, false, take).await?;
        Ok(stage.finish()?)
    }

    /// Fetches and transforms the records of a slice. `take` gets them in order until it has enough; with what each was before,
    /// if that is wanted.
    pub(super) async fn stream(
        &self,
        slice: &Slice,
        values: &Values,
        with_inputs: bool,
        mut take: impl FnMut(Made) -> Result<Wanted, LoadError>,
    ) -> Result<(), LoadError> {
        let (sender, mut chunks) = mpsc::channel(AHEAD);
        let variables = Arc::new(super::source::variables(&self.variables, slice, values)?);
        let fetched = self.source.fetch(slice, values, sender, &self.stop);
        let keep = async {
            let received = stream::poll_fn(|context| chunks.poll_recv(context));
            let made = received.map(|chunk| self.transform(chunk, Arc::clone(&variables), with_inputs));
            let mut made = std::pin::pin!(made.buffered(self.threads));
            while let Some(made) = made.next().await {
                if take(made?)? == Wanted::Enough {
                    return Ok(Wanted::Enough);
                }
            }
            Ok(Wanted::More)
        };
        // The channel is dropped with whichever ends first, which ends the other. That all came that was sent does not say
        // that the source is at its end: it may have failed.
        let both = async {
            let (mut fetched, mut keep) = (std::pin::pin!(fetched), std::pin::pin!(keep));
            tokio::select! {
                kept = &mut keep => {
                    if kept? == Wanted::More {
                        fetched.await?;
                    }
                    Ok(())
                }
                done = &mut fetched => {
                    done?;
                    keep.await.map(drop)
                }
            }
        };
        self.stop.race(Box::pin(both)).await.ok_or(LoadError::Interrupted)?
    }

    pub(super) async fn transform(
        &self,
        chunk: Chunk,
        variables: Arc<Vec<Val>>,
        with_inputs: bool,
    ) -> Result<Made, LoadError> {
        #[cfg(feature = "kafka")]
        let chunk = match chunk {
            Chunk::Messages(messages) => {
                return self.transform_messages(messages, variables, with_inputs).await;
            }
            chunk => chunk,
        };
        let Some(filter) = self.transform.clone() else {
            let mut made = Made::default();
            match chunk {
                Chunk::Records(records) => {
                    if with_inputs {
                        made.inputs = records.iter().map(|record| (record.json(), 1)).collect();
                    }
                    made.records = records.into_iter().map(Ok).collect();
                }
                Chunk::Json(vals) => {
                    if with_inputs {
                        made.inputs = vals.iter().map(|val| (val.to_string(), 1)).collect();
                    }
                    for val in &vals {
                        push(&mut made, val, val);
                    }
                }
                #[cfg(feature = "kafka")]
                Chunk::Messages(_) => {}
            }
            return Ok(made);
        };
        worked(move || {
            let vals: Result<Vec<Val>, String> = match chunk {
                Chunk::Json(vals) => Ok(vals),
                Chunk::Records(records) => records.into_iter().map(Record::into_val).collect(),
                #[cfg(feature = "kafka")]
                Chunk::Messages(_) => Ok(Vec::new()),
            };
            let mut made = Made::default();
            for val in vals? {
                let before = made.records.len();
                match filter.run(val.clone(), &variables) {
                    Err(why) => made.records.push(Err(rejected(&val, why))),
                    Ok(outputs) => {
                        for output in &outputs {
                            push(&mut made, output, &val);
                        }
                    }
                }
                if with_inputs {
                    made.inputs.push((val.to_string(), made.records.len() - before));
                }
            }
            Ok(made)
        })
        .await
    }
}

/// Transforms on a thread of its own, within the time that there is for it.
pub(super) async fn worked(
    work: impl FnOnce() -> Result<Made, String> + Send + 'static,
) -> Result<Made, LoadError> {
    let work = tokio::task::spawn_blocking(work);
    let worked = tokio::time::timeout(TRANSFORM_TIME, work).await.map_err(|_| {
        LoadError::Transform(format!("the transform has not ended after {} s", TRANSFORM_TIME.as_secs()))
    })?;
    let worked =
        worked.map_err(|error| LoadError::Transform(format!("a defect in the transform: {error}")))?;
    worked.map_err(|why| LoadError::Transform(format!("the transform: {why}")))
}

/// Adds what an input has become.
pub(super) fn push(made: &mut Made, output: &Val, input: &Val) {
    let like = made.records.last().and_then(|last| last.as_ref().ok());
    let record = Record::of_val(output, like).map_err(|why| rejected(input, why));
    made.records.push(record);
}

pub(super) fn rejected(val: &Val, why: String) -> (String, Broken) {
    (val.to_string(), Broken { rule: TRANSFORM, field: None, text: why })
}
