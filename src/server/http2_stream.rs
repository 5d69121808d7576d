//! The streams of one HTTP/2 connection: a task for each, how many are open, and the end of those whose
//! client leaves its answer untaken.
//!
//! Flow control lets a client hold one stream still while it reads others, so that the socket never stalls.

use crate::alarm::Alarm;
use crate::tasks::Tasks;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use hyper::rt::Executor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task;
use tokio::time::Instant;

/// Starts and counts the streams of one connection. Cheap to clone; all clones are of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    tasks: Tasks,
    stall: Duration,
    open: watch::Sender<usize>,
    /// Of the stream that begins next: the library makes its answer, then starts it.
    next: Arc<Mutex<Option<Pulse>>>,
    /// The task of the connection, which alone begins streams; tunnels are started by their streams.
    connection: Option<task::Id>,
}

impl Streams {
    /// Of the connection that the present task serves. A stream whose client takes nothing of its answer for
    /// `stall` is ended.
    pub(super) fn new(tasks: Tasks, stall: Duration) -> Self {
        let (open, next) = (watch::Sender::new(0), Arc::default());
        Self { tasks, stall, open, next, connection: task::try_id() }
    }

    /// How many are open.
    pub(super) fn open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    /// The stream that is started next has this pulse.
    pub(super) fn next_has(&self, pulse: Pulse) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(pulse);
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        // A tunnel may be started by another thread just when a stream begins, whose pulse is not its own.
        let begins = task::try_id() == self.connection;
        let next = || self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pulse = begins.then(next).flatten();
        let open = OpenStream::new(self.open.clone());
        let stall = self.stall;
        let _stream = self.tasks.spawn(async move {
            let _open = open;
            match pulse {
                Some(pulse) => until_stalled(stream, &pulse, stall).await,
                // What is sent within a tunnel has limits of its own.
                None => drop(stream.await),
            }
        });
    }
}

/// One that is open, for as long as it lives.
struct OpenStream(watch::Sender<usize>);

impl OpenStream {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|count| *count = count.saturating_add(1));
        Self(open)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Whether a stream waits for its client: since when the last part of its answer is in the library's hands
/// without the next having been asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// A part was handed to the library, which asks for the next when the client has room for more.
    pub(super) fn handed(&self) {
        self.set(Some(Instant::now()));
    }

    fn asked(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn waits_since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a stream to its end, or drops it (which resets it) when its client has taken nothing for `limit`.
async fn until_stalled<F: Future>(stream: F, pulse: &Pulse, limit: Duration) {
    let mut stream = std::pin::pin!(stream);
    let mut alarm = Alarm::default();
    std::future::poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = pulse.waits_since() else { return Poll::Pending };
        if alarm.poll(since + limit, context).is_ready() {
            tracing::debug!("a stream ended: its client does not read");
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// The body of an answer, which tells its stream's pulse.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    pulse: Pulse,
    /// To HEAD, which nothing but the head of an answer is sent to.
    to_head: bool,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, pulse: Pulse, to_head: bool) -> Self {
        Self { body, pulse, to_head }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.pulse.handed();
        } else {
            self.pulse.asked();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.to_head || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_that_starts_while_a_stream_begins_does_not_take_its_pulse() {
        let streams = Streams::new(Tasks::new(), STALL);
        let mut open = streams.open();
        let pulse = Pulse::default();
        pulse.handed();
        streams.next_has(pulse);
        let (stream, tunnel) = (Arc::new(()), Arc::new(()));
        let forever = |alive: &Arc<()>| {
            let alive = Arc::clone(alive);
            async move {
                std::future::pending::<()>().await;
                drop(alive);
            }
        };
        let (opening, carrying) = (streams.clone(), forever(&tunnel));
        Tasks::new().spawn(async move { opening.execute(carrying) }).await.unwrap();
        streams.execute(forever(&stream));
        assert_eq!(*open.borrow_and_update(), 2);
        let began = Instant::now();
        open.changed().await.unwrap();
        assert_eq!((*open.borrow_and_update(), began.elapsed()), (1, STALL));
        assert_eq!(Arc::strong_count(&stream), 1, "the stream stalled");
        assert_eq!(Arc::strong_count(&tunnel), 2, "the tunnel goes on");
    }
}
