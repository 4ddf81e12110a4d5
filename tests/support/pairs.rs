//! What a run's journal says of each pair.

use super::run::Run;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The lines about one pair, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journalled {
    /// The rows: the one that the lines stand under, and the other.
    pub(crate) rows: (u64, u64),
    /// The state of the last outcome, unless an intent came after it.
    pub(crate) state: Option<String>,
    /// The reason of that outcome.
    pub(crate) reason: Option<String>,
    /// The change of the last intent.
    pub(crate) change: Value,
    /// Every step that was ever recorded.
    pub(crate) steps: Vec<Value>,
}

impl Journalled {
    /// The steps' names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.steps.iter().map(|step| step["step"].as_str().unwrap()).collect()
    }

    /// Steps of this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|step| **step == name).count()
    }

    /// The backups, of the primary and of the secondary, that each sending rests on.
    pub(crate) fn backups_of_sendings(&self) -> Vec<Option<[PathBuf; 2]>> {
        let (mut last, mut verified, mut found) = (None, false, Vec::new());
        for step in &self.steps {
            match step["step"].as_str().unwrap() {
                "backed-up" => {
                    let path = |side: &str| PathBuf::from(step[side].as_str().unwrap());
                    (last, verified) = (Some([path("primary"), path("secondary")]), false);
                }
                "verified" => verified = true,
                "merging" => found.push(last.clone().filter(|_| verified)),
                _ => {}
            }
        }
        found
    }
}

impl Run {
    /// What the journal says of pairs, by address. A torn last line is passed over.
    pub(crate) fn pairs(&self) -> BTreeMap<String, Journalled> {
        let text = std::fs::read(self.file("journal.jsonl")).unwrap_or_default();
        let mut emails: BTreeMap<u64, String> = BTreeMap::new();
        let mut pairs: BTreeMap<String, Journalled> = BTreeMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let Some(also) = line["also"].as_u64() else { continue };
            let row = line["row"].as_u64().unwrap();
            if let Some(key) = line["key"].as_str() {
                emails.insert(row, key.to_owned());
            }
            let pair = pairs.entry(emails[&row].clone()).or_default();
            pair.rows = (row, also);
            match line["type"].as_str().unwrap() {
                "intent" => {
                    (pair.state, pair.reason) = (None, None);
                    pair.change = line["change"].clone();
                }
                "step" => pair.steps.push(line["data"].clone()),
                "outcome" => {
                    pair.state = line["state"].as_str().map(str::to_owned);
                    pair.reason = line["reason"].as_str().map(str::to_owned);
                }
                _ => {}
            }
        }
        pairs
    }
}
