//! A connection that speaks HTTP/2: many exchanges at a time, each a stream of its own.
//!
//! What one exchange does, the others do not notice: leaving it resets its stream alone, and the windows
//! are such that answers nobody takes cannot hold up those that are taken.

use super::body::{Outgoing, OutgoingBody};
use super::connect::{Metered, Traffic};
use super::dialect::speak_http2;
use super::http1::MAX_ANSWER_HEAD;
use super::pool::SendFault;
use crate::alarm::Alarm;
use crate::tasks::Tasks;
use http::Response;
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Exchanges on one connection, if the API allows as many. More take another connection.
pub(super) const MAX_STREAMS: u32 = 32;
/// What the API may send of one answer before it is taken. Bounds memory per exchange.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for a connection. The streams bound what comes; this bounds what small frames cost beside their
/// bytes: the library ends a connection on which half as much is charged, 256 bytes for each of the smallest
/// that is not taken. Room for a stream of single bytes that is not, or every stream of longer words.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// What is kept of one upload that the API does not read. Bounds memory per exchange.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// Empty DATA frames after which a connection takes no further exchanges: the library ends one at the
/// hundredth in its life, with every exchange on it, and some servers end each answer with one.
const MAX_EMPTY_FRAMES: u64 = 32;
/// How often a connection with open streams is asked whether it lives, while nothing comes. Servers of gRPC
/// end connections that are asked more often than every five minutes; and an exchange that waits for its
/// answer notices by itself.
const PING_INTERVAL: Duration = Duration::from_secs(330);
/// How long the reply may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection that nobody uses any more has to say goodbye.
const LINGER: Duration = Duration::from_secs(1);

/// One connection, shared by the exchanges on it. When the last of them and the pool have let it go, it ends.
pub(super) struct Shared {
    sender: SendRequest<OutgoingBody>,
    scheme: Scheme,
    traffic: Arc<Traffic>,
    /// Streams that the API allows, as far as it has said.
    allowed: Arc<AtomicUsize>,
    streams: AtomicUsize,
    /// Whether it has had an exchange.
    used: AtomicBool,
    /// Whether it takes no further exchanges.
    retired: AtomicBool,
    idle_since: Mutex<Instant>,
    _let_go: DropGuard,
}

/// Starts the library's own tasks, which all end with their connection.
#[derive(Clone)]
struct Starter {
    tasks: Tasks,
    ended: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Starter
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let ended = self.ended.clone();
        let _runs_until_the_connection_ends =
            self.tasks.spawn(async move { ended.run_until_cancelled(task).await.is_some() });
    }
}

impl Shared {
    pub(super) async fn over(
        stream: Metered,
        scheme: Scheme,
        tasks: &Tasks,
    ) -> io::Result<Arc<Self>> {
        let traffic = stream.traffic();
        let ended = CancellationToken::new();
        let (sender, mut connection) =
            http2::Builder::new(Starter { tasks: tasks.clone(), ended: ended.clone() })
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(MAX_SEND_BUFFER)
                .max_header_list_size(u32::try_from(MAX_ANSWER_HEAD).unwrap_or(u32::MAX))
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
        let allowed = Arc::new(AtomicUsize::new(usize::MAX));
        let (let_go, stopping) = (CancellationToken::new(), tasks.stopping());
        let (told, gone) = (Arc::clone(&allowed), let_go.clone());
        let _runs_until_let_go = tasks.spawn(async move {
            // Owns the connection, so that whoever sends hears at once that it takes nothing more.
            let dispatch = poll_fn(move |context| {
                let polled = Pin::new(&mut connection).poll(context);
                told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            // Dropping the dispatch begins the end of the connection, which its own task completes.
            let _ = gone.run_until_cancelled(dispatch).await;
            // It may end first: of exchanges that are under way after a GOAWAY the rest still comes.
            gone.cancelled().await;
            let _ = stopping.run_until_cancelled(tokio::time::sleep(LINGER)).await;
            ended.cancel();
        });
        Ok(Arc::new(Self {
            sender,
            scheme,
            traffic,
            allowed,
            streams: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
            _let_go: let_go.drop_guard(),
        }))
    }

    /// Whether it may be given an exchange at all.
    pub(super) fn is_alive(&self) -> bool {
        !self.retired.load(Ordering::Acquire)
            && self.traffic.empty_frames() < MAX_EMPTY_FRAMES
            && !self.traffic.has_ended()
            && !self.sender.is_closed()
    }

    /// Whether the next exchange would not have to wait for another to end.
    pub(super) fn has_room(&self) -> bool {
        let allowed = self.allowed.load(Ordering::Relaxed);
        let ours = usize::try_from(MAX_STREAMS).unwrap_or(usize::MAX);
        self.streams() < allowed.min(ours)
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Acquire)
    }

    /// Whether it has had no exchange for so long.
    pub(super) fn is_idle_for(&self, limit: Duration) -> bool {
        self.streams() == 0
            && self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= limit
    }

    /// A place on it. Callers that pick by [`Self::has_room`] hold the pool's lock meanwhile.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        self.streams.fetch_add(1, Ordering::AcqRel);
        let reused = self.used.swap(true, Ordering::AcqRel);
        Share { connection: Arc::clone(self), reused, alarm: Alarm::default() }
    }
}

/// The part that one exchange has in a connection.
pub(super) struct Share {
    connection: Arc<Shared>,
    /// Whether others were before it.
    pub(super) reused: bool,
    pub(super) alarm: Alarm,
}

impl Drop for Share {
    fn drop(&mut self) {
        let connection = &self.connection;
        *connection.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        connection.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Share {
    /// Dropping the future resets the stream.
    pub(super) async fn send(
        &self,
        mut request: Outgoing,
    ) -> Result<Response<Incoming>, SendFault> {
        if speak_http2(&mut request, &self.connection.scheme).is_err() {
            return Err(SendFault::Unsayable);
        }
        let mut sender = self.connection.sender.clone();
        sender.try_send_request(*request).await.map_err(|mut fault| match fault.take_message() {
            Some(request) => SendFault::Unsent(Box::new(request)),
            None => self.judge(fault.error()),
        })
    }

    fn judge(&self, fault: &hyper::Error) -> SendFault {
        let said = fault.source().map_or_else(|| fault.to_string(), ToString::to_string);
        if said.starts_with(REFUSED) {
            return SendFault::Refused { cause: said };
        }
        // A stream that was reset on a connection that lives is an answer, of a kind.
        let ended = self.connection.traffic.has_ended() || said.starts_with(GOING_AWAY);
        SendFault::Broken { answered: !ended, cause: said }
    }

    /// No further exchanges on this connection; those under way go on.
    pub(super) fn retire(&self) {
        self.connection.retired.store(true, Ordering::Release);
    }

    pub(super) fn received(&self) -> u64 {
        self.connection.traffic.received()
    }
}

/// How the library words what the API has said: its types are not ours to name. Held to by tests of both; a
/// word that is not known means that nothing is sent again.
const REFUSED: &str = "stream error received: refused stream";
const GOING_AWAY: &str = "connection error received";
