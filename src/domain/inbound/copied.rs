//! A copy of a body that is sent on as it comes, for whoever judges beside the request. Sending never waits for it.
//!
//! Invariant: what is copied is paid for before memory grows, and given back when the copy is dropped.

use super::BodyFault;
use crate::domain::{BufferBudget, HeldRoom};
use bytes::Bytes;
use hyper::body::SizeHint;
use tokio::sync::oneshot;

/// Takes the copy, on the way of the body. Dropped before the end, the copy is broken.
#[derive(Debug)]
pub struct BodyTap {
    bytes: Vec<u8>,
    room: Option<HeldRoom>,
    budget: BufferBudget,
    max_bytes: usize,
    /// `None` once there is nothing more to tell.
    copy: Option<oneshot::Sender<Result<Bytes, BodyFault>>>,
}

/// The other end: the whole body, once it has been sent on.
#[derive(Debug)]
pub struct BodyCopy {
    copy: oneshot::Receiver<Result<Bytes, BodyFault>>,
    stated: SizeHint,
}

impl BodyTap {
    /// The first step in which memory grows; further ones double it.
    const FIRST_BYTES: usize = 16 * 1024;

    /// Both ends. Of a body larger than `max_bytes`, or than what is left of `budget`, there is no copy.
    #[must_use]
    pub fn new(stated: SizeHint, max_bytes: usize, budget: BufferBudget) -> (Self, BodyCopy) {
        let (sender, copy) = oneshot::channel();
        let tap = Self { bytes: Vec::new(), room: None, budget, max_bytes, copy: Some(sender) };
        (tap, BodyCopy { copy, stated })
    }

    /// These bytes pass.
    pub fn passed(&mut self, data: &[u8]) {
        if self.copy.is_none() {
            return;
        }
        let needed = self.bytes.len().saturating_add(data.len());
        if needed > self.max_bytes {
            return self.fail(BodyFault::TooLarge(self.max_bytes));
        }
        let before = self.bytes.capacity();
        if needed > before {
            let after = before.saturating_mul(2).max(Self::FIRST_BYTES);
            let after = after.min(self.max_bytes).max(needed);
            match self.budget.take(after.saturating_sub(before)) {
                Ok(more) => match &mut self.room {
                    Some(room) => room.merge(more),
                    None => self.room = Some(more),
                },
                Err(_) => return self.fail(BodyFault::NoCopy),
            }
            self.bytes.reserve_exact(after.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(data);
    }

    /// All of it has passed.
    pub fn ended(&mut self) {
        /// Held until the last copy is dropped.
        struct Paid(Vec<u8>, #[expect(dead_code, reason = "held until dropped")] Option<HeldRoom>);
        impl AsRef<[u8]> for Paid {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let Some(copy) = self.copy.take() else { return };
        let paid = Paid(std::mem::take(&mut self.bytes), self.room.take());
        // Nobody waits any more, where judging ended without the body.
        let _ = copy.send(Ok(Bytes::from_owner(paid)));
    }

    fn fail(&mut self, fault: BodyFault) {
        self.bytes = Vec::new();
        self.room = None;
        if let Some(copy) = self.copy.take() {
            let _ = copy.send(Err(fault));
        }
    }
}

impl BodyCopy {
    /// What the head says of its length.
    pub(super) fn stated(&self) -> &SizeHint {
        &self.stated
    }

    /// Waits until all of it has been sent on.
    pub(super) async fn whole(self, max_bytes: usize) -> Result<Bytes, BodyFault> {
        let broken = |_| BodyFault::Broken("it was not sent on whole".into());
        let bytes = self.copy.await.map_err(broken)??;
        if bytes.len() > max_bytes { Err(BodyFault::TooLarge(max_bytes)) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(max_bytes: usize, budget: &BufferBudget) -> (BodyTap, BodyCopy) {
        BodyTap::new(SizeHint::default(), max_bytes, budget.clone())
    }

    #[tokio::test]
    async fn the_copy_is_the_body_and_its_memory_is_given_back_with_it() {
        let budget = BufferBudget::new(1 << 20);
        let (mut tap, copy) = tap(100_000, &budget);
        for piece in [&b"ab"[..], b"", &vec![b'c'; 99_998]] {
            tap.passed(piece);
        }
        assert!(budget.free() < budget.total());
        tap.ended();
        let bytes = copy.whole(100_000).await.unwrap();
        assert_eq!((&bytes[..3], bytes.len()), (&b"abc"[..], 100_000));
        drop(tap);
        assert_eq!(budget.free(), budget.total() - 100_000);
        drop(bytes);
        assert_eq!(budget.free(), budget.total());
    }

    #[tokio::test]
    async fn what_is_too_large_finds_no_room_or_breaks_off_is_no_body() {
        let budget = BufferBudget::new(20_000);
        let (mut large, copy) = tap(3, &budget);
        large.passed(b"abc");
        large.passed(b"d");
        assert_eq!(copy.whole(3).await, Err(BodyFault::TooLarge(3)));
        let (mut cramped, copy) = tap(1 << 20, &budget);
        cramped.passed(&vec![b'x'; 20_001]);
        cramped.ended();
        assert_eq!(copy.whole(1 << 20).await, Err(BodyFault::NoCopy));
        let (mut broken, copy) = tap(1 << 20, &budget);
        broken.passed(b"abc");
        drop(broken);
        assert!(matches!(copy.whole(1 << 20).await, Err(BodyFault::Broken(_))));
        assert_eq!(budget.free(), budget.total());
    }
}
