//! A client's key for tests, in the forms in which keys come; made at run time.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use std::sync::OnceLock;

pub(crate) struct SampleKey {
    pub(crate) jwk: Value,
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) pkcs1: Vec<u8>,
}

/// One for all tests, because making one is slow.
pub(crate) fn sample_key() -> &'static SampleKey {
    static KEY: OnceLock<SampleKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pkcs8 = der.as_ref().to_vec();
        let mut jwk = parts(&pkcs8);
        jwk["kty"] = json!("RSA");
        jwk["alg"] = json!("RS256");
        jwk["kid"] = json!("sample");
        SampleKey { jwk, pkcs1: pkcs1(&pkcs8), pkcs8 }
    })
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
    EncodingKey::from_rsa_pem(pem("PRIVATE KEY", pkcs8).as_bytes()).unwrap().as_bytes().to_vec()
}

/// The parts of a key (RFC 8017 appendix A.1.2) by their names in a JWK.
pub(crate) fn parts(pkcs8: &[u8]) -> Value {
    let der = pkcs1(pkcs8);
    let mut rest = contents(&der).0;
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (number, after) = contents(rest);
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        numbers.push(URL_SAFE_NO_PAD.encode(&number[zeros..]));
        rest = after;
    }
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    names
        .iter()
        .zip(&numbers[1..])
        .map(|(name, number)| ((*name).to_owned(), json!(number)))
        .collect()
}

/// The contents of the element at the front, and what follows it (X.690 §8.1).
fn contents(der: &[u8]) -> (&[u8], &[u8]) {
    let long = usize::from(der[1].saturating_sub(0x80));
    let length = match long {
        0 => usize::from(der[1]),
        _ => der[2..2 + long].iter().fold(0, |length, byte| length * 256 + usize::from(*byte)),
    };
    der[2 + long..].split_at(length)
}
