//! The circuit breaker as calls use it: with a clock, a lock, a line in the log, and a guard that gives the
//! leave back however the call ends. What opens it is decided in [`super::breaker`].

use super::breaker::{Breaker, Change, Failure, Leave, Refusal, Strain};
use super::settings::BreakerSettings;
use crate::domain::Clock;
use crate::pdp::{Circuit, DecisionFault};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[derive(Debug)]
pub(super) struct CircuitBreaker {
    breaker: Mutex<Breaker>,
    clock: Arc<dyn Clock>,
    opened: Notify,
}

/// A call that may be made. Dropped without a word, by a panic or a caller that left, it counts as neither
/// success nor failure.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    circuit: &'a CircuitBreaker,
    leave: Option<Leave>,
}

impl CircuitBreaker {
    pub(super) fn new(settings: BreakerSettings, clock: Arc<dyn Clock>) -> Self {
        Self { breaker: Mutex::new(Breaker::new(settings)), clock, opened: Notify::new() }
    }

    /// Ends when the breaker opens. It counts from now on, not from when it is first awaited.
    pub(super) fn opening(&self) -> Notified<'_> {
        self.opened.notified()
    }

    /// Whether a question is refused now, before it waits for anything.
    pub(super) fn look(&self) -> Result<(), DecisionFault> {
        let now = self.clock.monotonic();
        self.lock().look(now).map_err(DecisionFault::from)
    }

    /// Leave to make one call.
    pub(super) fn enter(&self) -> Result<Passage<'_>, DecisionFault> {
        let now = self.clock.monotonic();
        let leave = self.lock().admit(now)?;
        Ok(Passage { circuit: self, leave: Some(leave) })
    }

    pub(super) fn state(&self) -> Circuit {
        let now = self.clock.monotonic();
        self.lock().circuit(now)
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::Opened(strain, pause)) => {
                self.opened.notify_waiters();
                match strain {
                    Strain::Failing => {
                        tracing::warn!(?pause, "the PDP fails and is left alone for a while");
                    }
                    Strain::Throttling => {
                        tracing::warn!(
                            ?pause,
                            "the PDP throttles us and is left alone for a while"
                        );
                    }
                }
            }
            Some(Change::Closed) => tracing::info!("the PDP answers again"),
        }
    }
}

impl Passage<'_> {
    /// The PDP answered, whatever it said.
    pub(super) fn succeeded(mut self) {
        if let Some(leave) = self.leave.take() {
            let change = self.circuit.lock().succeeded(leave);
            self.circuit.tell(change);
        }
    }

    /// The PDP failed.
    pub(super) fn failed(mut self, failure: Failure) {
        if let Some(leave) = self.leave.take() {
            let now = self.circuit.clock.monotonic();
            let change = self.circuit.lock().failed(leave, failure, now);
            self.circuit.tell(change);
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take() {
            self.circuit.lock().abandoned(leave);
        }
    }
}

/// Clients are told whole seconds; while a probe is under way there is nothing better to say than the least.
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl From<Refusal> for DecisionFault {
    fn from(refusal: Refusal) -> Self {
        let retry_after = Some(refusal.remaining.max(LEAST_WAIT));
        match refusal.strain {
            Strain::Throttling => {
                Self::Overloaded { cause: "left alone after it throttled us".into(), retry_after }
            }
            Strain::Failing => {
                Self::Unavailable { cause: "left alone after failures".into(), retry_after }
            }
        }
    }
}
