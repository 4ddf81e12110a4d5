//! A small backup for the tests, made as a job makes it.

use super::draft::Draft;
use super::layout::{Attachment, Attachments, Counts, Label, Metadata, RelPath};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) const RUN: &str = "20261122-034500-merge-contacts-7f3a";

pub(super) fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_319_100, 0).unwrap()
}

pub(super) fn label() -> Label<'static> {
    Label { email: "ann@example.com", display_id: "REVU-7", at: at() }
}

pub(super) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// What goes into a backup; tests change it to make wrong ones.
pub(super) struct Sample {
    pub(super) contact: Value,
    pub(super) works: Value,
    pub(super) conversations: Value,
    pub(super) timelines: Vec<Timeline>,
    pub(super) own: Vec<(Attachment, &'static str)>,
    pub(super) counts: Counts,
    pub(super) expected_tickets: u64,
}

/// A timeline to be written.
pub(super) struct Timeline {
    pub(super) folder: &'static str,
    pub(super) object: &'static str,
    pub(super) display_id: &'static str,
    pub(super) entries: Vec<Value>,
    /// With their content.
    pub(super) files: Vec<(Attachment, &'static str)>,
}

impl Timeline {
    pub(super) fn new(object: &'static str, display_id: &'static str) -> Self {
        Self { folder: display_id, object, display_id, entries: Vec::new(), files: Vec::new() }
    }
}

pub(super) fn attachment(artifact: &str, file: &str, size: Option<u64>, bytes: u64) -> Attachment {
    Attachment { artifact: artifact.into(), name: file.into(), file: file.into(), size, bytes, missing: None }
}

/// An attachment that DevRev has no longer.
pub(super) fn missing(artifact: &str) -> Attachment {
    Attachment { missing: Some("404 Not Found".into()), ..attachment(artifact, "", Some(3), 0) }
}

impl Default for Sample {
    fn default() -> Self {
        let first = attachment("A-1", "a.txt", Some(3), 3);
        Self {
            contact: json!({"id": "don:7", "display_id": "REVU-7", "email": "ann@example.com",
                "external_ref": "u_7", "artifacts": [{"id": "A-3"}]}),
            works: json!([
                {"id": "don:t1", "display_id": "TKT-1", "type": "ticket", "artifacts": [{"id": "A-2"}]},
                {"id": "don:i1", "display_id": "ISS-1", "type": "issue"},
            ]),
            conversations: json!([{"id": "don:c1", "display_id": "CONV-1"}]),
            timelines: vec![
                Timeline {
                    entries: vec![
                        json!({"id": "e1", "body": "hi", "artifacts": [{"id": "A-1"}]}),
                        json!({"id": "e2"}),
                    ],
                    files: vec![(first, "abc"), (attachment("A-2", "a~2.txt", None, 2), "de")],
                    ..Timeline::new("don:t1", "TKT-1")
                },
                Timeline::new("don:i1", "ISS-1"),
                Timeline {
                    entries: vec![json!({"id": "e3", "artifacts": null})],
                    ..Timeline::new("don:c1", "CONV-1")
                },
            ],
            own: vec![(attachment("A-3", "me.png", Some(1), 1), "x")],
            counts: Counts {
                tickets: 1,
                works: 2,
                conversations: 1,
                entries: 3,
                attachments: 3,
                bytes: 6,
                missing: 0,
            },
            expected_tickets: 1,
        }
    }
}

impl Sample {
    pub(super) fn draft(&self, root: &Path) -> Draft {
        let mut draft = Draft::begin(root, RUN, &label()).unwrap();
        let metadata =
            Metadata { contact: &self.contact, run: RUN.to_owned(), at: at(), expected_tickets: 1 };
        draft.write_json(&RelPath::METADATA, &metadata).unwrap();
        draft.write_json(&RelPath::TICKETS, &json!({"works": self.works})).unwrap();
        draft.write_json(&RelPath::CONVERSATIONS, &json!({"conversations": self.conversations})).unwrap();
        for Timeline { folder, object, display_id, entries, files } in &self.timelines {
            let mut messages = draft.messages(folder, object, display_id).unwrap();
            for entry in entries {
                messages.entry(&raw(entry)).unwrap();
            }
            assert_eq!(messages.entries(), entries.len() as u64);
            for (attachment, content) in files.iter().filter(|(attachment, _)| !attachment.file.is_empty()) {
                write(&mut draft, &RelPath::attachment(folder, &attachment.file), content);
            }
            let index: Vec<_> = files.iter().map(|(attachment, _)| attachment.clone()).collect();
            draft.add(messages.finish(&index).unwrap());
        }
        for (attachment, content) in self.own.iter().filter(|(attachment, _)| !attachment.file.is_empty()) {
            write(&mut draft, &RelPath::contact_attachment(&attachment.file), content);
        }
        let attachments: Vec<_> = self.own.iter().map(|(attachment, _)| attachment.clone()).collect();
        if !attachments.is_empty() {
            draft.write_json(&RelPath::CONTACT_ATTACHMENTS, &Attachments { attachments }).unwrap();
        }
        draft
    }

    pub(super) fn make(&self, root: &Path) -> PathBuf {
        self.draft(root).finish(self.counts, self.expected_tickets).unwrap()
    }
}

pub(super) fn write(draft: &mut Draft, path: &RelPath, content: &str) {
    let mut file = draft.file(path).unwrap();
    file.write(content.as_bytes()).unwrap();
    draft.add(file.finish().unwrap());
}

/// Every file below a folder.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
