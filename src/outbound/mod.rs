//! The one HTTP client towards Maskinporten and Altinn: bounded in time and size, follows nothing.
//!
//! No redirects (they would carry tokens elsewhere), no proxy from the environment (settings name it), no
//! decompression (a small answer stays small), no retries (whoever asks decides; only what never left goes
//! over another connection). The API behind Portvakt is not reached from here; that is the upstream room.

mod health;
mod peer;
mod way;

pub use health::{Exchanged, Health, Healths, System};

use crate::tasks::Tasks;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use peer::{NoAnswer, Peer};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;
use way::Ways;

/// What the client needs to know at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundSettings {
    /// Further certificate authorities to trust, in PEM, beside the system's.
    pub ca_pem: Option<Bytes>,
    /// The proxy to go through.
    pub proxy: Option<Url>,
    /// Hosts reached without the proxy, comma-separated, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// Whether HTTP/2 is spoken without being asked for, also in the clear (RFC 9113 §3.3): for gRPC.
    pub http2: bool,
}

/// The client. Cheap to clone; clones share connections, and what is known of the systems' health.
#[derive(Clone, Debug)]
pub struct Outbound {
    peers: Arc<Peers>,
    healths: Arc<Healths>,
}

/// Whom there are connections to.
struct Peers {
    ways: Ways,
    /// Most recently asked last.
    met: Mutex<Vec<Arc<Peer>>>,
    /// Connections end by themselves, and with whoever holds them; nobody waits for that.
    tasks: Tasks,
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
    /// What came after it.
    pub trailers: HeaderMap,
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

/// Hosts that connections are kept to. Bounds what a list of addresses that never ends would hold; the systems are
/// four.
const MAX_PEERS: usize = 32;
const OURS: HeaderValue = HeaderValue::from_static(concat!("portvakt/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
/// The longest wait that an answer can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);

impl Outbound {
    /// Makes the client.
    pub fn new(settings: &OutboundSettings) -> Result<Self, InvalidOutbound> {
        Self::with_healths(settings, Arc::default())
    }

    /// Makes a client that goes on counting where another stopped.
    pub fn with_healths(
        settings: &OutboundSettings,
        healths: Arc<Healths>,
    ) -> Result<Self, InvalidOutbound> {
        let ways = Ways::new(settings)?;
        let peers = Peers { ways, met: Mutex::default(), tasks: Tasks::new() };
        Ok(Self { peers: Arc::new(peers), healths })
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
        let unreached = |cause: &str| OutboundFault::Connect(cause.to_owned());
        let peer = self.peers.at(&call.url).ok_or_else(|| unreached("no address of HTTP"))?;
        let target = peer::target(&call.url).ok_or_else(|| unreached("no path of HTTP"))?;
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(USER_AGENT, OURS);
        request.headers_mut().entry(ACCEPT).or_insert(ANYTHING);

        let (mut answer, connection) =
            peer.send(target, request).await.map_err(|fault| fault.of(&peer))?;
        let status = answer.status();
        let too_large = || OutboundFault::TooLarge(call.max_answer_bytes);
        let max = u64::try_from(call.max_answer_bytes).unwrap_or(u64::MAX);
        if status.is_success() && answer.body().size_hint().lower() > max {
            return Err(too_large());
        }
        let headers = std::mem::take(answer.headers_mut());
        let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame.map_err(|fault| OutboundFault::Broken(chain(&fault)))?;
            let chunk = match frame.into_data() {
                Ok(chunk) => chunk,
                Err(frame) => {
                    trailers = frame.into_trailers().unwrap_or_default();
                    continue;
                }
            };
            let room = call.max_answer_bytes.saturating_sub(body.len());
            if chunk.len() > room && status.is_success() {
                return Err(too_large());
            }
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                return Ok(Reply { status, headers, body: body.freeze(), trailers });
            }
        }
        peer.keep(connection);
        Ok(Reply { status, headers, body: body.freeze(), trailers })
    }
}

impl Peers {
    fn at(&self, url: &Url) -> Option<Arc<Peer>> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = match met.iter().position(|peer| peer.is_at(url)) {
            Some(known) => met.remove(known),
            None => Peer::new(url, self.ways.to(url)?, self.tasks.clone())?,
        };
        if met.len() >= MAX_PEERS {
            met.remove(0);
        }
        met.push(Arc::clone(&peer));
        Some(peer)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("ways", &self.ways).finish_non_exhaustive()
    }
}

impl NoAnswer {
    fn of(self, peer: &Peer) -> OutboundFault {
        match self {
            // To whom: one configuration has several addresses, and the causes name none.
            Self::Unreached(cause) => OutboundFault::Connect(format!("{}: {cause}", peer.name())),
            Self::Broken(cause) => OutboundFault::Broken(chain(&cause)),
        }
    }
}

/// An error and the causes below it, joined.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
