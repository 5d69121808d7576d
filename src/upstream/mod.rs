//! Towards the API behind: what of a permitted request is sent on, how, and what comes back.
//!
//! [`Upstream::forward`] takes a [`Permit`] and the request by value: without a permit nothing can be
//! forwarded, and nothing can be forwarded twice under one. The path, query and body sent are the bytes
//! that were judged. What this room does not do: decide, or answer refusals.

mod body;
mod forward;
mod forwarded;
mod headers;
mod identity;
mod pool;

pub use body::AnswerBody;
pub use forward::{Forwarding, Upstream};
pub use forwarded::{InvalidNetwork, Network};
pub use pool::{UpstreamAddress, UpstreamSettings};

#[cfg(doc)]
use crate::authorize::Permit;
