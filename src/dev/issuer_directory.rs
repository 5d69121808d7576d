//! Whom the development issuer knows: clients with their keys and scopes, and system users with the
//! clients that may act as them. Values only; filled from the directory file elsewhere.

use crate::domain::{OrganizationNumber, Scope, SystemId, SystemUserId};
use bytes::Bytes;

/// What the issuer grants from.
#[derive(Clone, Debug, Default)]
pub struct IssuerDirectory {
    /// The clients.
    pub clients: Vec<IssuerClient>,
    /// The system users.
    pub system_users: Vec<DirectorySystemUser>,
}

/// An OAuth client of Maskinporten.
#[derive(Clone, Debug)]
pub struct IssuerClient {
    /// `iss` of its assertions.
    pub client_id: String,
    /// Who owns it: `consumer` of its tokens, or `supplier` where it acts for another.
    pub organization: OrganizationNumber,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Its public keys as a key set (RFC 7517 §5).
    pub jwks: Bytes,
    /// Organizations that have delegated these scopes to it, for `consumer_org`.
    pub consumers: Vec<OrganizationNumber>,
}

/// Whether a system user acts for its owner or for the owner's clients. Tokens do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemUserKind {
    /// For its owner.
    Standard,
    /// For the owner's clients.
    Agent,
}

/// A system user.
#[derive(Clone, Debug)]
pub struct DirectorySystemUser {
    /// Its id.
    pub id: SystemUserId,
    /// Its kind.
    pub kind: SystemUserKind,
    /// Whose it is.
    pub owner: OrganizationNumber,
    /// Of which system.
    pub system: SystemId,
    /// Whose system that is; the client must be theirs.
    pub vendor: OrganizationNumber,
    /// The clients that may act as it.
    pub client_ids: Vec<String>,
    /// What the grant must name when the owner has several; the owner's number when absent.
    pub external_ref: Option<String>,
}

impl IssuerDirectory {
    /// The client of this id.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<&IssuerClient> {
        self.clients.iter().find(|client| client.client_id == client_id)
    }

    /// The system user of exactly this client, owner and external reference.
    #[must_use]
    pub fn system_user(
        &self,
        client: &IssuerClient,
        owner: OrganizationNumber,
        external_ref: Option<&str>,
    ) -> Option<&DirectorySystemUser> {
        let default = owner.to_string();
        let asked = external_ref.unwrap_or(&default);
        self.system_users.iter().find(|user| {
            user.owner == owner
                && user.vendor == client.organization
                && user.client_ids.contains(&client.client_id)
                && user.external_ref.as_deref().unwrap_or(&default) == asked
        })
    }
}
