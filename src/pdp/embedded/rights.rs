//! What a subject holds for a party, worked out from the facts at each question: nothing here is
//! remembered, so nothing outlives what it rests on.
//!
//! A subunit has no rights of its own to give: whatever holds for its main unit holds for it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::delegated::{Receiver, SingleRights, StoredKey};
use super::directory::{
    AccessListMode, Directory, HeldRoles, PartyKey, RegisteredSystemUser, SystemUserKind,
};
use super::names::PackageCode;
use crate::domain::{Action, OrganizationNumber, PdpSubject, ResourceId, SystemUserId};
use crate::xacml::{AttributeIs, Policy};

impl Directory {
    /// The access packages a system user holds for a party.
    ///
    /// A standard one holds its own packages for its owner. An agent holds, for each client it was
    /// given, those of the chosen packages that the client gives the agent's owner *now*.
    pub fn packages_of_system_user(
        &self,
        id: SystemUserId,
        party: PartyKey,
    ) -> BTreeSet<PackageCode> {
        let Some(user) = self.system_users.get(&id) else { return BTreeSet::new() };
        let mut held = BTreeSet::new();
        for unit in self.units(party) {
            match user.kind {
                SystemUserKind::Standard if unit == PartyKey::Organization(user.owner) => {
                    held.extend(user.packages.iter().cloned());
                }
                SystemUserKind::Standard => {}
                SystemUserKind::Agent => held.extend(self.packages_of_agent(user, unit)),
            }
        }
        held
    }

    fn packages_of_agent(
        &self,
        user: &RegisteredSystemUser,
        client: PartyKey,
    ) -> BTreeSet<PackageCode> {
        let PartyKey::Organization(client) = client else { return BTreeSet::new() };
        let Some(chosen) = user.clients.get(&client) else { return BTreeSet::new() };
        let given = self.packages_given(client, PartyKey::Organization(user.owner));
        chosen.intersection(&given).cloned().collect()
    }

    /// The access packages a person holds for a party: through roles in the register, and by
    /// delegation.
    pub fn packages_of_person(&self, person: PartyKey, party: PartyKey) -> BTreeSet<PackageCode> {
        self.packages_from(party, person)
    }

    /// The access packages a client gives another party: by the role that party has in the register,
    /// and by delegation.
    pub fn packages_given(
        &self,
        client: OrganizationNumber,
        to: PartyKey,
    ) -> BTreeSet<PackageCode> {
        self.packages_from(PartyKey::Organization(client), to)
    }

    fn packages_from(&self, giver: PartyKey, to: PartyKey) -> BTreeSet<PackageCode> {
        let mut given = BTreeSet::new();
        for unit in self.units(giver) {
            let entry = self.parties.get(&unit);
            let unit_type = entry.and_then(|entry| entry.organization_type.as_deref());
            for role in self.roles.get(&(unit, to)).iter().flat_map(|held| &held.register) {
                given.extend(self.role_table.packages(role, unit_type).cloned());
            }
            if let Some(delegated) = self.delegations.get(&(unit, to)) {
                given.extend(delegated.packages.iter().cloned());
            }
        }
        given
    }

    /// The roles a person has at a party, and at its main unit.
    pub(super) fn roles_of_person(
        &self,
        person: PartyKey,
        party: PartyKey,
    ) -> impl Iterator<Item = &HeldRoles> {
        self.units(party).filter_map(move |unit| self.roles.get(&(unit, person)))
    }

    /// The organizations that a person acts for as a whole.
    pub(super) fn key_units(&self, person: PartyKey) -> impl Iterator<Item = PartyKey> {
        let units = self.key_units.get(&person).into_iter().flatten();
        units.copied().map(PartyKey::Organization)
    }

    /// What a system user may do by delegation: what its owner may, never what a client may.
    pub(super) fn delegated_to_system_user(
        &self,
        id: SystemUserId,
        party: PartyKey,
        resource: &ResourceId,
        instance: Option<Uuid>,
    ) -> impl Iterator<Item = Cow<'_, Policy>> {
        let user = self.system_users.get(&id);
        let owner = user.map(|user| PartyKey::Organization(user.owner));
        let units = self.units(party).filter(move |unit| Some(*unit) == owner);
        units.flat_map(move |unit| {
            let rights = user.map(|user| &user.rights);
            let single = singles(rights, PdpSubject::SystemUser(id), resource, instance);
            single.chain(self.stored(unit, Receiver::SystemUser(id), resource, instance))
        })
    }

    /// What a party has given an organization or a person by delegation.
    pub(super) fn delegated_to_party(
        &self,
        to: PartyKey,
        party: PartyKey,
        resource: &ResourceId,
        instance: Option<Uuid>,
    ) -> impl Iterator<Item = Cow<'_, Policy>> {
        let subject = match to {
            PartyKey::Organization(number) => PdpSubject::Organization(number),
            PartyKey::Person(number) => PdpSubject::Person(number),
        };
        self.units(party).flat_map(move |unit| {
            let rights = self.delegations.get(&(unit, to)).map(|delegated| &delegated.rights);
            let single = singles(rights, subject, resource, instance);
            single.chain(self.stored(unit, Receiver::Party(to), resource, instance))
        })
    }

    fn stored(
        &self,
        giver: PartyKey,
        receiver: Receiver,
        resource: &ResourceId,
        instance: Option<Uuid>,
    ) -> impl Iterator<Item = Cow<'_, Policy>> + use<'_> {
        let key = StoredKey { giver, receiver, resource: resource.clone() };
        let stored = self.stored.get(&key).map_or(&[][..], Vec::as_slice);
        let here = stored.iter().filter(move |one| one.is_for(instance));
        here.map(|one| Cow::Borrowed(&*one.policy))
    }

    /// Whether the access lists of the resource let the party through. Where several actions were
    /// asked for at once, each must be on a list.
    pub(super) fn passes_access_list(
        &self,
        resource: &ResourceId,
        party: Option<PartyKey>,
        actions: &[&str],
    ) -> bool {
        match self.access_list_mode(resource) {
            AccessListMode::Disabled => return true,
            AccessListMode::Enabled => {}
        }
        let Some(PartyKey::Organization(number)) = party else { return false };
        let lists = self.access_lists.get(resource).map_or(&[][..], Vec::as_slice);
        let on_list = |action: &str| {
            lists.iter().any(|list| {
                self.is_member(&list.id, number)
                    && list.actions.as_ref().is_none_or(|allowed| {
                        allowed.iter().map(Action::as_str).any(|one| one == action)
                    })
            })
        };
        !actions.is_empty() && actions.iter().all(|action| on_list(action))
    }

    pub(super) fn is_member(&self, list: &Arc<str>, number: OrganizationNumber) -> bool {
        self.members.get(list).is_some_and(|members| members.contains(&number))
    }

    /// The ids of the access lists an organization is on, whatever resources they are for.
    pub(super) fn access_lists_of(&self, party: PartyKey) -> impl Iterator<Item = &Arc<str>> {
        let number = match party {
            PartyKey::Organization(number) => Some(number),
            PartyKey::Person(_) => None,
        };
        let on_list = move |members: &HashSet<OrganizationNumber>| {
            number.is_some_and(|number| members.contains(&number))
        };
        self.members.iter().filter(move |(_, members)| on_list(members)).map(|(id, _)| id)
    }

    /// The same, where only organizations count.
    pub(super) fn organizations(
        &self,
        party: PartyKey,
    ) -> impl Iterator<Item = OrganizationNumber> {
        self.units(party).filter_map(|unit| match unit {
            PartyKey::Organization(number) => Some(number),
            PartyKey::Person(_) => None,
        })
    }

    /// The party itself and, for a subunit, its main unit.
    pub(super) fn units(&self, party: PartyKey) -> impl Iterator<Item = PartyKey> + use<> {
        let main = self.parties.get(&party).and_then(|entry| entry.parent);
        std::iter::once(party).chain(main.map(PartyKey::Organization))
    }
}

fn singles<'d>(
    rights: Option<&'d SingleRights>,
    subject: PdpSubject,
    resource: &ResourceId,
    instance: Option<Uuid>,
) -> impl Iterator<Item = Cow<'d, Policy>> + use<'d> {
    let rights = rights.map_or(&[][..], |rights| rights.of(resource));
    rights.iter().filter(move |right| right.is_for(instance)).map(move |right| {
        let id = subject.attribute_id().to_owned();
        Cow::Owned(right.policy(&AttributeIs { id, value: subject.expose_value() }))
    })
}
