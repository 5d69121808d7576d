//! Altinn's PDP, over HTTP. One question, one exchange, one deadline.
//!
//! It follows nothing, repeats nothing and believes nothing but a `200` with JSON in it. A fault on the way
//! is never a refusal of the caller: the PDP's `401` and `403` concern *our* credential.

use super::point::{DecisionFault, DecisionPoint, PendingDecision};
use super::wire;
use crate::domain::{AccessRequest, Decision, DecisionSource};
use crate::outbound::{Call, Outbound, OutboundFault, Reply};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use url::Url;

/// How Altinn's PDP is reached.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The platform's address; `authorization/api/v1/authorize` is appended.
    pub url: Url,
    /// The key that Altinn's gateway wants to see.
    pub subscription_key: Option<SecretString>,
    /// How we prove who we are.
    pub credential: Credential,
    /// For the whole decision: waiting for a place, credential, connection and answer.
    pub timeout: Duration,
    /// Calls at the same time. Bounds what an outage of the PDP makes us hold, and what we do to it.
    pub max_in_flight: usize,
    /// Calls at the same time for one subject. Bounds how far one system user can slow the others.
    pub max_in_flight_per_subject: usize,
    /// Calls that wait for a place. Bounds memory when questions come faster than answers.
    pub max_queued: usize,
    /// The largest answer read. A single answer has about a kilobyte.
    pub max_answer_bytes: usize,
    /// Whether the parties of one request go into one exchange, for which Altinn writes no event log.
    pub multi_request: bool,
    /// When a failing PDP is left alone.
    pub breaker: BreakerSettings,
}

/// When a failing PDP is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row after which it is not asked for a while.
    pub failures: u32,
    /// How long; then one call at a time shows whether it is back.
    pub pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(2) }
    }
}

impl RemoteSettings {
    /// The defaults for an address: no key, no credential.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            subscription_key: None,
            credential: Credential::None,
            timeout: Duration::from_secs(5),
            max_in_flight: 64,
            max_in_flight_per_subject: 8,
            max_queued: 1024,
            max_answer_bytes: 256 * 1024,
            multi_request: false,
            breaker: BreakerSettings::default(),
        }
    }
}

/// How we prove to the PDP who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Not at all: for the development PDP, or where the network does it.
    None,
    /// By a bearer token in a file that the platform renews. Read for every call, so that a renewed one
    /// counts at once.
    TokenFile(PathBuf),
}

/// The settings cannot make a client. Names the setting, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRemote {
    /// Not an address of a platform.
    #[error("the PDP's address is not an http(s) address without credentials, query and fragment")]
    Url,
    /// A key that cannot stand in a header.
    #[error("the subscription key holds characters that cannot be sent in a header")]
    SubscriptionKey,
}

const SUBSCRIPTION_KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Tokens of Maskinporten and Altinn have one to four kilobytes. Bounds a wrong file.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;
/// The longest wait that the PDP can make us pass on to a client.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

/// Altinn's PDP.
#[derive(Debug)]
pub struct RemotePdp {
    outbound: Outbound,
    endpoint: Url,
    /// All of a call's headers but `Authorization`; the key is marked sensitive.
    headers: HeaderMap,
    credential: Credential,
    timeout: Duration,
    max_answer_bytes: usize,
    in_flight: Semaphore,
    /// Places in flight and in the queue together.
    admitted: Semaphore,
    identity: String,
}

impl RemotePdp {
    /// A client for these settings.
    pub fn new(outbound: Outbound, settings: &RemoteSettings) -> Result<Self, InvalidRemote> {
        let endpoint = endpoint(&settings.url).ok_or(InvalidRemote::Url)?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON), (ACCEPT, JSON)]);
        if let Some(key) = &settings.subscription_key {
            let mut key = HeaderValue::from_str(key.expose_secret())
                .map_err(|_| InvalidRemote::SubscriptionKey)?;
            key.set_sensitive(true);
            headers.insert(SUBSCRIPTION_KEY, key);
        }
        let credential = match &settings.credential {
            Credential::None => "nobody".to_owned(),
            Credential::TokenFile(path) => format!("the token in {}", path.display()),
        };
        let places = settings.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let admitted = places.saturating_add(settings.max_queued).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            outbound,
            identity: format!("{endpoint} as {credential}"),
            endpoint,
            headers,
            credential: settings.credential.clone(),
            timeout: settings.timeout,
            max_answer_bytes: settings.max_answer_bytes,
            in_flight: Semaphore::new(places),
            admitted: Semaphore::new(admitted),
        })
    }

    async fn ask(&self, request: &AccessRequest) -> Result<Decision, DecisionFault> {
        let overloaded = || DecisionFault::Overloaded { retry_after: None };
        let _admitted = self.admitted.try_acquire().map_err(|_| overloaded())?;
        let begun = AtomicBool::new(false);
        let whole = async {
            // The semaphore is never closed.
            let _place = self.in_flight.acquire().await.map_err(|_| DecisionFault::Internal)?;
            begun.store(true, Ordering::Relaxed);
            self.exchange(request).await
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(outcome) => outcome,
            Err(_) if begun.load(Ordering::Relaxed) => Err(DecisionFault::Timeout(self.timeout)),
            Err(_) => Err(overloaded()),
        }
    }

    async fn exchange(&self, request: &AccessRequest) -> Result<Decision, DecisionFault> {
        let mut headers = self.headers.clone();
        match &self.credential {
            Credential::None => {}
            Credential::TokenFile(path) => {
                headers.insert(AUTHORIZATION, bearer(path).await?);
            }
        }
        let call = Call {
            method: Method::POST,
            url: self.endpoint.clone(),
            headers,
            body: wire::encode_request(request).into(),
            timeout: self.timeout,
            max_answer_bytes: self.max_answer_bytes,
        };
        match self.outbound.exchange(call).await {
            Ok(reply) => judge(&reply),
            Err(OutboundFault::Timeout(after)) => Err(DecisionFault::Timeout(after)),
            Err(fault @ (OutboundFault::Connect(_) | OutboundFault::Broken(_))) => {
                Err(DecisionFault::unavailable(fault.to_string()))
            }
            Err(fault @ OutboundFault::TooLarge(_)) => {
                Err(DecisionFault::Protocol(fault.to_string().into()))
            }
        }
    }
}

impl DecisionPoint for RemotePdp {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        Box::pin(self.ask(request))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

fn endpoint(base: &Url) -> Option<Url> {
    let plain = matches!(base.scheme(), "http" | "https")
        && base.has_host()
        && base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    if !plain {
        return None;
    }
    let mut endpoint = base.clone();
    endpoint.path_segments_mut().ok()?.pop_if_empty().extend([
        "authorization",
        "api",
        "v1",
        "authorize",
    ]);
    Some(endpoint)
}

async fn bearer(path: &Path) -> Result<HeaderValue, DecisionFault> {
    let fault = |what: &str| DecisionFault::Credential(what.into());
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|cause| fault(&format!("the token file cannot be opened: {}", cause.kind())))?;
    let mut token = String::new();
    file.take(MAX_TOKEN_BYTES + 1)
        .read_to_string(&mut token)
        .await
        .map_err(|cause| fault(&format!("the token file cannot be read: {}", cause.kind())))?;
    let token = token.trim_ascii();
    if token.is_empty() {
        return Err(fault("the token file is empty"));
    }
    if token.len() as u64 > MAX_TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault("the token file does not hold one token"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| fault("the token file does not hold one token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn judge(reply: &Reply) -> Result<Decision, DecisionFault> {
    let status = reply.status;
    match status {
        StatusCode::OK => decision(reply),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(DecisionFault::Credential(format!("answered {}", status.as_u16()).into()))
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Err(DecisionFault::Overloaded { retry_after: retry_after(&reply.headers) })
        }
        _ if status.is_server_error() => {
            Err(DecisionFault::unavailable(format!("answered {}", status.as_u16())))
        }
        _ => Err(DecisionFault::Protocol(format!("answered {}", status.as_u16()).into())),
    }
}

fn decision(reply: &Reply) -> Result<Decision, DecisionFault> {
    if !reply.headers.get(CONTENT_TYPE).is_none_or(is_json) {
        return Err(DecisionFault::Protocol("the answer is not declared as JSON".into()));
    }
    wire::decode_response(&reply.body)
        .map_err(|fault| DecisionFault::Protocol(fault.to_string().into()))
}

fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "text/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3). The form with a date is left to the default: a clock that
/// differs from ours would make it say anything.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = Duration::from_secs(text.parse().ok()?);
    Some(seconds.clamp(Duration::from_secs(1), MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
