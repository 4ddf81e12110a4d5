//! What this process needs of the machine, with `--monitor`: looked at whenever the figures are.

use crate::figures::ProcessFigures;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Measures this process; clones share what was seen.
#[derive(Clone)]
pub(crate) struct Monitor(Arc<Mutex<Inner>>);

struct Inner {
    system: System,
    pid: Pid,
    peak: u64,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Monitor")
    }
}

impl Monitor {
    /// Begins. None where the system does not tell which process this is.
    pub(crate) fn begin() -> Option<Self> {
        let pid = sysinfo::get_current_pid().ok()?;
        Some(Self(Arc::new(Mutex::new(Inner { system: System::new(), pid, peak: 0 }))))
    }

    /// Looks, which takes the reading of a few small files that are no disk's. None where the system does not tell.
    pub(crate) fn look(&self) -> Option<ProcessFigures> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = inner.pid;
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        inner.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let process = inner.system.process(pid)?;
        let (resident, cpu) = (process.memory(), Duration::from_millis(process.accumulated_cpu_time()));
        inner.peak = inner.peak.max(resident);
        Some(ProcessFigures { resident, peak: inner.peak, cpu })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_cpu_are_seen_and_the_peak_stays() {
        let monitor = Monitor::begin().unwrap();
        let first = monitor.look().unwrap();
        // Other tests of this process come and go: only what is held here can be told.
        let ballast = vec![1_u8; 64 << 20];
        let with = monitor.clone().look().unwrap();
        assert!(with.resident >= 64 << 20 && with.peak >= with.resident, "{with:?} {}", ballast.len());
        drop(ballast);
        let after = monitor.look().unwrap();
        assert!(after.peak >= with.peak && after.cpu >= first.cpu, "{with:?} {after:?}");
    }
}
