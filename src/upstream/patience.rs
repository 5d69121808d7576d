//! How long one side of an exchange waits for a word of the other.

use super::fate::BodyFate;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A wait for the next part of a body. Costs a timer from the first wait on, and nothing before it.
#[derive(Default)]
pub(super) struct Patience {
    clock: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    /// The part has come.
    pub(super) fn rewarded(&mut self) {
        self.waiting = false;
    }

    /// The part has not come. Ready when nothing has moved for as long as `limit` says, which is asked anew
    /// each time the clock strikes: the exchange may have gone on meanwhile.
    pub(super) fn poll_end(
        &mut self,
        context: &mut Context<'_>,
        fate: &BodyFate,
        limit: impl Fn() -> Duration,
    ) -> Poll<()> {
        let now = Instant::now();
        let clock =
            self.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now + limit())));
        if !self.waiting {
            self.waiting = true;
            clock.as_mut().reset(now + limit());
        }
        while clock.as_mut().poll(context).is_ready() {
            let ends = fate.last_moved() + limit();
            if ends <= Instant::now() {
                return Poll::Ready(());
            }
            clock.as_mut().reset(ends);
        }
        Poll::Pending
    }
}
