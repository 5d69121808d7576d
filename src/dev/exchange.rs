//! Altinn's exchange of Maskinporten tokens, for development: takes tokens of the development issuer, gives
//! Altinn's own form of them, and judges those where the PDP asks for them.
//!
//! What it does not do: HTTP, which is the PDP face's.

use super::claims;
use super::issuer::Issuer;
use super::pdp_face::Admission;
use super::signer::{SigningFault, SigningKey};
use crate::domain::{Clock, UnixSeconds};
use crate::token::{Algorithm, Jws, KeyRing, MAX_TOKEN_BYTES, Node};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long exchanged tokens live, as at Altinn.
const LIFETIME: Duration = Duration::from_mins(30);
/// Either lets its holder ask the PDP.
const SCOPES: [&str; 2] =
    ["altinn:authorization/authorize", "altinn:authorization/authorize.admin"];

/// The exchange. Its key lives as long as it does.
#[derive(Debug)]
pub struct Exchange {
    issuer: String,
    issuer_keys: KeyRing,
    name: String,
    key: SigningKey,
    own_keys: KeyRing,
    clock: Arc<dyn Clock>,
}

impl Exchange {
    /// An exchange on the platform at `base` that believes this issuer.
    pub fn new(issuer: &Issuer, base: &Url, clock: Arc<dyn Clock>) -> Result<Self, SigningFault> {
        let key = SigningKey::generate("platform-1")?;
        let ring = |key: &SigningKey| {
            KeyRing::parse(&key.public_jwks(), &[Algorithm::Rs256], None)
                .map_err(|_| SigningFault::Read)
        };
        let (issuer_keys, own_keys) = (ring(issuer.key())?, ring(&key)?);
        let name = format!("{base}authentication/api/v1/openid/");
        Ok(Self { issuer: issuer.name().to_owned(), issuer_keys, name, key, own_keys, clock })
    }

    /// Altinn's token for one of Maskinporten's; `None` if that does not count.
    pub(super) fn exchange(&self, token: &str) -> Option<String> {
        let claims = self.verified(token, &self.issuer_keys, &self.issuer)?;
        let now = self.clock.wall();
        let mut claims = claims::exchanged(claims, &self.name, None);
        claims::set(&mut claims, "iat", json!(now.0));
        claims::set(&mut claims, "exp", json!(now.saturating_add(LIFETIME).0));
        self.key.sign(&claims).ok()
    }

    /// Whether the holder of this token may ask the PDP.
    pub(super) fn admits(&self, token: Option<&str>) -> Admission {
        let claims = token.and_then(|token| self.verified(token, &self.own_keys, &self.name));
        let Some(claims) = claims else { return Admission::Unauthorized };
        let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        if scope.split(' ').any(|word| SCOPES.contains(&word)) {
            Admission::Admitted
        } else {
            Admission::Forbidden
        }
    }

    /// The claims of a token that is signed with one of these keys, by this name, and not past its end.
    fn verified(&self, token: &str, keys: &KeyRing, issuer: &str) -> Option<Value> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let jws = Jws::parse(token).ok()?;
        let key = keys.key(&jws.kid).filter(|key| key.algorithm() == jws.algorithm)?;
        let expires = jws.payload.member("exp").and_then(Node::whole).map(UnixSeconds)?;
        let counts = key.verifies(jws.signing_input, jws.signature)
            && jws.payload.member("iss").and_then(Node::text) == Some(issuer)
            && self.clock.wall() < expires;
        let (_, payload) = jws.signing_input.split_once('.').filter(|_| counts)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}
