//! What a new connection is: which protocol its client speaks, and who serves it.
//!
//! A client of a plain socket says so by its first bytes: those of the HTTP/2 preface, or any other. Over TLS
//! it says so in the handshake (ALPN). What is in the requests is not judged here.

use super::connection::serve_http1;
use super::guard;
use super::http2::{serve_http2, turn_away};
use super::preface::{Protocol, Replay, sniff};
use super::readiness::Readiness;
use super::room::Room;
use super::socket::{self, Socket};
use super::stall::Stalling;
use super::tls::LiveTls;
use super::tls_line::TlsLine;
use crate::config::Limits;
use crate::domain::Peer;
use crate::door::Arrival;
use crate::in_flight::InFlight;
use crate::tasks::Tasks;
use http::Response;
use http_body::Body;
use hyper::body::Bytes;
use std::io;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

/// Handshakes of TLS that are under way at one time, before the oldest make room for new ones.
const MAX_HANDSHAKES: usize = 512;

/// What every connection of one set of listeners is served under.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    /// `None` for plain sockets.
    pub(super) tls: Option<LiveTls>,
    pub(super) tasks: Tasks,
    pub(super) draining: CancellationToken,
    /// Whether clients are to take their further requests elsewhere.
    pub(super) readiness: Readiness,
    /// One for each connection of HTTP/2.
    pub(super) http2: Semaphore,
    /// Among connections: the one that has been silent for longest, or in the middle of a head, makes room.
    /// Bounds how long clients that say nothing can keep others out.
    pub(super) room: Room,
    /// Handshakes of TLS under way, of which the oldest makes room. Bounds memory, some 10 KiB each and what
    /// they were sent.
    handshakes: Semaphore,
    handshake_room: Room,
    /// What connections of HTTP/1.1 share.
    pub(super) shared: guard::Shared,
}

impl Terms {
    pub(super) fn new(
        limits: Limits,
        tls: Option<LiveTls>,
        in_flight: InFlight,
        tasks: &Tasks,
        draining: &CancellationToken,
    ) -> Self {
        Self {
            limits,
            tls,
            tasks: tasks.clone(),
            draining: draining.clone(),
            readiness: Readiness::default(),
            http2: Semaphore::new(limits.http2.max_connections),
            room: Room::default(),
            handshakes: Semaphore::new(MAX_HANDSHAKES),
            handshake_room: Room::default(),
            shared: guard::Shared::new(in_flight),
        }
    }

    /// The same for a process that says so when it begins to leave.
    pub(super) fn leaving_with(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }
}

/// What HTTP is spoken over.
type Transport = Either<Replay<Stalling<Socket>>, Box<TlsLine<Stalling<Socket>>>>;

/// Serves one connection until it ends, or until the drain begins and its exchanges are over.
pub(super) async fn serve_connection<H, F, B>(
    socket: Socket,
    mut peer: Peer,
    handler: &H,
    terms: &Terms,
) where
    H: Fn(Arrival) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let stream = Stalling::new(socket, terms.limits.write_timeout);
    let begun = tokio::select! {
        biased;
        begun = begin(stream, terms) => begun,
        () = terms.draining.cancelled() => return,
        () = terms.room.wanted() => return,
    };
    peer.secure = terms.tls.is_some();
    match begun {
        Ok((Protocol::Http1, stream)) => {
            serve_http1(stream, has_left, peer, handler, terms).await;
        }
        // On the heap, so that connections of HTTP/1.1 do not keep its place.
        Ok((Protocol::Http2, stream)) => match terms.http2.try_acquire() {
            Ok(_place) => Box::pin(serve_http2(stream, peer, handler, terms)).await,
            Err(_) => turn_away(stream).await,
        },
        // Scanners, probes and clients that leave: ordinary on a public port.
        Err(fault) => tracing::debug!(%fault, "a connection ended before its first request"),
    }
}

fn has_left(transport: &Transport) -> bool {
    let stream = match transport {
        Either::Left(stream) => stream.get_ref(),
        Either::Right(stream) => stream.get_ref(),
    };
    socket::has_left(stream.get_ref())
}

async fn begin(stream: Stalling<Socket>, terms: &Terms) -> io::Result<(Protocol, Transport)> {
    match &terms.tls {
        None => {
            let (protocol, stream) = sniff(stream, terms.limits.header_timeout).await?;
            Ok((protocol, Either::Left(stream)))
        }
        Some(tls) => {
            let limit = terms.limits.header_timeout;
            let handshake = Box::pin(tls.accept(stream, limit));
            let _counted = match terms.handshakes.try_acquire() {
                Ok(counted) => counted,
                Err(_) => {
                    let place = terms.handshake_room.wait_for(terms.handshakes.acquire());
                    timeout(limit, place).await?.map_err(io::Error::other)?
                }
            };
            let (protocol, stream) = tokio::select! {
                biased;
                done = handshake => done?,
                () = terms.handshake_room.wanted() => {
                    return Err(io::Error::other("too many handshakes, of which this is the oldest"));
                }
            };
            Ok((protocol, Either::Right(Box::new(stream))))
        }
    }
}
