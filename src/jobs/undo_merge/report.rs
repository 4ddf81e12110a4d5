//! What `report.json` says of a pair that was undone.

use super::change::MergeUndo;
use crate::journal::record::Outcome;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// A pair in `report.json`. `new_id` is there once there is a new contact: `undo-id-map.csv` is made of these.
pub(crate) fn pair(change: &MergeUndo, outcome: &Outcome) -> Option<Box<RawValue>> {
    let mut report = json!({
        "email": change.email,
        "state": outcome.state.name(),
        "primary": {"id": change.primary.id, "display_id": change.primary.display_id},
        "secondary": {"old_id": change.secondary.id, "old_display_id": change.secondary.display_id},
        "put_back": change.written(),
        "works": {"to_point": change.works.len(), "pointed": change.pointed(), "refused": change.refused()},
        "left": change.all_left(),
        "cannot_come_back": change.cannot_come_back,
        "backups": change.backups,
        "steps": change.steps,
    });
    if let Some(new) = change.new_contact() {
        report["secondary"]["new_id"] = json!(new.id);
        report["secondary"]["new_display_id"] = json!(new.display_id);
        // Read by merges to come: see `merge_contacts::restored`.
        report["secondary"]["was_verified"] = json!(change.secondary.was_verified);
        report["secondary"]["was_there"] = json!(change.secondary.already.is_some());
    }
    if let Some(reason) = &outcome.reason {
        report["reason"] = json!(reason);
        report["detail"] = json!(outcome.detail);
    }
    to_raw_value(&report).ok()
}
