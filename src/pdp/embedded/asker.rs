//! Who asks, and what that subject brings into the question: packages and roles before the policy is
//! asked, delegations after it.
//!
//! What it does not hold: what anybody holds for a party, which is worked out in `rights`.
//!
//! Invariant: a system user brings packages and what was delegated to itself, nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use super::attributes::{
    ACCESS_LIST, ALTINN_ROLE, ESTATE_ROLE, ORGANIZATION, ORGANIZATION_LEGACY, PARTY_ID, PARTY_TYPE,
    PARTY_UUID, PERSON, ROLE_CODE, SYSTEM_USER, USER_ID, last, organization_number,
};
use super::directory::{Directory, PartyKey};
use super::face::Api;
use super::names::{PackageCode, RoleName, UserId};
use super::question::Attribute;
use super::reasons::Witness;
use super::roles;
use super::target::Target;
use crate::domain::{Party, PartyId, PersonNumber, ResourceId, SystemUserId};
use crate::xacml::{Category, Decision, Effect, Evaluation, Mode, Policy, Request, StatusCode};

/// Who asks, and with it which facts of the directory count.
pub(super) enum Asker {
    /// Packages and delegations; never roles, its own or through anybody.
    SystemUser(SystemUserId),
    /// A person by user id or number: roles, packages, what was delegated to the person and to the
    /// organizations where the person has a key role.
    Person(PartyKey),
    /// A party by its uuid: packages of a person; Altinn looks up no delegations for it.
    ByUuid(PartyKey),
    /// An organization by number, at the external address: delegations.
    Organization(PartyKey),
    /// A party by its party id: delegations.
    ByPartyId(PartyKey),
    /// An organization by number, at the internal address, which looks nothing up for it but what
    /// consent needs.
    Unreached(PartyKey),
    /// Nobody the directory knows; a policy may still match what the question itself says.
    Nobody,
}

impl Asker {
    /// An error is what an exception is in Altinn's PDP: it cannot make sense of the subject.
    pub(super) fn read(
        directory: &Directory,
        subject: &[Attribute<'_>],
        api: Api,
    ) -> Result<Self, StatusCode> {
        const UNREADABLE: StatusCode = StatusCode::ProcessingError;
        if subject.is_empty() {
            return Err(UNREADABLE);
        }
        if last(subject, SYSTEM_USER).is_some() {
            // It must be alone: not even the same attribute may stand beside it.
            return match subject {
                [only] => SystemUserId::parse(&only.value).map(Self::SystemUser).ok_or(UNREADABLE),
                _ => Err(UNREADABLE),
            };
        }
        let uuid = last(subject, PARTY_UUID).map(Uuid::try_parse).transpose();
        let uuid = uuid.map_err(|_| UNREADABLE)?;
        let user = last(subject, USER_ID);
        if user.is_some_and(|text| text.parse::<i32>().is_err()) {
            return Err(UNREADABLE);
        }
        let organization =
            last(subject, ORGANIZATION).or_else(|| last(subject, ORGANIZATION_LEGACY));
        match (last(subject, PERSON), organization, user, api) {
            (Some(_), _, _, Api::Internal)
            | (Some(_), Some(_), _, Api::External)
            | (Some(_), None, Some(_), Api::External)
            | (None, Some(_), Some(_), Api::External) => Err(UNREADABLE),
            (Some(text), None, None, Api::External) => {
                let number = PersonNumber::parse(text).map_err(|_| UNREADABLE)?;
                directory.party(Party::Person(number)).map(Self::Person).ok_or(UNREADABLE)
            }
            (None, Some(text), None, Api::External) => {
                // Altinn's register has no answer, and its PDP expects one.
                known_organization(directory, text)
                    .map(Self::Organization)
                    .ok_or(StatusCode::SyntaxError)
            }
            (None, _, Some(text), Api::Internal | Api::External) => {
                let person = UserId::parse(text).and_then(|id| directory.user(id));
                Ok(person.map_or(Self::Nobody, Self::Person))
            }
            (None, Some(text), None, Api::Internal) => {
                Ok(known_organization(directory, text).map_or(Self::Nobody, Self::Unreached))
            }
            (None, None, None, Api::Internal | Api::External) => {
                let by_uuid = uuid.and_then(|uuid| directory.party(Party::Uuid(uuid)));
                let by_id = last(subject, PARTY_ID)
                    .and_then(PartyId::parse)
                    .and_then(|id| directory.party(Party::Id(id)));
                let by_id = by_id.map_or(Self::Nobody, Self::ByPartyId);
                Ok(by_uuid.map_or(by_id, Self::ByUuid))
            }
        }
    }

    /// Adds the names of the subject that Altinn adds for the policy too: the user id of a person by
    /// number, the party id of an organization by number.
    pub(super) fn add_names(&self, request: &mut Request<'_>, directory: &Directory) {
        let (key, id) = match self {
            Self::Person(key) => (key, USER_ID),
            Self::Organization(key) => (key, PARTY_ID),
            Self::SystemUser(_)
            | Self::ByUuid(_)
            | Self::ByPartyId(_)
            | Self::Unreached(_)
            | Self::Nobody => return,
        };
        for (_, value) in directory.names(*key).into_iter().filter(|(name, _)| *name == id) {
            request.add(Category::AccessSubject, id, value);
        }
    }

    /// Adds the packages and roles the subject has for the party, where the policy asks for them; in
    /// a question about nothing but a resource, what the subject is by itself.
    pub(super) fn add_holdings(
        &self,
        request: &mut Request<'_>,
        directory: &Directory,
        policy: &Policy,
        target: &Target,
    ) {
        if target.is_resource_alone {
            self.add_standing(request, directory, policy);
        }
        let Some(party) = target.party else { return };
        if policy.mentions(PackageCode::ATTRIBUTE_ID) {
            let packages = match self {
                Self::SystemUser(id) => directory.packages_of_system_user(*id, party),
                Self::Person(key) | Self::ByUuid(key @ PartyKey::Person(_)) => {
                    directory.packages_of_person(*key, party)
                }
                Self::ByUuid(PartyKey::Organization(_))
                | Self::Organization(_)
                | Self::ByPartyId(_)
                | Self::Unreached(_)
                | Self::Nobody => return,
            };
            for package in packages {
                let code = package.as_str().to_owned();
                request.add(Category::AccessSubject, PackageCode::ATTRIBUTE_ID, code);
            }
        }
        if let Self::Person(person) = self {
            add_roles(request, directory, policy, *person, party);
        }
    }

    /// What kind of party the subject is, and which access lists it is on. Altinn adds them for
    /// requests for consent alone, which name no party.
    fn add_standing(&self, request: &mut Request<'_>, directory: &Directory, policy: &Policy) {
        let key = match self {
            Self::Person(key)
            | Self::ByUuid(key)
            | Self::Organization(key)
            | Self::Unreached(key) => *key,
            Self::SystemUser(_) | Self::ByPartyId(_) | Self::Nobody => return,
        };
        if policy.mentions(PARTY_TYPE) {
            let kind = match key {
                PartyKey::Organization(_) => "organization",
                PartyKey::Person(_) => "person",
            };
            request.add(Category::AccessSubject, PARTY_TYPE, kind);
        }
        if policy.mentions(ACCESS_LIST) {
            for list in directory.access_lists_of(key) {
                request.add(Category::AccessSubject, ACCESS_LIST, list.to_string());
            }
        }
    }

    /// What the delegations to the subject permit. Anything short of Permit, errors included, is as
    /// if there were none.
    pub(super) fn delegated(
        &self,
        request: &Request<'_>,
        directory: &Directory,
        (target, party): (&Target, PartyKey),
        (resource, policy): (&ResourceId, &Policy),
        mode: Mode,
        witness: &mut Witness,
    ) -> Option<Evaluation> {
        let receivers: Vec<PartyKey> = match self {
            Self::SystemUser(id) => {
                let given =
                    directory.delegated_to_system_user(*id, party, resource, target.instance);
                return first_permit(given, request, policy, mode, witness);
            }
            Self::Person(key) => std::iter::once(*key).chain(directory.key_units(*key)).collect(),
            Self::Organization(key) | Self::ByPartyId(key) => vec![*key],
            Self::ByUuid(_) | Self::Unreached(_) | Self::Nobody => return None,
        };
        let given: Vec<Cow<'_, Policy>> = receivers
            .iter()
            .flat_map(|to| directory.delegated_to_party(*to, party, resource, target.instance))
            .collect();
        if given.is_empty() {
            return None;
        }
        // A delegation names its receiver as it likes, whatever the question calls it.
        let mut request = request.clone();
        for (id, value) in receivers.iter().flat_map(|key| directory.names(*key)) {
            request.add(Category::AccessSubject, id, value);
        }
        first_permit(given, &request, policy, mode, witness)
    }
}

fn first_permit<'d>(
    given: impl IntoIterator<Item = Cow<'d, Policy>>,
    request: &Request<'_>,
    policy: &Policy,
    mode: Mode,
    witness: &mut Witness,
) -> Option<Evaluation> {
    let permitted = given
        .into_iter()
        .map(|given| witness.evaluate_rights(&given, request, mode))
        .find(|evaluation| evaluation.decision == Decision::Permit)?;
    Some(if permitted.obligations.is_empty() {
        let inherited = policy.obligations(Effect::Permit).map(Arc::clone);
        Evaluation { obligations: inherited.collect(), ..permitted }
    } else {
        permitted
    })
}

/// Role codes, roles by name, and what an heir may do.
fn add_roles(
    request: &mut Request<'_>,
    directory: &Directory,
    policy: &Policy,
    person: PartyKey,
    party: PartyKey,
) {
    const SUBJECT: Category = Category::AccessSubject;
    let by_code = policy.mentions(ROLE_CODE);
    if by_code && person == party {
        request.add(SUBJECT, ROLE_CODE, roles::PRIVATE_PERSON);
    }
    for held in directory.roles_of_person(person, party) {
        if by_code {
            for code in held.register.iter().filter_map(roles::legacy_code) {
                request.add(SUBJECT, ROLE_CODE, code);
            }
            for code in held.codes.values() {
                request.add(SUBJECT, ROLE_CODE, code.to_string());
            }
        }
        for role in &held.register {
            let id = if roles::is_altinns_own(role) { ALTINN_ROLE } else { RoleName::ATTRIBUTE_ID };
            if policy.mentions(id) {
                request.add(SUBJECT, id, role.as_str().to_owned());
            }
        }
        if policy.mentions(ESTATE_ROLE) {
            for role in &held.estate {
                request.add(SUBJECT, ESTATE_ROLE, role.to_string());
            }
        }
    }
}

fn known_organization(directory: &Directory, text: &str) -> Option<PartyKey> {
    directory.party(Party::Organization(organization_number(text)?))
}

impl Asker {
    /// The party that asks, if one does that the directory knows.
    pub(super) fn key(&self) -> Option<PartyKey> {
        match self {
            Self::Person(key)
            | Self::ByUuid(key)
            | Self::Organization(key)
            | Self::ByPartyId(key)
            | Self::Unreached(key) => Some(*key),
            Self::SystemUser(_) | Self::Nobody => None,
        }
    }
}
