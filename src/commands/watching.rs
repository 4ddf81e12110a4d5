//! Who reports of a run while it goes on, as the settings say.

use super::job::Job;
use super::session::Session;
use crate::exit::Failure;
use crate::report::progress::{Progress, Scope};

/// Gathers all who report of this run, and lets them begin. Fails when one of them cannot be had as it was asked for, such as an address
/// that is taken: before anything is sent.
pub async fn begin<J: Job>(session: &mut Session<J>, scope: Scope) -> Result<(), Failure> {
    let progress = Progress::new(session.terminal.clone(), session.quiet, scope);
    session.reporters.add(progress);
    Ok(())
}
