//! Who asks, and what that subject brings into the question: packages and roles before the policy is
//! asked, single rights after it.
//!
//! What it does not hold: what anybody holds for a party, which is worked out in `rights`.

use std::sync::Arc;

use uuid::Uuid;

use super::attributes::{
    ORGANIZATION, ORGANIZATION_LEGACY, PARTY_ID, PARTY_UUID, PERSON, ROLE_CODE, SYSTEM_USER,
    USER_ID, last, organization_number,
};
use super::directory::{Directory, PartyKey};
use super::names::{PackageCode, RoleName};
use super::question::Attribute;
use super::reasons::Witness;
use super::roles;
use crate::domain::{Party, PartyId, PdpSubject, PersonNumber, ResourceId, SystemUserId};
use crate::xacml::{Category, Decision, Effect, Evaluation, Mode, Policy, Request};

/// Who asks, and with it which facts of the directory count.
pub(super) enum Asker {
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
    pub(super) fn read(directory: &Directory, subject: &[Attribute<'_>]) -> Option<Self> {
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
    pub(super) fn add_holdings(
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
    pub(super) fn delegated(
        &self,
        request: &Request<'_>,
        directory: &Directory,
        party: PartyKey,
        (resource, policy): (&ResourceId, &Policy),
        mode: Mode,
        witness: &mut Witness,
    ) -> Option<Evaluation> {
        let permitted = match self {
            Self::SystemUser(id) => directory
                .single_rights_of_system_user(*id, party, resource)
                .map(|rights| witness.evaluate_rights(rights, request, mode))
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
                    .map(|rights| witness.evaluate_rights(rights, &request, mode))
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
