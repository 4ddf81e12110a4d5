//! How far changes of several steps have come that have no result yet.

use std::collections::HashMap;

/// What is said of a step, in the order in which pairs come to them.
const WORDS: [&str; 7] = [
    "backed up",
    "sent",
    "waiting to settle",
    "being checked",
    "being put back",
    "being created",
    "getting their works back",
];

/// How much of a change is made by then, in calls.
const MADE: [f64; WORDS.len()] = [0.4, 0.45, 0.5, 0.6, 0.1, 0.2, 0.4];

/// The place in [`WORDS`] of a step by its name in the journal; `None` for one that says nothing of its own.
fn word_of(step: &str) -> Option<usize> {
    Some(match step {
        // Of a merge.
        "backed-up" | "verified" | "not-taken" => 0,
        "merging" => 1,
        "acknowledged" | "disproven" => 2,
        "proven" | "ref-set" | "checked" => 3,
        // Of a merge that is undone.
        "ref-put-back" => 4,
        "creating" | "not-created" => 5,
        "created" | "works" => 6,
        _ => return None,
    })
}

/// Counts pairs by the last step that was recorded of them.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(HashMap<u64, usize>);

impl UnderWay {
    /// A step of this row's change is recorded.
    pub(crate) fn step(&mut self, row: u64, step: &str) {
        if let Some(word) = word_of(step) {
            self.0.insert(row, word);
        }
    }

    /// Those of these rows, each with its last step.
    pub(crate) fn of(rows: &[(u64, String)]) -> Self {
        let mut pairs = Self::default();
        for (row, step) in rows {
            pairs.step(*row, step);
        }
        pairs
    }

    /// The row has its result, or is open again.
    pub(crate) fn ended(&mut self, row: u64) {
        self.0.remove(&row);
    }

    /// How many changes their parts come to.
    pub(crate) fn credit(&self) -> f64 {
        self.0.values().filter_map(|word| MADE.get(*word)).sum()
    }

    /// `pairs: 5 backed up, 1 sent`; `None` while there is none.
    pub(crate) fn text(&self) -> Option<String> {
        let mut counts = [0_u64; WORDS.len()];
        for word in self.0.values() {
            if let Some(count) = counts.get_mut(*word) {
                *count += 1;
            }
        }
        let counted = counts.into_iter().zip(WORDS).filter(|(count, _)| *count > 0);
        let counted: Vec<_> = counted.map(|(count, word)| format!("{count} {word}")).collect();
        (!counted.is_empty()).then(|| format!("pairs: {}", counted.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_where_they_are() {
        let mut pairs = UnderWay::default();
        assert_eq!(pairs.text(), None);
        for (row, step) in [
            (1, "backed-up"),
            (3, "backed-up"),
            (5, "verified"),
            (3, "merging"),
            (5, "merging"),
            (5, "acknowledged"),
            (7, "creating"),
            (9, "a-step-of-a-later-version"),
        ] {
            pairs.step(row, step);
        }
        assert_eq!(pairs.text().unwrap(), "pairs: 1 backed up, 1 sent, 1 waiting to settle, 1 being created");
        for row in [1, 3, 5, 7] {
            pairs.ended(row);
        }
        assert_eq!(pairs.text(), None);
    }

    #[test]
    fn every_step_of_a_job_has_its_words() {
        use crate::jobs::{merge_contacts::change, undo_merge::steps};
        // The error names every step that there is.
        let wrong = r#"{"step": "?"}"#;
        let merge = serde_json::from_str::<change::What>(wrong).unwrap_err().to_string();
        let undo = serde_json::from_str::<steps::What>(wrong).unwrap_err().to_string();
        let names: Vec<_> =
            [&merge, &undo].iter().flat_map(|error| error.split('`').skip(3).step_by(2)).collect();
        assert!(
            names.len() >= 14 && names.contains(&"backed-up") && names.contains(&"creating"),
            "{names:?}"
        );
        for name in names {
            assert!(word_of(name).is_some(), "{name}");
        }
    }
}
