//! What goes wrong, by a schedule from the seed: faults of the PDP, of the credential's two steps and of the
//! key server side by side, keys that change, and purges. Each lane deals its kinds like cards, so that
//! after so many rounds each has come as often.

use crate::gate::{CONTROL_TOKEN, Gate};
use crate::now;
use crate::oracle::{Oracle, Purged};
use crate::random::Random;
use crate::support::peers::{Endpoint, Exchange, Fault, Keys, Maskinporten, Pdp, Place, World};
use crate::support::{Server, exchange};
use crate::tokens::Tokens;
use crate::truth::{PARTIES, RESOURCES, USERS, user_id};
use crate::weather::Weather;
use portvakt::tasks::Tasks;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Of our own credential: short, so that it is renewed often. Renewed after a third.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(5);
/// So short that an outage of its issuer is felt.
const SHORT_LIFETIME: Duration = Duration::from_secs(2);
/// A storm, and the calm after it, in turn.
const STORM: Duration = Duration::from_mins(1);
const CALM: Duration = Duration::from_secs(14);
/// The issuer's keys are published so long before they are signed with: longer than the proxy may take a
/// key set for recent.
const PUBLISHED_BEFORE: Duration = Duration::from_millis(400);

/// How long after a fault its traces may show: the deadline of a call, the pause of the circuit breaker,
/// a `Retry-After` of a second.
const PDP_SETTLES: Duration = Duration::from_secs(4);
/// An attempt that hangs, the pauses after those that failed, and the least time between replacements of
/// a credential that the PDP refuses.
const CREDENTIAL_SETTLES: Duration = Duration::from_secs(11);
const KEYS_SETTLE: Duration = Duration::from_secs(2);

/// The end of a run of this length that is left calm.
pub(crate) fn calm(length: Duration) -> Duration {
    CALM.min(length / 3)
}

pub(crate) struct Storm {
    pdp: JoinHandle<(Pdp, usize)>,
    credential: JoinHandle<(Maskinporten, Exchange)>,
    keys: JoinHandle<Keys>,
    purges: JoinHandle<()>,
    trap: Server,
    oracle: Arc<Oracle>,
}

/// What the peers have seen in the end. They live as long as this.
pub(crate) struct Summary {
    /// Questions that the PDP decided.
    pub(crate) decided: usize,
    /// Requests that followed a redirect.
    pub(crate) trapped: usize,
    pdp: Pdp,
    maskinporten: Maskinporten,
    exchange: Exchange,
    keys: Keys,
}

/// What every lane needs.
#[derive(Clone)]
struct Lane {
    weather: Arc<Weather>,
    oracle: Arc<Oracle>,
    random: Random,
    began: Instant,
    end: Instant,
}

impl Storm {
    pub(crate) fn start(
        world: World,
        gate: &Gate,
        tokens: &Arc<Tokens>,
        weather: &Arc<Weather>,
        oracle: &Arc<Oracle>,
        random: &mut Random,
        end: Instant,
    ) -> Self {
        let World { authority: _, keys, maskinporten, exchange, pdp, trap } = world;
        let mut lane = || Lane {
            weather: Arc::clone(weather),
            oracle: Arc::clone(oracle),
            random: random.fork(),
            began: now(),
            end,
        };
        let tasks = Tasks::new();
        Self {
            pdp: tasks.spawn(pdp_lane(pdp, trap.url(), lane())),
            credential: tasks.spawn(credential_lane(maskinporten, exchange, lane())),
            keys: tasks.spawn(key_lane(keys, Arc::clone(tokens), lane())),
            purges: tasks.spawn(purge_lane(gate.control, lane())),
            trap,
            oracle: Arc::clone(oracle),
        }
    }

    pub(crate) async fn end(self) -> Summary {
        let (pdp, mut decided) = self.pdp.await.unwrap();
        let last = pdp.take_decided();
        self.oracle.decided(&last);
        decided += last.len();
        let (maskinporten, exchange) = self.credential.await.unwrap();
        let keys = self.keys.await.unwrap();
        self.purges.await.unwrap();
        let trapped = self.trap.count();
        Summary { decided, trapped, pdp, maskinporten, exchange, keys }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decided, pdp, maskinporten, exchange, keys, .. } = self;
        write!(
            f,
            "asked {} times, decided {decided}; grants {}, exchanges {}, key sets {}, metadata {}",
            pdp.authorize.asked(),
            maskinporten.token.asked(),
            exchange.exchange.asked(),
            keys.jwks.asked(),
            keys.metadata.asked()
        )
    }
}

impl Lane {
    /// Waits while it is calm; `false` once it is over.
    async fn goes_on(&self) -> bool {
        let period = STORM + CALM;
        let passed = self.began.elapsed().as_millis() % period.as_millis();
        if let Some(calm) = u64::try_from(passed).unwrap().checked_sub(millis(STORM)) {
            self.wait(CALM.saturating_sub(Duration::from_millis(calm))).await;
        }
        now() < self.end
    }

    async fn pause(&mut self, least: u64, most: u64) {
        let [least, most] = [least, most].map(Duration::from_millis);
        let pause = self.random.between(least, most);
        self.wait(pause).await;
    }

    async fn wait(&self, pause: Duration) {
        tokio::time::sleep(pause.min(self.end.saturating_duration_since(now()))).await;
    }

    fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.random.below(items.len())].clone()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

const PDP_KINDS: [&str; 19] = [
    "pdp-refuse",
    "pdp-mute",
    "pdp-stall",
    "pdp-slow",
    "pdp-drip",
    "pdp-cut",
    "pdp-429",
    "pdp-5xx",
    "pdp-401",
    "pdp-redirect",
    "pdp-html",
    "pdp-odd-decision",
    "pdp-empty",
    "pdp-two-results",
    "pdp-indeterminate",
    "pdp-gzip",
    "pdp-huge",
    "pdp-truncated",
    "pdp-bad-framing",
];

async fn pdp_lane(mut pdp: Pdp, trap: String, mut lane: Lane) -> (Pdp, usize) {
    let (mut kinds, mut decided) = (PDP_KINDS, 0);
    'storm: loop {
        lane.random.shuffle(&mut kinds);
        for kind in kinds {
            if !lane.goes_on().await {
                break 'storm;
            }
            // A refused credential is replaced at most every few seconds.
            let settles = if kind == "pdp-401" { CREDENTIAL_SETTLES } else { PDP_SETTLES };
            let active = lane.weather.begin(kind, settles);
            match kind {
                "pdp-refuse" => pdp.peer.refuse().await,
                "pdp-mute" => pdp.peer.mute().await,
                _ => pdp.authorize.fail(pdp_fault(kind, &trap, &mut lane)),
            }
            lane.pause(200, 900).await;
            match kind {
                "pdp-refuse" | "pdp-mute" => pdp.peer.heal().await,
                _ => pdp.authorize.heal(),
            }
            drop(active);
            let news = pdp.take_decided();
            lane.oracle.decided(&news);
            decided += news.len();
            lane.pause(100, 500).await;
        }
    }
    (pdp, decided)
}

fn pdp_fault(kind: &str, trap: &str, lane: &mut Lane) -> Fault {
    let says = |json: &str| Fault::Says(json.to_owned());
    match kind {
        "pdp-stall" => Fault::Stall(lane.one_of(&Place::ALL)),
        "pdp-slow" => Fault::Slow(lane.random.between(
            Duration::from_millis(50),
            Duration::from_millis(1200),
        )),
        "pdp-drip" => Fault::Drip(Duration::from_millis(lane.one_of(&[1, 20]))),
        "pdp-cut" => Fault::Cut(lane.one_of(&Place::ALL)),
        "pdp-429" => Fault::RetryAfter(429, lane.one_of(&["0", "1", "x"])),
        "pdp-5xx" => Fault::Status(lane.one_of(&[500, 502, 503, 504])),
        "pdp-401" => Fault::Status(lane.one_of(&[401, 403])),
        "pdp-redirect" => Fault::Redirect(lane.one_of(&[302, 307, 308]), trap.to_owned()),
        "pdp-html" => Fault::Html,
        "pdp-odd-decision" => says(lane.one_of(&[
            r#"{"response":[{"decision":"permit"}]}"#,
            r#"{"response":[{"decision":"Permit "}]}"#,
            r#"{"response":[{"decision":1}]}"#,
            r#"{"response":[{"decision":"Permit","decision":"Deny"}]}"#,
            r#"{"response":{"decision":["Permit"]}}"#,
            r#"[{"decision":"Permit"}]"#,
        ])),
        "pdp-empty" => lane.one_of(&[Fault::Empty, says(r#"{"response":[]}"#), says("null")]),
        "pdp-two-results" => says(lane.one_of(&[
            r#"{"response":[{"decision":"Permit"},{"decision":"Permit"},{"decision":"Permit"},{"decision":"Permit"},{"decision":"Permit"}]}"#,
            r#"{"response":[{"decision":"Deny"},{"decision":"Deny"},{"decision":"Deny"},{"decision":"Deny"},{"decision":"Deny"}]}"#,
        ])),
        "pdp-indeterminate" => says(
            r#"{"response":[{"decision":"Indeterminate","status":{"statusCode":{"value":"urn:oasis:names:tc:xacml:1.0:status:processing-error"}}}]}"#,
        ),
        "pdp-gzip" => Fault::Gzip,
        "pdp-huge" => Fault::Endless,
        "pdp-truncated" => Fault::Truncated,
        "pdp-bad-framing" => lane.one_of(&[Fault::LongLength, Fault::BothLengths, Fault::BadChunks]),
        _ => panic!("no such kind: {kind}"),
    }
}

const CREDENTIAL_KINDS: [&str; 6] = [
    "grant-outage",
    "grant-garbage",
    "exchange-outage",
    "exchange-garbage",
    "credential-revoked",
    "credential-short-lived",
];

async fn credential_lane(
    maskinporten: Maskinporten,
    exchange: Exchange,
    mut lane: Lane,
) -> (Maskinporten, Exchange) {
    let mut kinds = CREDENTIAL_KINDS;
    'storm: loop {
        lane.random.shuffle(&mut kinds);
        for kind in kinds {
            if !lane.goes_on().await {
                break 'storm;
            }
            let active = lane.weather.begin(kind, CREDENTIAL_SETTLES);
            match kind {
                "grant-outage" | "grant-garbage" => {
                    let fault = credential_fault(kind == "grant-outage", &mut lane);
                    next_attempt(&maskinporten.token, fault, &lane).await;
                }
                "exchange-outage" | "exchange-garbage" => {
                    let fault = credential_fault(kind == "exchange-outage", &mut lane);
                    next_attempt(&exchange.exchange, fault, &lane).await;
                }
                "credential-revoked" => {
                    exchange.issued().revoke_all();
                    lane.pause(500, 1500).await;
                }
                "credential-short-lived" => {
                    exchange.lifetime(SHORT_LIFETIME);
                    lane.pause(1500, 2000).await;
                    exchange.lifetime(TOKEN_LIFETIME);
                }
                _ => panic!("no such kind: {kind}"),
            }
            // Otherwise every attempt would fail, and the pauses between them grow.
            an_attempt_succeeds(&exchange.exchange, &lane).await;
            drop(active);
            lane.pause(0, 200).await;
        }
    }
    (maskinporten, exchange)
}

/// The next attempt fails; waits until it was made.
async fn next_attempt(endpoint: &Endpoint, fault: Fault, lane: &Lane) {
    let before = endpoint.asked();
    endpoint.fail_next(1, fault);
    while endpoint.asked() == before && now() < lane.end {
        lane.wait(Duration::from_millis(50)).await;
    }
    endpoint.heal();
    // Its answer is on its way.
    lane.wait(Duration::from_millis(200)).await;
}

/// Waits until another token is exchanged.
async fn an_attempt_succeeds(exchange: &Endpoint, lane: &Lane) {
    let before = exchange.asked();
    while exchange.asked() == before && now() < lane.end {
        lane.wait(Duration::from_millis(50)).await;
    }
}

fn credential_fault(outage: bool, lane: &mut Lane) -> Fault {
    let says = |json: &str| Fault::Says(json.to_owned());
    if outage {
        return lane.one_of(&[
            Fault::Status(500),
            Fault::Status(503),
            Fault::Status(400),
            Fault::RetryAfter(429, "1"),
            Fault::Cut(Place::BeforeStatus),
            Fault::Cut(Place::InBody),
            Fault::Stall(Place::InBody),
            Fault::Slow(Duration::from_secs(1)),
        ]);
    }
    lane.one_of(&[
        Fault::Html,
        Fault::Empty,
        Fault::Truncated,
        Fault::Gzip,
        Fault::Endless,
        says(r#"{"access_token":""}"#),
        says(r#"{"access_token":"a b","expires_in":60}"#),
    ])
}

const KEY_KINDS: [&str; 9] = [
    "keys-refuse",
    "keys-stall",
    "keys-cut",
    "keys-5xx",
    "keys-html",
    "keys-empty",
    "metadata-5xx",
    "metadata-garbage",
    "keys-rotation",
];

async fn key_lane(mut keys: Keys, tokens: Arc<Tokens>, mut lane: Lane) -> Keys {
    let (mut kinds, mut rotations) = (KEY_KINDS, 0);
    'storm: loop {
        lane.random.shuffle(&mut kinds);
        for kind in kinds {
            if !lane.goes_on().await {
                break 'storm;
            }
            let active = lane.weather.begin(kind, KEYS_SETTLE);
            match kind {
                "keys-rotation" => {
                    rotations += 1;
                    rotate(&keys, &tokens, rotations, &mut lane).await;
                }
                "keys-refuse" => {
                    keys.peer.refuse().await;
                    lane.pause(500, 1500).await;
                    keys.peer.heal().await;
                }
                _ => {
                    let endpoint = if kind.starts_with("metadata") {
                        Arc::clone(&keys.metadata)
                    } else {
                        Arc::clone(&keys.jwks)
                    };
                    endpoint.fail(key_fault(kind, &mut lane));
                    lane.pause(500, 1500).await;
                    endpoint.heal();
                }
            }
            drop(active);
            if tokens.book().signed.elapsed() > Duration::from_mins(1) {
                // Theirs live two minutes.
                let kid = Arc::clone(&tokens.book().kid);
                tokens.renew(&keys, &kid);
            }
            lane.pause(100, 700).await;
        }
    }
    keys
}

/// A new key: published, then signed with; the old one is withdrawn when nobody shows it any more.
async fn rotate(keys: &Keys, tokens: &Tokens, number: usize, lane: &mut Lane) {
    let old = Arc::clone(&tokens.book().kid);
    let kid = format!("key-{number}");
    keys.publish(4 + number % 2, &kid);
    tokio::time::sleep(PUBLISHED_BEFORE).await;
    lane.pause(0, 1000).await;
    keys.sign_with(&kid);
    tokens.renew(keys, &kid);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    keys.withdraw(&old);
}

fn key_fault(kind: &str, lane: &mut Lane) -> Fault {
    let says = |json: &str| Fault::Says(json.to_owned());
    match kind {
        "keys-stall" => Fault::Stall(lane.one_of(&Place::ALL)),
        "keys-cut" => Fault::Cut(lane.one_of(&Place::ALL)),
        "keys-5xx" | "metadata-5xx" => Fault::Status(lane.one_of(&[500, 502, 503])),
        "keys-html" => Fault::Html,
        "keys-empty" => lane.one_of(&[Fault::Empty, says("[]"), says("{}"), Fault::Truncated]),
        "metadata-garbage" => lane.one_of(&[Fault::Html, says("{}"), Fault::Gzip, Fault::Endless]),
        _ => panic!("no such kind: {kind}"),
    }
}

/// Purges through the control listener; no fault, but nothing may be in hand after it.
async fn purge_lane(control: SocketAddr, mut lane: Lane) {
    while lane.goes_on().await {
        let (user, party, resource) = (
            lane.random.below(USERS),
            lane.random.below(PARTIES.len()),
            lane.random.below(RESOURCES.len()),
        );
        let (kind, purged, body) = match lane.random.below(4) {
            0 => ("purge-all", Purged::All, r#"{"all":true}"#.to_owned()),
            1 => (
                "purge-user",
                Purged::User(user),
                format!(r#"{{"systemUser":"{}"}}"#, user_id(user)),
            ),
            2 => (
                "purge-party",
                Purged::Party(party),
                format!(r#"{{"party":"{}"}}"#, PARTIES[party]),
            ),
            _ => (
                "purge-resource",
                Purged::Resource(resource),
                format!(r#"{{"resource":"{}"}}"#, RESOURCES[resource].0),
            ),
        };
        lane.weather.note(kind);
        let purge = lane.oracle.purge_begins(purged);
        let request = format!(
            "POST /decisions/purge HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: \
             Bearer {CONTROL_TOKEN}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = exchange(control, request).await;
        if reply.status != 200 {
            lane.oracle.violation("purge", &format!("answered {}: {}", reply.status, reply.text()));
        }
        lane.oracle.purge_done(purge);
        lane.pause(1000, 4000).await;
    }
}
