//! DevRev's object IDs: DONs (`don:core:dvrv-us-1:devo/XXXX:issue/123`) and display IDs (`ISS-123`).
//!
//! Requests take either form, and input files hold either, so two texts may name one object. What the two
//! forms share is the object's type and the last part of the ID: [`Ref::key`] is made of those. A contact's DON may
//! also name its workspace (`don:identity:dvrv-us-1:devo/0:revo/6:revu/131`): the same contact as `REVU-131`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The types of object that this tool names by ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ObjectType {
    /// A work of type issue: `issue/123`, `ISS-123`.
    Issue,
    /// A work of type ticket: `ticket/9`, `TKT-9`.
    Ticket,
    /// A user of the organisation itself: `devu/7`, `DEVU-7`.
    DevUser,
    /// A contact: `revu/abc`, `REVU-abc`.
    RevUser,
    /// A service account: `svcacc/5`, `SVCACC-5`.
    ServiceAccount,
    /// A system user: `sysu/1`, `SYSU-1`.
    SysUser,
    /// A group of users: `group/4`, `GROUP-4`.
    Group,
    /// A conversation: `conversation/5`, `CONV-5`.
    Conversation,
    /// A file: `artifact/6`, `ARTIFACT-6`.
    Artifact,
    /// A work of type task: `task/3`, `TASK-3`.
    Task,
    /// A work of type opportunity: `opportunity/2`, `OPP-2`.
    Opportunity,
    /// A customer's company: `account/abc`, `ACC-abc`.
    Account,
    /// A workspace of an account (rev org): `revo/abc`, `REV-abc`.
    Workspace,
    /// A tag: `tag/4`, `TAG-4`.
    Tag,
    /// A part of type product: `product/1`, `PROD-1`.
    Product,
    /// A part of type capability: `capability/1`, `CAPL-1`.
    Capability,
    /// A part of type feature: `feature/1`, `FEAT-1`.
    Feature,
    /// A part of type enhancement: `enhancement/1`, `ENH-1`.
    Enhancement,
    /// A part of type runnable: `runnable/1`, `RUN-1`.
    Runnable,
    /// A part of type linkable: `linkable/1`, `LINK-1`.
    Linkable,
}

impl ObjectType {
    /// Every type, with what it is called in a DON, before the number of a display ID, and in a sentence; those that
    /// people paste most come first.
    const ALL: [(Self, &'static str, &'static str, &'static str); 20] = [
        (Self::DevUser, "devu", "DEVU", "a dev user"),
        (Self::Issue, "issue", "ISS", "an issue"),
        (Self::Group, "group", "GROUP", "a group"),
        (Self::RevUser, "revu", "REVU", "a rev user"),
        (Self::Ticket, "ticket", "TKT", "a ticket"),
        (Self::ServiceAccount, "svcacc", "SVCACC", "a service account"),
        (Self::SysUser, "sysu", "SYSU", "a system user"),
        (Self::Conversation, "conversation", "CONV", "a conversation"),
        (Self::Artifact, "artifact", "ARTIFACT", "an artifact"),
        (Self::Account, "account", "ACC", "an account"),
        (Self::Workspace, WORKSPACE, "REV", "a workspace"),
        (Self::Task, "task", "TASK", "a task"),
        (Self::Opportunity, "opportunity", "OPP", "an opportunity"),
        (Self::Tag, "tag", "TAG", "a tag"),
        (Self::Product, "product", "PROD", "a product"),
        (Self::Capability, "capability", "CAPL", "a capability"),
        (Self::Feature, "feature", "FEAT", "a feature"),
        (Self::Enhancement, "enhancement", "ENH", "an enhancement"),
        (Self::Runnable, "runnable", "RUN", "a runnable"),
        (Self::Linkable, "linkable", "LINK", "a linkable"),
    ];

    fn names(self) -> (&'static str, &'static str, &'static str) {
        let found = Self::ALL.into_iter().find(|(object, ..)| *object == self);
        found.map_or(("", "", "an object"), |(_, don, prefix, noun)| (don, prefix, noun))
    }

    /// What stands before the last part of a DON: `issue`, `devu`.
    pub(crate) fn don_name(self) -> &'static str {
        self.names().0
    }

    fn of_don_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, don, ..)| *don == name).map(|(object, ..)| object)
    }

    /// What a display ID begins with, without the `-`: `ISS`, `DEVU`.
    pub(crate) fn display_prefix(self) -> &'static str {
        self.names().1
    }

    /// The type in a sentence: `a ticket`.
    pub(crate) fn noun(self) -> &'static str {
        self.names().2
    }

    /// Works are numbered; other objects' IDs may hold letters.
    fn numbered(self) -> bool {
        matches!(self, Self::Issue | Self::Ticket | Self::Task | Self::Opportunity)
    }
}

/// The types that are contacts.
pub(crate) const CONTACT_TYPES: &[ObjectType] = &[ObjectType::RevUser];

/// The types that may create an issue.
pub(crate) const USER_TYPES: &[ObjectType] =
    &[ObjectType::DevUser, ObjectType::RevUser, ObjectType::ServiceAccount, ObjectType::SysUser];

/// Why a text is not an ID, or not the one that is wanted here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdError {
    /// Neither a DON nor a display ID.
    #[error("`{text}` is neither a DON (don:...) nor a display ID such as {prefix}-123")]
    Shape {
        /// The text as it was given.
        text: String,
        /// The prefix of what belongs here.
        prefix: &'static str,
    },
    /// An ID, but of another type of object.
    #[error("`{text}` is the ID of {found}, where {wanted} is needed")]
    WrongType {
        /// The text as it was given.
        text: String,
        /// The type it names.
        found: &'static str,
        /// The type that belongs here.
        wanted: &'static str,
    },
}

/// How the workspace of a contact is written in a DON.
const WORKSPACE: &str = "revo";

/// The longest text that is taken for an ID, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// An ID taken apart, borrowed from the text that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ref<'a> {
    /// What type of object it names.
    pub object: ObjectType,
    /// The last part of the ID, which both forms share: `123` of `ISS-123`.
    pub tail: &'a str,
}

/// What tells one object from another, whichever form of ID names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    object: ObjectType,
    tail: Box<str>,
}

impl Key {
    /// The type of object that the key names.
    pub(crate) fn object(&self) -> ObjectType {
        self.object
    }

    /// The number of a numbered object (an issue, a ticket).
    pub(crate) fn number(&self) -> Option<u64> {
        self.tail.parse().ok()
    }
}

impl fmt::Display for Key {
    /// Writes the display ID.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.object.display_prefix(), self.tail)
    }
}

impl<'a> Ref<'a> {
    /// Takes an ID of one of the `wanted` types apart. Allocates only for an error.
    pub(crate) fn parse(text: &'a str, wanted: &[ObjectType]) -> Result<Self, IdError> {
        let shape = || {
            let prefix = wanted.first().map_or("ISS", |object| object.display_prefix());
            IdError::Shape { text: shortened(text), prefix }
        };
        let found = Self::of_any(text).ok_or_else(shape)?;
        if wanted.contains(&found.object) {
            Ok(found)
        } else {
            let wanted = wanted.first().map_or("another object", |object| object.noun());
            Err(IdError::WrongType { text: shortened(text), found: found.object.noun(), wanted })
        }
    }

    /// Takes an ID apart as people paste it: within a link to DevRev's app, within a formula of a spreadsheet
    /// (`="ISS-4"`), or with zeros before its number (`ISS-004`).
    pub(crate) fn pasted(text: &'a str, wanted: &[ObjectType]) -> Option<Self> {
        let text = within(text);
        let found = Self::parse(text, wanted).ok().or_else(|| {
            let (prefix, tail) = text.split_once('-')?;
            let object = wanted.iter().copied().filter(|object| object.numbered());
            let object =
                object.into_iter().find(|object| object.display_prefix().eq_ignore_ascii_case(prefix))?;
            Self::with_tail(object, tail.trim_start_matches('0'))
        })?;
        Some(found)
    }

    /// `don:<service>:<partition>:devo/<organisation>:<type>/<tail>`; for contacts, `revo/<workspace>:` may come before
    /// the type.
    /// Splits an ID of any type.
    pub(crate) fn of_any(text: &'a str) -> Option<Self> {
        if text.len() > MAX_ID_BYTES {
            return None;
        }
        if text.starts_with("don:") { Self::don(text) } else { Self::display(text) }
    }

    fn don(text: &'a str) -> Option<Self> {
        let (_service, rest) = word_before(b':', text.strip_prefix("don:")?)?;
        let (_partition, rest) = word_before(b':', rest)?;
        let (_org, rest) = word_before(b':', rest.strip_prefix("devo/")?)?;
        let (name, tail) = word_before(b'/', rest)?;
        if name == WORKSPACE && tail.contains(':') {
            let (_workspace, rest) = word_before(b':', tail)?;
            let (name, tail) = word_before(b'/', rest)?;
            return Self::with_tail(ObjectType::of_don_name(name)?, tail)
                .filter(|found| found.object == ObjectType::RevUser);
        }
        Self::with_tail(ObjectType::of_don_name(name)?, tail)
    }

    /// `<PREFIX>-<tail>`, the prefix in either case.
    fn display(text: &'a str) -> Option<Self> {
        let (prefix, tail) = word_before(b'-', text)?;
        let mut types = ObjectType::ALL.into_iter();
        let (object, ..) = types.find(|(_, _, known, _)| known.eq_ignore_ascii_case(prefix))?;
        Self::with_tail(object, tail)
    }

    /// The ID that ends in this tail, if an object of this type may be named so.
    #[inline]
    pub(crate) fn with_tail(object: ObjectType, tail: &'a str) -> Option<Self> {
        let fits = if object.numbered() {
            // Leading zeros would make two texts of one number.
            tail.len() <= 18 && tail.bytes().all(|byte| byte.is_ascii_digit()) && !tail.starts_with('0')
        } else {
            word(tail)
        };
        (fits && !tail.is_empty()).then_some(Self { object, tail })
    }

    /// The number of a numbered object (an issue, a ticket).
    #[inline]
    pub(crate) fn number(self) -> Option<u64> {
        self.tail.parse().ok()
    }

    /// What this ID shares with every other text that names the same object.
    pub(crate) fn key(self) -> Key {
        Key { object: self.object, tail: self.tail.into() }
    }
}

/// Where the object of a DON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The partition and the organisation: `dvrv-us-1:devo/XXXX`.
    pub organisation: &'a str,
    /// The workspace, where the DON names it.
    pub workspace: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Where a DON says that its object is; a display ID says nothing.
    pub(crate) fn of(don: &'a str) -> Option<Self> {
        let (_service, rest) = don.strip_prefix("don:")?.split_once(':')?;
        let (partition, after) = rest.split_once(':')?;
        let (organisation, after) = after.split_once(':')?;
        let workspace = after.strip_prefix(WORKSPACE).and_then(|rest| rest.strip_prefix('/'));
        Some(Self {
            organisation: rest.get(..partition.len() + 1 + organisation.len())?,
            workspace: workspace.and_then(|rest| Some(rest.split_once(':')?.0)),
        })
    }

    /// Whether both may be the same place. One that names no workspace may be in any.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.organisation.eq_ignore_ascii_case(other.organisation)
            && match (self.workspace, other.workspace) {
                (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                _ => true,
            }
    }
}

fn word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| WORD[usize::from(byte)])
}

/// Which bytes words are made of, as a table: a bulk input has millions of them looked up.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        byte += 1;
    }
    table
};

/// Splits a text at the end of its first word, which this mark must end.
fn word_before(mark: u8, text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| byte == mark || !WORD[usize::from(byte)])?;
    if end == 0 || text.as_bytes().get(end) != Some(&mark) {
        return None;
    }
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// The part of a text that may be an ID: the last part of a link's path, or what a formula holds.
fn within(text: &str) -> &str {
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return text;
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').rsplit_once('/').map_or(text, |(_, last)| last)
}

/// The ID that a text of the operator's [holds](Ref::pasted), in a form that DevRev takes; the text itself if it holds none.
pub(crate) fn id_text<'a>(text: &'a str, wanted: &[ObjectType]) -> Cow<'a, str> {
    if Ref::parse(text, wanted).is_ok() {
        return text.into();
    }
    let plain = within(text);
    match Ref::pasted(text, wanted) {
        Some(_) if Ref::parse(plain, wanted).is_ok() => plain.into(),
        Some(found) => found.key().to_string().into(),
        None => text.into(),
    }
}

/// A text short enough for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}

/// Which types of object an [`Id`] may name.
pub(crate) trait Names {
    /// The types, the most usual first.
    const TYPES: &'static [ObjectType];
}

/// Names issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Issue {}
/// Names users of any sort: anyone who may create an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum User {}
/// Names contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RevUser {}
/// Names groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group {}

impl Names for Issue {
    const TYPES: &'static [ObjectType] = &[ObjectType::Issue];
}
impl Names for User {
    const TYPES: &'static [ObjectType] = USER_TYPES;
}
impl Names for RevUser {
    const TYPES: &'static [ObjectType] = CONTACT_TYPES;
}
impl Names for Group {
    const TYPES: &'static [ObjectType] = &[ObjectType::Group];
}

/// An issue's ID.
pub(crate) type IssueId = Id<Issue>;
/// A user's ID.
pub(crate) type UserId = Id<User>;
/// A contact's ID.
pub(crate) type RevUserId = Id<RevUser>;
/// A group's ID.
pub(crate) type GroupId = Id<Group>;

/// A checked ID, kept as it was written: DevRev takes either form.
pub(crate) struct Id<T> {
    text: Box<str>,
    names: PhantomData<fn() -> T>,
}

impl<T: Names> Id<T> {
    /// Checks that a text is the ID of the right type of object.
    pub(crate) fn parse(text: &str) -> Result<Self, IdError> {
        Ref::parse(text, T::TYPES)?;
        Ok(Self { text: text.into(), names: PhantomData })
    }

    /// The ID as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What this ID shares with every other text that names the same object.
    pub(crate) fn key(&self) -> Key {
        match Ref::parse(&self.text, T::TYPES) {
            Ok(found) => found.key(),
            // The constructor has checked the text.
            Err(_) => unreachable!("an Id holds only text that was parsed"),
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), names: PhantomData }
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.text)
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T: Names> PartialEq for Id<T> {
    /// Two IDs are equal when they name the same object, in whichever form.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.key() == other.key()
    }
}

impl<T: Names> Eq for Id<T> {}

impl<T> serde::Serialize for Id<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: Names> serde::Deserialize<'de> for Id<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
