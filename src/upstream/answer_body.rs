//! The body of the API's answer on its way to the client, with the connection it arrives on.

use super::fate::{BodyFate, Fate};
use super::headers::remove_from_answer_trailers;
use super::patience::Patience;
use super::pool::{Connection, Pool};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The body of the API's answer. When it has ended completely, its connection is kept for another
/// exchange; dropped before that, the exchange ends.
pub struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
    patience: Patience,
}

/// Why an answer broke off. The client sees it break off too: it never looks complete.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// The API broke it off, or its framing.
    #[error("the API broke off its answer: {0}")]
    Broken(#[from] hyper::Error),
    /// Neither side has said a word for too long.
    #[error("neither side of the exchange said a word in time")]
    Stalled,
}

/// The hold that an answer has on its connection and on the rest of its request.
pub(super) struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    request: BodyFate,
    /// Whether the answer came before the request was sent whole: the API may never read the rest.
    answered_early: bool,
}

impl Lease {
    pub(super) fn new(connection: Connection, pool: Arc<Pool>, request: BodyFate) -> Self {
        let answered_early = request.state() != Fate::Complete;
        request.answered();
        Self { connection: Some(connection), pool, request, answered_early }
    }

    /// Of a connection that is not to be used again.
    pub(super) fn for_one(connection: Connection, pool: Arc<Pool>, request: BodyFate) -> Self {
        let mut lease = Self::new(connection, pool, request);
        lease.answered_early = true;
        lease
    }

    /// The answer is complete.
    fn release(mut self) {
        if self.request.state() == Fate::Complete
            && !self.answered_early
            && let Some(connection) = self.connection.take()
        {
            self.pool.give_back(connection);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection
            && self.request.is_stuck()
        {
            connection.retire();
        }
        self.request.abandon();
    }
}

impl AnswerBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        let mut answer = Self { body, lease: Some(lease), patience: Patience::default() };
        if answer.body.is_end_stream() {
            answer.release();
        }
        answer
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// The API has sent nothing more yet.
    fn wait(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let Some(Lease { connection: Some(connection), pool, request, .. }) = &mut self.lease
        else {
            return Poll::Pending;
        };
        let limit = || pool.settings().body_idle_timeout;
        match self.patience.poll_end(context, connection.alarm(), request, limit) {
            Poll::Ready(()) => {
                self.lease = None;
                Poll::Ready(Some(Err(AnswerFault::Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            return self.wait(context);
        };
        self.patience.rewarded();
        match &polled {
            None => self.release(),
            Some(Ok(_)) if self.body.is_end_stream() => self.release(),
            Some(Ok(_)) => {
                if let Some(lease) = &self.lease {
                    lease.request.answer_moved();
                }
            }
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(polled.map(|frame| {
            let mut frame = frame?;
            if let Some(trailers) = frame.trailers_mut() {
                remove_from_answer_trailers(trailers);
            }
            Ok(frame)
        }))
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
