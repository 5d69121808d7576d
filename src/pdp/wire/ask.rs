//! A question as Altinn publishes it: member names in Pascal case, one category of each kind.

use super::{ACTION_ID, RESOURCE_ID, STRING, to_bytes};
use crate::domain::AccessRequest;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    request: Question<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    return_policy_id_list: bool,
    access_subject: [Category<'a>; 1],
    action: [Category<'a>; 1],
    resource: [Category<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Category<'a> {
    attribute: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
struct Attribute<'a> {
    attribute_id: &'a str,
    value: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<&'static str>,
}

/// The body of a question. Everything in it comes from the request, so two equal requests are one body;
/// a system user is the only subject attribute, as Altinn demands.
#[must_use]
pub fn encode_request(request: &AccessRequest) -> Vec<u8> {
    let AccessRequest { subject, resource, action, party, instance, attributes } = request;
    let subject = attribute(subject.attribute_id(), subject.expose_value().into());
    let action =
        Attribute { data_type: Some(STRING), ..attribute(ACTION_ID, action.as_str().into()) };
    let mut target = vec![
        attribute(RESOURCE_ID, resource.as_str().into()),
        attribute(party.attribute_id(), party.expose_value().into()),
    ];
    target.extend(instance.iter().map(|it| attribute(it.attribute_id(), it.value().into())));
    target.extend(attributes.iter().map(|it| attribute(it.id.as_str(), (*it.value).into())));
    let envelope = Envelope {
        request: Question {
            return_policy_id_list: false,
            access_subject: [Category { attribute: vec![subject] }],
            action: [Category { attribute: vec![action] }],
            resource: [Category { attribute: target }],
        },
    };
    to_bytes(&envelope)
}

fn attribute<'a>(attribute_id: &'a str, value: Cow<'a, str>) -> Attribute<'a> {
    Attribute { attribute_id, value, data_type: None }
}
