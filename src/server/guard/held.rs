//! Bytes that the guard holds back: in front those that are judged and on their way to the library, behind
//! them those that wait. Nothing is allocated while nothing is held.

use crate::domain::{BufferBudget, HeldRoom, NoRoom};
use tokio::io::ReadBuf;

/// What one connection may hold without asking. Nearly every head is smaller, so that a crowd of large
/// ones that never end takes no room from those.
const FREE_BYTES: usize = 4 * 1024;

/// What is held of a connection's bytes.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// For what is held beyond the free bytes.
    room: Option<HeldRoom>,
    /// The bytes in front of this place are let go already.
    released: usize,
    /// The bytes in front of this place are judged. Invariant: `released <= judged <= bytes.len()`.
    judged: usize,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// Whether no unjudged byte is held.
    pub(super) fn is_empty(&self) -> bool {
        self.unjudged().is_empty()
    }

    /// What waits to be judged.
    pub(super) fn unjudged(&self) -> &[u8] {
        self.bytes.get(self.judged..).unwrap_or_default()
    }

    /// Holds more, if there is room for it.
    pub(super) fn hold(&mut self, more: &[u8], budget: &BufferBudget) -> Result<(), NoRoom> {
        if more.is_empty() {
            return Ok(());
        }
        if self.released > 0 {
            self.bytes.drain(..self.released.min(self.bytes.len()));
            self.judged = self.judged.saturating_sub(self.released);
            self.released = 0;
        }
        let before = self.bytes.capacity().max(FREE_BYTES);
        self.bytes.extend_from_slice(more);
        let capacity = self.bytes.capacity();
        if capacity > before {
            self.room = None;
            self.room = Some(budget.take(capacity.saturating_sub(FREE_BYTES))?);
        }
        Ok(())
    }

    /// Lets so many of the bytes that wait go.
    pub(super) fn pass(&mut self, count: usize) {
        self.judged = self.judged.saturating_add(count).min(self.bytes.len());
    }

    /// Lets all go.
    pub(super) fn pass_all(&mut self) {
        self.judged = self.bytes.len();
    }

    /// Lets these bytes go, and forgets all others.
    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        *self = Self { judged: bytes.len(), bytes, ..Self::default() };
    }

    /// Hands on what was let go, as far as there is room for it; whether anything was.
    pub(super) fn release(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let ready = self.bytes.get(self.released..self.judged).unwrap_or_default();
        if ready.is_empty() {
            return false;
        }
        let count = ready.len().min(buffer.remaining());
        buffer.put_slice(ready.get(..count).unwrap_or_default());
        self.released = self.released.saturating_add(count);
        if self.released == self.bytes.len() {
            *self = Self::default();
        }
        true
    }
}
