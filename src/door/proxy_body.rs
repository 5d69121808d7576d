//! The body of an answer, with the journey of its request and its place among those under way: when the one
//! ends, so do the others.

use super::place::Place;
use crate::record::Journey;
use crate::upstream::{AnswerBody, AnswerFault};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What the client receives. Dropping it early is how a client that leaves is noticed.
#[derive(Debug)]
pub struct ProxyBody {
    inner: Inner,
    /// `None` where it has moved on: a WebSocket outlives the answer that opens it.
    journey: Option<Journey>,
    /// `None` likewise, and for a refusal for want of one.
    _place: Option<Place>,
}

#[derive(Debug)]
enum Inner {
    Refusal(Full<Bytes>),
    Upstream(AnswerBody),
    Switched,
}

impl ProxyBody {
    /// A refusal's own text.
    #[must_use]
    pub(super) fn refusal(body: Bytes, journey: Journey, place: Option<Place>) -> Self {
        let inner = Inner::Refusal(Full::new(body));
        Self { inner, journey: Some(journey), _place: place }
    }

    /// The API's answer as it comes.
    #[must_use]
    pub(super) fn upstream(body: AnswerBody, mut journey: Journey, place: Option<Place>) -> Self {
        // An empty body is never polled; its head is all there is to deliver.
        if body.is_end_stream() {
            journey.delivered();
        }
        Self { inner: Inner::Upstream(body), journey: Some(journey), _place: place }
    }

    /// Nothing: what follows the answer is no longer HTTP.
    #[must_use]
    pub fn switched() -> Self {
        Self { inner: Inner::Switched, journey: None, _place: None }
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match &mut self.inner {
            Inner::Refusal(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Inner::Upstream(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                let ended = match &frame {
                    None => true,
                    Some(Ok(_)) => self.inner.is_end_stream(),
                    Some(Err(_)) => false,
                };
                if ended && let Some(journey) = &mut self.journey {
                    journey.delivered();
                }
                Poll::Ready(frame)
            }
            Inner::Switched => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Refusal(body) => body.size_hint(),
            Inner::Upstream(body) => body.size_hint(),
            Inner::Switched => SizeHint::with_exact(0),
        }
    }
}

impl Inner {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Refusal(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Switched => true,
        }
    }
}
