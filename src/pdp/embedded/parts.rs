//! The directory as it is written: plain, unchecked, in the file's own words and order. Whoever
//! reads the file fills these; [`Directory::build`](super::Directory::build) judges them.

use std::fmt;

use crate::domain::CheckDigits;

/// Everything a directory file says.
#[derive(Clone, Debug, Default)]
pub struct DirectoryParts {
    /// Whether organization numbers must have a right check digit.
    pub check_digits: CheckDigits,
    /// `parties`: organizations and persons. Whatever the rest of the file refers to stands here.
    pub parties: Vec<PartyPart>,
    /// `roles`: who holds which role at whom, in the Register of Legal Entities.
    pub roles: Vec<RolePart>,
    /// `role_packages`: replaces the built-in packages of a role, or adds a role.
    pub role_packages: Vec<RolePackagesPart>,
    /// `delegations`: what a business has given to another organization, or to a person.
    pub delegations: Vec<DelegationPart>,
    /// `delegation_policies`: delegations in the form in which Altinn stores them.
    pub delegation_policies: Vec<DelegationPolicyPart>,
    /// `instances`: instances of Altinn apps.
    pub instances: Vec<InstancePart>,
    /// `system_users`
    pub system_users: Vec<SystemUserPart>,
    /// `access_lists`
    pub access_lists: Vec<AccessListPart>,
    /// `resources`: what the registry knows of a resource beyond its policy.
    pub resources: Vec<ResourcePart>,
    /// `clients`: the Maskinporten clients of the development issuer.
    pub clients: Vec<ClientPart>,
}

/// An organization or a person: exactly one of the two numbers is given.
#[derive(Clone, Debug, Default)]
pub struct PartyPart {
    pub organization: Option<String>,
    pub person: Option<PersonText>,
    pub name: Option<String>,
    /// `type`: the organization form, such as `AS`, `ENK`, `BRL`.
    pub organization_type: Option<String>,
    /// The main unit of a subunit.
    pub parent: Option<String>,
    pub party_uuid: Option<String>,
    pub party_id: Option<String>,
    /// The number of a person's profile at Altinn (`urn:altinn:userid`).
    pub user_id: Option<String>,
}

/// A person number as written. It does not print itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonText(pub String);

impl fmt::Debug for PersonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::domain::PersonNumber::MASK)
    }
}

/// What `provider` (an organization) or `person` is to `client` (an organization) or `client_person`:
/// exactly one of each two, and exactly one of `role`, `codes` and `estate_role`.
#[derive(Clone, Debug, Default)]
pub struct RolePart {
    pub client: Option<String>,
    pub client_person: Option<PersonText>,
    /// A role in the Register of Legal Entities, which also gives access packages.
    pub role: Option<String>,
    /// Role codes of the old Altinn (`urn:altinn:rolecode`), such as `DAGL` or `ADMAI`. They give no
    /// packages.
    pub codes: Vec<String>,
    /// What an heir may do for a deceased person (`urn:digitaltdodsbo:rolecode`).
    pub estate_role: Option<String>,
    pub provider: Option<String>,
    pub person: Option<PersonText>,
}

/// The packages a role gives. Several rows of one role add up.
#[derive(Clone, Debug, Default)]
pub struct RolePackagesPart {
    pub role: String,
    pub packages: Vec<String>,
    /// `client_types`: only at clients of these types; empty means every type.
    pub client_types: Vec<String>,
}

/// What `from` (an organization) or `from_person` has given to `to` (an organization) or `person`:
/// exactly one of each two.
#[derive(Clone, Debug, Default)]
pub struct DelegationPart {
    pub from: Option<String>,
    pub from_person: Option<PersonText>,
    pub to: Option<String>,
    pub person: Option<PersonText>,
    pub packages: Vec<String>,
    pub rights: Vec<RightPart>,
}

/// Single rights to one resource, or to one instance of it.
#[derive(Clone, Debug, Default)]
pub struct RightPart {
    pub resource: String,
    pub actions: Vec<String>,
    /// Only this instance: the uuid of its id.
    pub instance: Option<String>,
    /// Only in this task of the app's process.
    pub task: Option<String>,
}

/// A delegation as Altinn stores it: one policy for one giver, receiver and resource. Exactly one of
/// `from` and `from_person`, and of `to`, `person` and `system_user`.
#[derive(Clone, Debug, Default)]
pub struct DelegationPolicyPart {
    pub from: Option<String>,
    pub from_person: Option<PersonText>,
    pub to: Option<String>,
    pub person: Option<PersonText>,
    pub system_user: Option<String>,
    pub resource: String,
    /// Only this instance: the uuid of its id.
    pub instance: Option<String>,
    /// The file of the policy, for messages.
    pub file: String,
    /// Its content.
    pub document: Vec<u8>,
}

/// An instance of an Altinn app.
#[derive(Clone, Debug, Default)]
pub struct InstancePart {
    /// `<party id>/<uuid>`.
    pub id: String,
    /// The app's resource id.
    pub resource: String,
    pub task: Option<String>,
    pub end_event: Option<String>,
}

/// A system user, and what it may do.
#[derive(Clone, Debug, Default)]
pub struct SystemUserPart {
    pub id: String,
    pub name: Option<String>,
    /// `standard`: acts for its owner. `agent`: acts for the owner's clients.
    pub kind: String,
    pub owner: String,
    pub system_id: String,
    pub vendor: String,
    /// The Maskinporten clients that may obtain its tokens.
    pub client_ids: Vec<String>,
    /// Absent: the owner's organization number, as Altinn does.
    pub external_ref: Option<String>,
    /// Single rights, for the owner. Standard only.
    pub rights: Vec<RightPart>,
    /// Access packages, for the owner. Standard only.
    pub packages: Vec<String>,
    /// The clients it was given. Agent only.
    pub clients: Vec<AgentClientPart>,
}

/// A client that was given to an agent, with the packages chosen for it.
#[derive(Clone, Debug, Default)]
pub struct AgentClientPart {
    pub client: String,
    pub packages: Vec<String>,
}

/// A list of organizations that a service owner lets use its resources.
#[derive(Clone, Debug, Default)]
pub struct AccessListPart {
    pub id: String,
    pub resources: Vec<AccessListResourcePart>,
    pub members: Vec<String>,
}

/// A resource the list is for, and for which actions; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct AccessListResourcePart {
    pub resource: String,
    pub actions: Option<Vec<String>>,
}

/// What the Resource Registry knows of a resource beyond its policy.
#[derive(Clone, Debug, Default)]
pub struct ResourcePart {
    pub id: String,
    /// `enabled` or `disabled`; absent is `disabled`.
    pub access_list: Option<String>,
}

/// A Maskinporten client.
#[derive(Clone, Debug)]
pub struct ClientPart {
    pub id: String,
    pub organization: String,
    pub key: ClientKey,
    pub scopes: Vec<String>,
}

/// The public key of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientKey {
    /// Made by the development issuer when it starts.
    Generated,
    /// A JWK or PEM text, not yet read.
    Text(String),
    /// A file that holds one, relative to the directory file.
    File(String),
}

/// Something wrong with the directory, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFault {
    /// Keys and list positions from the top of the file, such as `system_users[2].owner`.
    pub path: String,
    pub message: String,
    pub help: String,
}

impl fmt::Display for DirectoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for DirectoryFault {}
