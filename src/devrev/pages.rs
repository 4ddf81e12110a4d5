//! Lists, page by page.

use super::operation::Operation;
use super::read_only::ReadOnly;
use crate::net::error::{ApiError, ErrorKind};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

/// The most that is asked of a page (DevRev's own bound unless a tenant has another).
pub(crate) const PAGE_LIMIT: u32 = 100;

/// Pages that a list may have before it is taken for endless: a million items.
const MOST_PAGES: usize = 10_000;

/// A list endpoint.
pub(crate) trait List: Operation {
    /// What is listed.
    type Item;
    /// Asks for the page after this cursor.
    fn after(&mut self, cursor: String);
    /// Asks for so many items a page.
    #[must_use]
    fn of_at_most(self, items: u32) -> Self;
    /// Takes an answer apart: its items and the next page's cursor.
    fn split(answer: Self::Answer) -> (Vec<Self::Item>, Option<String>);
}

/// Declares what a list endpoint answers, and how its request asks for the next page: alike for all whose request
/// has a `cursor`.
macro_rules! list_endpoint {
    ($(#[$doc:meta])+ $request:ident = $endpoint:literal -> $answer:ident { $items:ident: $item:ty }) => {
        $(#[$doc])+
        #[derive(Debug)]
        pub(crate) struct $answer {
            $items: Vec<$item>,
            next_cursor: Option<String>,
        }

        impl<'de> serde::Deserialize<'de> for $answer {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($items, next_cursor) = $crate::devrev::pages::page(deserializer, stringify!($items))?;
                Ok(Self { $items, next_cursor })
            }
        }

        impl $crate::devrev::operation::Operation for $request {
            const ENDPOINT: &'static str = $endpoint;
            const SAFETY: $crate::devrev::operation::Safety = $crate::devrev::operation::Safety::Read;
            type Answer = $answer;
        }

        impl $crate::devrev::pages::List for $request {
            type Item = $item;

            fn after(&mut self, cursor: String) {
                self.cursor = Some(cursor);
            }

            fn of_at_most(mut self, items: u32) -> Self {
                self.limit = items;
                self
            }

            fn split(answer: $answer) -> (Vec<$item>, Option<String>) {
                (answer.$items, answer.next_cursor)
            }
        }
    };
}
pub(super) use list_endpoint;

/// What else a page may say where its list is left out.
const BESIDE_A_LIST: [&str; 4] = ["next_cursor", "prev_cursor", "total", "count"];

/// Reads a page's list of this name, and the next page's cursor. `null` is an empty list, as Go writes one. So is a list
/// that is left out, but only where the answer says nothing else: `{"message": ...}` is no empty list, and what is taken
/// for one is missing from a backup.
pub(super) fn page<'de, D, T>(
    deserializer: D,
    name: &'static str,
) -> Result<(Vec<T>, Option<String>), D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    page_of_any(deserializer, &[name])
}

/// The same for a list that has one of these names.
pub(super) fn page_of_any<'de, D, T>(
    deserializer: D,
    names: &[&'static str],
) -> Result<(Vec<T>, Option<String>), D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    deserializer.deserialize_map(Page { names, items: PhantomData })
}

/// Reads a page in one go, without a copy of its text.
struct Page<'n, T> {
    names: &'n [&'static str],
    items: PhantomData<fn() -> T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Page<'_, T> {
    type Value = (Vec<T>, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut cursor, mut says_else) = (None, None, false);
        while let Some(name) = members.next_key::<String>()? {
            match &*name {
                name if self.names.contains(&name) => {
                    items = Some(members.next_value::<Option<Vec<T>>>()?.unwrap_or_default());
                }
                "next_cursor" => cursor = members.next_value::<Option<String>>()?,
                name => {
                    says_else |= !BESIDE_A_LIST.contains(&name);
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        match items {
            None if says_else => Err(A::Error::missing_field(self.names.first().unwrap_or(&"list"))),
            items => Ok((items.unwrap_or_default(), cursor)),
        }
    }
}

/// A list that is being read.
#[derive(Debug)]
pub(crate) struct Pages<O> {
    /// The next request, unless the end was reached.
    next: Option<O>,
    seen: HashSet<String>,
}

impl<O: List> Pages<O> {
    /// Begins at the first page.
    pub(crate) fn new(first: O) -> Self {
        Self { next: Some(first), seen: HashSet::new() }
    }

    /// Reads the next page; `None` after the last.
    ///
    /// A cursor that comes a second time is an error: such a list would never end.
    pub(crate) async fn next(&mut self, client: &ReadOnly) -> Result<Option<Vec<O::Item>>, ApiError> {
        // Taken only with the answer at hand: anyone who gives up waiting, or meets an error, has not reached the end.
        let Some(request) = &self.next else { return Ok(None) };
        let endpoint = request.endpoint();
        let (items, cursor) = O::split(client.call(request).await?);
        self.turn(endpoint, cursor)?;
        Ok(Some(items))
    }

    /// Turns to the page after this cursor.
    fn turn(&mut self, endpoint: &'static str, cursor: Option<String>) -> Result<(), ApiError> {
        let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else {
            self.next = None;
            return Ok(());
        };
        if self.seen.len() >= MOST_PAGES || !self.seen.insert(cursor.clone()) {
            let text = format!("the list does not end: cursor `{cursor}` came again or after too many pages");
            return Err(ApiError::unanswered(endpoint, ErrorKind::Paging, text));
        }
        if let Some(request) = &mut self.next {
            request.after(cursor);
        }
        Ok(())
    }

    /// Whether the last page was read.
    pub(crate) fn ended(&self) -> bool {
        self.next.is_none()
    }
}
