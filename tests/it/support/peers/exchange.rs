//! Altinn's exchange: a token of Maskinporten in, a token of Altinn out.

use super::super::wire::Head;
use super::endpoint::{Answer, Endpoint, Peer};
use super::maskinporten::Issued;
use super::tls::Authority;
use super::{SkewedClock, signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portvakt::dev;
use portvakt::domain::Clock as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const PATH: &str = "/authentication/api/v1/exchange/maskinporten";

#[expect(clippy::struct_field_names, reason = "the endpoint is called as its system is")]
pub(crate) struct Exchange {
    pub(crate) peer: Peer,
    pub(crate) exchange: Arc<Endpoint>,
    /// By which its tokens are dated.
    pub(crate) clock: SkewedClock,
    manner: Arc<Manner>,
    issued: Issued,
}

struct Manner {
    lifetime: AtomicU64,
    quoted: AtomicBool,
}

impl Exchange {
    /// Takes the tokens that were issued there; its own live this long.
    pub(crate) fn start(
        authority: Option<&Arc<Authority>>,
        taken: Issued,
        lifetime: Duration,
    ) -> Self {
        let (clock, issued) = (SkewedClock::default(), Issued::default());
        let manner = Arc::new(Manner {
            lifetime: AtomicU64::new(lifetime.as_secs()),
            quoted: AtomicBool::new(false),
        });
        let key = signing_key(3, "altinn");
        let (now, ours, how) = (clock.clone(), issued.clone(), Arc::clone(&manner));
        let line = "GET /authentication/api/v1/exchange/maskinporten";
        let exchange = Endpoint::new(line, move |head, _| {
            let Some(token) = bearer(head).filter(|token| taken.has(token)) else {
                return Answer::new(401, "text/plain", "");
            };
            let mut claims = dev::exchanged(claims_of(token), "https://altinn.it.example/", None);
            let issued = now.wall().0;
            claims["iat"] = json!(issued);
            claims["exp"] = json!(issued + how.lifetime.load(Ordering::SeqCst));
            let token = key.sign(&claims).unwrap();
            ours.add(&token);
            let quoted = how.quoted.load(Ordering::SeqCst);
            let body = if quoted { format!("\"{token}\"") } else { token };
            Answer::new(200, "text/plain; charset=utf-8", body)
        });
        let endpoint = Arc::clone(&exchange);
        let peer = Peer::start(authority, |_| vec![endpoint]);
        Self { peer, exchange, clock, manner, issued }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}{PATH}", self.peer.url())
    }

    /// Of the tokens from now on.
    pub(crate) fn lifetime(&self, lifetime: Duration) {
        self.manner.lifetime.store(lifetime.as_secs(), Ordering::SeqCst);
    }

    /// Whether tokens stand in quotation marks.
    pub(crate) fn quote(&self, quoted: bool) {
        self.manner.quoted.store(quoted, Ordering::SeqCst);
    }

    pub(crate) fn issued(&self) -> Issued {
        self.issued.clone()
    }
}

pub(super) fn bearer(head: &Head) -> Option<&str> {
    head.get("authorization").and_then(|value| value.strip_prefix("Bearer "))
}

/// The claims of a token that is known to be good.
pub(super) fn claims_of(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}
