//! The memory that a process uses and its time on the processor, as the system counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Another process, by its id (Linux).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Time on the processor so far, of all threads it has now: to the nanosecond, where the times of the
    /// whole process are counted in hundredths of a second.
    pub(crate) fn cpu(self) -> Duration {
        self.scheduled(0)
    }

    /// How long its threads have wanted to be on the processor and were not: others were, or each other.
    pub(crate) fn waited(self) -> Duration {
        self.scheduled(1)
    }

    fn scheduled(self, field: usize) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0)).unwrap();
        // A thread that ends between the two reads is one that had little to do.
        let spent = |thread: std::io::Result<std::fs::DirEntry>| {
            let line = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            line.split(' ').nth(field).unwrap().parse::<u64>().ok()
        };
        Duration::from_nanos(threads.filter_map(spent).sum())
    }

    /// Resident bytes now.
    pub(crate) fn resident(self) -> u64 {
        kibibytes(&format!("/proc/{}/status", self.0), "VmRSS:") * 1024
    }

    /// The most that was ever resident, in bytes.
    pub(crate) fn peak(self) -> u64 {
        kibibytes(&format!("/proc/{}/status", self.0), "VmHWM:") * 1024
    }
}

/// Resident memory of this process in bytes.
pub(crate) fn resident() -> u64 {
    kibibytes("/proc/self/status", "VmRSS:") * 1024
}

fn kibibytes(status: &str, wanted: &str) -> u64 {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(wanted)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The most that was resident since [`Peak::reset`], as seen by whoever runs [`Peak::watch`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Peak(Arc<AtomicU64>);

impl Peak {
    /// Looks again and again.
    pub(crate) async fn watch(self) {
        loop {
            self.0.fetch_max(resident(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn reset(&self) {
        self.0.store(resident(), Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", f64::from(u32::try_from(bytes / 1024).unwrap()) / 1024.0)
}
