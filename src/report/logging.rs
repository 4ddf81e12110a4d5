//! The log on standard error.

use super::terminal::{Terminal, is_coloured};
use crate::cli::{Global, LogFormat};
use crate::exit::{Exit, Failure};
use tracing_subscriber::filter::EnvFilter;

/// Begins to log. Records appear above the progress bars.
pub fn init(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let level = global.log_level.as_deref().unwrap_or(if global.quiet { "error" } else { "warn" });
    if !["error", "warn", "info", "debug", "trace"].contains(&level) {
        let text = format!("--log-level: `{level}` is not error, warn, info, debug or trace");
        return Err(Failure::new(Exit::Usage, text));
    }
    // Only this tool's own records: what the HTTP library logs at debug may show headers.
    let filter = EnvFilter::new(format!("off,devrev_batch={level}"));
    let colors = is_coloured(global.color, &std::io::stderr());
    let terminal = terminal.clone();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || terminal.clone())
        .with_target(false);
    // A second start within one process (tests) keeps the first log.
    let _ = match global.log_format {
        LogFormat::Text => log.with_ansi(colors).try_init(),
        LogFormat::Json => log.json().with_ansi(false).try_init(),
    };
    Ok(())
}
