//! HTTP/1.1 on one connection: the guard in front of the HTTP library, and the library with its limits.
//! Whose bytes these are, and whether they are HTTP/1.1 at all, is `accept`'s affair.

use super::accept::Terms;
use super::guard::{self, GuardLimits, Opening, QUIET};
use crate::domain::Peer;
use crate::door::Arrival;
use crate::in_flight::MAX_READ;
use http::{Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// Header lines the library reads unless it is told of more.
const LIBRARY_MAX_HEADERS: usize = 100;
/// How long the announcement of an end may take. Bounds clients that take nothing any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves HTTP/1.1 on one connection until it ends, or until the drain begins and its exchange is over.
///
/// `has_left` is whether the client is known to have closed the stream, even while bytes before that stand
/// unread.
pub(super) async fn serve_http1<S, H, F, B>(
    mut stream: S,
    has_left: fn(&S) -> bool,
    peer: Peer,
    handler: &H,
    terms: &Terms,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    // Who connects is about to ask; who has asked before may take its time.
    let mut patience = terms.limits.header_timeout;
    let (mut begun, mut fresh) = (None, true);
    loop {
        let opening = match begun.take() {
            Some(opening) => Some(opening),
            None => tokio::select! {
                // A request that came before the drain is served.
                biased;
                first = guard::first_bytes(&mut stream, patience) => {
                    first.map(|bytes| Opening::of(bytes, fresh))
                }
                () = terms.draining.cancelled() => None,
                () = terms.room.wanted() => None,
            },
        };
        let Some(opening) = opening else {
            // Over TLS, an end that is not announced looks like one that was cut.
            let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
            return;
        };
        let served = serve_until_quiet((stream, has_left), opening, peer, handler, terms).await;
        let Some(parked) = served else { return };
        (stream, begun) = parked;
        fresh = false;
        patience = terms.limits.idle_timeout.saturating_sub(QUIET);
    }
}

/// Serves until the connection ends, or no whole head comes for a while: then the stream comes back with what
/// there is of one, and the library is gone with all it had allocated.
async fn serve_until_quiet<S, H, F, B>(
    stream: (S, fn(&S) -> bool),
    opening: Opening,
    peer: Peer,
    handler: &H,
    terms: &Terms,
) -> Option<(S, Option<Opening>)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    let limits = &terms.limits;
    let (mut stream, verdicts) =
        guard::guard(stream, opening, GuardLimits::from(limits), terms.shared.clone());
    tokio::select! {
        biased;
        () = stream.first_head() => {},
        () = terms.draining.cancelled() => return None,
        () = terms.room.wanted() => return None,
    }
    let service = service_fn(|request: Request<Incoming>| {
        let answer = handler(Arrival { request, peer, framing: verdicts.next() });
        let verdicts = verdicts.clone();
        async move {
            let answer = answer.await;
            // Before connections are ended: a request that its client sends meanwhile would be lost.
            let is_last = terms.readiness.is_draining();
            Ok::<_, Infallible>(verdicts.answer(answer, is_last))
        }
    });
    let mut library = http1::Builder::new();
    library.max_header_size(limits.max_header_bytes);
    library.max_buf_size(limits.max_header_bytes.max(MAX_READ));
    // Told of a number, the library allocates for each head.
    if limits.max_headers > LIBRARY_MAX_HEADERS {
        library.max_headers(limits.max_headers);
    }
    let connection = library.serve_connection(TokioIo::new(stream), service).with_upgrades();
    // On the heap, so that a parked connection does not keep its place.
    let mut connection = Box::new(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = terms.draining.cancelled() => {
            std::pin::Pin::new(&mut *connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(fault) = ended {
        // Framing faults, timeouts and clients that leave: ordinary on a public port.
        tracing::debug!(%fault, "a connection ended");
        return None;
    }
    connection.into_parts()?.io.into_inner().into_parked()
}
