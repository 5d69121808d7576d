//! Bytes both ways between a client and the API, after both have agreed to a WebSocket.
//!
//! Nothing in them is judged. What this keeps: a bounded amount held for a side that does not read
//! (back-pressure: no more is taken from the other side until it does), half-closed ends, and an end in
//! time. An idle tunnel holds no buffer at all. Who may have a tunnel is `handshake`'s affair.

use crate::route::WebSocketRule;
use crate::tasks::Tasks;
use bytes::{Buf as _, Bytes};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What is held in one direction at most, in bytes. Bounds what a side that does not read costs.
const MAX_HELD: usize = 16 * 1024;

/// How long a side may take nothing of what is held for it. Without it, one that sends and never reads
/// would never be idle.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// How long the one side may be silent after the other has ended. Bounds what a client that is gone
/// costs where the API does not end its side too (RFC 6455 §7.1.1 has it close first).
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(30);

/// The API's end of a tunnel, open.
pub struct Tunnel {
    api: Upgraded,
    tasks: Tasks,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both sides ended, one after the other.
    Closed,
    /// A side broke off.
    Broken,
    /// It was open for as long as the rule lets it.
    Expired,
    /// Nothing came from either side for too long.
    Idle,
    /// A side took nothing of what was sent to it for too long.
    Stalled,
    /// The process ends.
    Cut,
}

impl TunnelEnd {
    /// The words of the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "the WebSocket was closed",
            Self::Broken => "the WebSocket broke off",
            Self::Expired => "the WebSocket was open for as long as the rule lets it",
            Self::Idle => "the WebSocket was idle for too long",
            Self::Stalled => "one side of the WebSocket did not read",
            Self::Cut => "the WebSocket was cut off by the end of the process",
        }
    }
}

impl Tunnel {
    pub(super) fn new(api: Upgraded, tasks: Tasks) -> Self {
        Self { api, tasks }
    }

    /// Joins it to the client's end, as soon as the answer that opens that one is written. `ended` is
    /// called once, when both are closed; what it owns lives as long as the tunnel.
    pub fn join<F>(self, client: OnUpgrade, limits: WebSocketRule, ended: F)
    where
        F: FnOnce(TunnelEnd) + Send + 'static,
    {
        let Self { api, tasks } = self;
        let cutting = tasks.cutting();
        let _tunnel = tasks.spawn(async move {
            let carried = async {
                let Ok(client) = client.await else { return TunnelEnd::Broken };
                carry(&mut TokioIo::new(client), &mut TokioIo::new(api), limits.idle_timeout).await
            };
            let end = tokio::select! {
                end = carried => end,
                () = tokio::time::sleep(limits.max_duration) => TunnelEnd::Expired,
                () = cutting.cancelled() => TunnelEnd::Cut,
            };
            ended(end);
        });
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// Until both sides have ended, or it has to end.
async fn carry<C, A>(client: &mut C, api: &mut A, idle_timeout: Duration) -> TunnelEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
    A: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Way::new(), Way::new());
    let mut clock = std::pin::pin!(tokio::time::sleep(idle_timeout));
    std::future::poll_fn(|context| {
        let both = (there.pass(context, client, api), back.pass(context, api, client));
        match both {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(TunnelEnd::Broken);
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(TunnelEnd::Closed),
            (Poll::Pending, _) | (_, Poll::Pending) => {}
        }
        loop {
            let (end, at) = next_end(&there, &back, idle_timeout);
            if at <= Instant::now() {
                return Poll::Ready(end);
            }
            // Moved only when it fires, not by every byte.
            if clock.as_mut().poll(context).is_pending() && clock.deadline() <= at {
                return Poll::Pending;
            }
            clock.as_mut().reset(at);
        }
    })
    .await
}

/// What ends the tunnel next, and when, if nothing moves.
fn next_end(there: &Way, back: &Way, idle_timeout: Duration) -> (TunnelEnd, Instant) {
    let silence = if there.is_over() || back.is_over() {
        idle_timeout.min(HALF_CLOSED_LIMIT)
    } else {
        idle_timeout
    };
    let idle = there.moved.max(back.moved) + silence;
    let stalled = [there, back].into_iter().filter_map(Way::stalls).min();
    match stalled {
        Some(stalled) if stalled < idle => (TunnelEnd::Stalled, stalled),
        Some(_) | None => (TunnelEnd::Idle, idle),
    }
}

/// One direction.
struct Way {
    /// Read, and not taken yet.
    held: Bytes,
    state: State,
    /// When a byte last moved.
    moved: Instant,
    unflushed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The side it comes from has ended; the other is being told.
    Ending,
    Over,
}

impl Way {
    fn new() -> Self {
        Self { held: Bytes::new(), state: State::Open, moved: Instant::now(), unflushed: false }
    }

    fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// When a side that takes nothing has done so for too long.
    fn stalls(&self) -> Option<Instant> {
        (!self.held.is_empty() || self.state == State::Ending).then(|| self.moved + STALL_LIMIT)
    }

    /// Moves what can be moved; ready when the end of the one side has been told to the other.
    fn pass<F, T>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
    ) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        loop {
            while !self.held.is_empty() {
                let taken = ready!(Pin::new(&mut *to).poll_write(context, &self.held))?;
                self.took(taken)?;
                self.held.advance(taken);
            }
            match self.state {
                State::Open => ready!(self.read(context, from, to))?,
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads once, and hands on at once what is taken at once; the rest is held.
    fn read<F, T>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
    ) -> Poll<io::Result<()>>
    where
        F: AsyncRead + Unpin,
        T: AsyncWrite + Unpin,
    {
        // On the stack for the moment of reading: of ten thousand tunnels most are idle.
        let mut room = [MaybeUninit::uninit(); MAX_HELD];
        let mut buffer = ReadBuf::uninit(&mut room);
        if Pin::new(from).poll_read(context, &mut buffer)?.is_pending() {
            if self.unflushed {
                ready!(Pin::new(to).poll_flush(context))?;
                self.unflushed = false;
            }
            return Poll::Pending;
        }
        self.moved = Instant::now();
        let mut read = buffer.filled();
        if read.is_empty() {
            self.state = State::Ending;
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(taken) = Pin::new(to).poll_write(context, read)? {
            self.took(taken)?;
            read.advance(taken);
        }
        self.held = Bytes::copy_from_slice(read);
        Poll::Ready(Ok(()))
    }

    fn took(&mut self, taken: usize) -> io::Result<()> {
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.moved = Instant::now();
        self.unflushed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    const IDLE: Duration = Duration::from_mins(10);

    /// Both outer ends of a tunnel whose sockets hold little, and its end.
    fn tunnel() -> (DuplexStream, DuplexStream, JoinHandle<TunnelEnd>) {
        let (client, mut near) = duplex(64);
        let (api, mut far) = duplex(64);
        let end = Tasks::new().spawn(async move { carry(&mut near, &mut far, IDLE).await });
        (client, api, end)
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_both_ways_and_each_side_ends_by_itself() {
        let (mut client, mut api, end) = tunnel();
        let sent: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        let writing = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(writing, api.read_to_end(&mut received));
        assert_eq!((read.unwrap(), received == sent), (sent.len(), true));
        // The client has ended its side and still hears the other.
        api.write_all(b"bye").await.unwrap();
        drop(api);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!((heard.as_slice(), end.await.unwrap()), (&b"bye"[..], TunnelEnd::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_taken_from_one_side_than_the_other_reads() {
        let (mut client, api, end) = tunnel();
        let mut sent = 0_usize;
        let began = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            sent += 1;
        }
        assert_eq!((end.await.unwrap(), began.elapsed()), (TunnelEnd::Stalled, STALL_LIMIT));
        assert!(sent <= MAX_HELD + 2 * 64 + 1, "{sent} bytes were taken");
        drop(api);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_reads_slowly_is_not_given_up() {
        let (mut client, mut api, end) = tunnel();
        let reading = async {
            for _ in 0..100 {
                tokio::time::sleep(STALL_LIMIT.mul_f64(0.9)).await;
                assert_eq!(api.read(&mut [0; 64]).await.unwrap(), 64);
            }
        };
        let (written, ()) = tokio::join!(client.write_all(&[0; 6400]), reading);
        written.unwrap();
        drop((client, api));
        end.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_from_either_side_keeps_it_open_and_silence_ends_it() {
        let (mut client, mut api, end) = tunnel();
        let began = Instant::now();
        for _ in 0..3 {
            tokio::time::sleep(IDLE.mul_f64(0.9)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(api.read_u8().await.unwrap(), b'x');
        }
        assert_eq!(end.await.unwrap(), TunnelEnd::Idle);
        assert_eq!(began.elapsed(), IDLE.mul_f64(2.7) + IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_ended_does_not_hold_a_silent_api_for_long() {
        let (client, mut api, end) = tunnel();
        drop(client);
        let began = Instant::now();
        assert_eq!(api.read(&mut [0; 1]).await.unwrap(), 0, "the API hears of it at once");
        assert_eq!(end.await.unwrap(), TunnelEnd::Idle);
        assert_eq!(began.elapsed(), HALF_CLOSED_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_broke_ends_the_other_at_once() {
        let (mut client, api, end) = tunnel();
        drop(api);
        let began = Instant::now();
        client.write_all(b"for nobody").await.unwrap();
        assert_eq!(end.await.unwrap(), TunnelEnd::Broken);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
