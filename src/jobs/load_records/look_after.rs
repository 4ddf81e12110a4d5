//! `load ledger`: shows what a target says is loaded, and makes it forget.

use super::error::LoadError;
use super::file::Mode;
use super::ledger::Line;
use super::names::nearest;
use super::options::LoadOptions;
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
    stop: Stop,
}

impl Kept {
    async fn look(of: &LedgerOf, global: &cli::Global, stop: Stop) -> Result<Self, Failure> {
        let options = LoadOptions::of_file(&of.job, &of.param, global, false)?;
        let (known, store) = (options.job()?, options.store(RETRY)?);
        let load = known.file.load_id().to_owned();
        let lines = store.lines(&load, &stop).await.map_err(LoadError::failure)?;
        Ok(Self { load, mode: known.file.mode(), store, lines, stop })
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

    /// The lines of slices with these names; of all where there are no names.
    fn named(&self, names: &[String]) -> Result<Vec<&Line>, Failure> {
        if names.is_empty() {
            return Ok(self.lines.iter().collect());
        }
        let known = |name: &String| self.lines.iter().any(|line| line.name == *name);
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
        Ok(self.lines.iter().filter(|line| names.contains(&line.name)).collect())
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
        let removed = self.store.forget(&self.load, &ids, &self.stop).await.map_err(LoadError::failure)?;
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
