//! A connection that speaks HTTP/1.1: one exchange at a time.

use super::body::{Outgoing, OutgoingBody};
use super::connect::{Metered, Traffic};
use super::dialect::speak_http1;
use super::pool::SendFault;
use crate::alarm::Alarm;
use crate::domain::names_upgrade;
use crate::in_flight::MAX_READ;
use crate::tasks::Tasks;
use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// The head of an answer, in bytes. Bounds memory per connection.
pub(super) const MAX_ANSWER_HEAD: usize = 32 * 1024;
/// Bytes before the head of an answer is taken: interim answers (1xx, RFC 9110 §15.2), the head, and what the
/// library reads behind it meanwhile, which is three reads at most. Bounds the work that an API can make of
/// an answer that never comes: nobody is told of the interim ones.
const MAX_BEFORE_HEAD: u64 = 4 * MAX_READ as u64;
/// The lines of an answer's head, and of its trailers. Bounds the work of reading one.
const MAX_ANSWER_LINES: usize = 100;
/// How long a kept connection may take to be ready. Bounds what an API that leaves request bodies unread
/// can make the next caller wait, who then gets a new connection.
const READY_TIMEOUT: Duration = Duration::from_millis(20);

/// A connection in use by one exchange. Dropping it ends it, and the exchange on it.
pub(super) struct Exclusive {
    sender: SendRequest<OutgoingBody>,
    traffic: Arc<Traffic>,
    task: AbortHandle,
    pub(super) reused: bool,
    pub(super) alarm: Alarm,
}

impl Drop for Exclusive {
    /// Whoever leaves an exchange ends its connection; a kept one is moved, not dropped.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Exclusive {
    pub(super) async fn over(stream: Metered, tasks: &Tasks) -> io::Result<Self> {
        let traffic = stream.traffic();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_READ)
            .max_header_size(MAX_ANSWER_HEAD)
            .max_headers(MAX_ANSWER_LINES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // A fault of the connection reaches whoever awaits the exchange on it.
        let connection = connection.with_upgrades();
        let task = tasks.spawn(async move { connection.await.is_ok() }).abort_handle();
        Ok(Self { sender, traffic, task, reused: false, alarm: Alarm::default() })
    }

    pub(super) async fn send(
        &mut self,
        mut request: Outgoing,
    ) -> Result<Response<Incoming>, SendFault> {
        speak_http1(&mut request);
        self.traffic.let_reads_tell(!names_upgrade(request.headers()));
        request.body_mut().goes_over(Arc::clone(&self.traffic));
        let before = self.traffic.received();
        let _awaited = self.traffic.await_head(MAX_BEFORE_HEAD);
        let sent = self.sender.try_send_request(*request).await;
        sent.map_err(|mut fault| match fault.take_message() {
            Some(request) => SendFault::Unsent(Box::new(request)),
            None => {
                let received = self.traffic.received().saturating_sub(before);
                let cause = if received >= MAX_BEFORE_HEAD {
                    "too much came before the head of an answer".to_owned()
                } else {
                    fault.error().to_string()
                };
                SendFault::Broken { answered: received > 0, cause }
            }
        })
    }

    /// Whether a kept connection can take an exchange. The one before it was complete, so that readiness is
    /// a matter of one turn of its task; unless the API answered without reading, and the rest of that
    /// request still stands in line.
    pub(super) async fn is_ready(&mut self) -> bool {
        let ready = tokio::time::timeout(READY_TIMEOUT, self.sender.ready()).await;
        matches!(ready, Ok(Ok(())))
    }

    pub(super) fn has_read_much(&self) -> bool {
        self.traffic.has_read_much()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
