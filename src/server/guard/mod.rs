//! The guard between a socket and the HTTP library.

use crate::config::Limits;
use crate::domain::FramingFault;
use http::StatusCode;
use std::time::Duration;

/// What a head may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardLimits {
    /// From the first byte of a head to its last.
    pub(super) header_timeout: Duration,
    /// Between two exchanges.
    pub(super) idle_timeout: Duration,
    pub(super) max_header_bytes: usize,
    pub(super) max_headers: usize,
    pub(super) max_target_bytes: usize,
}

impl From<&Limits> for GuardLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            max_header_bytes: limits.max_header_bytes,
            max_headers: limits.max_headers,
            max_target_bytes: limits.max_target_bytes,
        }
    }
}

/// The verdicts of one connection, in the order of its heads. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Verdicts;

/// Puts the guard before a stream.
pub(super) fn guard<S>(stream: S, _limits: GuardLimits) -> (S, Verdicts) {
    (stream, Verdicts)
}

impl Verdicts {
    /// On the head that the library has just read.
    pub(super) fn next(&self) -> Result<(), FramingFault> {
        Ok(())
    }

    /// The head of an answer is ready: what follows the request may be let in, as the next head, or as it
    /// is after `101`.
    pub(super) fn answered(&self, _status: StatusCode) {}
}
