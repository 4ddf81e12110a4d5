//! `tags.create`.

use super::any_object::ObjectAnswer;
use super::operation::{Operation, Safety};
use serde::Serialize;

/// `tags.create`. The API file says that a tag's name is unique across all tags: sent twice, it makes one tag.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TagCreate {
    name: String,
}

impl TagCreate {
    /// Creates a tag with this name.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Operation for TagCreate {
    const ENDPOINT: &'static str = "tags.create";
    const SAFETY: Safety = Safety::Write;
    type Answer = ObjectAnswer;
}
