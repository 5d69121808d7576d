//! The seam behind which a decision is made: Altinn's PDP, the embedded one, or a scripted one.

use crate::domain::{AccessRequest, Decision, DecisionSource, Denial, DenialCode};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A decision that is being made. Boxed, because the point behind it is chosen at run time; a cache hit
/// never gets here.
pub type PendingDecision<'a> =
    Pin<Box<dyn Future<Output = Result<Decision, DecisionFault>> + Send + 'a>>;

/// Something that decides. It keeps no answers; [`super::Decisions`] does.
pub trait DecisionPoint: fmt::Debug + Send + Sync + 'static {
    /// Decides. The future ends within the point's own deadline and may be polled to its end by a task
    /// that outlives the request.
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a>;

    /// What a record says of an answer asked for here: `Pdp` or `Embedded`.
    fn source(&self) -> DecisionSource;

    /// Which PDP this is and as whom it is asked. Answers outlive a reload only while this is the same.
    /// It holds no secret.
    fn identity(&self) -> &str;
}

/// Why there is no decision. Cloned to everybody who waits for the same answer. The texts are for logs;
/// none holds a token, a key or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionFault {
    /// The PDP cannot be reached, or says itself that it is broken.
    #[error("the PDP is not available: {0}")]
    Unavailable(Arc<str>),
    /// No answer before the deadline.
    #[error("the PDP did not answer within {0:?}")]
    Timeout(Duration),
    /// The PDP answered something that is not an answer.
    #[error("the PDP's answer cannot be used: {0}")]
    Protocol(Arc<str>),
    /// Portvakt cannot prove its own identity to the PDP.
    #[error("the PDP does not accept our own credential: {0}")]
    Credential(Arc<str>),
    /// Too many questions at once, here or there.
    #[error("too many questions to the PDP at once")]
    Overloaded {
        /// When the PDP wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// Our own fault: the call ended without a result.
    #[error("the call to the PDP ended without a result")]
    Internal,
}

impl DecisionFault {
    /// What a client is told to wait where the PDP said nothing: long enough for a restart of the PDP's
    /// gateway, short enough for a person to wait.
    pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
}

impl From<DecisionFault> for Denial {
    fn from(fault: DecisionFault) -> Self {
        let (code, retry_after) = match &fault {
            DecisionFault::Unavailable(_) => (DenialCode::PdpUnavailable, None),
            DecisionFault::Timeout(_) => (DenialCode::PdpTimeout, None),
            DecisionFault::Protocol(_) => (DenialCode::PdpProtocolError, None),
            DecisionFault::Credential(_) => (DenialCode::CredentialUnavailable, None),
            DecisionFault::Overloaded { retry_after } => (DenialCode::Overloaded, *retry_after),
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
        let overloaded = DecisionFault::Overloaded { retry_after: Some(Duration::from_secs(7)) };
        let cases = [
            (DecisionFault::Unavailable("x".into()), "pdp-unavailable", 503, Some(5)),
            (DecisionFault::Timeout(Duration::from_secs(5)), "pdp-timeout", 503, Some(5)),
            (DecisionFault::Protocol("x".into()), "pdp-protocol-error", 503, Some(5)),
            (DecisionFault::Credential("x".into()), "credential-unavailable", 503, Some(5)),
            (DecisionFault::Overloaded { retry_after: None }, "overloaded", 503, Some(5)),
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
