//! What hangs on contacts: works and conversations, read for many contacts at once.

use crate::devrev::conversations::{Conversation, ConversationsList};
use crate::devrev::ids::Key;
use crate::devrev::pages::{List, Pages};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::contact_key;
use crate::devrev::users::UserSummary;
use crate::devrev::whole::Whole;
use crate::devrev::works::{OwnedWork, Role, WorksOf};
use crate::net::error::{ApiError, ErrorKind};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Users in one filter.
const USERS: usize = 100;

/// What hangs on one contact, each thing once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Belongings {
    /// Every work that it owns, created or reported.
    pub works: Vec<Arc<Whole<OwnedWork>>>,
    /// Every conversation that it takes part in.
    pub conversations: Vec<Arc<Whole<Conversation>>>,
}

impl Belongings {
    /// How many of the works are tickets.
    pub(crate) fn tickets(&self) -> u64 {
        self.works.iter().filter(|work| work.read.is_ticket()).count() as u64
    }

    /// The IDs of all works.
    pub(crate) fn work_ids(&self) -> HashSet<&str> {
        self.works.iter().map(|work| work.read.id.as_str()).collect()
    }
}

/// Reads the works of contacts, given by their IDs: three calls for up to a hundred contacts, and one more for
/// every further page. The answer has every contact that was asked for.
pub(crate) async fn works(
    client: &ReadOnly,
    contacts: &[String],
) -> Result<HashMap<Key, Vec<Arc<Whole<OwnedWork>>>>, ApiError> {
    works_as(client, contacts, &Role::ALL).await
}

/// The same for works that they stand to in one of these roles.
pub(crate) async fn works_as(
    client: &ReadOnly,
    contacts: &[String],
    roles: &[Role],
) -> Result<HashMap<Key, Vec<Arc<Whole<OwnedWork>>>>, ApiError> {
    let mut found: HashMap<Key, Vec<Arc<Whole<OwnedWork>>>> = HashMap::new();
    let mut known: HashSet<(Key, String)> = HashSet::new();
    // A work comes once in each role: it is kept once.
    let mut kept: HashMap<String, Arc<Whole<OwnedWork>>> = HashMap::new();
    for id in contacts {
        found.entry(key_of(id)?).or_default();
    }
    for role in roles.iter().copied() {
        let list = |users| WorksOf::users(role, users);
        let users_of = |work: &Whole<OwnedWork>| keys(work.read.users_as(role));
        of_users(client, contacts, &list, &users_of, &mut |work: Whole<OwnedWork>, users| {
            let work = kept.entry(work.read.id.clone()).or_insert_with(|| Arc::new(work));
            for user in users {
                if known.insert((user.clone(), work.read.id.clone()))
                    && let Some(works) = found.get_mut(user)
                {
                    works.push(Arc::clone(work));
                }
            }
        })
        .await?;
    }
    Ok(found)
}

/// Reads works and conversations of contacts.
pub(crate) async fn all(
    client: &ReadOnly,
    contacts: &[String],
) -> Result<HashMap<Key, Belongings>, ApiError> {
    let works = works(client, contacts).await?;
    let mut found: HashMap<Key, Belongings> = works
        .into_iter()
        .map(|(key, works)| (key, Belongings { works, conversations: Vec::new() }))
        .collect();
    let mut known: HashSet<(Key, String)> = HashSet::new();
    let users_of = |conversation: &Whole<Conversation>| keys(&conversation.read.members);
    of_users(client, contacts, &ConversationsList::with, &users_of, &mut |conversation, users| {
        let conversation = Arc::new(conversation);
        for user in users {
            if known.insert((user.clone(), conversation.read.id.clone()))
                && let Some(belongings) = found.get_mut(user)
            {
                belongings.conversations.push(Arc::clone(&conversation));
            }
        }
    })
    .await?;
    Ok(found)
}

/// Reads a list for many users at once, and hands over each item with those of the users that it is of.
///
/// An item that names none of them, or a list that is refused, makes the same be asked for each user alone:
/// then it is the question that says whose the items are.
async fn of_users<O, T>(
    client: &ReadOnly,
    users: &[String],
    list: &(dyn Fn(Vec<String>) -> O + Sync),
    users_of: &(dyn Fn(&T) -> HashSet<Key> + Sync),
    take: &mut (dyn FnMut(T, &[Key]) + Send),
) -> Result<(), ApiError>
where
    O: List<Item = T>,
    T: Send,
{
    for some in users.chunks(USERS) {
        let wanted = some.iter().map(|id| key_of(id)).collect::<Result<HashSet<Key>, _>>()?;
        let mut together = Vec::new();
        match pages(client, list(some.to_vec()), &mut together).await {
            Ok(()) => {}
            Err(error) if some.len() > 1 && is_refusal(&error) => {
                tracing::debug!("read for each contact alone: {error}");
                alone(client, some, list, take).await?;
                continue;
            }
            Err(error) => return Err(error),
        }
        let whose = |item: &T| -> Vec<Key> {
            users_of(item).into_iter().filter(|user| wanted.contains(user)).collect()
        };
        if let [one] = some {
            let key = key_of(one)?;
            for item in together {
                take(item, std::slice::from_ref(&key));
            }
        } else if together.iter().any(|item| whose(item).is_empty()) {
            alone(client, some, list, take).await?;
        } else {
            for item in together {
                let whose = whose(&item);
                take(item, &whose);
            }
        }
    }
    Ok(())
}

async fn alone<O, T>(
    client: &ReadOnly,
    users: &[String],
    list: &(dyn Fn(Vec<String>) -> O + Sync),
    take: &mut (dyn FnMut(T, &[Key]) + Send),
) -> Result<(), ApiError>
where
    O: List<Item = T>,
    T: Send,
{
    for user in users {
        let key = key_of(user)?;
        let mut items = Vec::new();
        pages(client, list(vec![user.clone()]), &mut items).await?;
        for item in items {
            take(item, std::slice::from_ref(&key));
        }
    }
    Ok(())
}

async fn pages<O: List>(client: &ReadOnly, first: O, items: &mut Vec<O::Item>) -> Result<(), ApiError> {
    let mut pages = Pages::new(first);
    while let Some(page) = pages.next(client).await? {
        items.extend(page);
    }
    Ok(())
}

fn is_refusal(error: &ApiError) -> bool {
    matches!(error.kind, ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Forbidden)
}

fn keys(users: &[UserSummary]) -> HashSet<Key> {
    users.iter().filter_map(UserSummary::key).collect()
}

fn key_of(id: &str) -> Result<Key, ApiError> {
    contact_key(id).ok_or_else(|| ApiError::of_answer(format!("`{id}` is not a contact's ID")))
}
