//! Places that are wanted: whoever waits for one asks those who have one and make no use of it, the one who has
//! waited longest first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Places of one kind.
#[derive(Debug, Default)]
pub(super) struct Room {
    asked: Mutex<Asked>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    /// Who waits for a place.
    waiting: usize,
    /// Who of them has nobody yet that leaves. Invariant: no more than wait.
    unmet: usize,
}

impl Room {
    /// Waits for a place, and asks for one meanwhile.
    pub(super) async fn wait_for<T>(&self, place: impl Future<Output = T>) -> T {
        let waiting = Waiting::begin(self);
        self.told.notify_one();
        let place = place.await;
        drop(waiting);
        place
    }

    /// Ready when somebody wants the place of the one who awaits this, and there is nobody who has awaited
    /// it for longer.
    pub(super) async fn wanted(&self) {
        loop {
            self.told.notified().await;
            let mut asked = self.asked();
            // Whoever asked may have found a place by itself.
            if asked.unmet > 0 {
                asked.unmet = asked.unmet.saturating_sub(1);
                // Words that nobody was there to hear count once.
                if asked.unmet > 0 {
                    self.told.notify_one();
                }
                return;
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits.
struct Waiting<'r>(&'r Room);

impl<'r> Waiting<'r> {
    fn begin(room: &'r Room) -> Self {
        let mut asked = room.asked();
        asked.waiting = asked.waiting.saturating_add(1);
        asked.unmet = asked.unmet.saturating_add(1);
        Self(room)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut asked = self.0.asked();
        asked.waiting = asked.waiting.saturating_sub(1);
        asked.unmet = asked.unmet.min(asked.waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::pending;

    #[test]
    fn who_has_waited_longest_leaves_and_nobody_else() {
        let room = Room::default();
        let mut holders = [Box::pin(room.wanted()), Box::pin(room.wanted())];
        assert!(holders.iter_mut().all(|holder| holder.now_or_never().is_none()));
        let mut waiting = Box::pin(room.wait_for(pending::<()>()));
        assert!((&mut waiting).now_or_never().is_none());
        assert!((&mut holders[1]).now_or_never().is_none());
        assert!((&mut holders[0]).now_or_never().is_some());
        assert!((&mut holders[1]).now_or_never().is_none());
    }

    #[test]
    fn who_has_found_a_place_sends_nobody_away() {
        let room = Room::default();
        assert_eq!(room.wait_for(async { 7 }).now_or_never(), Some(7));
        assert!(room.wanted().now_or_never().is_none());
    }

    #[test]
    fn as_many_leave_as_wait_also_if_they_come_later() {
        let room = Room::default();
        let mut waiting = [0; 2].map(|_| Box::pin(room.wait_for(pending::<()>())));
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        assert!(room.wanted().now_or_never().is_some());
        assert!(room.wanted().now_or_never().is_some());
        assert!(room.wanted().now_or_never().is_none());
    }
}
