//! Portvakt's own token from Maskinporten (the JWT grant, RFC 7523), exchanged at Altinn for one that the
//! PDP takes. One attempt of two exchanges; when to try again is the keeper's.
//!
//! Invariant: nothing that we sent or got is in a fault. Of a refusal only its status, its `error` word and
//! Maskinporten's number are repeated, as descriptions may hold what was sent.

use super::client_key::ClientKey;
use super::{CredentialFault, FetchingToken, FreshToken, TokenSource, bearer};
use crate::domain::{Clock, UnixSeconds};
use crate::outbound::{Call, Exchanged, Outbound, Reply, System};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// How Portvakt is known to Maskinporten, and where its tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantSettings {
    /// Our client's id.
    pub client_id: Arc<str>,
    /// What assertions are signed with.
    pub key: Arc<ClientKey>,
    /// Maskinporten's token endpoint.
    pub token_url: Url,
    /// What Maskinporten calls itself: `aud` of assertions.
    pub audience: Arc<str>,
    /// Altinn's exchange.
    pub exchange_url: Url,
    /// What is asked for, separated by spaces.
    pub scope: Arc<str>,
}

/// One exchange is given up after this long.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer read. Bounds memory; tokens have one to four kilobytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// `exp − iat` of assertions, at most two minutes for Maskinporten. Bounds for how long one that is stolen
/// on its way could be used.
const ASSERTION_LIFETIME: Duration = Duration::from_mins(1);
/// A token whose end is not known is replaced after this long.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(1);
/// However long a token says it lives, another is fetched after this long. Altinn's live half an hour.
const MAX_LIFETIME: Duration = Duration::from_hours(1);
/// The next token is fetched this long before the end, where the lifetime allows: time for several attempts.
const MARGIN: Duration = Duration::from_secs(30);
/// Assertions count for Maskinporten if its clock and ours differ by no more.
const MAX_CLOCK_DIFFERENCE: u64 = 10;
/// The longest `error` word repeated in a fault. Those of RFC 6749 §5.2 and Maskinporten are shorter.
const MAX_WORD_BYTES: usize = 48;

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const GRANT_TYPE: &str =
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

/// Gives tokens by Maskinporten's grant and Altinn's exchange.
#[derive(Debug)]
pub struct MaskinportenGrant {
    settings: Arc<GrantSettings>,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
}

/// The claims that Maskinporten reads; it refuses others.
#[derive(Serialize)]
struct Assertion<'a> {
    /// One value: a list is refused.
    aud: &'a str,
    iss: &'a str,
    scope: &'a str,
    iat: u64,
    exp: u64,
    jti: Uuid,
}

/// What counts of Maskinporten's answer (RFC 6749 §5.1). A repeated member is an error.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<u64>,
}

/// What is repeated of a refusal (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

/// What a token says of its life.
#[derive(Deserialize)]
struct Life {
    iat: u64,
    exp: u64,
}

/// Who is asked.
#[derive(Clone, Copy)]
struct Step {
    system: System,
    name: &'static str,
}

const MASKINPORTEN: Step = Step { system: System::Maskinporten, name: "Maskinporten" };
const EXCHANGE: Step = Step { system: System::Exchange, name: "Altinn's exchange" };

impl Step {
    fn fault(self, cause: impl Into<Arc<str>>) -> CredentialFault {
        CredentialFault { step: self.name, cause: cause.into(), retry_after: None }
    }
}

impl MaskinportenGrant {
    /// A source for these settings. It touches nothing before it is asked.
    #[must_use]
    pub fn new(settings: Arc<GrantSettings>, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { settings, outbound, clock }
    }

    async fn token(&self) -> Result<FreshToken, CredentialFault> {
        let granted = self.grant().await?;
        let authorization = bearer(&granted.access_token)
            .ok_or_else(|| MASKINPORTEN.fault("the answer holds no token"))?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let call = call(Method::GET, &self.settings.exchange_url, headers, Bytes::new());
        let reply = self.ask(EXCHANGE, call).await?;
        let life = exchanged(&reply).ok_or("the answer is not one token").and_then(|token| {
            let said = lifetime(token).or(granted.expires_in).map(Duration::from_secs);
            match said.unwrap_or(DEFAULT_LIFETIME).min(MAX_LIFETIME) {
                Duration::ZERO => Err("the token is over before it begins"),
                life => Ok((token, life)),
            }
        });
        self.note(EXCHANGE, if life.is_ok() { Exchanged::Ok } else { Exchanged::Unusable });
        let (token, life) = life.map_err(|cause| EXCHANGE.fault(cause))?;
        Ok(FreshToken {
            token: SecretString::from(token),
            renew_after: renewal(life),
            expires_after: Some(life),
        })
    }

    async fn grant(&self) -> Result<Granted, CredentialFault> {
        let body = format!("{GRANT_TYPE}{}", self.assertion()?);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, FORM), (ACCEPT, JSON)]);
        let call = call(Method::POST, &self.settings.token_url, headers, body.into());
        let reply = self.ask(MASKINPORTEN, call).await?;
        let granted = granted(&reply);
        self.note(
            MASKINPORTEN,
            if granted.is_some() { Exchanged::Ok } else { Exchanged::Unusable },
        );
        granted.ok_or_else(|| MASKINPORTEN.fault("the answer holds no token"))
    }

    fn assertion(&self) -> Result<String, CredentialFault> {
        let settings = &self.settings;
        let now = self.clock.wall();
        let assertion = Assertion {
            aud: &settings.audience,
            iss: &settings.client_id,
            scope: &settings.scope,
            iat: now.0,
            exp: now.saturating_add(ASSERTION_LIFETIME).0,
            jti: Uuid::new_v4(),
        };
        settings.key.sign(&assertion).map_err(|fault| MASKINPORTEN.fault(fault.to_string()))
    }

    /// The answer, if its status is `200`: whoever reads it notes whether it can be used.
    async fn ask(&self, step: Step, call: Call) -> Result<Reply, CredentialFault> {
        let reply = self.outbound.exchange(call).await.map_err(|fault| {
            self.note(step, Exchanged::from(&fault));
            step.fault(fault.to_string())
        })?;
        if reply.status == StatusCode::OK {
            return Ok(reply);
        }
        let refusal = refusal(&reply.body);
        // The status of an OAuth refusal (RFC 6749 §5.2).
        let refused = reply.status == StatusCode::BAD_REQUEST && refusal.is_some();
        let outcome = if refused { Exchanged::Refused } else { Exchanged::of_status(reply.status) };
        self.note(step, outcome);
        let mut cause = format!("answered {}", reply.status.as_u16());
        if let Some(refusal) = refusal {
            // Writing to a String cannot fail.
            let _ = write!(cause, " {refusal}");
        }
        if let Some(seconds) = clock_difference(&reply.headers, self.clock.wall()) {
            let _ = write!(cause, "; its clock and ours differ by {seconds} s");
        }
        Err(CredentialFault { retry_after: reply.retry_after(), ..step.fault(cause) })
    }

    fn note(&self, step: Step, outcome: Exchanged) {
        self.outbound.health(step.system).note(outcome, self.clock.monotonic());
    }
}

impl TokenSource for MaskinportenGrant {
    fn fetch(&self) -> FetchingToken<'_> {
        Box::pin(self.token())
    }
}

fn call(method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Call {
    let (url, timeout) = (url.clone(), EXCHANGE_TIMEOUT);
    Call { method, url, headers, body, timeout, max_answer_bytes: MAX_ANSWER_BYTES }
}

fn granted(reply: &Reply) -> Option<Granted> {
    let granted: Granted = serde_json::from_slice(&reply.body).ok()?;
    let bears = granted.token_type.as_deref().is_none_or(|it| it.eq_ignore_ascii_case("bearer"));
    (bears && bearer(&granted.access_token).is_some()).then_some(granted)
}

/// A token, perhaps in quotes: Altinn has answered both ways.
fn exchanged(reply: &Reply) -> Option<&str> {
    let text = std::str::from_utf8(&reply.body).ok()?.trim_ascii();
    let text = match text.strip_prefix('"') {
        Some(text) => text.strip_suffix('"')?,
        None => text,
    };
    // A page of HTML without a space would do for a bearer token, but not for a JWT (RFC 7515 §7.1).
    let is_part = |part: &str| {
        let is_of_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !part.is_empty() && part.bytes().all(is_of_base64url)
    };
    let is_jwt = text.split('.').count() == 3 && text.split('.').all(is_part);
    bearer(text).filter(|_| is_jwt).map(|_| text)
}

/// Seconds from the token's `iat` to its `exp`. Nothing is verified: the token is for us to use, not to
/// believe. Its times are taken from each other only, as its issuer's clock is not ours.
fn lifetime(token: &str) -> Option<u64> {
    let payload = token.split('.').nth(1)?;
    let life: Life = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some(life.exp.saturating_sub(life.iat))
}

/// After two thirds of a life, and [`MARGIN`] before its end, but not in its first third.
fn renewal(life: Duration) -> Duration {
    let third = life / 3;
    life.saturating_sub(MARGIN).clamp(third, third.saturating_mul(2))
}

/// The word and the number of a refusal, if it has any that are plain.
fn refusal(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let word = refusal.error.filter(|word| {
        (1..=MAX_WORD_BYTES).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })?;
    Some(match refusal.error_description.as_deref().and_then(number) {
        Some(number) => format!("{word} (MP-{number})"),
        None => word,
    })
}

/// The digits of `(MP-303)`.
fn number(description: &str) -> Option<&str> {
    let (number, _) = description.split_once("(MP-")?.1.split_once(')')?;
    let plain = (1..=4).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    plain.then_some(number)
}

/// By how many seconds the clock of an answer (RFC 9110 §6.6.1) and ours differ, if it is so many that
/// assertions do not count.
fn clock_difference(headers: &HeaderMap, ours: UnixSeconds) -> Option<u64> {
    let date = headers.get(DATE)?.as_bytes();
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let theirs = u64::try_from(date.as_second()).ok()?;
    Some(theirs.abs_diff(ours.0)).filter(|seconds| *seconds > MAX_CLOCK_DIFFERENCE)
}

#[cfg(test)]
mod tests;
