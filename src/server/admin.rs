//! Probes and metrics, on a port of their own: read-only, without secrets, never forwarding.

use crate::record::{GaugeSample, Recorder};
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process should get traffic. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on the process is leaving.
    pub fn start_draining(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the process is leaving.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Answers probes and scrapes.
#[derive(Clone, Debug)]
pub struct Admin {
    snapshot: Arc<ArcSwap<Snapshot>>,
    readiness: Readiness,
    recorder: Arc<Recorder>,
}

impl Admin {
    /// Reports on these parts.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        readiness: Readiness,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self { snapshot, readiness, recorder }
    }

    /// Answers one request: `/health/live`, `/health/ready`, `/metrics` and the aliases of the platforms.
    #[must_use]
    pub fn handle(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        match request.uri().path() {
            "/health/live" | "/livez" | "/healthz" => text(StatusCode::OK, "live\n"),
            "/health/ready" | "/readyz" => match self.unready() {
                None => text(StatusCode::OK, "ready\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
            },
            "/metrics" => self.metrics(),
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    /// Why no traffic should come, if so. The PDP is not asked: when it is down, every replica would
    /// leave at once, and callers would get no answer instead of a telling one.
    fn unready(&self) -> Option<&'static str> {
        if self.readiness.is_draining() {
            return Some("draining\n");
        }
        if !self.snapshot.load().tokens.is_ready() {
            return Some("no keys to verify tokens with\n");
        }
        None
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let snapshot = self.snapshot.load();
        let mut samples = vec![
            GaugeSample::Generation(snapshot.generation),
            GaugeSample::Ready(self.unready().is_none()),
            GaugeSample::TokenCacheEntries(snapshot.tokens.remembered()),
            GaugeSample::DecisionCacheEntries(snapshot.decisions.stats().entries),
            GaugeSample::PdpInFlight(snapshot.decisions.stats().in_flight),
        ];
        samples.extend(snapshot.tokens.key_states().into_iter().map(|state| GaugeSample::Keys {
            issuer: state.issuer.to_string(),
            count: state.keys,
            age: state.age.map(|age| age.as_secs_f64()),
        }));
        match self.recorder.metrics().render(&samples) {
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

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
