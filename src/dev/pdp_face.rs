//! The HTTP face of the development PDP: Altinn's addresses, headers, statuses and wire forms in front of any
//! function that answers questions.
//!
//! What it does not do: decide. Invariant: content that Altinn's PDP cannot make sense of is a `200` with
//! one `Indeterminate` result, as there. Why an answer is as it is goes to [`Recent`], never to the caller.

mod connections;
mod faults;
mod reply;

pub use faults::{Behaviour, FaultPlan, Faults};

use super::exchange::{Admission, Exchange, NotExchanged};
use super::recent::{KeptQuestion, Recent};
use crate::domain::{Clock, Decision, Indeterminate};
use crate::pdp::Reasons;
use crate::pdp::embedded::Api;
use crate::pdp::wire::{
    RequestFault, WireCategory, WireRequest, WireResult, decode_request, decode_request_xml,
};
use crate::tasks::Tasks;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use reply::{Form, Reply};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Answers one question, given as its categories, and says why, where it can. An error is what an
/// exception is in Altinn's PDP: it makes the whole answer one `Indeterminate` result, also in a
/// multi-request.
pub type Answer = Arc<dyn Fn(Api, &[&WireCategory]) -> Explained + Send + Sync>;

/// An answer, and why it is as it is.
pub type Explained = (Result<WireResult, Indeterminate>, Option<Box<Reasons>>);

/// The path of Altinn's external API.
pub const AUTHORIZE_PATH: &str = "/authorization/api/v1/authorize";

/// The path of Altinn's internal API.
pub const DECISION_PATH: &str = "/authorization/api/v1/decision";

/// The path of Altinn's exchange of Maskinporten tokens.
pub const EXCHANGE_PATH: &str = "/authentication/api/v1/exchange/maskinporten";

/// The header by which an answer is asked about later. It is not one of Altinn's.
pub const DECISION_ID: HeaderName = HeaderName::from_static("portvakt-decision-id");

const SUBSCRIPTION_KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");
/// Bounds a question. Altinn's own limit is not published.
const MAX_QUESTION_BYTES: usize = 1024 * 1024;
/// For the whole body to come. Bounds a client that sends and stops.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The face. Made once, shared by all connections.
pub struct PdpFace {
    answer: Answer,
    exchange: Option<Arc<Exchange>>,
    subscription_key: Option<SecretString>,
    faults: Faults,
    recent: Recent,
}

/// The connection is to end without an answer, because the plan says so or the client broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ends without an answer")]
pub struct ConnectionDropped;

/// What stands at a path.
#[derive(Clone, Copy)]
enum Address {
    Question(Api),
    Exchange,
}

impl Address {
    /// As ASP.NET finds it: in any case, with a final slash or without.
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let known = [
            (AUTHORIZE_PATH, Self::Question(Api::External)),
            (DECISION_PATH, Self::Question(Api::Internal)),
            (EXCHANGE_PATH, Self::Exchange),
        ];
        known.into_iter().find(|(at, _)| path.eq_ignore_ascii_case(at)).map(|(_, address)| address)
    }
}

impl PdpFace {
    /// A face in front of `answer` that demands neither key nor token.
    #[must_use]
    pub fn new(answer: Answer, clock: Arc<dyn Clock>) -> Self {
        let (faults, recent) = (Faults::default(), Recent::new(clock));
        Self { answer, exchange: None, subscription_key: None, faults, recent }
    }

    /// The same, behind a gateway that wants this subscription key.
    #[must_use]
    pub fn with_subscription_key(self, key: SecretString) -> Self {
        Self { subscription_key: Some(key), ..self }
    }

    /// The same, taking only tokens that this exchange gave, and giving them at [`EXCHANGE_PATH`].
    #[must_use]
    pub fn with_exchange(self, exchange: Arc<Exchange>) -> Self {
        Self { exchange: Some(exchange), ..self }
    }

    /// The switch for misbehaviour.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// What was answered, and why.
    #[must_use]
    pub fn recent(&self) -> Recent {
        self.recent.clone()
    }

    /// Accepts connections until the tasks are told to stop; then each ends after the exchange it is in.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tasks: Tasks) {
        connections::serve(self, listener, tasks).await;
    }

    /// Answers one request.
    pub async fn respond<B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        request: Request<B>,
    ) -> Result<Reply, ConnectionDropped> {
        let (head, body) = request.into_parts();
        // Only browsers send it, and no browser asks Altinn: it is a page of elsewhere, under a name that
        // is made to mean this machine, and would read who may act for whom.
        if head.headers.contains_key(ORIGIN) {
            return Ok(reply::empty(StatusCode::FORBIDDEN));
        }
        match (Address::of(head.uri.path()), &self.exchange) {
            (Some(Address::Question(api)), _) if head.method == Method::POST => {
                self.question(api, &head.headers, body).await
            }
            (Some(Address::Question(_)), _) => Ok(reply::only("POST")),
            (Some(Address::Exchange), Some(exchange)) if head.method == Method::GET => {
                Ok(exchanged(exchange, &head.headers).await)
            }
            (Some(Address::Exchange), Some(_)) => Ok(reply::only("GET")),
            (Some(Address::Exchange), None) | (None, _) => Ok(reply::empty(StatusCode::NOT_FOUND)),
        }
    }

    async fn question<B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>>(
        &self,
        api: Api,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Reply, ConnectionDropped> {
        let form = Form::of(headers).filter(|form| *form == Form::Json || api == Api::Internal);
        let plan = self.faults.next();
        if !plan.latency.is_zero() {
            tokio::time::sleep(plan.latency).await;
        }
        match plan.behaviour {
            Behaviour::Answer | Behaviour::Repeat => {}
            Behaviour::DropConnection => return Err(ConnectionDropped),
            Behaviour::Indeterminate => {
                let result = Decision::Indeterminate(Indeterminate::ProcessingError).into();
                return Ok(reply::results(form.unwrap_or(Form::Json), &[result]));
            }
            Behaviour::Refuse(status, retry_after) => {
                return Ok(reply::refusal(status, retry_after));
            }
        }
        if let Some(refusal) = self.refuse(headers).await {
            return Ok(refusal);
        }
        let Some(form) = form else { return Ok(reply::unsupported_media_type()) };
        let body = Limited::new(body, MAX_QUESTION_BYTES).collect();
        match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => Ok(self.answer(api, form, &body.to_bytes(), plan.behaviour).await),
            Ok(Err(fault)) if fault.is::<http_body_util::LengthLimitError>() => {
                Ok(reply::empty(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Ok(Err(_)) => Err(ConnectionDropped),
            Err(_) => Ok(reply::empty(StatusCode::REQUEST_TIMEOUT)),
        }
    }

    /// The gateway first, then the service behind it.
    async fn refuse(&self, headers: &HeaderMap) -> Option<Reply> {
        if let Some(key) = &self.subscription_key {
            let same = |given: &HeaderValue| {
                verify_slices_are_equal(given.as_bytes(), key.expose_secret().as_bytes()).is_ok()
            };
            let message = match headers.get(SUBSCRIPTION_KEY) {
                Some(given) if same(given) => None,
                Some(_) => Some("Access denied due to invalid subscription key."),
                None => Some("Access denied due to missing subscription key."),
            };
            if let Some(message) = message {
                tracing::info!(status = 401, why = message, "a caller is refused");
                return Some(reply::gateway_refusal(message));
            }
        }
        // The answers are empty, as Altinn's are: only the log says why.
        match self.exchange.as_ref()?.admits(headers).await {
            Admission::Admitted => None,
            Admission::Unauthorized => {
                let why = "no token of this exchange that still counts";
                tracing::info!(status = 401, why, "a caller is refused");
                Some(reply::empty(StatusCode::UNAUTHORIZED))
            }
            Admission::Forbidden => {
                let why = "the token has no scope to ask the PDP";
                tracing::info!(status = 403, why, "a caller is refused");
                Some(reply::empty(StatusCode::FORBIDDEN))
            }
        }
    }

    async fn answer(&self, api: Api, form: Form, body: &[u8], behaviour: Behaviour) -> Reply {
        let request = match form {
            Form::Json => decode_request(body),
            Form::Xml => decode_request_xml(body),
        };
        let (results, questions) = match (request, api) {
            (Ok(request), _) => self.results(api, &request).await,
            (Err(RequestFault::Malformed(_)), Api::External) => return reply::not_bound(body),
            (Err(fault), _) => unreadable(api, &fault),
        };
        if behaviour == Behaviour::Repeat {
            return reply::results(form, &[results.as_slice(), results.as_slice()].concat());
        }
        let id = self.recent.keep(api, &results, questions);
        let mut reply = reply::results(form, &results);
        if let Ok(id) = HeaderValue::try_from(id.to_string()) {
            reply.headers_mut().insert(DECISION_ID, id);
        }
        reply
    }

    /// What is answered, and what is kept of each question.
    async fn results(
        &self,
        api: Api,
        request: &WireRequest,
    ) -> (Vec<WireResult>, Vec<KeptQuestion>) {
        let asked = match request.questions() {
            Ok(asked) => asked,
            Err(fault) => return unreadable(api, &fault),
        };
        let (mut results, mut questions) = (Vec::new(), Vec::new());
        for question in asked {
            let (answered, reasons) = (self.answer)(api, &question);
            let spoilt = answered.is_err();
            let result =
                answered.unwrap_or_else(|why| Decision::Indeterminate(status_at(api, why)).into());
            questions.push(KeptQuestion::answered(&result.decision, reasons));
            if spoilt {
                return (vec![result], questions);
            }
            results.push(result);
            // A thousand questions keep no other connection waiting for longer than one of them.
            tokio::task::yield_now().await;
        }
        (results, questions)
    }
}

/// What cannot be read is one undecided answer.
fn unreadable(api: Api, fault: &RequestFault) -> (Vec<WireResult>, Vec<KeptQuestion>) {
    let (status, cause) = match fault {
        RequestFault::Malformed(_) => (Indeterminate::SyntaxError, "the body cannot be read"),
        RequestFault::Content { status, cause } => (*status, *cause),
    };
    let decision = Decision::Indeterminate(status_at(api, status));
    let question = KeptQuestion::unreadable(&decision, cause);
    (vec![decision.into()], vec![question])
}

/// The internal API has one status for whatever goes wrong.
fn status_at(api: Api, status: Indeterminate) -> Indeterminate {
    match api {
        Api::External => status,
        Api::Internal => Indeterminate::SyntaxError,
    }
}

async fn exchanged(exchange: &Exchange, headers: &HeaderMap) -> Reply {
    match exchange.exchange(headers).await {
        Ok(token) => reply::text(token),
        Err(NotExchanged::Untrusted) => reply::empty(StatusCode::UNAUTHORIZED),
        Err(NotExchanged::NoKeys) => reply::empty(StatusCode::SERVICE_UNAVAILABLE),
        Err(NotExchanged::NotSigned) => reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

impl fmt::Debug for PdpFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdpFace").field("faults", &self.faults).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
