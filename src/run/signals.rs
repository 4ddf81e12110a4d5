//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to stop, a second one leaves at once.

use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;
use crate::stop::{Cause, Stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Begins to listen. From then on signals set the stop signal instead of ending the process.
pub(crate) fn listen(stop: &Stop, terminal: &Terminal) -> std::io::Result<()> {
    tokio::spawn(watch(Signals::new()?, stop.clone(), terminal.clone()));
    Ok(())
}

/// What ends a run from outside.
struct Signals {
    interrupts: Signal,
    terminations: Signal,
    /// The terminal was closed; none where SIGHUP is ignored, as `nohup` has it.
    hangups: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupts: signal(SignalKind::interrupt())?,
            terminations: signal(SignalKind::terminate())?,
            hangups: if ignores_hangups() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    async fn next(&mut self) -> Cause {
        let hangup = async {
            match &mut self.hangups {
                Some(hangups) => hangups.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupts.recv() => Cause::Interrupt,
            _ = self.terminations.recv() => Cause::Terminate,
            _ = hangup => Cause::Terminate,
        }
    }
}

/// Whether this process was started with SIGHUP ignored. Where that cannot be told it is not.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1, SIGHUP.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// The same for a command that has nothing to save: anyone who waits for the stop signal leaves at once.
pub(crate) fn listen_quietly(stop: &Stop) -> std::io::Result<()> {
    let (mut signals, stop) = (Signals::new()?, stop.clone());
    tokio::spawn(async move { stop.set(signals.next().await) });
    Ok(())
}

/// The failure of a command that a signal ended before its run began.
pub(crate) fn interrupted(stop: &Stop, text: &str) -> Failure {
    Failure::new(exit_of(stop.cause().unwrap_or(Cause::Interrupt)), text)
}

/// The exit code of a process that a signal ended.
fn exit_of(cause: Cause) -> Exit {
    if cause == Cause::Terminate { Exit::Terminated } else { Exit::Interrupted }
}

async fn watch(mut signals: Signals, stop: Stop, terminal: Terminal) {
    let mut asked = false;
    loop {
        let cause = signals.next().await;
        // Not by the stop signal's cause: a run that stops itself has one already.
        if asked {
            // As safe as being killed: whatever was sent has its intent on disk.
            #[allow(clippy::disallowed_methods)]
            std::process::exit(i32::from(exit_of(cause).code()));
        }
        asked = true;
        stop.set(cause);
        // At a question nothing is in flight that was not asked about before.
        if stop.is_work_over() || terminal.is_asking() {
            continue;
        }
        let terminal = terminal.clone();
        // Not waited for: where nobody reads standard error, the next signal must still be heard.
        tokio::task::spawn_blocking(move || {
            terminal.say(
                "stopping: no new calls; those in flight may finish (10 s). Press Ctrl-C again to quit now.",
            );
        });
    }
}

/// Does what may block for long on a thread of its own. A stop ends the wait for it at once.
pub(crate) async fn on_thread<T: Send + 'static>(
    stop: &Stop,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match stop.race(tokio::task::spawn_blocking(work)).await {
        Some(done) => {
            done.map_err(|error| Failure::new(Exit::Unexpected, format!("a defect: {error}")).because(error))?
        }
        None => Err(interrupted(stop, "interrupted")),
    }
}
