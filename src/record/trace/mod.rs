//! Traces of requests: which of them are followed, when each stage of one ended, and the spans that come of it.
//!
//! A journey that is followed marks the time at each stage. At its end the spans go into a bounded queue, and
//! whoever empties it sends them (`otlp`); what does not fit is lost, and counted. Nothing here waits.

mod context;
mod sampler;
mod spans;
#[cfg(test)]
mod tests;

pub use context::{SpanId, TRACEPARENT, TRACESTATE, TraceId, TraceParent};
pub use sampler::{InvalidSampler, Sampler};
pub use spans::{Kind, Span, Value};

use super::{DecisionRecord, Metrics, Stage};
use crate::domain::Clock;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Decides which requests are followed, and takes what came of them. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: Sender<Spans>,
    metrics: Metrics,
    /// The API behind, as spans name it.
    api: Option<Arc<Address>>,
}

/// The spans of one request, its own first.
pub type Spans = Vec<Span>;

/// A host and, if it has one, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name, address, or path of a socket.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

/// One request that is followed.
pub(super) struct Trace {
    tracer: Tracer,
    id: TraceId,
    /// The span of the caller, if it told one.
    parent: Option<SpanId>,
    own: SpanId,
    /// The time of day at which the journey began, in nanoseconds since 1970.
    began: u64,
    started: Instant,
    /// When each stage ended, in their order.
    ends: SmallVec<[(Stage, Instant); 6]>,
    /// When the call to the API began, and when the head of its answer came.
    called: Option<Instant>,
    answered: Option<Instant>,
    pdp: Option<Address>,
}

impl Tracer {
    /// A tracer, and the way out of its queue, which has room for so many requests.
    #[must_use]
    pub fn new(
        sampler: Sampler,
        api: Option<Address>,
        metrics: Metrics,
        room: usize,
    ) -> (Self, Receiver<Spans>) {
        let (queue, out) = channel(room.max(1));
        (Self { sampler, queue, metrics, api: api.map(Arc::new) }, out)
    }

    /// Begins to follow a request, if it is one of those that are. `pdp` is the address of whoever is asked.
    pub(super) fn follow(
        &self,
        parent: Option<&TraceParent<'_>>,
        started: Instant,
        clock: &dyn Clock,
        pdp: impl FnOnce() -> Option<Address>,
    ) -> Option<Trace> {
        let trace_id = match parent {
            Some(parent) => parent.trace_id(),
            None => TraceId::fresh()?,
        };
        if !self.sampler.takes(parent.map(TraceParent::is_sampled), trace_id) {
            return None;
        }
        let since = clock.monotonic().saturating_duration_since(started);
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Some(Trace {
            tracer: self.clone(),
            id: trace_id,
            parent: parent.map(TraceParent::span_id),
            own: SpanId::fresh()?,
            began: clock.wall_nanos().saturating_sub(since),
            started,
            ends: SmallVec::new(),
            called: None,
            answered: None,
            pdp: pdp(),
        })
    }
}

impl Trace {
    pub(super) fn id(&self) -> TraceId {
        self.id
    }

    pub(super) fn is_first(&self) -> bool {
        self.parent.is_none()
    }

    /// The call to the API begins. What it gets as `traceparent` is the span of that call.
    pub(super) fn call_api(&mut self, now: Instant) -> String {
        self.called = Some(now);
        context::traceparent(self.id, self.own.following(spans::API))
    }

    /// A step of this stage is done; the last one of a stage counts.
    pub(super) fn mark(&mut self, stage: Stage, now: Instant) {
        match self.ends.last_mut() {
            Some((last, end)) if *last == stage => *end = now,
            Some(_) | None => self.ends.push((stage, now)),
        }
    }

    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// Ends, and hands over what came of it.
    pub(super) fn finish(self: Box<Self>, record: &DecisionRecord, now: Instant) {
        let spans = spans::of(&self, record, now);
        if self.tracer.queue.try_send(spans).is_err() {
            self.tracer.metrics.traces_lost(1);
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("id", &self.id).finish_non_exhaustive()
    }
}
