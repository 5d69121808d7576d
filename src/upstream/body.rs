//! Bodies on their way: to the API with its limit, and back with the connection they arrive on.

use super::headers::remove_from_trailers;
use super::pool::{Connection, Pool};
use crate::domain::InboundBody;
use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// A request body as sent on: the client's own bytes, never more than the rule allows.
pub(super) struct OutgoingBody {
    source: Source,
    fate: BodyFate,
    remaining: u64,
    // Trailers named like a source of the rule could change what was judged.
    forbidden_trailers: Box<[HeaderName]>,
}

enum Source {
    Empty,
    Whole(Option<Bytes>),
    Streaming(Incoming),
}

/// What became of a request body, told to the exchange that waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct BodyFate(Arc<Told>);

#[derive(Debug)]
struct Told {
    state: AtomicU8,
    began: Instant,
    /// Milliseconds from `began` to the latest byte taken from the client or asked for by the API.
    moved: AtomicU64,
    /// Whether the API wants more than the client has sent.
    wanting: AtomicBool,
}

/// The states of a body's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not all of it has been sent.
    Open,
    /// All of it has been sent.
    Complete,
    /// It grew past the limit.
    TooLarge,
    /// The client broke it off.
    ClientBroke,
}

impl BodyFate {
    fn new() -> Self {
        let (state, moved, wanting) = (AtomicU8::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Told { state, began: Instant::now(), moved, wanting }))
    }

    pub(super) fn state(&self) -> Fate {
        match self.0.state.load(Ordering::Acquire) {
            0 => Fate::Open,
            1 => Fate::Complete,
            2 => Fate::TooLarge,
            _ => Fate::ClientBroke,
        }
    }

    /// When the body last moved: from then on, whoever is waited for has been silent.
    pub(super) fn last_moved(&self) -> Instant {
        let moved = Duration::from_millis(self.0.moved.load(Ordering::Relaxed));
        self.0.began.checked_add(moved).unwrap_or(self.0.began)
    }

    /// Whether it is the client whose bytes are waited for.
    pub(super) fn wants_client(&self) -> bool {
        self.state() == Fate::Open && self.0.wanting.load(Ordering::Relaxed)
    }

    fn set(&self, fate: Fate) {
        let state = match fate {
            Fate::Open => 0,
            Fate::Complete => 1,
            Fate::TooLarge => 2,
            Fate::ClientBroke => 3,
        };
        self.0.state.store(state, Ordering::Release);
    }

    fn moved(&self) {
        let elapsed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.moved.store(elapsed, Ordering::Relaxed);
        self.0.wanting.store(false, Ordering::Relaxed);
    }

    fn wanting(&self) {
        self.0.wanting.store(true, Ordering::Relaxed);
    }
}

/// Why a body stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutgoingFault {
    #[error("the body is larger than the rule allows")]
    TooLarge,
    #[error("the client broke off the body: {0}")]
    Client(#[from] hyper::Error),
}

impl OutgoingBody {
    pub(super) fn new(
        body: InboundBody,
        max_bytes: Option<u64>,
        forbidden_trailers: Box<[HeaderName]>,
    ) -> Self {
        let source = match body {
            InboundBody::Streaming(body) if body.is_end_stream() => Source::Empty,
            InboundBody::Streaming(body) => Source::Streaming(body),
            InboundBody::Buffered(bytes) if bytes.is_empty() => Source::Empty,
            InboundBody::Buffered(bytes) => Source::Whole(Some(bytes)),
            InboundBody::Taken => Source::Empty,
        };
        let fate = BodyFate::new();
        if matches!(source, Source::Empty) {
            fate.set(Fate::Complete);
        }
        Self { source, fate, remaining: max_bytes.unwrap_or(u64::MAX), forbidden_trailers }
    }

    pub(super) fn empty() -> Self {
        Self::new(InboundBody::Taken, None, Box::default())
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    pub(super) fn fate(&self) -> BodyFate {
        self.fate.clone()
    }

    fn stream_frame(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, OutgoingFault> {
        match frame.into_data() {
            Ok(data) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let Some(remaining) = self.remaining.checked_sub(length) else {
                    self.fate.set(Fate::TooLarge);
                    return Err(OutgoingFault::TooLarge);
                };
                self.remaining = remaining;
                Ok(Frame::data(data))
            }
            Err(frame) => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                remove_from_trailers(&mut trailers, &self.forbidden_trailers);
                Ok(Frame::trailers(trailers))
            }
        }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = OutgoingFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutgoingFault>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes)));
                self.fate.moved();
                self.fate.set(Fate::Complete);
                Poll::Ready(frame)
            }
            Source::Streaming(body) => {
                let Poll::Ready(polled) = Pin::new(body).poll_frame(context) else {
                    self.fate.wanting();
                    return Poll::Pending;
                };
                self.fate.moved();
                match polled {
                    Some(Ok(frame)) => {
                        let frame = self.stream_frame(frame);
                        if let Source::Streaming(body) = &self.source
                            && body.is_end_stream()
                            && frame.is_ok()
                        {
                            self.fate.set(Fate::Complete);
                        }
                        Poll::Ready(Some(frame))
                    }
                    Some(Err(fault)) => {
                        self.fate.set(Fate::ClientBroke);
                        Poll::Ready(Some(Err(fault.into())))
                    }
                    None => {
                        self.fate.set(Fate::Complete);
                        Poll::Ready(None)
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Whole(None) => true,
            Source::Whole(Some(_)) => false,
            Source::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty | Source::Whole(None) => SizeHint::with_exact(0),
            Source::Whole(Some(bytes)) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Source::Streaming(body) => body.size_hint(),
        }
    }
}

/// The body of the API's answer. When it has ended completely, its connection is kept for another
/// exchange; dropped before that, the connection ends.
pub struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
}

pub(super) struct Lease {
    pub(super) connection: Connection,
    pub(super) pool: Arc<Pool>,
    pub(super) request: BodyFate,
    /// Whether the answer came before the request was sent whole: the API may never read the rest.
    pub(super) answered_early: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        let mut answer = Self { body, lease: Some(lease) };
        if answer.body.is_end_stream() {
            answer.release();
        }
        answer
    }

    fn release(&mut self) {
        if let Some(Lease { connection, pool, request, answered_early }) = self.lease.take()
            && request.state() == Fate::Complete
            && !answered_early
        {
            pool.give_back(connection);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            None => self.release(),
            Some(Ok(_)) if self.body.is_end_stream() => self.release(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("body", &self.body).finish_non_exhaustive()
    }
}
