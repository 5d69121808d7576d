//! What parties have given others, instances of apps, and delegations in Altinn's own form.

use std::sync::Arc;

use uuid::Uuid;

use super::super::attributes::{APP, ORG, RESOURCE, RESOURCE_INSTANCE};
use super::super::delegated::{
    Delegated, Place, Receiver, SingleRight, SingleRights, StoredDelegation, StoredKey,
};
use super::super::directory::{AppInstance, PartyKey, SystemUserKind};
use super::super::names::app_of;
use super::super::parts::{DelegationPart, DelegationPolicyPart, InstancePart, RightPart};
use super::super::roles;
use super::{Builder, quoted};
use crate::domain::{PartyId, PdpSubject, ResourceId, SystemUserId};
use crate::xacml::{Category, Policy};

impl Builder {
    pub(super) fn instances(&mut self, parts: Vec<InstancePart>) {
        for (path, part) in self.entries("instances", parts) {
            let id = self.instance_id(&format!("{path}.id"), &part.id);
            let resource_path = format!("{path}.resource");
            let resource = self.resource(&resource_path, &part.resource);
            let task = self.name(&format!("{path}.task"), part.task);
            let end_event = self.name(&format!("{path}.end_event"), part.end_event);
            if task.is_some() && end_event.is_some() {
                let message = "an instance that has ended is in no task";
                self.fault(&path, message, "keep one of `task` and `end_event`");
            }
            let (Some((owner_id, owner, uuid)), Some(resource)) = (id, resource) else { continue };
            let is_app = app_of(resource.as_str())
                .is_some_and(|(org, app)| resource.as_str() == format!("app_{org}_{app}"));
            if !is_app {
                let message = format!("`{resource}` is not an app");
                self.fault(&resource_path, message, "write `app_<org>_<app>`");
            }
            let instance = AppInstance {
                owner,
                owner_id,
                resource,
                task: task.map(Arc::from),
                end_event: end_event.map(Arc::from),
            };
            let instances = Arc::make_mut(&mut self.directory.instances);
            if instances.insert(uuid, instance).is_some() {
                self.duplicate(&format!("{path}.id"), &part.id);
            }
        }
    }

    fn instance_id(&mut self, path: &str, text: &str) -> Option<(PartyId, PartyKey, Uuid)> {
        let Some((owner, uuid)) = text.split_once('/') else {
            let message = format!("{} is not the id of an instance", quoted(text));
            self.fault(path, message, "write `<party id>/<uuid>`");
            return None;
        };
        let uuid = self.uuid(path, uuid);
        let known =
            PartyId::parse(owner).and_then(|id| Some((id, *self.directory.by_id.get(&id)?)));
        let Some((id, key)) = known else {
            let message = format!("{} is not the party id of one of the parties", quoted(owner));
            self.fault(path, message, "give the owner among `parties` this `party_id`");
            return None;
        };
        Some((id, key, uuid?))
    }

    pub(super) fn delegations(&mut self, parts: Vec<DelegationPart>) {
        for (entry, (path, part)) in self.entries("delegations", parts).into_iter().enumerate() {
            let from = self.known_party(
                &path,
                ("from", part.from.as_deref()),
                ("from_person", part.from_person.as_ref()),
            );
            let to = self.known_party(
                &path,
                ("to", part.to.as_deref()),
                ("person", part.person.as_ref()),
            );
            let packages = self.packages(&format!("{path}.packages"), part.packages);
            for package in packages.iter().filter(|one| roles::is_from_register_only(one)) {
                let message = format!("`{package}` cannot be delegated by a client");
                let help = "it follows from a role in the register: add the role to `roles`";
                self.fault(&format!("{path}.packages"), message, help);
            }
            if packages.is_empty() && part.rights.is_empty() {
                self.fault(&path, "nothing is delegated", "name `packages` or `rights`");
            }
            let (Some(from), Some(to)) = (from, to) else { continue };
            if to == from {
                self.fault(&path, "a party delegates to another", "name another receiver");
            }
            let place = |right| Place::Delegation { entry, right };
            let rights = self.rights(&format!("{path}.rights"), part.rights, from, place);
            let delegations = Arc::make_mut(&mut self.directory.delegations);
            let delegated = Arc::new(Delegated { packages, rights });
            if delegations.insert((from, to), delegated).is_some() {
                let help = "write the packages and rights of one pair in one entry";
                self.fault(&path, "these two parties stand here twice", help);
            }
        }
    }

    /// A list of single rights that `giver` has given.
    pub(super) fn rights(
        &mut self,
        path: &str,
        parts: Vec<RightPart>,
        giver: PartyKey,
        place: impl Fn(usize) -> Place,
    ) -> SingleRights {
        let mut rights = SingleRights::default();
        for (index, (path, part)) in self.nested(path, parts).into_iter().enumerate() {
            let resource = self.resource(&format!("{path}.resource"), &part.resource);
            let actions = self.actions(&format!("{path}.actions"), part.actions);
            let task = self.name(&format!("{path}.task"), part.task);
            let Some(resource) = resource else { continue };
            let instance = part.instance.and_then(|text| {
                self.instance_of(&format!("{path}.instance"), &text, &resource, giver)
            });
            let right = SingleRight {
                resource,
                actions,
                instance,
                task: task.map(Arc::from),
                place: place(index),
            };
            if !rights.insert(right) {
                self.duplicate(&path, &part.resource);
            }
        }
        rights.shrink();
        rights
    }

    /// An instance of a resource; one of an app must be known, and the giver's own.
    fn instance_of(
        &mut self,
        path: &str,
        text: &str,
        resource: &ResourceId,
        giver: PartyKey,
    ) -> Option<Uuid> {
        let uuid = self.uuid(path, text)?;
        if app_of(resource.as_str()).is_none() {
            return Some(uuid);
        }
        match self.directory.instances.get(&uuid) {
            Some(instance) if instance.owner == giver && instance.resource == *resource => {
                Some(uuid)
            }
            Some(_) => {
                let message = "the instance is of another app, or belongs to another party";
                self.fault(path, message, "name an instance that the giver has of this app");
                None
            }
            None => {
                let message = format!("`{uuid}` is not among the instances");
                self.fault(path, message, "add it to `instances`");
                None
            }
        }
    }

    pub(super) fn delegation_policies(&mut self, parts: Vec<DelegationPolicyPart>) {
        for (path, part) in self.entries("delegation_policies", parts) {
            let giver = self.known_party(
                &path,
                ("from", part.from.as_deref()),
                ("from_person", part.from_person.as_ref()),
            );
            let receiver = self.receiver(&path, &part, giver);
            let resource = self.resource(&format!("{path}.resource"), &part.resource);
            let policy = self.document(&format!("{path}.file"), &part);
            let (Some(giver), Some(receiver), Some(resource)) = (giver, receiver, resource) else {
                continue;
            };
            let instance = match &part.instance {
                None => None,
                Some(text) => {
                    let path = format!("{path}.instance");
                    let Some(uuid) = self.instance_of(&path, text, &resource, giver) else {
                        continue;
                    };
                    Some(uuid)
                }
            };
            let Some(policy) = policy else { continue };
            self.about(&format!("{path}.file"), &part.file, &policy, (&resource, instance));
            self.note_receiver(&format!("{path}.file"), &part.file, &policy, receiver);
            let key = StoredKey { giver, receiver, resource };
            let stored = Arc::make_mut(&mut self.directory.stored).entry(key).or_default();
            if stored.iter().any(|one| one.instance == instance) {
                let help = "keep one policy for each giver, receiver, resource and instance";
                self.fault(&path, "this delegation stands here twice", help);
            } else {
                stored.push(StoredDelegation { instance, policy: Arc::new(policy) });
            }
        }
    }

    fn receiver(
        &mut self,
        path: &str,
        part: &DelegationPolicyPart,
        giver: Option<PartyKey>,
    ) -> Option<Receiver> {
        let Some(text) = part.system_user.as_deref() else {
            let to = self.known_party(
                path,
                ("to", part.to.as_deref()),
                ("person", part.person.as_ref()),
            )?;
            if Some(to) == giver {
                self.fault(path, "a party delegates to another", "name another receiver");
            }
            return Some(Receiver::Party(to));
        };
        if part.to.is_some() || part.person.is_some() {
            let message = "exactly one of `to`, `person` and `system_user` is needed";
            self.fault(path, message, "name one receiver");
            return None;
        }
        let path = format!("{path}.system_user");
        let id = SystemUserId::parse(text);
        let Some(user) = id.and_then(|id| self.directory.system_users.get(&id)) else {
            let message = format!("{} is not among the system users", quoted(text));
            self.fault(&path, message, "add it to `system_users`");
            return None;
        };
        let (kind, owner, id) = (user.kind, user.owner, user.id);
        if kind == SystemUserKind::Agent {
            let message = "single rights cannot be used for clients";
            self.fault(&path, message, "name a `standard` system user");
        }
        if giver.is_some_and(|giver| giver != PartyKey::Organization(owner)) {
            let message = format!("only its owner `{owner}` gives a system user single rights");
            self.fault(&path, message, "let the delegation be `from` the owner");
        }
        Some(Receiver::SystemUser(id))
    }

    fn document(&mut self, path: &str, part: &DelegationPolicyPart) -> Option<Policy> {
        let file = &part.file;
        match Policy::parse(&part.document) {
            Ok(policy) => Some(policy),
            Err(fault) => {
                let message = format!("{file}:{}:{}: {}", fault.line, fault.column, fault.message);
                self.fault(path, message, fault.help);
                None
            }
        }
    }

    /// What the document says it is about must be what the entry says.
    fn about(
        &mut self,
        path: &str,
        file: &str,
        policy: &Policy,
        (resource, instance): (&ResourceId, Option<Uuid>),
    ) {
        let named = |id: &str| policy.compared_with(&Category::Resource, id);
        let only =
            |id: &str, value: &str| named(id).iter().all(|named| named.eq_ignore_ascii_case(value));
        let by_id = named(RESOURCE);
        let is_about = match app_of(resource.as_str()) {
            Some((org, app)) => {
                let by_app = !named(ORG).is_empty() && !named(APP).is_empty();
                (!by_id.is_empty() || by_app)
                    && only(RESOURCE, resource.as_str())
                    && only(ORG, org)
                    && only(APP, app)
            }
            None => !by_id.is_empty() && only(RESOURCE, resource.as_str()),
        };
        if !is_about {
            let message = format!("{file}: the policy is not about `{resource}` alone");
            self.fault(path, message, "name the resource that its rules match");
        }
        let instances = named(RESOURCE_INSTANCE);
        let same_instance = match instance {
            Some(uuid) => only(RESOURCE_INSTANCE, &uuid.to_string()),
            None => instances.is_empty(),
        };
        if !same_instance {
            let message = format!("{file}: the policy is about another instance");
            self.fault(path, message, "let `instance` be the one that its rules match");
        }
    }

    /// A document that names nobody the receiver is called gives nothing.
    fn note_receiver(&mut self, path: &str, file: &str, policy: &Policy, receiver: Receiver) {
        let names = match receiver {
            Receiver::Party(key) => self.directory.names(key),
            Receiver::SystemUser(id) => {
                let subject = PdpSubject::SystemUser(id);
                vec![(subject.attribute_id(), subject.expose_value())]
            }
        };
        let is_named = names.iter().any(|(id, value)| {
            let compared = policy.compared_with(&Category::AccessSubject, id);
            compared.iter().any(|one| one.eq_ignore_ascii_case(value))
        });
        if !is_named {
            let message = format!("{file}: no rule names the receiver: it has no effect");
            self.note(path, message);
        }
    }
}
