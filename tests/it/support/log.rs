//! The process log of all tests of this process, at its most talkative. Lines are told apart by the ports
//! and names in them, because the tests run side by side.

use std::io::{self, Write};
use std::sync::{Mutex, Once};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Begins to write it down. Whoever wants to read the log calls this first.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Lines);
        let ours = Targets::new().with_target("portvakt", tracing::Level::TRACE);
        tracing_subscriber::registry().with(ours).with(log).init();
    });
    // A line that another test was the first to write in the middle of this would else stay unheard.
    tracing::callsite::rebuild_interest_cache();
}

/// Everything so far.
pub(crate) fn text() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}

/// The lines that hold this mark.
pub(crate) fn about(mark: &str) -> Vec<String> {
    text().lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
