//! Questions as Altinn publishes them: member names in Pascal case. One question has one category of each
//! kind; several in one body name theirs, and say which belong together.

use super::{ACTION_ID, RESOURCE_ID, STRING, USUAL_BYTES, to_bytes};
use crate::domain::AccessRequest;
use crate::members::{Members, key};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    request: Question<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    return_policy_id_list: bool,
    access_subject: Vec<Category<'a>>,
    action: Vec<Category<'a>>,
    resource: Vec<Category<'a>>,
    multi_requests: MultiRequests,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Category<'a> {
    id: String,
    attribute: Vec<Attribute<'a>>,
}

#[derive(PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
struct Attribute<'a> {
    attribute_id: &'a str,
    value: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    include_in_result: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRequests {
    request_reference: Vec<Reference>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reference {
    reference_id: [String; 3],
}

/// The body of a question. Everything in it comes from the request, so two equal requests are one body;
/// a system user is the only subject attribute, as Altinn demands.
#[must_use]
pub fn encode_request(request: &AccessRequest) -> Vec<u8> {
    let AccessRequest { subject, resource, action, party, instance, attributes } = request;
    let mut body = Vec::with_capacity(USUAL_BYTES);
    body.extend_from_slice(
        br#"{"Request":{"ReturnPolicyIdList":false,"AccessSubject":[{"Attribute":["#,
    );
    write(&mut body, subject.attribute_id(), &subject.expose_value(), None);
    body.extend_from_slice(br#"]}],"Action":[{"Attribute":["#);
    write(&mut body, ACTION_ID, action.as_str(), Some(STRING));
    body.extend_from_slice(br#"]}],"Resource":[{"Attribute":["#);
    write(&mut body, RESOURCE_ID, resource.as_str(), None);
    body.push(b',');
    write(&mut body, party.attribute_id(), &party.expose_value(), None);
    if let Some(instance) = instance {
        body.push(b',');
        write(&mut body, instance.attribute_id(), instance.value(), None);
    }
    for attribute in attributes.iter() {
        body.push(b',');
        write(&mut body, attribute.id.as_str(), &attribute.value, None);
    }
    body.extend_from_slice(b"]}]}}");
    body
}

fn write(body: &mut Vec<u8>, id: &str, value: &str, data_type: Option<&str>) {
    let mut attribute = Members::begin(body);
    attribute.text(key!("AttributeId"), id);
    attribute.text(key!("Value"), value);
    attribute.some_word(key!("DataType"), data_type);
    attribute.end();
}

/// The body of several questions, whose results come in the same order. Equal categories are sent once. The
/// party is to be repeated in its result. A single question has the body of [`encode_request`], since
/// Altinn's PDP takes fewer than two references for none.
#[must_use]
pub fn encode_requests(requests: &[Arc<AccessRequest>]) -> Vec<u8> {
    if let [alone] = requests {
        return encode_request(alone);
    }
    let mut subjects = Named::new('s');
    let mut actions = Named::new('a');
    let mut resources = Named::new('r');
    let request_reference = requests
        .iter()
        .map(|request| {
            let Attributes { subject, action, mut resource } = Attributes::of(request);
            for attribute in &mut resource {
                attribute.include_in_result =
                    attribute.attribute_id == request.party.attribute_id();
            }
            Reference {
                reference_id: [subjects.id(subject), actions.id(action), resources.id(resource)],
            }
        })
        .collect();
    to_bytes(&Envelope {
        request: Question {
            return_policy_id_list: false,
            access_subject: subjects.categories,
            action: actions.categories,
            resource: resources.categories,
            multi_requests: MultiRequests { request_reference },
        },
    })
}

/// The attributes of one question, by category.
struct Attributes<'a> {
    subject: Vec<Attribute<'a>>,
    action: Vec<Attribute<'a>>,
    resource: Vec<Attribute<'a>>,
}

impl<'a> Attributes<'a> {
    fn of(request: &'a AccessRequest) -> Self {
        let AccessRequest { subject, resource, action, party, instance, attributes } = request;
        let mut target = vec![
            attribute(RESOURCE_ID, resource.as_str().into()),
            attribute(party.attribute_id(), party.expose_value().into()),
        ];
        target.extend(instance.iter().map(|it| attribute(it.attribute_id(), it.value().into())));
        target.extend(attributes.iter().map(|it| attribute(it.id.as_str(), (*it.value).into())));
        let action =
            Attribute { data_type: Some(STRING), ..attribute(ACTION_ID, action.as_str().into()) };
        Self {
            subject: vec![attribute(subject.attribute_id(), subject.expose_value().into())],
            action: vec![action],
            resource: target,
        }
    }
}

/// Distinct categories of one kind, numbered from 1.
struct Named<'a> {
    initial: char,
    categories: Vec<Category<'a>>,
}

impl<'a> Named<'a> {
    fn new(initial: char) -> Self {
        Self { initial, categories: Vec::new() }
    }

    /// The id of the category with these attributes.
    fn id(&mut self, attribute: Vec<Attribute<'a>>) -> String {
        let known = self.categories.iter().position(|known| known.attribute == attribute);
        let id = format!("{}{}", self.initial, known.unwrap_or(self.categories.len()) + 1);
        if known.is_none() {
            self.categories.push(Category { id: id.clone(), attribute });
        }
        id
    }
}

fn attribute<'a>(attribute_id: &'a str, value: Cow<'a, str>) -> Attribute<'a> {
    Attribute { attribute_id, value, data_type: None, include_in_result: false }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(truth: &bool) -> bool {
    !truth
}
