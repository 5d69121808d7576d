//! Questions for tests.

use crate::domain::{
    AccessRequest, Action, AttributeUrn, CheckDigits, Instance, OrganizationNumber, Party, PartyId,
    PdpSubject, PersonNumber, ResourceAttribute, ResourceId, SystemUserId,
};
use proptest::prelude::*;
use std::sync::Arc;

pub(crate) fn system_user_id(number: u32) -> SystemUserId {
    SystemUserId::parse(&format!("a545ca29-7fb8-4810-a2f2-{number:012}")).unwrap()
}

pub(crate) fn system_user(number: u32) -> PdpSubject {
    PdpSubject::SystemUser(system_user_id(number))
}

pub(crate) fn organization(text: &str) -> OrganizationNumber {
    OrganizationNumber::parse(text, CheckDigits::Lenient).unwrap()
}

pub(crate) fn question(subject: PdpSubject) -> AccessRequest {
    AccessRequest {
        subject,
        resource: ResourceId::parse("ske-mva-melding").unwrap(),
        action: Action::parse("write").unwrap(),
        party: Party::Organization(organization("312714051")),
        instance: None,
        attributes: Arc::from([]),
    }
}

pub(crate) fn attribute(id: &str, value: &str) -> ResourceAttribute {
    ResourceAttribute { id: AttributeUrn::parse(id).unwrap(), value: value.into() }
}

/// Any question, from few enough values that two of them often agree in most fields.
pub(crate) fn any_question() -> impl Strategy<Value = AccessRequest> {
    let person = || PersonNumber::parse("01890012345").unwrap();
    let subject = prop_oneof![
        (0u32..3).prop_map(system_user),
        Just(PdpSubject::Organization(organization("312714051"))),
        Just(PdpSubject::Person(person())),
    ];
    let resource =
        prop_oneof![Just("ske-mva-melding"), Just("ske-mva"), Just("urn:altinn:partyid")];
    let action = prop_oneof![Just("read"), Just("write"), Just("ske-mva")];
    let party = prop_oneof![
        Just(Party::Organization(organization("312714051"))),
        Just(Party::Organization(organization("310329495"))),
        Just(Party::Id(PartyId::parse("312714051").unwrap())),
        Just(Party::Person(person())),
    ];
    let value =
        || prop_oneof![Just("a".to_owned()), r#"[a"\\,:{}æ😀\n\u{7}]{1,8}"#.prop_map(|it| it)];
    let id = || prop_oneof![Just("urn:altinn:task"), Just("urn:altinn:subresource")];
    let instance = proptest::option::of(prop_oneof![
        Just("urn:altinn:task".to_owned()),
        r#"[a-z"\\,:{}]{1,8}"#.prop_map(|it| it)
    ]);
    let attributes = proptest::collection::vec((id(), value()), 0..3);
    (subject, resource, action, party, instance, attributes).prop_map(
        |(subject, resource, action, party, instance, attributes)| AccessRequest {
            subject,
            resource: ResourceId::parse(resource).unwrap(),
            action: Action::parse(action).unwrap(),
            party,
            instance: instance.map(|text| Instance::of_resource(&text).unwrap()),
            attributes: attributes.iter().map(|(id, value)| attribute(id, value)).collect(),
        },
    )
}
