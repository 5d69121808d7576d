//! Tokens that no issuer issues.

use crate::dev::claims::set;
use crate::dev::signer::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// `alg: none`, and no signature.
pub(in crate::dev) fn unsigned_token(claims: &Value, kid: &str) -> String {
    unsigned(claims, kid, "")
}

/// `alg: none`, with whatever stands in place of a signature.
pub(super) fn unsigned(claims: &Value, kid: &str, signature: &str) -> String {
    let header = json!({ "alg": "none", "typ": "JWT", "kid": kid });
    format!("{}.{}.{signature}", part(&header), part(claims))
}

/// Signed with the issuer's *public* key as if it were a shared secret: the oldest confusion of JWT.
pub(super) fn signed_with_public_key(claims: &Value, key: &SigningKey) -> Option<String> {
    let header = jsonwebtoken::Header {
        kid: Some(key.kid().to_owned()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
    };
    let secret = jsonwebtoken::EncodingKey::from_secret(&key.public_jwks());
    jsonwebtoken::encode(&header, claims, &secret).ok()
}

/// The same claims with another value.
pub(super) fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    set(&mut claims, name, value);
    claims
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
