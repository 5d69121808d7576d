//! The flow of a body into the HTTP library, and out of it onto one line: when many are under way, the
//! library is given no more of a body than little while the line does not take what it was given.
//!
//! The library itself would take as much as its buffers hold, which are large for the sake of large bodies.
//! What is written and read is not known here.

use crate::in_flight::InFlight;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Bytes that the library is given at most, but for the rest of a frame, before all of them are out. Bounds
/// memory in a crowd.
pub const LITTLE: usize = 16 * 1024;

/// Between whoever gives a body to the library, and the line that the library writes to.
#[derive(Debug)]
pub struct Flow {
    in_flight: InFlight,
    /// Bytes that were given since all was out.
    given: AtomicUsize,
    stalled: AtomicBool,
    /// Of whoever gives, while it is stalled.
    waiting: AtomicWaker,
}

impl Flow {
    /// Of one line, in a crowd or not.
    #[must_use]
    pub const fn new(in_flight: InFlight) -> Self {
        let (given, stalled) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { in_flight, given, stalled, waiting: AtomicWaker::new() }
    }

    /// Ready while more of a body may be given.
    pub fn poll_ready(&self, context: &Context<'_>) -> Poll<()> {
        if !self.stalled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.waiting.register(context.waker());
        // All may have been out before it was known whom to wake.
        if self.stalled.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// So many bytes of a body were given.
    pub fn gave(&self, bytes: usize) {
        let given = self.given.load(Ordering::Relaxed).saturating_add(bytes);
        self.given.store(given, Ordering::Relaxed);
        if given >= LITTLE {
            self.stalls();
        }
    }

    /// The line takes nothing now, or the library has enough.
    pub fn stalls(&self) {
        if self.in_flight.is_crowd() {
            self.stalled.store(true, Ordering::Release);
        }
    }

    /// All that was given is out.
    pub fn is_out(&self) {
        self.given.store(0, Ordering::Relaxed);
        if self.stalled.load(Ordering::Relaxed) {
            self.stalled.store(false, Ordering::Release);
            self.waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;

    fn is_ready(flow: &Flow) -> bool {
        flow.poll_ready(&Context::from_waker(&noop_waker())).is_ready()
    }

    #[test]
    fn in_a_crowd_the_library_is_given_little_until_that_is_out() {
        let in_flight = InFlight::new(1000);
        let flow = Flow::new(in_flight.clone());
        flow.gave(10 * LITTLE);
        flow.stalls();
        assert!(is_ready(&flow), "alone it may have what it likes");
        flow.is_out();
        let _crowd: Vec<_> = (0..100).map(|_| in_flight.enter().unwrap()).collect();
        flow.gave(LITTLE - 1);
        assert!(is_ready(&flow));
        flow.gave(1);
        assert!(!is_ready(&flow));
        flow.is_out();
        assert!(is_ready(&flow));
        flow.gave(LITTLE - 1);
        assert!(is_ready(&flow));
        flow.stalls();
        assert!(!is_ready(&flow), "the line takes nothing");
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_it_also_when_the_crowd_has_gone() {
        let in_flight = InFlight::new(1000);
        let flow = Flow::new(in_flight.clone());
        let crowd: Vec<_> = (0..100).map(|_| in_flight.enter().unwrap()).collect();
        flow.stalls();
        drop(crowd);
        let waits = std::future::poll_fn(|context| flow.poll_ready(context));
        let goes = async { flow.is_out() };
        tokio::join!(waits, goes);
    }
}
