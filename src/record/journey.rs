//! The journey of one request: stages write what they found, and its end is recorded exactly once.

use super::trace::{Address, Trace, TraceParent};
use super::{DecisionRecord, Outcome, Recorder};
use crate::domain::{
    Action, Answered, Caller, Clock, DecisionSource, Denial, Enforcement, Party, RequestId,
    ResourceId,
};
use serde::Serialize;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Follows one request from its head to the last byte of its answer.
///
/// It moves with the request and ends when it is dropped: after the answer's body, or when the client
/// leaves. Invariant: one journey, one record.
pub struct Journey {
    /// Until the end. On the heap, since a journey moves with its request from one future to the next.
    record: Option<Box<DecisionRecord>>,
    request_id: RequestId,
    started: Instant,
    clock: Arc<dyn Clock>,
    recorder: Option<Arc<Recorder>>,
    // On the heap and most often absent, so that an ordinary journey looks at one word for both.
    watched: Option<Box<Watched>>,
}

/// The record of a request that has ended, and when that was.
type Ended = (Box<DecisionRecord>, Instant);

/// The end of a request that is judged beside it.
#[derive(Debug)]
pub struct AwaitedEnd {
    end: oneshot::Receiver<Ended>,
    recorder: Arc<Recorder>,
}

/// What is kept of the steps of a journey, for those who want more than its record.
#[derive(Default)]
struct Watched {
    /// `explain` keeps the steps; any other journey has no list and never makes their text.
    steps: Option<Vec<Step>>,
    trace: Option<Box<Trace>>,
    /// Who finishes the record, where the request is judged beside it.
    judging: Option<oneshot::Sender<Ended>>,
}

/// Whether a journey keeps its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Record the end only.
    Dropped,
    /// Keep every step, for `explain`.
    Kept,
}

/// One step of an explained journey.
#[derive(Clone, Debug)]
pub struct Step {
    /// The stage that took it.
    pub stage: Stage,
    /// What it found, for people.
    pub text: String,
    /// Why, where somebody knows.
    pub why: Option<Why>,
}

/// The reasons of a step. They are for whoever asked for an explanation, never for the caller.
#[derive(Clone, Debug)]
pub struct Why {
    /// Lines for people.
    pub text: String,
    /// The same for programs; null if it cannot be written as JSON.
    pub data: serde_json::Value,
}

/// The stages a request passes, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Target and host.
    Head,
    /// Which rule.
    Route,
    /// Who calls.
    Token,
    /// What is asked.
    Question,
    /// May they.
    Decision,
    /// What follows from it.
    Verdict,
}

impl Stage {
    /// The word `explain` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Route => "route",
            Self::Token => "token",
            Self::Question => "question",
            Self::Decision => "decision",
            Self::Verdict => "verdict",
        }
    }
}

impl Journey {
    /// Begins a journey. Without a recorder nothing is written when it ends: for `explain` and rule tests.
    #[must_use]
    pub fn begin(
        request_id: RequestId,
        method: http::Method,
        generation: u64,
        clock: Arc<dyn Clock>,
        recorder: Option<Arc<Recorder>>,
        keep: Steps,
    ) -> Self {
        let at = i64::try_from(clock.wall().0)
            .ok()
            .and_then(|wall| jiff::Timestamp::from_second(wall).ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let record = DecisionRecord::new(at, request_id, generation, method);
        Self {
            record: Some(Box::new(record)),
            request_id,
            started: clock.monotonic(),
            clock,
            recorder,
            watched: (keep == Steps::Kept)
                .then(|| Box::new(Watched { steps: Some(Vec::new()), ..Watched::default() })),
        }
    }

    /// The request is in shadow. Gives a journey for who judges it, and its end, for which the verdict waits; `None`
    /// if nobody records what comes of it.
    pub fn beside(&mut self) -> Option<(Self, AwaitedEnd)> {
        let recorder = Arc::clone(self.recorder.as_ref()?);
        let (sender, end) = oneshot::channel();
        self.watched.get_or_insert_default().judging = Some(sender);
        let (clock, method) = (Arc::clone(&self.clock), self.record().method.clone());
        let generation = self.record().generation;
        let mut beside =
            Self::begin(self.request_id, method, generation, clock, None, Steps::Dropped);
        beside.started = self.started;
        Some((beside, AwaitedEnd { end, recorder }))
    }

    /// The request is in shadow: what is refused has no effect.
    pub fn overlooked(&mut self) {
        self.record().mode = Enforcement::Shadow;
    }

    /// The request is in shadow, and nobody judges it.
    pub fn unjudged(&mut self, denial: &Denial) {
        let record = self.record();
        record.code = Some(denial.code);
        record.cause.clone_from(&denial.cause);
    }

    /// The verdict on a request beside it. Waits for the end of the request, and finishes its record.
    pub async fn conclude(mut self, verdict: Option<&Denial>, awaited: AwaitedEnd) {
        let (Ok((mut record, now)), Some(judged)) = (awaited.end.await, self.record.take()) else {
            return;
        };
        record.judged_beside(*judged, verdict);
        awaited.recorder.finish(record, now);
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// There is always one: it is taken when the journey is dropped.
    fn record(&mut self) -> &mut DecisionRecord {
        let id = self.request_id;
        self.record.get_or_insert_with(|| {
            let at = jiff::Timestamp::UNIX_EPOCH;
            Box::new(DecisionRecord::new(at, id, 0, http::Method::GET))
        })
    }

    /// Notes a step; the text is made only if the journey keeps its steps.
    pub fn step<T: Into<String>>(&mut self, stage: Stage, text: impl FnOnce() -> T) {
        let Some(watched) = &mut self.watched else { return };
        if let Some(steps) = &mut watched.steps {
            steps.push(Step { stage, text: text().into(), why: None });
        }
        if let Some(trace) = &mut watched.trace {
            trace.mark(stage, self.clock.monotonic());
        }
    }

    /// Follows the request, if it is one of those that are. `pdp` is whoever is asked.
    pub fn follow(
        &mut self,
        parent: Option<&TraceParent<'_>>,
        pdp: impl FnOnce() -> Option<Address>,
    ) {
        let Some(tracer) = self.recorder.as_ref().and_then(|recorder| recorder.tracer()) else {
            return;
        };
        if let Some(trace) = tracer.follow(parent, self.started, &*self.clock, pdp) {
            self.trace(trace.id().to_string().into());
            self.watched.get_or_insert_default().trace = Some(Box::new(trace));
        }
    }

    /// The call to the API begins. Gives what it is to get as `traceparent`, if the request is followed: its own span is then
    /// below ours.
    pub fn call_api(&mut self) -> Option<String> {
        // Without a trace nobody asks for the time.
        self.followed()?;
        let now = self.clock.monotonic();
        self.followed_mut().map(|trace| trace.call_api(now))
    }

    /// Whether the request is followed without a caller's trace above it.
    #[must_use]
    pub fn begins_trace(&self) -> bool {
        self.followed().is_some_and(Trace::is_first)
    }

    fn followed(&self) -> Option<&Trace> {
        self.watched.as_ref()?.trace.as_deref()
    }

    fn followed_mut(&mut self) -> Option<&mut Trace> {
        self.watched.as_mut()?.trace.as_deref_mut()
    }

    /// Adds to the last step why it found what it did; nobody is asked for the reasons unless the
    /// journey keeps its steps.
    pub fn because<R: fmt::Display + Serialize>(&mut self, reasons: impl FnOnce() -> Option<R>) {
        if let Some(step) = self.steps_mut().and_then(|steps| steps.last_mut()) {
            step.why = reasons().map(|reasons| Why {
                text: reasons.to_string(),
                data: serde_json::to_value(&reasons).unwrap_or_default(),
            });
        }
    }

    /// The steps kept so far.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        self.watched.as_ref().and_then(|watched| watched.steps.as_deref()).unwrap_or_default()
    }

    fn steps_mut(&mut self) -> Option<&mut Vec<Step>> {
        self.watched.as_mut()?.steps.as_mut()
    }

    /// The rule that matched, for those who ask after the end: rule tests.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.record.as_ref()?.rule.as_deref()
    }

    /// What the PDP said, likewise.
    #[must_use]
    pub fn decision(&self) -> Option<&'static str> {
        self.record.as_ref()?.decision
    }

    /// The W3C trace id of the request.
    pub fn trace(&mut self, trace_id: Arc<str>) {
        let record = self.record();
        record.trace_id = Some(trace_id);
    }

    /// The rule that matched, and its template.
    pub fn matched(&mut self, rule: &Arc<str>, template: &Arc<str>) {
        let record = self.record();
        record.rule = Some(Arc::clone(rule));
        record.template = Some(Arc::clone(template));
    }

    /// Who calls.
    pub fn authenticated(&mut self, caller: &Arc<Caller>) {
        let record = self.record();
        record.caller = Some(Arc::clone(caller));
    }

    /// What is asked.
    pub fn asked(&mut self, resource: &ResourceId, action: &Action, parties: &[Party]) {
        let record = self.record();
        record.resource = Some(resource.clone());
        record.action = Some(action.clone());
        record.parties = SmallVec::from_slice(parties);
    }

    /// What the PDP, or the cache, said.
    pub fn answered(&mut self, answered: &Answered) {
        self.record().answered(answered);
    }

    /// A question was put to this source, and brought no decision.
    pub fn unanswered(&mut self, source: DecisionSource) {
        self.record().unanswered(source);
        if self.followed().is_some() {
            let now = self.clock.monotonic();
            self.followed_mut().into_iter().for_each(|trace| trace.mark(Stage::Decision, now));
        }
    }

    /// The end of `authorize`.
    pub fn judged(&mut self) {
        let elapsed = self.elapsed();
        self.record().authorize = Some(elapsed);
    }

    /// The request is refused.
    pub fn refused(&mut self, denial: &Denial) {
        let record = self.record();
        record.code = Some(denial.code);
        record.cause.clone_from(&denial.cause);
        record.status = Some(denial.code.status());
        record.outcome = Outcome::Refused;
    }

    /// The head of the API's answer has come.
    pub fn upstream_answered(&mut self, status: u16) {
        let elapsed = self.elapsed();
        let record = self.record();
        record.status = Some(status);
        let before = record.authorize.unwrap_or_default();
        record.upstream = Some(elapsed.saturating_sub(before));
        let now = self.started.checked_add(elapsed);
        if let (Some(trace), Some(now)) = (self.followed_mut(), now) {
            trace.answered(now);
        }
    }

    /// The API's answer has been delivered whole.
    pub fn delivered(&mut self) {
        let record = self.record();
        if !record.is_refused() {
            record.outcome = Outcome::Forwarded;
        }
    }

    /// A tunnel ended otherwise than by both of its ends; its answer was delivered all the same.
    pub fn cut(&mut self, cause: &'static str) {
        let record = self.record();
        record.cause = Some(Arc::from(cause));
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_duration_since(self.started)
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        let (Some(mut record), Some(recorder)) = (self.record.take(), &self.recorder) else {
            return;
        };
        let now = self.clock.monotonic();
        record.total = now.saturating_duration_since(self.started);
        let mut watched = self.watched.take();
        if let Some(trace) = watched.as_mut().and_then(|watched| watched.trace.take()) {
            trace.finish(&record, now);
        }
        // Who judged it may have ended in a panic: then this is all there is.
        let finished = match watched.and_then(|watched| watched.judging) {
            Some(judging) => judging.send((record, now)).err(),
            None => Some((record, now)),
        };
        if let Some((record, now)) = finished {
            recorder.finish(record, now);
        }
    }
}

impl fmt::Debug for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journey").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}
