//! `validate --job`: what is wrong with a job file, and with `--online` what its checks say of the target.

use super::checks;
use super::error::LoadError;
use super::options::LoadOptions;
use crate::cli;
use crate::cli::client::ClientFlags;
use crate::exit::{Exit, Failure};
use crate::net::retry::RetryPolicy;
use crate::report::terminal::{Terminal, result};
use crate::report::units::counted;
use crate::run::signals;
use crate::settings::Settings;
use crate::stop::Stop;
use std::path::Path;
use std::time::Duration;

/// How often `validate --online` asks again, if the job file does not say.
const ONLINE: RetryPolicy = RetryPolicy { max_retries: 3, base: Duration::from_secs(1) };

/// `validate --job`: checks a job file, and with `--online` what its checks say of the target.
pub(crate) async fn run(
    path: &Path,
    args: &cli::input::Validate,
    global: &cli::Global,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let options = LoadOptions::of_file(path, &args.param, global, args.sandbox)?;
    let known = options.job()?;
    // Those by ranges of a key and those of Kafka are asked for in the source.
    let mut slices = if known.file.asks_for_slices() { None } else { Some(options.uncut_slices()?) };
    let mut failed = Vec::new();
    // Of what goes into DevRev there is nothing to check.
    let asks = args.online && known.file.target.value.devrev.is_none();
    if asks {
        let stop = Stop::default();
        signals::listen(&stop, terminal).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
        })?;
        let (store, terms) = (options.store(ONLINE)?, options.terms("")?);
        store.identity(&stop).await.map_err(LoadError::failure)?;
        let all = match slices.take() {
            Some(slices) => slices,
            // No check looks at them.
            None if known.file.kafka().is_some() => Vec::new(),
            None => {
                options.slices(&Settings::for_client(global, &ClientFlags::default())?, None, &stop).await?
            }
        };
        failed = checks::run(&known.file, &store, &terms, &all, &stop).await.map_err(LoadError::failure)?;
        slices = Some(all).filter(|_| known.file.kafka().is_none());
    }
    let lines: Vec<String> =
        failed.iter().map(|failed| format!("{}:{}: {}", options.path, failed.span, failed.text)).collect();
    let checks = known.file.checks.len() as u64;
    let text = if global.json {
        serde_json::json!({
            "job": options.path, "load": known.file.load_id(), "slices": slices.as_ref().map(Vec::len), "valid": lines.is_empty(),
            "checks": if args.online { checks } else { 0 }, "failed": lines,
        })
        .to_string()
    } else if !lines.is_empty() {
        format!("{}\n{} of {} failed", lines.join("\n"), lines.len(), counted(checks, "check"))
    } else {
        let checked = match checks {
            _ if !asks => String::new(),
            0 => ", and its target answers".to_owned(),
            checks => format!(", {} passed", counted(checks, "check")),
        };
        let of = match &slices {
            Some(slices) => counted(slices.len() as u64, "slice"),
            None => "its slices are counted in the source when it runs".to_owned(),
        };
        format!("{} is valid: {of}{checked}", options.path)
    };
    result(&text).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot print the result: {error}")).because(error)
    })?;
    Ok(if lines.is_empty() { Exit::Ok } else { Exit::InvalidInput })
}
