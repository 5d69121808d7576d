//! What a new connection is: which protocol its client speaks, and who serves it.
//!
//! A client of a plain socket says so by its first bytes: those of the HTTP/2 preface, or any other. What
//! is in the requests is not judged here.

use super::connection::serve_http1;
use super::http2::serve_http2;
use super::preface::{Protocol, sniff};
use super::stall::Stalling;
use crate::config::Limits;
use crate::domain::Peer;
use crate::door::Arrival;
use crate::tasks::Tasks;
use http::Response;
use http_body::Body;
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What every connection of one set of listeners is served under.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) tasks: Tasks,
    pub(super) draining: CancellationToken,
}

/// Serves one connection until it ends, or until the drain begins and its exchanges are over.
pub(super) async fn serve_connection<H, F, B>(
    stream: TcpStream,
    peer: Peer,
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
    // Small answers should not wait for more; a socket that cannot say so is as good as closed.
    let _ = stream.set_nodelay(true);
    let stream = Stalling::new(stream, terms.limits.write_timeout);
    serve_plain(stream, peer, handler, terms).await;
}

/// Serves whichever protocol the first bytes are of.
async fn serve_plain<S, H, F, B>(stream: S, peer: Peer, handler: &H, terms: &Terms)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let sniffed = tokio::select! {
        sniffed = sniff(stream, &terms.limits) => sniffed,
        () = terms.draining.cancelled() => return,
    };
    match sniffed {
        Ok((Protocol::Http1, stream)) => {
            serve_http1(stream, peer, handler, terms.limits, &terms.draining).await;
        }
        Ok((Protocol::Http2, stream)) => serve_http2(stream, peer, handler, terms).await,
        Err(fault) => tracing::debug!(%fault, "a connection ended before its first request"),
    }
}
