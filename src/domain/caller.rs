//! Who is calling: what a verified token proves, and nothing it merely claims.

use super::{
    AuthenticationLevel, OrganizationNumber, PdpSubject, PersonNumber, Scopes, ShortText,
    UnixSeconds,
};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// The caller of a request. Only the token room makes one, from a token whose signature it has verified
/// (`tests/it/architecture.rs` holds it to that).
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whom the token proves.
    pub subject: Subject,
    /// What the token may be used for.
    pub scopes: Scopes,
    /// When the token is good.
    pub window: TokenWindow,
    /// The issuer that vouches for it, exactly as in `iss`.
    pub issuer: Arc<str>,
    /// How strongly the caller is authenticated.
    pub level: ProvenLevel,
    /// Whether the token carries `urn:altinn:org`, the mark of a service owner.
    pub service_owner: bool,
    /// The OAuth client; recorded, never decisive.
    pub client_id: Option<Arc<str>>,
}

/// Whom a token proves; exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A system user of Altinn.
    SystemUser(SystemUser),
    /// An organization acting for itself (a plain Maskinporten token).
    Organization(OrganizationCaller),
    /// A person logged in by ID-porten.
    Person(PersonCaller),
}

/// The kinds of subject a rule can accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKind {
    /// `system-user`
    SystemUser,
    /// `organization`
    Organization,
    /// `person`
    Person,
}

impl SubjectKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::SystemUser, Self::Organization, Self::Person];

    /// The word used in rules and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SystemUser => "system-user",
            Self::Organization => "organization",
            Self::Person => "person",
        }
    }
}

/// A system user: the identity of an end-user system at one of its customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    /// The PDP's subject.
    pub id: SystemUserId,
    /// The organization that owns the system user. For an agent this is the service provider, *not* the
    /// client it acts for.
    pub owner: OrganizationNumber,
    /// The system in Altinn's System Register.
    pub system: SystemId,
    /// The system's vendor: `supplier` if the scope was delegated, else `consumer`.
    pub vendor: OrganizationNumber,
    /// The organization of the Maskinporten client, or the one that delegated the scope.
    pub consumer: OrganizationNumber,
    /// Present when the scope was delegated.
    pub supplier: Option<OrganizationNumber>,
}

/// An organization that calls for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationCaller {
    /// The legal actor.
    pub consumer: OrganizationNumber,
    /// Its processor, when the scope was delegated.
    pub supplier: Option<OrganizationNumber>,
}

/// A person who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonCaller {
    /// Masked wherever it is printed.
    pub number: PersonNumber,
}

/// The uuid of a system user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemUserId(Uuid);

impl SystemUserId {
    /// Reads the hyphenated form; the nil uuid names nobody.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil()).map(Self)
    }

    /// The bare uuid.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The hyphenated form.
    #[must_use]
    pub fn text(self) -> ShortText<36> {
        ShortText::hyphenated(self.0)
    }
}

impl fmt::Display for SystemUserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for SystemUserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a system in the System Register, usually `<vendor>_<name>`: visible ASCII, 1 to 255
/// characters, because it is sent on in a header.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId(Arc<str>);

/// The text is not a system id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a system id has 1 to 255 characters of visible ASCII")]
pub struct InvalidSystemId;

impl SystemId {
    /// Reads a system id.
    pub fn parse(text: &str) -> Result<Self, InvalidSystemId> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidSystemId)
        }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a token is good, before any leeway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenWindow {
    /// `nbf`, or `iat` where that is later, if either is present.
    pub not_before: Option<UnixSeconds>,
    /// `exp`.
    pub expires: UnixSeconds,
}

/// What is known of the caller's authentication level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvenLevel {
    /// Machines: the level is a setting (`pdp.system_user_authentication_level`).
    AsConfigured,
    /// The token proves a level (`acr`, `urn:altinn:authlevel`).
    Proven(AuthenticationLevel),
}

impl ProvenLevel {
    /// The level, given the setting for machines.
    #[must_use]
    pub fn or(self, configured: AuthenticationLevel) -> AuthenticationLevel {
        match self {
            Self::AsConfigured => configured,
            Self::Proven(level) => level,
        }
    }
}

impl Subject {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::SystemUser(_) => SubjectKind::SystemUser,
            Self::Organization(_) => SubjectKind::Organization,
            Self::Person(_) => SubjectKind::Person,
        }
    }

    /// The subject as the PDP knows it.
    #[must_use]
    pub fn for_pdp(&self) -> PdpSubject {
        match self {
            Self::SystemUser(user) => PdpSubject::SystemUser(user.id),
            Self::Organization(caller) => PdpSubject::Organization(caller.consumer),
            Self::Person(person) => PdpSubject::Person(person.number),
        }
    }
}

impl Caller {
    /// The system user, if that is what the token proves.
    #[must_use]
    pub fn system_user(&self) -> Option<&SystemUser> {
        match &self.subject {
            Subject::SystemUser(user) => Some(user),
            Subject::Organization(_) | Subject::Person(_) => None,
        }
    }
}
