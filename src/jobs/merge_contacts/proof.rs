//! The proof of a merge whose secondary stays. Some tenants never delete it: it becomes `locked`, `shadow`, `archived`
//! or `deactivated`, and its works go to the primary. DevRev documents none of that, and people set these states too,
//! so a state by itself proves nothing: what the secondary had must be seen to have gone.

use super::change::MergeChange;
use super::held::Held;
use crate::backup::verify;
use crate::devrev::rev_users::{RevUser, contact_key};
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

/// The states in which a merge may leave its secondary.
const ENDED: [&str; 4] = ["locked", "shadow", "archived", "deactivated"];

/// Whether a contact is in a state in which a merge may leave it.
pub(crate) fn is_ended(contact: &RevUser) -> bool {
    contact.state.as_deref().is_some_and(|state| ENDED.contains(&state))
}

/// Both contacts before their merge, as they were backed up; null where the backup cannot be read.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The primary.
    pub primary: Value,
    /// The secondary.
    pub secondary: Value,
    /// The IDs of the secondary's works; `None` where the backup cannot be read.
    works: Option<HashSet<String>>,
}

impl Before {
    /// Reads the backups that a merge rests on. Blocks.
    pub(crate) fn read(change: &MergeChange) -> Self {
        let Some((primary, secondary)) = change.backups() else { return Self::default() };
        let contact = |folder: &Path| verify::metadata(folder).unwrap_or_default();
        Self {
            primary: contact(primary),
            secondary: contact(secondary),
            works: verify::work_ids(secondary).ok().map(|works| works.into_iter().collect()),
        }
    }

    /// Whether the secondary was active when its merge was sent.
    fn was_active(&self, change: &MergeChange) -> bool {
        let text = |member: &str| self.secondary.get(member).and_then(Value::as_str);
        let id = text("id").and_then(contact_key);
        id.is_some()
            && id == contact_key(&change.secondary.id)
            && text("state").unwrap_or("active") == "active"
    }

    /// Why a secondary that [has ended](is_ended) does not prove its merge; `None` when it does.
    ///
    /// With works: all that the backup knows must be the primary's, and none the secondary's. Without any, its
    /// reference must be gone from it, which no other contact than the primary may have by then.
    pub(crate) fn doubt(&self, change: &MergeChange, now: &RevUser, held: &Held) -> Option<String> {
        if !self.was_active(change) {
            return Some("its backup does not show that it was active before".to_owned());
        }
        let Some(works) = &self.works else { return Some("its backup cannot be read".to_owned()) };
        if !held.secondary_works.is_empty() {
            return Some(format!("{} works are still its own", held.secondary_works.len()));
        }
        let missing = works.iter().filter(|work| !held.primary_works.contains(*work)).count();
        if missing > 0 {
            let primary = &change.primary.display_id;
            return Some(format!("{missing} of its {} works are not seen to be {primary}'s", works.len()));
        }
        if !works.is_empty() {
            return None;
        }
        let given = |reference: &Option<String>| reference.clone().filter(|text| !text.is_empty());
        match given(&change.secondary.external_ref) {
            None => Some("it had no works and no external reference, so nothing shows the merge".to_owned()),
            Some(before) if given(&now.external_ref).as_ref() == Some(&before) => {
                Some("it had no works, and it still has its external reference".to_owned())
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::change;
    use super::super::look::Seen;
    use super::*;
    use serde_json::json;

    const ID: &str = "don:identity:x:devo/1:revu/1";

    fn doubt(before: &Value, works: Option<&[&str]>, now: &Value, held: [&[&str]; 2]) -> String {
        let mut change = change(&[]);
        change.secondary.external_ref = Some("user_1".to_owned());
        let set = |works: &[&str]| works.iter().map(ToString::to_string).collect::<HashSet<_>>();
        let before = Before { primary: Value::Null, secondary: before.clone(), works: works.map(set) };
        let held = Held {
            primary: Seen::Gone(String::new()),
            primary_works: set(held[0]),
            secondary: None,
            secondary_works: set(held[1]),
        };
        let now: RevUser = serde_json::from_value(now.clone()).unwrap();
        before.doubt(&change, &now, &held).unwrap_or_default()
    }

    #[test]
    fn works_that_have_gone_to_the_primary_prove_a_merge() {
        let (active, locked) = (json!({"id": ID, "state": "active"}), json!({"id": ID, "state": "locked"}));
        let two: Option<&[&str]> = Some(&["a", "b"]);
        assert_eq!(doubt(&active, two, &locked, [&["a", "b", "c"], &[]]), "");
        assert_eq!(doubt(&json!({"id": ID}), two, &locked, [&["a", "b"], &[]]), "");
        for (before, works, held, words) in [
            (&active, two, [&["a"][..], &[][..]], "1 of its 2 works"),
            (&active, two, [&["a", "b"], &["d"]], "1 works are still its own"),
            (&active, None, [&["a", "b"], &[]], "cannot be read"),
            (&locked, two, [&["a", "b"], &[]], "active before"),
            (&Value::Null, two, [&["a", "b"], &[]], "active before"),
            (&json!({"id": "REVU-9"}), two, [&["a", "b"], &[]], "active before"),
        ] {
            let said = doubt(before, works, &locked, held);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn without_works_the_reference_must_have_gone() {
        let active = json!({"id": ID, "state": "active"});
        let now = |reference: Value| json!({"id": ID, "state": "shadow", "external_ref": reference});
        let none: Option<&[&str]> = Some(&[]);
        assert_eq!(doubt(&active, none, &now(Value::Null), [&["c"], &[]]), "");
        assert_eq!(doubt(&active, none, &now(json!("")), [&[], &[]]), "");
        assert!(doubt(&active, none, &now(json!("user_1")), [&[], &[]]).contains("still has its external"));
    }

    #[test]
    fn only_four_states_are_an_end() {
        for (state, ended) in [
            (json!("locked"), true),
            (json!("shadow"), true),
            (json!("archived"), true),
            (json!("deactivated"), true),
            (json!("active"), false),
            (json!("unassigned"), false),
            (json!("deleted"), false),
            (Value::Null, false),
        ] {
            let contact = serde_json::from_value(json!({"id": ID, "state": state})).unwrap();
            assert_eq!(is_ended(&contact), ended, "{state}");
        }
    }
}
