//! The question put to the PDP. It is the cache key and the only input of the wire encoder: everything a
//! decision may depend on is in it, and nothing else.

use super::{Action, Instance, OrganizationNumber, Party, PersonNumber, ResourceId, SystemUserId};
use std::sync::Arc;

/// May this subject do this with this resource for this party?
///
/// `Eq` and `Hash` are derived over every field on purpose: a field left out would let one caller's
/// decision answer another's question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessRequest {
    /// Who asks.
    pub subject: PdpSubject,
    /// On what.
    pub resource: ResourceId,
    /// To do what.
    pub action: Action,
    /// For whom.
    pub party: Party,
    /// On which instance of the resource, if the rule names one.
    pub instance: Option<Instance>,
    /// Further resource attributes of the rule, in the rule's order.
    pub attributes: Arc<[ResourceAttribute]>,
}

/// The subject of a question; always exactly one attribute, as Altinn demands of system users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PdpSubject {
    /// `urn:altinn:systemuser:uuid`
    SystemUser(SystemUserId),
    /// `urn:altinn:organization:identifier-no`
    Organization(OrganizationNumber),
    /// `urn:altinn:person:identifier-no`
    Person(PersonNumber),
}

impl PdpSubject {
    /// The attribute id under which the PDP knows the subject.
    #[must_use]
    pub fn attribute_id(self) -> &'static str {
        match self {
            Self::SystemUser(_) => "urn:altinn:systemuser:uuid",
            Self::Organization(_) => "urn:altinn:organization:identifier-no",
            Self::Person(_) => "urn:altinn:person:identifier-no",
        }
    }

    /// The attribute's value, a person's number in full: for the PDP only.
    #[must_use]
    pub fn expose_value(self) -> String {
        match self {
            Self::SystemUser(id) => (*id.text()).to_owned(),
            Self::Organization(number) => (*number.text()).to_owned(),
            Self::Person(number) => number.expose(),
        }
    }
}

/// One further resource attribute: its id from the rule, its value from the request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResourceAttribute {
    /// The attribute id.
    pub id: AttributeUrn,
    /// The value as read: never empty, at most [`ResourceAttribute::MAX_VALUE_BYTES`].
    pub value: Arc<str>,
}

impl ResourceAttribute {
    /// Bounds what a caller can make a cache key hold.
    pub const MAX_VALUE_BYTES: usize = 256;
}

impl std::fmt::Debug for ResourceAttribute {
    /// The value may be anything the caller sent, a person's number included; it is not printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.id.as_str())
    }
}

/// The id of a further resource attribute: `urn:` and visible ASCII, none of the ids that name the
/// subject, action, party, resource, app or instance, which the rule states elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttributeUrn(Arc<str>);

/// Why a text cannot be the id of a further attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttributeUrn {
    /// Not `urn:` and 1 to 200 visible ASCII characters.
    #[error("an attribute id is a URN of visible ASCII, at most 200 characters")]
    NotAUrn,
    /// Named elsewhere in the rule.
    #[error("this attribute is set by the rule itself and cannot be added")]
    Reserved,
}

const RESERVED: [&str; 14] = [
    "urn:altinn:systemuser:uuid",
    "urn:altinn:userid",
    "urn:altinn:person:identifier-no",
    "urn:altinn:person:uuid",
    "urn:altinn:organization:identifier-no",
    "urn:altinn:organization:uuid",
    "urn:altinn:organizationnumber",
    "urn:altinn:party:uuid",
    "urn:altinn:partyid",
    "urn:altinn:resource",
    "urn:altinn:org",
    "urn:altinn:app",
    "urn:altinn:instance-id",
    "urn:altinn:resource:instance-id",
];

impl AttributeUrn {
    /// Reads an attribute id.
    pub fn parse(text: &str) -> Result<Self, InvalidAttributeUrn> {
        if !text.starts_with("urn:")
            || text.len() > 200
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(InvalidAttributeUrn::NotAUrn);
        }
        // The PDP reads names case-insensitively in places; a reserved name in other letters is reserved.
        let action = text.to_ascii_lowercase().starts_with("urn:oasis:names:tc:xacml:1.0:action:");
        if action || RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(text)) {
            return Err(InvalidAttributeUrn::Reserved);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_the_rule_sets_itself_cannot_be_added() {
        for text in RESERVED.iter().chain(&[
            "URN:altinn:partyid",
            "urn:Altinn:PartyId",
            "urn:oasis:names:tc:xacml:1.0:action:action-id",
        ]) {
            assert!(AttributeUrn::parse(text).is_err(), "{text}");
        }
        assert_eq!(AttributeUrn::parse("urn:altinn:task").unwrap().as_str(), "urn:altinn:task");
    }
}
