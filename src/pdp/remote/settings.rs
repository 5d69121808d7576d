//! How Altinn's PDP is reached: what the configuration says, with its defaults. Nothing is made here.

use crate::pdp::Credential;
use secrecy::SecretString;
use std::time::Duration;
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
    /// For the whole decision: waiting for a place (at most half of it), credential, connection, another
    /// try and answer.
    pub timeout: Duration,
    /// Exchanges at the same time. Bounds what an outage of the PDP makes us hold, and what we do to it.
    pub max_in_flight: usize,
    /// Exchanges at the same time for one subject. Bounds how far one system user can slow the others.
    pub max_in_flight_per_subject: usize,
    /// Questions that wait for a place. Bounds memory when questions come faster than answers. One
    /// subject has at most a quarter of it, so that nobody can queue the others out.
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

/// The settings cannot make a client. Names the setting, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRemote {
    /// Not an address of a platform.
    #[error("the PDP's address is not an http(s) address without credentials, query and fragment")]
    Url,
    /// A key that cannot stand in a header, or not as it is.
    #[error(
        "the subscription key is not one word of visible ASCII: look for spaces and a second line"
    )]
    SubscriptionKey,
}

/// The address of the API on the platform at `base`.
pub(super) fn endpoint(base: &Url) -> Option<Url> {
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
