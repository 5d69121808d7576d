//! A decision point that says what it was told to say: for rule tests, which state what the PDP says, and
//! for tests of everything that stands before a PDP.

use super::point::{DecisionFault, DecisionPoint, PendingDecision};
use crate::domain::{
    AccessRequest, Action, Decision, DecisionSource, Party, PdpSubject, ResourceId,
};
use std::sync::{Mutex, PoisonError};

/// Answers from a table, first match wins; where nothing matches, `NotApplicable`, Altinn's ordinary "no".
/// It remembers what it was asked.
#[derive(Debug)]
pub struct Scripted {
    lines: Vec<(QuestionPattern, Result<Decision, DecisionFault>)>,
    asked: Mutex<Vec<AccessRequest>>,
    identity: &'static str,
}

/// Which questions a line answers: those that agree in every field stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionPattern {
    /// This subject only.
    pub subject: Option<PdpSubject>,
    /// This resource only.
    pub resource: Option<ResourceId>,
    /// This action only.
    pub action: Option<Action>,
    /// This party only.
    pub party: Option<Party>,
}

impl QuestionPattern {
    fn matches(&self, request: &AccessRequest) -> bool {
        fn agrees<T: PartialEq>(stated: Option<&T>, asked: &T) -> bool {
            stated.is_none_or(|stated| stated == asked)
        }
        agrees(self.subject.as_ref(), &request.subject)
            && agrees(self.resource.as_ref(), &request.resource)
            && agrees(self.action.as_ref(), &request.action)
            && agrees(self.party.as_ref(), &request.party)
    }
}

impl Scripted {
    /// Answers from this table.
    #[must_use]
    pub fn new(lines: Vec<(QuestionPattern, Result<Decision, DecisionFault>)>) -> Self {
        Self { lines, asked: Mutex::default(), identity: "scripted" }
    }

    /// Answers every question alike.
    #[must_use]
    pub fn always(answer: Result<Decision, DecisionFault>) -> Self {
        Self::new(vec![(QuestionPattern::default(), answer)])
    }

    /// In place of a PDP that is not looked at, as where its secrets are not at hand: nothing is decided.
    #[must_use]
    pub fn absent() -> Self {
        let identity = "the PDP of the configuration, with secrets that were not read";
        Self { identity, ..Self::always(Err(DecisionFault::Internal)) }
    }

    /// The questions asked so far, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<AccessRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl DecisionPoint for Scripted {
    fn decide<'a>(&'a self, request: &'a AccessRequest) -> PendingDecision<'a> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let line = self.lines.iter().find(|(pattern, _)| pattern.matches(request));
        let answer = line.map_or(Ok(Decision::NotApplicable), |(_, answer)| answer.clone());
        Box::pin(std::future::ready(answer))
    }

    fn source(&self) -> DecisionSource {
        DecisionSource::Pdp
    }

    fn identity(&self) -> &'static str {
        self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Obligations;
    use crate::pdp::samples::{question, system_user};

    #[tokio::test]
    async fn the_first_line_that_matches_answers_and_no_line_is_a_no() {
        let permit = Decision::Permit(Obligations::default());
        let [one, two, three] = [1, 2, 3].map(|number| question(system_user(number)));
        let only = |it: &AccessRequest| QuestionPattern {
            subject: Some(it.subject),
            ..Default::default()
        };
        let point = Scripted::new(vec![
            (only(&one), Ok(permit.clone())),
            (only(&one), Ok(Decision::Deny)),
            (only(&two), Err(DecisionFault::Internal)),
        ]);
        assert_eq!(point.decide(&one).await, Ok(permit));
        assert_eq!(point.decide(&two).await, Err(DecisionFault::Internal));
        assert_eq!(point.decide(&three).await, Ok(Decision::NotApplicable));
        assert_eq!(point.asked(), [one, two, three]);
    }
}
