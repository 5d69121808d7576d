//! A request as received: its head, who sent it, and a body that is still streaming, read, or taken.

use super::{FramingFault, RequestTarget, TargetFault};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::net::IpAddr;
use std::time::Duration;

/// A request, owned from the socket to the upstream. The bytes judged are the bytes sent.
#[derive(Debug)]
pub struct Inbound {
    /// Method, target, headers.
    pub head: Head,
    /// Who sent it.
    pub peer: Peer,
    /// What follows the head.
    pub body: InboundBody,
}

/// The head of a request.
#[derive(Debug)]
pub struct Head {
    /// Whether the bytes it was read from have one reading only; the fault waits for `authorize`, which
    /// alone turns faults into refusals.
    pub framing: Result<(), FramingFault>,
    /// The method, exactly as sent.
    pub method: Method,
    /// The target, judged when the head was received; its fault waits as that of the framing does.
    pub target: Result<RequestTarget, TargetFault>,
    /// The protocol version spoken by the client.
    pub version: Version,
    /// The headers, as sent.
    pub headers: HeaderMap,
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its network address; `None` for a process on this machine behind a unix socket, or a command of
    /// our own.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS that Portvakt itself ended.
    pub secure: bool,
}

impl Peer {
    /// A process on this machine, or a command of our own.
    pub const LOCAL: Self = Self { address: None, secure: false };

    /// Over plain TCP from this address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self { address: Some(address), secure: false }
    }
}

/// The body of a request.
#[derive(Debug)]
pub enum InboundBody {
    /// Not read yet.
    Streaming(Incoming),
    /// Read whole, to be judged and sent.
    Buffered(Bytes),
    /// Handed to the upstream.
    Taken,
}

/// Why a body could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More bytes than allowed.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The client left or broke the framing.
    #[error("the body ended before its time: {0}")]
    Broken(Box<str>),
    /// The client has sent nothing for too long.
    #[error("the body stopped coming for {0:?}")]
    Stalled(Duration),
    /// The body was already handed on.
    #[error("the body was already handed on")]
    Gone,
}

impl InboundBody {
    /// Whether there is certainly nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Buffered(bytes) => bytes.is_empty(),
            Self::Taken => true,
        }
    }

    /// Reads the body into memory, once, and keeps it there to be sent. Refuses at once when the stated
    /// length is above `max_bytes`, and at the first byte past it otherwise, so that memory stays below.
    /// Trailers of a body that was read are dropped (RFC 9110 §6.5.1 allows it). A client that sends
    /// nothing for `idle` is given up, so that it cannot hold what was read for ever.
    pub async fn buffer(&mut self, max_bytes: usize, idle: Duration) -> Result<Bytes, BodyFault> {
        match self {
            Self::Buffered(bytes) if bytes.len() <= max_bytes => return Ok(bytes.clone()),
            Self::Buffered(_) => return Err(BodyFault::TooLarge(max_bytes)),
            Self::Taken => return Err(BodyFault::Gone),
            Self::Streaming(_) => {}
        }
        let Self::Streaming(mut stream) = std::mem::replace(self, Self::Taken) else {
            return Err(BodyFault::Gone);
        };
        let stated = stream.size_hint().lower();
        if usize::try_from(stated).map_or(true, |stated| stated > max_bytes) {
            *self = Self::Streaming(stream);
            return Err(BodyFault::TooLarge(max_bytes));
        }
        let mut read = BytesMut::new();
        loop {
            let Ok(next) = tokio::time::timeout(idle, stream.frame()).await else {
                *self = Self::Streaming(stream);
                return Err(BodyFault::Stalled(idle));
            };
            let Some(frame) = next else { break };
            let frame = frame.map_err(|fault| BodyFault::Broken(fault.to_string().into()))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len().saturating_add(data.len()) > max_bytes {
                *self = Self::Streaming(stream);
                return Err(BodyFault::TooLarge(max_bytes));
            }
            read.extend_from_slice(&data);
        }
        let bytes = read.freeze();
        *self = Self::Buffered(bytes.clone());
        Ok(bytes)
    }

    /// Hands the body on, leaving [`InboundBody::Taken`].
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Taken)
    }
}
