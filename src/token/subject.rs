//! Whom a verified token proves: what each kind of issuer may vouch for, and nothing beyond. Read only
//! after the signature is verified.
//!
//! A fault in the description of a system user never makes the caller something else: a token that was
//! meant for a system user is that, or refused.

use super::claims::Claims;
use super::json::{Node, Object};
use super::settings::{IssuerKind, IssuerSettings};
use super::{malformed, untrusted};
use crate::domain::{
    AuthenticationLevel, Caller, CheckDigits, Denial, DenialCode, OrganizationCaller,
    OrganizationNumber, PersonCaller, PersonNumber, ProvenLevel, Subject, SystemId, SystemUser,
    SystemUserId,
};
use std::sync::Arc;

const SYSTEM_USER_TYPE: &str = "urn:altinn:systemuser";
const ACTOR_AUTHORITY: &str = "iso6523-actorid-upis";

/// Makes the caller. The claims must be of a token whose signature is verified.
pub(super) fn prove(
    claims: Claims<'_>,
    issuer: &IssuerSettings,
    check: CheckDigits,
) -> Result<Caller, Denial> {
    let all = &claims.all;
    let subject = match issuer.kind {
        IssuerKind::Maskinporten => match system_user(all, check)? {
            Some(user) => Subject::SystemUser(user),
            None => Subject::Organization(organization(all, check)?),
        },
        IssuerKind::Altinn => match system_user(all, check)? {
            Some(user) => Subject::SystemUser(user),
            None if was_login(all) => Subject::Person(person(all)?),
            None => Subject::Organization(organization(all, check)?),
        },
        IssuerKind::IdPorten => {
            // An id token says who logged in, to the client; it is not meant for an API.
            if claims.scopes.is_none() || claims.client_id.is_none() {
                return Err(untrusted("the token is not an access token"));
            }
            Subject::Person(person(all)?)
        }
    };
    let level = match (issuer.kind, &subject) {
        (_, Subject::SystemUser(_)) | (IssuerKind::Maskinporten, _) => ProvenLevel::AsConfigured,
        (IssuerKind::Altinn, _) => ProvenLevel::Proven(level_of_exchanged(all)?),
        (IssuerKind::IdPorten, _) => ProvenLevel::Proven(level_of_login(all)?),
    };
    Ok(Caller {
        subject,
        level,
        service_owner: all
            .member("urn:altinn:org")
            .and_then(Node::text)
            .is_some_and(|code| !code.is_empty()),
        scopes: claims.scopes.unwrap_or_default(),
        window: claims.window,
        issuer: Arc::clone(&issuer.issuer),
        client_id: claims.client_id,
    })
}

/// The system user of `authorization_details` (RFC 9396), if an entry describes one.
fn system_user(all: &Object<'_>, check: CheckDigits) -> Result<Option<SystemUser>, Denial> {
    let entries = match all.member("authorization_details") {
        None => return Ok(None),
        Some(Node::List(entries)) => entries.as_slice(),
        // Altinn's exchange can turn a list of one into the one.
        Some(single) => std::slice::from_ref(single),
    };
    let mut details = Vec::new();
    for entry in entries {
        details.extend(Detail::parse(entry, check)?);
    }
    let mut details = details.into_iter();
    let Some(first) = details.next() else { return Ok(None) };
    for detail in details {
        if detail.ids.iter().any(|id| !first.ids.contains(id)) || detail.owner != first.owner {
            return Err(DenialCode::SeveralSystemUsers.into());
        }
        if detail.system != first.system {
            return Err(no_system_user("two entries describe one system user differently"));
        }
    }
    let [id] = first.ids.as_slice() else {
        return Err(match first.ids.len() {
            0 => no_system_user("there is no system user id"),
            _ => DenialCode::SeveralSystemUsers.into(),
        });
    };
    let id = SystemUserId::parse(id)
        .ok_or_else(|| no_system_user("the system user id is not a uuid"))?;
    let OrganizationCaller { consumer, supplier } = organization(all, check)?;
    Ok(Some(SystemUser {
        id,
        owner: first.owner,
        system: first.system,
        vendor: supplier.unwrap_or(consumer),
        consumer,
        supplier,
    }))
}

/// One entry that describes a system user.
struct Detail {
    /// In lower case, each once.
    ids: Vec<String>,
    owner: OrganizationNumber,
    system: SystemId,
}

impl Detail {
    /// Reads an entry; `None` if it is of another type, such as a consent.
    fn parse(entry: &Node<'_>, check: CheckDigits) -> Result<Option<Self>, Denial> {
        let entry = entry.object().ok_or_else(|| no_system_user("an entry is not an object"))?;
        let entry =
            entry.in_any_case().ok_or_else(|| no_system_user("an entry has a member twice"))?;
        let kind = entry
            .member("type")
            .and_then(Node::text)
            .ok_or_else(|| no_system_user("an entry does not say its type"))?;
        if kind != SYSTEM_USER_TYPE {
            // Nearly the right word is not another type: it must not make the caller an organization.
            if kind.trim().eq_ignore_ascii_case(SYSTEM_USER_TYPE) {
                return Err(no_system_user("an entry's type is nearly that of a system user"));
            }
            return Ok(None);
        }
        let mut ids = Vec::new();
        let listed = entry
            .member("systemuser_id")
            .and_then(Node::list)
            .ok_or_else(|| no_system_user("the system user ids are not a list"))?;
        for id in listed {
            let id = id.text().ok_or_else(|| no_system_user("a system user id is not a text"))?;
            let id = id.to_ascii_lowercase();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let owner = entry
            .member("systemuser_org")
            .and_then(|actor| read_actor(actor, check))
            .ok_or_else(|| no_system_user("the owner is not an organization"))?;
        let system = entry
            .member("system_id")
            .and_then(Node::text)
            .ok_or_else(|| no_system_user("the system id is not a text"))?;
        // It is sent on in a header: this is worse than a fault of the description.
        if !system.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("the system id is not visible ASCII"));
        }
        let system = SystemId::parse(system)
            .map_err(|_| no_system_user("the system id is empty or longer than any"))?;
        Ok(Some(Self { ids, owner, system }))
    }
}

/// `consumer`, and `supplier` where the scope was delegated.
fn organization(all: &Object<'_>, check: CheckDigits) -> Result<OrganizationCaller, Denial> {
    let consumer = all
        .member("consumer")
        .ok_or_else(|| untrusted("the token proves no system user, organization or person"))?;
    let consumer = read_actor(consumer, check)
        .ok_or_else(|| malformed("`consumer` is not an organization"))?;
    let supplier = match all.member("supplier") {
        None => None,
        Some(supplier) => Some(
            read_actor(supplier, check)
                .ok_or_else(|| malformed("`supplier` is not an organization"))?,
        ),
    };
    Ok(OrganizationCaller { consumer, supplier })
}

/// `{ "authority": "iso6523-actorid-upis", "ID": "0192:…" }`, names in any case.
fn read_actor(actor: &Node<'_>, check: CheckDigits) -> Option<OrganizationNumber> {
    let actor = actor.object()?.in_any_case()?;
    let authority = actor.member("authority")?.text()?;
    let id = actor.member("id")?.text()?;
    if authority != ACTOR_AUTHORITY {
        return None;
    }
    OrganizationNumber::parse_iso6523(id, check).ok()
}

/// Whether an exchanged token stands for a login. One made of a Maskinporten token does not, even if a
/// `pid` came along: there it names whom the client asks about, who never logged in.
fn was_login(all: &Object<'_>) -> bool {
    let method = all.member("urn:altinn:authenticatemethod").and_then(Node::text);
    let machine = method.is_some_and(|method| method.eq_ignore_ascii_case("maskinporten"));
    all.member("pid").is_some() && !machine
}

fn person(all: &Object<'_>) -> Result<PersonCaller, Denial> {
    let pid = all.member("pid").ok_or_else(|| untrusted("the token names no person"))?;
    let number = pid
        .text()
        .and_then(|pid| PersonNumber::parse(pid).ok())
        .ok_or_else(|| malformed("`pid` is not a person number"))?;
    Ok(PersonCaller { number })
}

/// `acr` of ID-porten, old and new words; what we do not know proves nothing.
fn level_of_login(all: &Object<'_>) -> Result<AuthenticationLevel, Denial> {
    let Some(acr) = all.member("acr") else { return Ok(AuthenticationLevel::NONE) };
    let acr = acr.text().ok_or_else(|| malformed("`acr` is not a text"))?;
    Ok(match acr {
        "idporten-loa-substantial" | "Level3" => AuthenticationLevel::SUBSTANTIAL,
        "idporten-loa-high" | "Level4" => AuthenticationLevel::HIGH,
        _ => AuthenticationLevel::NONE,
    })
}

/// `urn:altinn:authlevel`, a number; some of Altinn's libraries write it as a text.
fn level_of_exchanged(all: &Object<'_>) -> Result<AuthenticationLevel, Denial> {
    let Some(level) = all.member("urn:altinn:authlevel") else {
        return Ok(AuthenticationLevel::NONE);
    };
    let read = match level {
        Node::Whole(number) => {
            u8::try_from(*number).ok().and_then(|number| AuthenticationLevel::new(number).ok())
        }
        Node::Text(text) => AuthenticationLevel::parse(text).ok(),
        Node::List(_) | Node::Object(_) | Node::Other => None,
    };
    read.ok_or_else(|| malformed("`urn:altinn:authlevel` is not a level"))
}

fn no_system_user(cause: &'static str) -> Denial {
    Denial::new(DenialCode::NotASystemUser).because(cause)
}
