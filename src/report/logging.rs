//! The log: on standard error as much as was asked for, and all of it in the run's `log.jsonl`.
//!
//! Each row that is changed has a span with its number and key, each batch one with its number; what is logged of a
//! call stands within them. `log.jsonl` is appended to by every process of the run.

use super::terminal::{self, Terminal, is_coloured};
use crate::cli::{Global, LogFormat};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::journal::run_dir::RunDir;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, PoisonError};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as log};

/// Lines that may wait for the disk; with more, whoever logs waits.
const QUEUE: usize = 8192;
/// What goes into `log.jsonl`, whatever standard error shows.
const KEPT: &str = "debug";

/// The log of the run that this process works on, once there is one.
static RUN_LOG: Mutex<Option<NonBlocking>> = Mutex::new(None);

/// Begins to log. On standard error, records appear above the progress bars.
pub(crate) fn init(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let level = global.log_level.as_deref().unwrap_or(if global.quiet { "error" } else { "warn" });
    if !["error", "warn", "info", "debug", "trace"].contains(&level) {
        let text = format!("--log-level: `{level}` is not error, warn, info, debug or trace");
        return Err(Failure::new(Exit::Usage, text));
    }
    // Only this tool's own records: what the HTTP library logs at debug may show headers.
    let own = |level: &str| EnvFilter::new(format!("off,devrev_batch={level}"));
    let colors = is_coloured(global.color, &std::io::stderr());
    let terminal = terminal.clone();
    let shown = log::layer().with_writer(move || terminal.clone()).with_target(false);
    let shown = match global.log_format {
        LogFormat::Text => shown.with_ansi(colors).with_filter(own(level)).boxed(),
        LogFormat::Json => shown.json().with_ansi(false).with_filter(own(level)).boxed(),
    };
    let kept = log::layer().json().flatten_event(true).with_span_list(false).with_target(false);
    let kept = kept.with_writer(RunLog::default).with_filter(own(KEPT));
    // A second start within one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(shown).with(kept).try_init();
    Ok(())
}

/// The run's log is written as long as this lives; what was logged by then is on its way to the disk when it is dropped.
#[derive(Debug)]
pub(crate) struct Kept {
    _worker: WorkerGuard,
}

impl Drop for Kept {
    fn drop(&mut self) {
        *RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Goes on with the log of a run. Fails when its file cannot be opened; that it cannot be written later is no failure of
/// the run's.
pub(crate) fn keep(run: &RunDir) -> Result<Kept, Failure> {
    let path = run.log();
    let file: File = files::private().append(true).create(true).open(&path).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display())).because(error)
    })?;
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(QUEUE)
        .thread_name("log")
        .finish(BufWriter::with_capacity(64 << 10, file));
    *RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    Ok(Kept { _worker: worker })
}

/// Takes the lines of the run's log; each write is one of them.
#[derive(Debug, Default)]
struct RunLog;

impl Write for RunLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let log = RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(mut log) = log {
            match without_controls(line) {
                Some(clean) => log.write_all(&clean)?,
                None => log.write_all(line)?,
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line without the control characters that JSON lets stand as they are. `None` for a line without any.
fn without_controls(line: &[u8]) -> Option<Vec<u8>> {
    let is_suspect = |byte: &u8| matches!(byte, 0x7f | 0xc2);
    if !line.iter().any(is_suspect) {
        return None;
    }
    Some(terminal::without_controls(&String::from_utf8_lossy(line)).into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes_and_all_else_stays() {
        let line = "{\"x\":\"a\u{7f}b\u{9b}31m c\u{a0}é\u{c2}\"}\n";
        let clean = String::from_utf8(without_controls(line.as_bytes()).unwrap()).unwrap();
        assert_eq!(clean, "{\"x\":\"a\\u007fb\\u009b31m c\u{a0}é\u{c2}\"}\n");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(line).unwrap(), serde_json::from_str(&clean).unwrap());
        assert_eq!(before, after);
        assert_eq!(without_controls(b"{\"x\":\"a\\u001b\"}\n"), None);
    }
}
