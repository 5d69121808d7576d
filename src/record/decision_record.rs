//! The one line that says what became of a request. It is the log of what was let through: Altinn writes
//! no event for a decision that was cached, nor for several asked in one call. How it is written is `line`'s
//! affair.
//!
//! Never in it: the raw target, the query, headers, the token, a person's number.

use crate::domain::{
    Action, Answered, Caller, DecisionSource, Denial, DenialCode, Enforcement, Party, RequestId,
    ResourceId,
};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// The facts of one finished request.
#[derive(Clone, Debug)]
pub struct DecisionRecord {
    pub(super) at: jiff::Timestamp,
    pub(super) request_id: RequestId,
    pub(super) trace_id: Option<Arc<str>>,
    pub(super) generation: u64,
    pub(super) method: http::Method,
    pub(super) rule: Option<Arc<str>>,
    pub(super) template: Option<Arc<str>>,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) resource: Option<ResourceId>,
    pub(super) action: Option<Action>,
    pub(super) parties: SmallVec<[Party; 1]>,
    pub(super) decision: Option<&'static str>,
    pub(super) source: DecisionSource,
    pub(super) age: Option<Duration>,
    pub(super) status: Option<u16>,
    pub(super) code: Option<DenialCode>,
    pub(super) cause: Option<Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) mode: Enforcement,
    pub(super) authorize: Option<Duration>,
    pub(super) upstream: Option<Duration>,
    pub(super) total: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Forwarded, and the answer delivered whole.
    Forwarded,
    /// Refused by Portvakt, whoever's fault it was.
    Refused,
    /// The client left, or the answer broke off.
    Aborted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Forwarded, Self::Refused, Self::Aborted];

    /// The word used in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
        }
    }
}

impl DecisionRecord {
    pub(super) fn new(
        at: jiff::Timestamp,
        request_id: RequestId,
        generation: u64,
        method: http::Method,
    ) -> Self {
        Self {
            at,
            request_id,
            trace_id: None,
            generation,
            method: recordable(method),
            rule: None,
            template: None,
            caller: None,
            resource: None,
            action: None,
            parties: SmallVec::new(),
            decision: None,
            source: DecisionSource::Local,
            age: None,
            status: None,
            code: None,
            cause: None,
            outcome: Outcome::Aborted,
            mode: Enforcement::Enforce,
            authorize: None,
            upstream: None,
            total: Duration::ZERO,
        }
    }

    /// Keeps an answer. Of several the last one looked at speaks, which is the one that refuses if any
    /// does; the age is that of the oldest.
    pub(super) fn answered(&mut self, answered: &Answered) {
        self.decision = Some(answered.decision.as_str());
        self.source = answered.source;
        self.age = Some(self.age.map_or(answered.age, |age| age.max(answered.age)));
    }

    /// Takes over what was judged beside the request, which may have ended in a refusal of its own.
    pub(super) fn judged_beside(&mut self, judged: Self, verdict: Option<&Denial>) {
        self.caller = judged.caller;
        self.resource = judged.resource;
        self.action = judged.action;
        self.parties = judged.parties;
        self.decision = judged.decision;
        self.source = judged.source;
        self.age = judged.age;
        self.authorize = judged.authorize;
        if let (Some(denial), None) = (verdict, self.code) {
            self.code = Some(denial.code);
            self.cause.clone_from(&denial.cause);
        }
    }

    /// Whether a refusal took effect.
    pub(super) fn is_refused(&self) -> bool {
        self.outcome == Outcome::Refused
    }

    /// Keeps that a question brought no decision, though others of the same request may have.
    pub(super) fn unanswered(&mut self, source: DecisionSource) {
        self.decision = None;
        self.source = source;
        self.age = None;
    }
}

/// The longest method that is recorded as it is; the longest that is registered has 17 letters. Bounds what
/// a stranger can put into the log, and what waiting records hold.
const MAX_METHOD_BYTES: usize = 24;

/// The method, if it looks like one: a client can send any text in its place, a person's number included.
fn recordable(method: http::Method) -> http::Method {
    let text = method.as_str();
    let legal = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
    if text.len() <= MAX_METHOD_BYTES && text.bytes().all(legal) {
        return method;
    }
    // The word of OpenTelemetry's conventions; it is a token, so that the default is never taken.
    http::Method::from_bytes(b"_OTHER").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_none_is_not_repeated_in_the_log() {
        let long = "A".repeat(25);
        for (sent, recorded) in [
            ("GET", "GET"),
            ("VERSION-CONTROL", "VERSION-CONTROL"),
            ("UPDATEREDIRECTREF", "UPDATEREDIRECTREF"),
            // Synthetic: month + 80.
            ("01890012345", "_OTHER"),
            ("A1", "_OTHER"),
            (long.as_str(), "_OTHER"),
        ] {
            let method = http::Method::from_bytes(sent.as_bytes()).unwrap();
            let at = jiff::Timestamp::UNIX_EPOCH;
            let record = DecisionRecord::new(at, RequestId::fresh(), 1, method);
            assert_eq!(record.method, recorded, "{sent}");
        }
    }
}
