//! Lists, page by page.

use super::error::{ApiError, ErrorKind};
use super::operation::Operation;
use super::read_only::ReadOnly;
use std::collections::HashSet;

/// The most that is asked of a page (DevRev's own bound unless a tenant has another).
pub const PAGE_LIMIT: u32 = 100;

/// Pages that a list may have before it is taken for endless: a million items.
const MOST_PAGES: usize = 10_000;

/// A list endpoint.
pub trait List: Operation {
    /// What is listed.
    type Item;
    /// Asks for the page after this cursor.
    fn after(&mut self, cursor: String);
    /// Takes an answer apart: its items and the next page's cursor.
    fn split(answer: Self::Answer) -> (Vec<Self::Item>, Option<String>);
}

/// Declares what a list endpoint answers, and how its request asks for the next page: alike for all whose request
/// has a `cursor`.
macro_rules! list_endpoint {
    ($(#[$doc:meta])+ $request:ident = $endpoint:literal -> $answer:ident { $items:ident: $item:ty }) => {
        $(#[$doc])+
        #[derive(Debug, serde::Deserialize)]
        pub struct $answer {
            $items: Vec<$item>,
            #[serde(default)]
            next_cursor: Option<String>,
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

            fn split(answer: $answer) -> (Vec<$item>, Option<String>) {
                (answer.$items, answer.next_cursor)
            }
        }
    };
}
pub(super) use list_endpoint;

/// A list that is being read.
#[derive(Debug)]
pub struct Pages<O> {
    /// The next request, unless the end was reached.
    next: Option<O>,
    seen: HashSet<String>,
}

impl<O: List> Pages<O> {
    /// Begins at the first page.
    pub fn new(first: O) -> Self {
        Self { next: Some(first), seen: HashSet::new() }
    }

    /// Reads the next page; `None` after the last.
    ///
    /// A cursor that comes a second time is an error: such a list would never end.
    pub async fn next(&mut self, client: &ReadOnly) -> Result<Option<Vec<O::Item>>, ApiError> {
        let Some(mut request) = self.next.take() else { return Ok(None) };
        let (items, cursor) = O::split(client.call(&request).await?);
        if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
            if self.seen.len() >= MOST_PAGES || !self.seen.insert(cursor.clone()) {
                let text =
                    format!("the list does not end: cursor `{cursor}` came again or after too many pages");
                return Err(ApiError::unanswered(O::ENDPOINT, ErrorKind::Paging, text));
            }
            request.after(cursor);
            self.next = Some(request);
        }
        Ok(Some(items))
    }

    /// Whether the last page was read.
    pub fn ended(&self) -> bool {
        self.next.is_none()
    }
}
