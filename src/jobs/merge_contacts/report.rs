//! What `report.json` says of a pair.

use super::change::{MergeChange, Side};
use super::pair::{Contact, Pair};
use crate::journal::record::Outcome;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// A pair that ended before both contacts were known: as its rows describe it.
pub(crate) fn rows(pair: &Pair, outcome: Outcome) -> Outcome {
    let contact = |contact: &Contact| {
        json!({
            "id": contact.id,
            "row": contact.row,
            "display_name": contact.display_name,
            "external_ref": contact.external_ref,
        })
    };
    let report = json!({
        "email": pair.email,
        "state": outcome.state.name(),
        "primary": {"before": contact(&pair.primary)},
        "secondary": contact(&pair.secondary),
        "steps": [],
        "reason": outcome.reason,
        "detail": outcome.detail,
    });
    outcome.reported(to_raw_value(&report).ok())
}

/// A pair in `report.json`.
pub(crate) fn pair(change: &MergeChange, outcome: &Outcome) -> Option<Box<RawValue>> {
    let before = |side: &Side| {
        json!({
            "id": side.id,
            "display_id": side.display_id,
            "row": side.row.row,
            "display_name": side.display_name,
            "external_ref": side.external_ref,
            "tickets": side.tickets,
            "works": side.works,
            "conversations": side.conversations,
        })
    };
    let mut report = json!({
        "email": change.email,
        "state": outcome.state.name(),
        "primary": {"before": before(&change.primary)},
        "secondary": before(&change.secondary),
        "steps": change.steps,
    });
    if let Some(after) = &change.after {
        report["primary"]["after"] = json!({
            "display_name": after.get("display_name"),
            "external_ref": after.get("external_ref"),
            "state": after.get("state"),
        });
    }
    if let Some(after) = &change.secondary_after {
        report["secondary"]["after"] = json!({"external_ref": after.external_ref, "state": after.state});
    }
    if let Some(moved) = change.moved() {
        report["works_moved"] = json!(moved);
        report["tickets_moved"] = json!(change.secondary.tickets);
    }
    if change.missing() > 0 {
        report["attachments_missing"] = json!(change.missing());
    }
    if let Some((primary, secondary)) = change.backups() {
        report["backups"] = json!({"primary": primary, "secondary": secondary});
    }
    if let Some(reason) = &outcome.reason {
        report["reason"] = json!(reason);
        report["detail"] = json!(outcome.detail);
    }
    to_raw_value(&report).ok()
}
