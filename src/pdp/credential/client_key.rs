//! The key with which Portvakt signs for itself (`private_key_jwt`): reading it from a JWK or from PEM,
//! judging it, and signing. Where its text comes from is the config room's.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Shorter keys are not accepted by Maskinporten, and can be factored by whoever pays for it.
const MIN_MODULUS_BITS: usize = 2048;
/// Bounds the header of what we send; names are thumbprints, UUIDs or aliases in practice.
const MAX_KID_BYTES: usize = 256;

/// A private RSA key of at least 2048 bits with a name, bound to one algorithm. Two are equal if they would
/// sign alike. `Debug` shows the name only.
pub struct ClientKey {
    kid: String,
    algorithm: Algorithm,
    pair: KeyPair,
    /// SHA-256 of the public half, which has the private one determined.
    fingerprint: [u8; digest::SHA256_OUTPUT_LEN],
}

/// Why a text is no key to sign with. The text shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientKey {
    /// Neither a JWK nor PEM.
    #[error("the key is neither a JWK (RFC 7517) nor PEM (RFC 7468) that can be read")]
    Unreadable,
    /// A set of keys, or several PEM blocks: which is meant is not ours to guess.
    #[error(
        "the text does not hold exactly one key: give the private key alone, not in a set or chain"
    )]
    NotOneKey,
    /// A public key or a certificate.
    #[error("the key is a public one: the private key is needed to sign")]
    PublicOnly,
    /// A private key in an envelope that needs a passphrase.
    #[error("the key is encrypted: give it without a passphrase")]
    Encrypted,
    /// A key of another kind.
    #[error("the key is not an RSA key")]
    NotRsa,
    /// Fewer than 2048 bits.
    #[error("the key has fewer than {MIN_MODULUS_BITS} bits")]
    TooWeak,
    /// Some of `p`, `q`, `dp`, `dq`, `qi` are not there (RFC 7518 §6.3.2).
    #[error("the JWK lacks some of `p`, `q`, `dp`, `dq` and `qi`")]
    Incomplete,
    /// The parts are not those of one key.
    #[error("the parts of the key do not belong together")]
    Inconsistent,
    /// An algorithm that Maskinporten does not take.
    #[error("the key's `alg` is not RS256, RS384 or RS512")]
    Algorithm,
    /// The key has no name, and none was given.
    #[error("the key has no `kid`, and none is given beside it")]
    NoKid,
    /// A name that is none.
    #[error("the key's `kid` is empty or longer than {MAX_KID_BYTES} bytes")]
    Kid,
}

/// The claims cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion cannot be signed")]
pub(super) struct SigningFault;

/// What Maskinporten verifies with an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
}

impl Algorithm {
    fn parse(text: &str) -> Option<Self> {
        [Self::Rs256, Self::Rs384, Self::Rs512].into_iter().find(|one| one.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &signature::RSA_PKCS1_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_SHA512,
        }
    }
}

/// A JWK as it is written. What is secret is borrowed, so that no copy of it is left behind; a repeated
/// member is an error.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: Option<&'a str>,
    alg: Option<&'a str>,
    kid: Option<String>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
    /// What makes it a set (RFC 7517 §5).
    keys: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

impl ClientKey {
    /// Reads a JWK (RFC 7517, RFC 7518 §6.3) or PEM (PKCS#8 or PKCS#1). `kid` wins over the JWK's own, and
    /// must be given for PEM, which has none. Without `alg` the key signs RS256.
    pub fn parse(text: &SecretString, kid: Option<&str>) -> Result<Self, InvalidClientKey> {
        let text = text.expose_secret().trim_ascii();
        let (pair, algorithm, own_kid) = if text.starts_with('{') {
            from_jwk(text)?
        } else {
            (from_pem(text)?, Algorithm::Rs256, None)
        };
        let kid = kid.map(str::to_owned).or(own_kid).ok_or(InvalidClientKey::NoKid)?;
        if kid.is_empty() || kid.len() > MAX_KID_BYTES {
            return Err(InvalidClientKey::Kid);
        }
        let mut fingerprint = [0; digest::SHA256_OUTPUT_LEN];
        let hashed = digest::digest(&digest::SHA256, pair.public_key().as_ref());
        fingerprint.copy_from_slice(hashed.as_ref());
        Ok(Self { kid, algorithm, pair, fingerprint })
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims as a signed token (RFC 7515 §7.1).
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, SigningFault> {
        let header = Header { alg: self.algorithm.as_str(), kid: &self.kid, typ: "JWT" };
        let part = |json: serde_json::Result<Vec<u8>>| {
            json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| SigningFault)
        };
        let header = part(serde_json::to_vec(&header))?;
        let claims = part(serde_json::to_vec(claims))?;
        let input = format!("{header}.{claims}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(self.algorithm.encoding(), &random, input.as_bytes(), &mut signature)
            .map_err(|_| SigningFault)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.fingerprint == other.fingerprint
    }
}

impl Eq for ClientKey {}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client key {:?}", self.kid)
    }
}

fn from_jwk(text: &str) -> Result<(KeyPair, Algorithm, Option<String>), InvalidClientKey> {
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(|_| InvalidClientKey::Unreadable)?;
    if jwk.keys.is_some() {
        return Err(InvalidClientKey::NotOneKey);
    }
    match jwk.kty {
        Some("RSA") => {}
        Some(_) => return Err(InvalidClientKey::NotRsa),
        None => return Err(InvalidClientKey::Unreadable),
    }
    let algorithm = match jwk.alg {
        Some(alg) => Algorithm::parse(alg).ok_or(InvalidClientKey::Algorithm)?,
        None => Algorithm::Rs256,
    };
    let (modulus, exponent) = jwk.n.zip(jwk.e).ok_or(InvalidClientKey::Unreadable)?;
    let private = jwk.d.ok_or(InvalidClientKey::PublicOnly)?;
    let (Some(p), Some(q), Some(dp), Some(dq), Some(qi)) = (jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi)
    else {
        return Err(InvalidClientKey::Incomplete);
    };
    let modulus = number(modulus)?;
    if bits(&modulus) < MIN_MODULUS_BITS {
        return Err(InvalidClientKey::TooWeak);
    }
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: modulus, e: number(exponent)? },
        d: number(private)?,
        p: number(p)?,
        q: number(q)?,
        dP: number(dp)?,
        dQ: number(dq)?,
        qInv: number(qi)?,
    };
    // Checks that all parts are those of one key.
    let pair = KeyPair::from_components(&components).map_err(|_| InvalidClientKey::Inconsistent)?;
    Ok((pair, algorithm, jwk.kid))
}

/// A `Base64urlUInt` (RFC 7518 §2), without zeros in front: some writers put one there.
fn number(text: &str) -> Result<Zeroizing<Vec<u8>>, InvalidClientKey> {
    let mut bytes =
        Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidClientKey::Unreadable)?);
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    if bytes.is_empty() { Err(InvalidClientKey::Inconsistent) } else { Ok(bytes) }
}

fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len().saturating_mul(8).saturating_sub(spare)
}

fn from_pem(text: &str) -> Result<KeyPair, InvalidClientKey> {
    const BEGIN: &str = "-----BEGIN ";
    if text.matches(BEGIN).count() > 1 {
        return Err(InvalidClientKey::NotOneKey);
    }
    let (label, rest) = text
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once("-----"))
        .ok_or(InvalidClientKey::Unreadable)?;
    let body = rest.split_once("-----END ").map(|(body, _)| body);
    let body = body.ok_or(InvalidClientKey::Unreadable)?;
    // In an envelope of its own, or as OpenSSL writes it into PKCS#1 (RFC 1421 §4.6.1.1).
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED") {
        return Err(InvalidClientKey::Encrypted);
    }
    let characters = body.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let body = Zeroizing::new(characters.collect::<Vec<u8>>());
    let der = STANDARD.decode(&*body).map(Zeroizing::new);
    let der = der.map_err(|_| InvalidClientKey::Unreadable)?;
    let pair = match label {
        "PRIVATE KEY" => KeyPair::from_pkcs8(&der),
        "RSA PRIVATE KEY" => KeyPair::from_der(&der),
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "EC PUBLIC KEY" | "CERTIFICATE" => {
            return Err(InvalidClientKey::PublicOnly);
        }
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => return Err(InvalidClientKey::NotRsa),
        _ => return Err(InvalidClientKey::Unreadable),
    };
    // The library has words for its faults and no type.
    pair.map_err(|fault| match fault.to_string().as_str() {
        "TooSmall" => InvalidClientKey::TooWeak,
        "WrongAlgorithm" => InvalidClientKey::NotRsa,
        _ => InvalidClientKey::Unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{SampleKey, pem, sample_key};
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str, kid: Option<&str>) -> Result<ClientKey, InvalidClientKey> {
        ClientKey::parse(&SecretString::from(text), kid)
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    fn without(mut jwk: Value, names: &[&str]) -> Value {
        for name in names {
            jwk.as_object_mut().unwrap().remove(*name);
        }
        jwk
    }

    /// An element of X.690 §8.1 that is short.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], content].concat()
    }

    #[test]
    fn every_form_of_a_key_signs_the_same() {
        let SampleKey { jwk, pkcs8, pkcs1 } = sample_key();
        let padded = jwk["n"].as_str().map(|n| URL_SAFE_NO_PAD.decode(n).unwrap()).unwrap();
        let padded = URL_SAFE_NO_PAD.encode([&[0], padded.as_slice()].concat());
        let from_jwk = read(&jwk.to_string(), None).unwrap();
        let signed = from_jwk.sign(&json!({ "a": 1 })).unwrap();
        for (text, kid) in [
            (format!("\n {jwk} \n"), None),
            (with(jwk.clone(), "n", json!(padded)).to_string(), None),
            (with(jwk.clone(), "kid", json!("other")).to_string(), Some("sample")),
            (without(jwk.clone(), &["alg"]).to_string(), None),
            (pem("PRIVATE KEY", pkcs8), Some("sample")),
            (pem("RSA PRIVATE KEY", pkcs1), Some("sample")),
        ] {
            let key = read(&text, kid).unwrap();
            assert_eq!(key, from_jwk);
            assert_eq!(
                key.sign(&json!({ "a": 1 })).unwrap(),
                signed,
                "deterministic (RFC 8017 §8.2)"
            );
        }
    }

    #[test]
    fn what_is_signed_verifies_with_the_public_half() {
        let SampleKey { jwk, .. } = sample_key();
        for (name, algorithm) in [
            ("RS256", jsonwebtoken::Algorithm::RS256),
            ("RS384", jsonwebtoken::Algorithm::RS384),
            ("RS512", jsonwebtoken::Algorithm::RS512),
        ] {
            let key = read(&with(jwk.clone(), "alg", json!(name)).to_string(), Some("k")).unwrap();
            let token = key.sign(&json!({ "iss": "me" })).unwrap();
            let (input, signature) = token.rsplit_once('.').unwrap();
            let (n, e) = (jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap());
            let public = jsonwebtoken::DecodingKey::from_rsa_components(n, e).unwrap();
            let holds =
                jsonwebtoken::crypto::verify(signature, input.as_bytes(), &public, algorithm);
            assert!(holds.unwrap(), "{name}");
            let header = URL_SAFE_NO_PAD.decode(input.split_once('.').unwrap().0).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header, json!({ "alg": name, "kid": "k", "typ": "JWT" }));
        }
    }

    #[test]
    fn a_text_that_is_no_key_to_sign_with_is_refused_for_what_it_is() {
        use InvalidClientKey as Fault;
        let SampleKey { jwk, pkcs8, pkcs1 } = sample_key();
        let other = KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let public = without(jwk.clone(), &["d", "p", "q", "dp", "dq", "qi"]);
        let foreign_q = {
            let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> =
                aws_lc_rs::encoding::AsDer::as_der(&other).unwrap();
            super::super::samples::parts(der.as_ref())["q"].clone()
        };
        let short = URL_SAFE_NO_PAD.encode([0xFF; 128]);
        let private = pem("PRIVATE KEY", pkcs8);
        let legacy = pem("RSA PRIVATE KEY", pkcs1).replacen(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\n\n",
            1,
        );
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let repeated = jwk.to_string().replacen('{', "{\"kty\":\"RSA\",", 1);
        for (text, expected) in [
            (String::new(), Fault::Unreadable),
            ("hemmelig".to_owned(), Fault::Unreadable),
            ("{".to_owned(), Fault::Unreadable),
            ("{}".to_owned(), Fault::Unreadable),
            (repeated, Fault::Unreadable),
            (with(jwk.clone(), "d", json!("+/=")).to_string(), Fault::Unreadable),
            (json!({ "keys": [jwk] }).to_string(), Fault::NotOneKey),
            (json!([jwk]).to_string(), Fault::Unreadable),
            (public.to_string(), Fault::PublicOnly),
            (without(jwk.clone(), &["qi"]).to_string(), Fault::Incomplete),
            (with(jwk.clone(), "kty", json!("EC")).to_string(), Fault::NotRsa),
            (with(jwk.clone(), "alg", json!("PS256")).to_string(), Fault::Algorithm),
            (with(jwk.clone(), "alg", json!("none")).to_string(), Fault::Algorithm),
            (with(jwk.clone(), "n", json!(short)).to_string(), Fault::TooWeak),
            (with(jwk.clone(), "q", json!(foreign_q)).to_string(), Fault::Inconsistent),
            (with(jwk.clone(), "d", json!("AQAB")).to_string(), Fault::Inconsistent),
            (with(jwk.clone(), "dp", json!("")).to_string(), Fault::Inconsistent),
            (without(jwk.clone(), &["kid"]).to_string(), Fault::NoKid),
            (with(jwk.clone(), "kid", json!("")).to_string(), Fault::Kid),
            (with(jwk.clone(), "kid", json!("k".repeat(257))).to_string(), Fault::Kid),
            (private.clone(), Fault::NoKid),
            (format!("{private}{private}"), Fault::NotOneKey),
            (pem("PUBLIC KEY", pkcs1), Fault::PublicOnly),
            (pem("CERTIFICATE", pkcs1), Fault::PublicOnly),
            (pem("ENCRYPTED PRIVATE KEY", pkcs8), Fault::Encrypted),
            (legacy, Fault::Encrypted),
            (elliptic, Fault::NotRsa),
            (pem("PRIVATE KEY", &[1, 2, 3]), Fault::Unreadable),
            (pem("RSA PRIVATE KEY", &pkcs1[..100]), Fault::Unreadable),
            (pem("PRIVATE KEY", pkcs1), Fault::Unreadable),
            (pem("EC PRIVATE KEY", pkcs1), Fault::NotRsa),
            (private.replace("-----END", "-----"), Fault::Unreadable),
            (private.replace("MII", "M-I"), Fault::Unreadable),
            (pem("HEMMELIG", pkcs8), Fault::Unreadable),
        ] {
            let fault = read(&text, None).unwrap_err();
            assert_eq!(fault, expected, "{}", text.get(..40).unwrap_or(&text));
            assert!(!fault.to_string().contains("hemmelig"));
        }
    }

    /// A key of 124 bits, as no library makes one: two primes, and the rest computed.
    #[test]
    fn a_weak_key_in_pem_is_refused() {
        let (p, q, e) = ((1_i128 << 62) - 57, (1_i128 << 62) - 87, 65537_i128);
        let inverse = |value: i128, modulus: i128| {
            let (mut old, mut new) = ((modulus, 0_i128), (value % modulus, 1_i128));
            while new.0 != 0 {
                let times = old.0 / new.0;
                (old, new) = (new, (old.0 - times * new.0, old.1 - times * new.1));
            }
            old.1.rem_euclid(modulus)
        };
        let d = inverse(e, (p - 1) * (q - 1));
        let integer = |value: i128| {
            let bytes = value.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let bytes = &bytes[zeros.min(15)..];
            let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
            der(2, &[sign, bytes].concat())
        };
        let numbers =
            [0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), inverse(q, p)].map(integer).concat();
        let weak = pem("RSA PRIVATE KEY", &der(0x30, &numbers));
        assert_eq!(read(&weak, Some("k")).unwrap_err(), InvalidClientKey::TooWeak);
    }

    #[test]
    fn a_key_shows_its_name_only_and_differs_from_others() {
        let SampleKey { jwk, .. } = sample_key();
        let key = read(&jwk.to_string(), None).unwrap();
        assert_eq!(format!("{key:?}"), "client key \"sample\"");
        assert_ne!(read(&jwk.to_string(), Some("other")).unwrap(), key);
        assert_ne!(read(&with(jwk.clone(), "alg", json!("RS512")).to_string(), None).unwrap(), key);
    }
}
