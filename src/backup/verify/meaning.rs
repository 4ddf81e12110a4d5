//! Whether the files hold all that they should: each object its timeline, each reference its file.

use super::super::layout::{Attachment, Attachments, Counts, Metadata, RelPath, Verification};
use super::super::name;
use super::Verified;
use super::problem::Problems;
use super::read::{self, Artifact, Contact, Conversations, Messages, Object, Works};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// Judges the content of a backup whose files are those that were written.
pub(super) fn check(folder: &Path, verification: &Verification, problems: &mut Problems) -> Option<Verified> {
    let mut check =
        Check { folder, files: Files::sort(verification, problems), counts: Counts::default(), problems };
    let metadata: Option<Metadata<Contact>> = check.parse(&RelPath::METADATA);
    let works: Option<Works> = check.parse(&RelPath::TICKETS);
    let conversations: Option<Conversations> = check.parse(&RelPath::CONVERSATIONS);
    let (metadata, works, conversations) = (metadata?, works?.works, conversations?.conversations);

    check.contact(&metadata.contact);
    check.timelines(&works, &conversations);
    check.counts.tickets = works.iter().filter(|work| work.kind.as_deref() == Some("ticket")).count() as u64;
    check.counts.works = works.len() as u64;
    check.counts.conversations = conversations.len() as u64;
    let counts = check.counts;
    for ((what, told), (_, found)) in named(verification.counts).into_iter().zip(named(counts)) {
        if told != found {
            problems.add(RelPath::VERIFICATION, format!("counts {told} {what}, and there are {found}"));
        }
    }
    if metadata.expected_tickets != verification.expected_tickets {
        let (one, other) = (metadata.expected_tickets, verification.expected_tickets);
        problems.add(RelPath::METADATA, format!("expects {one} tickets, verification.json {other}"));
    }
    let contact = metadata.contact;
    Some(Verified {
        path: folder.to_owned(),
        contact_id: contact.id,
        display_id: contact.display_id,
        email: contact.email,
        external_ref: contact.external_ref,
        run: metadata.run,
        at: metadata.at,
        counts,
        expected_tickets: verification.expected_tickets,
        work_ids: works.into_iter().map(|work| work.id).collect(),
        bytes: verification.files.iter().map(|file| file.bytes).sum(),
    })
}

fn named(counts: Counts) -> [(&'static str, u64); 7] {
    let Counts { tickets, works, conversations, entries, attachments, bytes, missing } = counts;
    [
        ("tickets", tickets),
        ("works", works),
        ("conversations", conversations),
        ("timeline entries", entries),
        ("attachments", attachments),
        ("bytes of attachments", bytes),
        ("missing attachments", missing),
    ]
}

/// The listed files by what they are for.
struct Files<'v> {
    /// Folders with a `messages.json`, in `conversations/`.
    timelines: Vec<&'v str>,
    /// Attachments with their bytes, by the folder whose `attachments/` they are in.
    attachments: BTreeMap<&'v str, BTreeMap<&'v str, u64>>,
    /// Whether there is a `contact/attachments.json`.
    contact: bool,
}

impl<'v> Files<'v> {
    fn sort(verification: &'v Verification, problems: &mut Problems) -> Self {
        let mut files = Self { timelines: Vec::new(), attachments: BTreeMap::new(), contact: false };
        let top = [RelPath::METADATA, RelPath::TICKETS, RelPath::CONVERSATIONS];
        for entry in &verification.files {
            let path = entry.path.as_str();
            let parts: Vec<&str> = path.split('/').collect();
            match parts.as_slice() {
                ["conversations", folder, "messages.json"] => files.timelines.push(folder),
                ["conversations", folder, "attachments", file] => {
                    files.attachments.entry(folder).or_default().insert(file, entry.bytes);
                }
                // The contact's own: no folder of a timeline has an empty name.
                ["contact", "attachments", file] => {
                    files.attachments.entry("").or_default().insert(file, entry.bytes);
                }
                ["contact", "attachments.json"] => files.contact = true,
                _ if top.iter().any(|known| known.as_str() == path) => {}
                _ => problems.add(path, "has no place in a backup"),
            }
        }
        files
    }
}

struct Check<'v, 'p> {
    folder: &'v Path,
    files: Files<'v>,
    counts: Counts,
    problems: &'p mut Problems,
}

impl Check<'_, '_> {
    fn parse<T: DeserializeOwned>(&mut self, path: &RelPath) -> Option<T> {
        let parsed = read::json(self.folder, path);
        parsed.map_err(|problem| self.problems.add(path, problem)).ok()
    }

    fn contact(&mut self, contact: &Contact) {
        let index = if self.files.contact {
            let Some(index) = self.parse::<Attachments>(&RelPath::CONTACT_ATTACHMENTS) else { return };
            index.attachments
        } else {
            Vec::new()
        };
        let wanted: BTreeSet<&str> = contact.artifacts.iter().flatten().map(Artifact::id).collect();
        self.attachments(&RelPath::CONTACT_ATTACHMENTS, "", &index, &wanted);
    }

    /// Each work and each conversation has a timeline, and each timeline is of one of them.
    fn timelines(&mut self, works: &[Object], conversations: &[Object]) {
        let mut objects: BTreeMap<&str, &Object> = BTreeMap::new();
        let all = works.iter().map(|work| (RelPath::TICKETS, work));
        for (path, object) in all.chain(conversations.iter().map(|object| (RelPath::CONVERSATIONS, object))) {
            if objects.insert(&object.id, object).is_some() {
                self.problems.add(path, format!("has `{}` twice", object.id));
            }
        }
        for folder in std::mem::take(&mut self.files.timelines) {
            let path = RelPath::messages(folder);
            let Some(messages) = self.parse::<Messages>(&path) else { continue };
            match objects.remove(messages.object.as_str()) {
                Some(object) => self.timeline(&path, folder, object, &messages),
                None => self.problems.add(
                    path,
                    format!("is of `{}`, which is not in the backup, or has another", messages.object),
                ),
            }
        }
        for object in objects.values() {
            let path = RelPath::messages(&object.display_id);
            self.problems.add(path, format!("is missing: `{}` has no messages.json", object.id));
        }
        for (folder, files) in std::mem::take(&mut self.files.attachments) {
            // Where the contact's own are left, its index has its problem.
            if folder.is_empty() {
                continue;
            }
            for file in files.keys() {
                self.problems.add(RelPath::attachment(folder, file), "is in no index of attachments");
            }
        }
    }

    fn timeline(&mut self, path: &RelPath, folder: &str, object: &Object, messages: &Messages) {
        if messages.display_id != object.display_id {
            let (one, other) = (&messages.display_id, &object.display_id);
            self.problems.add(path, format!("has display ID `{one}`, and its object `{other}`"));
        } else if !name::is_claimed(folder, &object.display_id) {
            self.problems.add(path, format!("is in the folder of another than `{}`", object.display_id));
        }
        self.counts.entries += messages.entries.count;
        let mut wanted: BTreeSet<&str> = messages.entries.artifacts.iter().map(String::as_str).collect();
        wanted.extend(object.artifacts.iter().flatten().map(Artifact::id));
        self.attachments(path, folder, &messages.attachments, &wanted);
    }

    /// Holds an index against the files of its folder, and against the artifacts that are referred to.
    fn attachments(&mut self, path: &RelPath, folder: &str, index: &[Attachment], wanted: &BTreeSet<&str>) {
        let mut files = self.files.attachments.remove(folder).unwrap_or_default();
        let mut indexed = HashSet::new();
        self.counts.add(index);
        for attachment in index {
            let Attachment { artifact, file, size, bytes, missing, .. } = attachment;
            if !indexed.insert(artifact.as_str()) {
                self.problems.add(path, format!("has attachment `{artifact}` twice"));
            }
            if missing.is_some() {
                if *bytes > 0 || !file.is_empty() {
                    self.problems
                        .add(path, format!("says that `{artifact}` is missing, and has a file for it"));
                }
                continue;
            }
            match files.remove(file.as_str()) {
                None => {
                    self.problems.add(path, format!("has `{file}`, which is not in attachments/ (again)"));
                }
                Some(found) if found != *bytes => {
                    self.problems
                        .add(path, format!("says that `{file}` has {bytes} bytes, and it has {found}"));
                }
                Some(_) => {}
            }
            if size.is_some_and(|size| size != *bytes) {
                let size = size.unwrap_or_default();
                self.problems.add(path, format!("`{file}` has {bytes} bytes here, and {size} by DevRev"));
            }
        }
        for artifact in wanted.difference(&indexed.iter().copied().collect()) {
            self.problems.add(path, format!("lacks attachment `{artifact}`"));
        }
        for file in files.keys() {
            self.problems.add(path, format!("does not mention `{file}`, which is in attachments/"));
        }
    }
}
