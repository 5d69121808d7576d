//! Every way in which a request can end without the API behind having answered it.

use super::{Action, AuthenticationLevel, Party, ResourceId, ScopeRequirement, SystemUserId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a request was refused: a code, what the caller may know, and a cause for the log.
///
/// The code alone fixes status and text. The cause never leaves the process except in logs and records.
#[derive(Clone, Debug)]
pub struct Denial {
    /// What kind of refusal it is.
    pub code: DenialCode,
    /// Typed facts that help the caller.
    pub extras: Box<Extras>,
    /// For the log: what exactly went wrong. Never a token, a claim's value or a person's number.
    pub cause: Option<Arc<str>>,
}

/// What a refusal tells its reader beyond the code. Fields that do not apply are absent.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// The resource asked for.
    pub resource: Option<ResourceId>,
    /// The action asked for.
    pub action: Option<Action>,
    /// The party named by the request; persons are masked when printed.
    pub party: Option<Party>,
    /// The system user of the caller's own token.
    pub system_user: Option<SystemUserId>,
    /// The scopes the rule demands.
    pub required_scopes: Option<ScopeRequirement>,
    /// The authentication level demanded.
    pub required_level: Option<AuthenticationLevel>,
    /// The access packages of which any would grant the action, as URNs; empty where no package does.
    pub access_packages: Option<Arc<[Box<str>]>>,
    /// The source in the request that is at fault, as the rule writes it (`query:party`).
    pub parameter: Option<Arc<str>>,
    /// The methods the path accepts, for `Allow` (RFC 9110 §15.5.6).
    pub allowed_methods: Option<Arc<str>>,
    /// The limit that was passed, in bytes or in parties.
    pub limit: Option<u64>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Where the rule's owner gives help.
    pub help_url: Option<Arc<str>>,
}

impl Denial {
    /// A refusal with this code.
    #[must_use]
    pub fn new(code: DenialCode) -> Self {
        Self { code, extras: Box::default(), cause: None }
    }

    /// The same, with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// The same, naming the source at fault.
    #[must_use]
    pub fn at(mut self, parameter: impl Into<Arc<str>>) -> Self {
        self.extras.parameter = Some(parameter.into());
        self
    }

    /// The same, naming the limit that was passed.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.extras.limit = Some(limit);
        self
    }
}

impl From<DenialCode> for Denial {
    fn from(code: DenialCode) -> Self {
        Self::new(code)
    }
}

/// Who has to act on a refusal. An operator can tell from the status alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The caller: the request, the token, or the rights are not enough.
    Caller,
    /// The service owner or Altinn: policy or rule is at fault.
    ServiceOwner,
    /// Maskinporten or Altinn, or the way there, is down.
    AuthorizationSystem,
    /// The API behind is down.
    Upstream,
    /// Portvakt itself.
    Portvakt,
}

impl Actor {
    /// The word used in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::ServiceOwner => "service-owner",
            Self::AuthorizationSystem => "authorization-system",
            Self::Upstream => "upstream",
            Self::Portvakt => "portvakt",
        }
    }
}

/// One row a code: variant, word, status, who must act.
macro_rules! denial_codes {
    ($($variant:ident = $word:literal, $status:literal, $actor:ident;)+) => {
        /// The stable, machine-readable reasons of refusal. The word is the contract: it stands in `code`
        /// and at the end of `type` of every problem document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "docs/VENDORS.md explains each word to those who meet it")]
        pub enum DenialCode { $($variant,)+ }

        impl DenialCode {
            /// Every code, grouped as in `docs/VENDORS.md`.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The HTTP status (RFC 9110 §15).
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// Who has to act.
            #[must_use]
            pub fn actor(self) -> Actor {
                match self { $(Self::$variant => Actor::$actor,)+ }
            }
        }
    };
}

// A macro, because the word, the status and the actor of a code must never live in three places.
denial_codes! {
    MalformedRequest = "malformed-request", 400, Caller;
    AmbiguousPath = "ambiguous-path", 400, Caller;
    AmbiguousParameter = "ambiguous-parameter", 400, Caller;
    PartyMissing = "party-missing", 400, Caller;
    PartyInvalid = "party-invalid", 400, Caller;
    TooManyParties = "too-many-parties", 400, Caller;
    ResourceMissing = "resource-missing", 400, Caller;
    ResourceInvalid = "resource-invalid", 400, Caller;
    InstanceMissing = "instance-missing", 400, Caller;
    BodyUnreadable = "body-unreadable", 400, Caller;
    TokenMissing = "token-missing", 401, Caller;
    TokenMalformed = "token-malformed", 401, Caller;
    TokenUntrusted = "token-untrusted", 401, Caller;
    TokenExpired = "token-expired", 401, Caller;
    TokenNotYetValid = "token-not-yet-valid", 401, Caller;
    TokenWrongAudience = "token-wrong-audience", 401, Caller;
    ScopeMissing = "scope-missing", 403, Caller;
    NotASystemUser = "not-a-system-user", 403, Caller;
    SeveralSystemUsers = "several-system-users", 403, Caller;
    SubjectNotAllowed = "subject-not-allowed", 403, Caller;
    SystemNotAllowed = "system-not-allowed", 403, Caller;
    VendorNotAllowed = "vendor-not-allowed", 403, Caller;
    ResourceNotAllowed = "resource-not-allowed", 403, Caller;
    AccessDenied = "access-denied", 403, Caller;
    AuthenticationLevelTooLow = "authentication-level-too-low", 403, Caller;
    RouteClosed = "route-closed", 403, Caller;
    RouteUnknown = "route-unknown", 404, Caller;
    MethodNotAllowed = "method-not-allowed", 405, Caller;
    RequestTimeout = "request-timeout", 408, Caller;
    BodyTooLarge = "body-too-large", 413, Caller;
    TargetTooLong = "target-too-long", 414, Caller;
    UnsupportedBody = "unsupported-body", 415, Caller;
    ExpectationFailed = "expectation-failed", 417, Caller;
    HostUnknown = "host-unknown", 421, Caller;
    HeadersTooLarge = "headers-too-large", 431, Caller;
    ObligationUnknown = "obligation-unknown", 403, ServiceOwner;
    DecisionIndeterminate = "decision-indeterminate", 503, ServiceOwner;
    KeysUnavailable = "keys-unavailable", 503, AuthorizationSystem;
    CredentialUnavailable = "credential-unavailable", 503, AuthorizationSystem;
    PdpUnavailable = "pdp-unavailable", 503, AuthorizationSystem;
    PdpTimeout = "pdp-timeout", 503, AuthorizationSystem;
    PdpProtocolError = "pdp-protocol-error", 503, AuthorizationSystem;
    Overloaded = "overloaded", 503, AuthorizationSystem;
    UpstreamUnreachable = "upstream-unreachable", 502, Upstream;
    UpstreamProtocolError = "upstream-protocol-error", 502, Upstream;
    UpstreamTimeout = "upstream-timeout", 504, Upstream;
    Internal = "internal", 500, Portvakt;
}

impl DenialCode {
    /// The code behind a word, for rule tests and tools.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for DenialCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_read_back() {
        for code in DenialCode::ALL {
            assert_eq!(DenialCode::parse(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn an_outage_is_never_a_401_or_403() {
        for code in DenialCode::ALL {
            let by_status = match code.status() {
                500 => Actor::Portvakt,
                502 | 504 => Actor::Upstream,
                503 if *code == DenialCode::DecisionIndeterminate => Actor::ServiceOwner,
                503 => Actor::AuthorizationSystem,
                403 if *code == DenialCode::ObligationUnknown => Actor::ServiceOwner,
                _ => Actor::Caller,
            };
            assert_eq!(code.actor(), by_status, "{code}");
        }
    }
}
