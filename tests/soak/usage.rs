//! What the process uses: memory, descriptors, tasks.

use crate::gate::Gate;
use crate::now;
use crate::oracle::Violation;
use std::fmt;
use std::time::{Duration, Instant};

/// How much more memory the last part of a run may use than the part after warming up. What the oracle
/// and the peers themselves hold is in it.
const MAX_GROWTH: u64 = 24 << 20;
/// Descriptors that may be left after the end.
const SPARE_DESCRIPTORS: usize = 8;

#[derive(Debug)]
pub(crate) struct Usage {
    /// Resident bytes, once a second.
    resident: Vec<u64>,
    descriptors: usize,
    tasks: usize,
}

impl Usage {
    pub(crate) fn now() -> Self {
        Self { resident: vec![resident()], descriptors: descriptors(), tasks: 0 }
    }

    /// Memory is flat.
    pub(crate) fn judge(&self, length: Duration) -> Result<(), Violation> {
        let (early, late) = (self.mean(4, 6), self.mean(8, 10));
        let growth = late.saturating_sub(early);
        if growth <= MAX_GROWTH {
            return Ok(());
        }
        let what = format!("{} MiB more at the end of {length:?}", growth >> 20);
        Err(Violation::new("memory", &what))
    }

    /// Between these tenths of the run.
    fn mean(&self, from: usize, to: usize) -> u64 {
        let at = |tenth: usize| self.resident.len() * tenth / 10;
        let part = &self.resident[at(from)..at(to).max(at(from) + 1).min(self.resident.len())];
        part.iter().sum::<u64>() / part.len() as u64
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: Option<&u64>| bytes.map_or(0, |bytes| bytes >> 20);
        write!(
            f,
            "resident {} MiB first, {} MiB in the middle, {} MiB at the end, {} MiB most; \
             {} descriptors, {} tasks most",
            mebibytes(self.resident.first()),
            self.mean(4, 6) >> 20,
            self.mean(8, 10) >> 20,
            mebibytes(self.resident.iter().max()),
            self.descriptors,
            self.tasks
        )
    }
}

/// Looks every second until then.
pub(crate) async fn watch(gate: &Gate, until: Instant) -> Usage {
    let mut usage = Usage::now();
    while now() < until {
        tokio::time::sleep(Duration::from_secs(1)).await;
        usage.resident.push(resident());
        usage.descriptors = usage.descriptors.max(descriptors());
        usage.tasks = usage.tasks.max(gate.tasks());
    }
    usage
}

/// Waits until no more descriptors are open than before.
pub(crate) async fn back_to(baseline: &Usage) -> Result<(), Violation> {
    let mut open = 0;
    for _ in 0..50 {
        open = descriptors();
        if open <= baseline.descriptors + SPARE_DESCRIPTORS {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let what = format!("{open} descriptors are open; {} before", baseline.descriptors);
    Err(Violation::new("descriptors", &what))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
