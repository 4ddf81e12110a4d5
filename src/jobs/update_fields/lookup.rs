//! The present state of a batch's objects, in few calls.
//!
//! Lists have no filter by ID, but a page of a list answers a hundred objects: where the input names many of the objects
//! that a list brings, its pages cost less than a call each. There are two kinds: all objects of the type in the order of
//! creation, and those that some users created, for inputs that say who did. Pages are read only while that pays (see
//! [`Budget`]), and what they bring beyond the batch is kept for the next ones, within bounds of number and age. The rest
//! is read one by one. Correctness never rests on a list being whole.

use super::value;
use crate::devrev::any_object::{Members, ObjectGet, ObjectList};
use crate::devrev::ids::{Key, ObjectType, Ref, UserId};
use crate::devrev::objects::{self, Field, Object};
use crate::devrev::pages::{PAGE_LIMIT, Pages};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::users::UserSummary;
use crate::exit::{Exit, Failure};
use crate::jobs::failing;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::{Outcome, State};
use crate::net::error::{ApiError, ErrorKind};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// How old a value may be when its change is sent.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(300);
/// How old a kept value may be when a batch is prepared: the batch still has to wait for the one before it.
const KEPT_AGE: Duration = Duration::from_secs(240);
/// Objects that are kept for later batches: some 20 MB.
const MOST_KEPT: usize = 50_000;
/// Creators in one list.
const CREATORS: usize = 100;
/// Creators whose objects are listed; of more, objects are read one by one. Bounds the memory: some 40 MB.
const MOST_CREATORS: usize = 100_000;
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
    /// Who created it, if DevRev says.
    pub creator: Option<Key>,
    /// The fields that matter, in their order.
    pub values: Vec<Value>,
    /// When it was read.
    pub read_at: ReadAt,
    /// Whether a list showed it, which may lag behind, and not its own read.
    pub is_listed: bool,
}

impl Present {
    /// What an answer shows of these fields.
    fn of(object: &Members, fields: &[Field], read_at: ReadAt, is_listed: bool) -> Self {
        let text = |member: &str| object.get(member).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").unwrap_or_default();
        Self {
            shown: text("display_id").unwrap_or_else(|| id.clone()),
            id,
            subtype: text("subtype").filter(|subtype| !subtype.is_empty()),
            creator: object.get("created_by").and_then(UserSummary::key_in),
            values: fields.iter().map(|field| value::of(field, object)).collect(),
            read_at,
            is_listed,
        }
    }

    /// Whether an ID in a row names this object: a DON with the place that it names, a display ID by its number.
    pub(crate) fn is_named(&self, id: &str, types: &[ObjectType]) -> bool {
        let named = Ref::parse(id, types);
        if id.starts_with("don:") && self.id.starts_with("don:") {
            let place = crate::devrev::ids::Place::of;
            let agrees = place(id).zip(place(&self.id)).is_none_or(|(one, other)| one.agrees(&other));
            return agrees && named == Ref::parse(&self.id, types);
        }
        named == Ref::parse(&self.id, types) || named == Ref::parse(&self.shown, types)
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

impl Found {
    /// The object, or else the outcome of its row. `is_in_doubt`: an earlier process may have changed it.
    pub(crate) fn present(state: Option<Self>, is_in_doubt: bool) -> Result<Present, Outcome> {
        match state {
            Some(Self::Present(present)) => Ok(present),
            Some(Self::Missing(words)) => Err(Outcome::of(State::Failed, "not-found", words)),
            // What was in doubt stays so until a read succeeds.
            Some(Self::Unread(error)) if is_in_doubt => {
                let text = format!("could not be read: {error}");
                Err(Outcome::of(State::Unknown, "not-confirmed", text))
            }
            Some(Self::Unread(error)) => Err(failing::unread(&error)),
            None | Some(Self::Several(_)) => {
                Err(Outcome::of(State::Failed, "defect", "a defect: the object was not read"))
            }
        }
    }
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
/// few more to find out: so reads stay under a call a row, whatever else there is. Where the input names a good part of
/// all objects, they may all be read.
#[derive(Debug, Default)]
struct Budget {
    free: u64,
    wanted: u64,
    saved: u64,
    pages: u64,
}

impl Budget {
    fn new(extent: Extent) -> Self {
        let pages = extent.greatest / u64::from(PAGE_LIMIT) + 2;
        let pays = extent.greatest > 0 && pages < extent.rows / 4;
        Self { free: if pays { pages } else { 0 }, ..Self::default() }
    }

    fn has_free_pages(&self) -> bool {
        self.pages < self.free
    }

    fn allows_page(&self) -> bool {
        self.has_free_pages() || self.pages < self.saved + 3 + self.wanted / 50
    }
}

/// A list under way. It continues where it stopped when a later batch wants more of it.
#[derive(Debug)]
struct OpenList {
    /// Whose objects it has; all objects if nobody's.
    creators: Vec<String>,
    pages: Pages<ObjectList>,
    began: ReadAt,
    /// The greatest number that it has brought so far.
    passed: u64,
    read: u64,
    found: u64,
    /// It brings too little, or DevRev refuses it: its objects are read one by one.
    given_up: bool,
}

impl OpenList {
    fn new(object: &Object, creators: Vec<String>) -> Self {
        let list = if creators.is_empty() {
            ObjectList::of(object, Members::new())
        } else {
            ObjectList::created_by(object, &creators)
        };
        let (pages, began) = (Pages::new(list), ReadAt::now());
        Self { creators, pages, began, passed: 0, read: 0, found: 0, given_up: false }
    }

    /// Whether it may still bring an object: all works come in the order of their numbers.
    fn may_bring(&self, object: &Object, number: Option<u64>) -> bool {
        !self.creators.is_empty()
            || object.work_type.is_none()
            || number.is_none_or(|number| number > self.passed)
    }

    /// Three pages that bring nothing, and one in three from then on.
    fn pays(&self, budget: &Budget) -> bool {
        let found = if self.creators.is_empty() { budget.saved } else { self.found };
        budget.has_free_pages() || self.read < 3 + 3 * found
    }
}

/// Looks objects up and keeps what it learns by the way.
#[derive(Debug)]
pub(crate) struct Lookup {
    client: ReadOnly,
    object: &'static Object,
    fields: Vec<Field>,
    /// Boxed, for half of a large table is empty.
    kept: HashMap<Key, Box<Present>>,
    /// The first is the list of all objects.
    lists: Vec<OpenList>,
    /// The list that has the objects of a creator.
    list_of: HashMap<Key, usize>,
    budget: Budget,
}

/// What may bring an object.
#[derive(Debug, Clone)]
enum By {
    /// Only its own read tells how it is: a list may lag behind.
    ItsOwnRead,
    /// The list of all objects.
    AllObjects,
    /// The list of those that this user created.
    Creator(Key, String),
}

/// An object to look up.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    key: Key,
    id: String,
    by: By,
}

impl Wanted {
    /// The object with this ID, which the list of its creator's objects may bring. Without a creator only its own read
    /// tells how it is.
    pub(crate) fn by_creator(key: Key, id: &str, creator: Option<&UserId>) -> Self {
        let by =
            creator.map_or(By::ItsOwnRead, |creator| By::Creator(creator.key(), creator.as_str().to_owned()));
        Self { key, id: id.to_owned(), by }
    }
}

impl Lookup {
    /// Nothing is known yet. `fields` are those that matter.
    pub(crate) fn new(client: ReadOnly, object: &'static Object, fields: Vec<Field>, extent: Extent) -> Self {
        Self {
            client,
            object,
            fields,
            kept: HashMap::new(),
            lists: vec![OpenList::new(object, Vec::new())],
            list_of: HashMap::new(),
            budget: Budget::new(extent),
        }
    }

    /// The state of every wanted object, by its key: each by its ID, and whether only its own read tells how it is.
    pub(crate) async fn by_id(
        &mut self,
        wanted: Vec<(String, bool)>,
    ) -> Result<HashMap<Key, Found>, Failure> {
        let types = self.object.types;
        let wanted = wanted.iter().filter_map(|(id, singly)| {
            let by = if *singly { By::ItsOwnRead } else { By::AllObjects };
            Some(Wanted { key: Ref::parse(id, types).ok()?.key(), id: id.clone(), by })
        });
        self.states(wanted.collect()).await
    }

    /// The state of every wanted object, by its key. An error ends the run.
    pub(crate) async fn states(&mut self, wanted: Vec<Wanted>) -> Result<HashMap<Key, Found>, Failure> {
        let mut states = HashMap::with_capacity(wanted.len());
        let mut open: HashMap<Key, Wanted> = HashMap::new();
        // What no list is asked for: only its own read tells, or what is left of the list has passed it.
        let mut alone = Vec::new();
        self.budget.wanted += wanted.len() as u64;
        for object in wanted {
            match self.kept.remove(&object.key) {
                _ if matches!(object.by, By::ItsOwnRead) => alone.push(object),
                Some(present) if present.read_at.age() < KEPT_AGE => {
                    self.budget.saved += 1;
                    states.insert(object.key, Found::Present(*present));
                }
                Some(_) if self.is_under_way(&object) => alone.push(object),
                _ => drop(open.insert(object.key.clone(), object)),
            }
        }
        for place in self.lists_for(&open) {
            self.read_list(place, &mut open, &mut states).await?;
        }
        alone.extend(open.into_values());
        self.read_singly(alone, &mut states).await?;
        Ok(states)
    }

    /// The list that may bring an object.
    fn place_of(&self, object: &Wanted) -> Option<usize> {
        match &object.by {
            By::ItsOwnRead => None,
            By::AllObjects => Some(0),
            By::Creator(creator, _) => self.list_of.get(creator).copied(),
        }
    }

    /// Whether the list that may bring an object is under way.
    fn is_under_way(&self, object: &Wanted) -> bool {
        self.place_of(object).is_some_and(|place| !self.lists[place].pages.ended())
    }

    /// The lists that may hold open objects: those under way, and new ones for creators without. Lists with the most
    /// open objects come first.
    fn lists_for(&mut self, open: &HashMap<Key, Wanted>) -> Vec<usize> {
        let mut newcomers: Vec<(&Key, &str)> = Vec::new();
        let mut seen: HashSet<&Key> = HashSet::new();
        let mut demand: HashMap<usize, usize> = HashMap::new();
        for object in open.values() {
            match (self.place_of(object), &object.by) {
                (Some(place), _) => *demand.entry(place).or_default() += 1,
                (None, By::Creator(creator, id)) => {
                    if self.list_of.len() + newcomers.len() < MOST_CREATORS && seen.insert(creator) {
                        newcomers.push((creator, id));
                    }
                }
                (None, By::ItsOwnRead | By::AllObjects) => {}
            }
        }
        newcomers.sort_unstable();
        for creators in newcomers.chunks(CREATORS) {
            let place = self.lists.len();
            let ids = creators.iter().map(|(_, id)| (*id).to_owned()).collect();
            self.lists.push(OpenList::new(self.object, ids));
            for (creator, _) in creators {
                self.list_of.insert((*creator).clone(), place);
            }
            demand.insert(place, creators.len());
        }
        for place in demand.keys() {
            // A list that was read to its end has nothing to add, until its values are too old: then it is
            // started again. One that is under way continues, and its next pages are as fresh as can be.
            let list = &mut self.lists[*place];
            if list.pages.ended() && !list.given_up && list.began.age() >= KEPT_AGE {
                *list = OpenList::new(self.object, std::mem::take(&mut list.creators));
            }
        }
        let mut places: Vec<_> = demand.into_iter().collect();
        places.sort_unstable_by_key(|(place, objects)| (std::cmp::Reverse(*objects), *place));
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// Reads pages of a list while open objects may be on it and it pays.
    async fn read_list(
        &mut self,
        place: usize,
        open: &mut HashMap<Key, Wanted>,
        states: &mut HashMap<Key, Found>,
    ) -> Result<(), Failure> {
        let most_pages = open.values().filter(|object| self.place_of(object) == Some(place)).count();
        let mut pages = 0;
        while (pages < most_pages || self.budget.has_free_pages())
            && self.budget.allows_page()
            && open.values().any(|object| {
                self.place_of(object) == Some(place)
                    && self.lists[place].may_bring(self.object, object.key.number())
            })
        {
            let list = &mut self.lists[place];
            if list.given_up || list.pages.ended() {
                return Ok(());
            }
            let read_at = ReadAt::now();
            let page = match list.pages.next(&self.client).await {
                Ok(page) => page.unwrap_or_default(),
                Err(error) => {
                    list.given_up = true;
                    if let Some(failure) = failing::ends_run(&error) {
                        return Err(failure);
                    }
                    tracing::warn!("{error}; these {} are read one by one", self.object.plural);
                    return Ok(());
                }
            };
            pages += 1;
            self.budget.pages += 1;
            list.read += 1;
            for object in &page {
                let present = Present::of(object, &self.fields, read_at, true);
                let parse = |id| Ref::parse(id, self.object.types);
                let Ok(named) = parse(&present.id).or_else(|_| parse(&present.shown)) else { continue };
                list.passed = list.passed.max(named.number().unwrap_or(0));
                let key = named.key();
                if open.remove(&key).is_some() {
                    list.found += 1;
                    self.budget.saved += 1;
                    states.insert(key, Found::Present(present));
                } else if !states.contains_key(&key) {
                    self.kept.insert(key, Box::new(present));
                }
            }
            list.given_up = !list.pays(&self.budget);
            self.forget_the_oldest();
        }
        Ok(())
    }

    /// Keeps the number of kept objects within bounds: the older half goes.
    fn forget_the_oldest(&mut self) {
        if self.kept.len() < MOST_KEPT {
            return;
        }
        let mut ages: Vec<Instant> = self.kept.values().map(|present| present.read_at.0).collect();
        let middle = ages.len() / 2;
        let (_, middle, _) = ages.select_nth_unstable(middle);
        let middle = *middle;
        self.kept.retain(|_, present| present.read_at.0 > middle);
    }

    async fn read_singly(
        &mut self,
        mut wanted: Vec<Wanted>,
        states: &mut HashMap<Key, Found>,
    ) -> Result<(), Failure> {
        wanted.sort_unstable_by(|one, other| {
            (one.key.number(), &one.key).cmp(&(other.key.number(), &other.key))
        });
        let (client, object) = (&self.client, self.object);
        let gets = wanted.into_iter().map(|Wanted { key, id, .. }| async move {
            let read_at = ReadAt::now();
            (key, read_at, client.call(&ObjectGet::new(object, id)).await)
        });
        let mut answers = stream::iter(gets).buffer_unordered(GETS_AT_ONCE);
        while let Some((key, read_at, answer)) = answers.next().await {
            let state = match answer {
                Ok(answer) => Found::Present(Present::of(&answer.0, &self.fields, read_at, false)),
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
                    let present = Present::of(object, &self.fields, read_at, true);
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

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
