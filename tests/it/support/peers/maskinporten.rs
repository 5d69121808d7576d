//! Maskinporten's token endpoint: the development issuer judges the grant.

use super::super::tokens::VENDOR;
use super::endpoint::{Answer, Endpoint, Peer};
use super::tls::Authority;
use super::{SkewedClock, signing_key};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use portvakt::dev::{Issuer, IssuerClient, IssuerDirectory, SigningKey};
use portvakt::domain::{CheckDigits, Clock as _, OrganizationNumber, Scope, UnixSeconds};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const CLIENT_ID: &str = "5f8b54a3-b1c9-4b52-9d7a-3b3c1f2a7d10";
const SCOPE: &str = "altinn:authorization/authorize";

pub(crate) struct Maskinporten {
    pub(crate) peer: Peer,
    pub(crate) token: Arc<Endpoint>,
    /// Which judges assertions and dates tokens.
    pub(crate) clock: SkewedClock,
    client: SigningKey,
    issued: Issued,
}

/// The tokens that somebody has issued; whoever takes them looks here.
#[derive(Clone, Default)]
pub(crate) struct Issued(Arc<Mutex<HashSet<String>>>);

impl Issued {
    pub(crate) fn add(&self, token: &str) {
        self.0.lock().unwrap().insert(token.to_owned());
    }

    pub(crate) fn has(&self, token: &str) -> bool {
        self.0.lock().unwrap().contains(token)
    }

    pub(crate) fn revoke_all(&self) {
        self.0.lock().unwrap().clear();
    }

    /// For looking for them where they must not be.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

impl Maskinporten {
    /// Tokens are granted to one client, and live this long.
    pub(crate) fn start(authority: Option<&Arc<Authority>>, lifetime: Duration) -> Self {
        let client = signing_key(1, "client-key");
        let clock = SkewedClock::default();
        let issued = Issued::default();
        let directory = IssuerDirectory {
            clients: vec![IssuerClient {
                client_id: CLIENT_ID.to_owned(),
                organization: OrganizationNumber::parse(VENDOR, CheckDigits::Strict).unwrap(),
                scopes: vec![Scope::parse(SCOPE).unwrap()],
                jwks: client.public_jwks().into(),
                consumers: Vec::new(),
            }],
            system_users: Vec::new(),
        };
        let mut token = None;
        let peer = Peer::start(authority, |url| {
            let issuer = Issuer::new(
                &url.parse().unwrap(),
                signing_key(2, "maskinporten"),
                directory,
                Arc::new(clock.clone()),
            );
            let issuer = issuer.unwrap().with_lifetime(lifetime);
            let (issued, clock) = (issued.clone(), clock.clone());
            let endpoint = Endpoint::new("POST /token", move |head, body| {
                let media_type = head.get("content-type").unwrap_or_default();
                grant(&issuer, media_type, body, &issued).with("date", &http_date(clock.wall()))
            });
            token = Some(Arc::clone(&endpoint));
            vec![endpoint]
        });
        Self { peer, token: token.unwrap(), clock, client, issued }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.peer.url())
    }

    /// The client's own key, for its settings.
    pub(crate) fn client_key(&self) -> String {
        self.client.private_jwk()
    }

    /// The same in PEM.
    pub(crate) fn client_pem(&self) -> String {
        self.client.private_pem().to_owned()
    }

    pub(crate) fn issued(&self) -> Issued {
        self.issued.clone()
    }
}

/// RFC 9110 §5.6.7.
fn http_date(time: UnixSeconds) -> String {
    let time = jiff::Timestamp::from_second(time.0.try_into().unwrap()).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

fn grant(issuer: &Issuer, media_type: &str, form: &[u8], issued: &Issued) -> Answer {
    let request = http::Request::post("/token")
        .header("content-type", media_type)
        .body(Full::new(Bytes::copy_from_slice(form)))
        .unwrap();
    // Its body is at hand, so there is nothing to wait for.
    let answer = issuer.handle(request).now_or_never().unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
    let document: Value = serde_json::from_slice(&body).unwrap();
    if let Some(token) = document["access_token"].as_str() {
        issued.add(token);
    }
    Answer::new(head.status.as_u16(), "application/json", body.to_vec())
}
