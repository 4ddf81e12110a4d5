//! What a target says it has of a load: a table of its own, written in the transaction that loads a slice.

use super::slices::Slice;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The table.
pub(super) const TABLE: &str = "_devrev_batch_loads";

/// A slice that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its identity.
    pub slice: String,
    /// Of what decided what its records are.
    pub digest: String,
    /// Its records.
    pub rows: u64,
    /// The records that were not loaded.
    pub rejected: u64,
    /// The run that loaded it.
    pub run: String,
    /// Whether it ended in the future then: it is loaded again.
    pub open: bool,
}

/// The same with all else that the table has of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The slice.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its name.
    pub name: String,
    /// When it was loaded, in UTC: RFC 3339.
    pub at: String,
    /// Whether the run has only begun it, so that the target may have a part of it. None of a target with transactions is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
}

/// All slices of a load.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    entries: HashMap<String, Entry>,
    /// Its slices by their lists, by their start. Only slices of the same lists can overlap.
    by_list: OnceLock<HashMap<String, Vec<Slice>>>,
}

impl Ledger {
    /// Of these entries.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.slice.clone(), entry)).collect();
        Self { entries, by_list: OnceLock::new() }
    }

    /// What is known of a slice.
    pub(super) fn get(&self, slice: &Slice) -> Option<&Entry> {
        self.entries.get(&slice.id())
    }

    /// Why these slices cannot be loaded beside what is loaded: another digest, or other boundaries. `--reload` says that it
    /// is meant.
    pub(super) fn conflict(&self, slices: &[Slice], digest: &str) -> Option<String> {
        for slice in slices {
            if let Some(entry) = self.get(slice)
                && entry.digest != digest
            {
                return Some(format!(
                    "slice {} was loaded by run {}, when the job file said something else: the source, the transform, the \
                     rules or the target have changed since",
                    slice.name(),
                    entry.run
                ));
            }
        }
        self.overlap(slices)
    }

    /// Which of these slices overlaps one that is loaded and has other boundaries; none that is overtaken.
    pub(super) fn overlap(&self, slices: &[Slice]) -> Option<String> {
        let current = slices.iter().filter(|slice| !self.is_overtaken(slice));
        let (slice, other) = current.into_iter().find_map(|slice| Some((slice, self.overlapped(slice)?)))?;
        Some(format!(
            "slice {} overlaps {}, which is loaded: the boundaries have changed",
            slice.name(),
            Slice { zone: slice.zone, ..other.clone() }.name()
        ))
    }

    /// Whether others have loaded a part of a range of a key since it was counted. That slice alone is stale: those beside it can
    /// be loaded all the same.
    pub(super) fn is_overtaken(&self, slice: &Slice) -> bool {
        fn field(slice: &Slice) -> Option<&str> {
            slice.keys.as_ref().map(|keys| keys.field.as_str())
        }
        slice.keys.is_some() && self.overlapped(slice).is_some_and(|other| field(other) == field(slice))
    }

    /// A loaded slice with other boundaries that this one overlaps.
    fn overlapped(&self, slice: &Slice) -> Option<&Slice> {
        let by_list = self.by_list.get_or_init(|| self.by_list());
        let near = by_list.get(&list(slice)).map(Vec::as_slice).unwrap_or_default();
        // Loaded slices do not overlap each other, so the one before and those from here on are enough.
        let from = near.partition_point(|other| other.order(slice).is_lt()).saturating_sub(1);
        let other = near.iter().skip(from).take_while(|other| !other.begins_after(slice));
        other.into_iter().find(|other| slice.overlaps(other))
    }

    /// Adds entries, which may be known.
    pub(super) fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let slice = serde_json::from_str::<Slice>(&entry.slice).ok();
            let is_new = self.entries.insert(entry.slice.clone(), entry).is_none();
            if let (true, Some(slice), Some(by_list)) = (is_new, slice, self.by_list.get_mut()) {
                let of_list = by_list.entry(list(&slice)).or_default();
                let place = of_list.partition_point(|other| other.order(&slice).is_lt());
                of_list.insert(place, slice);
            }
        }
    }

    fn by_list(&self) -> HashMap<String, Vec<Slice>> {
        let mut by_list: HashMap<String, Vec<Slice>> = HashMap::new();
        for slice in self.entries.keys().filter_map(|id| serde_json::from_str::<Slice>(id).ok()) {
            by_list.entry(list(&slice)).or_default().push(slice);
        }
        for of_list in by_list.values_mut() {
            of_list.sort_by(Slice::order);
        }
        by_list
    }
}

fn list(slice: &Slice) -> String {
    Slice { start: None, end: None, keys: None, ..slice.clone() }.id()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn slice(symbol: &str, start: &str, end: &str) -> Slice {
        let day = |text: &str| format!("{text}T00:00:00Z").parse().ok();
        let each = BTreeMap::from([("symbol".to_owned(), symbol.into())]);
        Slice { start: day(start), end: day(end), each, ..Slice::whole() }
    }

    fn ledger(slices: &[Slice]) -> Ledger {
        let entry = |slice: &Slice| Entry {
            slice: slice.id(),
            digest: "d".to_owned(),
            rows: 1,
            rejected: 0,
            run: "r".to_owned(),
            open: false,
        };
        Ledger::new(slices.iter().map(entry).collect())
    }

    #[test]
    fn what_is_added_is_found_as_what_was_there() {
        let all = [
            slice("BTC", "2020-01-01", "2020-01-11"),
            slice("BTC", "2020-01-11", "2020-01-21"),
            slice("ETH", "2020-01-01", "2020-01-11"),
        ];
        for first in 0..all.len() {
            let mut known = ledger(&all[first..=first]);
            // Looked at before and after.
            assert_eq!(known.conflict(&all, "d"), None);
            known.add(ledger(&all).entries.into_values().collect());
            let over = [slice("BTC", "2020-01-10", "2020-01-12"), slice("ETH", "2020-01-02", "2020-01-03")];
            for over in over {
                assert!(known.conflict(&[over], "d").unwrap().contains("overlaps"));
            }
            assert_eq!(known.conflict(&[slice("BTC", "2020-01-21", "2020-01-22")], "d"), None);
            assert_eq!(known.by_list.get().unwrap().values().map(Vec::len).sum::<usize>(), 3);
        }
    }

    #[test]
    fn the_same_job_goes_on_and_another_is_refused() {
        let loaded = [slice("BTC", "2020-01-01", "2020-01-11"), slice("BTC", "2020-01-11", "2020-01-21")];
        let ledger = ledger(&loaded);
        assert_eq!(ledger.conflict(&loaded, "d"), None);
        assert_eq!(ledger.conflict(&[slice("BTC", "2020-01-21", "2020-01-31")], "d"), None, "the next one");
        assert_eq!(ledger.conflict(&[slice("ETH", "2020-01-05", "2020-01-31")], "d"), None, "another symbol");
        assert!(ledger.conflict(&loaded, "other").unwrap().contains("said something else"));
        for other in [
            slice("BTC", "2020-01-05", "2020-01-15"),
            slice("BTC", "2020-01-01", "2020-01-12"),
            slice("BTC", "2019-12-01", "2020-02-01"),
            slice("BTC", "2020-01-20", "2020-01-30"),
            slice("BTC", "2020-01-02", "2020-01-03"),
        ] {
            assert!(
                ledger.conflict(std::slice::from_ref(&other), "d").unwrap().contains("overlaps"),
                "{}",
                other.name()
            );
        }
    }
}
