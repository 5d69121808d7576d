//! The connections of the face: HTTP/1.1 with keep-alive, bounded in number, heads and time. One can be
//! ended without an answer, which is why the server's own loop is not used.

use super::PdpFace;
use crate::tasks::Tasks;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections served at once; more wait in the kernel's queue. Bounds sockets and memory against a load
/// test gone wrong.
const MAX_CONNECTIONS: usize = 1024;
/// From the end of the exchange before to the last byte of a head. Ends connections that say nothing; longer
/// than clients keep theirs idle, so that they close first.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);
/// The largest head: a token has at most 16 KiB. Bounds memory per connection.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most header lines. Bounds the work of reading one head.
const MAX_HEADERS: usize = 100;
/// How long accepting pauses when the process is out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the tasks are told to stop; then each ends after the exchange it is in.
pub(super) async fn serve(face: Arc<PdpFace>, listener: TcpListener, tasks: Tasks) {
    let (stopping, slots) = (tasks.stopping(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let next = async || {
        let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
        Some((listener.accept().await, slot))
    };
    while let Some(Some((accepted, slot))) = stopping.run_until_cancelled(next()).await {
        // A connection that ended before it was accepted is no reason to stop; a full table of
        // descriptors is one to wait.
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (face, stopping) = (Arc::clone(&face), stopping.clone());
        drop(tasks.spawn(async move {
            converse(&face, socket, &stopping).await;
            drop(slot);
        }));
    }
}

async fn converse(face: &PdpFace, socket: TcpStream, stopping: &CancellationToken) {
    // Small answers should not wait for more; a socket that cannot say so is as good as closed.
    let _ = socket.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(socket), service_fn(|request| face.respond(request)));
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is of no interest to a stand-in.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
