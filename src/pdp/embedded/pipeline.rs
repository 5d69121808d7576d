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

use std::sync::Arc;

use uuid::Uuid;

use super::directory::{Directory, PartyKey};
use super::names::{PackageCode, RoleName, app_of};
use super::policies::PolicyStore;
use super::question::{Attribute, Question};
use super::roles;
use crate::domain::{
    CheckDigits, OrganizationNumber, Party, PartyId, PdpSubject, PersonNumber, ResourceId,
    SystemUserId,
};
use crate::xacml::{
    ACTION_ID, Category, Decision, Effect, Evaluation, Mode, Policy, Request, StatusCode, evaluate,
};

const RESOURCE: &str = "urn:altinn:resource";
const ORG: &str = "urn:altinn:org";
const APP: &str = "urn:altinn:app";
const PARTY_ID: &str = "urn:altinn:partyid";
const PARTY_UUID: &str = "urn:altinn:party:uuid";
const ORGANIZATION: &str = "urn:altinn:organization:identifier-no";
const ORGANIZATION_LEGACY: &str = "urn:altinn:organizationnumber";
const PERSON: &str = "urn:altinn:person:identifier-no";
const USER_ID: &str = "urn:altinn:userid";
const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
const ROLE_CODE: &str = "urn:altinn:rolecode";

/// An error is a question that Altinn's PDP cannot read: an exception there, not a result.
pub(super) fn answer(
    policies: &PolicyStore,
    directory: &Directory,
    mode: Mode,
    question: &Question<'_>,
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
    let mut evaluation = evaluate(policy, &request, mode);
    if evaluation.decision == Decision::NotApplicable
        && let Some(party) = target.party
        && let Some(delegated) =
            asker.delegated(&request, directory, party, (resource, policy), mode)
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

/// What the question is about.
struct Target {
    resource: Option<ResourceId>,
    /// `None` also where the question names a party that the directory does not know: that is no
    /// error, it has given nobody anything.
    party: Option<PartyKey>,
    /// Other names of resource and party, that the question did not give.
    additions: Vec<(&'static str, String)>,
}

impl Target {
    fn read(directory: &Directory, attributes: &[Attribute<'_>]) -> Self {
        let mut additions = Vec::new();
        let mut add = |id: &'static str, value: String| {
            if last(attributes, id).is_none() {
                additions.push((id, value));
            }
        };
        let resource =
            match (last(attributes, RESOURCE), last(attributes, ORG), last(attributes, APP)) {
                (Some(id), _, _) => match app_of(id) {
                    Some((org, app)) => {
                        add(ORG, org.to_owned());
                        add(APP, app.to_owned());
                        exact_resource(&format!("app_{org}_{app}"))
                    }
                    None => exact_resource(id),
                },
                (None, Some(org), Some(app)) => {
                    let id = format!("app_{org}_{app}");
                    add(RESOURCE, id.clone());
                    exact_resource(&id)
                }
                (None, Some(_) | None, None) | (None, None, Some(_)) => None,
            };
        let party = named_party(attributes).and_then(|party| directory.party(party));
        if let Some(entry) = party.and_then(|key| directory.party_entry(key)) {
            if let Some(id) = entry.id {
                add(PARTY_ID, id.number().to_string());
            }
            if let Some(uuid) = entry.uuid {
                add(PARTY_UUID, uuid.to_string());
            }
        }
        Self { resource, party, additions }
    }

    fn add_to(&self, request: &mut Request<'_>) {
        for (id, value) in &self.additions {
            request.add(Category::Resource, *id, value.clone());
        }
    }
}

/// The URN form of a resource id is for rules; the PDP knows the bare one only.
fn exact_resource(text: &str) -> Option<ResourceId> {
    ResourceId::parse(text).ok().filter(|id| id.as_str() == text)
}

/// The first of these attributes that is present names the party, whether it can be read or not.
fn named_party(attributes: &[Attribute<'_>]) -> Option<Party> {
    if let Some(text) = last(attributes, PARTY_ID) {
        return PartyId::parse(text).map(Party::Id);
    }
    let organization =
        last(attributes, ORGANIZATION).or_else(|| last(attributes, ORGANIZATION_LEGACY));
    if let Some(text) = organization {
        return organization_number(text).map(Party::Organization);
    }
    if let Some(text) = last(attributes, PERSON) {
        return PersonNumber::parse(text).ok().map(Party::Person);
    }
    last(attributes, PARTY_UUID).and_then(|text| Uuid::try_parse(text).ok()).map(Party::Uuid)
}

/// Who asks, and with it which facts of the directory count.
enum Asker {
    /// Packages and single rights; never roles.
    SystemUser(SystemUserId),
    /// Roles, packages and single rights.
    Person(PartyKey),
    /// A person by its party uuid: packages and single rights.
    PersonByUuid(PartyKey),
    /// An organization, or a person by party id: single rights.
    Other(PartyKey),
    /// Nobody the directory knows; a policy may still match what the question itself says.
    Nobody,
}

impl Asker {
    /// `None` where Altinn cannot make sense of the subject.
    fn read(directory: &Directory, subject: &[Attribute<'_>]) -> Option<Self> {
        if subject.is_empty() {
            return None;
        }
        if last(subject, SYSTEM_USER).is_some() {
            // It must be alone: not even the same attribute may stand beside it.
            return match subject {
                [only] => SystemUserId::parse(&only.value).map(Self::SystemUser),
                _ => None,
            };
        }
        let user = last(subject, USER_ID);
        let person = last(subject, PERSON);
        let organization =
            last(subject, ORGANIZATION).or_else(|| last(subject, ORGANIZATION_LEGACY));
        let uuid = last(subject, PARTY_UUID).map(Uuid::try_parse).transpose().ok()?;
        if user.is_some_and(|text| text.parse::<i32>().is_err()) {
            return None;
        }
        match (person, organization, user) {
            (Some(_), Some(_), _) | (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => None,
            (Some(text), None, None) => {
                let number = PersonNumber::parse(text).ok()?;
                directory.party(Party::Person(number)).map(Self::Person)
            }
            (None, Some(text), None) => {
                let number = organization_number(text)?;
                directory.party(Party::Organization(number)).map(Self::Other)
            }
            (None, None, _) => {
                let by_uuid = uuid.and_then(|uuid| directory.party(Party::Uuid(uuid)));
                let by_id = last(subject, PARTY_ID)
                    .and_then(PartyId::parse)
                    .and_then(|id| directory.party(Party::Id(id)));
                Some(match (by_uuid, by_id) {
                    (Some(key @ PartyKey::Person(_)), _) => Self::PersonByUuid(key),
                    (Some(key @ PartyKey::Organization(_)), _) | (None, Some(key)) => {
                        Self::Other(key)
                    }
                    (None, None) => Self::Nobody,
                })
            }
        }
    }

    /// Adds the packages and roles the subject has for the party, where the policy asks for them.
    fn add_holdings(
        &self,
        request: &mut Request<'_>,
        directory: &Directory,
        policy: &Policy,
        party: Option<PartyKey>,
    ) {
        let Some(party) = party else { return };
        if policy.mentions(PackageCode::ATTRIBUTE_ID) {
            let packages = match self {
                Self::SystemUser(id) => directory.packages_of_system_user(*id, party),
                Self::Person(key) | Self::PersonByUuid(key) => {
                    directory.packages_of_person(*key, party)
                }
                Self::Other(_) | Self::Nobody => return,
            };
            for package in packages {
                let code = package.as_str().to_owned();
                request.add(Category::AccessSubject, PackageCode::ATTRIBUTE_ID, code);
            }
        }
        let Self::Person(person) = self else { return };
        if policy.mentions(ROLE_CODE) && *person == party {
            request.add(Category::AccessSubject, ROLE_CODE, roles::PRIVATE_PERSON);
        }
        for role in directory.roles_of_person(*person, party) {
            if policy.mentions(ROLE_CODE)
                && let Some(code) = roles::legacy_code(&role)
            {
                request.add(Category::AccessSubject, ROLE_CODE, code);
            }
            if policy.mentions(RoleName::ATTRIBUTE_ID) {
                let name = role.as_str().to_owned();
                request.add(Category::AccessSubject, RoleName::ATTRIBUTE_ID, name);
            }
        }
    }

    /// What the single rights of the subject permit. Anything short of Permit, errors included, is
    /// as if there were none.
    fn delegated(
        &self,
        request: &Request<'_>,
        directory: &Directory,
        party: PartyKey,
        (resource, policy): (&ResourceId, &Policy),
        mode: Mode,
    ) -> Option<Evaluation> {
        let permitted = match self {
            Self::SystemUser(id) => directory
                .single_rights_of_system_user(*id, party, resource)
                .map(|rights| evaluate(rights, request, mode))
                .filter(|evaluation| evaluation.decision == Decision::Permit)?,
            Self::Person(key) | Self::PersonByUuid(key) | Self::Other(key) => {
                // A delegation names its receiver by number, whatever the question calls it.
                let mut request = request.clone();
                let subject = match *key {
                    PartyKey::Organization(number) => PdpSubject::Organization(number),
                    PartyKey::Person(number) => PdpSubject::Person(number),
                };
                request.add(
                    Category::AccessSubject,
                    subject.attribute_id(),
                    subject.expose_value(),
                );
                directory
                    .single_rights_given(party, *key, resource)
                    .map(|rights| evaluate(rights, &request, mode))
                    .find(|evaluation| evaluation.decision == Decision::Permit)?
            }
            Self::Nobody => return None,
        };
        Some(if permitted.obligations.is_empty() {
            let inherited = policy.obligations(Effect::Permit).map(Arc::clone);
            Evaluation { obligations: inherited.collect(), ..permitted }
        } else {
            permitted
        })
    }
}

/// The value of an attribute; where it occurs several times, the last counts, as at Altinn.
fn last<'a>(attributes: &'a [Attribute<'_>], id: &str) -> Option<&'a str> {
    attributes.iter().rev().find(|one| one.id == id).map(|one| &*one.value)
}

/// Looked up, not judged: a number with a wrong check digit is merely not in the directory.
fn organization_number(text: &str) -> Option<OrganizationNumber> {
    OrganizationNumber::parse(text, CheckDigits::Lenient).ok()
}
