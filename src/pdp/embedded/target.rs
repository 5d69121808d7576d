//! What a question is about: the resource, its instance and the party, and the other names they have.
//!
//! What it does not hold: who asks, which is `asker`'s.

use uuid::Uuid;

use super::attributes::{
    APP, APP_RESOURCE, END_EVENT, INSTANCE, ORG, ORGANIZATION, ORGANIZATION_LEGACY, PARTY_ID,
    PARTY_UUID, PERSON, RESOURCE, RESOURCE_INSTANCE, TASK, last, organization_number,
};
use super::directory::{AppInstance, Directory, PartyKey};
use super::face::Api;
use super::names::app_of;
use super::question::Attribute;
use crate::domain::{Party, PartyId, PersonNumber, ResourceId};
use crate::xacml::{Category, Request, StatusCode};

/// What the question is about.
pub(super) struct Target {
    pub(super) resource: Option<ResourceId>,
    /// `None` also where the question names a party that the directory does not know: that is no
    /// error, it has given nobody anything. Nor has anybody given anything where the instance is
    /// another party's than the one named.
    pub(super) party: Option<PartyKey>,
    pub(super) instance: Option<Uuid>,
    /// The question names a resource of the registry and nothing else: no party, no instance.
    pub(super) is_resource_alone: bool,
    /// The party id that the instance told, and Altinn tells the asker in turn.
    pub(super) found_party: Option<PartyId>,
    /// Other names of resource, instance and party, that the question did not give.
    additions: Vec<(&'static str, String)>,
}

/// The party of a question.
#[derive(Clone, Copy)]
enum Named {
    Nobody,
    Unknown,
    Known(PartyKey),
}

/// The instance of a question, as it is written: `<party id>/<uuid>`, or the uuid alone.
#[derive(Clone, Copy, Default)]
struct Written {
    owner: Option<PartyId>,
    uuid: Option<Uuid>,
}

impl Target {
    /// An error is what an exception is in Altinn's PDP.
    pub(super) fn read(
        directory: &Directory,
        attributes: &[Attribute<'_>],
        api: Api,
    ) -> Result<Self, StatusCode> {
        let mut additions = Vec::new();
        let mut resource = named_resource(attributes, &mut additions);
        let mut named = named_party(directory, attributes, api)?;
        let in_app = last(attributes, INSTANCE).map(written_in_app).transpose()?;
        let in_resource = last(attributes, RESOURCE_INSTANCE).map(written_in_resource);
        let is_resource_alone = matches!(named, Named::Nobody)
            && in_app.is_none()
            && in_resource.is_none()
            && resource.as_ref().is_some_and(|id| app_of(id.as_str()).is_none());
        let mut found_party = None;
        if let Some(written) = in_app
            && !is_complete(attributes, resource.as_ref(), named)
        {
            // Altinn asks its storage here, and fails where that fails.
            let instance = looked_up(directory, written).ok_or(StatusCode::SyntaxError)?;
            fits(attributes, resource.as_ref(), instance)?;
            add_app(attributes, &instance.resource, &mut additions);
            add_process(attributes, instance, &mut additions);
            resource = Some(instance.resource.clone());
            if matches!(named, Named::Nobody) {
                named = Named::Known(instance.owner);
                found_party = Some(instance.owner_id);
            }
        }
        let party = party_of(directory, named, [in_app, in_resource]);
        if let Some(entry) = party.and_then(|key| directory.party_entry(key)) {
            let names = [
                (PARTY_ID, entry.id.map(|id| id.number().to_string())),
                (PARTY_UUID, entry.uuid.map(|uuid| uuid.to_string())),
            ];
            for (id, name) in names {
                additions
                    .extend(name.filter(|_| last(attributes, id).is_none()).map(|it| (id, it)));
            }
        }
        let instance = one_instance(in_app, in_resource);
        if let Some(uuid) = instance.map(|uuid| uuid.to_string())
            && last(attributes, RESOURCE_INSTANCE) != Some(uuid.as_str())
        {
            additions.push((RESOURCE_INSTANCE, uuid));
        }
        Ok(Self { resource, party, instance, is_resource_alone, found_party, additions })
    }

    pub(super) fn add_to(&self, request: &mut Request<'_>) {
        for (id, value) in &self.additions {
            request.add(Category::Resource, *id, value.clone());
        }
    }
}

fn named_resource(
    attributes: &[Attribute<'_>],
    additions: &mut Vec<(&'static str, String)>,
) -> Option<ResourceId> {
    match (last(attributes, RESOURCE), last(attributes, ORG), last(attributes, APP)) {
        (Some(id), _, _) => match app_of(id) {
            Some((org, app)) => {
                let id = exact_resource(&format!("app_{org}_{app}"))?;
                add_app(attributes, &id, additions);
                Some(id)
            }
            None => exact_resource(id),
        },
        (None, Some(org), Some(app)) => {
            let id = exact_resource(&format!("app_{org}_{app}"))?;
            add_app(attributes, &id, additions);
            Some(id)
        }
        (None, Some(_) | None, None) | (None, None, Some(_)) => None,
    }
}

/// The names of an app that are not there yet.
fn add_app(
    attributes: &[Attribute<'_>],
    resource: &ResourceId,
    additions: &mut Vec<(&'static str, String)>,
) {
    let Some((org, app)) = app_of(resource.as_str()) else { return };
    for (id, name) in [(ORG, org), (APP, app), (RESOURCE, resource.as_str())] {
        let is_there = last(attributes, id).is_some() || additions.iter().any(|one| one.0 == id);
        if !is_there {
            additions.push((id, name.to_owned()));
        }
    }
}

/// Where the instance is in the app's process, unless the question says so.
fn add_process(
    attributes: &[Attribute<'_>],
    instance: &AppInstance,
    additions: &mut Vec<(&'static str, String)>,
) {
    let (id, value) = match (&instance.task, &instance.end_event) {
        (Some(task), _) => (TASK, task),
        (None, Some(end_event)) => (END_EVENT, end_event),
        (None, None) => return,
    };
    if last(attributes, id).is_none() {
        additions.push((id, value.to_string()));
    }
}

/// Whether the question says all that an instance could tell: then Altinn does not look it up.
fn is_complete(attributes: &[Attribute<'_>], resource: Option<&ResourceId>, party: Named) -> bool {
    let Some(resource) = resource else { return false };
    let has = |id| last(attributes, id).is_some_and(|value| !value.is_empty());
    let has_party = has(PARTY_ID) || matches!(party, Named::Known(_));
    let is_app = app_of(resource.as_str()).is_some();
    let in_process =
        has(TASK) || has(END_EVENT) || last(attributes, APP_RESOURCE) == Some("events");
    has_party && (!is_app || in_process)
}

fn looked_up(directory: &Directory, written: Written) -> Option<&AppInstance> {
    let instance = directory.instances.get(&written.uuid?)?;
    (Some(instance.owner_id) == written.owner).then_some(instance)
}

/// An instance of something else than the resource of the question is none.
fn fits(
    attributes: &[Attribute<'_>],
    resource: Option<&ResourceId>,
    instance: &AppInstance,
) -> Result<(), StatusCode> {
    let app = app_of(instance.resource.as_str());
    let is_app = |id, own: fn((&str, &str)) -> String| {
        last(attributes, id).is_none_or(|name| app.is_some_and(|app| own(app) == name))
    };
    let same = resource.is_none_or(|resource| *resource == instance.resource)
        && is_app(ORG, |(org, _)| org.to_owned())
        && is_app(APP, |(_, app)| app.to_owned());
    if same { Ok(()) } else { Err(StatusCode::SyntaxError) }
}

/// The party, unless the instance says it is another's.
fn party_of(
    directory: &Directory,
    named: Named,
    instances: [Option<Written>; 2],
) -> Option<PartyKey> {
    let Named::Known(key) = named else { return None };
    let owners = instances.into_iter().flatten().filter_map(|written| written.owner);
    let mut keys = owners.map(|id| directory.party(Party::Id(id)));
    keys.all(|owner| owner == Some(key)).then_some(key)
}

/// The instance; none where the question names two.
fn one_instance(in_app: Option<Written>, in_resource: Option<Written>) -> Option<Uuid> {
    match (in_app, in_resource) {
        (Some(one), Some(other)) => one.uuid.filter(|uuid| Some(*uuid) == other.uuid),
        (Some(one), None) | (None, Some(one)) => one.uuid,
        (None, None) => None,
    }
}

fn written_in_app(text: &str) -> Result<Written, StatusCode> {
    let (owner, rest) = text.split_once('/').ok_or(StatusCode::SyntaxError)?;
    // An owner that cannot be read is not the party's.
    let owner = PartyId::parse(owner).ok_or(StatusCode::SyntaxError)?;
    Ok(Written { owner: Some(owner), uuid: Uuid::try_parse(rest).ok() })
}

/// The uuid, or `urn:altinn:instance-id:<party id>/<uuid>`. Resources that are no apps may name their
/// instances as they like; nothing is delegated for one of those.
fn written_in_resource(text: &str) -> Written {
    let in_app = text.strip_prefix(INSTANCE).and_then(|rest| rest.strip_prefix(':'));
    match in_app.map(written_in_app) {
        Some(Ok(written)) => written,
        Some(Err(_)) => Written::default(),
        None => Written { owner: None, uuid: Uuid::try_parse(text).ok() },
    }
}

/// The URN form of a resource id is for rules; the PDP knows the bare one only.
fn exact_resource(text: &str) -> Option<ResourceId> {
    ResourceId::parse(text).ok().filter(|id| id.as_str() == text)
}

/// The first of these attributes that is present names the party, whether it can be read or not.
fn named_party(
    directory: &Directory,
    attributes: &[Attribute<'_>],
    api: Api,
) -> Result<Named, StatusCode> {
    let organization =
        last(attributes, ORGANIZATION).or_else(|| last(attributes, ORGANIZATION_LEGACY));
    let party = if let Some(text) = last(attributes, PARTY_ID) {
        PartyId::parse(text).map(Party::Id)
    } else if let Some(text) = organization {
        organization_number(text).map(Party::Organization)
    } else if let Some(text) = last(attributes, PERSON) {
        match api {
            Api::External => PersonNumber::parse(text).ok().map(Party::Person),
            Api::Internal => return Err(StatusCode::ProcessingError),
        }
    } else if let Some(text) = last(attributes, PARTY_UUID) {
        Uuid::try_parse(text).ok().map(Party::Uuid)
    } else {
        return Ok(Named::Nobody);
    };
    Ok(party.and_then(|party| directory.party(party)).map_or(Named::Unknown, Named::Known))
}
