//! The reverse proxy: takes a request off the wire, has it decided, and forwards or refuses it.
//!
//! Every request leaves by exactly one answer and one record, whatever happens inside.

use super::beside;
use super::place::Place;
use super::{Arrival, ProxyBody, upgrade};
use crate::answer::{AnswerForm, X_REQUEST_ID, answer};
use crate::authorize::{Permit, authorize, no_room, overlook, with_help};
use crate::domain::{
    Actor, DecisionSource, Denial, DenialCode, Head, Inbound, InboundBody, RequestId,
    RequestTarget, TargetFault, Upgrade,
};
use crate::in_flight::InFlight;
use crate::record::trace::{Address, TRACEPARENT, TRACESTATE, TraceParent};
use crate::record::{Journey, Recorder, Steps};
use crate::route::WebSocketRule;
use crate::snapshot::Snapshot;
use crate::upstream::{AnswerBody, Opened, Upstream};
use arc_swap::ArcSwap;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Uri, Version};
use hyper::body::Body as _;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

/// The door that API traffic comes through. Cheap to clone; clones are one door.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Door>);

#[derive(Debug)]
struct Door {
    snapshot: Arc<ArcSwap<Snapshot>>,
    upstream: Upstream,
    recorder: Arc<Recorder>,
    /// Each request, to the end of its answer.
    in_flight: InFlight,
}

impl Proxy {
    /// Decides by whatever snapshot is in force when a request arrives, and refuses those at once for which
    /// there is no place among those `in_flight`.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        upstream: Upstream,
        recorder: Arc<Recorder>,
        in_flight: InFlight,
    ) -> Self {
        Self(Arc::new(Door { snapshot, upstream, recorder, in_flight }))
    }

    /// Answers one request, which has begun when this is called.
    // What can be done at once is done before there is a future: whatever is moved into one takes room in it
    // to its end.
    pub fn handle(
        &self,
        arrival: Arrival,
    ) -> impl Future<Output = Response<ProxyBody>> + Send + use<> {
        let door = Arc::clone(&self.0);
        let request = &arrival.request;
        let snapshot = door.snapshot.load_full();
        let request_id = request_id(request.headers());
        let form = AnswerForm::of(request.version(), request.headers(), request_id);
        let mut journey = Journey::begin(
            request_id,
            request.method().clone(),
            snapshot.generation,
            Arc::clone(&snapshot.clock),
            Some(Arc::clone(&door.recorder)),
            Steps::Dropped,
        );
        let parent = TraceParent::of(request.headers());
        if let Some(parent) = &parent {
            journey.trace(Arc::from(parent.trace));
        }
        journey.follow(parent.as_ref(), || pdp_of(&snapshot));
        let version = request.version();
        let misframed = arrival.framing.is_err();
        let (mut inbound, client) = receive(arrival, snapshot.judging.max_target_bytes);
        let has_body = misframed || !inbound.body.is_empty();
        // What may follow such a head is not HTTP, and without a WebSocket it is nothing at all.
        let asks_upgrade = matches!(inbound.head.upgrade, Upgrade::Handshake(_));
        let place = Place::take(&door.in_flight, &door.recorder);
        async move {
            // What is ill-framed is refused as such however busy we are: that costs nothing.
            if place.is_none() && !misframed {
                journey.judged();
                door.upstream.turn_away(inbound);
                let close = (has_body || asks_upgrade) && closes(version);
                let denial = with_help(no_room(), None, &snapshot.judging);
                return refuse(&denial, close, form, journey, None);
            }
            let decided = match overlook(&snapshot, &inbound, &mut journey) {
                Some((permit, rule)) => {
                    beside::judge(&snapshot, rule.as_deref(), &mut inbound, &mut journey);
                    Ok(permit)
                }
                None => authorize(&snapshot, &mut inbound, &mut journey).await,
            };
            let (forwarded, unread) = match decided {
                Ok(permit) => {
                    hand_on_trace(&mut journey, &permit, &mut inbound);
                    let help = permit.help_url().map(Arc::clone);
                    let forwarded = match permit.web_socket() {
                        None => {
                            let sent = door.upstream.forward(permit, inbound, request_id);
                            sent.await.map(Forwarded::Answer)
                        }
                        // On the heap, since its room would be taken by every request.
                        Some(limits) => {
                            let opened = door.upstream.open(permit, inbound, request_id);
                            Box::pin(opened).await.map(|it| Forwarded::opened(it, client, limits))
                        }
                    };
                    let helped = |denial| with_help(denial, help.as_ref(), &snapshot.judging);
                    (forwarded.map_err(helped), has_body)
                }
                Err(denial) => {
                    let unread = matches!(&inbound.body, InboundBody::Streaming(body) if !body.is_end_stream());
                    let taken = has_body && matches!(inbound.body, InboundBody::Taken);
                    if !misframed {
                        door.upstream.turn_away(inbound);
                    }
                    // What is malformed may be followed by anything.
                    let malformed = misframed || denial.code == DenialCode::MalformedRequest;
                    (Err(denial), malformed || unread || taken)
                }
            };
            match forwarded {
                Ok(Forwarded::Answer(response)) => {
                    let mut response = told(response, &mut journey);
                    if asks_upgrade {
                        response
                            .headers_mut()
                            .insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    response.map(|body| ProxyBody::upstream(body, journey, place))
                }
                Ok(Forwarded::Tunnel(head, ends)) => {
                    let head = told(head, &mut journey);
                    upgrade::open(head, *ends, (journey, place), &door.recorder)
                }
                Err(denial) => {
                    let close = (unread || asks_upgrade) && closes(version);
                    refuse(&denial, close, form, journey, place)
                }
            }
        }
    }
}

/// What the API has made of a permitted request.
enum Forwarded {
    Answer(Response<AnswerBody>),
    Tunnel(Response<()>, Box<upgrade::Ends>),
}

impl Forwarded {
    fn opened(opened: Opened, client: OnUpgrade, limits: WebSocketRule) -> Self {
        match opened {
            Opened::Answer(response) => Self::Answer(response),
            Opened::Tunnel(head, api) => {
                Self::Tunnel(head, Box::new(upgrade::Ends { api, client, limits }))
            }
        }
    }
}

/// Whether the end of an exchange can be the end of its connection: a stream ends by itself.
fn closes(version: Version) -> bool {
    version < Version::HTTP_2
}

/// The head of the API's answer, as the client gets it.
fn told<B>(mut response: Response<B>, journey: &mut Journey) -> Response<B> {
    journey.upstream_answered(response.status().as_u16());
    if let Ok(id) = HeaderValue::from_str(&journey.request_id().text()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

fn refuse(
    denial: &Denial,
    close: bool,
    form: AnswerForm,
    mut journey: Journey,
    place: Option<Place>,
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

/// The request as the domain knows it, and its connection, should it become something else. Faults of the
/// target travel inside, to be refused in `authorize`.
fn receive(arrival: Arrival, max_target_bytes: usize) -> (Inbound, OnUpgrade) {
    let Arrival { mut request, peer, framing } = arrival;
    let client = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let target = receive_target(&parts.uri, max_target_bytes);
    let (method, upgrade) = if opens_stream(&parts) {
        (Method::GET, Upgrade::Stream)
    } else {
        let asked = Upgrade::asked(&parts.method, parts.version, &parts.headers);
        (parts.method, asked)
    };
    let head =
        Head { framing, method, target, version: parts.version, headers: parts.headers, upgrade };
    (Inbound { head, peer, body: InboundBody::Streaming(body) }, client)
}

fn receive_target(uri: &Uri, max_bytes: usize) -> Result<RequestTarget, TargetFault> {
    match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (None, None, Some(target)) => RequestTarget::of(target.clone(), max_bytes),
        _ => RequestTarget::parse(&uri.to_string(), max_bytes),
    }
}

/// Whether a stream asks to become a WebSocket (RFC 8441 §4). It is then judged as the `GET` that would ask
/// for one over HTTP/1.1; any other `CONNECT` stays what it is, which no rule takes.
fn opens_stream(parts: &Parts) -> bool {
    let named = |protocol: &Protocol| protocol.as_str().eq_ignore_ascii_case("websocket");
    parts.version == Version::HTTP_2
        && parts.method == Method::CONNECT
        && parts.extensions.get::<Protocol>().is_some_and(named)
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

/// The API's span is below ours, if this request is followed; else what the caller says goes on as it is. A header
/// that something was judged by is left alone.
fn hand_on_trace(journey: &mut Journey, permit: &Permit, inbound: &mut Inbound) {
    let Some(parent) = journey.call_api() else { return };
    let judged_by = |header: &HeaderName| permit.source_headers().any(|name| name == header);
    if !judged_by(&TRACEPARENT)
        && let Ok(parent) = HeaderValue::try_from(parent)
    {
        inbound.head.headers.insert(TRACEPARENT, parent);
    }
    // It is of a trace that nobody can tell (W3C Trace Context §4.3).
    if journey.begins_trace() && !judged_by(&TRACESTATE) {
        inbound.head.headers.remove(TRACESTATE);
    }
}

/// Where the PDP is, as spans name it: what its name begins with, unless it is in this process.
fn pdp_of(snapshot: &Snapshot) -> Option<Address> {
    if snapshot.decisions.source() != DecisionSource::Pdp {
        return None;
    }
    let url: Uri = snapshot.decisions.identity().split(' ').next()?.parse().ok()?;
    Some(Address { host: url.host()?.to_owned(), port: url.port_u16() })
}
