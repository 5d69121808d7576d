//! The directory: who exists, who holds which role at whom, what was delegated, which system users,
//! access lists and clients there are. Facts only; what follows from them is `rights`' to say.
//!
//! Invariant: every organization, person and client that an entry refers to exists
//! ([`Directory::build`] is the only way in, and [`DirectoryHandle`](super::DirectoryHandle) keeps it).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::attributes::{
    ORGANIZATION, ORGANIZATION_UUID, PARTY_ID, PARTY_UUID, PERSON, PERSON_UUID, USER_ID,
};
use super::build;
use super::delegated::{Delegated, SingleRights, StoredDelegation, StoredKey};
use super::names::{PackageCode, RoleName, UserId};
use super::parts::{ClientKey, DirectoryFault, DirectoryParts};
use super::policies::PolicyStore;
use super::roles::{self, RoleTable};
use crate::domain::{
    Action, OrganizationNumber, Party, PartyId, PersonNumber, ResourceId, Scope, SystemId,
    SystemUserId, nearest,
};

/// Immutable; a change makes a new one, which shares with the old what did not change.
#[derive(Clone)]
pub struct Directory {
    // Field by field plain to this room, which keeps the invariant of the module.
    pub(super) parties: Arc<HashMap<PartyKey, PartyEntry>>,
    pub(super) by_uuid: Arc<HashMap<Uuid, PartyKey>>,
    pub(super) by_id: Arc<HashMap<PartyId, PartyKey>>,
    pub(super) by_user: Arc<HashMap<UserId, PartyKey>>,
    /// By client and holder.
    pub(super) roles: Arc<HashMap<(PartyKey, PartyKey), HeldRoles>>,
    /// The organizations at which a person has a key role.
    pub(super) key_units: Arc<HashMap<PartyKey, BTreeSet<OrganizationNumber>>>,
    pub(super) role_table: Arc<RoleTable>,
    /// By giver and receiver.
    pub(super) delegations: Arc<HashMap<(PartyKey, PartyKey), Arc<Delegated>>>,
    pub(super) stored: Arc<HashMap<StoredKey, Vec<StoredDelegation>>>,
    /// By the uuid of their id.
    pub(super) instances: Arc<HashMap<Uuid, AppInstance>>,
    pub(super) system_users: Arc<BTreeMap<SystemUserId, Arc<RegisteredSystemUser>>>,
    pub(super) access_lists: Arc<HashMap<ResourceId, Vec<AccessList>>>,
    /// The members of each access list.
    pub(super) members: Arc<BTreeMap<Arc<str>, Arc<HashSet<OrganizationNumber>>>>,
    pub(super) resources: Arc<HashMap<ResourceId, AccessListMode>>,
    pub(super) clients: Arc<BTreeMap<String, Arc<RegisteredClient>>>,
    /// Where the file names a resource.
    pub(super) named_resources: Arc<Vec<(String, ResourceId)>>,
    pub(super) notes: Arc<Vec<DirectoryNote>>,
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
    /// Persons only.
    pub user: Option<UserId>,
}

/// The roles one holder has at one client.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldRoles {
    /// In the Register of Legal Entities.
    pub(super) register: BTreeSet<RoleName>,
    /// Of the old Altinn: as written, by the same in lower case.
    pub(super) codes: BTreeMap<String, Arc<str>>,
    /// What an heir may do for a deceased person.
    pub(super) estate: BTreeSet<Arc<str>>,
}

impl HeldRoles {
    pub(super) fn is_empty(&self) -> bool {
        self.register.is_empty() && self.codes.is_empty() && self.estate.is_empty()
    }
}

/// An instance of an Altinn app.
#[derive(Clone, Debug)]
pub(super) struct AppInstance {
    pub(super) owner: PartyKey,
    pub(super) owner_id: PartyId,
    pub(super) resource: ResourceId,
    pub(super) task: Option<Arc<str>>,
    pub(super) end_event: Option<Arc<str>>,
}

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
    /// `None`: every action.
    pub(super) actions: Option<Arc<[Action]>>,
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

    /// Resources that the directory names and no policy covers, each where it stands first: a right to
    /// them decides nothing.
    pub fn unknown_resources(&self, policies: &PolicyStore) -> Vec<DirectoryFault> {
        let mut told = BTreeSet::new();
        let unknown = self.named_resources.iter().filter(|(_, id)| policies.policy(id).is_none());
        unknown
            .filter(|(_, id)| told.insert(id))
            .map(|(path, id)| DirectoryFault {
                path: path.clone(),
                message: format!("no resource policy covers `{id}`"),
                help: match nearest(id.as_str(), policies.resources().map(ResourceId::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "add its policy to the resources folder, or correct the id".to_owned(),
                },
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

    /// The person whose profile has this number.
    pub fn user(&self, id: UserId) -> Option<PartyKey> {
        self.by_user.get(&id).copied()
    }

    /// Every attribute by which a delegation may name the party, numbers of persons in full.
    pub(super) fn names(&self, key: PartyKey) -> Vec<(&'static str, String)> {
        let (number, uuid) = match key {
            PartyKey::Organization(number) => {
                ((ORGANIZATION, number.to_string()), ORGANIZATION_UUID)
            }
            PartyKey::Person(number) => ((PERSON, number.expose()), PERSON_UUID),
        };
        let mut names = vec![number];
        let Some(entry) = self.parties.get(&key) else { return names };
        names.extend(entry.user.map(|user| (USER_ID, user.to_string())));
        names.extend(entry.id.map(|id| (PARTY_ID, id.number().to_string())));
        if let Some(found) = entry.uuid {
            names.extend([(PARTY_UUID, found.to_string()), (uuid, found.to_string())]);
        }
        names
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

    /// What `from` has given `to`, to be changed. Nothing is copied but the entry and the map's own
    /// references.
    pub(super) fn delegated(&mut self, from: PartyKey, to: PartyKey) -> &mut Delegated {
        let delegations = Arc::make_mut(&mut self.delegations);
        Arc::make_mut(delegations.entry((from, to)).or_default())
    }

    /// Keeps `key_units` true: to be called when what `holder` is to `client` has changed.
    pub(super) fn roles_changed(&mut self, client: PartyKey, holder: PartyKey) {
        let (PartyKey::Organization(unit), PartyKey::Person(_)) = (client, holder) else { return };
        let is_key = self.roles.get(&(client, holder)).is_some_and(|held| {
            held.register.iter().any(roles::is_key_role)
                || held.codes.values().any(|code| roles::is_key_role_code(code))
        });
        let all = Arc::make_mut(&mut self.key_units);
        if is_key {
            all.entry(holder).or_default().insert(unit);
        } else if let Some(units) = all.get_mut(&holder) {
            units.remove(&unit);
        }
    }

    /// A system user, to be changed.
    pub(super) fn system_user_mut(
        &mut self,
        id: SystemUserId,
    ) -> Option<&mut RegisteredSystemUser> {
        Arc::make_mut(&mut self.system_users).get_mut(&id).map(Arc::make_mut)
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
