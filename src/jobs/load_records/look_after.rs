//! `load ledger`: shows what a target says is loaded, and makes it forget.

use super::error::LoadError;
use super::file::Mode;
#[cfg(feature = "kafka")]
use super::ledger::Entry;
use super::ledger::Line;
use super::names::nearest;
use super::options::LoadOptions;
#[cfg(feature = "kafka")]
use super::positions::{Partition, Position};
use super::store::Store;
use crate::cli;
use crate::cli::load::{LedgerCommand, LedgerOf};
use crate::exit::{Exit, Failure};
use crate::net::retry::RetryPolicy;
use crate::report::terminal::{Terminal, one_line, result};
use crate::report::units::counted;
use crate::run::confirm::Confirmation;
use crate::run::signals;
use crate::stop::Stop;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// How often to ask again, if the job file does not say.
const RETRY: RetryPolicy = RetryPolicy { max_retries: 3, base: Duration::from_secs(1) };
/// Slices that a question names; more are counted.
const SHOWN: usize = 10;

/// Runs `load ledger`.
pub(super) async fn run(
    command: LedgerCommand,
    global: &cli::Global,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let stop = Stop::default();
    signals::listen_quietly(&stop).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;
    match command {
        LedgerCommand::List { of } => {
            let known = Kept::look(&of, global, stop).await?;
            print(global, &known.json(), || known.text())
        }
        LedgerCommand::Forget { of, slice, yes, .. } => {
            let confirmation = Confirmation::needed(true, false, yes)?;
            Kept::look(&of, global, stop).await?.forget(&slice, confirmation, global, terminal).await
        }
    }
}

fn print(global: &cli::Global, json: &Value, text: impl FnOnce() -> String) -> Result<Exit, Failure> {
    let text = if global.json { json.to_string() } else { text() };
    result(text.trim_end()).map(|()| Exit::Ok).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot print the result: {error}")).because(error)
    })
}

/// A load's lines in the ledger of its target.
struct Kept {
    load: String,
    mode: Mode,
    store: Store,
    lines: Vec<Line>,
    /// Whether they are of partitions.
    is_of_topics: bool,
    stop: Stop,
}

/// The partitions of a load, as lines whose names say how far it is.
#[cfg(feature = "kafka")]
async fn lines_of_topics(store: &Store, load: &str, stop: &Stop) -> Result<Vec<Line>, Failure> {
    let positions = store.positions(load, stop).await.map_err(LoadError::failure)?;
    let line = |position: Position| {
        let entry = Entry {
            slice: serde_json::to_string(&position.of).unwrap_or_default(),
            digest: position.digest,
            rows: position.taken.records,
            rejected: position.taken.rejected,
            run: position.run,
            open: false,
        };
        Line {
            entry,
            name: format!("{} {}", position.of.name(), position.next),
            at: position.at,
            begun: false,
        }
    };
    Ok(positions.into_iter().map(line).collect())
}

#[cfg(feature = "kafka")]
async fn forget_topics(store: &Store, load: &str, ids: &[String], stop: &Stop) -> Result<u64, Failure> {
    let partitions: Vec<Partition> = ids.iter().filter_map(|id| serde_json::from_str(id).ok()).collect();
    store.forget_positions(load, &partitions, stop).await.map_err(LoadError::failure)
}

#[cfg(not(feature = "kafka"))]
#[allow(clippy::unused_async, reason = "in a build with Kafka it asks")]
async fn lines_of_topics(_: &Store, _: &str, _: &Stop) -> Result<Vec<Line>, Failure> {
    Err(left_out())
}

#[cfg(not(feature = "kafka"))]
#[allow(clippy::unused_async, reason = "in a build with Kafka it asks")]
async fn forget_topics(_: &Store, _: &str, _: &[String], _: &Stop) -> Result<u64, Failure> {
    Err(left_out())
}

#[cfg(not(feature = "kafka"))]
fn left_out() -> Failure {
    Failure::new(Exit::Usage, "source.kafka: this build leaves it out; build it with --features kafka")
}

impl Kept {
    async fn look(of: &LedgerOf, global: &cli::Global, stop: Stop) -> Result<Self, Failure> {
        let options = LoadOptions::of_file(&of.job, &of.param, global, false)?;
        let (known, store) = (options.job()?, options.store(RETRY)?);
        let load = known.file.load_id().to_owned();
        let lines = if known.file.kafka().is_some() {
            lines_of_topics(&store, &load, &stop).await?
        } else {
            store.lines(&load, &stop).await.map_err(LoadError::failure)?
        };
        Ok(Self {
            load,
            mode: known.file.mode(),
            store,
            lines,
            is_of_topics: known.file.kafka().is_some(),
            stop,
        })
    }

    fn json(&self) -> Value {
        let slice = |Line { entry, name, at, begun }: &Line| {
            let mut slice = json!({
                "name": name, "records": entry.rows, "rejected": entry.rejected, "run": entry.run, "time": at,
                "open": entry.open,
            });
            if *begun {
                slice["begun"] = true.into();
            }
            slice
        };
        let slices: Vec<Value> = self.lines.iter().map(slice).collect();
        json!({ "load": self.load, "target": self.store.place(), "slices": slices })
    }

    fn text(&self) -> String {
        let place = self.store.place();
        if self.lines.is_empty() {
            return format!("nothing of load {} is in the ledger of {place}", self.load);
        }
        let width = self
            .lines
            .iter()
            .map(|line| one_line(&line.name).chars().count())
            .max()
            .unwrap_or(0)
            .clamp(5, 60);
        let mut text =
            format!("{:width$}  {:>12}  {:>9}  {:19}  run\n", "slice", "records", "rejected", "time (UTC)");
        for Line { entry, name, at, begun } in &self.lines {
            let at: String = at.replace('T', " ").chars().take(19).collect();
            let open = if *begun {
                "  (only begun: the table may have a part of it)"
            } else if entry.open {
                "  (open: loaded again next time)"
            } else {
                ""
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:width$}  {:>12}  {:>9}  {at:19}  {}{open}",
                one_line(name),
                entry.rows,
                entry.rejected,
                one_line(&entry.run)
            );
        }
        let records = self.lines.iter().map(|line| line.entry.rows).sum();
        let _ = writeln!(
            text,
            "\n{}, {} of load {} in {place}",
            counted(self.lines.len() as u64, "slice"),
            counted(records, "record"),
            self.load
        );
        text
    }

    /// Whether a line has this name. That of a partition need not say how far the load is.
    fn is_named(&self, line: &Line, name: &str) -> bool {
        let of_partition = line.name.rsplit_once(' ').filter(|_| self.is_of_topics);
        line.name == name || of_partition.is_some_and(|(partition, _)| partition == name)
    }

    /// The lines of slices with these names; of all where there are no names.
    fn named(&self, names: &[String]) -> Result<Vec<&Line>, Failure> {
        if names.is_empty() {
            return Ok(self.lines.iter().collect());
        }
        let known = |name: &String| self.lines.iter().any(|line| self.is_named(line, name));
        if let Some(wrong) = names.iter().find(|name| !known(name)) {
            let there: Vec<String> = self.lines.iter().map(|line| line.name.clone()).collect();
            let hint =
                nearest(wrong, &there).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let text = format!(
                "--slice {wrong}: the ledger of load {} has no such slice{hint} (`load ledger list` shows them)",
                self.load
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        Ok(self.lines.iter().filter(|line| names.iter().any(|name| self.is_named(line, name))).collect())
    }

    async fn forget(
        &self,
        names: &[String],
        confirmation: Confirmation,
        global: &cli::Global,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let chosen = self.named(names)?;
        let place = self.store.place();
        if chosen.is_empty() {
            let nothing = || format!("nothing of load {} is in the ledger of {place}", self.load);
            return print(global, &json!({ "load": self.load, "target": place, "removed": 0 }), nothing);
        }
        let next = if self.mode == Mode::Append {
            "The records stay, and the next load adds them a SECOND TIME: mode append"
        } else {
            "The records stay, and the next load loads the slices again"
        };
        let shown: String = chosen
            .iter()
            .take(SHOWN)
            .fold(String::new(), |text, line| text + "  " + &one_line(&line.name) + "\n");
        let more = match chosen.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!("  ... and {more} more\n"),
        };
        let slices = counted(chosen.len() as u64, "slice");
        let question = format!(
            "{slices} of load {} will be removed from the ledger of {place}:\n{shown}{more}{next}.",
            self.load
        );
        let asked = {
            let terminal = terminal.clone();
            tokio::task::spawn_blocking(move || confirmation.obtain(&terminal, &question, None))
        };
        let answered = self.stop.race(asked).await.unwrap_or_else(|| {
            let text = "nothing was written: interrupted before it was confirmed";
            Ok(Err(Failure::new(Exit::NotConfirmed, text)))
        });
        answered.unwrap_or_else(|_| {
            Err(Failure::new(Exit::NotConfirmed, "nothing was written: could not ask"))
        })?;
        let ids: Vec<String> = chosen.iter().map(|line| line.entry.slice.clone()).collect();
        let removed = if self.is_of_topics {
            forget_topics(&self.store, &self.load, &ids, &self.stop).await?
        } else {
            self.store.forget(&self.load, &ids, &self.stop).await.map_err(LoadError::failure)?
        };
        let json = json!({ "load": self.load, "target": place, "removed": removed });
        print(global, &json, || {
            format!(
                "{} removed from the ledger of load {} in {place}. {next}.",
                counted(removed, "slice"),
                self.load
            )
        })
    }
}
