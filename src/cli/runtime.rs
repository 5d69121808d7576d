//! The asynchronous runtime of a command.

use super::console::{self, Exit};
use std::thread::available_parallelism;
use tokio::runtime::Builder;

/// Runs a command to its end, on as many threads as the machine, its affinity and the container's cpu limit
/// leave: rounded down, since a part of a processor only makes its users wait for each other.
///
/// With one of them there is no scheduler to share tasks with others, which a request would pay for.
pub(super) fn block_on(command: impl Future<Output = Exit>) -> Exit {
    let one = available_parallelism().is_ok_and(|processors| processors.get() == 1);
    let mut builder = if one { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(command),
        Err(fault) => console::failed(&fault),
    }
}
