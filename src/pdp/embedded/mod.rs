//! The embedded PDP: the decisions of Altinn's PDP, from XACML resource policies and a directory
//! file, in this process. For development, tests and demonstrations; production asks Altinn.
//!
//! | file | holds |
//! |---|---|
//! | `limits` | every bound of the room, and what it is for |
//! | `names` | codes of access packages, names of roles |
//! | `roles` | which access packages a role in the register gives |
//! | `parts` | the directory as it is written, and what can be wrong with it |
//! | `build` | the written directory to the one that is asked: checked, indexed |
//! | `directory` | parties, roles, delegations, system users, access lists, clients |
//! | `delegated` | what one party has given another |
//! | `rights` | what a subject holds for a party |
//! | `policies` | the resource policies, by resource |
//! | `question` | the attributes of one question |
//! | `attributes` | their names, and how they are read |
//! | `target`, `asker` | what a question is about, and who asks |
//! | `pipeline` | one question to one answer, step by step as Altinn's PDP takes them |
//! | `granting` | which packages would grant an action |
//! | `reasons` | why an answer is as it is |
//! | `handle` | changes to the directory while it is in use |
//! | `holding` | where packages and rights are held, and what, for those who look at it |
//! | `point` | the [`DecisionPoint`](super::DecisionPoint) |
//! | `face` | the same for the wire form of Altinn's API |
//!
//! # Invariants
//!
//! * There is one way to an answer, `pipeline::answer`; the decision point and the HTTP face both
//!   take it.
//! * A right exists only while everything it rests on does: an agent's package for a client counts
//!   only while the client still gives that package to the agent's owner. Nothing derived is stored.
//! * One question sees one directory from its first step to its last.
//! * What the directory does not know gives nothing.

mod asker;
mod attributes;
mod build;
mod delegated;
mod directory;
mod face;
mod granting;
mod handle;
mod holding;
mod limits;
mod names;
mod parts;
mod pipeline;
mod point;
mod policies;
mod question;
mod reasons;
mod rights;
mod roles;
mod target;
#[cfg(test)]
mod tests;

pub use directory::{
    AccessListMode, Directory, DirectoryNote, PartyEntry, PartyKey, RegisteredClient,
    RegisteredSystemUser, SystemUserKind,
};
pub use face::Api;
pub use handle::{ChangeFault, DirectoryHandle};
pub use holding::{HeldRight, Holding};
pub use limits::MAX_ENTRIES as MAX_DIRECTORY_ENTRIES;
pub use names::{InvalidName, PackageCode, RoleName, UserId};
pub use parts::{
    AccessListPart, AccessListResourcePart, AgentClientPart, ClientKey, ClientPart, DelegationPart,
    DelegationPolicyPart, DirectoryFault, DirectoryParts, InstancePart, PartyPart, PersonText,
    ResourcePart, RightPart, RolePackagesPart, RolePart, SystemUserPart,
};
pub use point::EmbeddedPdp;
pub use policies::{PolicyFileFault, PolicyStore};
pub use question::{Attribute, Question};
pub use reasons::Reasons;
