//! The one HTTP client towards Maskinporten and Altinn: bounded in time and size, follows nothing.
//!
//! No redirects (they would carry tokens elsewhere), no proxy from the environment (settings name it), no
//! decompression (a small answer stays small), no retries (whoever asks decides). The API behind Portvakt
//! is not reached from here; that is the upstream room.

mod health;

pub use health::{Exchanged, Health, Healths, System};

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What the client needs to know at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundSettings {
    /// Further certificate authorities to trust, in PEM, beside the system's.
    pub ca_pem: Option<Bytes>,
    /// The proxy to go through.
    pub proxy: Option<Url>,
    /// Hosts reached without the proxy, comma-separated, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// The client. Cheap to clone; clones share connections, and what is known of the systems' health.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    healths: Arc<Healths>,
}

/// One exchange to be made.
#[derive(Debug)]
pub struct Call {
    /// `GET` or `POST`.
    pub method: Method,
    /// The full address.
    pub url: Url,
    /// Headers beyond those the protocol needs. Mark credentials sensitive.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// For the whole exchange, connection and answer's body included.
    pub timeout: Duration,
    /// The largest answer read. Bounds memory against a peer that sends without end.
    pub max_answer_bytes: usize,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body of a success. Of anything else at least its beginning: a gateway's long page of
    /// apologies must not hide its status.
    pub body: Bytes,
}

impl Reply {
    /// `Retry-After` in seconds, from one to two minutes (RFC 9110 §10.2.3): a peer must not make us wait
    /// for long. The form with a date counts as absent: a clock that differs from ours would make it say
    /// anything.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds = Duration::from_secs(text.parse().ok()?);
        Some(seconds.clamp(Duration::from_secs(1), MAX_RETRY_AFTER))
    }
}

/// Why there is no answer. The text is for logs; it holds no header and no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFault {
    /// No connection: refused, no such name, no TLS. Nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The exchange did not end in time.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended before its time, or what came is not HTTP.
    #[error("the exchange broke: {0}")]
    Broken(String),
    /// More bytes than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// The settings cannot make a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOutbound(String);

/// Connecting is given up after this long, whatever the exchange's own time: short enough to leave time for
/// another attempt within the deadline of a decision.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the idle timeouts of common gateways, so that we close before they do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections kept to one host: as many as the PDP is asked over at once by default.
const MAX_IDLE: usize = 64;
/// How often an HTTP/2 connection is tried, and how long it may take to answer. Over HTTP/2 an exchange that
/// times out leaves the connection in place; without this, one that is dead would fail every further
/// exchange until the kernel gives it up, many minutes later.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait that an answer can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

impl Outbound {
    /// Makes the client.
    pub fn new(settings: &OutboundSettings) -> Result<Self, InvalidOutbound> {
        Self::with_healths(settings, Arc::default())
    }

    /// Makes a client that goes on counting where another stopped.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes the client")]
    pub fn with_healths(
        settings: &OutboundSettings,
        healths: Arc<Healths>,
    ) -> Result<Self, InvalidOutbound> {
        let fault = |what: &str, cause: &reqwest::Error| {
            InvalidOutbound(format!("{what}: {}", chain(cause)))
        };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .http2_keep_alive_timeout(PROBE_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .user_agent(concat!("portvakt/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|cause| fault("the CA file holds no readable certificate", &cause))?;
            if certificates.is_empty() {
                return Err(InvalidOutbound("the CA file holds no certificate in PEM".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(url) = &settings.proxy {
            let exceptions = settings.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            let proxy = reqwest::Proxy::all(url.as_str())
                .map_err(|cause| fault("the proxy address cannot be used", &cause))?
                .no_proxy(exceptions);
            builder = builder.proxy(proxy);
        }
        // What is in a certificate is looked at only here.
        let what = match settings.ca_pem {
            Some(_) => "the client cannot be made, perhaps because of the CA file",
            None => "the client cannot be made",
        };
        let client = builder.build().map_err(|cause| fault(what, &cause))?;
        Ok(Self { client, healths })
    }

    /// How the systems behind are doing.
    #[must_use]
    pub fn healths(&self) -> &Arc<Healths> {
        &self.healths
    }

    /// How one of them is doing.
    #[must_use]
    pub fn health(&self, system: System) -> &Health {
        self.healths.of(system)
    }

    /// Makes one exchange, or says why not. Never more than one request is sent.
    pub async fn exchange(&self, call: Call) -> Result<Reply, OutboundFault> {
        let timeout = call.timeout;
        tokio::time::timeout(timeout, self.exchange_untimed(call))
            .await
            .unwrap_or(Err(OutboundFault::Timeout(timeout)))
    }

    async fn exchange_untimed(&self, call: Call) -> Result<Reply, OutboundFault> {
        let mut request = self.client.request(call.method, call.url).headers(call.headers);
        if !call.body.is_empty() {
            request = request.body(call.body);
        }
        let mut answer = request.send().await.map_err(|fault| classify(&fault))?;
        let status = answer.status();
        let too_large = || OutboundFault::TooLarge(call.max_answer_bytes);
        let max = u64::try_from(call.max_answer_bytes).unwrap_or(u64::MAX);
        if status.is_success() && answer.content_length().is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|fault| classify(&fault))? {
            let room = call.max_answer_bytes.saturating_sub(body.len());
            if chunk.len() > room && status.is_success() {
                return Err(too_large());
            }
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                break;
            }
        }
        Ok(Reply { status, headers: std::mem::take(answer.headers_mut()), body: body.freeze() })
    }
}

fn classify(fault: &reqwest::Error) -> OutboundFault {
    if fault.is_connect() {
        // To whom: one configuration has several addresses, and the causes name none.
        let host = fault.url().map_or("", |url| url.authority());
        OutboundFault::Connect(format!("{host}: {}", chain(fault)))
    } else if fault.is_timeout() {
        OutboundFault::Timeout(CONNECT_TIMEOUT)
    } else {
        OutboundFault::Broken(chain(fault))
    }
}

/// The causes below an error, joined: the outermost of reqwest repeats the address, which logs have.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{cause}");
        source = cause.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

#[cfg(test)]
mod tests;
