//! One connection: the guard in front of the HTTP library, and the library with its limits.

use super::guard::{self, GuardLimits};
use super::stall::Stalling;
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
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Serves HTTP/1.1 on one connection until it ends, or until `draining` fires and its exchange is over.
pub(super) async fn serve_connection<H, F, B>(
    stream: TcpStream,
    peer: Peer,
    handler: &H,
    limits: Limits,
    draining: &CancellationToken,
) where
    H: Fn(Arrival) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    // Small answers should not wait for more; a socket that cannot say so is as good as closed.
    let _ = stream.set_nodelay(true);
    let stream = Stalling::new(stream, limits.write_timeout);
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
