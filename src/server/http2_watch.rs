//! Follows the frames of an HTTP/2 connection and ends it when too many of them bring nothing: floods of
//! SETTINGS, PING, PRIORITY, resets, empty DATA, CONTINUATION and WINDOW_UPDATE (CVE-2019-9511 to 9518,
//! CVE-2023-44487, CVE-2024-27316), which the library answers or ignores at our cost.
//!
//! Frames that bring nothing are paid for: by what passes over time, by requests, and by the frames of
//! answers, since a client that downloads has every reason to write of its window, and one that measures the
//! way to ping. It reads nothing but the nine bytes before each frame (RFC 9113 §4.1).

use crate::frames::{DATA, END_STREAM, Frames, Portions, Seen};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Frames without use that a connection may send at any time. Bounds bursts of floods.
const IDLE_FRAMES: u32 = 1000;
/// What it gets back of them in a second: far more than keep-alives need.
const IDLE_FRAMES_PER_SECOND: u32 = 100;
/// For a request: its own WINDOW_UPDATE and PRIORITY.
const PER_REQUEST: u32 = 4;
/// For each DATA frame of an answer: a WINDOW_UPDATE of stream and connection, and a PING.
const PER_ANSWER_FRAME: u32 = 4;
/// The most that answers can earn, since they may run ahead of a client with large windows.
const MAX_EARNED: u32 = 100_000;

/// Streams that a client may give up before they are answered. Bounds requests begun in vain.
const RESETS: u32 = 200;
/// What it gets back of them in a second.
const RESETS_PER_SECOND: u32 = 20;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// A stream whose frames are watched.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    received: Portions,
    sent: Frames,
    budgets: Budgets,
}

#[derive(Debug)]
struct Budgets {
    idle: Budget,
    resets: Budget,
}

impl Budgets {
    fn receive(&mut self, frame: Seen) -> io::Result<()> {
        let Self { idle, resets } = self;
        match frame {
            Seen { kind: DATA, length, flags } if length > 0 || flags & END_STREAM != 0 => Ok(()),
            Seen { kind: HEADERS, .. } => {
                idle.earn(PER_REQUEST);
                Ok(())
            }
            Seen { kind: RST_STREAM, .. } => resets.spend(),
            // Everything else brings nothing by itself; so does what we do not know.
            Seen { .. } => idle.spend(),
        }
    }
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            received: Portions::after(CLIENT_PREFACE_BYTES),
            sent: Frames::after(0),
            budgets: Budgets {
                idle: Budget::new(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND, MAX_EARNED),
                resets: Budget::new(RESETS, RESETS_PER_SECOND, RESETS),
            },
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let Self { sent, budgets: Budgets { idle, resets }, .. } = self;
        let followed = sent.follow(bytes, |frame| {
            match frame.kind {
                DATA => idle.earn(PER_ANSWER_FRAME),
                // An answer: giving it up now costs no more than any other request.
                HEADERS => resets.earn(1),
                _ => {}
            }
            Ok(())
        });
        debug_assert!(followed.is_ok(), "our own frames cost nothing");
    }
}

/// `PRI * HTTP/2.0 …` (RFC 9113 §3.4).
const CLIENT_PREFACE_BYTES: usize = 24;
/// What may be spent.
#[derive(Debug)]
struct Budget {
    left: u32,
    /// What time gives back goes up to this.
    ordinary: u32,
    per_second: u32,
    /// What is earned goes up to this.
    max: u32,
    /// Up to when time has given back.
    counted: Instant,
}

impl Budget {
    fn new(ordinary: u32, per_second: u32, max: u32) -> Self {
        Self { left: ordinary, ordinary, per_second, max, counted: Instant::now() }
    }

    fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.max.max(self.ordinary));
    }

    fn spend(&mut self) -> io::Result<()> {
        // The clock is looked at only when it matters.
        if self.left == 0 {
            self.refill();
        }
        let flood = || io::Error::other("too many HTTP/2 frames that bring nothing");
        self.left = self.left.checked_sub(1).ok_or_else(flood)?;
        Ok(())
    }

    fn refill(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.counted).as_millis();
        self.counted = now;
        let given =
            u32::try_from(passed).unwrap_or(u32::MAX).saturating_mul(self.per_second) / 1000;
        self.left = given.min(self.ordinary);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, received, budgets, .. } = &mut *self;
        received.poll_read(stream, context, buffer, |frame| budgets.receive(frame))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.send(bytes.get(..count).unwrap_or_default());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        if let Poll::Ready(Ok(mut count)) = polled {
            for part in bytes {
                let written = part.len().min(count);
                self.send(part.get(..written).unwrap_or_default());
                count = count.saturating_sub(written);
            }
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn receive(watched: &mut Watched<()>, bytes: &[u8]) -> io::Result<()> {
        let Watched { received, budgets, .. } = watched;
        received.saw(bytes, |frame| budgets.receive(frame))
    }

    fn watched() -> Watched<()> {
        let mut watched = Watched::new(());
        receive(&mut watched, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        watched
    }

    /// How many are taken.
    fn flood(watched: &mut Watched<()>, bytes: &[u8]) -> u32 {
        (0..200_000).find(|_| receive(watched, bytes).is_err()).unwrap_or(200_000)
    }

    #[tokio::test(start_paused = true)]
    async fn floods_of_frames_that_bring_nothing_are_ended() {
        for (name, bytes, taken) in [
            ("SETTINGS", frame(4, 0, b""), IDLE_FRAMES),
            ("PING", frame(6, 0, &[0; 8]), IDLE_FRAMES),
            ("PRIORITY", frame(2, 0, &[0; 5]), IDLE_FRAMES),
            ("WINDOW_UPDATE", frame(8, 0, &[0, 0, 0, 1]), IDLE_FRAMES),
            ("empty DATA", frame(0, 0, b""), IDLE_FRAMES),
            ("CONTINUATION", frame(9, 0, b""), IDLE_FRAMES),
            ("unknown", frame(0xbe, 0, b"x"), IDLE_FRAMES),
            ("RST_STREAM", frame(3, 0, &[0; 4]), RESETS),
            ("DATA", frame(0, 0, b"x"), 200_000),
            ("the end of a body", frame(0, 1, b""), 200_000),
        ] {
            assert_eq!(flood(&mut watched(), &bytes), taken, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_use_pay_for_them() {
        let ping = frame(6, 0, &[0; 8]);
        let mut idle = watched();
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_millis(10)).await;
            receive(&mut idle, &ping).unwrap();
        }
        let mut downloading = watched();
        let (data, update) = (frame(0, 0, &[0; 1000]), frame(8, 0, &[0, 0, 3, 232]));
        for _ in 0..20_000 {
            downloading.send(&data);
        }
        for _ in 0..40_000 {
            receive(&mut downloading, &update).unwrap();
        }
        let mut giving_up = watched();
        for _ in 0..10_000 {
            receive(&mut giving_up, &frame(1, 5, b"head")).unwrap();
            giving_up.send(&frame(1, 4, b"head"));
            receive(&mut giving_up, &frame(3, 0, &[0; 4])).unwrap();
        }
    }
}
