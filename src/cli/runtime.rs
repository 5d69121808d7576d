//! The asynchronous runtime of a command.

use super::console::{self, Exit};

/// Runs a command to its end.
pub(super) fn block_on(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(fault) => console::failed(&fault),
    }
}
