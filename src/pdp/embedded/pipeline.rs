//! One question to one answer, in the steps of Altinn's PDP:
//!
//! 1. read the target: which resource, which party, which instance, and what the instance tells;
//! 2. take the policy of the resource; none is Indeterminate;
//! 3. read the subject and add what it holds for the party: access packages, and roles of a person;
//! 4. evaluate;
//! 5. only where that is NotApplicable: what was delegated to the subject by the party, for this
//!    instance or for all; the first delegation that permits decides, with the obligations of the
//!    resource policy if it has none;
//! 6. only where that is Permit, and for no app: the access lists of the resource, if it has any;
//! 7. answer. What a delegation says short of Permit is never the answer.
//!
//! A step adds facts or ends the question; none repairs an earlier one.

use super::asker::Asker;
use super::attributes::{ORGANIZATION, ORGANIZATION_LEGACY, last};
use super::directory::Directory;
use super::face::Api;
use super::names::app_of;
use super::policies::PolicyStore;
use super::question::Question;
use super::reasons::Witness;
use super::target::Target;
use crate::domain::PartyId;
use crate::xacml::{
    ACTION_ID, Category, Decision, Evaluation, Mode, Policy, Request, StatusCode, evaluate_traced,
};

/// The answer to a question, and what its asker is told beside it.
pub(super) struct Answer<'q> {
    pub(super) evaluation: Evaluation,
    /// The party id that Altinn found by the instance of the question.
    pub(super) found_party: Option<PartyId>,
    /// What was evaluated; nothing where the answer is not a policy's.
    evaluated: Option<(&'q Policy, Request<'q>)>,
}

impl Answer<'_> {
    fn unevaluated(evaluation: Evaluation) -> Self {
        Self { evaluation, found_party: None, evaluated: None }
    }

    /// Whether no policy is about the resource.
    pub(super) fn is_without_policy(&self) -> bool {
        self.evaluated.is_none() && self.evaluation.decision == Decision::Indeterminate
    }

    /// Whether Altinn repeats attributes of the question with this answer: it does so where the
    /// policy has a rule about the resource and the action, and the access lists have not refused.
    pub(super) fn repeats(&self, mode: Mode) -> bool {
        let Some((policy, request)) = &self.evaluated else { return false };
        match self.evaluation.decision {
            Decision::Permit | Decision::Deny => true,
            Decision::NotApplicable => {
                !evaluate_traced(policy, request, mode).1.near_misses.is_empty()
            }
            Decision::Indeterminate => false,
        }
    }
}

/// An error is a question that Altinn's PDP cannot read: an exception there, not a result.
pub(super) fn answer<'q>(
    policies: &'q PolicyStore,
    directory: &Directory,
    mode: Mode,
    (question, api): (&'q Question<'_>, Api),
    witness: &mut Witness,
) -> Result<Answer<'q>, StatusCode> {
    // A question without an action is no question: Altinn cannot read it.
    if question.action.is_empty() {
        return Err(StatusCode::SyntaxError);
    }
    let target = Target::read(directory, &question.resource, api)?;
    let asker = Asker::read(directory, &question.subject, api)?;
    let Some((resource, policy)) =
        target.resource.as_ref().and_then(|id| Some((id, policies.policy(id)?)))
    else {
        let evaluation = Evaluation::indeterminate(StatusCode::ProcessingError);
        return Ok(Answer::unevaluated(evaluation));
    };

    let mut request = as_asked(question);
    target.add_to(&mut request);
    asker.add_names(&mut request, directory);
    asker.add_holdings(&mut request, directory, policy, &target);
    let mut evaluation = witness.evaluate_policy(policy, &request, mode);
    if evaluation.decision == Decision::NotApplicable
        && let Some(party) = target.party
        && let Some(delegated) = asker.delegated(
            &request,
            directory,
            (&target, party),
            (resource, policy),
            mode,
            witness,
        )
    {
        evaluation = delegated;
    }
    if evaluation.decision == Decision::Permit && app_of(resource.as_str()).is_none() {
        let actions = question.action.iter().filter(|one| one.id == ACTION_ID);
        let actions: Vec<&str> = actions.map(|one| &*one.value).collect();
        if !directory.passes_access_list(resource, target.party, &actions) {
            return Ok(Answer::unevaluated(Evaluation {
                decision: Decision::Deny,
                status: StatusCode::Ok,
                obligations: Vec::new(),
            }));
        }
    }
    let found_party = target.found_party;
    Ok(Answer { evaluation, found_party, evaluated: Some((policy, request)) })
}

fn as_asked<'q>(question: &'q Question<'_>) -> Request<'q> {
    let mut request = Request::new();
    for (category, attributes) in [
        (Category::AccessSubject, &question.subject),
        (Category::Resource, &question.resource),
        (Category::Action, &question.action),
        (Category::Environment, &question.environment),
    ] {
        for one in attributes {
            request.add_typed(category.clone(), &*one.id, one.data_type, &*one.value);
        }
    }
    // The old name of an organization number reads as the new one.
    if let Some(number) = last(&question.subject, ORGANIZATION_LEGACY) {
        request.add(Category::AccessSubject, ORGANIZATION, number);
    }
    request
}
