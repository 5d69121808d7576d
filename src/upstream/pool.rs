//! Connections to the API. One is used by one exchange at a time, and kept for another only after the
//! exchange before it ended completely on both sides.

use super::body::OutgoingBody;
use crate::tasks::Tasks;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Where the API is, and how long to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its address.
    pub address: UpstreamAddress,
    /// To a connection.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the answer.
    pub response_timeout: Duration,
    /// How long an unused connection is kept. Below the upstream's own, so that we close first.
    pub idle_timeout: Duration,
    /// How many unused connections are kept. Bounds sockets after a burst.
    pub max_idle: usize,
    /// Whether the client's token is sent on.
    pub forward_authorization: bool,
    /// Networks whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<super::Network>,
}

/// The address of the API: `http://host:port`, without a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAddress {
    /// Name or address.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How long a kept connection may take to be ready. Bounds what an API that leaves request bodies unread
/// can make the next caller wait, who then gets a new connection.
const READY_TIMEOUT: Duration = Duration::from_millis(20);

/// A connection in use. Dropping it ends it; [`Pool::give_back`] keeps it.
pub(super) struct Connection {
    sender: SendRequest<OutgoingBody>,
    received: Arc<AtomicU64>,
    task: AbortHandle,
    reused: bool,
}

impl Drop for Connection {
    /// Whoever leaves an exchange ends its connection; a kept one is moved, not dropped.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How sending a request can fail.
pub(super) enum SendFault {
    /// Not a byte of it was sent; here it is back.
    Unsent(Box<Request<OutgoingBody>>),
    /// It was sent, and the connection ended before the answer's head.
    Broken {
        /// Whether a byte of an answer had come.
        answered: bool,
        cause: String,
    },
}

impl Connection {
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(super) async fn send(
        &mut self,
        request: Request<OutgoingBody>,
    ) -> Result<Response<Incoming>, SendFault> {
        let before = self.received.load(Ordering::Relaxed);
        self.sender.try_send_request(request).await.map_err(|mut fault| {
            match fault.take_message() {
                Some(request) => SendFault::Unsent(Box::new(request)),
                None => SendFault::Broken {
                    answered: self.received.load(Ordering::Relaxed) != before,
                    cause: fault.error().to_string(),
                },
            }
        })
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// The connections that nobody uses at the moment, most recently used last.
pub(super) struct Pool {
    settings: UpstreamSettings,
    idle: Mutex<Vec<Idle>>,
    closed: AtomicBool,
    tasks: Tasks,
}

impl Pool {
    pub(super) fn new(settings: UpstreamSettings, tasks: Tasks) -> Self {
        Self { settings, idle: Mutex::new(Vec::new()), closed: AtomicBool::new(false), tasks }
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// A kept connection that is ready, or a new one.
    pub(super) async fn connection(&self) -> Result<Connection, io::Error> {
        while let Some(mut idle) = self.take_idle() {
            // The exchange before it was complete, so that readiness is a matter of one turn of its task;
            // unless the API answered without reading, and the rest of that request still stands in line.
            let ready = tokio::time::timeout(READY_TIMEOUT, idle.connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                idle.connection.reused = true;
                return Ok(idle.connection);
            }
        }
        self.connect().await
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Connection, io::Error> {
        let address = (&*self.settings.address.host, self.settings.address.port);
        let stream =
            tokio::time::timeout(self.settings.connect_timeout, TcpStream::connect(address))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let received = Arc::new(AtomicU64::new(0));
        let counted = Counted { stream, received: Arc::clone(&received) };
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(counted))
            .await
            .map_err(io::Error::other)?;
        // A fault of the connection reaches whoever awaits the exchange on it.
        let connection = connection.with_upgrades();
        let task = self.tasks.spawn(async move { connection.await.is_ok() }).abort_handle();
        Ok(Connection { sender, received, task, reused: false })
    }

    /// Ends the unused connections, and keeps none from now on: the process is leaving.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock().clear();
    }

    /// Keeps a connection whose exchange is complete.
    pub(super) fn give_back(&self, connection: Connection) {
        if connection.sender.is_closed() || self.closed.load(Ordering::Acquire) {
            return;
        }
        let now = Instant::now();
        let mut idle = self.lock();
        idle.retain(|kept| now.duration_since(kept.since) < self.settings.idle_timeout);
        if idle.len() < self.settings.max_idle {
            idle.push(Idle { connection, since: now });
        }
    }

    /// Ends connections that have been unused for too long.
    pub(super) fn prune(&self) {
        let now = Instant::now();
        self.lock().retain(|kept| now.duration_since(kept.since) < self.settings.idle_timeout);
    }

    fn take_idle(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut idle = self.lock();
        let newest = idle.pop()?;
        if now.duration_since(newest.since) < self.settings.idle_timeout {
            return Some(newest);
        }
        // The newest is too old: so are all.
        idle.clear();
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("address", &self.settings.address).finish_non_exhaustive()
    }
}

/// A socket that counts what it receives, to tell a connection that was closed while it was idle from an
/// answer that broke off.
struct Counted {
    stream: TcpStream,
    received: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        if read > 0 {
            self.received.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InboundBody;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// More than the buffers of hyper and of two sockets hold.
    const LARGE: usize = 32 * 1024 * 1024;

    fn pool(port: u16) -> Pool {
        let settings = UpstreamSettings {
            address: UpstreamAddress { host: "127.0.0.1".into(), port },
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(1),
            max_idle: 8,
            forward_authorization: true,
            trusted_proxies: Vec::new(),
        };
        Pool::new(settings, Tasks::new())
    }

    #[tokio::test]
    async fn a_connection_with_an_unread_request_in_line_makes_nobody_wait() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let pool = pool(listener.local_addr().unwrap().port());
        let (mut connection, accepted) = tokio::join!(pool.connect(), listener.accept());
        let (connection, (mut api, _)) = (connection.as_mut().ok().unwrap(), accepted.unwrap());
        let body = InboundBody::Buffered(Bytes::from(vec![b'x'; LARGE]));
        let mut request = Request::new(OutgoingBody::new(body, None, Box::default()));
        *request.method_mut() = http::Method::POST;
        // The API answers without having read the request, and keeps the connection.
        let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
        let (sent, written) = tokio::join!(connection.send(request), api.write_all(refusal));
        written.unwrap();
        let answer = sent.ok().unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "no");
        let spare = pool.connect().await.ok().unwrap();
        pool.give_back(std::mem::replace(connection, spare));

        let next = tokio::time::timeout(Duration::from_secs(10), pool.connection()).await;
        assert!(!next.expect("nobody waits for ever").ok().unwrap().is_reused());
    }
}
