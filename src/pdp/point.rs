//! The seam behind which a decision is made: Altinn's PDP, the embedded one, or a scripted one.

use super::credential::CredentialState;
use super::embedded::Reasons;
use crate::domain::{AccessRequest, Decision, DecisionSource, Denial, DenialCode};
use futures_util::future::join_all;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A decision that is being made. Boxed, because the point behind it is chosen at run time; a cache hit
/// never gets here.
pub type PendingDecision<'a> =
    Pin<Box<dyn Future<Output = Result<Decision, DecisionFault>> + Send + 'a>>;

/// Several decisions that are being made.
pub type PendingDecisions<'a> =
    Pin<Box<dyn Future<Output = Vec<Result<Decision, DecisionFault>>> + Send + 'a>>;

/// Something that decides. It keeps no answers; [`super::Decisions`] does.
pub trait DecisionPoint: fmt::Debug + Send + Sync + 'static {
    /// Decides. The future ends within the point's own deadline and may be polled to its end by a task
    /// that outlives the request.
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a>;

    /// Decides several questions of one request: as many outcomes, in the same order. A point that can put
    /// them into one exchange does; the others are asked for each, at the same time.
    fn decide_many<'a>(&'a self, requests: &'a [Arc<AccessRequest>]) -> PendingDecisions<'a> {
        Box::pin(join_all(requests.iter().map(|request| self.decide(request))))
    }

    /// Whether [`Self::decide_many`] puts several questions into one exchange. If not, each is asked for
    /// by itself, so that each can be shared and bounded by itself.
    fn puts_many_into_one(&self) -> bool {
        false
    }

    /// Begins what runs in the background, such as fetching a credential. Called once, when the point is
    /// put in force; a second call does nothing.
    fn start(&self) {}

    /// How the point is, for metrics and probes.
    fn condition(&self) -> PointCondition {
        PointCondition::default()
    }

    /// Why this point answers a question as it does, where it knows: Altinn does not say. Asked for by
    /// those who explain; it changes nothing.
    fn reasons(&self, _request: &AccessRequest) -> Option<Box<Reasons>> {
        None
    }

    /// What a record says of an answer asked for here: `Pdp` or `Embedded`.
    fn source(&self) -> DecisionSource;

    /// Which PDP this is and as whom it is asked. Answers outlive a reload only while this is the same.
    /// It holds no secret.
    fn identity(&self) -> &str;
}

/// What is said of a point to operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PointCondition {
    /// Portvakt's own credential, if the point needs one.
    pub credential: Option<CredentialState>,
    /// Exchanges under way.
    pub in_flight: usize,
    /// Questions that wait for a place.
    pub queued: usize,
    /// Whether the point is asked at all.
    pub circuit: Circuit,
}

/// The state of the circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Circuit {
    /// Every question is asked.
    #[default]
    Closed,
    /// None is, for a while.
    Open,
    /// One at a time is, to see whether the point is back.
    HalfOpen,
}

/// Why there is no decision. Cloned to everybody who waits for the same answer. The texts are for logs;
/// none holds a token, a key or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionFault {
    /// The PDP cannot be reached, or says itself that it is broken.
    #[error("the PDP is not available: {cause}")]
    Unavailable {
        /// What happened.
        cause: Arc<str>,
        /// When asking again makes sense, if the PDP or our own circuit breaker says so.
        retry_after: Option<Duration>,
    },
    /// No answer before the deadline.
    #[error("the PDP did not answer within {0:?}")]
    Timeout(Duration),
    /// The PDP answered something that is not an answer.
    #[error("the PDP's answer cannot be used: {0}")]
    Protocol(Arc<str>),
    /// Portvakt cannot prove its own identity to the PDP.
    #[error("no credential of our own that the PDP accepts: {cause}")]
    Credential {
        /// What happened.
        cause: Arc<str>,
        /// When another attempt makes sense, if whoever gives the credential said so.
        retry_after: Option<Duration>,
    },
    /// Too many questions at once, here or there.
    #[error("more is asked of the PDP than can be answered: {cause}")]
    Overloaded {
        /// Who has too much to do, the PDP or we.
        cause: Arc<str>,
        /// When the PDP wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// Our own fault: the call ended without a result.
    #[error("the call to the PDP ended without a result")]
    Internal,
}

impl DecisionFault {
    /// The PDP is not available, and nobody knows for how long.
    pub fn unavailable(cause: impl Into<Arc<str>>) -> Self {
        Self::Unavailable { cause: cause.into(), retry_after: None }
    }

    /// Portvakt cannot prove its own identity, and nobody knows for how long.
    pub fn credential(cause: impl Into<Arc<str>>) -> Self {
        Self::Credential { cause: cause.into(), retry_after: None }
    }

    /// More is asked than can be answered, and nobody knows for how long.
    pub fn overloaded(cause: impl Into<Arc<str>>) -> Self {
        Self::Overloaded { cause: cause.into(), retry_after: None }
    }

    /// What a client is told to wait where the PDP said nothing: long enough for a restart of the PDP's
    /// gateway, short enough for a person to wait.
    pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
}

impl From<DecisionFault> for Denial {
    fn from(fault: DecisionFault) -> Self {
        let (code, retry_after) = match &fault {
            DecisionFault::Unavailable { retry_after, .. } => {
                (DenialCode::PdpUnavailable, *retry_after)
            }
            DecisionFault::Timeout(_) => (DenialCode::PdpTimeout, None),
            DecisionFault::Protocol(_) => (DenialCode::PdpProtocolError, None),
            DecisionFault::Credential { retry_after, .. } => {
                (DenialCode::CredentialUnavailable, *retry_after)
            }
            DecisionFault::Overloaded { retry_after, .. } => (DenialCode::Overloaded, *retry_after),
            // Nothing that waiting would mend.
            DecisionFault::Internal => return Self::new(DenialCode::Internal).because(&fault),
        };
        let mut denial = Self::new(code).because(&fault);
        denial.extras.retry_after = Some(retry_after.unwrap_or(DecisionFault::DEFAULT_RETRY_AFTER));
        denial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_an_outage_and_says_when_to_come_back() {
        let overloaded = DecisionFault::Overloaded {
            cause: "x".into(),
            retry_after: Some(Duration::from_secs(7)),
        };
        let retry_after = Some(Duration::from_secs(9));
        let credential = DecisionFault::Credential { cause: "x".into(), retry_after };
        let cases = [
            (credential, "credential-unavailable", 503, Some(9)),
            (DecisionFault::unavailable("x"), "pdp-unavailable", 503, Some(5)),
            (DecisionFault::Timeout(Duration::from_secs(5)), "pdp-timeout", 503, Some(5)),
            (DecisionFault::Protocol("x".into()), "pdp-protocol-error", 503, Some(5)),
            (DecisionFault::credential("x"), "credential-unavailable", 503, Some(5)),
            (DecisionFault::overloaded("x"), "overloaded", 503, Some(5)),
            (overloaded, "overloaded", 503, Some(7)),
            (DecisionFault::Internal, "internal", 500, None),
        ];
        for (fault, code, status, retry_after) in cases {
            let denial = Denial::from(fault);
            assert_eq!((denial.code.as_str(), denial.code.status()), (code, status));
            assert_eq!(denial.extras.retry_after, retry_after.map(Duration::from_secs), "{code}");
            assert!(denial.cause.is_some());
        }
    }
}
