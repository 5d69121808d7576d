//! What the directory holds, for those who look at it: pages, tests. Nothing here decides; `rights`
//! says what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::delegated::{SingleRight, SingleRights};
use super::directory::{Directory, PartyKey};
use super::names::{PackageCode, RoleName};
use crate::domain::{OrganizationNumber, Party, ResourceId, SystemUserId};

use uuid::Uuid;

/// Where access packages and single rights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// What the first party has given the second.
    Delegated(PartyKey, PartyKey),
    /// What a system user has for its owner.
    SystemUser(SystemUserId),
}

/// Single rights to one resource, or to one instance or task of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRight {
    pub resource: ResourceId,
    /// In alphabetical order.
    pub actions: Vec<String>,
    pub instance: Option<Uuid>,
    pub task: Option<Arc<str>>,
}

impl Directory {
    /// The packages that are held there, by themselves: what follows from roles is left out.
    pub fn packages_held(&self, holding: Holding) -> BTreeSet<PackageCode> {
        self.held(holding).map(|(packages, _)| packages.clone()).unwrap_or_default()
    }

    /// The single rights that are held there, in the order of their resources.
    pub fn rights_held(&self, holding: Holding) -> Vec<HeldRight> {
        let rights = self.held(holding).map(|(_, rights)| rights.iter()).into_iter().flatten();
        rights.map(held_right).collect()
    }

    fn held(&self, holding: Holding) -> Option<(&BTreeSet<PackageCode>, &SingleRights)> {
        match holding {
            Holding::Delegated(from, to) => {
                let delegated = self.delegations.get(&(from, to))?;
                Some((&delegated.packages, &delegated.rights))
            }
            Holding::SystemUser(id) => {
                let user = self.system_users.get(&id)?;
                Some((&user.packages, &user.rights))
            }
        }
    }

    /// The members of an access list, if there is one of this id.
    pub fn members_of_list(&self, id: &str) -> Option<BTreeSet<OrganizationNumber>> {
        self.members.get(id).map(|members| members.iter().copied().collect())
    }

    /// The roles in the register that the holder has at the client itself.
    pub fn register_roles(
        &self,
        client: OrganizationNumber,
        holder: PartyKey,
    ) -> BTreeSet<RoleName> {
        let held = self.roles.get(&(PartyKey::Organization(client), holder));
        held.map(|held| held.register.clone()).unwrap_or_default()
    }
}

fn held_right(right: &SingleRight) -> HeldRight {
    let mut actions: Vec<_> = right.actions.iter().map(|one| one.as_str().to_owned()).collect();
    actions.sort_unstable();
    HeldRight {
        resource: right.resource.clone(),
        actions,
        instance: right.instance,
        task: right.task.clone(),
    }
}

impl From<PartyKey> for Party {
    fn from(key: PartyKey) -> Self {
        match key {
            PartyKey::Organization(number) => Self::Organization(number),
            PartyKey::Person(number) => Self::Person(number),
        }
    }
}
