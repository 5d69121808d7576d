//! Memory for bodies that are read: how much of it all requests together may hold, and by whom it is held.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all bodies read into memory may take together. Clones share it.
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

/// A body being read: its bytes, in memory that is paid for before it grows.
pub(super) struct PaidBuffer {
    bytes: Vec<u8>,
    room: HeldRoom,
    budget: BufferBudget,
    ceiling: usize,
}

impl PaidBuffer {
    /// The first step. Bounds what a client takes by stating a length and sending nothing.
    const FIRST_BYTES: usize = 16 * 1024;

    /// For a body that ends at `ceiling` bytes at the latest.
    pub(super) fn new(budget: &BufferBudget, ceiling: usize) -> Result<Self, NoRoom> {
        Ok(Self { bytes: Vec::new(), room: budget.take(0)?, budget: budget.clone(), ceiling })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends. The memory doubles as the body comes, and never passes the ceiling: a body whose length is
    /// stated ends in exactly that much.
    pub(super) fn append(&mut self, data: &[u8]) -> Result<(), NoRoom> {
        let needed = self.bytes.len().saturating_add(data.len());
        if needed > self.bytes.capacity() {
            let doubled = self.bytes.capacity().saturating_mul(2).max(Self::FIRST_BYTES);
            let capacity = doubled.min(self.ceiling).max(needed);
            let more = self.budget.take(capacity.saturating_sub(self.bytes.capacity()))?;
            self.room.0.merge(more.0);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The whole, whose room is given back when the last copy of it is dropped: once it has been sent.
    pub(super) fn freeze(self) -> Bytes {
        struct Paid(Vec<u8>, #[expect(dead_code, reason = "held until dropped")] HeldRoom);
        impl AsRef<[u8]> for Paid {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Paid(self.bytes, self.room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_before_memory_grows_and_given_back_with_the_last_copy() {
        let budget = BufferBudget::new(100_000);
        let mut buffer = PaidBuffer::new(&budget, 40_000).unwrap();
        assert_eq!(budget.free(), 100_000);
        for (data, held) in [(1, 16_384), (16_383, 16_384), (1, 32_768), (23_615, 40_000)] {
            buffer.append(&vec![b'x'; data]).unwrap();
            assert_eq!(100_000 - budget.free(), held);
        }
        assert_eq!(buffer.len(), 40_000);
        let whole = buffer.freeze();
        let part = whole.slice(1..2);
        drop(whole);
        assert_eq!(budget.free(), 60_000);
        drop(part);
        assert_eq!(budget.free(), 100_000);
    }

    #[test]
    fn a_full_budget_refuses_and_what_was_held_comes_back() {
        let budget = BufferBudget::new(20_000);
        let mut one = PaidBuffer::new(&budget, 20_000).unwrap();
        one.append(b"x").unwrap();
        let mut other = PaidBuffer::new(&budget, 20_000).unwrap();
        assert_eq!(other.append(b"x"), Err(NoRoom(20_000)));
        assert_eq!(one.append(&vec![0; 20_000]), Err(NoRoom(20_000)));
        drop(one);
        assert!(other.append(b"x").is_ok());
        assert!(budget.take(usize::MAX).is_err());
    }
}
