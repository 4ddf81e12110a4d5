//! The look just before merges are sent: as both contacts are then, they are merged.

use super::belongings;
use super::change::{Found, MergeChange, Shown};
use super::decide;
use super::look::{self, Seen};
use super::pair::Pair;
use super::restored::Made;
use crate::devrev::ids::{Key, RevUserId};
use crate::devrev::read_only::ReadOnly;
use crate::devrev::rev_users::contact_key;
use crate::devrev::whole::Whole;
use crate::devrev::works::OwnedWork;
use crate::jobs::read_at::ReadAt;
use crate::journal::record::Outcome;
use crate::net::error::ApiError;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Looks at many pairs again, just before they are merged: as they are then, they are merged.
pub(super) async fn look_again(
    reads: ReadOnly,
    pairs: Vec<MergeChange>,
    made: Arc<Made>,
) -> Result<Vec<Result<Arc<Found>, Outcome>>, ApiError> {
    let read_at = ReadAt::now();
    let wanted: Vec<_> = pairs.iter().flat_map(|pair| [&pair.primary.row, &pair.secondary.row]).collect();
    let seen = look::contacts(&reads, &wanted).await?;
    let ids: Vec<String> =
        pairs.iter().flat_map(|pair| [pair.primary.id.clone(), pair.secondary.id.clone()]).collect();
    let mut works: HashMap<Key, _> = belongings::works(&reads, &ids).await?;
    let mut answers = Vec::with_capacity(pairs.len());
    for change in &pairs {
        answers.push(one_again(change, &seen, &mut works, &made, read_at));
    }
    Ok(answers)
}

fn one_again(
    change: &MergeChange,
    seen: &HashMap<Key, Seen>,
    works: &mut HashMap<Key, Vec<Arc<Whole<OwnedWork>>>>,
    made: &Made,
    read_at: ReadAt,
) -> Result<Arc<Found>, Outcome> {
    let pair = Pair {
        email: change.email.clone(),
        primary: change.primary.row.clone(),
        secondary: change.secondary.row.clone(),
    };
    let of = |id: &RevUserId| seen.get(&id.key());
    let (primary, secondary) = decide::both(&pair, of(&pair.primary.id), of(&pair.secondary.id), made)?;
    let mut kept = |contact: &Whole<_>, id: &str| {
        let works = contact_key(id).and_then(|key| works.remove(&key)).unwrap_or_default();
        let belongings = belongings::Belongings { works, conversations: Vec::new() };
        Shown { contact: contact.clone(), belongings }
    };
    let (primary, secondary) = (kept(primary, &change.primary.id), kept(secondary, &change.secondary.id));
    Ok(Arc::new(Found { primary, secondary, read_at }))
}

/// Whether both contacts have the same works.
pub(super) fn same_works(one: &Found, other: &Found) -> bool {
    one.primary.belongings.work_ids() == other.primary.belongings.work_ids()
        && one.secondary.belongings.work_ids() == other.secondary.belongings.work_ids()
}

/// Whether both contacts are as they were, whatever the order of their members.
pub(super) fn same_contacts(one: &Found, other: &Found) -> bool {
    let same = |one: &Shown, other: &Shown| {
        let (one, other) = (one.contact.raw.get(), other.contact.raw.get());
        one == other
            || matches!(
                (serde_json::from_str::<Value>(one), serde_json::from_str::<Value>(other)),
                (Ok(one), Ok(other)) if one == other
            )
    };
    same(&one.primary, &other.primary) && same(&one.secondary, &other.secondary)
}

/// How a pair differs from what was planned, if it does: in what the plan says of it that a look just before the merge shows.
pub(super) fn drift(change: &MergeChange, found: &Found, seen: &Found) -> Option<String> {
    for (side, now) in [(&change.primary, &seen.primary), (&change.secondary, &seen.secondary)] {
        let contact = &now.contact.read;
        let values = [
            ("display name", &side.display_name, &contact.display_name),
            ("external reference", &side.external_ref, &contact.external_ref),
        ];
        if let Some((name, before, now)) = values.into_iter().find(|(_, before, now)| before != now) {
            let shown = |value: &Option<String>| {
                value.as_ref().map_or_else(|| "none".to_owned(), |value| format!("`{value}`"))
            };
            return Some(format!("{}: {name} {} -> {}", side.display_id, shown(before), shown(now)));
        }
    }
    (!same_works(found, seen)).then(|| "works came or went meanwhile".to_owned())
}
