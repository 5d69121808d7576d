//! Planted faults: each must be found, or the soak proves nothing.

use portvakt::domain::{AccessRequest, Decision, DecisionSource, Obligations};
use portvakt::pdp::{
    DecisionFault, DecisionPoint, Decisions, Lifetimes, PendingDecision, PointCondition,
};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// An outage of the PDP is a permit.
    PermitOnFault,
    /// An outage of the PDP is a refusal.
    DenyOnFault,
    /// Under load, the answer to the question before.
    SwapParties,
    /// Nothing is held: an outage reaches those who had a decision.
    Forgetful,
    /// A permit is believed too long.
    Stale,
    /// A call leaves memory behind.
    Leak,
    /// Now and then a decision record is lost.
    LostRecord,
}

const NAMES: [(&str, Bug); 7] = [
    ("permit-on-fault", Bug::PermitOnFault),
    ("deny-on-fault", Bug::DenyOnFault),
    ("swap-parties", Bug::SwapParties),
    ("forgetful", Bug::Forgetful),
    ("stale", Bug::Stale),
    ("leak", Bug::Leak),
    ("lost-record", Bug::LostRecord),
];

impl Bug {
    pub(crate) fn named(name: &str) -> Self {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no such bug: {name}")).1
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, bug)| *bug == self).unwrap().0
    }

    /// Whether it is one of the decision point.
    pub(crate) fn is_of_the_point(self) -> bool {
        matches!(self, Self::PermitOnFault | Self::DenyOnFault | Self::SwapParties | Self::Leak)
    }
}

/// The real point, through decisions that hold nothing, with a bug before it.
#[derive(Debug)]
pub(crate) struct Buggy {
    bug: Bug,
    real: Arc<Decisions>,
    before: Mutex<Option<Decision>>,
    leaked: Mutex<Vec<Vec<u8>>>,
}

impl Buggy {
    pub(crate) fn new(bug: Bug, real: Arc<Decisions>) -> Self {
        Self { bug, real, before: Mutex::default(), leaked: Mutex::default() }
    }

    async fn decided(&self, request: &AccessRequest) -> Result<Decision, DecisionFault> {
        let decided = self.real.decide(request, Lifetimes::Off).await;
        let decided = decided.map(|answered| answered.decision);
        match self.bug {
            Bug::PermitOnFault => decided.or(Ok(Decision::Permit(Obligations::default()))),
            Bug::DenyOnFault => decided.or(Ok(Decision::Deny)),
            Bug::SwapParties => {
                let decided = decided?;
                let mut before = self.before.lock().unwrap();
                let swapped = before.replace(decided.clone());
                Ok(swapped
                    .filter(|_| self.real.stats().calls.is_multiple_of(16))
                    .unwrap_or(decided))
            }
            Bug::Leak => {
                self.leaked.lock().unwrap().push(vec![1; 64 * 1024]);
                decided
            }
            Bug::Forgetful | Bug::Stale | Bug::LostRecord => decided,
        }
    }
}

impl DecisionPoint for Buggy {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(self.decided(request))
    }

    fn start(&self) {
        self.real.start();
    }

    fn condition(&self) -> PointCondition {
        self.real.condition()
    }

    fn source(&self) -> DecisionSource {
        self.real.source()
    }

    fn identity(&self) -> &str {
        self.real.identity()
    }
}

/// Passes decision records on, but for one in so many.
pub(crate) struct Loses<W> {
    pub(crate) to: W,
    pub(crate) one_in: usize,
    pub(crate) seen: usize,
    pub(crate) line: Vec<u8>,
}

impl<W: Write> Write for Loses<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                self.seen += 1;
                if !self.seen.is_multiple_of(self.one_in) {
                    self.to.write_all(&self.line)?;
                }
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
