//! What a run leaves in its folder.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The columns that the result files add.
const ADDED: usize = 4;

/// A row of a result file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultRow {
    /// The row's own fields.
    pub(crate) fields: Vec<Vec<u8>>,
    pub(crate) row: u64,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

/// A run's folder.
#[derive(Debug, Clone)]
pub(crate) struct Run(pub(crate) PathBuf);

impl Run {
    /// The run's ID.
    pub(crate) fn id(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }

    /// A file of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// `run.json`.
    pub(crate) fn manifest(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file("run.json")).unwrap()).unwrap()
    }

    /// The lines of a file of JSON lines.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The keys of the issues that the journal has an intent for. A torn last line is passed over.
    pub(crate) fn intents(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file("journal.jsonl")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["type"] == "intent")
            .map(|line| line["key"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The rows of a result file.
    pub(crate) fn results(&self, name: &str) -> Vec<ResultRow> {
        read_results(&self.file(name))
    }

    /// The rows of all result files by number. Fails where a row is in more than one.
    #[track_caller]
    pub(crate) fn all_results(&self) -> BTreeMap<u64, ResultRow> {
        let mut all = BTreeMap::new();
        for name in ["success.csv", "skipped.csv", "failed.csv"] {
            let rows = self.results(name);
            assert!(rows.is_sorted_by(|a, b| a.row < b.row), "{name} is not in the order of the input");
            for row in rows {
                let before = all.insert(row.row, row);
                assert!(before.is_none(), "in two files: {before:?}");
            }
        }
        all
    }

    /// Wants every row of the input in exactly one result file, and as many in `run.json`.
    #[track_caller]
    pub(crate) fn assert_complete(&self, rows: u64) -> BTreeMap<u64, ResultRow> {
        let all = self.all_results();
        let numbers: Vec<u64> = all.keys().copied().collect();
        assert_eq!(numbers, (1..=rows).collect::<Vec<_>>());
        let counts = self.manifest()["counts"].clone();
        let counted: u64 = counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(counted, rows, "{counts}");
        all
    }
}

/// Reads a result file.
pub(crate) fn read_results(path: &Path) -> Vec<ResultRow> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).unwrap();
    let records: Vec<_> = reader.byte_records().map(Result::unwrap).collect();
    let names: Vec<&[u8]> = records[0].iter().collect();
    let width = names.len() - ADDED;
    assert_eq!(names[width..], [&b"_row"[..], b"_status", b"_reason", b"_attempts"]);
    let row = |record: &csv::ByteRecord| {
        // A ragged record stays ragged.
        let width = record.len() - ADDED;
        let text = |place: usize| String::from_utf8(record[width + place].to_vec()).unwrap();
        ResultRow {
            fields: record.iter().take(width).map(<[u8]>::to_vec).collect(),
            row: text(0).parse().unwrap(),
            status: text(1),
            reason: text(2),
            attempts: text(3).parse().unwrap(),
        }
    };
    records[1..].iter().map(row).collect()
}
