//! A request as received: its head, who sent it, and a body that is still streaming, read, or taken.

mod copied;

pub use copied::{BodyCopy, BodyTap};

use super::buffers::PaidBuffer;
use super::{BodyShare, FramingFault, NoBodyRoom, RequestTarget, TargetFault, Upgrade};
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming, SizeHint};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

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
#[derive(Clone, Debug)]
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
    /// What it asks its connection to become.
    pub upgrade: Upgrade,
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
    /// Not read yet, and copied as it is sent on.
    Tapped(Box<(Incoming, BodyTap)>),
    /// The copy of one that is sent on meanwhile: to be judged, not to be sent.
    Copied(BodyCopy),
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
    /// The client sends too slowly.
    #[error("the body comes more slowly than {0} bytes a second")]
    TooSlow(u64),
    /// Other bodies hold all there is, or all that the caller's may.
    #[error(transparent)]
    NoRoom(#[from] NoBodyRoom),
    /// Other copies hold all there is.
    #[error("there is no room for a copy of the body")]
    NoCopy,
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
            Self::Tapped(tapped) => tapped.0.is_end_stream(),
            Self::Copied(copy) => copy.stated().exact() == Some(0),
            Self::Buffered(bytes) => bytes.is_empty(),
            Self::Taken => true,
        }
    }

    /// What is known of its length.
    #[must_use]
    pub fn stated(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Tapped(tapped) => tapped.0.size_hint(),
            Self::Copied(copy) => *copy.stated(),
            Self::Buffered(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Taken => SizeHint::with_exact(0),
        }
    }

    /// Reads the body into memory, once, and keeps it there to be sent; the memory is taken from `share`
    /// as the body comes, and given back when it has been sent or dropped. Refuses at once when the stated
    /// length is above `max_bytes`, and at the first byte past it otherwise, so that memory stays below.
    /// Trailers of a body that was read are dropped (RFC 9110 §6.5.1 allows it). A client that does not keep
    /// `pace` is given up, so that it cannot hold what was read for ever.
    pub async fn buffer(
        &mut self,
        max_bytes: usize,
        pace: Pace,
        share: &BodyShare,
    ) -> Result<Bytes, BodyFault> {
        match self {
            Self::Buffered(bytes) if bytes.len() <= max_bytes => return Ok(bytes.clone()),
            Self::Buffered(_) => return Err(BodyFault::TooLarge(max_bytes)),
            Self::Taken | Self::Tapped(_) => return Err(BodyFault::Gone),
            Self::Streaming(_) | Self::Copied(_) => {}
        }
        let mut stream = match self.take() {
            Self::Streaming(stream) => stream,
            Self::Copied(copy) => {
                let bytes = copy.whole(max_bytes).await?;
                *self = Self::Buffered(bytes.clone());
                return Ok(bytes);
            }
            Self::Tapped(_) | Self::Buffered(_) | Self::Taken => return Err(BodyFault::Gone),
        };
        let read = read_whole(&mut stream, max_bytes, pace, share).await;
        // What is left of a body that is refused stays with the request, as it was.
        *self = match &read {
            Ok(bytes) => Self::Buffered(bytes.clone()),
            Err(_) => Self::Streaming(stream),
        };
        read
    }

    /// The same, copied as it is sent on. What is not streaming has no copy.
    #[must_use]
    pub fn tapped(self, tap: BodyTap) -> Self {
        if let Self::Streaming(stream) = self {
            Self::Tapped(Box::new((stream, tap)))
        } else {
            self
        }
    }

    /// Hands the body on, leaving [`InboundBody::Taken`].
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Taken)
    }
}

/// How fast a body that is read into memory must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long it may stand still.
    pub idle: Duration,
}

impl Pace {
    /// What must come on average once [`Pace::GRACE`] is over. Bounds how long memory is held by a
    /// client that sends a byte at a time, each just before it would be given up.
    pub const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;
    /// How long a body may take whatever its size.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// How long after its beginning a body may go on, of which so much has come.
    fn allowance(received: usize) -> Duration {
        let millis = u64::try_from(received).unwrap_or(u64::MAX).saturating_mul(1000);
        let earned = Duration::from_millis(millis.div_euclid(Self::MIN_BYTES_PER_SECOND));
        Self::GRACE.saturating_add(earned)
    }
}

async fn read_whole(
    stream: &mut Incoming,
    max_bytes: usize,
    pace: Pace,
    share: &BodyShare,
) -> Result<Bytes, BodyFault> {
    let size = stream.size_hint();
    if usize::try_from(size.lower()).map_or(true, |stated| stated > max_bytes) {
        return Err(BodyFault::TooLarge(max_bytes));
    }
    let stated = size.exact().and_then(|exact| usize::try_from(exact).ok());
    let mut read = PaidBuffer::new(share, stated.unwrap_or(max_bytes))?;
    let began = Instant::now();
    loop {
        let left = Pace::allowance(read.len()).saturating_sub(began.elapsed());
        let Ok(next) = tokio::time::timeout(pace.idle.min(left), stream.frame()).await else {
            return Err(if left < pace.idle {
                BodyFault::TooSlow(Pace::MIN_BYTES_PER_SECOND)
            } else {
                BodyFault::Stalled(pace.idle)
            });
        };
        let Some(frame) = next else { break };
        let frame = frame.map_err(|fault| BodyFault::Broken(fault.to_string().into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len().saturating_add(data.len()) > max_bytes {
            return Err(BodyFault::TooLarge(max_bytes));
        }
        read.append(&data)?;
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests;
