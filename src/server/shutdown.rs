//! The end of the process: unready first, then the wait that load balancers need, then the end of what
//! runs, within a grace.

use super::readiness::Readiness;
use crate::config::ShutdownSettings;
use crate::tasks::Tasks;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The wish for an end: `SIGTERM`, or an interrupt from the terminal. From when it is made none is missed, also by
/// the first process of a container, for which others do nothing.
#[derive(Debug)]
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// Begins to listen.
    pub fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits until it is told.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for the wish for an end.
pub async fn stop_signal() -> std::io::Result<()> {
    StopSignal::new()?.told().await;
    Ok(())
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
