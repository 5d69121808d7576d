//! How long one side of an exchange waits for a word of the other.

use super::fate::BodyFate;
use crate::alarm::Alarm;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// A wait for the next part of a body.
#[derive(Default)]
pub(super) struct Patience {
    /// When it is looked at, while there is one.
    due: Option<Instant>,
}

impl Patience {
    /// The part has come.
    pub(super) fn rewarded(&mut self) {
        self.due = None;
    }

    /// The part has not come. Ready when nothing has moved for as long as `limit` says, which is asked anew
    /// each time the alarm goes off: the exchange may have gone on meanwhile.
    pub(super) fn poll_end(
        &mut self,
        context: &mut Context<'_>,
        alarm: &mut Alarm,
        fate: &BodyFate,
        limit: impl Fn() -> Duration,
    ) -> Poll<()> {
        loop {
            let due = *self.due.get_or_insert_with(|| Instant::now() + limit());
            ready!(alarm.poll(due, context));
            let ends = fate.last_moved() + limit();
            if ends <= Instant::now() {
                return Poll::Ready(());
            }
            self.due = Some(ends);
        }
    }
}
