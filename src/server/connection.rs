//! HTTP/1.1 on one connection: the guard in front of the HTTP library, and the library with its limits.
//! Whose bytes these are, and whether they are HTTP/1.1 at all, is `accept`'s affair.

use super::guard::{self, GuardLimits, QUIET};
use crate::config::Limits;
use crate::domain::Peer;
use crate::door::Arrival;
use http::{Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Serves HTTP/1.1 on one connection until it ends, or until `draining` fires and its exchange is over.
pub(super) async fn serve_http1<S, H, F, B>(
    mut stream: S,
    peer: Peer,
    handler: &H,
    limits: Limits,
    draining: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    // Who connects is about to ask; who has asked before may take its time.
    let mut patience = limits.header_timeout;
    loop {
        let first = tokio::select! {
            first = guard::first_bytes(&mut stream, patience) => first,
            () = draining.cancelled() => None,
        };
        let Some(first) = first else { return };
        let served = serve_until_quiet(stream, first, peer, handler, limits, draining).await;
        let Some(parked) = served else { return };
        stream = parked;
        patience = limits.idle_timeout.saturating_sub(QUIET);
    }
}

/// Serves until the connection ends, or is quiet for a while: then the stream comes back, and the library is
/// gone with all it had allocated.
async fn serve_until_quiet<S, H, F, B>(
    stream: S,
    first: Vec<u8>,
    peer: Peer,
    handler: &H,
    limits: Limits,
    draining: &CancellationToken,
) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static,
{
    let (stream, verdicts) = guard::guard(stream, first, GuardLimits::from(&limits));
    let service = service_fn(|request: Request<Incoming>| {
        let answer = handler(Arrival { request, peer, framing: verdicts.next() });
        let verdicts = verdicts.clone();
        async move { Ok::<_, Infallible>(verdicts.answer(answer.await)) }
    });
    // On the heap, so that a parked connection does not keep its place.
    let mut connection = Box::new(
        http1::Builder::new()
            .max_buf_size(limits.max_header_bytes.max(8192))
            .max_headers(limits.max_headers)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades(),
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = draining.cancelled() => {
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
