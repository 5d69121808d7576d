//! All of them together, and the settings with which a proxy lives among them.

use super::super::server::Server;
use super::super::server::ok;
use super::super::sidecar::Setup;
use super::endpoint::{Endpoint, Peer};
use super::exchange::Exchange;
use super::fault::Fault;
use super::keys::Keys;
use super::maskinporten::{CLIENT_ID, Maskinporten};
use super::pdp::{Pdp, SUBSCRIPTION_KEY};
use super::tls::{Authority, Flaw};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Maskinporten, Altinn, and a place where nobody has any business.
pub(crate) struct World {
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) keys: Keys,
    pub(crate) maskinporten: Maskinporten,
    pub(crate) exchange: Exchange,
    pub(crate) pdp: Pdp,
    /// To which redirects lead. It must see nothing.
    pub(crate) trap: Server,
}

/// Where something can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Metadata,
    Jwks,
    Token,
    Exchange,
    Authorize,
}

impl At {
    /// The word for the system in metrics.
    pub(crate) fn system(self) -> &'static str {
        match self {
            Self::Metadata | Self::Jwks => "keys",
            Self::Token => "maskinporten",
            Self::Exchange => "exchange",
            Self::Authorize => "pdp",
        }
    }
}

/// What can be wrong.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// With every answer of one endpoint.
    Answers(Fault),
    /// Its server refuses connections.
    Refused,
    /// Its server takes connections and says nothing.
    Mute,
    /// Its server ends connections at once.
    Slammed,
    /// Its server has a wrong certificate.
    Certificate(Flaw),
    /// Its clock is ahead by so many seconds, or behind.
    Clock(i64),
}

/// How fast the proxy lives: short enough for tests, long enough for a busy machine.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// For a whole decision.
    pub(crate) timeout: &'static str,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_pause: &'static str,
    pub(crate) refresh: &'static str,
    pub(crate) refresh_min_interval: &'static str,
    pub(crate) max_stale: &'static str,
    pub(crate) multi_request: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            timeout: "5s",
            breaker_failures: 5,
            breaker_pause: "200ms",
            refresh: "1s",
            refresh_min_interval: "50ms",
            max_stale: "1h",
            multi_request: false,
        }
    }
}

impl World {
    /// Over plain http.
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// Over TLS, with certificates of an authority of its own.
    pub(crate) fn over_tls() -> Self {
        Self::with(Some(Authority::new()))
    }

    fn with(authority: Option<Arc<Authority>>) -> Self {
        let tls = authority.as_ref();
        let keys = Keys::start(tls);
        let maskinporten = Maskinporten::start(tls, Duration::from_mins(2));
        let exchange = Exchange::start(tls, maskinporten.issued(), Duration::from_mins(30));
        let pdp = Pdp::start(tls, exchange.issued());
        let trap = Server::start(ok());
        Self { authority, keys, maskinporten, exchange, pdp, trap }
    }

    /// The settings of a proxy among these, but for what stands in front of and behind it.
    pub(crate) fn settings(&self, pace: &Pace) -> String {
        let Pace { timeout, breaker_failures, breaker_pause, multi_request, .. } = pace;
        let Pace { refresh, refresh_min_interval, max_stale, .. } = pace;
        // What is JSON is YAML.
        let mut settings = json!({
            "tokens": {
                "issuers": [{
                    "kind": "maskinporten",
                    "issuer": self.keys.issuer(),
                    "metadata_url": self.keys.metadata_url(),
                }],
                "keys": {
                    "refresh": refresh,
                    "refresh_min_interval": refresh_min_interval,
                    "max_stale": max_stale,
                },
            },
            "pdp": {
                "kind": "altinn",
                "url": self.pdp.peer.url(),
                "subscription_key": SUBSCRIPTION_KEY,
                "timeout": timeout,
                "multi_request": if *multi_request { "on" } else { "off" },
                "breaker": { "failures": breaker_failures, "pause": breaker_pause },
                "credential": { "maskinporten": {
                    "client_id": CLIENT_ID,
                    "key": self.maskinporten.client_key(),
                    "token_url": self.maskinporten.token_url(),
                    "exchange_url": self.exchange.url(),
                }},
            },
        });
        if let Some(authority) = &self.authority {
            settings["outbound"] = json!({ "ca_file": authority.file() });
        }
        settings.to_string()
    }

    pub(crate) fn endpoint(&self, at: At) -> &Endpoint {
        match at {
            At::Metadata => &self.keys.metadata,
            At::Jwks => &self.keys.jwks,
            At::Token => &self.maskinporten.token,
            At::Exchange => &self.exchange.exchange,
            At::Authorize => &self.pdp.authorize,
        }
    }

    fn peer(&mut self, at: At) -> &mut Peer {
        match at {
            At::Metadata | At::Jwks => &mut self.keys.peer,
            At::Token => &mut self.maskinporten.peer,
            At::Exchange => &mut self.exchange.peer,
            At::Authorize => &mut self.pdp.peer,
        }
    }

    fn skew(&self, at: At, seconds: i64) {
        let clock = match at {
            At::Metadata | At::Jwks => &self.keys.clock,
            At::Token => &self.maskinporten.clock,
            At::Exchange => &self.exchange.clock,
            At::Authorize => &self.pdp.clock,
        };
        clock.skew(seconds);
    }

    /// From now on.
    pub(crate) async fn trouble(&mut self, at: At, trouble: Trouble) {
        match trouble {
            Trouble::Answers(fault) => self.endpoint(at).fail(fault),
            Trouble::Refused => self.peer(at).refuse().await,
            Trouble::Mute => self.peer(at).mute().await,
            Trouble::Slammed => self.peer(at).slam().await,
            Trouble::Certificate(flaw) => self.peer(at).show(flaw).await,
            Trouble::Clock(seconds) => self.skew(at, seconds),
        }
    }

    /// All is well from now on; connections that hang have ended.
    pub(crate) async fn heal(&mut self, at: At) {
        self.skew(at, 0);
        self.endpoint(at).heal();
        self.peer(at).heal().await;
    }

    /// A proxy among these, in front of this API.
    pub(crate) fn sidecar(&self, upstream: &Server, pace: &Pace) -> Setup {
        Setup::among(upstream, &self.settings(pace))
    }
}
