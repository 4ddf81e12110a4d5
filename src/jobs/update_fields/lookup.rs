//! The present state of a batch's objects, in few calls.
//!
//! Lists have no filter by ID, but a page of a list answers a hundred objects: where the input names many of the objects
//! that there are, pages of all of them cost less than a call each. So they are read while that pays, in the order of
//! creation, and what they bring beyond the batch is kept for the next ones, within bounds of number and age. The rest is
//! read one by one. Correctness never rests on a list being whole.

use super::value;
use crate::devrev::any_object::{Members, ObjectGet, ObjectList};
use crate::devrev::ids::{Key, Ref};
use crate::devrev::objects::{self, Field, Object};
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::net::error::{ApiError, ErrorKind};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How old a value may be when its change is sent.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(300);
/// How old a kept value may be when a batch is prepared: the batch still has to wait for the one before it.
const KEPT_AGE: Duration = Duration::from_secs(240);
/// Objects that are kept for later batches.
const MOST_KEPT: usize = 50_000;
/// Gets at once. The rate limit usually allows fewer.
const GETS_AT_ONCE: usize = 8;
/// The key of objects that are created.
pub(crate) const EXTERNAL_REF: &str = "external_ref";
/// Values of a key in one list.
const KEYS_AT_ONCE: usize = 50;

/// An object as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    /// Its DON.
    pub id: String,
    /// Its ID as people know it.
    pub shown: String,
    /// Its subtype, whose schema a write has to name.
    pub subtype: Option<String>,
    /// The fields that matter, in their order.
    pub values: Vec<Value>,
    /// When it was read.
    pub read_at: ReadAt,
}

impl Present {
    /// What an answer shows of these fields.
    pub(crate) fn of(object: &Members, fields: &[Field], read_at: ReadAt) -> Self {
        let text = |member: &str| object.get(member).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").unwrap_or_default();
        Self {
            shown: text("display_id").unwrap_or_else(|| id.clone()),
            id,
            subtype: text("subtype").filter(|subtype| !subtype.is_empty()),
            values: fields.iter().map(|field| value::of(field, object)).collect(),
            read_at,
        }
    }
}

/// What is known of an object.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// It is there.
    Present(Present),
    /// It is not; what DevRev said.
    Missing(String),
    /// Several have the key: their IDs as people know them.
    Several(Vec<String>),
    /// It could not be read.
    Unread(ApiError),
}

/// What the input as a whole asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// Its rows.
    pub rows: u64,
    /// The greatest number of an object in it; 0 where they are not numbered.
    pub greatest: u64,
}

/// Whether pages pay. Every wanted object that a page brought has saved a get; so many pages may be read as that, and a
/// few more to find out. Where the input names a good part of all objects, they may all be read.
#[derive(Debug, Default)]
struct Budget {
    free: u64,
    wanted: u64,
    saved: u64,
    pages: u64,
}

impl Budget {
    fn new(extent: Extent) -> Self {
        let pages = extent.greatest / u64::from(crate::devrev::pages::PAGE_LIMIT) + 2;
        let pays = extent.greatest > 0 && pages < extent.rows / 4;
        Self { free: if pays { pages } else { 0 }, ..Self::default() }
    }

    fn allows_page(&self) -> bool {
        self.pages < self.free || self.pages < self.saved + 3 + self.wanted / 50
    }
}

/// Looks objects up and keeps what it learns by the way.
#[derive(Debug)]
pub(crate) struct Lookup {
    client: ReadOnly,
    object: &'static Object,
    fields: Vec<Field>,
    kept: HashMap<Key, Present>,
    pages: Pages<ObjectList>,
    began: ReadAt,
    /// The greatest number that the list has brought so far.
    passed: u64,
    read: u64,
    found: u64,
    /// The list brings too little, or DevRev refuses it: objects are read one by one.
    given_up: bool,
    budget: Budget,
}

/// An object that is wanted: its ID, and whether only its own read tells how it is.
pub(crate) type Wanted = (String, bool);

impl Lookup {
    /// Nothing is known yet. `fields` are those that matter.
    pub(crate) fn new(client: ReadOnly, object: &'static Object, fields: Vec<Field>, extent: Extent) -> Self {
        Self {
            client,
            object,
            fields,
            kept: HashMap::new(),
            pages: Pages::new(ObjectList::of(object, Members::new())),
            began: ReadAt::now(),
            passed: 0,
            read: 0,
            found: 0,
            given_up: false,
            budget: Budget::new(extent),
        }
    }

    fn key(&self, id: &str) -> Option<Key> {
        Ref::parse(id, self.object.types).ok().map(Ref::key)
    }

    /// The state of every wanted object, by its key. An error ends the run.
    pub(crate) async fn by_id(&mut self, wanted: Vec<Wanted>) -> Result<HashMap<Key, Found>, Failure> {
        let mut states = HashMap::with_capacity(wanted.len());
        let mut open: HashMap<Key, String> = HashMap::new();
        let mut alone = Vec::new();
        self.budget.wanted += wanted.len() as u64;
        for (id, singly) in wanted {
            let Some(key) = self.key(&id) else { continue };
            match self.kept.remove(&key) {
                Some(present) if !singly && present.read_at.age() < KEPT_AGE => {
                    self.budget.saved += 1;
                    states.insert(key, Found::Present(present));
                }
                _ if singly => alone.push((key, id)),
                _ => drop(open.insert(key, id)),
            }
        }
        self.read_pages(&mut open, &mut states).await?;
        alone.extend(open);
        self.read_singly(alone, &mut states).await?;
        Ok(states)
    }

    /// Whether the list may still bring an object: works come in the order of their numbers.
    fn may_come(&self, key: &Key) -> bool {
        let number = Ref::parse(&key.to_string(), self.object.types).ok().and_then(Ref::number);
        self.object.work_type.is_none() || number.is_none_or(|number| number > self.passed)
    }

    async fn read_pages(
        &mut self,
        open: &mut HashMap<Key, String>,
        states: &mut HashMap<Key, Found>,
    ) -> Result<(), Failure> {
        if self.pages.ended() && self.began.age() >= KEPT_AGE && !self.given_up {
            // What it brought is too old by now: it begins again.
            self.pages = Pages::new(ObjectList::of(self.object, Members::new()));
            (self.began, self.passed) = (ReadAt::now(), 0);
        }
        while !self.given_up
            && !self.pages.ended()
            && self.budget.allows_page()
            && open.keys().any(|key| self.may_come(key))
        {
            let read_at = ReadAt::now();
            let page = match self.pages.next(&self.client).await {
                Ok(page) => page.unwrap_or_default(),
                Err(error) => {
                    self.given_up = true;
                    if let Some(failure) = failing::ends_run(&error) {
                        return Err(failure);
                    }
                    tracing::warn!("{error}; {} are read one by one", self.object.plural);
                    return Ok(());
                }
            };
            self.budget.pages += 1;
            self.read += 1;
            for object in &page {
                let present = Present::of(object, &self.fields, read_at);
                let Ok(named) = Ref::parse(&present.id, self.object.types) else { continue };
                self.passed = self.passed.max(named.number().unwrap_or(0));
                let key = named.key();
                if open.remove(&key).is_some() {
                    self.found += 1;
                    self.budget.saved += 1;
                    states.insert(key, Found::Present(present));
                } else if !states.contains_key(&key) {
                    self.kept.insert(key, present);
                }
            }
            // Three pages that bring nothing, and one in three from then on.
            self.given_up = self.budget.pages >= self.budget.free && self.read >= 3 + 3 * self.budget.saved;
            self.forget_the_oldest();
        }
        Ok(())
    }

    /// Keeps the number of kept objects within bounds: the older half goes.
    fn forget_the_oldest(&mut self) {
        if self.kept.len() < MOST_KEPT {
            return;
        }
        let mut ages: Vec<Duration> = self.kept.values().map(|present| present.read_at.age()).collect();
        let middle = ages.len() / 2;
        let (_, middle, _) = ages.select_nth_unstable(middle);
        let middle = *middle;
        self.kept.retain(|_, present| present.read_at.age() < middle);
    }

    async fn read_singly(
        &mut self,
        mut wanted: Vec<(Key, String)>,
        states: &mut HashMap<Key, Found>,
    ) -> Result<(), Failure> {
        wanted.sort_unstable();
        let (client, object) = (&self.client, self.object);
        let gets = wanted.into_iter().map(|(key, id)| async move {
            let read_at = ReadAt::now();
            (key, read_at, client.call(&ObjectGet::new(object, id)).await)
        });
        let mut answers = stream::iter(gets).buffer_unordered(GETS_AT_ONCE);
        while let Some((key, read_at, answer)) = answers.next().await {
            let state = match answer {
                Ok(answer) => Found::Present(Present::of(&answer.0, &self.fields, read_at)),
                Err(error) if error.kind == ErrorKind::NotFound => Found::Missing(error.to_string()),
                Err(error) => match failing::ends_run(&error) {
                    Some(failure) => return Err(failure),
                    None => Found::Unread(error),
                },
            };
            states.insert(key, state);
        }
        Ok(())
    }

    /// The state of the objects that hold these values, by the value as it is compared.
    pub(crate) async fn by_key(
        &mut self,
        key: &objects::Key,
        wanted: HashSet<String>,
    ) -> Result<HashMap<String, Found>, Failure> {
        let mut holders: HashMap<String, Vec<Present>> = HashMap::new();
        let mut values: Vec<String> = wanted.iter().cloned().collect();
        // Lists may tell upper case from lower.
        values.extend(wanted.iter().map(|value| key.folded(value)));
        values.sort_unstable();
        values.dedup();
        let mut unread = HashMap::new();
        for values in values.chunks(KEYS_AT_ONCE) {
            let mut pages = Pages::new(ObjectList::with_key(self.object, key, values));
            loop {
                let read_at = ReadAt::now();
                let page = match pages.next(&self.client).await {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error) => {
                        if let Some(failure) = failing::ends_run(&error) {
                            return Err(failure);
                        }
                        unread.extend(values.iter().map(|value| (key.folded(value), error.clone())));
                        break;
                    }
                };
                for object in &page {
                    filters_by_key(self.object, key, values, object)?;
                    let present = Present::of(object, &self.fields, read_at);
                    for held in held(object, key) {
                        let all = holders.entry(held).or_default();
                        if !all.iter().any(|other| other.id == present.id) {
                            all.push(present.clone());
                        }
                    }
                }
            }
        }
        let states = wanted.into_iter().map(|value| {
            let value = key.folded(&value);
            let mut all = holders.remove(&value).unwrap_or_default();
            let state = match (all.len(), unread.remove(&value)) {
                (_, Some(error)) => Found::Unread(error),
                (0, None) => {
                    Found::Missing(format!("no {} has the {} `{value}`", self.object.name, key.name))
                }
                (1, None) => Found::Present(all.remove(0)),
                (_, None) => Found::Several(all.into_iter().map(|present| present.shown).collect()),
            };
            (value, state)
        });
        Ok(states.collect())
    }
}

/// Fails where a list has brought an object that has none of the keys that were asked for: it would go through all works
/// that there are, and no key would ever be found.
fn filters_by_key(
    object: &Object,
    key: &objects::Key,
    values: &[String],
    found: &Members,
) -> Result<(), Failure> {
    if object.creation.knows_key || held(found, key).iter().any(|held| values.contains(held)) {
        return Ok(());
    }
    let text = format!(
        "DevRev does not find {} by `{}`: asked for those with a key, it answered one without it. Name the rows' objects by \
         ID; nothing of this batch was sent",
        object.plural, key.name
    );
    Err(Failure::new(Exit::Unexpected, text))
}

/// Whether an object has this as its `external_ref`.
pub(super) fn has_key(object: &Object, found: &Members, value: &str) -> bool {
    let key = object.keys.iter().find(|key| key.name == EXTERNAL_REF);
    key.is_some_and(|key| held(found, key).iter().any(|held| held == value))
}

/// The objects that hold this as their `external_ref`.
pub(super) async fn holders(
    client: &ReadOnly,
    object: &Object,
    value: &str,
) -> Result<Vec<Members>, ApiError> {
    let Some(key) = object.keys.iter().find(|key| key.name == EXTERNAL_REF) else { return Ok(Vec::new()) };
    let mut pages = Pages::new(ObjectList::with_key(object, key, &[value.to_owned()]));
    let mut all: Vec<Members> = Vec::new();
    while let Some(page) = pages.next(client).await? {
        let found = page.into_iter().filter(|found| has_key(object, found, value));
        all.extend(
            found.filter(|one| !all.iter().any(|other| other.get("id") == one.get("id"))).collect::<Vec<_>>(),
        );
    }
    Ok(all)
}

/// The values of a key that an object holds.
fn held(object: &Members, key: &objects::Key) -> Vec<String> {
    let held = object.get(key.field).unwrap_or(&Value::Null);
    let list = held.as_array().map_or_else(|| std::slice::from_ref(held), Vec::as_slice);
    list.iter().filter_map(Value::as_str).map(|value| key.folded(value)).collect()
}
