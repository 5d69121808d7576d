//! Changes to the directory while it is in use: what a provider does in Altinn when it is given a
//! client, or loses one. Each change makes a new directory; a question under way keeps the old.
//!
//! Changes live in memory only. They are for tests, demonstrations and the development PDP.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::directory::{Directory, PartyKey, RegisteredSystemUser, SystemUserKind};
use super::names::PackageCode;
use super::roles;
use crate::domain::{OrganizationNumber, SystemUserId};

/// A way to the directory of an [`EmbeddedPdp`](super::EmbeddedPdp). Clones change the same one.
#[derive(Clone, Debug)]
pub struct DirectoryHandle {
    current: Arc<ArcSwap<Directory>>,
    /// Held while a change is made, so that no change is lost; readers never wait for it.
    changing: Arc<Mutex<()>>,
}

/// Why a change was not made. The directory is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeFault {
    #[error("there is no such system user")]
    UnknownSystemUser,
    #[error("the system user acts for its owner, not for clients")]
    NotAnAgent,
    #[error("there is no such party")]
    UnknownParty,
    #[error("a party delegates to another")]
    ToItself,
    #[error("the client does not give `{0}` to the owner of the system user")]
    NotGiven(PackageCode),
    #[error("`{0}` follows from a role in the register and cannot be delegated")]
    FromRegisterOnly(PackageCode),
    #[error("no package is named")]
    NoPackage,
    #[error("there is nothing to take away")]
    NothingToRevoke,
}

impl DirectoryHandle {
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(directory)),
            changing: Arc::new(Mutex::new(())),
        }
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
            agent(directory, system_user)?.clients.entry(client).or_default().extend(packages);
            Ok(())
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
            removed.map(|_| ()).ok_or(ChangeFault::NothingToRevoke)
        })
    }

    /// Lets a business give an access package to another organization, or to a person.
    pub fn grant_package(
        &self,
        from: OrganizationNumber,
        to: PartyKey,
        package: PackageCode,
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            known(directory, PartyKey::Organization(from))?;
            known(directory, to)?;
            if to == PartyKey::Organization(from) {
                return Err(ChangeFault::ToItself);
            }
            if roles::is_from_register_only(&package) {
                return Err(ChangeFault::FromRegisterOnly(package));
            }
            directory.delegations.entry((from, to)).or_default().packages.insert(package);
            Ok(())
        })
    }

    /// Takes a delegated package back. What rests on it ends with it; links of agents stay, without
    /// effect, and come to life again if the package is given anew.
    pub fn revoke_package(
        &self,
        from: OrganizationNumber,
        to: PartyKey,
        package: &PackageCode,
    ) -> Result<(), ChangeFault> {
        self.change(|directory| {
            let delegated = directory.delegations.get_mut(&(from, to));
            let removed = delegated.is_some_and(|one| one.packages.remove(package));
            if removed { Ok(()) } else { Err(ChangeFault::NothingToRevoke) }
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

fn known(directory: &Directory, party: PartyKey) -> Result<(), ChangeFault> {
    directory.party_entry(party).map(|_| ()).ok_or(ChangeFault::UnknownParty)
}

fn agent(
    directory: &mut Directory,
    id: SystemUserId,
) -> Result<&mut RegisteredSystemUser, ChangeFault> {
    let user = directory.system_users.get_mut(&id).ok_or(ChangeFault::UnknownSystemUser)?;
    match user.kind {
        SystemUserKind::Agent => Ok(Arc::make_mut(user)),
        SystemUserKind::Standard => Err(ChangeFault::NotAnAgent),
    }
}
