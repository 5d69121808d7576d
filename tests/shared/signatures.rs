//! Wycheproof's signature vectors: against the primitive the token room verifies with, called the way it
//! calls it, and against the room itself, where none of them may authenticate anybody.

use crate::folder::{self, word};
use crate::tokens::verifier;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use portvakt::dev::SigningKey;
use portvakt::domain::CheckDigits;
use portvakt::token::{Algorithm, BearerToken, IssuerKind};
use serde_json::{Value, json};

const NOW: u64 = 1_718_175_020;
const ISSUER: &str = "https://issuer.test/";
const RSA_FILES: [&str; 2] =
    ["rsa_signature_2048_sha256_test.even.json", "rsa_signature_4096_sha256_test.json"];
const TOKEN_FILES: [&str; 3] = [
    "json_web_signature_test.even.json",
    "json_web_crypto_test.even.json",
    "json_web_key_test.even.json",
];

fn groups(file: &str) -> Vec<Value> {
    let document = folder::json(format!("vectors/wycheproof/{file}"));
    let groups = document["testGroups"].as_array().unwrap().clone();
    let tests = groups.iter().map(|group| tests(group).len()).sum::<usize>();
    assert_eq!(tests as u64, document["numberOfTests"].as_u64().unwrap(), "{file}");
    groups
}

fn tests(group: &Value) -> &Vec<Value> {
    group["tests"].as_array().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// The claims of a caller that the room believes when they are signed by the issuer.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "scope": "test:read", "iat": NOW - 5, "exp": NOW + 115,
        "consumer": { "authority": "iso6523-actorid-upis", "ID": "0192:314330897" },
    })
}

/// Whether the room takes a token when these are the issuer's keys.
async fn authenticates(keys: &Value, tokens: &[String]) -> Vec<String> {
    let set = keys.to_string().into_bytes();
    let room = verifier(IssuerKind::Maskinporten, ISSUER, set, CheckDigits::Strict, NOW).await;
    let mut accepted = Vec::new();
    for token in tokens {
        let Ok(bearer) = BearerToken::parse(token) else { continue };
        if room.verify(bearer).await.is_ok() {
            accepted.push(token.clone());
        }
    }
    accepted
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn the_primitive_tells_right_rsa_signatures_from_wrong_ones() {
    let mut counts = [0_usize; 3];
    for file in RSA_FILES {
        for group in groups(file) {
            let key = &group["publicKey"];
            let number = |member: &str| -> Vec<u8> {
                bytes(word(key, member)).into_iter().skip_while(|byte| *byte == 0).collect()
            };
            let key =
                DecodingKey::from_rsa_raw_components(&number("modulus"), &number("publicExponent"));
            for test in tests(&group) {
                let signature = URL_SAFE_NO_PAD.encode(bytes(word(test, "sig")));
                let verified = jsonwebtoken::crypto::verify(
                    &signature,
                    &bytes(word(test, "msg")),
                    &key,
                    jsonwebtoken::Algorithm::RS256,
                )
                .unwrap_or(false);
                match word(test, "result") {
                    "valid" => {
                        counts[0] += 1;
                        assert!(verified, "{file} {}", test["tcId"]);
                    }
                    "invalid" => {
                        counts[1] += 1;
                        assert!(!verified, "{file} {}: {}", test["tcId"], test["comment"]);
                    }
                    // A missing NULL in the DigestInfo: either is allowed (RFC 8017 §A.2.4).
                    _ => counts[2] += usize::from(verified),
                }
            }
        }
    }
    println!(
        "RSA signatures: {} right, {} wrong, {} lax ones taken",
        counts[0], counts[1], counts[2]
    );
    assert_eq!(counts, [11, 374, 0]);
}

#[tokio::test]
async fn no_signature_of_the_vectors_authenticates_anybody() {
    let header = |kid: &str| json!({ "alg": "RS256", "kid": kid }).to_string();
    let mut tried = 0;
    for file in RSA_FILES {
        for group in groups(file) {
            let mut key = group["keyJwk"].clone();
            key["kid"] = json!("vector");
            let input = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header("vector")),
                URL_SAFE_NO_PAD.encode(claims().to_string())
            );
            let tokens: Vec<_> = tests(&group)
                .iter()
                .map(|test| format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes(word(test, "sig")))))
                .collect();
            tried += tokens.len();
            let accepted = authenticates(&json!({ "keys": [key] }), &tokens).await;
            assert!(accepted.is_empty(), "{file}: {accepted:?}");
        }
    }
    assert_eq!(tried, 387);
    // The same claims under the issuer's own signature are believed, or all this says nothing.
    let own = SigningKey::generate("vector").unwrap();
    let keys: Value = serde_json::from_slice(&own.public_jwks()).unwrap();
    let token = own.sign(&claims()).unwrap();
    assert_eq!(authenticates(&keys, std::slice::from_ref(&token)).await, [token]);
}

/// Their payloads are not claims, so not even a right one is a caller.
#[tokio::test]
async fn no_token_of_the_vectors_authenticates_anybody() {
    let mut tried = 0;
    for file in TOKEN_FILES {
        for group in groups(file) {
            let keys = match (&group["public"], &group["private"]) {
                // A shared secret is no key of ours, and must not become one.
                (Value::Null, private) => private.clone(),
                (public, _) => public.clone(),
            };
            let keys = if keys["keys"].is_array() { keys } else { json!({ "keys": [keys] }) };
            let tokens: Vec<_> = tests(&group)
                .iter()
                .filter_map(|test| test["jws"].as_str().map(str::to_owned))
                .collect();
            tried += tokens.len();
            let accepted = authenticates(&keys, &tokens).await;
            assert!(accepted.is_empty(), "{file} {}: {accepted:?}", group["comment"]);
        }
    }
    assert!(tried > 200, "only {tried} tokens were tried");
}

/// As the token room does it: the algorithm is the key's, and the token must name the same.
#[test]
#[expect(clippy::print_stdout, reason = "the numbers of a suite are its product")]
fn the_primitive_tells_right_tokens_from_wrong_ones() {
    let (mut right, mut wrong) = (0, 0);
    for group in groups(TOKEN_FILES[0]) {
        let Some(stated) = group["public"]["alg"].as_str() else { continue };
        let Some(algorithm) = Algorithm::parse(stated) else { continue };
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(group["public"].clone()).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let library: jsonwebtoken::Algorithm = algorithm.as_str().parse().unwrap();
        for test in tests(&group) {
            let verified =
                signature_of(word(test, "jws")).is_some_and(|(alg, input, signature)| {
                    alg == stated
                        && jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key, library)
                            .unwrap_or(false)
                });
            // Two examples of RFC 7520 are right, but of another algorithm than their key states.
            let valid = word(test, "result") == "valid"
                && group["comment"] != "rfc7520"
                && group["comment"] != "rfc7520WithKeyOps";
            assert_eq!(
                verified, valid,
                "{} {}: {}",
                group["comment"], test["tcId"], test["comment"]
            );
            *if valid { &mut right } else { &mut wrong } += 1;
        }
    }
    println!("signed tokens: {right} right, {wrong} wrong");
    assert!(right > 5 && wrong > 50, "{right} right, {wrong} wrong");
}

/// The stated algorithm, what is signed, and the signature of a token of three parts.
fn signature_of(token: &str) -> Option<(String, &str, &str)> {
    let (input, signature) = token.rsplit_once('.')?;
    let (header, payload) = input.split_once('.')?;
    if payload.contains('.') {
        return None;
    }
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    Some((header["alg"].as_str()?.to_owned(), input, signature))
}
