//! The requests under way: how many there may be, and how much each may read at once.
//!
//! What is done with them, and who counts them for whom, is not known here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// While no more requests than these are under way, each reads as much at once as it likes.
const FEW: usize = 32;
/// Read at once when there are more: one less than the smallest buffer of the HTTP library, which doubles
/// its buffers when a read has filled one. Bounds memory where many exchanges are stuck.
const SIP: usize = 8 * 1024 - 1;

/// All requests under way at one door. Cheap to clone; clones share the count.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Count>);

#[derive(Debug)]
struct Count {
    entered: AtomicUsize,
    max: usize,
}

/// A request's part of the count, given back when it is dropped.
#[derive(Debug)]
pub struct Entered(InFlight);

impl InFlight {
    /// None, of so many at most.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Count { entered: AtomicUsize::new(0), max }))
    }

    /// One more, if there is room for it now. Nobody waits.
    #[must_use]
    pub fn enter(&self) -> Option<Entered> {
        let Count { entered, max } = &*self.0;
        let one_more = |count: usize| (count < *max).then(|| count.saturating_add(1));
        entered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Entered(self.clone()))
    }

    /// Whether so many are under way that each is to hold little.
    #[must_use]
    pub fn is_crowd(&self) -> bool {
        self.0.entered.load(Ordering::Relaxed) > FEW
    }

    /// Reads once: much while requests are few, little when they are many.
    pub fn poll_read<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.is_crowd() || buffer.remaining() <= SIP {
            return Pin::new(stream).poll_read(context, buffer);
        }
        let mut sip = ReadBuf::new(buffer.initialize_unfilled_to(SIP));
        ready!(Pin::new(stream).poll_read(context, &mut sip))?;
        let read = sip.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
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

    #[tokio::test]
    async fn each_reads_much_while_they_are_few() {
        let all = InFlight::new(FEW + 1);
        let mut entered: Vec<_> = (0..FEW).map(|_| all.enter().unwrap()).collect();
        for (expected, joins) in [(32_768, 1), (SIP, 0)] {
            let (mut space, source) = (vec![0; 32_768], vec![7; 65_536]);
            let (mut buffer, mut source) = (ReadBuf::new(&mut space), source.as_slice());
            poll_fn(|context| all.poll_read(&mut source, context, &mut buffer)).await.unwrap();
            assert_eq!(buffer.filled(), vec![7; expected]);
            entered.extend((0..joins).map(|_| all.enter().unwrap()));
        }
    }
}
