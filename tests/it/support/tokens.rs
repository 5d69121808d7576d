//! Tokens of one issuer whose key lives as long as the test process.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portvakt::dev::{self, Life, SigningKey};
use portvakt::domain::{
    CheckDigits, Clock as _, OrganizationNumber, SystemClock, SystemId, SystemUserId,
};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) const ISSUER: &str = "https://issuer.it.example/";
pub(crate) const KID: &str = "it-1";
/// The system user of every good token.
pub(crate) const SYSTEM_USER: &str = "a0000001-0000-4000-8000-000000000001";
/// Its owner.
pub(crate) const OWNER: &str = "314242726";
/// Its vendor.
pub(crate) const VENDOR: &str = "314330897";
const CLIENT: &str = "314330897_it";
/// The party that the PDP permits.
pub(crate) const PERMITTED: &str = "312714051";
/// A party that it does not.
pub(crate) const DENIED: &str = "315556155";
/// The party's report, read.
pub(crate) const READ: &str = "/v1/orgs/312714051/reports";
/// A report whose party is in the body.
pub(crate) const WRITE: &str = "/v1/reports";

/// The issuer's key: for tests of what else could be done with it.
pub(crate) fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(KID).unwrap())
}

pub(crate) fn jwks() -> Vec<u8> {
    key().public_jwks()
}

/// What Maskinporten writes of a system user, with the scope of the rules.
pub(crate) fn claims() -> Value {
    let number = |text: &str| OrganizationNumber::parse(text, CheckDigits::Strict).unwrap();
    let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(30) };
    dev::system_user(
        dev::organization(ISSUER, life, "it:read", number(VENDOR)),
        SystemUserId::parse(SYSTEM_USER).unwrap(),
        number(OWNER),
        &SystemId::parse(CLIENT).unwrap(),
    )
}

/// The claims with another value of one.
pub(crate) fn with(mut claims: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *claims.pointer_mut(pointer).unwrap() = value.into();
    claims
}

pub(crate) fn sign(claims: &Value) -> String {
    key().sign(claims).unwrap()
}

/// A token of this very header and payload, whatever they are, with a right signature by this key.
pub(crate) fn sign_raw(key: &SigningKey, header: &str, payload: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", encode(header), encode(payload));
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(key.private_pem().as_bytes()).unwrap();
    let signed =
        jsonwebtoken::crypto::sign(input.as_bytes(), &key, jsonwebtoken::Algorithm::RS256).unwrap();
    format!("{input}.{signed}")
}

/// A good token.
pub(crate) fn token() -> String {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| sign(&claims())).clone()
}
