//! What a client still sends when its exchange is over for us: read and thrown away for a while.
//!
//! Many clients look at the answer only when they have sent their whole body, and lose it if the connection
//! (RFC 9112 §9.6) or the stream is reset under them. Over HTTP/2 some send the end of a body in a frame of
//! its own, after its last byte, and take a reset before that frame for a failure. Nothing of what is read
//! here is kept, judged or sent on.

use crate::tasks::Tasks;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long, and how much, is read for nothing. Bounds what a client costs that never ends its body; above
/// what a client sends that has a few seconds to see its answer.
const LINGER: Duration = Duration::from_secs(5);
const MAX_LEFTOVER_BYTES: usize = 64 * 1024 * 1024;
/// After so long without a byte the client waits for something else than room, or is gone.
const QUIET: Duration = Duration::from_millis(500);

/// The body of a request from the client. Dropped before its end, the rest is read and thrown away, within
/// these limits; then the library ends the stream or the connection.
pub(super) struct ClientBody {
    body: Option<Incoming>,
    tasks: Tasks,
    /// Whether the client sends already: reading the body of one that waits for `100 Continue` asks for it.
    sends: bool,
}

impl ClientBody {
    /// `sends` is whether the client sends its body without being asked for it.
    pub(super) fn new(body: Incoming, tasks: Tasks, sends: bool) -> Self {
        Self { body: Some(body), tasks, sends }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.sends = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| self.sends && !body.is_end_stream()) else {
            return;
        };
        // None while the process ends.
        if Handle::try_current().is_ok() {
            let _reading = self.tasks.spawn(async move {
                let _ = tokio::time::timeout(LINGER, throw_away(body)).await;
            });
        }
    }
}

/// Until the body ends, breaks, pauses, or grows past the limit.
async fn throw_away(mut body: Incoming) {
    let mut left = MAX_LEFTOVER_BYTES;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(QUIET, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}
