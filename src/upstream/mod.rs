//! Towards the API behind: what of a permitted request is sent on, how, and what comes back.
//!
//! [`Upstream::forward`] takes a [`Permit`] and the request by value: without a permit nothing can be
//! forwarded, and nothing can be forwarded twice under one. The path, query and body sent are the bytes
//! that were judged. [`Upstream::open`] does the same for a request that may become a WebSocket, and alone
//! sends the words that ask for one. What this room does not do: decide, or answer refusals.

mod answer_body;
mod body;
mod connect;
mod dialect;
mod fate;
mod forward;
mod forwarded;
mod handshake;
mod headers;
mod http1;
mod http2;
mod identity;
mod leftover;
mod patience;
mod permitted;
mod pool;
mod settings;
mod tls;
mod tunnel;
mod values;

pub use answer_body::{AnswerBody, AnswerFault};
pub use forward::{Forwarding, Upstream};
pub use forwarded::{InvalidNetwork, Network};
pub use handshake::Opened;
pub use identity::told_of;
pub use settings::{HostPort, UpstreamAddress, UpstreamSettings};
pub use tls::{InvalidTrust, Trust};
pub use tunnel::{Tunnel, TunnelEnd};

#[cfg(doc)]
use crate::authorize::Permit;
