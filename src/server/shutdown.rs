//! The end of the process: unready first, then the wait that load balancers need, then the end of what
//! runs, within a grace.

use super::readiness::Readiness;
use crate::config::ShutdownSettings;
use crate::tasks::Tasks;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Waits for `SIGTERM` or an interrupt from the terminal.
pub async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Leaves in order; `false` if something still ran when the grace was over.
pub(super) async fn drain(
    settings: ShutdownSettings,
    readiness: &Readiness,
    draining: &CancellationToken,
    tasks: &Tasks,
) -> bool {
    readiness.start_draining();
    tracing::info!(wait = ?settings.wait, "draining: unready, still serving");
    tokio::time::sleep(settings.wait).await;
    draining.cancel();
    let ended = tasks.stop(settings.grace).await;
    if ended {
        tracing::info!("every exchange has ended");
    } else {
        tracing::warn!(running = tasks.running(), "the grace is over; what still runs is cut off");
    }
    ended
}
