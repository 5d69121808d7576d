//! The side of the guard that the library writes to: here it is known how far the answer has come, whether
//! the client is still there, and how the connection ends. What is written is not looked at.

use super::{Guard, Reads, Stage};
use crate::server::guard::QUIET;
use crate::server::guard::verdicts::Answer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a connection with unread bytes is kept after its last answer, and how many of them are thrown
/// away. Closing at once would make the kernel reset the connection, and the client lose the answer
/// (RFC 9112 §9.6); waiting for longer would let a client hold the connection.
const LINGER: Duration = Duration::from_secs(2);
const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// How long the library may read nothing before the kernel is asked whether the client is there, and an
/// exchange may outlive a client that has left. Long enough that a refusal may still be made and recorded.
const STALLED: Duration = Duration::from_millis(250);
/// How often it is asked from then on.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Sees to it that a client that leaves ends its exchange, also when the library reads nothing, because
    /// whoever takes the body or the answer does not, or tells nobody what it has read. Then the kernel is
    /// asked, once the end has come that far; a client that closes its writing side alone has left too.
    fn listen(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let listens = self.library.reads == Reads::Listens;
        if listens {
            self.library.reads = Reads::Nothing;
        }
        let ends = match self.stage {
            Stage::Body { .. } | Stage::Answering { .. } if !listens => false,
            Stage::Gone if self.verdicts.answered() != Answer::Over => true,
            // Whoever has begun to answer will not refuse.
            Stage::Broken(_) if self.verdicts.answered() == Answer::Begun => true,
            Stage::Body { .. }
            | Stage::Answering { .. }
            | Stage::Head(_)
            | Stage::Switched
            | Stage::Refused
            | Stage::Broken(_)
            | Stage::Ending
            | Stage::Over
            | Stage::Gone
            | Stage::Parked(_) => return Ok(()),
        };
        let due = *self.deadline.get_or_insert_with(|| Instant::now() + STALLED);
        if !self.is_due(due, context) {
            return Ok(());
        }
        if ends || (self.has_left)(&self.stream) {
            self.stage = Stage::Gone;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let again = Instant::now() + LOOK_AGAIN;
        self.deadline = Some(again);
        let _in_time = self.is_due(again, context);
        Ok(())
    }

    /// Tells whoever serves the answer when the client does not take it.
    fn noting<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() {
            self.verdicts.flow().stalls();
        }
        written
    }

    /// All that the library wrote is out. If the answer is over with it, the connection is quiet from now.
    fn settle(&mut self, context: &mut Context<'_>) {
        if self.linger.is_some() {
            return;
        }
        match self.stage {
            Stage::Answering { upgrade } if self.verdicts.answered() == Answer::Over => {
                self.turn(upgrade);
                let waited = std::mem::take(&mut self.library.reads);
                if waited == Reads::AfterItsAnswer || !self.held.is_empty() {
                    context.waker().wake_by_ref();
                }
            }
            Stage::Ending => {
                self.stage = Stage::Over;
                context.waker().wake_by_ref();
            }
            Stage::Head(_)
            | Stage::Body { .. }
            | Stage::Answering { .. }
            | Stage::Switched
            | Stage::Refused
            | Stage::Broken(_)
            | Stage::Over
            | Stage::Gone
            | Stage::Parked(_) => {}
        }
        if matches!(self.stage, Stage::Head(_)) && self.held.is_empty() && self.deadline.is_none() {
            let quiet = Instant::now() + QUIET;
            self.deadline = Some(quiet);
            if self.is_due(quiet, context) {
                context.waker().wake_by_ref();
            }
        }
    }

    /// Whether the client may have sent, or be sending, what nobody read.
    fn lingers(&self) -> bool {
        match self.stage {
            Stage::Body { .. } | Stage::Refused | Stage::Broken(_) => true,
            Stage::Head(_) | Stage::Answering { .. } => !self.held.is_empty(),
            Stage::Switched | Stage::Ending | Stage::Over | Stage::Gone | Stage::Parked(_) => false,
        }
    }

    /// Throws away what the client still sends, for a bounded time and up to a bounded amount.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while let Some(left) = self.linger.filter(|left| *left > 0) {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {
                    self.linger = Some(left.saturating_sub(buffer.filled().len()));
                }
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    let due = *self.deadline.get_or_insert_with(Instant::now);
                    if self.is_due(due, context) {
                        break;
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noting(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context)?;
        self.listen(context)?;
        ready!(flushed);
        // The library flushes when it has written all.
        self.verdicts.flow().is_out();
        self.settle(context);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.stage, Stage::Parked(_)) {
            return Poll::Ready(Ok(()));
        }
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.linger = Some(if self.lingers() { MAX_LINGER_BYTES } else { 0 });
            self.deadline = Some(Instant::now() + LINGER);
        }
        ready!(self.poll_linger(context));
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.noting(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
