//! What the guard and the service of one connection tell each other: the verdict on a head, and how far its
//! answer has come.

use crate::domain::FramingFault;
use crate::flow::Flow;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// The verdicts of one connection. Cheap to clone.
///
/// One exchange at a time: the guard lets no byte of a further head through before the answer is over.
#[derive(Clone, Debug)]
pub(in crate::server) struct Verdicts(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    exchange: Mutex<Exchange>,
    /// Of the answer into the library.
    flow: Flow,
}

#[derive(Debug)]
struct Exchange {
    verdict: Option<Result<(), FramingFault>>,
    answer: Answer,
    /// Whether bytes behind a request for another protocol were held when its answer began.
    early_bytes: bool,
    /// Of the guard, while it holds bytes that wait for the end of the answer.
    waiting: Option<Waker>,
}

/// How far the answer to the present request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The service is at it.
    Awaited,
    /// Its head is ready, its body is not over.
    Begun,
    /// It is `101`: what follows is no HTTP.
    Switched,
    /// The library has all of it, or wants no more of it.
    Over,
}

impl Verdicts {
    pub(super) fn new(flow: Flow) -> Self {
        let exchange = Mutex::new(Exchange {
            verdict: None,
            answer: Answer::Over,
            early_bytes: false,
            waiting: None,
        });
        Self(Arc::new(Connection { exchange, flow }))
    }

    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the head that the library has just read. Without one, the head did not come through the guard.
    pub(in crate::server) fn next(&self) -> Result<(), FramingFault> {
        const UNJUDGED: FramingFault = FramingFault::Malformed("a head that nobody judged");
        self.lock().verdict.take().unwrap_or(Err(UNJUDGED))
    }

    /// The head of an answer is ready. What follows the request is let in when the answer is over, or as it
    /// is after `101`. Where bytes came early behind a request for another protocol that is not spoken, they
    /// are nothing we could read, and the connection ends with this answer; as it does with one that is to be the
    /// last.
    pub(in crate::server) fn answer<B>(
        &self,
        mut answer: Response<B>,
        is_last: bool,
    ) -> Response<Answering<B>> {
        let mut exchange = self.lock();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            exchange.answer = Answer::Switched;
        } else {
            exchange.answer = Answer::Begun;
            if exchange.early_bytes || is_last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        drop(exchange);
        let watch = Watch(self.clone());
        answer.map(|body| Answering { body, watch })
    }

    /// A head was judged, and the service is to be called for it.
    pub(super) fn judged(&self, verdict: Result<(), FramingFault>) {
        let mut exchange = self.lock();
        exchange.verdict = Some(verdict);
        exchange.answer = Answer::Awaited;
        exchange.early_bytes = false;
    }

    /// Bytes came behind a request for another protocol.
    pub(super) fn came_early(&self) {
        self.lock().early_bytes = true;
    }

    /// How far the answer has come.
    pub(super) fn answered(&self) -> Answer {
        self.lock().answer
    }

    /// The same, and who is to be woken when it changes.
    pub(super) fn answered_or_wake(&self, context: &Context<'_>) -> Answer {
        let mut exchange = self.lock();
        let known = exchange.waiting.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if exchange.answer != Answer::Over && !known {
            exchange.waiting = Some(context.waker().clone());
        }
        exchange.answer
    }

    /// Of the answer, which the connection writes.
    pub(super) fn flow(&self) -> &Flow {
        &self.0.flow
    }
}

/// Ends the exchange when it is dropped.
#[derive(Debug)]
struct Watch(Verdicts);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut exchange = self.0.lock();
        if exchange.answer == Answer::Begun {
            exchange.answer = Answer::Over;
        }
        let waiting = exchange.waiting.take();
        drop(exchange);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// The body of an answer, whose end lets the next head in. While its client takes nothing, nothing is taken
/// from whoever answers, whatever room the library has. Bounds memory where many clients do not read.
#[derive(Debug)]
pub(in crate::server) struct Answering<B> {
    body: B,
    watch: Watch,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        ready!(self.watch.0.flow().poll_ready(context));
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.watch.0.flow().gave(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
