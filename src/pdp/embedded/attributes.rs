//! The attributes by which a question names resource, party and subject, and how they are read.

use super::question::Attribute;
use crate::domain::{CheckDigits, OrganizationNumber};

pub(super) const RESOURCE: &str = "urn:altinn:resource";
pub(super) const ORG: &str = "urn:altinn:org";
pub(super) const APP: &str = "urn:altinn:app";
pub(super) const PARTY_ID: &str = "urn:altinn:partyid";
pub(super) const PARTY_UUID: &str = "urn:altinn:party:uuid";
pub(super) const ORGANIZATION: &str = "urn:altinn:organization:identifier-no";
pub(super) const ORGANIZATION_LEGACY: &str = "urn:altinn:organizationnumber";
pub(super) const PERSON: &str = "urn:altinn:person:identifier-no";
pub(super) const USER_ID: &str = "urn:altinn:userid";
pub(super) const PERSON_UUID: &str = "urn:altinn:person:uuid";
pub(super) const ORGANIZATION_UUID: &str = "urn:altinn:organization:uuid";
pub(super) const SYSTEM_USER: &str = "urn:altinn:systemuser:uuid";
pub(super) const ROLE_CODE: &str = "urn:altinn:rolecode";
/// The roles that Altinn itself keeps; those of the register are `RoleName::ATTRIBUTE_ID`.
pub(super) const ALTINN_ROLE: &str = "urn:altinn:role";
pub(super) const ESTATE_ROLE: &str = "urn:digitaltdodsbo:rolecode";
pub(super) const PARTY_TYPE: &str = "urn:altinn:partytype";
pub(super) const ACCESS_LIST: &str = "urn:altinn:access-list";
/// `<party id>/<uuid>`, of an app.
pub(super) const INSTANCE: &str = "urn:altinn:instance-id";
/// The uuid alone, of an app or any other resource.
pub(super) const RESOURCE_INSTANCE: &str = "urn:altinn:resource:instance-id";
pub(super) const TASK: &str = "urn:altinn:task";
pub(super) const END_EVENT: &str = "urn:altinn:end-event";
pub(super) const APP_RESOURCE: &str = "urn:altinn:appresource";

/// The value of an attribute; where it occurs several times, the last counts, as at Altinn, but for those
/// that are further values of one.
pub(super) fn last<'a>(attributes: &'a [Attribute<'_>], id: &str) -> Option<&'a str> {
    attributes.iter().rev().find(|one| one.id == id && !one.is_further).map(|one| &*one.value)
}

/// Looked up, not judged: a number with a wrong check digit is merely not in the directory.
pub(super) fn organization_number(text: &str) -> Option<OrganizationNumber> {
    OrganizationNumber::parse(text, CheckDigits::Lenient).ok()
}
