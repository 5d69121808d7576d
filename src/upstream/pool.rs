//! Connections to the API, kept for the exchanges to come. Over HTTP/1.1 one is used by one exchange at a
//! time, and kept only after the exchange before it ended completely on both sides; over HTTP/2 a few are
//! shared by all.

use super::body::Outgoing;
use super::connect::{self, Line, Protocol};
use super::http1::Exclusive;
use super::http2::{Share, Shared};
use super::settings::{UpstreamAddress, UpstreamSettings};
use super::tls::Offer;
use crate::alarm::Alarm;
use crate::in_flight::InFlight;
use crate::tasks::Tasks;
use http::Response;
use http::uri::Scheme;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Connections that are shared. When all of them are full, exchanges wait in line on the emptiest. Bounds
/// sockets, and with the windows of each, memory.
const MAX_SHARED: usize = 32;

/// Unused connections beside which one that has room for large reads is kept. Bounds memory.
const MAX_ROOMY: usize = 8;

/// A connection for one exchange. Dropping it ends the exchange; [`Pool::give_back`] keeps an exclusive one.
pub(super) enum Connection {
    Exclusive(Exclusive),
    Share(Share),
}

/// How sending a request can fail.
pub(super) enum SendFault {
    /// Not a byte of it was sent; here it is back.
    Unsent(Outgoing),
    /// The API says that it has not looked at it (RFC 9113 §8.7).
    Refused { cause: String },
    /// It was sent, and it ended before the answer's head.
    Broken {
        /// Whether a byte of an answer had come.
        answered: bool,
        cause: String,
    },
    /// It has no form in the protocol of the API.
    Unsayable,
}

impl Connection {
    pub(super) fn is_reused(&self) -> bool {
        match self {
            Self::Exclusive(connection) => connection.reused,
            Self::Share(share) => share.reused,
        }
    }

    /// For whoever waits for an answer over it.
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        match self {
            Self::Exclusive(connection) => &mut connection.alarm,
            Self::Share(share) => &mut share.alarm,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Outgoing,
    ) -> Result<Response<Incoming>, SendFault> {
        match self {
            Self::Exclusive(connection) => connection.send(request).await,
            Self::Share(share) => share.send(request).await,
        }
    }

    /// What has come over the connection so far; for [`Self::suspect`].
    pub(super) fn received(&self) -> u64 {
        match self {
            Self::Exclusive(_) => 0,
            Self::Share(share) => share.received(),
        }
    }

    /// An exchange waited in vain. If nothing at all has come meanwhile, nobody else shall wait there.
    pub(super) fn suspect(&self, received_before: u64) {
        match self {
            Self::Share(share) if share.received() == received_before => share.retire(),
            Self::Exclusive(_) | Self::Share(_) => {}
        }
    }

    /// An upload was left unread by the API, and its stream cannot be ended before it reads.
    pub(super) fn retire(&self) {
        match self {
            Self::Share(share) => share.retire(),
            Self::Exclusive(_) => {}
        }
    }
}

struct Idle {
    connection: Exclusive,
    since: Instant,
}

/// The connections that nobody uses at the moment, most recently used last, and those that many use.
pub(super) struct Pool {
    settings: UpstreamSettings,
    idle: Mutex<VecDeque<Idle>>,
    shared: Mutex<Vec<Arc<Shared>>>,
    /// Held by the one who connects while others wait to share what comes of it.
    dialling: tokio::sync::Mutex<()>,
    /// Whether the next new connection is likely to be one that is shared.
    shares: AtomicBool,
    closed: AtomicBool,
    in_flight: InFlight,
    tasks: Tasks,
}

impl Pool {
    pub(super) fn new(settings: UpstreamSettings, in_flight: InFlight, tasks: Tasks) -> Self {
        let shares = match &settings.address {
            UpstreamAddress::Https(..) | UpstreamAddress::H2c(_) => true,
            UpstreamAddress::Http(_) | UpstreamAddress::Unix(_) => false,
        };
        Self {
            settings,
            idle: Mutex::new(VecDeque::new()),
            shared: Mutex::new(Vec::new()),
            dialling: tokio::sync::Mutex::new(()),
            shares: AtomicBool::new(shares),
            closed: AtomicBool::new(false),
            in_flight,
            tasks,
        }
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// A place on a shared connection, a kept one that is ready, or a new one.
    pub(super) async fn connection(&self) -> io::Result<Connection> {
        if let Some(share) = self.take_share() {
            return Ok(Connection::Share(share));
        }
        while let Some(mut idle) = self.take_idle() {
            if idle.connection.is_ready().await {
                idle.connection.reused = true;
                return Ok(Connection::Exclusive(idle.connection));
            }
        }
        // On the heap, since few requests connect and every one would take the room for it.
        Box::pin(self.connect_or_share()).await
    }

    async fn connect_or_share(&self) -> io::Result<Connection> {
        if !self.shares.load(Ordering::Relaxed) {
            return self.connect().await;
        }
        // Whoever waits here waits for a connection: for no longer than one may take.
        let turn = tokio::time::timeout(self.settings.connect_timeout, self.dialling.lock())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        if let Some(share) = self.take_share() {
            return Ok(Connection::Share(share));
        }
        if !self.shares.load(Ordering::Relaxed) {
            // The one before has found that nothing is shared: nobody waits for another.
            drop(turn);
        }
        self.connect().await
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let Line { stream, protocol } = self.dial(Offer::Both).await?;
        self.shares.store(protocol == Protocol::Http2, Ordering::Relaxed);
        match protocol {
            Protocol::Http1 => {
                Exclusive::over(stream, &self.tasks).await.map(Connection::Exclusive)
            }
            Protocol::Http2 => {
                let scheme = match &self.settings.address {
                    UpstreamAddress::Https(..) => Scheme::HTTPS,
                    UpstreamAddress::Http(_)
                    | UpstreamAddress::H2c(_)
                    | UpstreamAddress::Unix(_) => Scheme::HTTP,
                };
                let connection = Shared::over(stream, scheme, &self.tasks).await?;
                let share = connection.share();
                let mut shared = self.lock_shared();
                shared.retain(|connection| connection.is_alive());
                if shared.len() < MAX_SHARED && !self.closed.load(Ordering::Acquire) {
                    shared.push(connection);
                }
                Ok(Connection::Share(share))
            }
        }
    }

    /// A new connection that speaks HTTP/1.1, which alone can be upgraded. An API that speaks HTTP/2 only
    /// has none: [`io::ErrorKind::Unsupported`].
    pub(super) async fn connect_http1(&self) -> io::Result<Exclusive> {
        let line = self.dial(Offer::Http1).await?;
        Exclusive::over(line.stream, &self.tasks).await
    }

    async fn dial(&self, offer: Offer) -> io::Result<Line> {
        connect::connect(&self.settings, offer, self.in_flight.clone()).await
    }

    /// Ends the unused connections, and keeps none from now on: the process is leaving.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock_idle().clear();
        self.lock_shared().clear();
    }

    /// Keeps a connection whose exchange is complete. A share is simply given up.
    pub(super) fn give_back(&self, connection: Connection) {
        let connection = match connection {
            Connection::Exclusive(connection) => connection,
            Connection::Share(_) => return,
        };
        let now = Instant::now();
        let mut idle = self.lock_idle();
        // Under the lock, or one that is given back while the pool closes would be kept to the end.
        if connection.is_closed() || self.closed.load(Ordering::Acquire) {
            return;
        }
        // The longest unused ones are the first.
        let limit = self.settings.idle_timeout;
        while idle.pop_front_if(|oldest| now.duration_since(oldest.since) >= limit).is_some() {}
        let most = if connection.has_read_much() { MAX_ROOMY } else { self.settings.max_idle };
        if idle.len() < most {
            idle.push_back(Idle { connection, since: now });
        }
    }

    /// Ends connections that have been unused for too long.
    pub(super) fn prune(&self) {
        let now = Instant::now();
        let limit = self.settings.idle_timeout;
        self.lock_idle().retain(|kept| now.duration_since(kept.since) < limit);
        self.lock_shared()
            .retain(|connection| connection.is_alive() && !connection.is_idle_for(limit));
    }

    fn take_share(&self) -> Option<Share> {
        let mut shared = self.lock_shared();
        if shared.is_empty() {
            return None;
        }
        let limit = self.settings.idle_timeout;
        shared.retain(|connection| connection.is_alive() && !connection.is_idle_for(limit));
        // The first that has room, so that the last ones can become idle and end.
        let with_room = shared.iter().find(|connection| connection.has_room());
        let chosen = match with_room {
            Some(connection) => Some(connection),
            None if shared.len() < MAX_SHARED => None,
            None => shared.iter().min_by_key(|connection| connection.streams()),
        };
        chosen.map(Shared::share)
    }

    fn take_idle(&self) -> Option<Idle> {
        let now = Instant::now();
        let mut idle = self.lock_idle();
        let newest = idle.pop_back()?;
        if now.duration_since(newest.since) < self.settings.idle_timeout {
            return Some(newest);
        }
        // The newest is too old: so are all.
        idle.clear();
        None
    }

    fn lock_idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shared(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("address", &self.settings.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::OutgoingBody;
    use super::super::settings::HostPort;
    use super::*;
    use crate::domain::InboundBody;
    use bytes::Bytes;
    use http::Request;
    use http_body_util::BodyExt as _;
    use std::net::Ipv4Addr;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// More than the buffers of hyper and of two sockets hold.
    const LARGE: usize = 32 * 1024 * 1024;

    fn pool(port: u16) -> Pool {
        let settings = UpstreamSettings {
            address: UpstreamAddress::Http(HostPort { host: "127.0.0.1".into(), port }),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(1),
            max_idle: 8,
            upload_idle_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_mins(5),
            forward_authorization: true,
            trusted_proxies: Vec::new(),
        };
        Pool::new(settings, InFlight::new(8), Tasks::new())
    }

    #[tokio::test]
    async fn an_api_that_speaks_http2_only_has_no_connection_to_upgrade() {
        let host_port = HostPort { host: "127.0.0.1".into(), port: 1 };
        let address = UpstreamAddress::H2c(host_port);
        let settings = UpstreamSettings { address, ..pool(1).settings };
        let fault = Pool::new(settings, InFlight::new(8), Tasks::new())
            .connect_http1()
            .await
            .err()
            .unwrap();
        assert_eq!(fault.kind(), io::ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn a_connection_with_an_unread_request_in_line_makes_nobody_wait() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let pool = pool(listener.local_addr().unwrap().port());
        let (connection, accepted) = tokio::join!(pool.connect(), listener.accept());
        let (mut connection, (mut api, _)) = (connection.unwrap(), accepted.unwrap());
        let body = InboundBody::Buffered(Bytes::from(vec![b'x'; LARGE]));
        let body =
            OutgoingBody::new(body, None, Box::default(), pool.settings(), pool.tasks(), true);
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        // The API answers without having read the request, and keeps the connection.
        let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
        let (sent, written) =
            tokio::join!(connection.send(Box::new(request)), api.write_all(refusal));
        written.unwrap();
        let answer = sent.ok().unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "no");
        pool.give_back(connection);

        let next = tokio::time::timeout(Duration::from_secs(10), pool.connection()).await;
        assert!(!next.expect("nobody waits for ever").ok().unwrap().is_reused());
    }
}
