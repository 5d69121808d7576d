//! What `explain` says of each step. Never a token; persons are masked.

use super::Basis;
use crate::domain::{
    AccessRequest, Answered, Caller, Denial, Extras, PersonNumber, Scope, ScopeRequirement, Subject,
};
use crate::pdp::wire::encode_request;
use crate::route::{PartyRule, ResourceRule, RouteRule};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;

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

/// What is asked, and where in the request it stood.
pub(super) fn describe_questions(rule: &RouteRule, questions: &[AccessRequest]) -> String {
    let Some(first) = questions.first() else { return String::new() };
    let parties: Vec<_> = questions.iter().map(|question| question.party.to_string()).collect();
    let sources = rule.party().map(PartyRule::sources).unwrap_or_default();
    let sources: Vec<_> = sources.iter().map(|source| format!("`{source}`")).collect();
    let resource = rule.resource().and_then(ResourceRule::source);
    format!(
        "`{}` on `{}`{} for {}, from {}",
        first.action,
        first.resource,
        resource.map(|source| format!(" (from `{source}`)")).unwrap_or_default(),
        parties.join(", "),
        sources.join(" or ")
    )
}

/// Questions as Altinn is asked them: requests of XACML 3.0 in JSON, persons masked.
pub(super) struct AsXacml<'a>(pub(super) &'a [AccessRequest]);

impl AsXacml<'_> {
    fn documents(&self) -> impl Iterator<Item = Value> {
        self.0.iter().map(|question| {
            let mut document =
                serde_json::from_slice(&encode_request(question)).unwrap_or_default();
            mask_persons(&mut document);
            document
        })
    }
}

/// Masks what may be a person's number, as subject, party or in what the rule reads besides. Eleven digits of a UUID are
/// none.
fn mask_persons(document: &mut Value) {
    match document {
        Value::Object(members) => {
            let id = members.get("AttributeId").and_then(Value::as_str);
            let is_uuid = id.is_some_and(|id| id.ends_with(":uuid"));
            if let Some(Value::String(value)) = members.get_mut("Value")
                && !is_uuid
            {
                *value = PersonNumber::mask_in(value);
            }
            members.values_mut().for_each(mask_persons);
        }
        Value::Array(items) => items.iter_mut().for_each(mask_persons),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl fmt::Display for AsXacml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.documents().try_for_each(|document| writeln!(f, "{document}"))
    }
}

impl Serialize for AsXacml<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.documents())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Action, AttributeUrn, Party, PdpSubject, ResourceAttribute, ResourceId, SystemUserId,
    };

    #[test]
    fn no_question_shows_a_persons_number_wherever_it_stands() {
        // Synthetic: month + 80.
        let number = "01890012345";
        let person = PersonNumber::parse(number).unwrap();
        // With eleven digits in a row.
        let user = SystemUserId::parse("a0000001-0000-4000-8000-a12345678901").unwrap();
        for subject in [PdpSubject::Person(person), PdpSubject::SystemUser(user)] {
            let question = AccessRequest {
                subject,
                resource: ResourceId::parse("ske-mva-melding").unwrap(),
                action: Action::parse("read").unwrap(),
                party: Party::Person(person),
                instance: None,
                attributes: [ResourceAttribute {
                    id: AttributeUrn::parse("urn:example:case").unwrap(),
                    value: format!("case of {number}").into(),
                }]
                .into(),
            };
            let questions = [question];
            let shown = AsXacml(&questions);
            for text in [shown.to_string(), serde_json::to_string(&shown).unwrap()] {
                assert!(!text.contains(number), "{text}");
                assert!(text.contains("case of ***********"), "{text}");
                assert_eq!(
                    text.contains(&*user.text()),
                    matches!(subject, PdpSubject::SystemUser(_))
                );
            }
        }
    }
}
