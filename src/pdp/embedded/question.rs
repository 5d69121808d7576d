//! One question as Altinn's API receives it: lists of attributes, in the order they were sent.

use std::borrow::Cow;

use crate::domain::AccessRequest;
use crate::xacml::{ACTION_ID, DataType};

/// The attributes of one question, by category. Nothing about them is checked yet.
#[derive(Clone, Debug, Default)]
pub struct Question<'a> {
    pub subject: Vec<Attribute<'a>>,
    pub resource: Vec<Attribute<'a>>,
    pub action: Vec<Attribute<'a>>,
    pub environment: Vec<Attribute<'a>>,
}

/// One attribute.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub id: Cow<'a, str>,
    pub value: Cow<'a, str>,
    pub data_type: DataType,
    /// It stands in the bag that rules look into, but another attribute of its name says who asks, and
    /// about what.
    pub is_further: bool,
}

impl<'a> Attribute<'a> {
    /// A string, as nearly all attributes are.
    pub fn string(id: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { id: id.into(), value: value.into(), data_type: DataType::String, is_further: false }
    }
}

impl std::fmt::Debug for Attribute<'_> {
    /// The value may be a person number; it is not printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.id)
    }
}

impl<'a> From<&'a AccessRequest> for Question<'a> {
    /// The attributes that the wire encoder sends to Altinn for the same request.
    fn from(request: &'a AccessRequest) -> Self {
        let subject = request.subject;
        let party = request.party;
        let mut resource = vec![
            Attribute::string("urn:altinn:resource", request.resource.as_str()),
            Attribute::string(party.attribute_id(), party.expose_value()),
        ];
        if let Some(instance) = &request.instance {
            resource.push(Attribute::string(instance.attribute_id(), instance.value()));
        }
        let further = request.attributes.iter();
        resource.extend(further.map(|one| Attribute::string(one.id.as_str(), &*one.value)));
        Self {
            subject: vec![Attribute::string(subject.attribute_id(), subject.expose_value())],
            resource,
            action: vec![Attribute::string(ACTION_ID, request.action.as_str())],
            environment: Vec::new(),
        }
    }
}
