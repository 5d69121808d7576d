//! One policy and one request to a decision (XACML 3.0 §7.5 to §7.12), in Altinn's way or the
//! standard's. An error never becomes a Permit: it is Indeterminate, unless the policy's own
//! combining algorithm says otherwise.

use std::sync::Arc;

use super::altinn::{self, Failure};
use super::combining::{CombiningAlgorithm, Outcome};
use super::condition::holds;
use super::matching::{Matching, match_category, match_subject_and_others, match_target};
use super::model::{Category, Effect, Obligation, Policy, Rule, Types};
use super::request::Request;
use super::trace::{self, Trace};

/// Whose semantics to follow; see the documentation of the room for the differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As Altinn Authorization evaluates.
    #[default]
    Altinn,
    /// As XACML 3.0 prescribes.
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    Permit,
    Deny,
    NotApplicable,
    Indeterminate,
}

/// Why a decision is Indeterminate (XACML 3.0 §B.8), the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusCode {
    Ok,
    MissingAttribute,
    SyntaxError,
    ProcessingError,
}

impl StatusCode {
    pub fn uri(self) -> &'static str {
        match self {
            Self::Ok => "urn:oasis:names:tc:xacml:1.0:status:ok",
            Self::MissingAttribute => "urn:oasis:names:tc:xacml:1.0:status:missing-attribute",
            Self::SyntaxError => "urn:oasis:names:tc:xacml:1.0:status:syntax-error",
            Self::ProcessingError => "urn:oasis:names:tc:xacml:1.0:status:processing-error",
        }
    }
}

/// What a policy says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    pub decision: Decision,
    pub status: StatusCode,
    /// Those to be fulfilled with this decision.
    pub obligations: Vec<Arc<Obligation>>,
}

impl Evaluation {
    /// An answer to what cannot be evaluated.
    pub fn indeterminate(status: StatusCode) -> Self {
        Self { decision: Decision::Indeterminate, status, obligations: Vec::new() }
    }
}

/// Asks a policy.
pub fn evaluate(policy: &Policy, request: &Request<'_>, mode: Mode) -> Evaluation {
    decide(policy, request, mode).0
}

/// Asks a policy, and why it answers so.
pub fn evaluate_traced(policy: &Policy, request: &Request<'_>, mode: Mode) -> (Evaluation, Trace) {
    let (evaluation, results) = decide(policy, request, mode);
    let trace = trace::explain(policy, request, mode, evaluation.decision, &results);
    (evaluation, trace)
}

/// What became of one rule, and the gravest error on the way.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleResult<'p> {
    pub(super) rule: &'p Rule,
    pub(super) outcome: Outcome,
    status: StatusCode,
}

impl<'p> RuleResult<'p> {
    fn of(rule: &'p Rule, holds: Result<bool, StatusCode>) -> Self {
        let (outcome, status) = match holds {
            Ok(true) => (Outcome::Decided(rule.effect), StatusCode::Ok),
            Ok(false) => (Outcome::NotApplicable, StatusCode::Ok),
            Err(status) => (Outcome::Undecided(rule.effect), status),
        };
        Self { rule, outcome, status }
    }
}

fn decide<'p>(
    policy: &'p Policy,
    request: &Request<'_>,
    mode: Mode,
) -> (Evaluation, Vec<RuleResult<'p>>) {
    if request.is_too_large() {
        return (Evaluation::indeterminate(StatusCode::ProcessingError), Vec::new());
    }
    let (outcome, status, results) = match mode {
        Mode::Altinn => match altinn_rules(policy, request) {
            Err(status) => return (Evaluation::indeterminate(status), Vec::new()),
            Ok(results) => (altinn_combined(policy, &results), StatusCode::Ok, results),
        },
        Mode::Strict => strict_policy(policy, request),
    };
    let effect = match outcome {
        Outcome::Decided(effect) => effect,
        Outcome::NotApplicable => {
            let evaluation = Evaluation {
                decision: Decision::NotApplicable,
                status: StatusCode::Ok,
                obligations: Vec::new(),
            };
            return (evaluation, results);
        }
        Outcome::Undecided(_) | Outcome::UndecidedEither => {
            let gravest = results.iter().map(|one| one.status).max().unwrap_or(StatusCode::Ok);
            return (Evaluation::indeterminate(gravest.max(status)), results);
        }
    };
    let decision = match effect {
        Effect::Permit => Decision::Permit,
        Effect::Deny => Decision::Deny,
    };
    let obligations = obligations(policy, effect, mode, &results);
    (Evaluation { decision, status: StatusCode::Ok, obligations }, results)
}

/// XACML 3.0 §7.18: the obligations of the policy, and of the rules that decided as it did.
fn obligations(
    policy: &Policy,
    effect: Effect,
    mode: Mode,
    results: &[RuleResult<'_>],
) -> Vec<Arc<Obligation>> {
    let of_policy = policy.obligations(effect);
    match (mode, effect) {
        (Mode::Altinn, Effect::Permit) => of_policy.map(Arc::clone).collect(),
        (Mode::Altinn, Effect::Deny) => Vec::new(),
        (Mode::Strict, Effect::Permit | Effect::Deny) => results
            .iter()
            .filter(|one| one.outcome == Outcome::Decided(effect))
            // First-applicable evaluates no rule after the one that decides.
            .take(match policy.algorithm {
                CombiningAlgorithm::FirstApplicable => 1,
                CombiningAlgorithm::DenyOverrides
                | CombiningAlgorithm::PermitOverrides
                | CombiningAlgorithm::DenyUnlessPermit
                | CombiningAlgorithm::PermitUnlessDeny => usize::MAX,
            })
            .flat_map(|one| &one.rule.obligations)
            .filter(|obligation| obligation.fulfill_on == effect)
            .chain(of_policy)
            .map(Arc::clone)
            .collect(),
    }
}

/// Altinn's way: the rules whose resource and action match are the policy's only rules. A failure
/// there is one of the whole policy.
fn altinn_rules<'p>(
    policy: &'p Policy,
    request: &Request<'_>,
) -> Result<Vec<RuleResult<'p>>, StatusCode> {
    let mut reached = Vec::new();
    let mut failure = None;
    for rule in &policy.rules {
        let resource = match_category(&rule.target, &Category::Resource, request);
        let action = match_category(&rule.target, &Category::Action, request);
        match (resource, action) {
            (Matching::Match, Matching::Match) => reached.push(rule),
            (Matching::Failed(one), Matching::Failed(other)) => {
                failure = failure.max(Some(one.max(other)));
            }
            (Matching::Failed(one), _) | (_, Matching::Failed(one)) => {
                failure = failure.max(Some(one));
            }
            (Matching::Match | Matching::NoMatch, Matching::Match | Matching::NoMatch) => {}
        }
    }
    match failure {
        Some(status) => Err(status),
        None => reached.into_iter().map(|rule| altinn_rule(rule, request)).collect(),
    }
}

/// A rule whose resource and action match; an error is one of the whole policy.
fn altinn_rule<'p>(rule: &'p Rule, request: &Request<'_>) -> Result<RuleResult<'p>, StatusCode> {
    let condition = match match_subject_and_others(&rule.target, request) {
        Matching::NoMatch => Ok(false),
        Matching::Failed(status) => Err(status),
        Matching::Match => match &rule.condition {
            None => Ok(true),
            Some(condition) if condition.types == Types::Wrong => Err(StatusCode::ProcessingError),
            Some(condition) => match altinn::holds(&condition.expression, request) {
                Ok(holds) => Ok(holds),
                Err(Failure::Rule(status)) => Err(status),
                Err(Failure::Policy(status)) => return Err(status),
            },
        },
    };
    Ok(RuleResult::of(rule, condition))
}

/// A policy none of whose rules is about this resource and action is not applicable, whatever its
/// algorithm would make of nothing.
fn altinn_combined(policy: &Policy, results: &[RuleResult<'_>]) -> Outcome {
    if results.is_empty() {
        return Outcome::NotApplicable;
    }
    if !policy.altinn_knows_algorithm {
        return Outcome::UndecidedEither;
    }
    policy.algorithm.combine(results.iter().map(|one| one.outcome))
}

fn strict_policy<'p>(
    policy: &'p Policy,
    request: &Request<'_>,
) -> (Outcome, StatusCode, Vec<RuleResult<'p>>) {
    let target = match_target(&policy.target, request);
    if target == Matching::NoMatch {
        return (Outcome::NotApplicable, StatusCode::Ok, Vec::new());
    }
    let results: Vec<_> = policy.rules.iter().map(|rule| strict_rule(rule, request)).collect();
    let combined = policy.algorithm.combine(results.iter().map(|one| one.outcome));
    match target {
        Matching::Match | Matching::NoMatch => (combined, StatusCode::Ok, results),
        // XACML 3.0 §7.14, table 7.
        Matching::Failed(status) => {
            let outcome = match combined {
                Outcome::Decided(effect) => Outcome::Undecided(effect),
                Outcome::NotApplicable | Outcome::Undecided(_) | Outcome::UndecidedEither => {
                    combined
                }
            };
            (outcome, status, results)
        }
    }
}

/// XACML 3.0 §7.11, table 4.
fn strict_rule<'p>(rule: &'p Rule, request: &Request<'_>) -> RuleResult<'p> {
    let condition = match match_target(&rule.target, request) {
        Matching::NoMatch => Ok(false),
        Matching::Failed(status) => Err(status),
        Matching::Match => match &rule.condition {
            None => Ok(true),
            Some(condition) if condition.types == Types::Wrong => Err(StatusCode::ProcessingError),
            Some(condition) => holds(&condition.expression, request),
        },
    };
    RuleResult::of(rule, condition)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
