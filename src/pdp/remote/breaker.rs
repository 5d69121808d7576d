//! When a failing PDP is left alone: a state machine over the instants given to it. It has no clock, no
//! lock and no log; [`super::circuit`] adds those.
//!
//! Only failures of the way to the PDP and of the PDP as a whole come here, never what a caller can provoke
//! by a question. Invariants: at most one probe is under way; whatever happens to it, its [`Leave`] comes
//! back and lets the next one go.

use super::settings::BreakerSettings;
use crate::pdp::Circuit;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Counts openings and closings, so that a call is known to have set out before the latest.
    epoch: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed {
        /// Failures since the latest success.
        failures: u32,
    },
    Open {
        until: Instant,
        strain: Strain,
        /// Whether the PDP itself said how long.
        told: bool,
        /// Whether a probe is under way.
        probing: bool,
    },
}

/// What kind of trouble the PDP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strain {
    /// It cannot be reached, or fails.
    Failing,
    /// It has too much to do.
    Throttling,
}

/// One failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) strain: Strain,
    /// How long the PDP says to leave it alone.
    pub(super) told: Option<Duration>,
}

/// Leave to ask once. It is given back by [`Breaker::succeeded`], [`Breaker::failed`] or
/// [`Breaker::abandoned`].
#[derive(Debug)]
#[must_use]
pub(super) struct Leave {
    epoch: u64,
    probe: bool,
}

/// The PDP is not to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) strain: Strain,
    /// Until the next probe may go; zero while one is under way.
    pub(super) remaining: Duration,
}

/// What a failure or success changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened(Strain, Duration),
    Closed,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, epoch: 0, phase: Phase::Closed { failures: 0 } }
    }

    /// Whether [`Self::admit`] would give leave.
    pub(super) fn look(&self, now: Instant) -> Result<(), Refusal> {
        match self.phase {
            Phase::Open { until, strain, probing, .. } if probing || now < until => {
                Err(Refusal { strain, remaining: until.saturating_duration_since(now) })
            }
            Phase::Closed { .. } | Phase::Open { .. } => Ok(()),
        }
    }

    /// Leave to ask: for everybody while closed, for one probe at a time after the pause.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Leave, Refusal> {
        self.look(now)?;
        let probe = match &mut self.phase {
            Phase::Closed { .. } => false,
            Phase::Open { probing, .. } => {
                *probing = true;
                true
            }
        };
        Ok(Leave { epoch: self.epoch, probe })
    }

    /// The PDP answered. A call that set out before the opening closes it too, since the PDP evidently
    /// answers; unless a probe is about to show, or the PDP itself said how long to wait.
    pub(super) fn succeeded(&mut self, Leave { probe, .. }: Leave) -> Option<Change> {
        match &mut self.phase {
            Phase::Closed { failures } => {
                *failures = 0;
                None
            }
            Phase::Open { told, probing, .. } => {
                if !probe && (*told || *probing) {
                    return None;
                }
                self.change_to(Phase::Closed { failures: 0 });
                Some(Change::Closed)
            }
        }
    }

    /// The PDP did not answer, or said that it cannot. A call that set out before the latest opening or
    /// closing says nothing of now, unless the PDP tells how long to wait.
    pub(super) fn failed(
        &mut self,
        Leave { epoch, probe }: Leave,
        failure: Failure,
        now: Instant,
    ) -> Option<Change> {
        let Failure { strain, told: wait } = failure;
        let pause = wait.unwrap_or(self.settings.pause);
        let end = now.checked_add(pause).unwrap_or(now);
        match &mut self.phase {
            Phase::Closed { failures } => {
                let mut opens = wait.is_some();
                if epoch == self.epoch {
                    *failures = failures.saturating_add(1);
                    opens |= *failures >= self.settings.failures;
                }
                if !opens {
                    return None;
                }
                self.change_to(Phase::Open {
                    until: end,
                    strain,
                    told: wait.is_some(),
                    probing: false,
                });
                Some(Change::Opened(strain, pause))
            }
            Phase::Open { until, strain: known, told, probing } => {
                if probe || wait.is_some() {
                    *told = wait.is_some() || (*told && *until > end);
                    *until = end.max(*until);
                    *known = strain;
                }
                if probe {
                    *probing = false;
                }
                None
            }
        }
    }

    /// The call ended without saying anything of the PDP: it was given up, or never got to the PDP.
    pub(super) fn abandoned(&mut self, Leave { probe, .. }: Leave) {
        match &mut self.phase {
            Phase::Open { probing, .. } if probe => *probing = false,
            Phase::Closed { .. } | Phase::Open { .. } => {}
        }
    }

    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match self.phase {
            Phase::Closed { .. } => Circuit::Closed,
            Phase::Open { until, probing, .. } if probing || now >= until => Circuit::HalfOpen,
            Phase::Open { .. } => Circuit::Open,
        }
    }

    fn change_to(&mut self, phase: Phase) {
        self.epoch = self.epoch.wrapping_add(1);
        self.phase = phase;
    }
}

#[cfg(test)]
mod tests;
