//! Pages of the control listener that change the world of a demo or of the development PDP: its directory,
//! and how its PDP misbehaves.
//!
//! | page | file |
//! |---|---|
//! | `/directory/…` | `directory`; what is held and its documents: `documents` |
//! | `/faults` | `faults` |
//!
//! What it does not hold: what a change is and when it is refused (`pdp::embedded`), what a fault does
//! (`pdp_face`), and who may ask (`server::control`).

mod directory;
mod documents;
mod faults;

use super::pdp_face::Faults;
use crate::domain::{CheckDigits, OrganizationNumber, PersonNumber, SystemUserId};
use crate::pdp::embedded::{DirectoryHandle, PartyKey};
use crate::server::{Page, Refusal};

/// The pages; they change this directory and this switch.
#[must_use]
pub fn pages(directory: DirectoryHandle, faults: Faults) -> Vec<Page> {
    let mut pages = directory::pages(directory);
    pages.extend(faults::pages(faults));
    pages
}

// Readers of one member each. What a refusal says names the member and repeats nothing of it.

fn system_user(member: &str, text: &str) -> Result<SystemUserId, Refusal> {
    SystemUserId::parse(text).ok_or_else(|| Refusal::bad(format!("`{member}` is not a uuid")))
}

/// Whether the check digit is right does not matter: only numbers of the directory are found.
fn organization(member: &str, text: &str) -> Result<OrganizationNumber, Refusal> {
    OrganizationNumber::parse(text, CheckDigits::Lenient).map_err(|_| {
        Refusal::bad(format!("`{member}` is not an organization number of nine digits"))
    })
}

fn person(member: &str, text: &str) -> Result<PersonNumber, Refusal> {
    PersonNumber::parse(text)
        .map_err(|_| Refusal::bad(format!("`{member}` is not a person number of eleven digits")))
}

/// One of two members that name a party: an organization, or a person.
fn party(
    (organization_member, organization_text): (&str, Option<&str>),
    (person_member, person_text): (&str, Option<&str>),
) -> Result<PartyKey, Refusal> {
    match (organization_text, person_text) {
        (Some(text), None) => organization(organization_member, text).map(PartyKey::Organization),
        (None, Some(text)) => person(person_member, text).map(PartyKey::Person),
        (Some(_), Some(_)) | (None, None) => Err(Refusal::bad(format!(
            "exactly one of `{organization_member}` and `{person_member}` is needed"
        ))),
    }
}
