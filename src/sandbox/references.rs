//! Objects as other objects name them: whether there is one with an ID, and how it is shown.

use super::dons::{core_don, display_id};
use super::error::ApiError;
use super::state::State;
use super::summary::rev_org;
use super::world::World;
use crate::devrev::ids::{ObjectType, Ref};
use serde_json::{Value, json};

/// Every type that has an ID here.
const ALL: &[ObjectType] = &[
    ObjectType::DevUser,
    ObjectType::RevUser,
    ObjectType::ServiceAccount,
    ObjectType::SysUser,
    ObjectType::Group,
    ObjectType::Artifact,
    ObjectType::Account,
    ObjectType::Workspace,
    ObjectType::Tag,
    ObjectType::Product,
    ObjectType::Capability,
    ObjectType::Feature,
    ObjectType::Enhancement,
];

impl World {
    /// How the object with this ID is shown within others, its DON as `id`; `None` where there is none.
    pub(super) fn reference(&self, state: &State, id: &str) -> Option<Value> {
        let named = Ref::parse(id, ALL).ok()?;
        match named.object {
            ObjectType::DevUser | ObjectType::RevUser | ObjectType::ServiceAccount | ObjectType::SysUser => {
                let user = self.existing_user(state, "id", id).ok()?;
                serde_json::to_value(self.summary(state, user)?).ok()
            }
            ObjectType::Group => {
                let group = self.groups.get(self.group(id)? as usize)?;
                serde_json::from_str(group.native.get()).ok()
            }
            ObjectType::Artifact => {
                serde_json::to_value(self.file(self.object(id, &[ObjectType::Artifact])?.number)?).ok()
            }
            ObjectType::Account => {
                let account = state.accounts.get(self.object(id, &[ObjectType::Account])?.number)?;
                Some(json!({
                    "type": "account",
                    "id": account.don,
                    "display_id": account.display_id,
                    "display_name": account.stock.get("display_name"),
                }))
            }
            ObjectType::Workspace => {
                let workspace = state.workspaces.named(id)?;
                let name = workspace.stock.get("display_name").and_then(Value::as_str)?;
                let mut shown = serde_json::to_value(rev_org(&self.org, name)).ok()?;
                // The ID stays that of the first name.
                shown["id"] = workspace.don.as_str().into();
                shown["display_id"] = workspace.display_id.as_str().into();
                Some(shown)
            }
            ObjectType::Tag => {
                let number = self.object(id, &[ObjectType::Tag])?.number;
                let tag = state.tags.iter().find(|tag| tag.number == number)?;
                Some(json!({
                    "id": core_don(&self.org, ObjectType::Tag, number),
                    "display_id": display_id(ObjectType::Tag, number),
                    "name": tag.name,
                }))
            }
            object => {
                let number = self.object(id, &[object])?.number;
                let part =
                    self.parts.iter().find(|part| part.kind.object() == object && part.number == number)?;
                Some(json!({
                    "type": part.kind,
                    "id": core_don(&self.org, object, number),
                    "display_id": display_id(object, number),
                    "name": part.name,
                    "owned_by": self.summaries(state, &[self.own]),
                }))
            }
        }
    }

    /// The DON of the object of one of these types that an ID names; refused where there is none.
    pub(super) fn don(
        &self,
        state: &State,
        field: &str,
        types: &[ObjectType],
        id: &str,
    ) -> Result<Value, ApiError> {
        let none = |_| ApiError::invalid_id(field, format!("`{id}` is not the ID of such an object"));
        Ref::parse(id, types).map_err(none)?;
        let found = self.reference(state, id).map(|mut shown| shown["id"].take());
        found.ok_or_else(|| ApiError::invalid_id(field, format!("there is no object `{id}`")))
    }
}
