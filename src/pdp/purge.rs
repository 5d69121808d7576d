//! Which answers are to be forgotten before their time.

use crate::domain::{AccessRequest, Party, PdpSubject, ResourceId, SystemUserId};

/// The answers that match every part that is named; with no part named, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// About this system user.
    pub system_user: Option<SystemUserId>,
    /// For this party.
    pub party: Option<Party>,
    /// On this resource.
    pub resource: Option<ResourceId>,
}

impl Purge {
    /// Whether the answer to this question is one of them.
    #[must_use]
    pub fn concerns(&self, request: &AccessRequest) -> bool {
        let Self { system_user, party, resource } = self;
        system_user.is_none_or(|id| request.subject == PdpSubject::SystemUser(id))
            && party.is_none_or(|party| request.party == party)
            && resource.as_ref().is_none_or(|resource| request.resource == *resource)
    }
}
