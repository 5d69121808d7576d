//! What a question is about: the resource and the party, and the other names they have.
//!
//! What it does not hold: who asks, which is `asker`'s.

use uuid::Uuid;

use super::attributes::{
    APP, ORG, ORGANIZATION, ORGANIZATION_LEGACY, PARTY_ID, PARTY_UUID, PERSON, RESOURCE, last,
    organization_number,
};
use super::directory::{Directory, PartyKey};
use super::names::app_of;
use super::question::Attribute;
use crate::domain::{Party, PartyId, PersonNumber, ResourceId};
use crate::xacml::{Category, Request};

/// What the question is about.
pub(super) struct Target {
    pub(super) resource: Option<ResourceId>,
    /// `None` also where the question names a party that the directory does not know: that is no
    /// error, it has given nobody anything.
    pub(super) party: Option<PartyKey>,
    /// Other names of resource and party, that the question did not give.
    additions: Vec<(&'static str, String)>,
}

impl Target {
    pub(super) fn read(directory: &Directory, attributes: &[Attribute<'_>]) -> Self {
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

    pub(super) fn add_to(&self, request: &mut Request<'_>) {
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
