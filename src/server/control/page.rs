//! A page of the control listener: what it is asked, and what it answers. Whether it may be asked at all is
//! judged before, in `mod`.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Answers one path. Cheap to clone.
///
/// A page that changes something is asked with the control token and a JSON body, one that only shows
/// something without either. It may take its time: it is never asked on a thread that serves requests.
#[derive(Clone)]
pub struct Page {
    pub(super) method: Method,
    /// The whole path; or, if it ends in a slash, how it begins.
    pub(super) path: &'static str,
    pub(super) answer: Answer,
}

type Answer = Arc<dyn Fn(&Asked) -> Result<Value, Refusal> + Send + Sync>;

/// What a page is asked.
#[derive(Debug, Default)]
pub struct Asked {
    /// What follows a path that ends in a slash, as it was sent.
    pub rest: String,
    /// The body; empty where the page only shows something.
    pub body: Bytes,
}

/// Why a control request is refused. The detail repeats nothing of the request: that may name a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Page {
    /// A page that shows something.
    pub fn get(
        path: &'static str,
        answer: impl Fn(&Asked) -> Result<Value, Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::GET, path, answer: Arc::new(answer) }
    }

    /// A page that changes something.
    pub fn post(
        path: &'static str,
        answer: impl Fn(&Asked) -> Result<Value, Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self { method: Method::POST, path, answer: Arc::new(answer) }
    }

    /// What of the path is left to the page, if it is the page's.
    pub(super) fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.path)?;
        (rest.is_empty() != self.path.ends_with('/')).then_some(rest)
    }
}

impl Asked {
    /// The body as an object of this form, or a refusal that says what is `expected`: what the reader
    /// has to say may repeat what stands there.
    pub fn object<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Refusal> {
        // An array would do for a derived reader.
        let object = self.body.trim_ascii_start().starts_with(b"{");
        let read = object.then(|| serde_json::from_slice(&self.body).ok()).flatten();
        read.ok_or_else(|| Refusal::bad(expected))
    }
}

/// Reads a member that may be left out. `null` is no value: who has none to say must not say the member.
pub fn stated<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Refusal {
    /// A refusal with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// The body does not say what it should.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A problem document (RFC 9457) of the kind that says no more than its status.
    pub(super) fn answer(&self, allowed: Option<&Method>) -> Response<Full<Bytes>> {
        let document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut answer = in_json(self.status, "application/problem+json", &document);
        if let Some(Ok(allowed)) = allowed.map(|method| HeaderValue::try_from(method.as_str())) {
            answer.headers_mut().insert(ALLOW, allowed);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

pub(super) fn in_json(
    status: StatusCode,
    media_type: &'static str,
    document: &Value,
) -> Response<Full<Bytes>> {
    // For people too, who ask with curl.
    let mut answer = Response::new(Full::new(Bytes::from(format!("{document:#}\n"))));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
