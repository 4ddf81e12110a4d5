//! The organisation that the sandbox plays: its users, groups, fields, files and timelines, which stay as they
//! are, and its works, contacts and conversations, which change.

mod parts;

pub(super) use parts::display_name;

use super::artifacts::Artifacts;
use super::contacts::{Contact, Contacts};
use super::conversations::Conversations;
use super::error::ApiError;
use super::format::{
    CustomField, File, GroupRef, GroupType, Member, MemberType, NativeField, ObjectRef, Part, UserKind,
    UserRef, WorksExternalRef,
};
use super::merge::Merges;
use super::state::State;
use super::timelines::Timelines;
use super::works::{Resolver, Work, Works};
use crate::devrev::ids::{ObjectType, Ref, USER_TYPES};
use crate::devrev::objects;
use crate::sandbox::dons::display_id;
use parts::{contact_fields, contact_of, groups, position, users};
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

/// Everything that requests read and change. A user is named by a position: first come the users that stay
/// as they are, then the contacts.
pub(super) struct World {
    /// The organisation's code, as it stands in DONs.
    pub(super) org: Box<str>,
    /// The organisation's name.
    pub(super) org_name: String,
    /// The user behind every token.
    pub(super) own: u32,
    /// All users but contacts.
    pub(super) users: Vec<User>,
    /// The users in the data file's list of users, contacts among them.
    pub(super) listed_users: usize,
    pub(super) groups: Vec<Group>,
    /// The custom fields that issues have.
    pub(super) custom_fields: BTreeMap<String, CustomField>,
    /// Those of other objects, by leaf type.
    pub(super) other_fields: BTreeMap<String, BTreeMap<String, CustomField>>,
    pub(super) parts: Vec<Part>,
    /// The custom fields that contacts have, with the type of their values.
    pub(super) contact_fields: BTreeMap<String, &'static str>,
    /// The custom field that shows an issue's creator group.
    pub(super) creator_group_field: String,
    /// The native fields that the gateway knows.
    pub(super) native: &'static [&'static str],
    pub(super) works_external_ref: WorksExternalRef,
    pub(super) artifacts: Artifacts,
    /// How long the token is still good, in seconds.
    pub(super) token_expires_in_s: u64,
    pub(super) timelines: Timelines,
    user_index: FxHashMap<UserRef, u32>,
    group_index: FxHashMap<u32, u32>,
    started: Instant,
    state: RwLock<State>,
}

/// A user other than a contact, with the summary that stands in every object that names them.
pub(super) struct User {
    pub(super) id: UserRef,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) state: super::format::UserState,
    /// `user-summary`, ready to be put into an answer.
    pub(super) summary: Box<RawValue>,
}

/// A group and its members.
pub(super) struct Group {
    pub(super) id: GroupRef,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) member_type: MemberType,
    pub(super) is_default: bool,
    pub(super) kind: GroupType,
    pub(super) members: Vec<Member>,
    /// The group's DON.
    pub(super) don: String,
    /// What the native field `creator_group` shows.
    pub(super) native: Box<RawValue>,
}

impl World {
    /// Resolves every reference of a data file; an error says which one leads nowhere.
    pub(super) fn build(file: File) -> Result<Self, String> {
        let org = file.organisation.id.into_boxed_str();
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if org.is_empty() || !org.bytes().all(sound) {
            return Err(format!("the organisation's id `{org}` is not made of letters and digits"));
        }
        let listed_users = file.users.len();
        let (rev_users, given): (Vec<_>, Vec<_>) =
            file.users.into_iter().partition(|user| user.kind == UserKind::RevUser);
        let (users, user_index) = users(given, &org)?;
        let first_contact = position(users.len())?;
        let contacts =
            rev_users.into_iter().map(contact_of).chain(file.contacts.into_iter().map(Contact::of));
        let contacts = Contacts::build(contacts.collect())?;
        let contact_fields = contact_fields(&contacts, &file.custom_fields);
        let artifacts = Artifacts::build(file.artifacts, file.url_ttl_ms)?;
        let find_user = |user: UserRef| match user.kind {
            UserKind::RevUser => contacts.position(user.number).map(|contact| first_contact + contact),
            _ => user_index.get(&user).copied(),
        };
        let (groups, group_index) = groups(file.groups, &org, &find_user)?;
        let find_group = |group: GroupRef| group_index.get(&group.0).copied();
        let find_artifact = |number: u32| artifacts.get(number).is_some();
        let resolver = Resolver { user: &find_user, group: &find_group, artifact: &find_artifact };
        for contact in contacts.slice(0, contacts.len()) {
            resolver.artifacts(contact.id(), &contact.artifacts)?;
        }
        let own = *user_index.get(&file.own).ok_or_else(|| format!("self: there is no user {}", file.own))?;
        let native: &[&str] =
            if file.native_fields.contains(&NativeField::CreatorGroup) { &["creator_group"] } else { &[] };
        let shown = match file.custom_fields.get(&file.creator_group_field) {
            Some(field) if field.is_group() => true,
            Some(_) => {
                return Err(format!("creator_group_field: `{}` is not of type id", file.creator_group_field));
            }
            None => !native.is_empty(),
        };
        if !shown && file.issues.iter().any(|issue| issue.creator_group.is_some()) {
            let field = &file.creator_group_field;
            return Err(format!("issues have a creator_group, but custom_fields does not declare `{field}`"));
        }
        let issues = Works::build(ObjectType::Issue, "issues", file.issues, &resolver)?;
        let tickets = Works::build(ObjectType::Ticket, "tickets", file.tickets, &resolver)?;
        let tasks = Works::build(ObjectType::Task, "tasks", file.tasks, &resolver)?;
        let opportunities =
            Works::build(ObjectType::Opportunity, "opportunities", file.opportunities, &resolver)?;
        let accounts = parts::accounts(file.accounts, &org);
        let workspaces = parts::workspaces(file.workspaces, &contacts, &org);
        let conversations = Conversations::build(file.conversations, &resolver)?;
        let there = |of: ObjectRef| match of.object {
            ObjectType::Issue => issues.get(of.number).is_some(),
            ObjectType::Ticket => tickets.get(of.number).is_some(),
            ObjectType::Conversation => conversations.get(of.number).is_some(),
            _ => contacts.position(of.number).is_some(),
        };
        let timelines = Timelines::build(file.timelines, &resolver, there)?;
        let merges = Merges::new(file.merge.into());
        let state = State {
            works: [issues, tickets, tasks, opportunities],
            accounts,
            workspaces,
            tags: file.tags,
            contacts,
            conversations,
            merges,
            writes: 0,
            first_contact,
        };
        let world = Self {
            org,
            org_name: file.organisation.name,
            own,
            users,
            listed_users,
            groups,
            custom_fields: file.custom_fields,
            other_fields: file.fields,
            parts: file.parts,
            contact_fields,
            creator_group_field: file.creator_group_field,
            native,
            works_external_ref: file.works_external_ref,
            artifacts,
            token_expires_in_s: file.token_expires_in_s,
            timelines,
            user_index,
            group_index,
            started: Instant::now(),
            state: RwLock::new(state),
        };
        world.take_up()?;
        Ok(world)
    }

    /// Takes the fields that the data file sets as if requests had set them.
    fn take_up(&self) -> Result<(), String> {
        let mut state = self.write();
        let refused = |id: String| move |error: ApiError| format!("{id}: {}", error.message());
        for at in 0..state.works.len() {
            let object = state.works[at].object;
            let Some(leaf) = objects::named(object.don_name()) else { continue };
            for number in state.works[at].numbers_with_extra() {
                let Some(extra) = state.works[at].get(number).and_then(|work| work.extra.as_deref()) else {
                    continue;
                };
                let failed = || refused(display_id(object, number));
                let stock = self.stock_of(&state, leaf, &[], &extra.stock, &Map::new()).map_err(failed())?;
                let body = custom_body(&extra.fields);
                let fields = self.custom_of(&state, leaf.leaf_type, &body).map_err(failed())?;
                if let Some(work) = state.works[at].get_mut(number) {
                    let extra = work.extra_mut();
                    (extra.stock, extra.fields) = (stock, fields);
                }
            }
        }
        for (name, of_accounts) in [("account", true), ("workspace", false)] {
            let Some(leaf) = objects::named(name) else { continue };
            let count = if of_accounts { state.accounts.len() } else { state.workspaces.len() };
            for number in (1..).take(count) {
                let documents = if of_accounts { &state.accounts } else { &state.workspaces };
                let Some(document) = documents.get(number) else { continue };
                let (id, failed) = (document.don.clone(), || refused(document.display_id.clone()));
                let stock =
                    self.stock_of(&state, leaf, &[], &document.stock, &Map::new()).map_err(failed())?;
                let body = custom_body(&document.custom);
                let custom = self.custom_of(&state, leaf.leaf_type, &body).map_err(failed())?;
                let documents = if of_accounts { &mut state.accounts } else { &mut state.workspaces };
                if let Some(document) = documents.named_mut(&id) {
                    (document.stock, document.custom) = (stock, custom);
                }
            }
        }
        Ok(())
    }

    /// What changes, to be read.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What changes, to be changed.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by which merges go.
    pub(super) fn now(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Carries out the merges that are due: the beginning of every request.
    pub(super) fn settle(&self) {
        let now = self.now();
        if self.read().merges.any_due(now) {
            self.write().settle(now);
        }
    }

    /// The user that a checked ID names, gone contacts included, if there is one.
    pub(super) fn user(&self, state: &State, id: &str) -> Option<u32> {
        let user = UserRef::of(self.own_ref(id, USER_TYPES)?)?;
        match user.kind {
            UserKind::RevUser => state.contacts.position(user.number).map(|contact| state.user_at(contact)),
            _ => self.user_index.get(&user).copied(),
        }
    }

    /// The group that a checked ID names, if there is one.
    pub(super) fn group(&self, id: &str) -> Option<u32> {
        self.group_index.get(&GroupRef::of(self.own_ref(id, &[ObjectType::Group])?)?.0).copied()
    }

    /// The object of one of these types that a checked ID names, whether or not there is such an object.
    pub(super) fn object(&self, id: &str, types: &[ObjectType]) -> Option<ObjectRef> {
        ObjectRef::of(self.own_ref(id, types)?)
    }

    /// The work that a checked ID names, if there is one, with all of its type.
    pub(super) fn work<'a>(&self, state: &'a State, id: &str) -> Option<(&'a Works, &'a Work)> {
        let named = self.object(id, super::schema::WORK_TYPES)?;
        let works = state.works.iter().find(|works| works.object == named.object)?;
        works.get(named.number).map(|work| (works, work))
    }

    /// Like [`Self::user`], for requests that are refused when a user does not exist.
    pub(super) fn existing_user(&self, state: &State, field: &str, id: &str) -> Result<u32, ApiError> {
        let there = |user: &u32| match state.contact_at(*user) {
            Some(contact) => state.contacts.get(contact).is_some_and(Contact::exists),
            None => true,
        };
        let user = self.user(state, id).filter(there);
        user.ok_or_else(|| ApiError::invalid_id(field, format!("there is no user `{id}`")))
    }

    /// A DON of another organisation names nothing here.
    fn own_ref<'a>(&self, id: &'a str, types: &[ObjectType]) -> Option<Ref<'a>> {
        let found = Ref::parse(id, types).ok()?;
        let own = match id.strip_prefix("don:") {
            Some(rest) => rest.split(':').nth(2)?.strip_prefix("devo/")? == &*self.org,
            None => true,
        };
        own.then_some(found)
    }

    /// The member of a group, as `member-summary`.
    pub(super) fn member(&self, state: &State, member: Member) -> Value {
        let group = |id: GroupRef| self.groups.get(*self.group_index.get(&id.0)? as usize);
        match member {
            Member::User(id) => {
                json!(self.user(state, &id.to_string()).and_then(|user| self.summary(state, user)))
            }
            Member::Group(id) => group(id).map_or(Value::Null, |group| {
                json!({
                    "type": "group",
                    "id": group.don,
                    "display_id": id.to_string(),
                    "name": group.name,
                    "member_type": group.member_type,
                })
            }),
        }
    }
}

/// The custom fields of a data file as a request would set them.
fn custom_body(fields: &Map<String, Value>) -> Map<String, Value> {
    [
        ("custom_fields".to_owned(), Value::Object(fields.clone())),
        ("custom_schema_spec".to_owned(), json!({"tenant_fragment": true})),
    ]
    .into_iter()
    .collect()
}
