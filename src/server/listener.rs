//! TCP listeners, and HTTP/1.1 connections with their limits.

use super::stall::Stalling;
use crate::config::Limits;
use crate::tasks::Tasks;
use http::{Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`: {cause}")]
pub struct BindFault {
    address: SocketAddr,
    cause: std::io::Error,
}

/// Bound sockets, not served yet.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Binds every address, or none.
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, BindFault> {
        let mut bound = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = TcpListener::bind(address).await;
            bound.push(listener.map_err(|cause| BindFault { address: *address, cause })?);
        }
        Ok(Self(bound))
    }

    /// The addresses as bound: with port 0, the port that was given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves every socket until `draining` fires; then each connection ends after the exchange it is in.
    pub fn serve<H, F, B>(
        self,
        handler: &H,
        limits: Limits,
        tasks: &Tasks,
        draining: &CancellationToken,
    ) where
        H: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        for listener in self.0 {
            let (handler, draining, slots) =
                (handler.clone(), draining.clone(), Arc::clone(&slots));
            let connections = tasks.clone();
            let _accepting = tasks.spawn(async move {
                accept_all(&listener, &slots, &draining, |stream, peer, slot| {
                    let (handler, draining) = (handler.clone(), draining.clone());
                    let _connection = connections.spawn(async move {
                        serve_http(stream, peer.ip(), &handler, limits, &draining).await;
                        drop(slot);
                    });
                })
                .await;
            });
        }
    }
}

/// How long accepting pauses when the process is out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn accept_all(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    draining: &CancellationToken,
    mut start: impl FnMut(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit),
) {
    loop {
        let next = async {
            // A slot first: what cannot be served yet waits in the kernel, at no cost to us.
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            Some((listener.accept().await, slot))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = draining.cancelled() => return,
        };
        match accepted {
            Some((Ok((stream, peer)), slot)) => start(stream, peer, slot),
            // Out of file descriptors, or a client that left at once: neither ends the listener.
            Some((Err(fault), _)) => {
                tracing::warn!(%fault, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

/// Serves HTTP/1.1 on one connection until it ends, or until `draining` fires and its exchange is over.
pub async fn serve_http<H, F, B>(
    stream: TcpStream,
    peer: IpAddr,
    handler: &H,
    limits: Limits,
    draining: &CancellationToken,
) where
    H: Fn(Request<Incoming>, IpAddr) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    // Small answers should not wait for more; a socket that cannot say so is as good as closed.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answer = handler(request, peer);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header_bytes.max(8192))
        .max_headers(limits.max_headers)
        .serve_connection(TokioIo::new(Stalling::new(stream, limits.write_timeout)), service);
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncWriteExt as _;
    use tokio::sync::mpsc;

    /// Tells when it is dropped.
    struct Witness(mpsc::UnboundedSender<&'static str>);

    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.0.send("ended");
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_ends_the_exchange_it_was_waiting_for() {
        let (tasks, draining) = (Tasks::new(), CancellationToken::new());
        let listeners = Listeners::bind(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.unwrap();
        let address = listeners.addresses()[0];
        let (told, mut hears) = mpsc::unbounded_channel();
        let handler = move |_request: Request<Incoming>, _peer| {
            let witness = Witness(told.clone());
            async move {
                let _ = witness.0.send("begun");
                // An API that never answers.
                std::future::pending::<()>().await;
                Response::new(Full::new(Bytes::new()))
            }
        };
        listeners.serve(&handler, Limits::default(), &tasks, &draining);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert_eq!(hears.recv().await, Some("begun"));
        drop(client);
        let heard = tokio::time::timeout(Duration::from_secs(10), hears.recv()).await;
        assert_eq!(heard, Ok(Some("ended")));
    }
}
