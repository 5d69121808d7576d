//! The JWT grant (RFC 7523) as Maskinporten takes it: which assertions it accepts, and the claims it
//! issues for them. Pure but for the memory of used assertions; HTTP is in `issuer`.

use super::claims::{self, Life};
use super::issuer_directory::{IssuerClient, IssuerDirectory};
use crate::domain::{CheckDigits, OrganizationNumber, PersonNumber, UnixSeconds};
use crate::token::{Algorithm, Jws, KeyRing, MAX_TOKEN_BYTES, Node, Object};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many assertions are remembered so that none counts twice. Bounds memory; at two minutes each it
/// is more than a development issuer sees.
pub const MAX_REMEMBERED_ASSERTIONS: usize = 10_000;
/// How far `iat` may be from now.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(10);
/// The longest `exp − iat` of an assertion.
const MAX_ASSERTION_LIFETIME: Duration = Duration::from_mins(2);
/// The claims an assertion may have; any other is refused.
const KNOWN_CLAIMS: [&str; 10] = [
    "aud",
    "iss",
    "iat",
    "exp",
    "jti",
    "scope",
    "resource",
    "consumer_org",
    "pid",
    "authorization_details",
];
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];

/// What is issued: claims to be signed, and what the answer repeats of them.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The claims.
    pub claims: Value,
    /// The scopes granted.
    pub scope: String,
}

/// Why nothing is issued: `error` and `error_description` of the answer (RFC 6749 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct GrantFault {
    /// The machine-readable word.
    pub error: &'static str,
    /// For people.
    pub description: &'static str,
}

const fn invalid_assertion(description: &'static str) -> GrantFault {
    GrantFault { error: "invalid_grant", description }
}

/// Judges assertions.
#[derive(Debug)]
pub(super) struct Grants {
    issuer: String,
    directory: IssuerDirectory,
    /// By client id: a client without usable keys is not here.
    keys: HashMap<String, KeyRing>,
    /// `client id, jti` of accepted assertions, until they expire.
    used: Mutex<HashMap<(String, String), UnixSeconds>>,
}

impl Grants {
    /// Reads the clients' keys; gives the id of the first client that has none.
    pub(super) fn new(issuer: String, directory: IssuerDirectory) -> Result<Self, String> {
        let mut keys = HashMap::new();
        for client in &directory.clients {
            match KeyRing::parse(&client.jwks, &ALGORITHMS, None) {
                Ok(ring) if !ring.is_empty() => keys.insert(client.client_id.clone(), ring),
                Ok(_) | Err(_) => return Err(client.client_id.clone()),
            };
        }
        Ok(Self { issuer, directory, keys, used: Mutex::default() })
    }

    /// The claims for an assertion.
    pub(super) fn grant(
        &self,
        assertion: &str,
        now: UnixSeconds,
        lifetime: Duration,
    ) -> Result<Granted, GrantFault> {
        let unreadable = || invalid_assertion("Invalid assertion. Not a signed token with a kid");
        if assertion.len() > MAX_TOKEN_BYTES {
            return Err(unreadable());
        }
        let jws = Jws::parse(assertion).map_err(|_| unreadable())?;
        let asked = jws.claims().map_err(|_| unreadable())?;
        let client = self.verify(&jws, &asked)?;
        if !asked.names().all(|name| KNOWN_CLAIMS.contains(&name)) {
            return Err(invalid_assertion("Invalid assertion. Unknown claim"));
        }
        // One value, the issuer's name; the token endpoint's address is not accepted.
        if text(&asked, "aud") != Some(self.issuer.as_str()) {
            return Err(invalid_assertion("Invalid assertion. Client audience is not the issuer"));
        }
        let expires = check_times(&asked, now)?;
        let scope = granted_scope(client, &asked)?;
        let claims = self.claims(client, &asked, &scope, Life { issued: now, lifetime })?;
        // Last, so that an assertion refused for another reason can be sent again, mended.
        self.use_up(client, &asked, expires, now)?;
        Ok(Granted { claims, scope })
    }

    /// Whose assertion it is, if it is one: read, and signed by its client.
    fn verify(&self, jws: &Jws<'_>, asked: &Object<'_>) -> Result<&IssuerClient, GrantFault> {
        let unknown = GrantFault { error: "invalid_client", description: "Unknown client or key" };
        let client = text(asked, "iss")
            .and_then(|client_id| self.directory.client(client_id))
            .ok_or(unknown)?;
        let key = self
            .keys
            .get(&client.client_id)
            .and_then(|ring| ring.key(&jws.kid))
            .filter(|key| key.algorithm() == jws.algorithm)
            .ok_or(unknown)?;
        if !key.verifies(jws.signing_input, &jws.signature) {
            return Err(invalid_assertion("Invalid assertion. Signature does not verify"));
        }
        Ok(client)
    }

    fn claims(
        &self,
        client: &IssuerClient,
        asked: &Object<'_>,
        scope: &str,
        life: Life,
    ) -> Result<Value, GrantFault> {
        let consumer = consumer(client, asked)?;
        let mut issued = claims::organization(
            &self.issuer,
            life,
            scope,
            consumer.unwrap_or(client.organization),
        );
        claims::set(&mut issued, "client_id", json!(client.client_id));
        if consumer.is_some() {
            issued = claims::delegated(issued, client.organization);
        }
        if let Some(audience) = audience(asked)? {
            claims::set(&mut issued, "aud", audience);
        }
        if let Some(pid) = asked.member("pid") {
            let pid = pid
                .text()
                .and_then(|pid| PersonNumber::parse(pid).ok())
                .ok_or(invalid_assertion("Invalid assertion. Malformed pid"))?;
            claims::set(&mut issued, "pid", json!(pid.expose()));
        }
        if let Some(details) = asked.member("authorization_details") {
            let (owner, external_ref) = asked_system_user(details).ok_or(GrantFault {
                error: "invalid_authorization_details",
                description: "One entry of type urn:altinn:systemuser is expected",
            })?;
            let user =
                self.directory.system_user(client, owner, external_ref).ok_or(GrantFault {
                    error: "invalid_altinn_customer_configuration",
                    description: "System user not found for this client, organization and \
                                  external reference (MP-303)",
                })?;
            issued = claims::system_user(issued, user.id, user.owner, &user.system);
        }
        Ok(issued)
    }

    fn use_up(
        &self,
        client: &IssuerClient,
        asked: &Object<'_>,
        expires: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<(), GrantFault> {
        let Some(jti) = asked.member("jti") else { return Ok(()) };
        let jti = jti
            .text()
            .filter(|jti| (1..=255).contains(&jti.len()))
            .ok_or(invalid_assertion("Invalid assertion. Malformed jti"))?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // An assertion past its end is refused for that, so it need not be remembered.
        used.retain(|_, expires| *expires >= now);
        if used.len() >= MAX_REMEMBERED_ASSERTIONS {
            return Err(GrantFault {
                error: "temporarily_unavailable",
                description: "Too many assertions",
            });
        }
        let name = (client.client_id.clone(), jti.to_owned());
        if used.insert(name, expires).is_some() {
            return Err(invalid_assertion("Invalid assertion. jti is already used"));
        }
        Ok(())
    }
}

fn check_times(asked: &Object<'_>, now: UnixSeconds) -> Result<UnixSeconds, GrantFault> {
    let date = |name: &str| asked.member(name).and_then(Node::whole).map(UnixSeconds);
    let (Some(issued), Some(expires)) = (date("iat"), date("exp")) else {
        return Err(invalid_assertion("Invalid assertion. iat and exp are required"));
    };
    let near = issued <= now.saturating_add(MAX_CLOCK_DIFFERENCE)
        && now <= issued.saturating_add(MAX_CLOCK_DIFFERENCE);
    if !near {
        return Err(invalid_assertion("Invalid assertion. iat is not now"));
    }
    if expires <= now || expires > issued.saturating_add(MAX_ASSERTION_LIFETIME) {
        return Err(invalid_assertion("Invalid assertion. exp is past, or too far from iat"));
    }
    Ok(expires)
}

fn granted_scope(client: &IssuerClient, asked: &Object<'_>) -> Result<String, GrantFault> {
    let scope = text(asked, "scope").filter(|scope| !scope.trim().is_empty());
    let scope = scope.ok_or(invalid_assertion("Invalid assertion. scope is required"))?;
    let held = |word: &str| client.scopes.iter().any(|scope| scope.as_str() == word);
    if !scope.split(' ').all(held) {
        return Err(GrantFault {
            error: "invalid_scope",
            description: "The client does not have the scope",
        });
    }
    Ok(scope.to_owned())
}

fn consumer(
    client: &IssuerClient,
    asked: &Object<'_>,
) -> Result<Option<OrganizationNumber>, GrantFault> {
    let Some(asked) = asked.member("consumer_org") else { return Ok(None) };
    asked
        .text()
        .and_then(|number| OrganizationNumber::parse(number, CheckDigits::Lenient).ok())
        .filter(|number| client.consumers.contains(number))
        .map(Some)
        .ok_or(invalid_assertion("The consumer has not delegated the scope to the client"))
}

/// `resource` (RFC 8707) becomes `aud`: a text, or a list where several were asked for.
fn audience(asked: &Object<'_>) -> Result<Option<Value>, GrantFault> {
    let malformed = invalid_assertion("Invalid assertion. Malformed resource");
    match asked.member("resource") {
        None => Ok(None),
        Some(Node::Text(one)) => Ok(Some(json!(one))),
        Some(Node::List(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Node::text).collect();
            match texts.ok_or(malformed)?.as_slice() {
                [] => Err(malformed),
                [one] => Ok(Some(json!(one))),
                several => Ok(Some(json!(several))),
            }
        }
        Some(Node::Whole(_) | Node::Object(_) | Node::Other) => Err(malformed),
    }
}

/// The owner and external reference that the one entry asks for.
fn asked_system_user<'a>(details: &'a Node<'_>) -> Option<(OrganizationNumber, Option<&'a str>)> {
    let [entry] = details.list()? else { return None };
    let entry = entry.object()?.in_any_case()?;
    if entry.member("type")?.text()? != "urn:altinn:systemuser" {
        return None;
    }
    let actor = entry.member("systemuser_org")?.object()?.in_any_case()?;
    if actor.member("authority")?.text()? != "iso6523-actorid-upis" {
        return None;
    }
    let id = actor.member("id")?.text()?;
    let owner = OrganizationNumber::parse_iso6523(id, CheckDigits::Lenient).ok()?;
    let external_ref = match entry.member("externalRef") {
        None => None,
        Some(reference) => Some(reference.text()?),
    };
    Some((owner, external_ref))
}

fn text<'a>(object: &'a Object<'_>, name: &str) -> Option<&'a str> {
    object.member(name).and_then(Node::text)
}
