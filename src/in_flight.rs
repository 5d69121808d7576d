//! The requests under way: how many there may be, and how much each may read and hold at once.
//!
//! What is done with them, and who counts them for whom, is not known here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::runtime::Handle;

/// Bytes that one connection of HTTP/1.1 reads at once of a body and holds of what is to be written, where
/// there is nobody else. Large reads are what makes large bodies cheap: each is a call of the system, and
/// a turn for every task on the way.
pub const MAX_READ: usize = 256 * 1024;
/// The same on a runtime of several threads. What one thread allocates there another frees, and the allocator
/// keeps pieces above this size for each thread by itself: one large body held 75 MiB of them.
const MAX_SHARED_READ: usize = 128 * 1024;
/// After a read of more than this, a connection that rests is to give its room back: the library keeps it.
pub const MUCH: usize = 32 * 1024;
/// Bytes that all who are under way read at once, together.
const TOGETHER: usize = 2 * 1024 * 1024;
/// The smallest share of that: the smallest buffer of the HTTP library.
const SIP: usize = 8 * 1024;
/// While no more requests than these are under way, each may hold what its reader does not take.
const FEW: usize = 32;

/// All requests under way at one door. Cheap to clone; clones share the count.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Count>);

#[derive(Debug)]
struct Count {
    entered: AtomicUsize,
    max: usize,
    /// Bytes that one of them reads at once, however few there are.
    most: usize,
}

/// A request's part of the count, given back when it is dropped.
#[derive(Debug)]
pub struct Entered(InFlight);

impl InFlight {
    /// None, of so many at most, on the threads of the present runtime.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        let most = if threads > 1 { MAX_SHARED_READ } else { 2 * MAX_READ };
        Self(Arc::new(Count { entered: AtomicUsize::new(0), max, most }))
    }

    /// One more, if there is room for it now. Nobody waits.
    #[must_use]
    pub fn enter(&self) -> Option<Entered> {
        let Count { entered, max, .. } = &*self.0;
        let one_more = |count: usize| (count < *max).then(|| count.saturating_add(1));
        entered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Entered(self.clone()))
    }

    /// Whether so many are under way that each is to hold little.
    #[must_use]
    pub fn is_crowd(&self) -> bool {
        self.0.entered.load(Ordering::Relaxed) > FEW
    }

    /// Reads once, no more than one's share. Bounds memory where many exchanges are stuck.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        poll_read_some(stream, self.share(), context, buffer)
    }

    /// One byte less than a buffer of the HTTP library, which doubles its buffer when a read has filled it.
    fn share(&self) -> usize {
        let entered = self.0.entered.load(Ordering::Relaxed).max(1);
        let each = (TOGETHER / entered).clamp(SIP, self.0.most);
        (1 << each.ilog2()) - 1
    }
}

/// Reads once, at most so many bytes.
pub fn poll_read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    most: usize,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<std::io::Result<()>> {
    if buffer.remaining() <= most {
        return Pin::new(stream).poll_read(context, buffer);
    }
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    Pin::new(&mut stream.take(most)).poll_read(context, buffer)
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.entered.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn there_is_room_for_so_many_and_whoever_leaves_makes_some() {
        let all = InFlight::new(2);
        let (first, second) = (all.enter(), all.enter());
        assert!(first.is_some() && second.is_some());
        assert!(all.enter().is_none() && all.enter().is_none());
        drop(first);
        let third = all.enter();
        assert!(third.is_some() && all.enter().is_none());
    }

    /// How much one reads at once, where so many are under way.
    async fn reads_at_once(count: usize) -> usize {
        let all = InFlight::new(1000);
        let _entered: Vec<_> = (0..count).map(|_| all.enter().unwrap()).collect();
        let (mut space, source) = (vec![0; MAX_READ], vec![7; 2 * MAX_READ]);
        let (mut buffer, mut source) = (ReadBuf::new(&mut space), source.as_slice());
        poll_fn(|context| all.poll_read(&mut source, context, &mut buffer)).await.unwrap();
        assert!(buffer.filled().iter().all(|byte| *byte == 7));
        buffer.filled().len()
    }

    #[tokio::test]
    async fn the_more_there_are_the_less_each_reads_at_once() {
        for (count, expected) in [
            (0, MAX_READ),
            (1, MAX_READ),
            (4, MAX_READ),
            (8, MAX_READ - 1),
            (9, MAX_READ / 2 - 1),
            (32, MAX_READ / 4 - 1),
            (33, MAX_READ / 8 - 1),
            (256, SIP - 1),
            (1000, SIP - 1),
        ] {
            assert_eq!(reads_at_once(count).await, expected, "{count}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_several_threads_nobody_reads_more_than_the_allocator_gives_back() {
        for (count, expected) in
            [(0, MAX_SHARED_READ - 1), (9, MAX_SHARED_READ - 1), (32, MAX_READ / 4 - 1)]
        {
            assert_eq!(reads_at_once(count).await, expected, "{count}");
        }
    }
}
