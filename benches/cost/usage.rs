//! The memory that this process uses, as the system counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Resident memory in bytes, from `/proc/self/status` (Linux).
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
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
