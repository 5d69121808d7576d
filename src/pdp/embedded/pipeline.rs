//! One question to one answer, in the steps of Altinn's PDP:
//!
//! 1. read the target: which resource, which party;
//! 2. take the policy of the resource; none is Indeterminate;
//! 3. read the subject and add what it holds for the party: access packages, and roles of a person;
//! 4. evaluate;
//! 5. only where that is NotApplicable: the single rights the subject has for the party; one that
//!    permits decides, with the obligations of the resource policy;
//! 6. only where that is Permit: the access lists of the resource, if it has any;
//! 7. answer. What a delegation says short of Permit is never the answer.
//!
//! A step adds facts or ends the question; none repairs an earlier one.

use super::asker::Asker;
use super::attributes::{ORGANIZATION, ORGANIZATION_LEGACY, last};
use super::directory::Directory;
use super::names::app_of;
use super::policies::PolicyStore;
use super::question::Question;
use super::reasons::Witness;
use super::target::Target;
use crate::xacml::{ACTION_ID, Category, Decision, Evaluation, Mode, Request, StatusCode};

/// An error is a question that Altinn's PDP cannot read: an exception there, not a result.
pub(super) fn answer(
    policies: &PolicyStore,
    directory: &Directory,
    mode: Mode,
    question: &Question<'_>,
    witness: &mut Witness,
) -> Result<Evaluation, StatusCode> {
    // A question without an action is no question: Altinn cannot read it.
    if question.action.is_empty() {
        return Err(StatusCode::SyntaxError);
    }
    let target = Target::read(directory, &question.resource);
    let asker = Asker::read(directory, &question.subject).ok_or(StatusCode::ProcessingError)?;
    let Some((resource, policy)) =
        target.resource.as_ref().and_then(|id| Some((id, policies.policy(id)?)))
    else {
        return Ok(Evaluation::indeterminate(StatusCode::ProcessingError));
    };

    let mut request = as_asked(question);
    target.add_to(&mut request);
    asker.add_holdings(&mut request, directory, policy, target.party);
    let mut evaluation = witness.evaluate_policy(policy, &request, mode);
    if evaluation.decision == Decision::NotApplicable
        && let Some(party) = target.party
        && let Some(delegated) =
            asker.delegated(&request, directory, party, (resource, policy), mode, witness)
    {
        evaluation = delegated;
    }
    if evaluation.decision == Decision::Permit && app_of(resource.as_str()).is_none() {
        let actions = question.action.iter().filter(|one| one.id == ACTION_ID);
        let actions: Vec<&str> = actions.map(|one| &*one.value).collect();
        if !directory.passes_access_list(resource, target.party, &actions) {
            evaluation = Evaluation {
                decision: Decision::Deny,
                status: StatusCode::Ok,
                obligations: Vec::new(),
            };
        }
    }
    Ok(evaluation)
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
