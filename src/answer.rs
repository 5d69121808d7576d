//! From a [`Denial`] to the answer its caller gets: the only builder of refusals.
//!
//! A problem document (RFC 9457), headers only for `HEAD`, or a trailers-only gRPC status. Status and
//! text come from the code alone, and are fixed before anything is rendered; the denial's cause, the token
//! and anything about the API behind are never in it.

mod texts;

use crate::domain::{Denial, DenialCode, RequestId, ScopeRequirement, SystemUserId};
use crate::members::{Members, key};
use bytes::Bytes;
use http::header::{
    ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use std::time::Duration;
use texts::Language;

/// The request id in answers, ours and the API's.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What of the request shapes the answer, beside the denial.
#[derive(Clone, Copy, Debug)]
pub struct AnswerForm {
    request_id: RequestId,
    language: Language,
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
}

impl AnswerForm {
    /// Reads the caller's language and protocol off the request's head.
    #[must_use]
    pub fn of(version: Version, headers: &HeaderMap, request_id: RequestId) -> Self {
        // gRPC is spoken over HTTP/2 only; over HTTP/1.1 the media type alone must not turn a refusal
        // into a 200.
        let grpc = version == Version::HTTP_2
            && headers.get(CONTENT_TYPE).is_some_and(|value| {
                value.as_bytes() == b"application/grpc"
                    || value.as_bytes().starts_with(b"application/grpc+")
                    || value.as_bytes().starts_with(b"application/grpc;")
            });
        Self {
            request_id,
            language: Language::preferred(headers.get_all(ACCEPT_LANGUAGE)),
            protocol: if grpc { Protocol::Grpc } else { Protocol::Http },
        }
    }
}

/// The answer to a refused request.
#[must_use]
pub fn answer(denial: &Denial, form: AnswerForm) -> Response<Bytes> {
    match form.protocol {
        Protocol::Http => problem(denial, form),
        Protocol::Grpc => grpc_status(denial, form),
    }
}

/// A problem document; members that do not apply are absent. Room for one that says what is missing for whom.
const USUAL_PROBLEM_BYTES: usize = 1024;
/// Headers of a refusal, with `Connection` and the library's own.
const MAX_PROBLEM_HEADERS: usize = 12;

fn problem(denial: &Denial, form: AnswerForm) -> Response<Bytes> {
    let code = denial.code;
    let extras = &denial.extras;
    let text = texts::text(code, form.language);
    let mut body = Vec::with_capacity(USUAL_PROBLEM_BYTES);
    let mut problem = Members::begin(&mut body);
    problem.words_as_one(key!("type"), "urn:portvakt:problem:", code.as_str());
    problem.text(key!("title"), text.title);
    problem.number(key!("status"), u64::from(code.status()));
    problem.text(key!("detail"), &texts::detail(text.detail, form.language, extras));
    problem.word(key!("code"), code.as_str());
    problem.words_as_one(key!("instance"), "urn:uuid:", &form.request_id.text());
    problem.some_word(
        key!("resource"),
        extras.resource.as_ref().map(crate::domain::ResourceId::as_str),
    );
    problem.some_word(key!("action"), extras.action.as_ref().map(crate::domain::Action::as_str));
    if let Some(party) = extras.party {
        problem.word_by(key!("party"), |text| party.text_to(text));
    }
    problem.some_word(key!("systemUser"), extras.system_user.map(SystemUserId::text).as_ref());
    if let Some(scopes) = &extras.required_scopes {
        problem.list(key!("requiredScopes"), scope_words(scopes).iter());
        if is_one_enough(scopes) {
            problem.truth(key!("oneScopeIsEnough"), true);
        }
    }
    if let Some(level) = extras.required_level {
        problem.number(key!("requiredLevel"), u64::from(level.number()));
    }
    if let Some(packages) = extras.access_packages.as_deref().filter(|it| !it.is_empty()) {
        problem.list(key!("accessPackages"), packages.iter());
    }
    problem.some_text(key!("parameter"), extras.parameter.as_deref());
    if let Some(limit) = extras.limit {
        problem.number(key!("limit"), limit);
    }
    let help = extras.help_url.as_ref().map(|url| url.replace("{code}", code.as_str()));
    problem.some_text(key!("help"), help.as_deref());
    // Another line, for those who read it in a terminal.
    problem.end_line();
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() =
        StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.reserve(MAX_PROBLEM_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(form.language.tag()));
    headers.insert(VARY, HeaderValue::from_static("Accept-Language"));
    common_headers(headers, denial, form);
    if let Some(challenge) = challenge(denial) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(methods) = &extras.allowed_methods
        && let Ok(methods) = HeaderValue::from_str(methods)
    {
        headers.insert(ALLOW, methods);
    }
    answer
}

/// gRPC over HTTP/2: a trailers-only answer, which is headers without a body.
fn grpc_status(denial: &Denial, form: AnswerForm) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers
        .insert(HeaderName::from_static("grpc-status"), HeaderValue::from(grpc_code(denial.code)));
    // The code word only: gRPC messages are for developers, and need no escaping this way.
    headers.insert(
        HeaderName::from_static("grpc-message"),
        HeaderValue::from_static(denial.code.as_str()),
    );
    common_headers(headers, denial, form);
    answer
}

fn common_headers(headers: &mut HeaderMap, denial: &Denial, form: AnswerForm) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&form.request_id.text()) {
        headers.insert(X_REQUEST_ID, id);
    }
    if denial.code.status() == 503 {
        // Whole seconds, rounded up, never zero: "at once" is what the caller has just tried.
        let seconds = denial.extras.retry_after.map_or(DEFAULT_RETRY_AFTER_SECONDS, whole_seconds);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// What a caller is told to wait when nothing better is known.
const DEFAULT_RETRY_AFTER_SECONDS: u64 = 5;

/// `WWW-Authenticate` of 401 and 403 answers (RFC 6750 §3): an error code only where a token was judged,
/// and `insufficient_scope` only where a scope is what is missing.
fn challenge(denial: &Denial) -> Option<HeaderValue> {
    match (denial.code.status(), denial.code) {
        (401, DenialCode::TokenMissing) => Some(HeaderValue::from_static("Bearer")),
        (401, _) => Some(HeaderValue::from_static(r#"Bearer error="invalid_token""#)),
        (403, DenialCode::ScopeMissing) => {
            let required = denial.extras.required_scopes.as_ref();
            let mut words = required.map(scope_words).unwrap_or_default();
            // All that the header names are asked for: of several of which one is enough it names one.
            if required.is_some_and(is_one_enough) {
                words.truncate(1);
            }
            let scopes = words.join(" ");
            HeaderValue::from_str(&format!(
                r#"Bearer error="insufficient_scope", scope="{scopes}""#
            ))
            .ok()
        }
        (403, _) => Some(HeaderValue::from_static("Bearer")),
        _ => None,
    }
}

fn is_one_enough(requirement: &ScopeRequirement) -> bool {
    matches!(requirement, ScopeRequirement::Any(scopes) if scopes.len() > 1)
}

fn scope_words(requirement: &ScopeRequirement) -> Vec<&str> {
    requirement.named().iter().map(crate::domain::Scope::as_str).collect()
}

/// gRPC status codes: 16 unauthenticated, 7 permission denied, 12 unimplemented, 3 invalid argument,
/// 14 unavailable.
fn grpc_code(code: DenialCode) -> u16 {
    match code.status() {
        401 => 16,
        403 => 7,
        404 | 405 => 12,
        status if status < 500 => 3,
        _ => 14,
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
