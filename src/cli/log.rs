//! The process log of commands that run until they are stopped.

use super::console;
use crate::config::{Colour, LogFormat};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

/// Begins to write it, on standard error: data has standard output to itself.
pub(super) fn start(format: LogFormat, level: Level) {
    // What libraries say is not ours to explain.
    let ours = registry().with(Targets::new().with_target("portvakt", level));
    let log = fmt::layer().with_writer(std::io::stderr);
    // A second subscriber in one process would be our own fault, and changes nothing.
    let _started = match format {
        LogFormat::Json => ours.with(log.json()).try_init(),
        LogFormat::Human => {
            ours.with(log.with_ansi(console::talk_colour() == Colour::Ansi)).try_init()
        }
    };
}
