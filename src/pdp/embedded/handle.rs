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

use super::build::single_rights;
use super::directory::{
    Delegated, Directory, PartyKey, RegisteredSystemUser, SingleRights, SystemUserKind,
};
use super::held::Holding;
use super::limits::{MAX_ENTRIES, MAX_NESTED};
use super::names::{PackageCode, RoleName};
use super::policies::PolicyStore;
use super::roles;
use crate::domain::{Action, OrganizationNumber, Party, PdpSubject, ResourceId, SystemUserId};
use crate::xacml::{AttributeIs, Policy, Right};

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
    #[error("a person gives nothing here: an organization must")]
    FromPerson,
    #[error(
        "the client does not give `{0}` to the owner of the system user, neither by a role in the \
         register nor by a delegation"
    )]
    NotGiven(PackageCode),
    #[error("`{0}` follows from a role in the register: add the role instead")]
    FromRegisterOnly(PackageCode),
    #[error("no resource policy covers `{0}`")]
    UnknownResource(ResourceId),
    #[error("no access list of this id is for any resource")]
    UnknownAccessList,
    #[error("no package is named")]
    NoPackage,
    #[error("no action is named")]
    NoAction,
    #[error("there is nothing to take away: `{0}` is not held")]
    NothingToRevoke(String),
    #[error("the right to `{0}` is kept as a policy of its own: change that policy")]
    KeptAsPolicy(ResourceId),
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

    /// Gives single rights: to do this with a resource. What is held already stays.
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
            let mut rights = held.rights_to(resource)?;
            for (_, right) in held.named(resource, actions) {
                if !rights.contains(&right) {
                    rights.push(right);
                }
            }
            at_most(MAX_NESTED, rights.len())?;
            held.rights.insert(resource.clone(), policy_of(rights));
            at_most(MAX_NESTED, held.rights.len())
        })
    }

    /// Takes single rights back, all of them or none.
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
            let held = held(directory, holding)?;
            let mut rights = held.rights_to(resource)?;
            for (action, right) in held.named(resource, actions) {
                let place = rights.iter().position(|one| *one == right);
                let place = place.ok_or_else(|| nothing(format_args!("{action} {resource}")))?;
                rights.remove(place);
            }
            if rights.is_empty() {
                held.rights.remove(resource);
            } else {
                held.rights.insert(resource.clone(), policy_of(rights));
            }
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
            let roles = directory.roles.entry((client, holder)).or_default();
            roles.insert(role);
            at_most(MAX_NESTED, roles.len())?;
            at_most(MAX_ENTRIES, directory.roles.len())
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
            let mut roles = directory.register_roles(client, holder);
            if !roles.remove(role) {
                return Err(nothing(role));
            }
            if roles.is_empty() {
                directory.roles.remove(&(client, holder));
            } else {
                directory.roles.insert((client, holder), roles);
            }
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
    /// Whom the rights are about.
    subject: AttributeIs,
}

impl Held<'_> {
    /// The single rights to a resource, whichever part of it each is to.
    fn rights_to(&self, resource: &ResourceId) -> Result<Vec<Right>, ChangeFault> {
        let Some(policy) = self.rights.get(resource) else { return Ok(Vec::new()) };
        policy.as_rights().ok_or_else(|| ChangeFault::KeptAsPolicy(resource.clone()))
    }

    /// The single rights to the whole of a resource, one for each action.
    fn named<'a>(
        &self,
        resource: &ResourceId,
        actions: &'a [Action],
    ) -> impl Iterator<Item = (&'a Action, Right)> + use<'a> {
        let policy = single_rights(RIGHTS_ID, &self.subject, resource, actions);
        actions.iter().zip(policy.as_rights().unwrap_or_default())
    }
}

/// The id of the policies made of rights that were changed.
const RIGHTS_ID: &str = "changed-while-running";

fn policy_of(rights: Vec<Right>) -> Arc<Policy> {
    Arc::new(Policy::of_rights(RIGHTS_ID, rights))
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
            let PartyKey::Organization(from) = from else { return Err(ChangeFault::FromPerson) };
            if !directory.delegations.contains_key(&(from, to)) {
                at_most(MAX_ENTRIES, directory.delegations.len().saturating_add(1))?;
            }
            let Delegated { packages, rights } =
                directory.delegations.entry((from, to)).or_default();
            let subject = match to {
                PartyKey::Organization(number) => PdpSubject::Organization(number),
                PartyKey::Person(number) => PdpSubject::Person(number),
            };
            Ok(Held { packages, rights, subject: is(subject) })
        }
        Holding::SystemUser(id) => {
            let user = system_user(directory, id)?;
            match user.kind {
                SystemUserKind::Standard => {}
                SystemUserKind::Agent => return Err(ChangeFault::NotStandard),
            }
            let RegisteredSystemUser { packages, rights, .. } = Arc::make_mut(user);
            Ok(Held { packages, rights, subject: is(PdpSubject::SystemUser(id)) })
        }
    }
}

/// A pair between which nothing is left is none.
fn forget_if_empty(directory: &mut Directory, holding: Holding) {
    match holding {
        Holding::Delegated(PartyKey::Organization(from), to) => {
            let left = directory.delegations.get(&(from, to));
            if left.is_some_and(|left| left.packages.is_empty() && left.rights.is_empty()) {
                directory.delegations.remove(&(from, to));
            }
        }
        Holding::Delegated(PartyKey::Person(_), _) | Holding::SystemUser(_) => {}
    }
}

fn change_members(
    directory: &mut Directory,
    id: &str,
    change: impl FnOnce(&mut HashSet<OrganizationNumber>) -> Result<(), ChangeFault>,
) -> Result<(), ChangeFault> {
    let lists = directory.access_lists.values_mut().flatten();
    let mut lists = lists.filter(|list| *list.id == *id).peekable();
    let first = lists.peek().ok_or(ChangeFault::UnknownAccessList)?;
    let mut members = HashSet::clone(&first.members);
    change(&mut members)?;
    let members = Arc::new(members);
    for list in lists {
        Arc::make_mut(list).members = Arc::clone(&members);
    }
    Ok(())
}

fn is(subject: PdpSubject) -> AttributeIs {
    AttributeIs { id: subject.attribute_id().to_owned(), value: subject.expose_value() }
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
) -> Result<&mut Arc<RegisteredSystemUser>, ChangeFault> {
    directory.system_users.get_mut(&id).ok_or(ChangeFault::UnknownSystemUser)
}

fn agent(
    directory: &mut Directory,
    id: SystemUserId,
) -> Result<&mut RegisteredSystemUser, ChangeFault> {
    let user = system_user(directory, id)?;
    match user.kind {
        SystemUserKind::Agent => Ok(Arc::make_mut(user)),
        SystemUserKind::Standard => Err(ChangeFault::NotAnAgent),
    }
}
