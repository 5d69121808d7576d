//! Targets against requests: category by category, as Altinn does, or as the standard has it.

use super::condition::compare;
use super::evaluate::{Mode, StatusCode};
use super::model::{AllOf, AnyOf, Category, Match, Target, Test};
use super::request::Request;

/// How a target, or a part of one, compares with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matching {
    Match,
    NoMatch,
    Failed(StatusCode),
}

/// Subject, and every category beyond the three that Altinn knows. Altinn's engine passes over
/// those others, which would widen a rule that names one; here they must match.
pub(super) fn match_subject_and_others(target: &Target, request: &Request<'_>) -> Matching {
    let mut gravest = match match_category(target, &Category::AccessSubject, request) {
        Matching::NoMatch => return Matching::NoMatch,
        Matching::Match => None,
        Matching::Failed(status) => Some(status),
    };
    // Each category once, however many matches it has: a decision takes time in proportion to them.
    let mut matched: Vec<&Category> = Vec::new();
    for one in matches(target) {
        let category = &one.designator.category;
        match category {
            Category::AccessSubject | Category::Resource | Category::Action => {}
            Category::Environment | Category::Named(_) if matched.contains(&category) => {}
            Category::Environment | Category::Named(_) => {
                matched.push(category);
                match match_category(target, category, request) {
                    Matching::NoMatch => return Matching::NoMatch,
                    Matching::Match => {}
                    Matching::Failed(status) => gravest = gravest.max(Some(status)),
                }
            }
        }
    }
    gravest.map_or(Matching::Match, Matching::Failed)
}

fn matches(target: &Target) -> impl Iterator<Item = &Match> {
    let all_ofs = target.any_ofs.iter().flat_map(|any_of| &any_of.all_ofs);
    all_ofs.flat_map(|all_of| &all_of.matches)
}

/// Altinn matches one category at a time: any `AllOf` that names the category and holds in it will
/// do, wherever it stands. As there, the last `AllOf` to match or to miss a required attribute
/// decides.
pub(super) fn match_category(
    target: &Target,
    category: &Category,
    request: &Request<'_>,
) -> Matching {
    let mut named = false;
    let mut result = Matching::NoMatch;
    for all_of in target.any_ofs.iter().flat_map(|any_of| &any_of.all_ofs) {
        let mut of_category =
            all_of.matches.iter().filter(|one| one.designator.category == *category).peekable();
        if of_category.peek().is_none() {
            continue;
        }
        named = true;
        let mut all_hold = true;
        for one in of_category {
            match match_one(one, request, Mode::Altinn) {
                Matching::Match => {}
                Matching::NoMatch => all_hold = false,
                Matching::Failed(status) => {
                    all_hold = false;
                    result = Matching::Failed(status);
                }
            }
        }
        if all_hold {
            result = Matching::Match;
        }
    }
    if named { result } else { Matching::Match }
}

/// XACML 3.0 §7.7: a conjunction, in which a mismatch beats an error.
pub(super) fn match_target(target: &Target, request: &Request<'_>) -> Matching {
    conjunction(target.any_ofs.iter().map(|any_of| match_any_of(any_of, request)))
}

/// A disjunction, in which a match beats an error.
pub(super) fn match_any_of(any_of: &AnyOf, request: &Request<'_>) -> Matching {
    let mut result = Matching::NoMatch;
    for all_of in &any_of.all_ofs {
        match match_all_of(all_of, request) {
            Matching::Match => return Matching::Match,
            Matching::NoMatch => {}
            Matching::Failed(status) => result = Matching::Failed(status),
        }
    }
    result
}

fn match_all_of(all_of: &AllOf, request: &Request<'_>) -> Matching {
    conjunction(all_of.matches.iter().map(|one| match_one(one, request, Mode::Strict)))
}

fn conjunction(parts: impl Iterator<Item = Matching>) -> Matching {
    let mut result = Matching::Match;
    for part in parts {
        match part {
            Matching::NoMatch => return Matching::NoMatch,
            Matching::Match => {}
            Matching::Failed(status) => result = Matching::Failed(status),
        }
    }
    result
}

/// XACML 3.0 §7.6: any value of the bag may match; only then does an error count.
pub(super) fn match_one(one: &Match, request: &Request<'_>, mode: Mode) -> Matching {
    if let Test::IllTyped = one.test {
        return Matching::Failed(StatusCode::ProcessingError);
    }
    let mut failure = None;
    let mut empty = true;
    for text in request.bag(&one.designator) {
        empty = false;
        match compare(&one.test, &one.literal, text, mode) {
            Ok(true) => return Matching::Match,
            Ok(false) => {}
            Err(status) => failure = Some(status),
        }
    }
    // To Altinn an attribute is present when its id is, of whatever data type.
    let missing = match mode {
        Mode::Strict => empty,
        Mode::Altinn => empty && !request.has(&one.designator),
    };
    match failure {
        Some(status) => Matching::Failed(status),
        None if missing && one.designator.must_be_present => {
            Matching::Failed(StatusCode::MissingAttribute)
        }
        None => Matching::NoMatch,
    }
}
