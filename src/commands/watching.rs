//! Who reports of a run while it goes on, as the settings say.

use super::job::Job;
use super::session::Session;
use crate::exit::Failure;
use crate::report::progress::{Progress, Scope};
use crate::report::series::Series;

/// Gathers all who report of this run, and lets them begin. Fails when one of them cannot be had as it was asked for, such as an address
/// that is taken: before anything is sent.
pub async fn begin<J: Job>(session: &mut Session<J>, scope: Scope) -> Result<(), Failure> {
    let progress = Progress::new(session.terminal.clone(), session.quiet, scope);
    session.reporters.add(progress);
    Ok(())
}

/// What the charts of this process's work are made of.
#[derive(Debug)]
pub struct Charted {
    /// What was done when.
    pub series: Series,
    /// Whether earlier processes have worked on the run: their work is in no chart.
    pub resumed: bool,
}

/// Keeps what the charts need from now on. To be called before the engine takes the replay.
pub fn chart<J: Job>(session: &mut Session<J>) -> Charted {
    let series = Series::default();
    session.reporters.add(series.keeper());
    Charted { series, resumed: session.replay.next_seq > 0 }
}
