//! What `explain` says of each step. Never a token; persons are masked.

use super::Basis;
use crate::domain::{
    AccessRequest, Answered, Caller, Denial, Extras, Scope, ScopeRequirement, Subject,
};

impl Basis {
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Public => "the rule is public",
            Self::Token(_) => "the token and its scope are enough",
            Self::Decision(_) => "the PDP permits it",
            Self::Shadow => "nothing is refused in shadow",
        }
    }
}

pub(crate) fn describe_caller(caller: &Caller) -> String {
    match &caller.subject {
        Subject::SystemUser(user) => format!(
            "system user {} of {}, system `{}`, vendor {}",
            user.id, user.owner, user.system, user.vendor
        ),
        Subject::Organization(organization) => match organization.supplier {
            Some(supplier) => format!("organization {}, through {supplier}", organization.consumer),
            None => format!("organization {}", organization.consumer),
        },
        Subject::Person(_) => "a person".to_owned(),
    }
}

pub(super) fn describe_answer(question: &AccessRequest, answered: &Answered) -> String {
    let Answered { decision, source, age } = answered;
    format!(
        "{}: {} (from {}, {} s old)",
        question.party,
        decision.as_str(),
        source.as_str(),
        age.as_secs()
    )
}

pub(crate) fn describe_denial(denial: &Denial) -> String {
    let cause = denial.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
    let place =
        denial.extras.parameter.as_deref().map(|place| format!(" at {place}")).unwrap_or_default();
    let wanted = wanted(&denial.extras);
    format!("refuse with {} {}{place}{cause}{wanted}", denial.code.status(), denial.code)
}

/// What would have been enough, as far as the answer says it too.
fn wanted(extras: &Extras) -> String {
    let words = |scopes: &[Scope]| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    match (&extras.required_scopes, &extras.allowed_methods) {
        (Some(ScopeRequirement::Any(scopes)), _) => format!(", needs one of `{}`", words(scopes)),
        (Some(ScopeRequirement::All(scopes)), _) => format!(", needs `{}`", words(scopes)),
        (Some(ScopeRequirement::Waived) | None, Some(methods)) => format!(", allowed: {methods}"),
        (Some(ScopeRequirement::Waived) | None, None) => String::new(),
    }
}
