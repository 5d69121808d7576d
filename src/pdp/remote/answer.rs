//! What an answer of the PDP, or the lack of one, means: to the caller, to the circuit breaker and to the
//! health of the PDP. Only a `200` with undisguised JSON in it is read as decisions.

use super::breaker::{Failure, Strain};
use crate::outbound::{Exchanged, OutboundFault, Reply};
use crate::pdp::DecisionFault;
use crate::pdp::credential::CredentialFault;
use crate::pdp::wire::WireFault;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// Why an exchange gave no decision.
#[derive(Debug)]
pub(super) enum Failed {
    /// No answer.
    NoAnswer(OutboundFault),
    /// `401`: the token is not accepted.
    TokenRefused,
    /// `401` of the gateway: the subscription key is not accepted.
    KeyRefused,
    /// `403`.
    Forbidden,
    /// `429`.
    Throttled(Option<Duration>),
    /// `5xx`.
    ServerError(StatusCode, Option<Duration>),
    /// Another status.
    Status(StatusCode),
    /// A `200` that does not hold JSON.
    NotJson(&'static str),
    /// A `200` whose JSON is no answer.
    Wire(WireFault),
    /// There was no exchange that says anything of the PDP.
    Unasked(DecisionFault),
}

/// What a failure says of the PDP.
pub(super) enum Bearing {
    /// It is there and answers.
    Answers,
    /// It is not well.
    Ails(Failure),
    /// Nothing.
    Nothing,
}

impl Failed {
    /// For the health of the PDP.
    pub(super) fn exchanged(&self) -> Exchanged {
        match self {
            Self::NoAnswer(fault) => fault.into(),
            Self::TokenRefused | Self::KeyRefused | Self::Forbidden => Exchanged::Refused,
            Self::Throttled(_) => Exchanged::Throttled,
            Self::ServerError(..) => Exchanged::Failed,
            Self::Status(_) | Self::NotJson(_) | Self::Wire(_) | Self::Unasked(_) => {
                Exchanged::Unusable
            }
        }
    }

    /// For the circuit breaker. Whatever a question can provoke is an answer like any other, and silence
    /// counts only after a `fair` time: how little of the deadline is left for the exchange after the wait
    /// for a token or in a rush is not the PDP's doing.
    pub(super) fn bearing(&self, fair: Duration) -> Bearing {
        let failing = |told| Bearing::Ails(Failure { strain: Strain::Failing, told });
        match self {
            Self::NoAnswer(OutboundFault::Timeout(given)) if *given < fair => Bearing::Nothing,
            Self::Throttled(told) => {
                Bearing::Ails(Failure { strain: Strain::Throttling, told: *told })
            }
            Self::ServerError(StatusCode::SERVICE_UNAVAILABLE, told) => failing(*told),
            Self::ServerError(..)
            | Self::NoAnswer(
                OutboundFault::Connect(_) | OutboundFault::Timeout(_) | OutboundFault::Broken(_),
            ) => failing(None),
            Self::NoAnswer(OutboundFault::TooLarge(_))
            | Self::TokenRefused
            | Self::KeyRefused
            | Self::Forbidden
            | Self::Status(_)
            | Self::NotJson(_)
            | Self::Wire(_) => Bearing::Answers,
            Self::Unasked(_) => Bearing::Nothing,
        }
    }

    /// Whether the answer to several questions cannot be told apart, so that each is to be asked by itself.
    pub(super) fn is_mix_up(&self) -> bool {
        matches!(self, Self::Wire(WireFault::ResultCount { .. } | WireFault::OtherParty))
    }

    /// For whoever asked, who was given `timeout` in all.
    pub(super) fn into_fault(self, timeout: Duration) -> DecisionFault {
        let answered = |status: StatusCode| format!("answered {}", status.as_u16());
        match self {
            Self::NoAnswer(OutboundFault::Timeout(_)) => DecisionFault::Timeout(timeout),
            Self::NoAnswer(fault @ (OutboundFault::Connect(_) | OutboundFault::Broken(_))) => {
                DecisionFault::unavailable(fault.to_string())
            }
            Self::NoAnswer(fault @ OutboundFault::TooLarge(_)) => {
                DecisionFault::Protocol(fault.to_string().into())
            }
            Self::TokenRefused => DecisionFault::credential("answered 401"),
            Self::KeyRefused => {
                DecisionFault::credential("answered 401: the subscription key is not accepted")
            }
            Self::Forbidden => DecisionFault::credential("answered 403"),
            Self::Throttled(retry_after) => {
                DecisionFault::Overloaded { cause: "answered 429".into(), retry_after }
            }
            Self::ServerError(status, retry_after) => {
                DecisionFault::Unavailable { cause: answered(status).into(), retry_after }
            }
            Self::Status(status @ StatusCode::BAD_REQUEST) => {
                let cause = format!("{}: it does not understand our question", answered(status));
                DecisionFault::Protocol(cause.into())
            }
            Self::Status(status) => DecisionFault::Protocol(answered(status).into()),
            Self::NotJson(cause) => DecisionFault::Protocol(cause.into()),
            Self::Wire(fault) => DecisionFault::Protocol(fault.to_string().into()),
            Self::Unasked(fault) => fault,
        }
    }
}

impl From<DecisionFault> for Failed {
    fn from(fault: DecisionFault) -> Self {
        Self::Unasked(fault)
    }
}

impl From<CredentialFault> for Failed {
    fn from(fault: CredentialFault) -> Self {
        let cause = fault.to_string().into();
        Self::Unasked(DecisionFault::Credential { cause, retry_after: fault.retry_after })
    }
}

/// The body of an answer that may hold decisions.
pub(super) fn body(reply: Reply) -> Result<Bytes, Failed> {
    let retry_after = reply.retry_after();
    let Reply { status, headers, body, .. } = reply;
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED if blames_the_key(&body) => return Err(Failed::KeyRefused),
        StatusCode::UNAUTHORIZED => return Err(Failed::TokenRefused),
        StatusCode::FORBIDDEN => return Err(Failed::Forbidden),
        StatusCode::TOO_MANY_REQUESTS => return Err(Failed::Throttled(retry_after)),
        _ if status.is_server_error() => {
            return Err(Failed::ServerError(status, retry_after));
        }
        _ => return Err(Failed::Status(status)),
    }
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        return Err(Failed::NotJson("the answer is compressed, which we did not ask for"));
    }
    if !headers.get_all(CONTENT_TYPE).iter().all(is_json) {
        return Err(Failed::NotJson("the answer is not declared as JSON"));
    }
    Ok(body)
}

/// Whether a `401` is the gateway's, which a new token would not help. Its words are all that tells it from
/// the PDP's own (Azure API Management: `{"statusCode":401,"message":"Access denied due to … key."}`).
fn blames_the_key(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Gateway {
        message: String,
    }
    serde_json::from_slice(body)
        .is_ok_and(|Gateway { message }| message.to_ascii_lowercase().contains("subscription key"))
}

fn is_identity(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().eq_ignore_ascii_case(b"identity")
}

fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}
