//! Where the API is, how it is spoken to, and how long to wait for it.

use super::tls::Trust;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Where the API is, and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its address.
    pub address: UpstreamAddress,
    /// To a connection, TLS included.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the answer.
    pub response_timeout: Duration,
    /// How long an unused connection is kept. Below the upstream's own, so that we close first.
    pub idle_timeout: Duration,
    /// How many unused connections are kept. Bounds sockets after a burst.
    pub max_idle: usize,
    /// How long a client may leave its upload standing while the API wants more of it and has not begun to
    /// answer. Bounds what a slow upload holds of the API.
    pub upload_idle_timeout: Duration,
    /// How long both sides may be silent once the answer has begun: an event stream or a conversation in
    /// which neither says a word for this long is over. Bounds what a dead peer holds.
    pub body_idle_timeout: Duration,
    /// Whether the client's token is sent on.
    pub forward_authorization: bool,
    /// Networks whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<super::Network>,
}

/// The address of the API, without a path of its own, and the protocol spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// `http://host:port`: HTTP/1.1 in the clear.
    Http(HostPort),
    /// `https://host:port`: TLS, with HTTP/2 or HTTP/1.1 as the API prefers.
    Https(HostPort, Trust),
    /// `h2c://host:port`: HTTP/2 in the clear by prior knowledge (RFC 9113 §3.3).
    H2c(HostPort),
    /// `unix:/path`: HTTP/1.1 over a socket file.
    Unix(Box<Path>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

impl UpstreamAddress {
    /// The host and port, if it has any.
    #[must_use]
    pub fn host_port(&self) -> Option<&HostPort> {
        match self {
            Self::Http(host_port) | Self::Https(host_port, _) | Self::H2c(host_port) => {
                Some(host_port)
            }
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host_port) => host_port.fmt(f),
            Self::Https(host_port, _) => write!(f, "https://{host_port}"),
            Self::H2c(host_port) => write!(f, "h2c://{host_port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
