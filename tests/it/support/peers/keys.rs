//! The issuer of the callers' tokens: metadata, and keys that are published, signed with and withdrawn.

use super::super::tokens::{claims, with};
use super::endpoint::{Answer, Endpoint, Peer};
use super::tls::Authority;
use super::{SkewedClock, signing_key};
use portvakt::dev::SigningKey;
use portvakt::domain::Clock as _;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";

pub(crate) struct Keys {
    pub(crate) peer: Peer,
    pub(crate) metadata: Arc<Endpoint>,
    pub(crate) jwks: Arc<Endpoint>,
    /// By which its tokens are dated.
    pub(crate) clock: SkewedClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    published: Vec<Arc<SigningKey>>,
    signer: Option<Arc<SigningKey>>,
}

impl State {
    fn key_set(&self) -> Value {
        let keys = self.published.iter().map(|key| {
            let set: Value = serde_json::from_slice(&key.public_jwks()).unwrap();
            set["keys"][0].clone()
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

impl Keys {
    /// With one key, `key-0`, published and signed with.
    pub(crate) fn start(authority: Option<&Arc<Authority>>) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let keys = Arc::clone(&state);
        let jwks = Endpoint::new("GET /jwk", move |_, _| {
            Answer::json(&keys.lock().unwrap().key_set().to_string())
        });
        let mut metadata = None;
        let peer = Peer::start(authority, |url| {
            let document = metadata_document(url).to_string();
            let endpoint = Endpoint::new("GET /.well-known/oauth-authorization-server", {
                move |_, _| Answer::json(&document)
            });
            metadata = Some(Arc::clone(&endpoint));
            vec![endpoint, Arc::clone(&jwks)]
        });
        let metadata = metadata.unwrap();
        let keys = Self { peer, metadata, jwks, clock: SkewedClock::default(), state };
        keys.publish(0, "key-0");
        keys.sign_with("key-0");
        keys
    }

    /// `iss` of its tokens.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/", self.peer.url())
    }

    pub(crate) fn metadata_url(&self) -> String {
        format!("{}{METADATA}", self.peer.url())
    }

    /// Publishes the key of this number in the pool, under this name.
    pub(crate) fn publish(&self, number: usize, kid: &str) {
        self.state.lock().unwrap().published.push(Arc::new(signing_key(number, kid)));
    }

    /// Publishes this key no longer. What it signs with stays.
    pub(crate) fn withdraw(&self, kid: &str) {
        self.state.lock().unwrap().published.retain(|key| key.kid() != kid);
    }

    /// Signs with this published key from now on.
    pub(crate) fn sign_with(&self, kid: &str) {
        let mut state = self.state.lock().unwrap();
        let key = state.published.iter().find(|key| key.kid() == kid).map(Arc::clone);
        state.signer = Some(key.expect("a published key"));
    }

    /// The claims of a good token for a system user.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.wall().0;
        let claims = with(claims(), "/iss", self.issuer());
        with(with(claims, "/iat", now), "/exp", now + 120)
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let signer = self.state.lock().unwrap().signer.as_ref().map(Arc::clone).unwrap();
        signer.sign(claims).unwrap()
    }

    /// A good token for a system user, made now.
    pub(crate) fn token(&self) -> String {
        self.sign(&self.claims())
    }
}

fn metadata_document(url: &str) -> Value {
    json!({
        "issuer": format!("{url}/"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwk"),
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
    })
}
