//! The process log of commands that run until they are stopped.

use super::console;
use crate::config::{Colour, LogFormat};
use tracing::Level;

/// Begins to write it, on standard error: data has standard output to itself.
pub(super) fn start(format: LogFormat, level: Level) {
    let filter = tracing_subscriber::EnvFilter::new(format!("portvakt={level}"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process would be our own fault, and changes nothing.
    let _started = match format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Human => log.with_ansi(console::talk_colour() == Colour::Ansi).try_init(),
    };
}
