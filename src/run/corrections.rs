//! Settings that `resume` and `apply` take again: where that is safe they replace what the run began with, and say so;
//! where it is not they are refused, so that nobody believes in a setting that the run does not go by.

use crate::cli;
use crate::cli::choices::word;
use crate::exit::{Exit, Failure};
use crate::journal::atomic;
use crate::journal::manifest::Manifest;
use crate::journal::replay::Replay;
use crate::journal::run_dir::RunDir;
use crate::settings::Settings;
use clap::ValueEnum;
use serde_json::Value;

/// What a command was given besides the run's name.
#[derive(Debug)]
pub(crate) struct Corrections<'a> {
    /// Its flags.
    pub flags: &'a cli::batch::Corrections,
    /// Its settings.
    pub settings: &'a Settings,
    /// `run.json` of the run that they are for: the dry run, for `apply`.
    pub manifest: &'a Manifest,
    /// What it has done; `None` if its plan is to be carried out.
    pub replay: Option<&'a Replay>,
}

impl Corrections<'_> {
    /// Refuses flags that this job does not have.
    pub(crate) fn only(&self, flags: &[&str]) -> Result<(), Failure> {
        let Some(flag) = self.typed().find(|flag| !flags.contains(flag)) else { return Ok(()) };
        Err(Self::usage(format!(
            "--{flag}: run {} is of `{}`, which has no such option",
            self.id(),
            self.manifest.command
        )))
    }

    /// Refuses what would have made another plan; backups are no part of it.
    pub(crate) fn keep_plan(&self) -> Result<(), Failure> {
        let Some(flag) = self.typed().find(|flag| *flag != "on-missing-attachment") else { return Ok(()) };
        self.decides(&format!("--{flag}"))
    }

    /// The value that a setting has now, if it was given, is not the one that the run began with, and does not come
    /// from a weaker place.
    pub(crate) fn given(&self, name: &str) -> Option<&Value> {
        let now = self.settings.record.get(name)?;
        let then = &self.manifest.settings["resolved"][name];
        let is_other = now["value"] != then["value"] && strength(now) > 0 && strength(now) >= strength(then);
        is_other.then_some(now)
    }

    /// Fails where a plan depends on a setting: it was made with one value.
    pub(crate) fn decides(&self, what: &str) -> Result<(), Failure> {
        if self.replay.is_none() || self.manifest.dry_run {
            let text = format!(
                "{what}: run {} planned with another value; make a new plan with this one",
                self.id()
            );
            return Err(Self::usage(text));
        }
        Ok(())
    }

    /// A refusal.
    pub(crate) fn usage(text: String) -> Failure {
        Failure::new(Exit::Usage, text)
    }

    /// The run's ID.
    pub(crate) fn id(&self) -> &str {
        &self.manifest.id
    }

    fn typed(&self) -> impl Iterator<Item = &'static str> {
        let cli::batch::Corrections { on_ambiguous, group_map, on_count_mismatch, on_missing_attachment } =
            self.flags;
        let typed = [
            ("on-ambiguous", on_ambiguous.is_some()),
            ("group-map", group_map.is_some()),
            ("on-count-mismatch", on_count_mismatch.is_some()),
            ("on-missing-attachment", on_missing_attachment.is_some()),
        ];
        typed.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// What was replaced.
#[derive(Debug, Default)]
pub(crate) struct Corrected {
    /// Settings, with what `run.json` says of them from now on.
    pub settings: Vec<(&'static str, Value)>,
    /// Files of the run's folder that are replaced once the operator has agreed: their names and contents.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// All of it in words.
    pub said: Vec<String>,
}

impl Corrected {
    /// Replaces the files in the run's folder.
    pub(crate) fn keep_files(&self, run: &RunDir) -> Result<(), Failure> {
        self.files.iter().try_for_each(|(name, content)| keep_file(run, name, content))
    }

    /// Replaces an option for the rows that are left, if another one was given.
    pub(crate) fn choose<T: ValueEnum + PartialEq>(&mut self, flag: &str, option: &mut T, given: Option<T>) {
        if let Some(given) = given.filter(|given| given != option) {
            let (now, then) = (word(&given), word(option));
            self.said.push(format!("--{flag} {now} replaces {then} for the rows that are left"));
            *option = given;
        }
    }

    /// Replaces a setting; `shown` is what it is from now on, `then` what it was.
    pub(crate) fn set(&mut self, name: &'static str, entry: &Value, shown: &str, then: &str) {
        let from = entry["from"].as_str().unwrap_or_default();
        self.said.push(format!("{shown} ({from}) replaces {then} for the rows that are left"));
        self.settings.push((name, entry.clone()));
    }
}

/// Keeps a file in a run's folder: `resume` goes by it.
pub(crate) fn keep_file(run: &RunDir, name: &str, content: &[u8]) -> Result<(), Failure> {
    let path = run.path().join(name);
    atomic::replace(&path, |file| file.write_all(content)).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())).because(error)
    })
}

/// A flag goes before the environment, that before the `.env` file, and that before the default.
fn strength(entry: &Value) -> u8 {
    match entry["from"].as_str() {
        None | Some("default") => 0,
        Some(from) if from.starts_with("--") => 3,
        Some(from) if from.ends_with(" in the environment") => 2,
        Some(_) => 1,
    }
}
