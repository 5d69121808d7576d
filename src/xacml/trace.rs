//! Why a policy answered as it did: the rule that decided, or, for a policy that did not apply,
//! what the subject would have needed. It is read off after the decision and cannot change it;
//! asking without a trace costs nothing.

use super::combining::Outcome;
use super::evaluate::{Decision, Mode, RuleResult};
use super::limits::MAX_NEAR_MISSES;
use super::matching::{Matching, match_any_of, match_category, match_one};
use super::model::{AllOf, AnyOf, Category, Effect, Match, Policy, Rule};
use super::request::Request;

/// The reasons of one decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The first rule that decided as the policy did; none when the combining algorithm decided
    /// by itself.
    pub decided_by: Option<DecidingRule>,
    /// With NotApplicable: the rules that were about this resource and action.
    pub near_misses: Vec<NearMiss>,
    /// There were more near misses than are described.
    pub truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingRule {
    pub rule_id: String,
    pub effect: Effect,
}

/// A rule whose resource and action matched, but not its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    pub rule_id: String,
    pub effect: Effect,
    /// All of these would have to be met.
    pub requirements: Vec<Requirement>,
}

/// Any one of these alternatives, whole, would meet the requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub alternatives: Vec<Vec<WantedAttribute>>,
}

/// A subject attribute the request did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAttribute {
    pub category: Category,
    pub id: String,
    pub value: String,
}

pub(super) fn explain(
    policy: &Policy,
    request: &Request<'_>,
    mode: Mode,
    decision: Decision,
    results: &[RuleResult<'_>],
) -> Trace {
    let mut trace = Trace::default();
    match decision {
        Decision::Permit => trace.decided_by = deciding(Effect::Permit, results),
        Decision::Deny => trace.decided_by = deciding(Effect::Deny, results),
        Decision::Indeterminate => {}
        Decision::NotApplicable => {
            for rule in &policy.rules {
                let requirements = match mode {
                    Mode::Altinn => altinn_requirements(rule, request),
                    Mode::Strict => strict_requirements(rule, request),
                };
                if requirements.is_empty() {
                    continue;
                }
                if trace.near_misses.len() == MAX_NEAR_MISSES {
                    trace.truncated = true;
                    break;
                }
                trace.near_misses.push(NearMiss {
                    rule_id: rule.id.clone(),
                    effect: rule.effect,
                    requirements,
                });
            }
        }
    }
    trace
}

fn deciding(effect: Effect, results: &[RuleResult<'_>]) -> Option<DecidingRule> {
    results
        .iter()
        .find(|one| one.outcome == Outcome::Decided(effect))
        .map(|one| DecidingRule { rule_id: one.rule.id.clone(), effect })
}

/// Per category, every `AllOf` that names the subject is an alternative.
fn altinn_requirements(rule: &Rule, request: &Request<'_>) -> Vec<Requirement> {
    let of = |category| match_category(&rule.target, category, request);
    let near = of(&Category::Resource) == Matching::Match
        && of(&Category::Action) == Matching::Match
        && of(&Category::AccessSubject) == Matching::NoMatch;
    if !near {
        return Vec::new();
    }
    let all_ofs = rule.target.any_ofs.iter().flat_map(|any_of| &any_of.all_ofs);
    let alternatives = all_ofs
        .map(|all_of| wanted(all_of, request, Mode::Altinn))
        .filter(|wanted| !wanted.is_empty())
        .collect();
    vec![Requirement { alternatives }]
}

/// Every `AnyOf` must match; those that do not, and name the subject, are what is missing.
fn strict_requirements(rule: &Rule, request: &Request<'_>) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    for any_of in &rule.target.any_ofs {
        if match_any_of(any_of, request) == Matching::Match {
            continue;
        }
        let alternatives = reachable(any_of, request);
        if alternatives.is_empty() {
            return Vec::new();
        }
        requirements.push(Requirement { alternatives });
    }
    requirements
}

/// The alternatives that lack nothing but subject attributes.
fn reachable(any_of: &AnyOf, request: &Request<'_>) -> Vec<Vec<WantedAttribute>> {
    let others_hold = |all_of: &&AllOf| {
        all_of
            .matches
            .iter()
            .filter(|one| one.designator.category != Category::AccessSubject)
            .all(|one| match_one(one, request, Mode::Strict) == Matching::Match)
    };
    any_of
        .all_ofs
        .iter()
        .filter(others_hold)
        .map(|all_of| wanted(all_of, request, Mode::Strict))
        .filter(|wanted| !wanted.is_empty())
        .collect()
}

fn wanted(all_of: &AllOf, request: &Request<'_>, mode: Mode) -> Vec<WantedAttribute> {
    let unmet = |one: &&Match| {
        one.designator.category == Category::AccessSubject
            && match_one(one, request, mode) != Matching::Match
    };
    all_of
        .matches
        .iter()
        .filter(unmet)
        .map(|one| WantedAttribute {
            category: one.designator.category.clone(),
            id: one.designator.id.clone(),
            value: one.literal.text.clone(),
        })
        .collect()
}
