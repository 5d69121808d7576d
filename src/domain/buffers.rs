//! Memory that many share: how much of it all together may hold, and the body that is read into it.

use super::shares::{BodyShare, HeldShare, NoBodyRoom};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all of a kind may take together. Clones share it.
///
/// Nobody waits for it: whoever would wait holds a connection and what was read so far.
#[derive(Clone, Debug)]
pub struct BufferBudget {
    free: Arc<Semaphore>,
    total: usize,
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bodies that are read hold all of the {0} bytes they may")]
pub struct NoRoom(pub usize);

impl BufferBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(total)), total }
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many bytes nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Takes so many bytes, at once or not at all, until the room is dropped.
    pub fn take(&self, bytes: usize) -> Result<HeldRoom, NoRoom> {
        let none = NoRoom(self.total);
        let count = u32::try_from(bytes).map_err(|_| none)?;
        let permit = Arc::clone(&self.free).try_acquire_many_owned(count).map_err(|_| none)?;
        Ok(HeldRoom(permit))
    }
}

/// Bytes of a budget that somebody holds; given back when it is dropped.
#[derive(Debug)]
pub struct HeldRoom(OwnedSemaphorePermit);

impl HeldRoom {
    /// How many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        self.0.num_permits()
    }

    /// Holds this too.
    pub(super) fn merge(&mut self, more: Self) {
        self.0.merge(more.0);
    }

    /// Gives so many bytes back, if so many are held.
    pub(super) fn give_back(&mut self, bytes: usize) {
        drop(self.0.split(bytes));
    }
}

/// A body being read: its bytes, in memory that is paid for before it grows.
pub(super) struct PaidBuffer {
    bytes: Vec<u8>,
    held: HeldShare,
    ceiling: usize,
}

impl PaidBuffer {
    /// The first step. Bounds what a client takes by stating a length and sending nothing.
    const FIRST_BYTES: usize = 16 * 1024;
    /// The largest step of a body of up to a mebibyte. Bounds what is held beyond what has come.
    const STEP_BYTES: usize = 64 * 1024;
    /// The steps of a larger one are this part of it. Growing seldom copies. Where it does each time, a byte is
    /// copied about so often, and with steps of one size as often as there are steps.
    const STEP_PART: usize = 16;

    /// For a body that ends at `ceiling` bytes at the latest.
    pub(super) fn new(share: &BodyShare, ceiling: usize) -> Result<Self, NoBodyRoom> {
        Ok(Self { bytes: Vec::new(), held: share.take(0)?, ceiling })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends. The memory never passes the ceiling: a body whose length is stated ends in exactly that much.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), NoBodyRoom> {
        let needed = self.bytes.len().saturating_add(data.len());
        let before = self.bytes.capacity();
        if needed > before {
            let step = before.clamp(Self::FIRST_BYTES, Self::STEP_BYTES);
            let step = step.max(before.div_euclid(Self::STEP_PART));
            let after = before.saturating_add(step).min(self.ceiling).max(needed);
            self.held.grow(after.saturating_sub(before))?;
            self.bytes.reserve_exact(after.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The whole, whose room is given back when the last copy of it is dropped: once it has been sent.
    pub(super) fn freeze(self) -> Bytes {
        struct Paid(Vec<u8>, #[expect(dead_code, reason = "held until dropped")] HeldShare);
        impl AsRef<[u8]> for Paid {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let Self { mut bytes, mut held, .. } = self;
        bytes.shrink_to_fit();
        held.shrink_to(bytes.capacity());
        Bytes::from_owner(Paid(bytes, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BodyBudget, PdpSubject, SystemUserId};

    fn share(total: usize) -> (BodyBudget, BodyShare) {
        let budget = BodyBudget::new(total, 1);
        let id = SystemUserId::parse("a0000001-0000-4000-8000-000000000001").unwrap();
        let share = budget.of(PdpSubject::SystemUser(id));
        (budget, share)
    }

    #[test]
    fn room_is_taken_before_memory_grows_and_given_back_with_the_last_copy() {
        let (budget, share) = share(1 << 20);
        let mut buffer = PaidBuffer::new(&share, 200_000).unwrap();
        let (mut sent, mut held) = (Vec::new(), 0);
        for (data, step) in [
            (1, 16_384),
            (16_383, 0),
            (1, 16_384),
            (16_383, 0),
            (1, 32_768),
            (32_767, 0),
            (1, 65_536),
            (65_536, 65_536),
            (3_391, 0),
        ] {
            let data: Vec<_> = (0..=250).cycle().take(data).collect();
            buffer.append(&data).unwrap();
            sent.extend(data);
            held += step;
            assert_eq!((1 << 20) - budget.free(), held, "after {}", sent.len());
        }
        assert_eq!(buffer.len(), sent.len());
        let whole = buffer.freeze();
        assert!(whole == sent);
        // What had been taken for more to come is free.
        assert_eq!((1 << 20) - budget.free(), sent.len());
        let part = whole.slice(1..2);
        drop(whole);
        assert_eq!((1 << 20) - budget.free(), sent.len());
        drop(part);
        assert_eq!(budget.free(), 1 << 20);
    }

    #[test]
    fn a_stated_length_is_the_most_that_is_taken() {
        for stated in [1, 10_000, 16_384, 16_385, 100_000, 262_144] {
            let (budget, share) = share(1 << 20);
            let mut buffer = PaidBuffer::new(&share, stated).unwrap();
            for piece in vec![b'x'; stated].chunks(10_000) {
                buffer.append(piece).unwrap();
            }
            assert_eq!((1 << 20) - budget.free(), stated);
            assert_eq!(buffer.freeze().len(), stated);
        }
        assert!(PaidBuffer::new(&share(4096).1, 0).unwrap().freeze().is_empty());
    }

    #[test]
    fn what_is_held_is_close_to_what_has_come() {
        let (budget, share) = share(64 << 20);
        let mut buffer = PaidBuffer::new(&share, 8 << 20).unwrap();
        for _ in 0..1024 {
            buffer.append(&[b'x'; 8192]).unwrap();
            let beyond = (64 << 20) - budget.free() - buffer.len();
            assert!(
                beyond < (64 * 1024).max(buffer.len() / 16),
                "{beyond} beyond {}",
                buffer.len()
            );
        }
    }

    #[test]
    fn a_full_budget_refuses_and_what_was_held_comes_back() {
        let (budget, share) = share(80_000);
        let mut one = PaidBuffer::new(&share, 20_000).unwrap();
        one.append(b"x").unwrap();
        let mut other = PaidBuffer::new(&share, 20_000).unwrap();
        assert!(other.append(b"x").is_err());
        assert!(one.append(&vec![0; 20_000]).is_err());
        drop(one);
        assert!(other.append(b"x").is_ok());
        drop(other);
        assert_eq!(budget.free(), budget.total());
    }
}
