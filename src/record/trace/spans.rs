//! From a finished journey to its spans, by the names of OpenTelemetry's conventions for HTTP (1.23 and later).
//!
//! Never in them: the raw target, the query, headers, the token, a person's number; as in records.

use super::{Address, SpanId, Trace, TraceId};
use crate::domain::{Action, DecisionSource, ResourceId};
use crate::record::{DecisionRecord, Outcome, Stage};
use http::Method;
use std::borrow::Cow;
use std::time::Instant;

/// One span, finished.
#[derive(Clone, Debug)]
pub struct Span {
    /// Of which trace.
    pub trace_id: TraceId,
    /// Which one.
    pub span_id: SpanId,
    /// Below which other one.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: String,
    /// On which side of a call.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if that is whose side this is.
    pub error: Option<String>,
}

/// On which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of none.
    Internal,
    /// It was asked.
    Server,
    /// It asks.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

/// The numbers of spans that are one of a kind; those of stages follow.
pub(super) const API: u64 = 1;
const PDP: u64 = 2;
const STAGES: u64 = 3;

/// The spans of a request, its own first.
pub(super) fn of(trace: &Trace, record: &DecisionRecord, now: Instant) -> Vec<Span> {
    let mut spans = vec![whole(trace, record, now)];
    let mut from = trace.started;
    for (number, &(stage, end)) in (STAGES..).zip(&trace.ends) {
        let own = trace.own.following(number);
        spans.push(Span {
            name: format!("portvakt.{}", stage.as_str()),
            ..trace.span(own, Some(trace.own), Kind::Internal, (from, end))
        });
        if stage == Stage::Decision && asks(record.source) {
            let mut span = Span {
                name: "POST".to_owned(),
                attributes: call("POST", trace.pdp.as_ref()),
                ..trace.span(trace.own.following(PDP), Some(own), Kind::Client, (from, end))
            };
            if record.decision.is_none() {
                span.fail(unanswered(record));
            }
            spans.push(span);
        }
        from = end;
    }
    if let Some(called) = trace.called {
        let mut span = Span {
            name: known(&record.method).to_owned(),
            attributes: call(known(&record.method), trace.tracer.api.as_deref()),
            ..trace.span(
                trace.own.following(API),
                Some(trace.own),
                Kind::Client,
                (called, trace.answered.unwrap_or(now)),
            )
        };
        match record.status.filter(|_| trace.answered.is_some()) {
            Some(status) => {
                span.attributes.push(("http.response.status_code", Value::Number(status.into())));
                // To who asks, a refusal is an error as well.
                if status >= 400 {
                    span.fail(status.to_string());
                }
            }
            None => span.fail(unanswered(record)),
        }
        spans.push(span);
    }
    spans
}

impl Trace {
    fn at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.started).as_nanos();
        self.began.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn span(
        &self,
        span_id: SpanId,
        parent: Option<SpanId>,
        kind: Kind,
        (start, end): (Instant, Instant),
    ) -> Span {
        Span {
            trace_id: self.id,
            span_id,
            parent,
            name: String::new(),
            kind,
            start: self.at(start),
            end: self.at(end),
            attributes: Vec::new(),
            error: None,
        }
    }
}

impl Span {
    fn fail(&mut self, kind: String) {
        self.attributes.push(("error.type", Value::Text(kind.clone().into())));
        self.error = Some(kind);
    }
}

/// Why a call got no answer: what the caller was told, if they still wait for one.
fn unanswered(record: &DecisionRecord) -> String {
    record.code.map_or("aborted", |code| code.as_str()).to_owned()
}

/// From the first byte to the last.
fn whole(trace: &Trace, record: &DecisionRecord, now: Instant) -> Span {
    let mut span = trace.span(trace.own, trace.parent, Kind::Server, (trace.started, now));
    let method = known(&record.method);
    span.name =
        record.template.as_ref().map_or_else(|| method.to_owned(), |it| format!("{method} {it}"));
    let mut put = |name, value: Option<String>| {
        span.attributes.extend(value.map(|value| (name, Value::Text(value.into()))));
    };
    put("http.request.method", Some(method.to_owned()));
    put("http.route", record.template.as_deref().map(str::to_owned));
    put("portvakt.rule", record.rule.as_deref().map(str::to_owned));
    put("portvakt.resource", record.resource.as_ref().map(ResourceId::as_str).map(str::to_owned));
    put("portvakt.action", record.action.as_ref().map(Action::as_str).map(str::to_owned));
    put("portvakt.decision", record.decision.map(str::to_owned));
    put("portvakt.decision.source", Some(record.source.as_str().to_owned()));
    put("portvakt.outcome", Some(record.outcome.as_str().to_owned()));
    put("portvakt.code", record.code.map(|code| code.as_str().to_owned()));
    put("portvakt.request_id", Some(record.request_id.text().to_string()));
    let generation = i64::try_from(record.generation).unwrap_or(i64::MAX);
    span.attributes.push(("portvakt.generation", Value::Number(generation)));
    if let Some(status) = record.status {
        span.attributes.push(("http.response.status_code", Value::Number(status.into())));
    }
    // Of a server's span only its own failures are errors: what a caller did wrong is not.
    let failure = match (record.status, record.code, record.outcome) {
        (Some(500..), Some(code), _) => Some(code.as_str().to_owned()),
        (Some(status @ 500..), None, _) => Some(status.to_string()),
        (_, _, Outcome::Aborted) => Some("aborted".to_owned()),
        (Some(_) | None, _, Outcome::Forwarded | Outcome::Refused) => None,
    };
    if let Some(failure) = failure {
        span.fail(failure);
    }
    span
}

/// The method, if it is one of those that the conventions know: strangers must not make names of spans.
fn known(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::CONNECT,
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::POST,
        Method::PUT,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "_OTHER" }
}

/// Whether the PDP was asked while the request waited.
fn asks(source: DecisionSource) -> bool {
    match source {
        DecisionSource::Pdp | DecisionSource::Coalesced => true,
        DecisionSource::Cache
        | DecisionSource::Refreshed
        | DecisionSource::Embedded
        | DecisionSource::Local => false,
    }
}

fn call(method: &str, to: Option<&Address>) -> Vec<(&'static str, Value)> {
    let mut attributes = vec![("http.request.method", Value::Text(method.to_owned().into()))];
    if let Some(Address { host, port }) = to {
        attributes.push(("server.address", Value::Text(host.clone().into())));
        attributes.extend(port.map(|port| ("server.port", Value::Number(port.into()))));
    }
    attributes
}
