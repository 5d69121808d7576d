//! The body of a request on its way to the API, with its limits.

use super::connect::Traffic;
use super::fate::{BodyFate, Fate};
use super::headers::remove_from_trailers;
use super::leftover::ClientBody;
use super::patience::Patience;
use super::settings::UpstreamSettings;
use crate::alarm::Alarm;
use crate::domain::{BodyTap, InboundBody};
use crate::tasks::Tasks;
use bytes::Bytes;
use http::{HeaderName, Request};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A request on its way. On the heap, since what waits for its answer is moved about and kept for long.
pub(super) type Outgoing = Box<Request<OutgoingBody>>;

/// A request body as sent on: the client's own bytes, never more than the rule allows.
pub(super) struct OutgoingBody {
    source: Source,
    fate: BodyFate,
}

enum Source {
    Empty,
    Whole(Option<Bytes>),
    /// On the heap, since the library keeps room for many requests on each connection.
    Streaming(Box<Streaming>),
}

/// A body that is sent as it comes.
struct Streaming {
    body: ClientBody,
    remaining: u64,
    // Trailers named like a source of the rule could change what was judged.
    forbidden_trailers: Box<[HeaderName]>,
    patience: Patience,
    alarm: Alarm,
    /// How long the client may be silent before the answer has begun, and after.
    idle: [Duration; 2],
    /// What it goes over, where it has that to itself.
    line: Option<Arc<Traffic>>,
    /// Who copies it, where it is judged while it is sent.
    tap: Option<BodyTap>,
}

/// What a poll of a body yields.
type Polled = Poll<Option<Result<Frame<Bytes>, OutgoingFault>>>;

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
        let streaming = |body, tap| {
            Source::Streaming(Box::new(Streaming {
                body: ClientBody::new(body, tasks.clone(), client_sends),
                remaining: max_bytes.unwrap_or(u64::MAX),
                forbidden_trailers,
                patience: Patience::default(),
                alarm: Alarm::default(),
                idle: [settings.upload_idle_timeout, settings.body_idle_timeout],
                line: None,
                tap,
            }))
        };
        Self::of(match body {
            InboundBody::Streaming(body) if body.is_end_stream() => Source::Empty,
            InboundBody::Streaming(body) => streaming(body, None),
            InboundBody::Tapped(tapped) => {
                let (body, tap) = *tapped;
                streaming(body, Some(tap))
            }
            InboundBody::Buffered(bytes) if bytes.is_empty() => Source::Empty,
            InboundBody::Buffered(bytes) => Source::Whole(Some(bytes)),
            // A copy is never sent.
            InboundBody::Copied(_) | InboundBody::Taken => Source::Empty,
        })
    }

    fn of(source: Source) -> Self {
        let fate = BodyFate::new();
        if matches!(source, Source::Empty) {
            fate.set(Fate::Complete);
        }
        Self { source, fate }
    }

    pub(super) fn empty() -> Self {
        Self::of(Source::Empty)
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    pub(super) fn fate(&self) -> BodyFate {
        self.fate.clone()
    }

    /// While the API does not take what was written to this line, nothing more is taken from the client,
    /// whatever room the library has. Bounds memory where an API does not read.
    pub(super) fn goes_over(&mut self, line: Arc<Traffic>) {
        if let Source::Streaming(streaming) = &mut self.source {
            streaming.line = Some(line);
        }
    }
}

impl Streaming {
    fn poll_frame(&mut self, fate: &BodyFate, context: &mut Context<'_>) -> Polled {
        if let Some(line) = &self.line
            && line.flow().poll_ready(context).is_pending()
        {
            // It is the API that is waited for, whatever the client may be doing.
            fate.held_back();
            ready!(fate.poll_abandoned(context));
            return Poll::Ready(Some(Err(OutgoingFault::Abandoned)));
        }
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            return self.wait(fate, context);
        };
        fate.moved();
        self.patience.rewarded();
        Poll::Ready(match polled {
            Some(Ok(frame)) => {
                let frame = self.within_limits(frame, fate);
                // Over HTTP/2 the last byte may come before the frame that says so.
                let whole = self.body.is_end_stream() || self.body.size_hint().exact() == Some(0);
                if whole && frame.is_ok() {
                    self.completed(fate);
                }
                Some(frame)
            }
            Some(Err(fault)) => {
                fate.set(Fate::ClientBroke);
                Some(Err(fault.into()))
            }
            None => {
                self.completed(fate);
                None
            }
        })
    }

    /// The last byte has come.
    fn completed(&mut self, fate: &BodyFate) {
        fate.set(Fate::Complete);
        if let Some(tap) = &mut self.tap {
            tap.ended();
        }
    }

    /// The client has sent nothing more yet.
    fn wait(&mut self, fate: &BodyFate, context: &mut Context<'_>) -> Polled {
        fate.wanting();
        if fate.poll_abandoned(context).is_ready() {
            return Poll::Ready(Some(Err(OutgoingFault::Abandoned)));
        }
        let [before, after] = self.idle;
        let limit = || if fate.is_answered() { after } else { before };
        ready!(self.patience.poll_end(context, &mut self.alarm, fate, limit));
        fate.set(Fate::Stalled);
        Poll::Ready(Some(Err(OutgoingFault::Stalled)))
    }

    fn within_limits(
        &mut self,
        frame: Frame<Bytes>,
        fate: &BodyFate,
    ) -> Result<Frame<Bytes>, OutgoingFault> {
        match frame.into_data() {
            Ok(data) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let Some(remaining) = self.remaining.checked_sub(length) else {
                    fate.set(Fate::TooLarge);
                    return Err(OutgoingFault::TooLarge);
                };
                self.remaining = remaining;
                if let Some(tap) = &mut self.tap {
                    tap.passed(&data);
                }
                if let Some(line) = &self.line {
                    line.flow().gave(data.len());
                }
                Ok(Frame::data(data))
            }
            Err(frame) => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                remove_from_trailers(&mut trailers, &self.forbidden_trailers);
                // They are the last of it, and nobody asks for more.
                self.completed(fate);
                Ok(Frame::trailers(trailers))
            }
        }
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.fate.dropped();
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = OutgoingFault;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let Self { source, fate } = &mut *self;
        match source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes)));
                fate.moved();
                fate.set(Fate::Complete);
                Poll::Ready(frame)
            }
            Source::Streaming(streaming) => streaming.poll_frame(fate, context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty | Source::Whole(None) => true,
            Source::Whole(Some(_)) => false,
            Source::Streaming(streaming) => streaming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty | Source::Whole(None) => SizeHint::with_exact(0),
            Source::Whole(Some(bytes)) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Source::Streaming(streaming) => streaming.body.size_hint(),
        }
    }
}
