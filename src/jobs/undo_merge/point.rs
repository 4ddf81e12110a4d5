//! Works that named the secondary name it again: in the place of the primary, or beside it where it was so.

use super::before::names;
use super::change::{Named, Work};
use super::steps::What;
use super::steps::{Left, NewContact};
use super::undoer::{Track, Undoer};
use crate::devrev::ids::{Key, ObjectType};
use crate::devrev::operation::Found;
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::contact_key;
use crate::devrev::users::UserSummary;
use crate::devrev::work_users::{UserSet, WorkUsersGet, WorkUsersUpdate};
use crate::devrev::works::{OwnedWork, Role};
use crate::engine::job::Applied;
use crate::exit::Failure;
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::net::error::{ApiError, Effect, ErrorKind};
use std::time::Duration;

/// How old a look at a work may be when it is changed.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How often a work is read because its write had to wait for longer than that, or was not seen to take.
const MOST_READS: u32 = 5;

/// The contacts between whom works are shared out.
#[derive(Debug, Clone)]
pub(crate) struct Whose {
    /// The contact that was kept.
    pub primary: Option<Key>,
    /// The contact in the place of the secondary, once there is one.
    pub new: Option<NewContact>,
}

/// How a work stands.
enum Next {
    /// It is to be changed so.
    Update(WorkUsersUpdate),
    /// It names whom it should.
    Right,
}

/// How a work ended.
enum End {
    Pointed,
    /// In these roles it was changed since the merge.
    Left(Vec<Left>),
    Refused(Left),
}

impl Whose {
    fn is_right(&self, users: &[UserSummary]) -> bool {
        let new = self.new.as_ref().and_then(|new| contact_key(&new.id));
        names(users, new.as_ref())
    }

    /// Whether a work names other contacts beside the primary, where the new one is to be named.
    fn is_shared(&self, work: &Work, now: &OwnedWork) -> bool {
        let is_other = |user: &UserSummary| {
            let key = user.key();
            key != self.primary && key.is_some_and(|key| key.object() == ObjectType::RevUser)
        };
        work.roles.iter().any(|named| now.users_as(named.role).iter().any(is_other))
    }

    /// The roles in which a work is no longer as the merge left it.
    pub(crate) fn changed(&self, work: &Work, now: &OwnedWork) -> Vec<Left> {
        let is_changed = |named: &&Named| {
            let users = now.users_as(named.role);
            !names(users, self.primary.as_ref()) && !self.is_right(users)
        };
        let left = |named: &Named| {
            let member = member(named.role);
            Left { what: work.display_id.clone(), why: format!("its {member} no longer names the primary") }
        };
        work.roles.iter().filter(is_changed).map(left).collect()
    }

    /// What is to be sent for a work to name the new contact, where it still names the primary.
    fn next(&self, work: &Work, now: &OwnedWork) -> Next {
        let Some(new) = &self.new else { return Next::Right };
        let (id, kind) = (work.id.clone(), work.kind.clone());
        let mut update = WorkUsersUpdate { id, kind, reported_by: None, owned_by: None };
        for named in &work.roles {
            let users = now.users_as(named.role);
            if self.is_right(users) || !names(users, self.primary.as_ref()) {
                continue;
            }
            let mut set = Vec::with_capacity(users.len() + 1);
            for user in users {
                let is_primary = user.key() == self.primary;
                if !is_primary || named.beside_primary {
                    set.push(user.id.clone());
                }
                if is_primary {
                    set.push(new.id.clone());
                }
            }
            match named.role {
                Role::Reporter => update.reported_by = Some(UserSet { set }),
                Role::Owner => update.owned_by = Some(UserSet { set }),
                // Nobody can change who created a work.
                Role::Creator => {}
            }
        }
        if update.reported_by.is_none() && update.owned_by.is_none() {
            Next::Right
        } else {
            Next::Update(update)
        }
    }

    /// Whether a work names the new contact in every role that this undo could give it.
    pub(crate) fn is_pointed(&self, work: &Work, now: &OwnedWork) -> bool {
        work.roles.iter().any(|named| self.is_right(now.users_as(named.role)))
            && matches!(self.next(work, now), Next::Right)
    }
}

fn member(role: Role) -> &'static str {
    match role {
        Role::Creator => "created_by",
        Role::Owner => "owned_by",
        Role::Reporter => "reported_by",
    }
}

/// Reads a work by itself. `Err` within: it is not there; `None`: it could not be read.
pub(crate) async fn read(client: &ReadOnly, work: &Work) -> Result<Result<Option<OwnedWork>, Left>, Failure> {
    match client.call(&WorkUsersGet { id: work.id.clone() }).await {
        Ok(answer) => Ok(Ok(Some(answer.work))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Err(gone(work, &error))),
        Err(error) => failing::ends_run(&error).map_or(Ok(Ok(None)), Err),
    }
}

fn gone(work: &Work, error: &ApiError) -> Left {
    Left { what: work.display_id.clone(), why: error.to_string() }
}

/// Points all works of a pair at the new contact, and writes down which could not be.
pub(super) async fn point(undoer: &Undoer, track: &mut Track<'_>, new: &NewContact) -> Result<(), Applied> {
    let whose = Whose { primary: contact_key(&track.change.primary.id), new: Some(new.clone()) };
    let (mut pointed, mut left, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for work in track.change.works.clone() {
        match one(undoer, track, &whose, &work).await? {
            End::Pointed => pointed.push(work.id),
            End::Left(some) => left.extend(some),
            End::Refused(why) => refused.push(why),
        }
    }
    track.record(What::Works { pointed, left, refused }).await
}

async fn one(undoer: &Undoer, track: &Track<'_>, whose: &Whose, work: &Work) -> Result<End, Applied> {
    let get = WorkUsersGet { id: work.id.clone() };
    let seen = track.change.seen.as_ref();
    let mut view = seen.and_then(|seen| Some((seen.works.get(&work.id)?.clone(), seen.read_at)));
    // A work of several contacts may be of several pairs: each has to see what the others have made of it.
    view = view.filter(|(now, _)| !whose.is_shared(work, now));
    let _alone = if view.is_none() { Some(undoer.alone(&work.id).await) } else { None };
    for _ in 0..MOST_READS {
        if undoer.stop.is_set() {
            return Err(track.interrupted());
        }
        let fresh: Option<(OwnedWork, ReadAt)> = view.take().filter(|(_, read_at)| read_at.age() <= MAX_AGE);
        let (now, read_at) = if let Some(view) = fresh {
            view
        } else {
            let read_at = ReadAt::now();
            match undoer.client.call(&get).await {
                Ok(answer) => (answer.work, read_at),
                Err(error) if error.kind == ErrorKind::NotFound => {
                    return Ok(End::Left(vec![gone(work, &error)]));
                }
                Err(error) => return Err(track.failed("work-unread", &error)),
            }
        };
        let Next::Update(update) = whose.next(work, &now) else {
            let left = whose.changed(work, &now);
            return Ok(if left.is_empty() { End::Pointed } else { End::Left(left) });
        };
        let look = || async {
            let found = undoer.client.call(&get).await?;
            // Of another than this update the answer is judged below.
            let undone = matches!(whose.next(work, &found.work), Next::Update(again) if again == update);
            Ok(if undone { Found::NotDone } else { Found::Settled(found) })
        };
        let fresh = || read_at.age() <= MAX_AGE && !undoer.stop.is_set();
        match undoer.client.write(&update, fresh, look).await {
            Ok(written) => view = Some((written.answer.work, ReadAt::now())),
            Err(error) if error.kind == ErrorKind::Stale => {}
            Err(error) if is_refusal(&error) => {
                let why = error.to_string();
                return Ok(End::Refused(Left { what: work.display_id.clone(), why }));
            }
            Err(error) => return Err(track.failed("work-not-pointed", &error)),
        }
    }
    let why = format!("changed {MOST_READS} times, and still does not name {}", undoer_shown(whose));
    Ok(End::Refused(Left { what: work.display_id.clone(), why }))
}

fn undoer_shown(whose: &Whose) -> &str {
    whose.new.as_ref().map_or("the new contact", |new| &new.display_id)
}

/// Whether DevRev would say the same again, of this work alone.
fn is_refusal(error: &ApiError) -> bool {
    error.effect == Effect::None && !error.transient() && failing::ends_run(error).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn users(ids: &[&str]) -> Value {
        ids.iter().map(|id| json!({"id": id})).collect()
    }

    fn whose() -> Whose {
        let new = NewContact { id: "REVU-21".to_owned(), display_id: "REVU-21".to_owned() };
        Whose { primary: contact_key("REVU-1"), new: Some(new) }
    }

    fn work(beside_primary: bool) -> Work {
        let named = |role| Named { role, beside_primary };
        let id = "TKT-1".to_owned();
        let roles = vec![named(Role::Reporter), named(Role::Owner)];
        Work { display_id: id.clone(), id, kind: "ticket".to_owned(), roles }
    }

    #[test]
    fn the_new_contact_takes_the_place_of_the_primary_or_one_beside_it() {
        type Ids<'a> = &'a [&'a str];
        let cases: [(bool, Ids, Ids, Value); 6] = [
            (false, &["REVU-1"], &["DEVU-1"], json!([["REVU-21"], null])),
            (
                true,
                &["REVU-5", "REVU-1"],
                &["REVU-1"],
                json!([["REVU-5", "REVU-1", "REVU-21"], ["REVU-1", "REVU-21"]]),
            ),
            (false, &["REVU-1", "REVU-5"], &["REVU-1"], json!([["REVU-21", "REVU-5"], ["REVU-21"]])),
            (false, &["REVU-21"], &["REVU-1"], json!([null, ["REVU-21"]])),
            (false, &["REVU-21"], &["REVU-21"], json!(null)),
            (false, &["DEVU-1"], &[], json!(null)),
        ];
        for (beside, reporters, owners, expected) in cases {
            let now = json!({"id": "TKT-1", "reported_by": users(reporters), "owned_by": users(owners)});
            let now: OwnedWork = serde_json::from_value(now).unwrap();
            let found = match whose().next(&work(beside), &now) {
                Next::Right => json!(null),
                Next::Update(update) => {
                    let set = |set: Option<UserSet>| json!(set.map(|set| set.set));
                    json!([set(update.reported_by), set(update.owned_by)])
                }
            };
            assert_eq!(found, expected, "{reporters:?} {owners:?}");
        }
    }

    #[test]
    fn what_no_longer_names_the_primary_is_left() {
        let now = |reporter: &str, owner: &str| -> OwnedWork {
            let now = json!({"id": "TKT-1", "reported_by": users(&[reporter]), "owned_by": users(&[owner])});
            serde_json::from_value(now).unwrap()
        };
        let changed = |now: &OwnedWork| whose().changed(&work(false), now).len();
        assert_eq!(changed(&now("REVU-1", "REVU-1")), 0);
        assert_eq!(changed(&now("REVU-21", "REVU-1")), 0);
        assert_eq!(changed(&now("REVU-21", "DEVU-1")), 1);
        assert_eq!(changed(&now("REVU-5", "DEVU-1")), 2);
        assert!(whose().is_pointed(&work(false), &now("REVU-21", "DEVU-1")));
        assert!(!whose().is_pointed(&work(false), &now("REVU-21", "REVU-1")));
        assert!(!whose().is_pointed(&work(false), &now("REVU-5", "DEVU-1")));
    }
}
