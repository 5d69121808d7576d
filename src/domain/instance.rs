//! The instance of a resource that a question is about, when the rule names one.

use super::{Party, PartyId};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// How a rule's `instance` is sent to the PDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceForm {
    /// `urn:altinn:resource:instance-id`, the value as read.
    Resource,
    /// `urn:altinn:instance-id`, the value as `<party id>/<uuid>`.
    App,
}

/// One instance: 1 to 256 visible ASCII characters. Cheap to clone, and a single word where it is held: most of a
/// million questions have none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Instance(Arc<Said>);

#[derive(PartialEq, Eq, Hash)]
struct Said {
    form: InstanceForm,
    value: Box<str>,
}

/// Why a text is not an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInstance {
    /// Empty, too long, or not visible ASCII.
    #[error("an instance id has 1 to 256 characters of visible ASCII")]
    Characters,
    /// An app instance is a uuid, or `<party id>/<uuid>`.
    #[error("an app instance is a uuid, or a party id, a slash and a uuid")]
    NotAnAppInstance,
    /// The party in the value is not the party of the request.
    #[error("the instance belongs to another party than the request names")]
    OtherParty,
    /// An app instance can only be composed for a party given by party id.
    #[error("an app instance needs a party given by party id")]
    PartyIdNeeded,
}

impl Instance {
    fn new(form: InstanceForm, value: Box<str>) -> Self {
        Self(Arc::new(Said { form, value }))
    }

    /// An instance of a resource of the Resource Registry, sent as read.
    pub fn of_resource(text: &str) -> Result<Self, InvalidInstance> {
        if (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self::new(InstanceForm::Resource, text.into()))
        } else {
            Err(InvalidInstance::Characters)
        }
    }

    /// An instance of an Altinn app. A bare uuid is composed with the party, which must then be a party
    /// id; a value that already names a party id must name the same one.
    pub fn of_app(text: &str, party: Party) -> Result<Self, InvalidInstance> {
        let Party::Id(id) = party else { return Err(InvalidInstance::PartyIdNeeded) };
        let uuid = match text.split_once('/') {
            Some((stated, uuid)) => {
                if PartyId::parse(stated).ok_or(InvalidInstance::NotAnAppInstance)? != id {
                    return Err(InvalidInstance::OtherParty);
                }
                uuid
            }
            None => text,
        };
        match Uuid::try_parse(uuid) {
            Ok(parsed) if uuid.len() == 36 => {
                let value = format!("{}/{parsed}", id.number());
                Ok(Self::new(InstanceForm::App, value.into()))
            }
            Ok(_) | Err(_) => Err(InvalidInstance::NotAnAppInstance),
        }
    }

    /// The attribute id under which the PDP reads it.
    #[must_use]
    pub fn attribute_id(&self) -> &'static str {
        match self.0.form {
            InstanceForm::Resource => "urn:altinn:resource:instance-id",
            InstanceForm::App => "urn:altinn:instance-id",
        }
    }

    /// The attribute's value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0.value
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.attribute_id(), self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CheckDigits, OrganizationNumber};

    const UUID: &str = "ebe4a681-0a8c-429e-a36f-8f9ca942b59f";

    fn party_id() -> Party {
        Party::Id(PartyId::parse("50012345").unwrap())
    }

    #[test]
    fn an_app_instance_is_composed_from_the_party_id() {
        let composed = Instance::of_app(UUID, party_id()).unwrap();
        assert_eq!(composed.value(), format!("50012345/{UUID}"));
        assert_eq!(Instance::of_app(&format!("50012345/{UUID}"), party_id()).unwrap(), composed);
    }

    #[test]
    fn an_app_instance_of_another_party_is_refused() {
        assert_eq!(
            Instance::of_app(&format!("50012346/{UUID}"), party_id()),
            Err(InvalidInstance::OtherParty)
        );
        let organization = Party::Organization(
            OrganizationNumber::parse("312714051", CheckDigits::Strict).unwrap(),
        );
        assert_eq!(Instance::of_app(UUID, organization), Err(InvalidInstance::PartyIdNeeded));
    }

    #[test]
    fn a_resource_instance_is_sent_as_read() {
        assert_eq!(Instance::of_resource("urn:x:1").unwrap().value(), "urn:x:1");
        for text in ["", "a b", "æ", &"x".repeat(257)] {
            assert_eq!(Instance::of_resource(text), Err(InvalidInstance::Characters));
        }
    }
}
