//! HTTP/1.1 on one connection: the guard in front of the HTTP library, and the library with its limits.
//! Whose bytes these are, and whether they are HTTP/1.1 at all, is `accept`'s affair.

use super::guard::{self, GuardLimits};
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
    stream: S,
    peer: Peer,
    handler: &H,
    limits: Limits,
    draining: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let (stream, verdicts) = guard::guard(stream, GuardLimits::from(&limits));
    let service = service_fn(|request: Request<Incoming>| {
        let answer = handler(Arrival { request, peer, framing: verdicts.next() });
        let verdicts = verdicts.clone();
        async move {
            let answer = answer.await;
            verdicts.answered(answer.status());
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(limits.max_header_bytes.max(8192))
        .max_headers(limits.max_headers)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = ended {
        // Framing faults, timeouts and clients that leave: ordinary on a public port.
        tracing::debug!(%fault, "a connection ended");
    }
}
