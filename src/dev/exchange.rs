//! Altinn's exchange of Maskinporten tokens, for development: takes tokens of one issuer, gives Altinn's own
//! form of them, and judges those where the PDP asks for them.
//!
//! What it does not do: HTTP, which is the PDP face's; verify tokens, which is the token room's. Any issuer
//! that speaks as Maskinporten does is believed if it is named at start: the development issuer, or
//! Maskinporten's test environment.

use super::claims;
use super::signer::{SigningFault, SigningKey};
use crate::domain::{Clock, Denial, DenialCode};
use crate::outbound::Outbound;
use crate::tasks::Tasks;
use crate::token::{
    BearerToken, IssuerKind, IssuerSettings, KeyLocation, TokenSettings, TokenVerifier,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long exchanged tokens live, as at Altinn.
const LIFETIME: Duration = Duration::from_mins(30);
/// Either lets its holder ask the PDP.
const SCOPES: [&str; 2] =
    ["altinn:authorization/authorize", "altinn:authorization/authorize.admin"];
/// How far the issuer's clock may differ, as at Altinn's exchange. The PDP allows nothing: it is the one
/// platform.
const LEEWAY: Duration = Duration::from_secs(10);
/// Where an issuer's metadata is, below its name (RFC 8414 §3).
const METADATA: &str = ".well-known/oauth-authorization-server";

/// The exchange. Its key lives as long as it does.
#[derive(Debug)]
pub struct Exchange {
    /// Believes the issuer.
    issuer: TokenVerifier,
    /// Believes this exchange.
    own: TokenVerifier,
    /// `iss` of the tokens given.
    name: String,
    key: SigningKey,
    clock: Arc<dyn Clock>,
}

/// What a token is good for at the PDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may ask.
    Admitted,
    /// Missing, expired or foreign: `401`.
    Unauthorized,
    /// Without the scope: `403`.
    Forbidden,
}

/// Why a token was not exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExchanged {
    /// It does not count: `401`.
    #[error("the token does not count")]
    Untrusted,
    /// The issuer's keys could not be fetched: nothing is known of the token.
    #[error("the keys of the issuer are not there")]
    NoKeys,
    /// Our own fault.
    #[error("the exchanged token cannot be signed")]
    NotSigned,
}

/// The issuer at this address, whose name it is as well; the address of its metadata does too.
#[must_use]
pub fn issuer_at(address: &Url) -> IssuerSettings {
    let name = address.as_str();
    let name = name.strip_suffix('/').filter(|name| name.ends_with(METADATA)).unwrap_or(name);
    let name = name.strip_suffix(METADATA).unwrap_or(name);
    let slash = if name.ends_with('/') { "" } else { "/" };
    let metadata = format!("{name}{slash}{METADATA}");
    // What was read as an address with less behind it is one with more behind it.
    let metadata = metadata.parse().unwrap_or_else(|_| address.clone());
    IssuerSettings::new(IssuerKind::Maskinporten, name, KeyLocation::Metadata(metadata))
}

impl Exchange {
    /// An exchange on the platform at `base` that believes this issuer.
    pub fn new(
        issuer: IssuerSettings,
        base: &Url,
        outbound: &Outbound,
        tasks: &Tasks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SigningFault> {
        let key = SigningKey::generate("platform-1")?;
        let name = format!("{base}authentication/api/v1/openid/");
        let own_keys = KeyLocation::Static(key.public_jwks().into());
        let own = IssuerSettings::new(IssuerKind::Altinn, name.as_str(), own_keys);
        let verifier = |issuer, leeway| {
            let settings = TokenSettings { leeway, ..TokenSettings::new(vec![issuer]) };
            TokenVerifier::new(settings, outbound, tasks, Arc::clone(&clock))
        };
        let (issuer, own) = (verifier(issuer, LEEWAY), verifier(own, Duration::ZERO));
        Ok(Self { issuer, own, name, key, clock })
    }

    /// Fetches the issuer's keys, waits for the outcome, and keeps them fresh from then on. Gives why they
    /// are not there, if they are not; they are fetched again as soon as a token needs them.
    pub async fn start(&self) -> Option<String> {
        self.own.start().await;
        self.issuer.start().await;
        let state = self.issuer.key_states().pop()?;
        let none = || "the key set holds no key that can be used".to_owned();
        (state.keys == 0).then(|| state.last_fault.unwrap_or_else(none))
    }

    /// Altinn's token for the one of Maskinporten's in these headers.
    pub async fn exchange(&self, headers: &HeaderMap) -> Result<String, NotExchanged> {
        let token = BearerToken::from_headers(headers).map_err(|fault| refused(&fault))?;
        self.issuer.verify(token).await.map_err(|fault| refused(&fault))?;
        let claims = claims_of(token).ok_or(NotExchanged::Untrusted)?;
        let now = self.clock.wall();
        let mut claims = claims::exchanged(claims, &self.name, None);
        claims::set(&mut claims, "iat", json!(now.0));
        claims::set(&mut claims, "exp", json!(now.saturating_add(LIFETIME).0));
        self.key.sign(&claims).map_err(|_| NotExchanged::NotSigned)
    }

    /// Whether the sender of these headers may ask the PDP.
    pub async fn admits(&self, headers: &HeaderMap) -> Admission {
        match self.own.authenticate(headers).await {
            Ok(proven) if proven.caller.scopes.words().any(|word| SCOPES.contains(&word)) => {
                Admission::Admitted
            }
            Ok(_) => Admission::Forbidden,
            Err(_) => Admission::Unauthorized,
        }
    }
}

fn refused(fault: &Denial) -> NotExchanged {
    let (code, cause) = (fault.code.as_str(), fault.cause.as_deref());
    tracing::info!(code, cause, "a token is not exchanged");
    if fault.code == DenialCode::KeysUnavailable {
        NotExchanged::NoKeys
    } else {
        NotExchanged::Untrusted
    }
}

/// The claims of a token that was verified.
fn claims_of(token: BearerToken<'_>) -> Option<Value> {
    let payload = token.expose().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_named_by_its_address_or_by_that_of_its_metadata() {
        for (address, name) in [
            ("http://127.0.0.1:7081", "http://127.0.0.1:7081/"),
            ("https://test.maskinporten.no/", "https://test.maskinporten.no/"),
            (
                "https://test.maskinporten.no/.well-known/oauth-authorization-server",
                "https://test.maskinporten.no/",
            ),
            (
                "https://test.maskinporten.no/.well-known/oauth-authorization-server/",
                "https://test.maskinporten.no/",
            ),
            ("https://issuer.test/below", "https://issuer.test/below"),
        ] {
            let settings = issuer_at(&address.parse().unwrap());
            assert_eq!(&*settings.issuer, name, "{address}");
            let slash = if name.ends_with('/') { "" } else { "/" };
            let metadata = format!("{name}{slash}{METADATA}").parse().unwrap();
            assert_eq!(settings.keys, KeyLocation::Metadata(metadata), "{address}");
        }
    }
}
