//! The body of a request on its way to the API, with its limits, and what becomes of it.

use super::headers::remove_from_trailers;
use super::leftover::ClientBody;
use super::patience::Patience;
use super::settings::UpstreamSettings;
use crate::domain::InboundBody;
use crate::tasks::Tasks;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A request body as sent on: the client's own bytes, never more than the rule allows.
pub(super) struct OutgoingBody {
    source: Source,
    fate: BodyFate,
    remaining: u64,
    // Trailers named like a source of the rule could change what was judged.
    forbidden_trailers: Box<[HeaderName]>,
    patience: Patience,
    /// How long the client may be silent before the answer has begun, and after.
    idle: [Duration; 2],
}

enum Source {
    Empty,
    Whole(Option<Bytes>),
    Streaming(ClientBody),
}

/// What became of a request body, and how its exchange is going: known to both of its directions.
#[derive(Clone, Debug)]
pub(super) struct BodyFate(Arc<Told>);

#[derive(Debug)]
struct Told {
    state: AtomicU8,
    began: Instant,
    /// Milliseconds from `began` to the latest byte taken from the client, asked for by the API, or, once
    /// the answer has begun, received from it.
    moved: AtomicU64,
    /// Whether the API wants more than the client has sent.
    wanting: AtomicBool,
    /// Whether the head of the answer has come.
    answered: AtomicBool,
    /// Whether the answer is over, and with it the interest in the rest of the request.
    abandoned: AtomicBool,
    /// Whether nobody holds the body any more, sent or not.
    dropped: AtomicBool,
    waker: AtomicWaker,
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
    /// The client stopped sending it.
    Stalled,
}

impl BodyFate {
    fn new() -> Self {
        Self(Arc::new(Told {
            state: AtomicU8::new(0),
            began: Instant::now(),
            moved: AtomicU64::new(0),
            wanting: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }))
    }

    pub(super) fn state(&self) -> Fate {
        match self.0.state.load(Ordering::Acquire) {
            0 => Fate::Open,
            1 => Fate::Complete,
            2 => Fate::TooLarge,
            3 => Fate::ClientBroke,
            _ => Fate::Stalled,
        }
    }

    /// When the exchange last moved: from then on, whoever is waited for has been silent.
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
            Fate::Stalled => 4,
        };
        self.0.state.store(state, Ordering::Release);
    }

    /// Whether a part of the body waits for the API to read it, and cannot be called back.
    pub(super) fn is_stuck(&self) -> bool {
        self.state() == Fate::Open
            && !self.0.wanting.load(Ordering::Relaxed)
            && !self.0.dropped.load(Ordering::Acquire)
    }

    /// A part of the answer has come.
    pub(super) fn answer_moved(&self) {
        let elapsed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.moved.store(elapsed, Ordering::Relaxed);
    }

    /// The head of the answer has come: from now on either side may speak.
    pub(super) fn answered(&self) {
        self.0.answered.store(true, Ordering::Relaxed);
        self.answer_moved();
    }

    /// The answer is over. What the client still sends is of no interest.
    pub(super) fn abandon(&self) {
        self.0.abandoned.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    fn moved(&self) {
        self.answer_moved();
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
    #[error("the client stopped sending the body")]
    Stalled,
    #[error("the answer ended before the body")]
    Abandoned,
}

impl OutgoingBody {
    /// `client_sends` is whether the client sends its body without being asked for it.
    pub(super) fn new(
        body: InboundBody,
        max_bytes: Option<u64>,
        forbidden_trailers: Box<[HeaderName]>,
        settings: &UpstreamSettings,
        tasks: &Tasks,
        client_sends: bool,
    ) -> Self {
        let source = match body {
            InboundBody::Streaming(body) if body.is_end_stream() => Source::Empty,
            InboundBody::Streaming(body) => {
                Source::Streaming(ClientBody::new(body, tasks.clone(), client_sends))
            }
            InboundBody::Buffered(bytes) if bytes.is_empty() => Source::Empty,
            InboundBody::Buffered(bytes) => Source::Whole(Some(bytes)),
            InboundBody::Taken => Source::Empty,
        };
        let mut outgoing = Self::of(source, max_bytes, forbidden_trailers);
        outgoing.idle = [settings.upload_idle_timeout, settings.body_idle_timeout];
        outgoing
    }

    fn of(source: Source, max_bytes: Option<u64>, forbidden_trailers: Box<[HeaderName]>) -> Self {
        let fate = BodyFate::new();
        if matches!(source, Source::Empty) {
            fate.set(Fate::Complete);
        }
        let remaining = max_bytes.unwrap_or(u64::MAX);
        let (patience, idle) = (Patience::default(), [Duration::ZERO; 2]);
        Self { source, fate, remaining, forbidden_trailers, patience, idle }
    }

    pub(super) fn empty() -> Self {
        Self::of(Source::Empty, None, Box::default())
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    pub(super) fn fate(&self) -> BodyFate {
        self.fate.clone()
    }

    /// The client has sent nothing more yet.
    fn wait(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutgoingFault>>> {
        self.fate.wanting();
        let Told { waker, answered, abandoned, .. } = &*self.fate.0;
        waker.register(context.waker());
        if abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(OutgoingFault::Abandoned)));
        }
        let [before, after] = self.idle;
        let limit = || if answered.load(Ordering::Relaxed) { after } else { before };
        match self.patience.poll_end(context, &self.fate, limit) {
            Poll::Ready(()) => {
                self.fate.set(Fate::Stalled);
                Poll::Ready(Some(Err(OutgoingFault::Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
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
                // They are the last of it, and nobody asks for more.
                self.fate.set(Fate::Complete);
                Ok(Frame::trailers(trailers))
            }
        }
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.fate.0.dropped.store(true, Ordering::Release);
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
                    return self.wait(context);
                };
                self.fate.moved();
                self.patience.rewarded();
                match polled {
                    Some(Ok(frame)) => {
                        let frame = self.stream_frame(frame);
                        if let Source::Streaming(body) = &self.source
                            // Over HTTP/2 the last byte may come before the frame that says so.
                            && (body.is_end_stream() || body.size_hint().exact() == Some(0))
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
