//! Who reports on a run while it continues, as the settings say.

use crate::exit::Failure;
use crate::monitor::Monitor;
use crate::report::alerts::{self, Alerts};
use crate::report::metrics::{self, Asked, Metrics, Places};
use crate::report::progress::{Progress, Scope};
use crate::report::series::Series;
use crate::run::job::Job;
use crate::run::session::Session;
use crate::settings::Settings;
use std::collections::BTreeMap;

/// Gathers all who report of this run, and lets them begin. Fails when one of them cannot be had as it was asked for, such as an address
/// that is taken: before anything is sent.
pub(crate) async fn begin<J: Job>(session: &mut Session<J>, scope: Scope) -> Result<(), Failure> {
    let progress = Progress::new(session.terminal.clone(), session.quiet, scope);
    session.reporters.add(progress);
    let watch = &session.settings.watch;
    session.monitor = if watch.monitor { Monitor::begin() } else { None };

    let places = Places {
        file: watch.metrics_file.clone().map(|value| asked(value, &session.settings, "METRICS_FILE")),
        listen: watch.metrics_listen.map(|value| asked(value, &session.settings, "METRICS_LISTEN")),
    };
    let manifest = &session.manifest;
    let about = metrics::About {
        run: manifest.id.clone(),
        command: manifest.command.clone(),
        dry_run: manifest.dry_run,
        began: manifest.created_at,
        since: session.since,
        rows: scope.total,
        before: before(session),
    };
    if let Some(metrics) = Metrics::begin(places, about, &session.terminal).await? {
        session.reporters.add(metrics);
    }

    let about = alerts::About {
        run: manifest.id.clone(),
        command: manifest.command.clone(),
        target: manifest.base_url.clone(),
        environment: session.settings.environment.clone(),
        dry_run: manifest.dry_run,
        in_sandbox: session.job.in_sandbox(),
        rows: scope.total,
    };
    let (terminal, quiet, stop) = (&session.terminal, session.quiet, &session.stop);
    if let Some(alerts) = Alerts::begin(&watch.alerts, about, terminal, quiet, stop) {
        session.reporters.add(alerts);
    }
    Ok(())
}

/// What the charts of this process's work are made of.
#[derive(Debug)]
pub(crate) struct Charted {
    /// What was done when.
    pub series: Series,
    /// Whether earlier processes have worked on the run: their work is in no chart.
    pub resumed: bool,
}

/// Keeps what the charts need from now on. To be called before the engine takes the replay.
pub(crate) fn chart<J: Job>(session: &mut Session<J>) -> Charted {
    let series = Series::default();
    session.reporters.add(series.keeper());
    Charted { series, resumed: session.replay.next_seq > 0 }
}

/// A setting with where it came from.
fn asked<T>(value: T, settings: &Settings, name: &str) -> Asked<T> {
    Asked { value, from: settings.origin(name).to_owned() }
}

/// Rows by state that earlier processes have settled, and that this one leaves as they are.
fn before<J: Job>(session: &Session<J>) -> BTreeMap<String, u64> {
    let mut counts = session.replay.counts.clone();
    counts.remove("unknown");
    counts
}
