//! A signing key made at run time: for the development issuer and for its clients. Signs RS256 only, as
//! Maskinporten does in practice.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::fmt;
use std::fmt::Write as _;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A private RSA key of 2048 bits with a name. `Debug` shows the name only.
pub struct SigningKey {
    kid: String,
    key: EncodingKey,
    pem: String,
    /// The parts of the key in the order of RFC 8017 appendix A.1.2, base64url.
    parts: Vec<String>,
}

/// A key cannot be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// No randomness, or a library that changed under us.
    #[error("the signing key cannot be made")]
    Generate,
    /// Not an RSA key in PEM.
    #[error("the text is not an RSA key in PEM (PKCS#8 or PKCS#1)")]
    Read,
    /// Claims that are not JSON.
    #[error("the claims cannot be signed")]
    Sign,
}

/// The names of the parts in a JWK (RFC 7518 §6.3), in the order of RFC 8017.
const PART_NAMES: [&str; 8] = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

impl SigningKey {
    /// Makes a key.
    pub fn generate(kid: impl Into<String>) -> Result<Self, SigningFault> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningFault::Generate)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SigningFault::Generate)?;
        let inner = rsa_private_key(der.as_ref()).ok_or(SigningFault::Generate)?;
        Self::of(kid.into(), inner, pem(der.as_ref())).ok_or(SigningFault::Generate)
    }

    /// Reads a key from PEM: PKCS#8, as [`SigningKey::private_pem`] writes it, or PKCS#1.
    pub fn from_pem(kid: impl Into<String>, pem: &str) -> Result<Self, SigningFault> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningFault::Read)?;
        let inner = match &key {
            PrivateKeyDer::Pkcs1(key) => Some(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => rsa_private_key(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(_) | _ => None,
        };
        inner
            .and_then(|inner| Self::of(kid.into(), inner, pem.to_owned()))
            .ok_or(SigningFault::Read)
    }

    fn of(kid: String, pkcs1: &[u8], pem: String) -> Option<Self> {
        let parts = rsa_parts(pkcs1)?;
        Some(Self { kid, key: EncodingKey::from_rsa_der(pkcs1), pem, parts })
    }

    /// Its name, as in `kid`.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a key set (RFC 7517 §5).
    #[must_use]
    pub fn public_jwks(&self) -> Vec<u8> {
        json!({ "keys": [self.jwk(2)] }).to_string().into_bytes()
    }

    /// The whole key as a JWK: for a client's key file, never for publishing.
    #[must_use]
    pub fn private_jwk(&self) -> String {
        self.jwk(PART_NAMES.len()).to_string()
    }

    /// The whole key in PEM (PKCS#8): for a client's key file, never for publishing.
    #[must_use]
    pub fn private_pem(&self) -> &str {
        &self.pem
    }

    /// A signed token of these claims.
    pub fn sign(&self, claims: &Value) -> Result<String, SigningFault> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| SigningFault::Sign)
    }

    fn jwk(&self, part_count: usize) -> Value {
        let mut jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid });
        if let Some(members) = jwk.as_object_mut() {
            for (name, part) in PART_NAMES.iter().zip(&self.parts).take(part_count) {
                members.insert((*name).to_owned(), Value::from(part.as_str()));
            }
        }
        jwk
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signing key {:?}", self.kid)
    }
}

/// RFC 7468: 64 characters a line.
fn pem(der: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    // Writing to a String cannot fail.
    let _ = writeln!(pem, "\n-----END PRIVATE KEY-----");
    pem
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// The `RSAPrivateKey` in a `PrivateKeyInfo` (RFC 5208 §5): after the version and the algorithm.
fn rsa_private_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (info, _) = element(pkcs8, SEQUENCE)?;
    let (_version, rest) = element(info, INTEGER)?;
    let (_algorithm, rest) = element(rest, SEQUENCE)?;
    let (key, _attributes) = element(rest, OCTET_STRING)?;
    Some(key)
}

/// The eight numbers after the version in an `RSAPrivateKey`: one sequence of integers, no more DER than
/// that is needed.
fn rsa_parts(der: &[u8]) -> Option<Vec<String>> {
    let (mut rest, _) = element(der, SEQUENCE)?;
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (number, after) = element(rest, INTEGER)?;
        let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        numbers.push(URL_SAFE_NO_PAD.encode(number.get(first..)?));
        rest = after;
    }
    if numbers.len() != PART_NAMES.len().saturating_add(1) {
        return None;
    }
    numbers.remove(0);
    Some(numbers)
}

/// The contents of the element at the front, and what follows it (X.690 §8.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..0x80 => (usize::from(length), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7F))?;
            let length = bytes.iter().try_fold(0_usize, |length, byte| {
                length.checked_mul(256)?.checked_add(usize::from(*byte))
            })?;
            (length, rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_what_it_signs_and_publishes_only_its_public_half() {
        let key = SigningKey::generate("k").unwrap();
        let set: Value = serde_json::from_slice(&key.public_jwks()).unwrap();
        let public = set["keys"][0].as_object().unwrap();
        assert_eq!(
            public.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
            ["kty", "use", "alg", "kid", "n", "e"].into()
        );
        assert_eq!(public["e"], "AQAB");
        let ring = crate::token::KeyRing::parse(
            &key.public_jwks(),
            &[crate::token::Algorithm::Rs256],
            None,
        )
        .unwrap();
        let token = key.sign(&json!({ "a": 1 })).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(ring.key("k").unwrap().verifies(input, &signature));
        assert!(!format!("{key:?}").contains(&key.parts[2]));
        let private: Value = serde_json::from_str(&key.private_jwk()).unwrap();
        assert!(PART_NAMES.iter().all(|name| private[name].is_string()));
        assert!(key.private_pem().lines().all(|line| line.len() <= 64));
        EncodingKey::from_rsa_pem(key.private_pem().as_bytes()).unwrap();
        assert_eq!(SigningKey::from_pem("k", key.private_pem()).unwrap().parts, key.parts);
        assert_eq!(SigningKey::from_pem("k", &pkcs1(&key)).unwrap().parts, key.parts);
    }

    fn pkcs1(key: &SigningKey) -> String {
        let body = STANDARD.encode(key.key.as_bytes());
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")
    }

    #[test]
    fn what_is_not_an_rsa_key_is_refused() {
        let wrapped = |der: &[u8]| pem(der);
        for text in [
            String::new(),
            "no PEM".to_owned(),
            wrapped(&[]),
            wrapped(&[SEQUENCE, 0]),
            // The version alone, and an empty key.
            wrapped(&[SEQUENCE, 3, INTEGER, 1, 0]),
            wrapped(&[SEQUENCE, 9, INTEGER, 1, 0, SEQUENCE, 0, OCTET_STRING, 2, SEQUENCE, 0]),
            // A length beyond the end, and one of more bytes than a length has.
            wrapped(&[SEQUENCE, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
            wrapped(&[SEQUENCE, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
            wrapped(&[SEQUENCE, 0xFF]),
        ] {
            assert_eq!(SigningKey::from_pem("k", &text).unwrap_err(), SigningFault::Read, "{text}");
        }
    }
}
