//! The way to the API: names, sockets, TLS. What is said over it is not known here.

use super::settings::{UpstreamAddress, UpstreamSettings};
use super::tls::Offer;
use crate::flow::Flow;
use crate::frames::{DATA, END_STREAM, Portions};
use crate::in_flight::{InFlight, MUCH};
use crate::reach::reach;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

/// A way to the API, and the protocol that was agreed on.
pub(super) struct Line {
    pub(super) stream: Metered,
    pub(super) protocol: Protocol,
}

/// What is spoken over a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A new line, within the time that the settings give to it.
pub(super) async fn connect(
    settings: &UpstreamSettings,
    offer: Offer,
    in_flight: InFlight,
) -> io::Result<Line> {
    let (stream, protocol) =
        tokio::time::timeout(settings.connect_timeout, dial(&settings.address, offer))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let portions = match protocol {
        Protocol::Http1 => None,
        Protocol::Http2 => Some(Portions::after(0)),
    };
    let traffic = Arc::new(Traffic::none(in_flight.clone()));
    Ok(Line { stream: Metered { stream, traffic, in_flight, portions }, protocol })
}

async fn dial(address: &UpstreamAddress, offer: Offer) -> io::Result<(Stream, Protocol)> {
    Ok(match address {
        UpstreamAddress::Http(host_port) => {
            (Either::Left(reach(&host_port.host, host_port.port).await?), Protocol::Http1)
        }
        UpstreamAddress::H2c(host_port) => match offer {
            Offer::Both => {
                (Either::Left(reach(&host_port.host, host_port.port).await?), Protocol::Http2)
            }
            Offer::Http1 => return Err(io::ErrorKind::Unsupported.into()),
        },
        UpstreamAddress::Https(host_port, trust) => {
            let name =
                ServerName::try_from(host_port.host.to_string()).map_err(io::Error::other)?;
            let stream = reach(&host_port.host, host_port.port).await?;
            let stream = trust.connector(offer).connect(name, stream).await?;
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Protocol::Http2,
                Some(_) | None => Protocol::Http1,
            };
            (Either::Right(Either::Right(Box::new(stream))), protocol)
        }
        UpstreamAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            (Either::Right(Either::Left(stream)), Protocol::Http1)
        }
    })
}

type Stream = Either<TcpStream, Either<UnixStream, Box<TlsStream<TcpStream>>>>;

/// What a line has seen.
#[derive(Debug)]
pub(super) struct Traffic {
    received: AtomicU64,
    ended: AtomicBool,
    /// DATA frames of HTTP/2 that brought nothing.
    empty_frames: AtomicU64,
    /// Whether the library has room for large reads, and keeps it.
    read_much: AtomicBool,
    /// How many bytes may have been received for another to be read, while the head of an answer is awaited.
    most: AtomicU64,
    /// Whether what stands to be read tells how an exchange ends, and not what cannot be written.
    read_tells: AtomicBool,
    flow: Flow,
}

/// The head of an answer is awaited, until this is dropped.
pub(super) struct Awaited<'a>(&'a Traffic);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.most.store(u64::MAX, Ordering::Relaxed);
    }
}

impl Traffic {
    fn none(in_flight: InFlight) -> Self {
        Self {
            received: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            empty_frames: AtomicU64::new(0),
            read_much: AtomicBool::new(false),
            most: AtomicU64::new(u64::MAX),
            read_tells: AtomicBool::new(false),
            flow: Flow::new(in_flight),
        }
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether the API has ended the line, or it broke. Known before any exchange over it hears of it.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the library has made room for large reads over it, and so keeps that room.
    pub(super) fn has_read_much(&self) -> bool {
        self.read_much.load(Ordering::Relaxed)
    }

    /// DATA frames that brought nothing, so far.
    pub(super) fn empty_frames(&self) -> u64 {
        self.empty_frames.load(Ordering::Relaxed)
    }

    /// When so many bytes have come before the head of the answer to the exchange that begins now is taken, no
    /// more of them are read, and the line is broken.
    pub(super) fn await_head(&self, most: u64) -> Awaited<'_> {
        self.most.store(self.received().saturating_add(most), Ordering::Relaxed);
        Awaited(self)
    }

    /// Whether the exchange that begins now ends by what is read. An API that answers and closes with the body
    /// unread, as nginx does with one that is too large, breaks the way there while its answer stands in line to be read:
    /// to who writes first, the answer would be lost. Not so for a tunnel, whose two ways are each its own.
    pub(super) fn let_reads_tell(&self, tell: bool) {
        self.read_tells.store(tell, Ordering::Relaxed);
    }

    /// Of the request that is sent, where it has the line to itself.
    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }
}

/// A line that counts what it receives, to tell a connection that was closed while it was idle from an
/// answer that broke off.
pub(super) struct Metered {
    stream: Stream,
    traffic: Arc<Traffic>,
    in_flight: InFlight,
    /// Where HTTP/2 is spoken.
    portions: Option<Portions>,
}

impl Metered {
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.traffic.received() >= self.traffic.most.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        let has_room = buffer.remaining() > 0;
        let Self { stream, in_flight, portions, traffic } = &mut *self;
        let polled = match portions {
            Some(portions) => portions.poll_read(stream, context, buffer, |frame| {
                if frame.kind == DATA && frame.length == 0 && frame.flags & END_STREAM == 0 {
                    traffic.empty_frames.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }),
            None => in_flight.poll_read(stream, context, buffer),
        };
        let read = buffer.filled().len().saturating_sub(before);
        let over = match &polled {
            Poll::Ready(Ok(())) => read == 0 && has_room,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if read > MUCH {
            self.traffic.read_much.store(true, Ordering::Relaxed);
        }
        if read > 0 {
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            self.traffic.received.fetch_add(read, Ordering::Relaxed);
        } else if over {
            self.traffic.ended.store(true, Ordering::Release);
        }
        polled
    }
}

impl Metered {
    fn noting_write(
        &self,
        polled: Poll<io::Result<usize>>,
        context: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let noted = self.noting(polled, context);
        if noted.is_pending() {
            self.traffic.flow.stalls();
        }
        noted
    }

    fn noting<T>(&self, polled: Poll<io::Result<T>>, context: &Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = &polled {
            let known = self.traffic.ended.swap(true, Ordering::AcqRel);
            if self.traffic.read_tells.load(Ordering::Relaxed) {
                // The line is gone: a read ends too, behind what has come.
                if !known {
                    context.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noting_write(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        // Over HTTP/1.1 the library flushes when it has written all.
        if polled.is_ready() {
            self.traffic.flow.is_out();
        }
        self.noting(polled, context)
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
        self.noting_write(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Ready when a write fails, or is held to be failing in silence.
    fn write_until_broken(line: &mut Metered, context: &mut Context<'_>) -> Poll<bool> {
        match Pin::new(&mut *line).poll_write(context, b"more") {
            Poll::Ready(Ok(_)) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(_)) => Poll::Ready(true),
            Poll::Pending if line.traffic.has_ended() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_though_the_way_there_broke_first() {
        for tells in [true, false] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let to = listener.local_addr().unwrap();
            let (stream, accepted) = tokio::join!(TcpStream::connect(to), listener.accept());
            let in_flight = InFlight::new(8);
            let traffic = Arc::new(Traffic::none(in_flight.clone()));
            let stream = Either::Left(stream.unwrap());
            let mut line = Metered { stream, traffic, in_flight, portions: None };
            line.traffic.let_reads_tell(tells);
            line.write_all(b"unread").await.unwrap();
            // To close with bytes unread is a reset.
            let (mut api, _) = accepted.unwrap();
            api.write_all(b"no").await.unwrap();
            drop(api);
            let told = std::future::poll_fn(|context| write_until_broken(&mut line, context)).await;
            assert_eq!(told, !tells);
            assert!(line.traffic.has_ended());
            let mut answer = [0; 2];
            line.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"no");
            assert!(matches!(line.read(&mut answer).await, Ok(0) | Err(_)), "it ends");
        }
    }
}
