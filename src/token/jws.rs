//! The compact form of a signed token (RFC 7515 §7.1) and its header. Read strictly: what two libraries
//! could read differently is refused. Nothing in the header chooses a key beyond `kid`: `jku`, `x5u`,
//! `jwk` and `x5c` are not even looked at (RFC 8725 §3.10).

use super::json::{Object, ObjectFault};
use super::keys::MAX_KID_BYTES;
use super::{Algorithm, malformed, untrusted};
use crate::domain::Denial;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token taken apart. Its signature is not verified.
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
    /// Decoded; see [`Jws::claims`].
    payload: Vec<u8>,
    /// What is signed: the first two parts as sent.
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Denial> {
        let not_three = || malformed("the token does not have three parts");
        // Five parts are an encrypted token (RFC 7516), two an unsigned one.
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(not_three)?;
        if payload.contains('.') {
            return Err(not_three());
        }
        if signature.is_empty() {
            return Err(malformed("the token has no signature"));
        }
        let signature = decode(signature)?;
        let (algorithm, kid) = read_header(&read_part(&decode(header)?)?)?;
        Ok(Self { algorithm, kid, payload: decode(payload)?, signing_input, signature })
    }

    /// What it claims.
    pub(crate) fn claims(&self) -> Result<Object<'_>, Denial> {
        read_part(&self.payload)
    }
}

fn read_header(header: &Object<'_>) -> Result<(Algorithm, String), Denial> {
    // RFC 7515 §4.1.11: we understand no critical extension, so naming one is a refusal. `b64` changes
    // what is signed (RFC 7797), `enc` and `zip` are of encrypted tokens.
    for name in ["crit", "b64", "enc", "zip"] {
        if header.member(name).is_some() {
            return Err(malformed("the token's header has an extension that is not understood"));
        }
    }
    let algorithm = header
        .member("alg")
        .and_then(|alg| alg.text())
        .ok_or_else(|| malformed("the token's header names no algorithm"))?;
    let algorithm = Algorithm::parse(algorithm)
        .ok_or_else(|| untrusted("the token's algorithm is never allowed"))?;
    let kid = header
        .member("kid")
        .and_then(|kid| kid.text())
        .ok_or_else(|| malformed("the token's header names no key"))?;
    if kid.is_empty() || kid.len() > MAX_KID_BYTES {
        return Err(malformed("the token's key name is empty or longer than any"));
    }
    Ok((algorithm, kid.to_owned()))
}

fn read_part(decoded: &[u8]) -> Result<Object<'_>, Denial> {
    Object::parse(decoded).map_err(|fault| match fault {
        ObjectFault::NotAnObject => malformed("a part of the token is not a JSON object"),
        ObjectFault::RepeatedName => malformed("a name is there twice in the token"),
    })
}

/// base64url without padding and without stray trailing bits: one spelling for one value (RFC 7515 §2).
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| malformed("a part of the token is not canonical base64url"))
}
