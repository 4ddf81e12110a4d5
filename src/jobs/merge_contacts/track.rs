//! A merge under way: its steps go onto the disk, and its end says what is known of it.

use super::backups::Trouble;
use super::change::MergeChange;
use super::settle::Settled;
use crate::engine::job::Applied;
use crate::exit::{Exit, Failure};
use crate::jobs::track;
use crate::journal::record::State;
use std::time::Duration;

/// A merge under way.
pub(crate) type Track<'s> = track::Track<'s, MergeChange>;

/// What reads have shown of a merge that is not proven.
pub(super) fn unproven(track: &Track<'_>, settled: Settled, timeout: Duration) -> Applied {
    let seconds = timeout.as_secs_f64();
    match settled {
        Settled::Elsewhere(text) => {
            let text = format!("{}: {text}; check it in DevRev", track.change.secondary.display_id);
            track.ended(State::Unknown, "merged-elsewhere", text)
        }
        Settled::Unproven { last, untouched } => {
            let acknowledged = track.change.is_acknowledged();
            let more = if untouched && acknowledged {
                "; DevRev has acknowledged it and may still carry it out, and both contacts are untouched: resume \
                 later; only if it never takes, `resume --resend-unproven` sends it again"
            } else if untouched {
                "; both contacts are untouched: if they still are in DevRev, `resume --resend-unproven` may send it \
                 again"
            } else {
                "; check both contacts in DevRev"
            };
            let text = format!("sent, and not seen to have taken within {seconds} s: {last}{more}");
            track.ended(State::Unknown, "not-proven", text)
        }
        _ => track.interrupted(),
    }
}

/// What a backup that could not be made or verified means: this pair is not merged.
pub(super) fn not_backed_up(track: &Track<'_>, trouble: Trouble) -> Applied {
    match trouble {
        Trouble::Unread(error) => track.failed("backup-failed", &error),
        Trouble::Full(text) => full(&text),
        Trouble::Disk(error) if error.is_full() => full(&error.to_string()),
        trouble @ Trouble::Disk(_) => track.ended(State::Failed, "backup-failed", words(&trouble)),
        trouble @ Trouble::Gone(_) => {
            track.ended(State::Failed, "backup-attachment-missing", words(&trouble))
        }
        trouble @ Trouble::Short(_) => track.ended(State::Failed, "backup-incomplete", words(&trouble)),
    }
}

/// No other pair would fare better.
fn full(text: &str) -> Applied {
    let text = format!("no room for backups: {text}; make room, or give another --backup-dir, then resume");
    Applied { outcome: None, halt: Some(Failure::new(Exit::Backup, text)) }
}

fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unread(error) => error.to_string(),
        Trouble::Disk(error) => error.to_string(),
        Trouble::Full(text) | Trouble::Gone(text) | Trouble::Short(text) => text.clone(),
    }
}
