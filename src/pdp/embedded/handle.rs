//! Changes to the directory while it is in use: what a provider does in Altinn when it is given a
//! client, or loses one; what a business gives and takes back; what the registers come to say. Each
//! change is made whole or not at all, and makes a new directory; a question under way keeps the old.
//!
//! What the file would refuse is refused here. Changes live in memory only. They are for tests,
//! demonstrations and the development PDP.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::delegated::{Delegated, SingleRights};
use super::directory::{Directory, PartyKey, RegisteredSystemUser, SystemUserKind};
use super::holding::Holding;
use super::limits::{MAX_ENTRIES, MAX_NESTED};
use super::names::{PackageCode, RoleName};
use super::policies::PolicyStore;
use super::roles;
use crate::domain::{Action, OrganizationNumber, Party, ResourceId, SystemUserId};

/// A way to the directory of an [`EmbeddedPdp`](super::EmbeddedPdp). Clones change the same one.
#[derive(Clone, Debug)]
pub struct DirectoryHandle {
    current: Arc<ArcSwap<Directory>>,
    /// Held while a change is made, so that no change is lost; readers never wait for it.
    changing: Arc<Mutex<()>>,
    /// Which resources a right can be to.
    policies: Arc<ArcSwap<PolicyStore>>,
}

/// Why a change was not made. The directory is as before. Persons are masked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeFault {
    #[error("the directory has no such system user")]
    UnknownSystemUser,
    #[error(
        "the system user is `standard`: it acts for its owner, with packages and rights of its own, \
         and has no clients"
    )]
    NotAnAgent,
    #[error(
        "the system user is an `agent`: it acts for clients, with packages chosen when each is \
         linked, and holds no packages or rights of its own"
    )]
    NotStandard,
    #[error("`{0}` is not among the parties of the directory")]
    UnknownParty(Party),
    #[error("a party delegates to another, not to itself")]
    ToItself,
    #[error(
        "the client does not give `{0}` to the owner of the system user, neither by a role in the \
         register nor by a delegation"
    )]
    NotGiven(PackageCode),
    #[error("`{0}` follows from a role in the register: add the role instead")]
    FromRegisterOnly(PackageCode),
    #[error("no resource policy covers `{0}`")]
    UnknownResource(ResourceId),
    #[error("the directory has no access list of this id")]
    UnknownAccessList,
    #[error("no package is named")]
    NoPackage,
    #[error("no action is named")]
    NoAction,
    #[error("there is nothing to take away: `{0}` is not held")]
    NothingToRevoke(String),
    #[error("the list would be longer than a directory may be: take something away first")]
    TooMany,
}

impl DirectoryHandle {
    pub(super) fn new(directory: Directory, policies: Arc<PolicyStore>) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(directory)),
            changing: Arc::new(Mutex::new(())),
            policies: Arc::new(ArcSwap::new(policies)),
        }
    }

    /// Holds changes against these policies from now on.
    pub(super) fn use_policies(&self, policies: Arc<PolicyStore>) {
        self.policies.store(policies);
    }

    /// The directory as it is now.
    pub fn current(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    /// Gives an agent a client, with these packages, in addition to those it has for it. The client
    /// must give each of them to the agent's owner.
    pub fn link_client(
        &self,
        system_user: SystemUserId,
        client: OrganizationNumber,
        packages: impl IntoIterator<Item = PackageCode>,
    ) -> Result<(), ChangeFault> {
        let packages: BTreeSet<_> = packages.into_iter().collect();
        self.change(|directory| {
            if packages.is_empty() {
                return Err(ChangeFault::NoPackage);
            }
            known(directory, PartyKey::Organization(client))?;
            let owner = agent(directory, system_user)?.owner;
            let given = directory.packages_given(client, PartyKey::Organization(owner));
            if let Some(missing) = packages.difference(&given).next() {
                return Err(ChangeFault::NotGiven(missing.clone()));
            }
            let clients = &mut agent(directory, system_user)?.clients;
            let chosen = clients.entry(client).or_default();
            chosen.extend(packages);
            at_most(MAX_NESTED, chosen.len())?;
            at_most(MAX_NESTED, clients.len())
        })
    }

    /// Takes a client from an agent.
    pub fn unlink_client(
        &self,
        system_user: SystemUserId,
        client: OrganizationNumber,
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            let removed = agent(directory, system_user)?.clients.remove(&client);
            removed.map(|_| ()).ok_or_else(|| nothing(client))
        })
    }

    /// Gives access packages: a business to another party, or an owner to its standard system user.
    /// What is held already stays.
    pub fn grant_packages(
        &self,
        holding: Holding,
        packages: impl IntoIterator<Item = PackageCode>,
    ) -> Result<(), ChangeFault> {
        let packages: BTreeSet<_> = packages.into_iter().collect();
        self.change(|directory| {
            if packages.is_empty() {
                return Err(ChangeFault::NoPackage);
            }
            if let Some(fixed) = packages.iter().find(|one| roles::is_from_register_only(one)) {
                return Err(ChangeFault::FromRegisterOnly(fixed.clone()));
            }
            let held = held(directory, holding)?;
            held.packages.extend(packages);
            at_most(MAX_NESTED, held.packages.len())
        })
    }

    /// Takes access packages back, all of them or none. What rests on them ends with them; links of
    /// agents stay, without effect, and come to life again if the package is given anew.
    pub fn revoke_packages(
        &self,
        holding: Holding,
        packages: impl IntoIterator<Item = PackageCode>,
    ) -> Result<(), ChangeFault> {
        let packages: BTreeSet<_> = packages.into_iter().collect();
        self.change(|directory| {
            if packages.is_empty() {
                return Err(ChangeFault::NoPackage);
            }
            let held = held(directory, holding)?;
            for package in packages {
                if !held.packages.remove(&package) {
                    return Err(nothing(package));
                }
            }
            forget_if_empty(directory, holding);
            Ok(())
        })
    }

    /// Gives single rights: to do this with the whole of a resource. What is held already stays.
    pub fn grant_right(
        &self,
        holding: Holding,
        resource: &ResourceId,
        actions: &[Action],
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            if actions.is_empty() {
                return Err(ChangeFault::NoAction);
            }
            if self.policies.load().policy(resource).is_none() {
                return Err(ChangeFault::UnknownResource(resource.clone()));
            }
            let held = held(directory, holding)?;
            at_most(MAX_NESTED, held.rights.grant(resource, actions))?;
            at_most(MAX_NESTED, held.rights.len())
        })
    }

    /// Takes single rights to the whole of a resource back, all of them or none.
    pub fn revoke_right(
        &self,
        holding: Holding,
        resource: &ResourceId,
        actions: &[Action],
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            if actions.is_empty() {
                return Err(ChangeFault::NoAction);
            }
            let revoked = held(directory, holding)?.rights.revoke(resource, actions);
            revoked.map_err(|action| nothing(format_args!("{action} {resource}")))?;
            forget_if_empty(directory, holding);
            Ok(())
        })
    }

    /// Puts an organization on an access list, for every resource of the list. Who is on it stays.
    pub fn add_member(&self, list: &str, member: OrganizationNumber) -> Result<(), ChangeFault> {
        self.change(|directory| {
            known(directory, PartyKey::Organization(member))?;
            change_members(directory, list, |members| {
                members.insert(member);
                at_most(MAX_ENTRIES, members.len())
            })
        })
    }

    /// Takes an organization off an access list, for every resource of the list.
    pub fn remove_member(&self, list: &str, member: OrganizationNumber) -> Result<(), ChangeFault> {
        self.change(|directory| {
            change_members(directory, list, |members| {
                if members.remove(&member) { Ok(()) } else { Err(nothing(member)) }
            })
        })
    }

    /// Enters a role in the register: what `holder` is to `client`. One that stands there stays.
    pub fn add_role(
        &self,
        client: OrganizationNumber,
        role: RoleName,
        holder: PartyKey,
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            known(directory, PartyKey::Organization(client))?;
            known(directory, holder)?;
            let client = PartyKey::Organization(client);
            let all = Arc::make_mut(&mut directory.roles);
            let roles = &mut all.entry((client, holder)).or_default().register;
            roles.insert(role);
            at_most(MAX_NESTED, roles.len())?;
            at_most(MAX_ENTRIES, all.len())?;
            directory.roles_changed(client, holder);
            Ok(())
        })
    }

    /// Strikes a role from the register. What rests on it ends with it.
    pub fn strike_role(
        &self,
        client: OrganizationNumber,
        role: &RoleName,
        holder: PartyKey,
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            known(directory, PartyKey::Organization(client))?;
            known(directory, holder)?;
            let client = PartyKey::Organization(client);
            let all = Arc::make_mut(&mut directory.roles);
            let Some(held) = all.get_mut(&(client, holder)) else { return Err(nothing(role)) };
            if !held.register.remove(role) {
                return Err(nothing(role));
            }
            if held.is_empty() {
                all.remove(&(client, holder));
            }
            directory.roles_changed(client, holder);
            Ok(())
        })
    }

    /// Takes another directory into use, whole.
    pub fn replace(&self, directory: Directory) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.store(Arc::new(directory));
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Directory) -> Result<(), ChangeFault>,
    ) -> Result<(), ChangeFault> {
        // The mutex guards no data, only the order of changes: a poisoned one is as good.
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut directory = Directory::clone(&self.current.load());
        change(&mut directory)?;
        self.current.store(Arc::new(directory));
        Ok(())
    }
}

/// What is held in one place, to be changed.
struct Held<'d> {
    packages: &'d mut BTreeSet<PackageCode>,
    rights: &'d mut SingleRights,
}

/// The place; an empty one is made where there is none yet.
fn held(directory: &mut Directory, holding: Holding) -> Result<Held<'_>, ChangeFault> {
    match holding {
        Holding::Delegated(from, to) => {
            known(directory, from)?;
            known(directory, to)?;
            if from == to {
                return Err(ChangeFault::ToItself);
            }
            if !directory.delegations.contains_key(&(from, to)) {
                at_most(MAX_ENTRIES, directory.delegations.len().saturating_add(1))?;
            }
            let Delegated { packages, rights } = directory.delegated(from, to);
            Ok(Held { packages, rights })
        }
        Holding::SystemUser(id) => {
            let user = system_user(directory, id)?;
            match user.kind {
                SystemUserKind::Standard => {}
                SystemUserKind::Agent => return Err(ChangeFault::NotStandard),
            }
            let RegisteredSystemUser { packages, rights, .. } = user;
            Ok(Held { packages, rights })
        }
    }
}

/// A pair between which nothing is left is none.
fn forget_if_empty(directory: &mut Directory, holding: Holding) {
    match holding {
        Holding::Delegated(from, to) => {
            let left = directory.delegations.get(&(from, to));
            if left.is_some_and(|left| left.packages.is_empty() && left.rights.is_empty()) {
                Arc::make_mut(&mut directory.delegations).remove(&(from, to));
            }
        }
        Holding::SystemUser(_) => {}
    }
}

fn change_members(
    directory: &mut Directory,
    id: &str,
    change: impl FnOnce(&mut HashSet<OrganizationNumber>) -> Result<(), ChangeFault>,
) -> Result<(), ChangeFault> {
    let lists = Arc::make_mut(&mut directory.members);
    let members = lists.get_mut(id).ok_or(ChangeFault::UnknownAccessList)?;
    change(Arc::make_mut(members))
}

fn nothing(what: impl Display) -> ChangeFault {
    ChangeFault::NothingToRevoke(what.to_string())
}

fn at_most(max_count: usize, count: usize) -> Result<(), ChangeFault> {
    if count <= max_count { Ok(()) } else { Err(ChangeFault::TooMany) }
}

fn known(directory: &Directory, party: PartyKey) -> Result<(), ChangeFault> {
    let entry = directory.party_entry(party);
    entry.map(|_| ()).ok_or_else(|| ChangeFault::UnknownParty(party.into()))
}

fn system_user(
    directory: &mut Directory,
    id: SystemUserId,
) -> Result<&mut RegisteredSystemUser, ChangeFault> {
    directory.system_user_mut(id).ok_or(ChangeFault::UnknownSystemUser)
}

fn agent(
    directory: &mut Directory,
    id: SystemUserId,
) -> Result<&mut RegisteredSystemUser, ChangeFault> {
    let user = system_user(directory, id)?;
    match user.kind {
        SystemUserKind::Agent => Ok(user),
        SystemUserKind::Standard => Err(ChangeFault::NotAnAgent),
    }
}
