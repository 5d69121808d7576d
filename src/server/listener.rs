//! Listening sockets, and how many connections are served at once. What a new connection is, is
//! `accept`'s affair.

use super::accept::{Terms, serve_connection};
use super::socket::{Bound, Socket};
use crate::config::{Limits, ListenAddress};
use crate::domain::Peer;
use crate::door::Arrival;
use crate::in_flight::InFlight;
use crate::tasks::Tasks;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`: {cause}\n  = help: {}", help(cause.kind()))]
pub struct BindFault {
    address: ListenAddress,
    cause: std::io::Error,
}

/// What to do about it.
fn help(kind: ErrorKind) -> &'static str {
    const KNOWN: [(ErrorKind, &str); 5] = [
        (ErrorKind::AddrInUse, "another process listens there: end it, or write another address"),
        (
            ErrorKind::PermissionDenied,
            "the process may not: write a port from 1024 on, or a folder that it may write to",
        ),
        (ErrorKind::AddrNotAvailable, "this machine has no such address: 0.0.0.0 means all it has"),
        (ErrorKind::NotFound, "the folder of the socket is not there: is the volume mounted?"),
        (
            ErrorKind::ReadOnlyFilesystem,
            "the disk is read-only: mount a volume that can be written",
        ),
    ];
    let known = KNOWN.iter().find(|(known, _)| *known == kind);
    known.map_or("write another address", |(_, help)| help)
}

/// Bound sockets, not served yet.
#[derive(Debug)]
pub struct Listeners(Vec<Bound>);

impl Listeners {
    /// Binds every address, or none.
    pub async fn bind(addresses: &[SocketAddr]) -> Result<Self, BindFault> {
        let addresses: Vec<_> = addresses.iter().copied().map(ListenAddress::Tcp).collect();
        Self::bind_all(&addresses).await
    }

    /// The same, for addresses of either kind.
    pub async fn bind_all(addresses: &[ListenAddress]) -> Result<Self, BindFault> {
        let mut bound = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = Bound::at(address).await;
            bound.push(listener.map_err(|cause| BindFault { address: address.clone(), cause })?);
        }
        Ok(Self(bound))
    }

    /// Those of the network as bound: with port 0, the port that was given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening().iter().filter_map(ListenAddress::tcp).collect()
    }

    /// All of them as bound.
    #[must_use]
    pub fn listening(&self) -> Vec<ListenAddress> {
        self.0.iter().filter_map(|bound| bound.address().ok()).collect()
    }

    /// Serves every socket until `draining` fires; then each connection ends after the exchange it is in.
    /// The handler sees sound requests only: what is ill-framed is answered here, by 400 and nothing else.
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
            + Unpin
            + 'static,
    {
        let handler = handler.clone();
        let sound = move |arrival: Arrival| {
            let address = arrival.peer.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let answer = arrival.framing.is_ok().then(|| handler(arrival.request, address));
            async move {
                match answer {
                    Some(answer) => answer.await.map(Either::Left),
                    None => ill_framed().map(Either::Right),
                }
            }
        };
        let in_flight = InFlight::new(limits.max_requests_in_flight);
        self.serve_arrivals(&sound, Terms::new(limits, None, in_flight, tasks, draining));
    }

    /// The same, for a door that answers ill-framed requests itself, on terms of its own.
    pub(super) fn serve_arrivals<H, F, B>(self, handler: &H, terms: Terms)
    where
        H: Fn(Arrival) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + Unpin
            + 'static,
    {
        let slots = Arc::new(Semaphore::new(terms.limits.max_connections));
        let terms = Arc::new(terms);
        for listener in self.0 {
            let (handler, slots) = (handler.clone(), Arc::clone(&slots));
            let accepting = Arc::clone(&terms);
            let _accepting = terms.tasks.spawn(async move {
                accept_all(&listener, &slots, &accepting, |stream, peer, slot| {
                    let (handler, terms) = (handler.clone(), Arc::clone(&accepting));
                    let _connection = accepting.tasks.spawn(async move {
                        serve_connection(stream, peer, &handler, &terms).await;
                        drop(slot);
                    });
                })
                .await;
            });
        }
    }
}

/// To whoever cannot frame a request, where there is no door with answers of its own.
fn ill_framed() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    answer
}

/// How long accepting pauses when the process is out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often that is logged. Bounds the log.
const TROUBLE_AGAIN: Duration = Duration::from_secs(10);

async fn accept_all(
    listener: &Bound,
    slots: &Arc<Semaphore>,
    terms: &Terms,
    mut start: impl FnMut(Socket, Peer, tokio::sync::OwnedSemaphorePermit),
) {
    let mut troubled: Option<Instant> = None;
    loop {
        let next = async {
            let accepted = listener.accept().await;
            // One client waits here, all others in the kernel at no cost to us.
            let slot = match Arc::clone(slots).try_acquire_owned() {
                Ok(slot) => slot,
                Err(_) => terms.room.wait_for(Arc::clone(slots).acquire_owned()).await.ok()?,
            };
            Some((accepted, slot))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = terms.draining.cancelled() => return,
        };
        match accepted {
            Some((Ok((stream, peer)), slot)) => start(stream, peer, slot),
            // Out of file descriptors, or a client that left at once: neither ends the listener.
            Some((Err(fault), _)) => {
                if troubled.is_none_or(|told| told.elapsed() >= TROUBLE_AGAIN) {
                    tracing::warn!(%fault, "cannot accept connections");
                    troubled = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
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
