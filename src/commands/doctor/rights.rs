//! What the token may do for each job, as far as reading tells: whether it may write, only writing would.

use super::unreached::{Unreached, in_time};
use crate::devrev::any_object::{Members, ObjectList};
use crate::devrev::artifacts::ArtifactsLocate;
use crate::devrev::client::Client;
use crate::devrev::conversations::ConversationsList;
use crate::devrev::groups::{GroupMembersList, GroupsList};
use crate::devrev::operation::Operation;
use crate::devrev::pages::List;
use crate::devrev::rev_users::RevUsersList;
use crate::devrev::timeline::TimelineEntriesList;
use crate::report::doctor::Check;

/// Entries of a timeline that are looked at for a file.
const ENTRIES: u32 = 20;

/// What became of trying to read something.
#[derive(Debug, Clone)]
enum May {
    /// It was read.
    Read,
    /// DevRev refuses: its words.
    Not(String),
    /// Nobody knows: why.
    NotKnown(String),
}

/// Something that a job reads.
#[derive(Debug, Clone)]
struct Tried {
    what: &'static str,
    may: May,
}

/// Tries what the jobs read. `issues` is what came of reading some.
pub(super) async fn checks(client: &Client, issues: &Result<Vec<Members>, Unreached>) -> [Check; 3] {
    let works = Tried { what: "works", may: may(issues.as_ref().map(|_| ())) };
    let groups = read(client, GroupsList::of_members(false).of_at_most(1)).await;
    let members = match first(&groups) {
        Some(group) => may(read(client, GroupMembersList::of(group.id.as_str()).of_at_most(1))
            .await
            .as_ref()
            .map(|_| ())),
        None => May::NotKnown("no group was seen".to_owned()),
    };
    let of_backfill = [
        works.clone(),
        Tried { what: "groups", may: may(groups.as_ref().map(|_| ())) },
        Tried { what: "their members", may: members },
    ];
    let contacts = read(client, RevUsersList::by_email(Vec::new()).of_at_most(1)).await;
    let conversations = read(client, ConversationsList::with(Vec::new()).of_at_most(1)).await;
    let an_issue =
        issues.as_ref().ok().and_then(|works| works.first()?.get("id")?.as_str()).map(str::to_owned);
    let object = first(&conversations).map(|conversation| conversation.read.id.clone()).or(an_issue);
    let (timelines, files) = timeline(client, object).await;
    let mut of_updates =
        vec![works.clone(), Tried { what: "contacts", may: may(contacts.as_ref().map(|_| ())) }];
    for (what, endpoint) in [
        ("accounts", "accounts.list"),
        ("workspaces", "rev-orgs.list"),
        ("users", "dev-users.list"),
        ("tags", "tags.list"),
        ("parts", "parts.list"),
    ] {
        let page = read(client, ObjectList::at(endpoint, Members::new()).of_at_most(1)).await;
        of_updates.push(Tried { what, may: may(page.as_ref().map(|_| ())) });
    }
    let of_merges = [
        Tried { what: "contacts", may: may(contacts.as_ref().map(|_| ())) },
        works,
        Tried { what: "conversations", may: may(conversations.as_ref().map(|_| ())) },
        Tried { what: "timelines", may: timelines },
        Tried { what: "files", may: files },
    ];
    [
        check("backfill", "backfill-groups", "update issues", &of_backfill),
        check("merge", "merge-contacts", "merge contacts (scope rev_user:all)", &of_merges),
        check("update", "update", "update each of them", &of_updates),
    ]
}

/// A page of a list.
async fn read<L: List + Operation>(client: &Client, list: L) -> Result<Vec<L::Item>, Unreached> {
    in_time(client, client.read_only().call(&list)).await.map(|answer| L::split(answer).0)
}

fn first<T>(page: &Result<Vec<T>, Unreached>) -> Option<&T> {
    page.as_ref().ok().and_then(|items| items.first())
}

/// The timeline of an object, and a file that hangs there.
async fn timeline(client: &Client, object: Option<String>) -> (May, May) {
    let no_file = May::NotKnown("none was seen".to_owned());
    let Some(object) = object else {
        return (May::NotKnown("no work or conversation was seen".to_owned()), no_file);
    };
    let entries = read(client, TimelineEntriesList::of(object).of_at_most(ENTRIES)).await;
    let files = entries.iter().flatten().flat_map(|entry| &entry.read.artifacts);
    let file = files.map(|file| file.id.clone()).find(|id| !id.is_empty());
    let file = match file {
        // That the URL is told is enough: nothing is downloaded.
        Some(id) => {
            may(in_time(client, client.read_only().call(&ArtifactsLocate { id })).await.as_ref().map(|_| ()))
        }
        None => no_file,
    };
    (may(entries.as_ref().map(|_| ())), file)
}

fn may(read: Result<(), &Unreached>) -> May {
    match read {
        Ok(()) => May::Read,
        Err(unreached) if unreached.refused => May::Not(unreached.check.found.clone()),
        Err(unreached) => May::NotKnown(unreached.check.found.clone()),
    }
}

/// What it comes to for a job.
fn check(name: &'static str, job: &str, writes: &str, tried: &[Tried]) -> Check {
    let mut refused = Vec::new();
    let (mut may, mut not_known) = (Vec::new(), Vec::new());
    for Tried { what, may: found } in tried {
        match found {
            May::Read => may.push(*what),
            May::Not(why) => refused.push(format!("may not read {what}: {why}")),
            May::NotKnown(why) => not_known.push(format!("{what} ({why})")),
        }
    }
    let only_a_write = format!("only a write shows whether it may {writes}");
    if !refused.is_empty() {
        let todo = format!("{job} needs that: take a token of a user who may");
        return Check::warning(name, refused.join("; "), todo);
    }
    let may = if may.is_empty() { String::new() } else { format!("may read {}; ", may.join(", ")) };
    if not_known.is_empty() {
        return Check::ok(name, format!("{may}{only_a_write}"));
    }
    Check::not_checked(name, format!("{may}not known: {}; {only_a_write}", not_known.join(", ")))
}
