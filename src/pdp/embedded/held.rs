//! What the directory holds, for those who look at it: pages, tests. Nothing here decides; `rights`
//! says what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::directory::{Directory, PartyKey, SingleRights};
use super::names::{PackageCode, RoleName};
use crate::domain::{OrganizationNumber, Party, ResourceId, SystemUserId};
use crate::xacml::{ACTION_ID, Category, Policy};

/// Where access packages and single rights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// What the first party has given the second.
    Delegated(PartyKey, PartyKey),
    /// What a system user has for its owner.
    SystemUser(SystemUserId),
}

/// Single rights to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRight {
    pub resource: ResourceId,
    /// In alphabetical order.
    pub actions: Vec<String>,
}

impl Directory {
    /// The packages that are held there, by themselves: what follows from roles is left out.
    pub fn packages_held(&self, holding: Holding) -> BTreeSet<PackageCode> {
        self.held(holding).map(|(packages, _)| packages.clone()).unwrap_or_default()
    }

    /// The single rights that are held there, in the order of their resources.
    pub fn rights_held(&self, holding: Holding) -> Vec<HeldRight> {
        let rights = self.held(holding).map(|(_, rights)| rights.iter()).into_iter().flatten();
        let mut rights: Vec<_> = rights.map(held_right).collect();
        rights.sort_by(|one, other| one.resource.as_str().cmp(other.resource.as_str()));
        rights
    }

    fn held(&self, holding: Holding) -> Option<(&BTreeSet<PackageCode>, &SingleRights)> {
        match holding {
            Holding::Delegated(PartyKey::Organization(from), to) => {
                let delegated = self.delegations.get(&(from, to))?;
                Some((&delegated.packages, &delegated.rights))
            }
            Holding::Delegated(PartyKey::Person(_), _) => None,
            Holding::SystemUser(id) => {
                let user = self.system_users.get(&id)?;
                Some((&user.packages, &user.rights))
            }
        }
    }

    /// The members of an access list; `None` if no resource has a list of this id.
    pub fn members_of_list(&self, id: &str) -> Option<BTreeSet<OrganizationNumber>> {
        let mut lists = self.access_lists.values().flatten();
        let list = lists.find(|list| *list.id == *id)?;
        Some(list.members.iter().copied().collect())
    }

    /// The roles in the register that the holder has at the client itself.
    pub fn register_roles(
        &self,
        client: OrganizationNumber,
        holder: PartyKey,
    ) -> BTreeSet<RoleName> {
        self.roles.get(&(client, holder)).cloned().unwrap_or_default()
    }
}

fn held_right((resource, policy): (&ResourceId, &Arc<Policy>)) -> HeldRight {
    let actions = policy.compared_with(&Category::Action, ACTION_ID);
    HeldRight {
        resource: resource.clone(),
        actions: actions.into_iter().map(str::to_owned).collect(),
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
