//! The HTTP face of the development PDP: Altinn's address, headers, statuses and wire form in front of any
//! function that answers questions.
//!
//! What it does not do: decide. Invariant: content that Altinn's PDP cannot make sense of is a `200` with
//! one `Indeterminate` result, as there; only what is not JSON is a `400`.

mod faults;

pub use faults::{Behaviour, FaultPlan, Faults};

use super::exchange::Exchange;
use crate::domain::{Decision, Indeterminate};
use crate::pdp::wire::{RequestFault, WireCategory, WireResult, decode_request, encode_response};
use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Answers one question, given as its categories. An error is what an exception is in Altinn's PDP: it
/// makes the whole answer one `Indeterminate` result, also in a multi-request.
pub type Answer = Arc<dyn Fn(&[&WireCategory]) -> Result<WireResult, Indeterminate> + Send + Sync>;

/// Judges the bearer token of a request, if it has one.
pub type Admit = Arc<dyn Fn(Option<&str>) -> Admission + Send + Sync>;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may ask.
    Admitted,
    /// Missing, expired or foreign: `401`.
    Unauthorized,
    /// Without the scope: `403`.
    Forbidden,
}

/// The path of Altinn's external API.
pub const AUTHORIZE_PATH: &str = "/authorization/api/v1/authorize";

/// The path of Altinn's exchange of Maskinporten tokens.
pub const EXCHANGE_PATH: &str = "/authentication/api/v1/exchange/maskinporten";

/// Bounds a question. Altinn's own limit is not published.
const MAX_QUESTION_BYTES: usize = 1024 * 1024;
/// Ends a connection that opens and says nothing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The face. Made once, shared by all connections.
pub struct PdpFace {
    answer: Answer,
    admit: Option<Admit>,
    exchange: Option<Arc<Exchange>>,
    subscription_key: Option<SecretString>,
    faults: Faults,
}

/// The connection is to end without an answer, because the plan says so or the client broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ends without an answer")]
pub struct ConnectionDropped;

impl PdpFace {
    /// A face in front of `answer` that demands neither key nor token.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        let faults = Faults::default();
        Self { answer, admit: None, exchange: None, subscription_key: None, faults }
    }

    /// The same, behind a gateway that wants this subscription key.
    #[must_use]
    pub fn with_subscription_key(self, key: SecretString) -> Self {
        Self { subscription_key: Some(key), ..self }
    }

    /// The same, judging tokens.
    #[must_use]
    pub fn with_tokens(self, admit: Admit) -> Self {
        Self { admit: Some(admit), ..self }
    }

    /// The same, taking only tokens that this exchange gave, and giving them at [`EXCHANGE_PATH`].
    #[must_use]
    pub fn with_exchange(self, exchange: Exchange) -> Self {
        let exchange = Arc::new(exchange);
        let judge = Arc::clone(&exchange);
        let admit: Admit = Arc::new(move |token| judge.admits(token));
        Self { exchange: Some(exchange), admit: Some(admit), ..self }
    }

    /// The switch for misbehaviour.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Accepts connections until the process stops.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tasks: Tasks) {
        let stopping = tasks.stopping();
        while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
            // A connection that ended before it was accepted is no reason to stop; a full table of
            // descriptors is one to wait.
            let Ok((socket, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let face = Arc::clone(&self);
            let stopping = stopping.clone();
            drop(tasks.spawn(async move {
                let service = service_fn(|request| face.respond(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(socket), service);
                // How a connection ends is of no interest to a stand-in.
                let _ = stopping.run_until_cancelled(connection).await;
            }));
        }
    }

    /// Answers one request.
    pub async fn respond<B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        request: Request<B>,
    ) -> Result<Response<Full<Bytes>>, ConnectionDropped> {
        let (head, body) = request.into_parts();
        if head.uri.path() == EXCHANGE_PATH && head.method == Method::GET {
            return Ok(self.exchange(&head.headers));
        }
        if head.uri.path() != AUTHORIZE_PATH {
            return Ok(empty(StatusCode::NOT_FOUND));
        }
        if head.method != Method::POST {
            let mut refusal = empty(StatusCode::METHOD_NOT_ALLOWED);
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(refusal);
        }
        let plan = self.faults.next();
        if !plan.latency.is_zero() {
            tokio::time::sleep(plan.latency).await;
        }
        match plan.behaviour {
            Behaviour::Answer | Behaviour::Repeat => {}
            Behaviour::DropConnection => return Err(ConnectionDropped),
            Behaviour::Indeterminate => return Ok(indeterminate(Indeterminate::ProcessingError)),
            Behaviour::Refuse(status, retry_after) => return Ok(refusal(status, retry_after)),
        }
        if let Some(refusal) = self.refuse(&head.headers) {
            return Ok(refusal);
        }
        match Limited::new(body, MAX_QUESTION_BYTES).collect().await {
            Ok(body) => Ok(self.answer(&body.to_bytes(), plan.behaviour)),
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => {
                Ok(empty(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Err(_) => Err(ConnectionDropped),
        }
    }

    fn exchange(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let Some(exchange) = &self.exchange else { return empty(StatusCode::NOT_FOUND) };
        match bearer(headers).and_then(|token| exchange.exchange(token)) {
            Some(token) => answered(StatusCode::OK, "text/plain; charset=utf-8", token.into()),
            None => empty(StatusCode::UNAUTHORIZED),
        }
    }

    /// The gateway first, then the service behind it.
    fn refuse(&self, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
        if let Some(key) = &self.subscription_key {
            let given = headers.get("ocp-apim-subscription-key").map(HeaderValue::as_bytes);
            let message = match given {
                Some(given) if given == key.expose_secret().as_bytes() => None,
                Some(_) => Some("Access denied due to invalid subscription key."),
                None => Some("Access denied due to missing subscription key."),
            };
            if let Some(message) = message {
                let body = format!(r#"{{"statusCode":401,"message":"{message}"}}"#);
                return Some(answered(StatusCode::UNAUTHORIZED, "application/json", body.into()));
            }
        }
        match self.admit.as_ref().map_or(Admission::Admitted, |admit| admit(bearer(headers))) {
            Admission::Admitted => None,
            Admission::Unauthorized => Some(empty(StatusCode::UNAUTHORIZED)),
            Admission::Forbidden => Some(empty(StatusCode::FORBIDDEN)),
        }
    }

    fn answer(&self, body: &[u8], behaviour: Behaviour) -> Response<Full<Bytes>> {
        match self.results(body) {
            Ok(results) if behaviour == Behaviour::Repeat => {
                in_json(&[results.as_slice(), results.as_slice()].concat())
            }
            Ok(results) => in_json(&results),
            Err(RequestFault::Content { status, .. }) => indeterminate(status),
            Err(RequestFault::Malformed(_)) => answered(
                StatusCode::BAD_REQUEST,
                "application/problem+json; charset=utf-8",
                Bytes::from_static(
                    br#"{"title":"One or more validation errors occurred.","status":400,"errors":{"request":["The question is not JSON of the expected types."]}}"#,
                ),
            ),
        }
    }

    fn results(&self, body: &[u8]) -> Result<Vec<WireResult>, RequestFault> {
        let request = decode_request(body)?;
        let answer = |question: &Vec<&WireCategory>| {
            (self.answer)(question).map_err(|status| RequestFault::Content {
                status,
                cause: "the question cannot be answered",
            })
        };
        request.questions()?.iter().map(answer).collect()
    }
}

impl fmt::Debug for PdpFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdpFace").field("faults", &self.faults).finish_non_exhaustive()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn indeterminate(why: Indeterminate) -> Response<Full<Bytes>> {
    in_json(&[Decision::Indeterminate(why).into()])
}

fn in_json(results: &[WireResult]) -> Response<Full<Bytes>> {
    answered(StatusCode::OK, "application/json; charset=utf-8", encode_response(results).into())
}

fn refusal(status: StatusCode, retry_after: Option<Duration>) -> Response<Full<Bytes>> {
    let mut refusal = empty(status);
    if let Some(wait) = retry_after {
        refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    refusal
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn answered(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests;
