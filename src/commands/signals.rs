//! Ctrl-C and SIGTERM: the first asks the run to stop, a second Ctrl-C leaves at once.

use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;
use crate::stop::{Cause, Stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Begins to listen. From then on signals set the stop signal instead of ending the process.
pub fn listen(stop: &Stop, terminal: &Terminal) -> std::io::Result<()> {
    let interrupts = signal(SignalKind::interrupt())?;
    let terminations = signal(SignalKind::terminate())?;
    tokio::spawn(watch(interrupts, terminations, stop.clone(), terminal.clone()));
    Ok(())
}

/// The same for a command that has nothing to save: whoever waits for the stop signal leaves at once.
pub fn listen_quietly(stop: &Stop) -> std::io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        let cause = tokio::select! {
            _ = interrupts.recv() => Cause::Interrupt,
            _ = terminations.recv() => Cause::Terminate,
        };
        stop.set(cause);
    });
    Ok(())
}

/// The failure of a command that a signal ended before its run began.
pub fn interrupted(stop: &Stop, text: &str) -> Failure {
    let exit = if stop.cause() == Some(Cause::Terminate) { Exit::Terminated } else { Exit::Interrupted };
    Failure::new(exit, text)
}

async fn watch(mut interrupts: Signal, mut terminations: Signal, stop: Stop, terminal: Terminal) {
    let mut asked = false;
    loop {
        let (cause, exit) = tokio::select! {
            _ = interrupts.recv() => (Cause::Interrupt, Exit::Interrupted),
            _ = terminations.recv() => (Cause::Terminate, Exit::Terminated),
        };
        // Not by the stop signal's cause: a run that stops itself has one already.
        if asked {
            // As safe as being killed: whatever was sent has its intent on disk.
            #[allow(clippy::disallowed_methods)]
            std::process::exit(i32::from(exit.code()));
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
