//! `doctor`: what works and what does not, before a run depends on it. Reads only; what it makes on the disk is gone
//! when it ends.
//!
//! - [`api`]: DevRev: whether it is reached, its limits, its clock, the creator-group field; [`rights`]: what the
//!   token may do; [`unreached`]: what a failed call says; [`token`]: what the token says of itself
//! - [`snowflake`]: a login
//! - [`machine`]: the `.env` file, the folders, the room on the disk
//! - [`alerts`]: who is told about runs

mod alerts;
mod api;
mod machine;
mod rights;
#[cfg(feature = "snowflake")]
mod snowflake;
mod token;
mod unreached;

use crate::cli;
use crate::cli::around::Doctor;
use crate::cli::batch::BatchFlags;
use crate::exit::{Exit, Failure};
use crate::net;
use crate::report::doctor::{Check, DoctorReport};
use crate::report::terminal::{coloured_result, is_coloured, result};
use crate::run::signals;
use crate::settings::{Rates, Settings, proxy};
use crate::stop::Stop;

/// What cannot be checked while the settings are wrong.
const NEED_SETTINGS: [&str; 15] = [
    "base-url",
    "connection",
    "token",
    "identity",
    "latency",
    "group-field",
    "backfill",
    "merge",
    "update",
    "rate-limit",
    "clock",
    "runs-dir",
    "backup-dir",
    "disk-space",
    "alerts",
];

/// Checks what a run needs. The outcome is that of the worst check.
///
/// Fails only when a signal ends it, or the result cannot be written.
pub(crate) async fn run(args: Doctor, global: cli::Global) -> Result<Exit, Failure> {
    let stop = Stop::default();
    signals::listen_quietly(&stop).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
    })?;
    let report = stop
        .race(Box::pin(examine(&args, &global, &stop)))
        .await
        .ok_or_else(|| signals::interrupted(&stop, "interrupted"))?;
    let written = if global.json {
        result(&report.json().to_string())
    } else {
        // Its parts are clean: what is left are its own colours.
        coloured_result(&report.text(is_coloured(global.color, &std::io::stdout())))
    };
    written.map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write the report: {error}")).because(error)
    })?;
    Ok(report.exit())
}

/// Looks at everything; what waits for others does so side by side.
async fn examine(args: &Doctor, global: &cli::Global, stop: &Stop) -> DoctorReport {
    let flags = BatchFlags {
        runs_dir: args.runs_dir.clone(),
        backup_dir: args.backup_dir.clone(),
        client: args.client.clone(),
        ..BatchFlags::default()
    };
    let env_file = machine::env_file(global);
    #[cfg(feature = "snowflake")]
    let snowflake = snowflake::check(global, &args.client, stop);
    #[cfg(not(feature = "snowflake"))]
    let snowflake = std::future::ready(Check::ok("snowflake", "not in this build"));
    let checks = match Settings::resolve(global, &flags, Rates::Backfill) {
        Ok(settings) => {
            let tries = args.client.max_retries.as_ref().map_or(0, |_| settings.retry.max_retries);
            let (api, snowflake, machine, alerts) = tokio::join!(
                api::checks(&settings, args.sandbox, tries, stop),
                snowflake,
                machine::checks(&settings),
                alerts::checks(&settings.watch.alerts, args.send_test_alert),
            );
            let resolved = format!("none is wrong; ENVIRONMENT is `{}`", settings.environment);
            let mut checks = vec![Check::ok("settings", resolved)];
            checks.extend([env_file].into_iter().chain(through_proxy(&settings, args.sandbox)));
            checks.extend(api.into_iter().chain([snowflake]).chain(machine).chain(alerts));
            checks
        }
        Err(failure) => {
            let wrong = Check::problem("settings", failure.exit, failure.message, "correct them first");
            let mut checks = vec![wrong, env_file, snowflake.await];
            checks.extend(NEED_SETTINGS.map(|name| Check::not_checked(name, "the settings are wrong")));
            checks
        }
    };
    DoctorReport::new(checks)
}

/// What the environment says of a proxy, if it says anything.
fn through_proxy(settings: &Settings, sandbox: bool) -> Option<Check> {
    if let Err(error) = net::check_proxies() {
        return Some(Check::problem(
            "proxy",
            Exit::Usage,
            error.to_string(),
            "correct it in the environment",
        ));
    }
    let (name, value) = proxy()?;
    let is_used = !sandbox && settings.base_url.scheme() == "https";
    let used = if is_used {
        "calls go through it, unless NO_PROXY says otherwise"
    } else {
        "not used for this base URL"
    };
    Some(Check::ok("proxy", format!("{name} is {value}: {used}")))
}
