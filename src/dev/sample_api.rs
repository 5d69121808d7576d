//! A sample API to stand behind the proxy: answers every request with what it received of it, and
//! remembers what it has seen, so that the tour can show that refused requests never arrive.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The sample API. Cheap to clone; clones share their memory.
#[derive(Clone, Debug, Default)]
pub struct SampleApi {
    seen: Arc<Mutex<VecDeque<Seen>>>,
}

/// One request as the API received it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers that Portvakt sets, and whether a token came along.
    pub identity: BTreeMap<String, String>,
    /// Whether there was an `Authorization` header.
    pub authorization: bool,
    /// How large the body was.
    pub body_bytes: usize,
}

/// How many requests are remembered. Bounds memory of a demo left running.
const MAX_SEEN: usize = 1000;
/// The largest body taken. Bounds memory; the demo has no use for more.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

impl SampleApi {
    /// An API that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one request with what arrived of it.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
            return json(StatusCode::PAYLOAD_TOO_LARGE, Bytes::from_static(b"{}\n"));
        };
        let identity =
            parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("portvakt-"));
        let seen = Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            identity: identity
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            authorization: parts.headers.contains_key(http::header::AUTHORIZATION),
            body_bytes: body.to_bytes().len(),
        };
        let mut text = serde_json::to_vec_pretty(&serde_json::json!({ "received": &seen }))
            .unwrap_or_default();
        text.push(b'\n');
        self.remember(seen);
        json(StatusCode::OK, Bytes::from(text))
    }

    /// Everything seen so far, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().iter().cloned().collect()
    }

    /// What was seen under this request id.
    #[must_use]
    pub fn seen_under(&self, request_id: &str) -> Option<Seen> {
        let named = |seen: &&Seen| {
            seen.identity.get("portvakt-request-id").is_some_and(|id| id == request_id)
        };
        self.lock().iter().rev().find(named).cloned()
    }

    fn remember(&self, seen: Seen) {
        let mut all = self.lock();
        if all.len() == MAX_SEEN {
            all.pop_front();
        }
        all.push_back(seen);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
