//! What a subject holds for a party, worked out from the facts at each question: nothing here is
//! remembered, so nothing outlives what it rests on.
//!
//! A subunit has no rights of its own to give: whatever holds for its main unit holds for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::directory::{
    AccessListMode, Directory, PartyKey, RegisteredSystemUser, SingleRights, SystemUserKind,
};
use super::names::{PackageCode, RoleName};
use crate::domain::{Action, OrganizationNumber, ResourceId, SystemUserId};
use crate::xacml::Policy;

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
                SystemUserKind::Standard if unit == user.owner => {
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
        client: OrganizationNumber,
    ) -> BTreeSet<PackageCode> {
        let Some(chosen) = user.clients.get(&client) else { return BTreeSet::new() };
        let given = self.packages_given(client, PartyKey::Organization(user.owner));
        chosen.intersection(&given).cloned().collect()
    }

    /// The access packages a person holds for a party: through roles in the register, and by
    /// delegation.
    pub fn packages_of_person(&self, person: PartyKey, party: PartyKey) -> BTreeSet<PackageCode> {
        match party {
            PartyKey::Organization(client) => self.packages_given(client, person),
            PartyKey::Person(_) => BTreeSet::new(),
        }
    }

    /// The access packages a client gives another party: by the role that party has in the register,
    /// and by delegation.
    pub fn packages_given(
        &self,
        client: OrganizationNumber,
        to: PartyKey,
    ) -> BTreeSet<PackageCode> {
        let mut given = BTreeSet::new();
        for unit in self.units(PartyKey::Organization(client)) {
            let entry = self.parties.get(&PartyKey::Organization(unit));
            let unit_type = entry.and_then(|entry| entry.organization_type.as_deref());
            for role in self.roles.get(&(unit, to)).into_iter().flatten() {
                given.extend(self.role_table.packages(role, unit_type).cloned());
            }
            if let Some(delegated) = self.delegations.get(&(unit, to)) {
                given.extend(delegated.packages.iter().cloned());
            }
        }
        given
    }

    /// The roles a person has at a party.
    pub(super) fn roles_of_person(&self, person: PartyKey, party: PartyKey) -> BTreeSet<RoleName> {
        let at = self.units(party).filter_map(|unit| self.roles.get(&(unit, person)));
        at.flatten().cloned().collect()
    }

    /// The single rights of a system user: to what its owner may do, never to what a client may.
    pub(super) fn single_rights_of_system_user(
        &self,
        id: SystemUserId,
        party: PartyKey,
        resource: &ResourceId,
    ) -> Option<&Arc<Policy>> {
        let user = self.system_users.get(&id)?;
        let is_owners = self.units(party).any(|unit| unit == user.owner);
        user.rights.get(resource).filter(|_| is_owners)
    }

    /// The single rights a party has given an organization or a person.
    pub(super) fn single_rights_given(
        &self,
        party: PartyKey,
        to: PartyKey,
        resource: &ResourceId,
    ) -> impl Iterator<Item = &Arc<Policy>> {
        self.units(party)
            .filter_map(move |unit| self.delegations.get(&(unit, to)))
            .map(|delegated| &delegated.rights)
            .filter_map(|rights: &SingleRights| rights.get(resource))
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
                list.members.contains(&number)
                    && list.actions.as_ref().is_none_or(|allowed| {
                        allowed.iter().map(Action::as_str).any(|one| one == action)
                    })
            })
        };
        !actions.is_empty() && actions.iter().all(|action| on_list(action))
    }

    /// The party itself and, for a subunit, its main unit. Persons have neither.
    fn units(&self, party: PartyKey) -> impl Iterator<Item = OrganizationNumber> + use<> {
        let own = match party {
            PartyKey::Organization(number) => Some(number),
            PartyKey::Person(_) => None,
        };
        let main = self.parties.get(&party).and_then(|entry| entry.parent);
        own.into_iter().chain(main)
    }
}
