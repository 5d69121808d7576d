//! `shutdown`: how a drain takes its time.

use std::time::Duration;

use crate::config::reader::Table;

/// How a drain takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// Between unready and the last accepted connection.
    pub wait: Duration,
    /// For what runs to end by itself.
    pub grace: Duration,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { wait: Duration::from_secs(5), grace: Duration::from_secs(20) }
    }
}

const WHY: &str = "no platform waits for longer before it kills the process";
/// As long as any platform waits before it kills.
const MAX_SHUTDOWN: Duration = Duration::from_hours(1);

pub(super) fn read(root: &mut Table<'_>) -> ShutdownSettings {
    let default = ShutdownSettings::default();
    root.section("shutdown", |table| {
        let bounds = || Duration::ZERO..=MAX_SHUTDOWN;
        Some(ShutdownSettings {
            wait: table.or("wait", default.wait, |field| field.duration(bounds(), WHY)),
            grace: table.or("grace", default.grace, |field| field.duration(bounds(), WHY)),
        })
    })
    .unwrap_or(default)
}
