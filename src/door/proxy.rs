//! The reverse proxy: takes a request off the wire, has it decided, and forwards or refuses it.
//!
//! Every request leaves by exactly one answer and one record, whatever happens inside.

use super::{Arrival, ProxyBody};
use crate::answer::{AnswerForm, X_REQUEST_ID, answer};
use crate::authorize::{authorize, no_room};
use crate::domain::{Actor, Denial, Head, Inbound, InboundBody, RequestId, RequestTarget};
use crate::record::{Journey, Recorder, Steps};
use crate::snapshot::Snapshot;
use crate::upstream::{Forwarding, Upstream};
use arc_swap::ArcSwap;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::{Response, Version};
use hyper::body::Body as _;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The door that API traffic comes through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy {
    snapshot: Arc<ArcSwap<Snapshot>>,
    upstream: Upstream,
    recorder: Arc<Recorder>,
    /// One for each request under way, to the end of its answer. Nobody waits for one.
    places: Arc<Semaphore>,
}

impl Proxy {
    /// Decides by whatever snapshot is in force when a request arrives, and refuses those beyond
    /// `max_in_flight` at once.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        upstream: Upstream,
        recorder: Arc<Recorder>,
        max_in_flight: usize,
    ) -> Self {
        let places = Arc::new(Semaphore::new(max_in_flight.min(Semaphore::MAX_PERMITS)));
        Self { snapshot, upstream, recorder, places }
    }

    /// Answers one request.
    pub async fn handle(&self, arrival: Arrival) -> Response<ProxyBody> {
        let request = &arrival.request;
        let snapshot = self.snapshot.load_full();
        let request_id = request_id(request.headers());
        let form = AnswerForm::of(request.version(), request.headers(), request_id);
        let mut journey = Journey::begin(
            request_id,
            request.method().clone(),
            snapshot.generation,
            Arc::clone(&snapshot.clock),
            Some(Arc::clone(&self.recorder)),
            Steps::Dropped,
        );
        if let Some(trace_id) = trace_id(request.headers()) {
            journey.trace(trace_id);
        }
        let version = request.version();
        let misframed = arrival.framing.is_err();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let unread = misframed || !arrival.request.body().is_end_stream();
            journey.judged();
            return respond(Err(no_room()), unread && closes(version), form, journey, None);
        };
        let mut inbound = receive(arrival, snapshot.judging.max_target_bytes);
        let has_body = misframed || !inbound.body.is_empty();
        let decided = authorize(&snapshot, &mut inbound, &mut journey).await;
        let (forwarded, unread) = match decided {
            Ok(permit) => (self.upstream.forward(permit, inbound, request_id).await, has_body),
            Err(denial) => {
                let unread =
                    matches!(&inbound.body, InboundBody::Streaming(body) if !body.is_end_stream());
                let taken = has_body && matches!(inbound.body, InboundBody::Taken);
                (Err(denial), misframed || unread || taken)
            }
        };
        respond(forwarded, unread && closes(version), form, journey, Some(place))
    }
}

/// Whether the end of an exchange can be the end of its connection: a stream ends by itself.
fn closes(version: Version) -> bool {
    version < Version::HTTP_2
}

/// The one answer of a request.
fn respond(
    forwarded: Forwarding,
    close: bool,
    form: AnswerForm,
    mut journey: Journey,
    place: Option<OwnedSemaphorePermit>,
) -> Response<ProxyBody> {
    match forwarded {
        Ok(mut response) => {
            journey.upstream_answered(response.status().as_u16());
            if let Ok(id) = HeaderValue::from_str(&journey.request_id().to_string()) {
                response.headers_mut().insert(X_REQUEST_ID, id);
            }
            response.map(|body| ProxyBody::upstream(body, journey, place))
        }
        Err(denial) => refuse(&denial, close, form, journey, place),
    }
}

fn refuse(
    denial: &Denial,
    close: bool,
    form: AnswerForm,
    mut journey: Journey,
    place: Option<OwnedSemaphorePermit>,
) -> Response<ProxyBody> {
    journey.refused(denial);
    alert(denial, &journey);
    let mut response = answer(denial, form);
    if close {
        // What is left of the body must never be read as the next request (RFC 9112 §9.3).
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| ProxyBody::refusal(body, journey, place))
}

/// What no caller can mend is told to those who can, beside the record.
fn alert(denial: &Denial, journey: &Journey) {
    let (code, rule, cause) =
        (denial.code.as_str(), journey.rule().unwrap_or("none"), denial.cause.as_deref());
    match denial.code.actor() {
        Actor::ServiceOwner => {
            tracing::warn!(code, rule, cause, "the rule or its policy is at fault");
        }
        Actor::Portvakt => tracing::error!(code, rule, cause, "a fault of our own"),
        Actor::Caller | Actor::AuthorizationSystem | Actor::Upstream => {}
    }
}

/// The request as the domain knows it. Faults of the target travel inside, to be refused in `authorize`.
fn receive(arrival: Arrival, max_target_bytes: usize) -> Inbound {
    let Arrival { request, peer, framing } = arrival;
    let (parts, body) = request.into_parts();
    let uri = &parts.uri;
    let target = match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (None, None, Some(target)) => RequestTarget::parse(target.as_str(), max_target_bytes),
        _ => RequestTarget::parse(&uri.to_string(), max_target_bytes),
    };
    let head = Head {
        framing,
        method: parts.method,
        target,
        version: parts.version,
        headers: parts.headers,
    };
    Inbound { head, peer, body: InboundBody::Streaming(body) }
}

/// The client's own id, if it sent exactly one and it is a UUID; else a new one.
fn request_id(headers: &HeaderMap) -> RequestId {
    let mut lines = headers.get_all(X_REQUEST_ID).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok().and_then(RequestId::from_client),
        _ => None,
    }
    .unwrap_or_else(RequestId::fresh)
}

/// The trace id of a W3C `traceparent`, if there is exactly one and it is well-formed.
fn trace_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut lines = headers.get_all(HeaderName::from_static("traceparent")).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let mut fields = line.to_str().ok()?.split('-');
    let hex = |field: &str, length: usize| {
        field.len() == length
            && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && field.bytes().any(|byte| byte != b'0')
    };
    let (version, trace, parent) = (fields.next()?, fields.next()?, fields.next()?);
    let sound = version.len() == 2
        && version != "ff"
        && hex(trace, 32)
        && hex(parent, 16)
        && fields.next().is_some();
    sound.then(|| Arc::from(trace))
}
