//! Ctrl-C and SIGTERM: the first asks the run to stop, a second Ctrl-C leaves at once.

use crate::exit::Exit;
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

async fn watch(mut interrupts: Signal, mut terminations: Signal, stop: Stop, terminal: Terminal) {
    loop {
        let (cause, exit) = tokio::select! {
            _ = interrupts.recv() => (Cause::Interrupt, Exit::Interrupted),
            _ = terminations.recv() => (Cause::Terminate, Exit::Terminated),
        };
        if matches!(stop.cause(), Some(Cause::Interrupt | Cause::Terminate)) {
            // As safe as being killed: whatever was sent has its intent on disk.
            #[allow(clippy::disallowed_methods)]
            std::process::exit(i32::from(exit.code()));
        }
        stop.set(cause);
        terminal.say("stopping: no new calls; those in flight may finish (10 s). Once more leaves at once.");
    }
}
