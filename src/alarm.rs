//! A timer for waits that most often end before it. What is waited for is not known here.

use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for all waits of its owner. It is moved when it fires, or when a wait is to end before that, and
/// not each time a wait begins or ends: kept from one wait to the next, it costs next to nothing.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `due` has come, which may be another time at each call. The task is woken then; it may be
    /// woken before.
    pub fn poll(&mut self, due: Instant, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if clock.deadline() > due {
            clock.as_mut().reset(due);
        }
        while clock.as_mut().poll(context).is_ready() {
            if clock.deadline() >= due {
                return Poll::Ready(());
            }
            clock.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_fires_when_the_present_wait_is_due_and_not_when_another_was() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        for due in [10, 10, 30, 20, 25, 20, 40].map(Duration::from_secs) {
            poll_fn(|context| alarm.poll(began + due, context)).await;
            assert!(began.elapsed() >= due, "{due:?} after {:?}", began.elapsed());
        }
        assert_eq!(began.elapsed().as_secs(), 40);
        let later = began + Duration::from_secs(100);
        assert!(poll_fn(|context| Poll::Ready(alarm.poll(later, context))).await.is_pending());
        let sooner = began + Duration::from_secs(50);
        poll_fn(|context| alarm.poll(sooner, context)).await;
        assert_eq!(began.elapsed().as_secs(), 50);
    }
}
