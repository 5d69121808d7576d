//! HTTP/2 on one connection: the library with its limits, a task for each stream, and the end of
//! connections that are idle, drained or not read from.
//!
//! What a head must be is `http2_head`'s affair, what frames may cost `http2_watch`'s.

use super::accept::Terms;
use super::http2_head::settle;
use super::http2_stream::{Paced, Pulse, Streams};
use super::http2_watch::Watched;
use crate::config::Limits;
use crate::domain::Peer;
use crate::door::Arrival;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

/// What is read into memory for one frame: the smallest that RFC 9113 §4.2 allows. Bounds memory.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// Of an answer, what is taken from the API ahead of a client that does not read, per stream. Bounds memory.
const MAX_SEND_BUFFER_BYTES: usize = 8 * 1024;
/// Streams that were reset before we looked at them. Bounds rapid reset (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Streams of one connection that ended by a fault of the client's frames. Bounds requests begun in vain by
/// a client that makes us reset them (CVE-2025-8671).
const MAX_FAULTY_STREAMS: usize = 256;
/// How many times `max_header_bytes` the library takes, so that a head which is too large is refused by an
/// answer of ours with its record. Beyond that the library answers a bare 431. Bounds memory.
const HEAD_ROOM: usize = 2;
/// A PING after so long without a frame finds peers that are gone without a word.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// For the answer to a PING. Also bounds how long one frame, or one head in many, may dribble in: nothing
/// can be answered in the middle of it.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Between GOAWAY and the end, for a client that knows it has nothing under way.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves HTTP/2 until the connection ends, has been idle for too long, or the drain begins and its streams
/// are over.
pub(super) async fn serve_http2<S, H, F, B>(stream: S, peer: Peer, handler: &H, terms: &Terms)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Arrival) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let limits = terms.limits;
    let streams = Streams::new(terms.tasks.clone(), limits.write_timeout);
    let beginning = streams.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let to_head = request.method() == Method::HEAD;
        let framing = settle(&mut request, &limits);
        let answer = handler(Arrival { request, peer, framing });
        let pulse = Pulse::default();
        beginning.next_has(pulse.clone());
        async move {
            let mut answer = answer.await;
            pulse.handed();
            if to_head {
                state_length(&mut answer);
            }
            Ok::<_, Infallible>(answer.map(|body| Paced::new(body, pulse, to_head)))
        }
    });
    let connection = builder(&limits, streams.clone())
        .serve_connection(TokioIo::new(Watched::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let mut open = streams.open();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = idle(&mut open, limits.idle_timeout) => {
            connection.as_mut().graceful_shutdown();
            farewell(connection, &mut open).await
        }
        () = terms.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            farewell(connection, &mut open).await
        }
    };
    if let Err(fault) = ended {
        // Framing faults, floods and clients that leave: ordinary on a public port.
        tracing::debug!(%fault, "an HTTP/2 connection ended");
    }
}

/// Reads from a client that is told to go. Bounds what it can make us read.
const MAX_UNREAD: usize = 64;
/// Our SETTINGS, empty, then GOAWAY with ENHANCE_YOUR_CALM: nothing was processed, so that a client may ask
/// again elsewhere (RFC 9113 §6.8).
const BUSY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

/// Tells a client that there are too many connections of its kind.
pub(super) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    tracing::debug!("too many HTTP/2 connections");
    // Whoever does not read these few bytes has left.
    let _ = tokio::time::timeout(FAREWELL, async {
        stream.write_all(BUSY).await?;
        stream.shutdown().await?;
        // What lies unread when a socket is closed would take our word with it.
        let mut unread = [0; 1024];
        for _ in 0..MAX_UNREAD {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    })
    .await;
}

/// The library keeps bodies from answers to HEAD in HTTP/1.1 only; here it sees none, and would not say how
/// long it is.
fn state_length<B: Body>(answer: &mut Response<B>) {
    if let Some(length) = answer.body().size_hint().exact().filter(|length| *length > 0) {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
}

fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    let head = limits.max_header_bytes.saturating_mul(HEAD_ROOM);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2.max_concurrent_streams)
        .initial_stream_window_size(limits.http2.stream_window)
        .initial_connection_window_size(limits.http2.connection_window)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_frame_size(MAX_FRAME_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .enable_connect_protocol();
    builder
}

/// Returns when there has been no stream for this long.
async fn idle(open: &mut watch::Receiver<usize>, limit: Duration) {
    loop {
        if open.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        // A stream that has come and gone in between is a change as well.
        if tokio::time::timeout(limit, open.changed()).await.is_err() {
            return;
        }
    }
}

/// After GOAWAY: to the end of the last stream, and a little longer for the client to go.
async fn farewell<C>(connection: C, open: &mut watch::Receiver<usize>) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::select! {
        ended = connection => ended,
        () = idle(open, FAREWELL) => Ok(()),
    }
}
