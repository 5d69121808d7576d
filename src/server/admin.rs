//! Probes and metrics, on a port of their own: read-only, without secrets, never forwarding.

use super::observed::Observed;
use super::readiness::troubles;
use crate::outbound::{Healths, System};
use crate::pdp::Circuit;
use crate::record::Sample;
use crate::tasks::compute_aside;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the metrics are scraped.
const METRICS: &str = "/metrics";

/// Answers probes and scrapes.
#[derive(Clone, Debug)]
pub(super) struct Admin(pub(super) Observed);

impl Admin {
    /// Answers one request: `/health/live`, `/health/ready`, `/metrics` and the aliases of the platforms.
    fn handle(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/health/live" | "/livez" | "/healthz" => text(StatusCode::OK, "live\n"),
            "/health/ready" | "/readyz" => self.ready(),
            METRICS => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    /// The same, with what goes through all that is held beside the thread that serves requests.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        if request.uri().path() == METRICS {
            compute_aside(move || self.handle(&request)).await
        } else {
            self.handle(&request)
        }
    }

    /// The first line says whether traffic should come; the others, what is missing or failing.
    fn ready(&self) -> Response<Full<Bytes>> {
        let snapshot = self.0.snapshot.load();
        let (status, first) = match self.0.readiness.unready(&snapshot) {
            None => (StatusCode::OK, "ready"),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
        };
        text(
            status,
            format!("{first}\n{}", troubles(&snapshot, &self.0.healths, &self.0.self_check)),
        )
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let snapshot = self.0.snapshot.load();
        let (now, condition) = (snapshot.clock.monotonic(), snapshot.decisions.condition());
        let oldest = self.0.recorder.metrics().oldest_decision(now);
        let mut samples = vec![
            Sample::Generation(snapshot.generation),
            Sample::Ready(self.0.readiness.unready(&snapshot).is_none()),
            Sample::TokenCacheEntries(snapshot.tokens.remembered()),
            Sample::DecisionCacheEntries(snapshot.decisions.stats().entries),
            Sample::Pdp { in_flight: condition.in_flight, queued: condition.queued },
        ];
        let tls = self.0.tls.as_ref();
        samples.extend(tls.map(|tls| Sample::CertificateCurrent(tls.is_current())));
        samples.push(Sample::ConfigCurrent(self.0.currency.is_current()));
        samples.push(Sample::RestartNeeded(self.0.currency.needs_restart()));
        samples.extend(oldest.map(Sample::OldestDecision));
        samples.extend(snapshot.tokens.key_states().into_iter().map(|state| Sample::Keys {
            issuer: state.issuer.to_string(),
            count: state.keys,
            skipped: state.skipped,
            age: state.age,
        }));
        samples.extend(exchanges(&self.0.healths, now));
        samples.extend(condition.credential.map(|credential| Sample::Credential {
            age: credential.age,
            expires_in: credential.expires_in,
            failing: credential.last_fault.is_some(),
        }));
        samples.extend(circuit(condition.circuit));
        samples.extend(self.0.self_check.samples());
        match self.0.recorder.metrics().render(&samples) {
            Ok(rendered) => {
                let mut answer = Response::new(Full::new(Bytes::from(rendered)));
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                answer.headers_mut().insert(CONTENT_TYPE, format);
                answer
            }
            Err(fault) => {
                tracing::error!(%fault, "metrics cannot be rendered");
                text(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be rendered\n")
            }
        }
    }
}

fn exchanges(healths: &Healths, now: Instant) -> impl Iterator<Item = Sample> {
    System::ALL.into_iter().flat_map(move |system| {
        let (health, system) = (healths.of(system), system.as_str());
        let length = health.failing(now).map_or(Duration::ZERO, |(length, _)| length);
        let counts = health.counts().map(move |(outcome, count)| Sample::Exchanges {
            system,
            outcome: outcome.as_str(),
            count,
        });
        counts.chain([Sample::Failing { system, length }])
    })
}

/// Every state, so that the one before reads 0 and not as if it still were.
fn circuit(present: Circuit) -> [Sample; 3] {
    let states =
        [(Circuit::Closed, "closed"), (Circuit::Open, "open"), (Circuit::HalfOpen, "half-open")];
    states.map(|(circuit, state)| Sample::Circuit { state, present: circuit == present })
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
