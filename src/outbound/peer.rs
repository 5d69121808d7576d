//! One system behind: the way to it, and the connections to it that are kept. Over HTTP/1.1 one serves one
//! exchange at a time; over HTTP/2 one serves all.

use super::way::{Line, Way};
use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::{Position, Url};

/// Connecting is given up after this long, whatever the exchange's own time: short enough to leave time for
/// another attempt within the deadline of a decision.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Who waits for another's connection, to share it, dials beside that one after this long: it may hang.
const TURN_TIMEOUT: Duration = Duration::from_millis(250);
/// Below the idle timeouts of common gateways, so that we close before they do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often connections are looked after that nobody uses.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Idle connections kept to one host: as many as the PDP is asked over at once by default.
const MAX_IDLE: usize = 64;
/// How long a kept connection may take to be ready. Bounds what a peer that leaves requests unread can make the
/// next exchange wait, which then gets a new connection.
const READY_TIMEOUT: Duration = Duration::from_millis(20);
/// The head of an answer, in bytes and lines. Bounds memory and work against a peer that sends without end.
const MAX_HEAD: usize = 32 * 1024;
const MAX_LINES: usize = 100;
/// What is read of an answer at once over HTTP/1.1. Bounds memory per connection.
const MAX_READ: usize = 64 * 1024;
/// What a peer may send over HTTP/2 before it is taken: of one answer, and over the connection. Bounds memory.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// How often an HTTP/2 connection is tried, and how long it may take to answer. Over HTTP/2 an exchange that
/// times out leaves the connection in place; without this, one that is dead would fail every further
/// exchange until the kernel gives it up, many minutes later.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

type Body = Full<Bytes>;

/// A request, with headers of its own; where it goes is written into it when it is known how.
pub(super) type Outgoing = Request<Body>;

/// A system behind.
pub(super) struct Peer {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    way: Way,
    kept: Mutex<Kept>,
    /// Whether the next new connection is likely to be one that is shared.
    shares: AtomicBool,
    /// Held by the one who connects while others wait to share what comes of it.
    dialling: tokio::sync::Mutex<()>,
    tasks: Tasks,
}

#[derive(Default)]
struct Kept {
    /// Most recently used last.
    idle: Vec<(Exclusive, Instant)>,
    shared: Option<(Shared, Instant)>,
    /// Whether a task looks after those that nobody uses any more.
    swept: bool,
}

/// A connection in use. Dropping it ends the exchange on it; [`Peer::keep`] keeps it for the next.
pub(super) enum Connection {
    Exclusive(Exclusive),
    Shared(Shared),
}

pub(super) struct Exclusive {
    sender: http1::SendRequest<Body>,
    /// Whoever leaves an exchange ends its connection; a kept one is moved, not dropped.
    _driver: Driver,
}

/// Ends when the last of its exchanges has, and nobody keeps it.
#[derive(Clone)]
pub(super) struct Shared {
    sender: http2::SendRequest<Body>,
    driver: Arc<Driver>,
}

/// The task that drives a connection, and ends with this.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// Nothing was sent.
    Unreached(io::Error),
    Broken(hyper::Error),
}

impl Peer {
    /// The one that this address leads to.
    pub(super) fn new(url: &Url, way: Way, tasks: Tasks) -> Option<Arc<Self>> {
        let host = url.host_str()?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Arc::new(Self {
            scheme: if way.is_secure() { Scheme::HTTPS } else { Scheme::HTTP },
            authority: host.parse().ok()?,
            host: host.parse().ok()?,
            shares: AtomicBool::new(way.is_secure()),
            way,
            kept: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            tasks,
        }))
    }

    /// Whether this address leads here.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        self.scheme.as_str() == url.scheme()
            && url.host_str() == Some(self.authority.host())
            && url.port() == self.authority.port_u16()
    }

    /// How logs name it.
    pub(super) fn name(&self) -> &str {
        self.authority.as_str()
    }

    /// Sends a request for what this address names, and gives the answer with the connection that its body
    /// comes over. Never more than one request is sent: one that went out of a connection that was kept, of
    /// which the peer has not got a byte, goes over a new one.
    pub(super) async fn send(
        self: &Arc<Self>,
        target: PathAndQuery,
        mut request: Outgoing,
    ) -> Result<(Response<Incoming>, Connection), NoAnswer> {
        if let Some(mut connection) = self.kept().await {
            self.address(&mut request, &target, &connection)?;
            match self.send_over(&mut connection, request).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(mut fault) => match fault.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(NoAnswer::Broken(fault.into_error())),
                },
            }
        }
        let mut connection = self.connect_or_share().await.map_err(NoAnswer::Unreached)?;
        self.address(&mut request, &target, &connection)?;
        match self.send_over(&mut connection, request).await {
            Ok(answer) => Ok((answer, connection)),
            Err(fault) => Err(NoAnswer::Broken(fault.into_error())),
        }
    }

    async fn send_over(
        &self,
        connection: &mut Connection,
        request: Outgoing,
    ) -> Result<Response<Incoming>, TrySendError<Outgoing>> {
        match connection {
            Connection::Exclusive(connection) => connection.sender.try_send_request(request).await,
            Connection::Shared(shared) => {
                let driver = Arc::clone(&shared.driver);
                let mut exchange = Unanswered { peer: self, driver, is_over: false };
                let answer = shared.sender.try_send_request(request).await;
                exchange.is_over = true;
                answer
            }
        }
    }

    /// Keeps a connection whose exchange is complete.
    pub(super) fn keep(self: &Arc<Self>, connection: Connection) {
        let Connection::Exclusive(connection) = connection else { return };
        let now = Instant::now();
        let mut kept = self.lock();
        kept.drop_unused(now);
        if kept.idle.len() < MAX_IDLE && !connection.sender.is_closed() {
            kept.idle.push((connection, now));
            self.sweep(&mut kept);
        }
    }

    /// Writes where the request goes, in the form that the connection takes (RFC 9112 §3.2, RFC 9113 §8.3.1).
    fn address(
        &self,
        request: &mut Outgoing,
        target: &PathAndQuery,
        connection: &Connection,
    ) -> Result<(), NoAnswer> {
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(target.clone());
        let is_http2 = matches!(connection, Connection::Shared(_));
        if is_http2 || self.way.is_passed_on() {
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
        }
        *request.uri_mut() = Uri::from_parts(parts).map_err(unreached)?;
        let headers = request.headers_mut();
        if is_http2 {
            headers.remove(HOST);
        } else {
            headers.insert(HOST, self.host.clone());
        }
        if let Some(authorization) = self.way.authorization() {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(())
    }

    /// A kept connection that can take an exchange.
    async fn kept(&self) -> Option<Connection> {
        loop {
            let mut exclusive = {
                let now = Instant::now();
                let mut kept = self.lock();
                if let Some(shared) = kept.share(now) {
                    return Some(Connection::Shared(shared));
                }
                let (exclusive, since) = kept.idle.pop()?;
                if now.duration_since(since) >= IDLE_TIMEOUT {
                    // The newest is too old: so are all.
                    kept.idle.clear();
                    return None;
                }
                exclusive
            };
            let ready = tokio::time::timeout(READY_TIMEOUT, exclusive.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                return Some(Connection::Exclusive(exclusive));
            }
        }
    }

    async fn connect_or_share(self: &Arc<Self>) -> io::Result<Connection> {
        if !self.shares.load(Ordering::Relaxed) {
            return self.connect().await;
        }
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.dialling.lock()).await;
        if let Some(kept) = self.kept().await {
            return Ok(kept);
        }
        if turn.is_ok() && self.shares.load(Ordering::Relaxed) {
            return self.connect().await;
        }
        // Nobody waits for what is not shared.
        drop(turn);
        self.connect().await
    }

    async fn connect(self: &Arc<Self>) -> io::Result<Connection> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.dial()).await.unwrap_or_else(|_| {
            Err(io::Error::other(format!("no connection within {CONNECT_TIMEOUT:?}")))
        })
    }

    async fn dial(self: &Arc<Self>) -> io::Result<Connection> {
        let Line { stream, is_http2 } = self.way.open(&self.tasks).await?;
        self.shares.store(is_http2, Ordering::Relaxed);
        let stream = TokioIo::new(stream);
        if !is_http2 {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_READ)
                .max_header_size(MAX_HEAD)
                .max_headers(MAX_LINES)
                .handshake(stream)
                .await
                .map_err(io::Error::other)?;
            // A fault of the connection reaches whoever awaits the exchange on it.
            let driver = Driver::of(&self.tasks, connection);
            return Ok(Connection::Exclusive(Exclusive { sender, _driver: driver }));
        }
        let (sender, connection) = http2::Builder::new(Starter(self.tasks.clone()))
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(PROBE_INTERVAL)
            .keep_alive_timeout(PROBE_TIMEOUT)
            // A server of gRPC takes probes without an exchange for a flood.
            .keep_alive_while_idle(self.scheme == Scheme::HTTPS)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let driver = Arc::new(Driver::of(&self.tasks, connection));
        let shared = Shared { sender, driver };
        let mut kept = self.lock();
        kept.shared = Some((shared.clone(), Instant::now()));
        self.sweep(&mut kept);
        Ok(Connection::Shared(shared))
    }

    /// Ends connections that nobody has used for long, as long as there are any.
    fn sweep(self: &Arc<Self>, kept: &mut Kept) {
        if std::mem::replace(&mut kept.swept, true) {
            return;
        }
        let peer = Arc::downgrade(self);
        let _ends_when_there_are_none = self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                let Some(peer) = peer.upgrade() else { return };
                let mut kept = peer.lock();
                kept.drop_unused(Instant::now());
                if kept.idle.is_empty() && kept.shared.is_none() {
                    kept.swept = false;
                    return;
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn share(&mut self, now: Instant) -> Option<Shared> {
        let (shared, used) = self.shared.as_mut()?;
        if shared.sender.is_closed() {
            self.shared = None;
            return None;
        }
        *used = now;
        Some(shared.clone())
    }

    fn drop_unused(&mut self, now: Instant) {
        let is_used = |since: Instant| now.duration_since(since) < IDLE_TIMEOUT;
        self.idle.retain(|(_, since)| is_used(*since));
        self.shared = self.shared.take().filter(|(_, since)| is_used(*since));
    }
}

impl Driver {
    fn of<E>(
        tasks: &Tasks,
        connection: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        Self(tasks.spawn(async move { connection.await.is_ok() }).abort_handle())
    }
}

/// An exchange over a shared connection that has no answer yet. If it is given up before, nobody else shall wait
/// there: a connection may live, as far as its probes tell, and answer nothing.
struct Unanswered<'a> {
    peer: &'a Peer,
    driver: Arc<Driver>,
    is_over: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut kept = self.peer.lock();
        let of_it = |shared: &mut (Shared, Instant)| Arc::ptr_eq(&shared.0.driver, &self.driver);
        let _ends_with_its_exchanges = kept.shared.take_if(of_it);
    }
}

fn unreached(cause: http::uri::InvalidUriParts) -> NoAnswer {
    NoAnswer::Unreached(io::Error::other(cause))
}

/// What of an address is said to its peer. `None` for what has no form in HTTP.
pub(super) fn target(url: &Url) -> Option<PathAndQuery> {
    url[Position::BeforePath..Position::AfterQuery].parse().ok()
}

/// Starts the library's own tasks, which all end with their connection.
#[derive(Clone)]
struct Starter(Tasks);

impl<F> hyper::rt::Executor<F> for Starter
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, task: F) {
        let _ends_with_its_connection = self.0.spawn(task);
    }
}
