//! Tells HTTP/2 by prior knowledge from HTTP/1.1 by the first bytes of a plain connection, and gives those
//! bytes back to whoever serves it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// How every HTTP/2 client begins (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads until the bytes can no longer be the preface, or are the whole of it, within `limit`: bounds
/// clients that connect and say nothing, or stop in the middle.
pub(super) async fn sniff<S: AsyncRead + Unpin>(
    mut stream: S,
    limit: Duration,
) -> io::Result<(Protocol, Replay<S>)> {
    let mut seen = [0; PREFACE.len()];
    let sniffing = async {
        let mut held = 0_usize;
        loop {
            match stream.read(seen.get_mut(held..).unwrap_or_default()).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                count => held = held.saturating_add(count),
            }
            if !PREFACE.starts_with(seen.get(..held).unwrap_or_default()) {
                return Ok((Protocol::Http1, held));
            }
            if held == PREFACE.len() {
                return Ok((Protocol::Http2, held));
            }
        }
    };
    let (protocol, held) = timeout(limit, sniffing).await??;
    Ok((protocol, Replay { seen, held, given: 0, stream }))
}

/// A stream that gives again what was read off it to sniff.
#[derive(Debug)]
pub(super) struct Replay<S> {
    seen: [u8; PREFACE.len()],
    /// How many of `seen` were read off the stream.
    held: usize,
    /// How many of them were given again.
    given: usize,
    stream: S,
}

impl<S> Replay<S> {
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replay<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = this.seen.get(this.given..this.held).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..count).unwrap_or_default());
        this.given = this.given.saturating_add(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replay<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
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
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_first_bytes_tell_and_are_given_again_however_they_come() {
        let http1: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let almost: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX";
        let cases = [
            (http1, Protocol::Http1),
            (b"POST / HTTP/1.1\r\n", Protocol::Http1),
            (b"PRI * HTTP/1.1\r\n\r\n", Protocol::Http1),
            (almost, Protocol::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Protocol::Http2),
        ];
        for (bytes, expected) in cases {
            for step in [1, 3, bytes.len()] {
                let (near, mut far) = duplex(step);
                let sending = async {
                    far.write_all(bytes).await.unwrap();
                    drop(far);
                };
                let reading = async {
                    let (protocol, mut stream) = sniff(near, LIMIT).await.unwrap();
                    let mut read = Vec::new();
                    stream.read_to_end(&mut read).await.unwrap();
                    (protocol, read)
                };
                let ((), (protocol, read)) = tokio::join!(sending, reading);
                assert_eq!((protocol, read.as_slice()), (expected, bytes), "by {step}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_in_the_middle_of_the_preface_is_given_up() {
        for sent in [&b""[..], b"PRI"] {
            let (near, mut far) = duplex(64);
            far.write_all(sent).await.unwrap();
            let began = tokio::time::Instant::now();
            let fault = sniff(near, LIMIT).await.unwrap_err();
            let passed = began.elapsed().as_secs();
            assert_eq!((fault.kind(), passed), (io::ErrorKind::TimedOut, 10));
        }
    }
}
