//! What judging beside requests came to, next to what the API itself answered: a table for each rule.

use super::{DecisionRecord, Metrics, counts};
use crate::domain::{Actor, Enforcement};
use prometheus::IntCounterVec;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// What the verdict would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Forwarded.
    Permit,
    /// Refused, since that is what the rules and Altinn say.
    Refuse,
    /// Refused, since something that is asked was out of order or too busy.
    Fail,
}

/// What the API itself did with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnAnswer {
    /// 2xx.
    Accept,
    /// 401 or 403.
    Refuse,
    /// Anything else, which says nothing of rights.
    Other,
    /// None came.
    Absent,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Permit, Self::Refuse, Self::Fail];

    /// The word of metrics and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Refuse => "refuse",
            Self::Fail => "fail",
        }
    }

    /// By who would have to act on the refusal, if there is one.
    #[must_use]
    pub fn of(refused_to: Option<Actor>) -> Self {
        match refused_to {
            None => Self::Permit,
            Some(Actor::Caller | Actor::ServiceOwner) => Self::Refuse,
            Some(Actor::AuthorizationSystem | Actor::Upstream | Actor::Portvakt) => Self::Fail,
        }
    }
}

impl OwnAnswer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Accept, Self::Refuse, Self::Other, Self::Absent];

    /// The word of metrics and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Other => "other",
            Self::Absent => "none",
        }
    }

    /// By the status that the API answered with.
    #[must_use]
    pub fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::Absent,
            Some(200..=299) => Self::Accept,
            Some(401 | 403) => Self::Refuse,
            Some(_) => Self::Other,
        }
    }
}

/// The counter of both, made by `counter`.
pub(super) fn counted<E>(
    counter: impl Fn(&str, &str, &[&str]) -> Result<IntCounterVec, E>,
) -> Result<IntCounterVec, E> {
    counter(
        "portvakt_shadow_requests_total",
        "Requests in shadow by rule, what they would have met with, and what the API answered",
        &["rule", "verdict", "api"],
    )
}

impl Metrics {
    pub(super) fn count_shadow(&self, rule: &str, record: &DecisionRecord) {
        if record.mode != Enforcement::Shadow {
            return;
        }
        // A refusal that took effect is of a request that the API did not answer.
        let own = OwnAnswer::of(record.status.filter(|_| !record.is_refused()));
        let verdict = Verdict::of(record.code.map(crate::domain::DenialCode::actor));
        self.shadow.with_label_values(&[rule, verdict.as_str(), own.as_str()]).inc();
    }

    /// For each rule that was in shadow: how many requests, by verdict and by the API's own answer.
    #[must_use]
    pub fn shadow_by_rule(&self) -> HashMap<String, Value> {
        let mut rules = HashMap::<String, Map<String, Value>>::new();
        counts(&self.shadow, |label, count| {
            let rule = rules.entry(label("rule").unwrap_or_default()).or_default();
            let verdict = rule.entry(label("verdict").unwrap_or_default());
            let row = verdict.or_insert_with(|| Value::Object(Map::new()));
            if let Some(row) = row.as_object_mut() {
                row.insert(label("api").unwrap_or_default(), count.into());
            }
        });
        rules.into_iter().map(|(rule, rows)| (rule, Value::Object(rows))).collect()
    }
}
