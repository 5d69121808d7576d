//! Who is calling: from the `Authorization` header to a [`Caller`](crate::domain::Caller).
//!
//! The only place that makes a caller. What this room does not do: judge what the caller may do (scopes,
//! kinds of subject and lists belong to the rule), or open sockets other than through
//! [`Outbound`](crate::outbound::Outbound).
//!
//! **Invariant:** nothing of a token is believed before its signature is verified with a key of the ring
//! of the very issuer it names, and nothing is remembered before that.

mod bearer;
mod claims;
mod digest;
mod fingerprint;
mod inspect;
mod json;
mod jws;
mod key_keeper;
mod key_source;
mod keys;
mod recent;
mod settings;
mod subject;
mod verify;

pub use bearer::{BearerToken, MAX_TOKEN_BYTES};
pub use inspect::Inspection;
pub(crate) use json::{Node, Object};
pub(crate) use jws::Jws;
pub use key_source::{Fetched, Fetching, KeyFault, KeySource};
pub(crate) use keys::KeyRing;
pub use keys::{InvalidKeySet, MAX_JWKS_BYTES, MAX_KEYS};
pub use settings::{Algorithm, IssuerKind, IssuerSettings, KeyLocation, TokenSettings};
pub use verify::{Authenticated, KeyState, TokenVerifier};

use crate::domain::{Denial, DenialCode};

/// The token cannot be read.
fn malformed(cause: &'static str) -> Denial {
    Denial::new(DenialCode::TokenMalformed).because(cause)
}

/// The token can be read, and is not believed.
fn untrusted(cause: &'static str) -> Denial {
    Denial::new(DenialCode::TokenUntrusted).because(cause)
}

#[cfg(test)]
mod tests;
