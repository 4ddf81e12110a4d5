//! From a source to the run's folder: fetch, transform, judge, keep. All at once, with bounded buffers between.

use super::error::LoadError;
use super::file::JobFile;
use super::filter::Filter;
use super::record::Record;
use super::rules::{Broken, Judged, Rules};
use super::slices::Slice;
use super::source::{Chunk, Source};
use super::stage::{Stage, StageWriter};
use super::template::Values;
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use jaq_json::Val;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Chunks that may wait for the transform.
const AHEAD: usize = 4;
/// How long the transform may work on a chunk.
const TRANSFORM_TIME: Duration = Duration::from_secs(30);

/// What a chunk has become.
type Made = Vec<Result<Record, (String, Broken)>>;

/// Why no more records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// As many as were wanted.
    Enough,
    /// All that were sent.
    All,
}

/// The way of a job's records.
#[derive(Debug)]
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
    /// Fetches a slice into the run's folder; only so many records, if that is said.
    pub(super) async fn run(
        &self,
        slice: &Slice,
        values: &Values,
        mut stage: StageWriter,
        most: Option<u64>,
    ) -> Result<Stage, LoadError> {
        stage.as_json = self.file.takes_json();
        let (sender, mut chunks) = mpsc::channel(AHEAD);
        let variables = Arc::new(super::source::variables(&self.variables, slice, values)?);
        let fetched = self.source.fetch(slice, values, sender, &self.stop);
        let keep = async {
            let received = stream::poll_fn(|context| chunks.poll_recv(context));
            let made = received.map(|chunk| self.transform(chunk, Arc::clone(&variables)));
            let mut made = std::pin::pin!(made.buffered(self.threads));
            let rules = self.file.rules.iter().map(|rule| &rule.value);
            let mut rules = Rules::new(rules, self.file.dates().map(|dates| dates.field.as_str()), slice);
            while let Some(records) = made.next().await {
                for record in records? {
                    match record {
                        Err((text, broken)) => stage.reject(&text, &broken)?,
                        Ok(record) => match rules.judge(&record) {
                            Judged::Good => stage.push(&record)?,
                            Judged::Outside => stage.outside(),
                            Judged::Broken(broken) => stage.reject(&record.text(), &broken)?,
                        },
                    }
                    if most.is_some_and(|most| stage.count() >= most) {
                        return Ok((stage, Came::Enough));
                    }
                    if let Some(limit) = self.file.max_records.filter(|limit| stage.count() > *limit) {
                        return Err(LoadError::Guard(format!(
                            "it has more than {limit} records (max_records)"
                        )));
                    }
                }
            }
            Ok((stage, Came::All))
        };
        // The channel is dropped with whichever ends first, which ends the other. That all came that was sent does not say
        // that the source is at its end: it may have failed.
        let both = async {
            let (mut fetched, mut keep) = (std::pin::pin!(fetched), std::pin::pin!(keep));
            tokio::select! {
                kept = &mut keep => {
                    let (stage, came) = kept?;
                    if came == Came::All {
                        fetched.await?;
                    }
                    Ok(stage)
                }
                done = &mut fetched => {
                    done?;
                    keep.await.map(|(stage, _)| stage)
                }
            }
        };
        let stage = self.stop.race(Box::pin(both)).await.ok_or(LoadError::Interrupted)??;
        Ok(stage.finish()?)
    }

    async fn transform(&self, chunk: Chunk, variables: Arc<Vec<Val>>) -> Result<Made, LoadError> {
        let Some(filter) = self.transform.clone() else {
            return Ok(match chunk {
                Chunk::Records(records) => records.into_iter().map(Ok).collect(),
                Chunk::Json(vals) => {
                    let mut made = Made::new();
                    vals.iter().for_each(|val| push(&mut made, val, val));
                    made
                }
            });
        };
        let work = tokio::task::spawn_blocking(move || {
            let vals: Result<Vec<Val>, String> = match chunk {
                Chunk::Json(vals) => Ok(vals),
                Chunk::Records(records) => records.into_iter().map(Record::into_val).collect(),
            };
            let mut made = Made::new();
            for val in vals? {
                match filter.run(val.clone(), &variables) {
                    Err(why) => made.push(Err(rejected(&val, why))),
                    Ok(outputs) => outputs.iter().for_each(|output| push(&mut made, output, &val)),
                }
            }
            Ok(made)
        });
        let worked = tokio::time::timeout(TRANSFORM_TIME, work).await.map_err(|_| {
            LoadError::Transform(format!("the transform has not ended after {} s", TRANSFORM_TIME.as_secs()))
        })?;
        let worked =
            worked.map_err(|error| LoadError::Transform(format!("a defect in the transform: {error}")))?;
        worked.map_err(|why: String| LoadError::Transform(format!("the transform: {why}")))
    }
}

/// Adds what an input has become.
fn push(made: &mut Made, output: &Val, input: &Val) {
    let like = made.last().and_then(|last| last.as_ref().ok());
    let record = Record::of_val(output, like).map_err(|why| rejected(input, why));
    made.push(record);
}

fn rejected(val: &Val, why: String) -> (String, Broken) {
    (val.to_string(), Broken { rule: "transform", field: None, text: why })
}
