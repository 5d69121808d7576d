//! A TLS connection that ends when it is fed and yields nothing.
//!
//! The library keeps a message until it is whole, up to 64 KiB of it, before the handshake is over and after;
//! and until then nothing that counts or times requests has heard of its client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// What a client may send before the handshake is over: its hello, with room for large keys, its last word, and
/// the first record behind them, which the library reads as well. Bounds memory for clients that never come to
/// an end.
pub(super) const HANDSHAKE_BYTES: usize = 16 * 1024 + RECORD_BYTES;
/// The same where clients show certificates, with those that sign them.
pub(super) const HANDSHAKE_BYTES_WITH_CERTIFICATES: usize = 64 * 1024 + RECORD_BYTES;
/// What a client may send after that without a byte of plaintext, before it pauses: more than the largest record
/// (RFC 8446 §5.2) and what is read at once of the next. Bounds memory for messages of TLS itself that are
/// never whole.
const RECORD_BYTES: usize = 24 * 1024;

/// What is under TLS: counts what it brings.
#[derive(Debug)]
pub(super) struct Fed<S> {
    stream: S,
    /// Since it was of use.
    bytes: usize,
    /// Of the handshake; after it, many records may be read for one read of plaintext.
    most: Option<usize>,
}

impl<S> Fed<S> {
    pub(super) fn new(stream: S, most: usize) -> Self {
        Self { stream, bytes: 0, most: Some(most) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.most.is_some_and(|most| self.bytes > most) {
            return Poll::Ready(Err(useless()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.bytes = self.bytes.saturating_add(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fed<S> {
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

fn useless() -> io::Error {
    io::Error::other("TLS without an end and without a use")
}

/// What is over TLS.
#[derive(Debug)]
pub(super) struct TlsLine<S>(TlsStream<Fed<S>>);

impl<S> TlsLine<S> {
    /// After the handshake.
    pub(super) fn new(mut stream: TlsStream<Fed<S>>) -> Self {
        let (fed, _) = stream.get_mut();
        (fed.bytes, fed.most) = (0, None);
        Self(stream)
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.0.get_ref().0.stream
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsLine<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(context, buffer)?;
        let (fed, _) = self.0.get_mut();
        if buffer.filled().len() > before {
            fed.bytes = 0;
        } else if polled.is_pending() && fed.bytes > RECORD_BYTES {
            return Poll::Ready(Err(useless()));
        }
        polled.map(Ok)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
