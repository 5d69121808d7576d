//! The directory: who exists, who holds which role at whom, what was delegated, which system users,
//! access lists and clients there are. Facts only; what follows from them is `rights`' to say.
//!
//! Invariant: every organization, person and client that an entry refers to exists
//! ([`Directory::build`] is the only way in, and [`DirectoryHandle`](super::DirectoryHandle) keeps it).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::build;
use super::names::{PackageCode, RoleName};
use super::parts::{ClientKey, DirectoryFault, DirectoryParts};
use super::policies::PolicyStore;
use super::roles::RoleTable;
use crate::domain::{
    Action, OrganizationNumber, Party, PartyId, PersonNumber, ResourceId, Scope, SystemId,
    SystemUserId,
};
use crate::xacml::Policy;

/// Immutable; a change makes a new one.
#[derive(Clone)]
pub struct Directory {
    // Field by field plain to this room, which keeps the invariant of the module.
    pub(super) parties: HashMap<PartyKey, PartyEntry>,
    pub(super) by_uuid: HashMap<Uuid, PartyKey>,
    pub(super) by_id: HashMap<PartyId, PartyKey>,
    /// By client and holder.
    pub(super) roles: HashMap<(OrganizationNumber, PartyKey), BTreeSet<RoleName>>,
    pub(super) role_table: Arc<RoleTable>,
    /// By giver and receiver.
    pub(super) delegations: HashMap<(OrganizationNumber, PartyKey), Delegated>,
    pub(super) system_users: BTreeMap<SystemUserId, Arc<RegisteredSystemUser>>,
    pub(super) access_lists: HashMap<ResourceId, Vec<Arc<AccessList>>>,
    pub(super) resources: HashMap<ResourceId, AccessListMode>,
    pub(super) clients: BTreeMap<String, Arc<RegisteredClient>>,
    /// Where the file names a resource.
    pub(super) named_resources: Vec<(String, ResourceId)>,
    pub(super) notes: Vec<DirectoryNote>,
}

/// A party by its number in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartyKey {
    Organization(OrganizationNumber),
    Person(PersonNumber),
}

/// What is known of a party.
#[derive(Clone, Debug, Default)]
pub struct PartyEntry {
    pub name: Option<String>,
    /// The organization form, such as `AS`.
    pub organization_type: Option<String>,
    /// The main unit, if this is a subunit. A main unit has none itself.
    pub parent: Option<OrganizationNumber>,
    pub uuid: Option<Uuid>,
    pub id: Option<PartyId>,
}

/// What one party has given another.
#[derive(Clone, Default)]
pub(super) struct Delegated {
    pub(super) packages: BTreeSet<PackageCode>,
    pub(super) rights: SingleRights,
}

/// Single rights as Altinn keeps them: one policy per resource, already about its receiver.
pub(super) type SingleRights = HashMap<ResourceId, Arc<Policy>>;

/// For whom a system user acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemUserKind {
    /// For its owner.
    Standard,
    /// For clients of its owner.
    Agent,
}

/// A system user in the directory.
#[derive(Clone, Debug)]
pub struct RegisteredSystemUser {
    pub id: SystemUserId,
    pub name: Option<String>,
    pub kind: SystemUserKind,
    pub owner: OrganizationNumber,
    pub system_id: SystemId,
    pub vendor: OrganizationNumber,
    pub client_ids: Vec<String>,
    /// What a token request must name; the owner's number unless the file says otherwise.
    pub external_ref: String,
    pub(super) packages: BTreeSet<PackageCode>,
    pub(super) rights: SingleRights,
    pub(super) clients: BTreeMap<OrganizationNumber, BTreeSet<PackageCode>>,
}

impl RegisteredSystemUser {
    /// The clients an agent was given and the packages chosen for each, whether or not they still
    /// have effect.
    pub fn agent_clients(&self) -> &BTreeMap<OrganizationNumber, BTreeSet<PackageCode>> {
        &self.clients
    }
}

/// An access list as one resource sees it.
#[derive(Clone, Debug)]
pub(super) struct AccessList {
    /// What the file calls it. A list for several resources stands at each of them.
    pub(super) id: Arc<str>,
    pub(super) members: Arc<HashSet<OrganizationNumber>>,
    /// `None`: every action.
    pub(super) actions: Option<Vec<Action>>,
}

/// Whether a party must be on an access list of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AccessListMode {
    Enabled,
    #[default]
    Disabled,
}

/// A Maskinporten client, for the development issuer.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    pub id: String,
    pub organization: OrganizationNumber,
    pub key: ClientKey,
    pub scopes: Vec<Scope>,
}

/// Something in the file that is legal and has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryNote {
    pub path: String,
    pub message: String,
}

impl Directory {
    /// Checks and indexes what a file says. All faults are reported at once.
    pub fn build(parts: DirectoryParts) -> Result<Self, Vec<DirectoryFault>> {
        build::directory(parts)
    }

    /// Parts of the file that have no effect.
    pub fn notes(&self) -> &[DirectoryNote] {
        &self.notes
    }

    /// Resources that the directory names and no policy covers: a right to them decides nothing.
    pub fn unknown_resources(&self, policies: &PolicyStore) -> Vec<DirectoryFault> {
        let unknown = self.named_resources.iter().filter(|(_, id)| policies.policy(id).is_none());
        unknown
            .map(|(path, id)| DirectoryFault {
                path: path.clone(),
                message: format!("no resource policy covers `{id}`"),
                help: "add its policy to the resources folder, or correct the id".to_owned(),
            })
            .collect()
    }

    /// The party a question names, under whichever of its keys; `None` if it is not in the directory.
    pub fn party(&self, party: Party) -> Option<PartyKey> {
        let key = match party {
            Party::Organization(number) => PartyKey::Organization(number),
            Party::Person(number) => PartyKey::Person(number),
            Party::Uuid(uuid) => *self.by_uuid.get(&uuid)?,
            Party::Id(id) => *self.by_id.get(&id)?,
        };
        self.parties.contains_key(&key).then_some(key)
    }

    pub fn party_entry(&self, key: PartyKey) -> Option<&PartyEntry> {
        self.parties.get(&key)
    }

    pub fn system_user(&self, id: SystemUserId) -> Option<&Arc<RegisteredSystemUser>> {
        self.system_users.get(&id)
    }

    /// In the order of their ids.
    pub fn system_users(&self) -> impl Iterator<Item = &Arc<RegisteredSystemUser>> {
        self.system_users.values()
    }

    pub fn client(&self, id: &str) -> Option<&Arc<RegisteredClient>> {
        self.clients.get(id)
    }

    /// In the order of their ids.
    pub fn clients(&self) -> impl Iterator<Item = &Arc<RegisteredClient>> {
        self.clients.values()
    }

    /// The system user whose token this client may have: the one of this owner under this external
    /// reference, or, where none is given, under the owner's own number.
    pub fn granted(
        &self,
        client_id: &str,
        owner: OrganizationNumber,
        external_ref: Option<&str>,
    ) -> Option<&Arc<RegisteredSystemUser>> {
        let default = owner.to_string();
        let wanted = external_ref.unwrap_or(&default);
        self.system_users.values().find(|user| {
            user.owner == owner
                && user.external_ref == wanted
                && user.client_ids.iter().any(|id| id == client_id)
        })
    }

    pub fn access_list_mode(&self, resource: &ResourceId) -> AccessListMode {
        self.resources.get(resource).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Directory {
    /// Counts only: the rest may be long, and rights name persons in full.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("parties", &self.parties.len())
            .field("system_users", &self.system_users.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}
