//! The guard between a socket and the HTTP/1 library.
//!
//! The library is lenient where the API behind may not be, and drops what it repairs. So each head is judged
//! on its bytes before the library sees them, and bodies are followed to find the next head. What passes is
//! read by the library, and by any server behind it, in one way only; what does not is answered by the
//! ordinary refusal, with its record, and the connection ends.

mod body;
mod bytes;
mod head;
mod held;
mod sighted;
mod stand_in;
mod stream;
mod verdicts;

pub(super) use bytes::{folds_to, is_token};
pub(super) use head::MAX_METHOD_BYTES;
pub use sighted::{Sighted, sight};
pub(super) use stream::Guard;
pub(super) use verdicts::Verdicts;

use crate::config::Limits;
use crate::domain::BufferBudget;
use crate::flow::Flow;
use crate::in_flight::InFlight;
use head::HeadReader;
use held::Held;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long nothing may be said before a connection is parked: the library ends, with its buffers, and only
/// the stream is kept. Long enough that a busy connection never is; short, because the allocator does not
/// give back what many connections held at one time.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// What all unfinished heads of one set of listeners may hold, and requests sent ahead of an answer, but for
/// the first bytes of each. Bounds memory where thousands of clients each send a large head that never ends.
const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// What a head may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardLimits {
    /// From the first byte of a head to its last.
    pub(super) header_timeout: Duration,
    pub(super) max_header_bytes: usize,
    pub(super) max_headers: usize,
    pub(super) max_target_bytes: usize,
}

impl From<&Limits> for GuardLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            header_timeout: limits.header_timeout,
            max_header_bytes: limits.max_header_bytes,
            max_headers: limits.max_headers,
            max_target_bytes: limits.max_target_bytes,
        }
    }
}

/// What the guards of one set of listeners share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// For what is held beyond little.
    held: BufferBudget,
    /// Says how much may be read at once.
    in_flight: InFlight,
}

impl Shared {
    pub(super) fn new(in_flight: InFlight) -> Self {
        Self { held: BufferBudget::new(MAX_HELD_BYTES), in_flight }
    }
}

/// What there is of a head before the library has to know of it.
#[derive(Debug)]
pub(super) struct Opening {
    held: Held,
    reader: HeadReader,
    /// When the head must be whole, if that is settled.
    due: Option<Instant>,
    /// No head came over the connection yet.
    fresh: bool,
}

impl Opening {
    /// The first bytes of a head, which is the first of its connection if that is `fresh`.
    pub(super) fn of(bytes: Vec<u8>, fresh: bool) -> Self {
        Self { held: Held::new(bytes), reader: HeadReader::default(), due: None, fresh }
    }
}

/// Puts the guard before a stream of which a part was read already. `has_left` is whether the client is known
/// to have closed the stream, even while bytes before that stand unread.
pub(super) fn guard<S: AsyncRead + AsyncWrite + Unpin>(
    stream: (S, fn(&S) -> bool),
    opening: Opening,
    limits: GuardLimits,
    shared: Shared,
) -> (Guard<S>, Verdicts) {
    let verdicts = Verdicts::new(Flow::new(shared.in_flight.clone()));
    (Guard::new(stream, opening, limits, shared, verdicts.clone()), verdicts)
}

/// Waits for the next bytes of a stream, at no cost while none come. `None` when the client has left, or
/// when it sends nothing for as long as `patience`.
pub(super) async fn first_bytes<S: AsyncRead + Unpin>(
    stream: &mut S,
    patience: Duration,
) -> Option<Vec<u8>> {
    let reading = poll_fn(|context| {
        // Not kept while the task waits.
        let mut space = [0; 2048];
        let mut buffer = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut *stream).poll_read(context, &mut buffer);
        polled.map(|read| read.ok().map(|()| buffer.filled().to_vec()))
    });
    let bytes = tokio::time::timeout(patience, reading).await.ok().flatten()?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests;
