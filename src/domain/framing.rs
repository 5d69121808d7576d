//! What can be wrong with the bytes of a request before anything of it is known.
//!
//! Found by the guard in front of the HTTP library, and refused by `authorize` like everything else.

use std::time::Duration;

/// Why the bytes of a head, or the frames of a stream, are not one request with one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// Not HTTP as RFC 9110 and 9112 (or 9113) have it, or legal and read differently by two servers.
    #[error("{0}")]
    Malformed(&'static str),
    /// The target is longer than allowed, in bytes.
    #[error("the target is longer than {0} bytes")]
    TargetTooLong(usize),
    /// The head is larger than allowed, in bytes.
    #[error("the head is larger than {0} bytes")]
    HeadTooLarge(usize),
    /// More header lines than allowed.
    #[error("the head has more than {0} lines")]
    TooManyHeaders(usize),
    /// The head did not come whole in time.
    #[error("the head did not come whole within {0:?}")]
    HeadTimeout(Duration),
    /// Heads that have not come whole hold all the memory they may, in bytes.
    #[error("unfinished heads hold all of the {0} bytes they may")]
    NoRoom(usize),
}
