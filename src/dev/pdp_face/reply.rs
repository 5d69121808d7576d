//! The answers of the face, as Altinn's gateway and ASP.NET write them. What they say is decided elsewhere.

use crate::dev::claims;
use crate::pdp::wire::{WireResult, encode_response, encode_response_xml};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// An answer of the face.
pub(super) type Reply = Response<Full<Bytes>>;

/// In which form a question stands, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

impl Form {
    /// The form that `Content-Type` names; `None` for any other, and for none. `Accept` decides nothing:
    /// Altinn answers in the form of the question.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONTENT_TYPE).iter();
        let line = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
        let essence = line.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Some(Self::Json),
            "application/xml" | "text/xml" => Some(Self::Xml),
            // ASP.NET's own pattern.
            other if other.starts_with("application/") && other.ends_with("+json") => {
                Some(Self::Json)
            }
            other if other.starts_with("application/") && other.ends_with("+xml") => {
                Some(Self::Xml)
            }
            _ => None,
        }
    }
}

/// The results, in this form.
pub(super) fn results(form: Form, results: &[WireResult]) -> Reply {
    match form {
        Form::Json => in_json(StatusCode::OK, encode_response(results)),
        // Altinn writes XML as the plain text that ASP.NET takes any string for.
        Form::Xml => text(encode_response_xml(results)),
    }
}

/// Plain text.
pub(super) fn text(body: impl Into<Bytes>) -> Reply {
    answered(StatusCode::OK, "text/plain; charset=utf-8", body)
}

/// What Azure's gateway says of a subscription key.
pub(super) fn gateway_refusal(message: &str) -> Reply {
    let body = json!({ "statusCode": StatusCode::UNAUTHORIZED.as_u16(), "message": message });
    answered(StatusCode::UNAUTHORIZED, "application/json", body.to_string())
}

/// A question that ASP.NET cannot bind: its validation problem (RFC 9457), without what the parser said,
/// since that may repeat what was sent.
pub(super) fn not_bound(body: &[u8]) -> Reply {
    let missing = "The authorizationRequest field is required.";
    let errors = if body.iter().all(u8::is_ascii_whitespace) {
        json!({ "": ["A non-empty request body is required."], "authorizationRequest": [missing] })
    } else {
        json!({
            "$": ["The JSON value could not be converted to the type of the request."],
            "authorizationRequest": [missing],
        })
    };
    let mut problem =
        problem("15.5.1", "One or more validation errors occurred.", StatusCode::BAD_REQUEST);
    claims::set(&mut problem, "errors", errors);
    answered(StatusCode::BAD_REQUEST, PROBLEM, problem.to_string())
}

/// A body that is in neither form.
pub(super) fn unsupported_media_type() -> Reply {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let problem = problem("15.5.16", "Unsupported Media Type", status);
    answered(status, PROBLEM, problem.to_string())
}

const PROBLEM: &str = "application/problem+json; charset=utf-8";

/// As ASP.NET fills it in, with a trace id of its form (W3C Trace Context §3.2) that leads nowhere.
fn problem(section: &str, title: &str, status: StatusCode) -> Value {
    let (trace, span) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().as_u64_pair().0);
    json!({
        "type": format!("https://tools.ietf.org/html/rfc9110#section-{section}"),
        "title": title,
        "status": status.as_u16(),
        "traceId": format!("00-{trace}-{span:016x}-00"),
    })
}

/// The one method of an address.
pub(super) fn only(method: &'static str) -> Reply {
    let mut refusal = empty(StatusCode::METHOD_NOT_ALLOWED);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    refusal
}

/// A refusal on command.
pub(super) fn refusal(status: StatusCode, retry_after: Option<Duration>) -> Reply {
    let mut refusal = empty(status);
    if let Some(wait) = retry_after {
        refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    refusal
}

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn in_json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    answered(status, "application/json; charset=utf-8", body)
}

fn answered(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
