//! Faults of the issuer's metadata and keys, at start and later.

use super::{AT_ONCE, Findings, SLACK, Scene, Way, assert_none, pace, play, timed, ways};
use crate::support::peers::{At, Fault, Trouble, World};
use crate::support::{PATIENCE, PERMITTED, Reply, log, soon};
use portvakt::dev::SigningKey;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const GONE: &str = "503 keys-unavailable";
const UNTRUSTED: &str = "401 token-untrusted";
/// Given to one exchange by the product; what hangs when the fault ends lasts so long.
const HANGING: Duration = Duration::from_secs(5);

struct KeyRow {
    name: String,
    at: At,
    trouble: Trouble,
    outcome: &'static str,
    /// What callers are told at start.
    cold: &'static str,
    /// What they are told later whose key was there before.
    warm: &'static str,
    log: &'static str,
    slow: bool,
}

fn way_rows(trap: &str) -> Vec<KeyRow> {
    let row = |at: At, way: Way| KeyRow {
        name: format!("{at:?}: {}", way.name),
        at,
        trouble: way.trouble,
        outcome: way.outcome,
        cold: GONE,
        warm: "200",
        log: match way.outcome {
            "connect" => "cannot connect",
            "timeout" => "no whole answer within",
            "broken" => "the exchange broke",
            "failed" => "answered with status 50",
            "throttled" => "answered with status 429",
            "refused" => "answered with status 40",
            _ => "the keys cannot be fetched",
        },
        slow: way.slow,
    };
    // Where the exchange hangs is the same for both documents.
    let metadata = ways(trap).into_iter().filter(|way| !way.slow).map(|way| row(At::Metadata, way));
    ways(trap).into_iter().map(|way| row(At::Jwks, way)).chain(metadata).collect()
}

/// Documents that are not what they should be. `keys` is the key set as it is, `issuer` the issuer's name.
fn document_rows() -> Vec<KeyRow> {
    let set = |name: &str, cold, change: fn(Value) -> Value| {
        let change = move |body: String| change(serde_json::from_str(&body).unwrap()).to_string();
        KeyRow {
            name: name.to_owned(),
            at: At::Jwks,
            trouble: Trouble::Answers(Fault::alter(change)),
            outcome: "unusable",
            cold,
            warm: GONE,
            log: "",
            slow: false,
        }
    };
    let no_set = |name: &str, change: fn(Value) -> Value| KeyRow {
        warm: "200",
        log: "the keys cannot be fetched",
        ..set(name, GONE, change)
    };
    let foreign = |name: &str, change: fn(Value) -> Value| KeyRow {
        outcome: "ok",
        warm: UNTRUSTED,
        ..set(name, UNTRUSTED, change)
    };
    let metadata = |name: &str, change: fn(Value) -> Value| KeyRow {
        at: At::Metadata,
        log: "the metadata",
        ..no_set(name, change)
    };
    vec![
        set("no key", GONE, |_| json!({ "keys": [] })),
        set("another algorithm", GONE, |keys| changed(keys, "alg", json!("PS256"))),
        set("for encryption", GONE, |keys| changed(keys, "use", json!("enc"))),
        set("without a name", GONE, |keys| changed(keys, "kid", Value::Null)),
        set("weak", GONE, |keys| {
            let modulus = keys["keys"][0]["n"].as_str().unwrap().to_owned();
            // 128 of 256 bytes.
            changed(keys, "n", json!(modulus[..171].to_owned()))
        }),
        set("one name twice", GONE, |keys| {
            let other = foreign_key("key-0");
            json!({ "keys": [keys["keys"][0].clone(), other] })
        }),
        set(
            "a shared secret",
            GONE,
            |_| json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "key-0", "k": "AAAA" }] }),
        ),
        no_set("no keys", |_| json!({})),
        no_set("keys that are null", |_| json!({ "keys": null })),
        foreign("of another issuer", |_| json!({ "keys": [foreign_key("other-1")] })),
        foreign("of another issuer under our name", |_| json!({ "keys": [foreign_key("key-0")] })),
        metadata("of another issuer", |document| {
            with(document, "issuer", json!("https://other.it.example/"))
        }),
        metadata("without keys", |document| with(document, "jwks_uri", Value::Null)),
        metadata("keys elsewhere in the clear", |document| {
            with(document, "jwks_uri", json!("http://keys.it.example/jwk"))
        }),
        metadata("keys in a file", |document| {
            with(document, "jwks_uri", json!("file:///etc/passwd"))
        }),
    ]
}

fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

/// The set with another value of its first key's member.
fn changed(mut keys: Value, name: &str, value: Value) -> Value {
    keys["keys"][0][name] = value;
    keys
}

fn foreign_key(kid: &str) -> Value {
    let key = crate::support::peers::signing_key(5, kid);
    serde_json::from_slice::<Value>(&key.public_jwks()).unwrap()["keys"][0].clone()
}

/// A token with the name of a key that is not there.
fn stranger(world: &World) -> String {
    let key: SigningKey = crate::support::peers::signing_key(4, "stranger");
    key.sign(&world.keys.claims()).unwrap()
}

async fn play_row(row: KeyRow) -> Vec<String> {
    let mut findings = Findings::of(&row.name);
    let mut world = World::start();
    world.trouble(row.at, row.trouble.clone()).await;
    // Returns once the first fetch has ended.
    let mut scene = Scene::open(world, &pace()).await;
    at_start(&mut findings, &scene, &row).await;
    scene.world.heal(row.at).await;
    back(&mut findings, &scene, &row).await;

    scene.world.trouble(row.at, row.trouble.clone()).await;
    later(&mut findings, &scene, &row).await;
    scene.world.heal(row.at).await;
    back(&mut findings, &scene, &row).await;
    let reply = told(&scene, &stranger(&scene.world), UNTRUSTED).await;
    findings.verdict("a stranger", &reply, UNTRUSTED);
    findings.expect(scene.world.trap.accepted() == 0, || "a redirect was followed".to_owned());
    findings.expect(scene.sidecar.close().await, || "something does not end".to_owned());
    findings.all()
}

/// What a caller with this token is told. Whoever comes while a fetch is under way waits for it; if it takes
/// longer than `refresh_min_interval`, as on a busy machine, what it brings is too old to say that there is no
/// such key, and the caller is to come again.
async fn told(scene: &Scene, token: &str, expected: &str) -> Reply {
    let began = Instant::now();
    loop {
        let reply = scene.read_with(PERMITTED, token).await;
        let comes_again = reply.verdict() == GONE && expected == UNTRUSTED;
        if !comes_again || began.elapsed() > SLACK {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn at_start(findings: &mut Findings, scene: &Scene, row: &KeyRow) {
    let reply = told(scene, &scene.token, row.cold).await;
    findings.verdict("at start", &reply, row.cold);
    findings.expect(scene.upstream.accepted() == 0, || "the API has seen it".to_owned());
    let (status, text) = scene.ready().await;
    if row.cold == GONE {
        let line = format!("no keys of {}", scene.world.keys.issuer());
        findings.expect(status == 503, || "it is ready without keys".to_owned());
        findings.expect(text.contains(&line), || format!("readiness says only `{text}`"));
        let failing = scene.failing(row.at).await;
        findings.expect(failing > 0.0, || "no failing seconds".to_owned());
    } else {
        findings.expect(status == 200, || format!("not ready: {text}"));
    }
    let counted = scene.exchanges(row.at, row.outcome).await;
    findings.expect(counted > 0.0, || format!("no `{}` was counted", row.outcome));
    let lines = log::about(&scene.world.keys.issuer());
    findings.expect(lines.iter().any(|line| line.contains(row.log)), || {
        format!("the log says nothing of `{}`, but {:?}", row.log, lines.last())
    });
}

/// Within the interval of refreshing.
async fn back(findings: &mut Findings, scene: &Scene, row: &KeyRow) {
    let healed = Instant::now();
    // Where the wrong keys were keys, the next refresh in the background brings the right ones.
    let interval = if row.slow { HANGING } else { Duration::from_secs(1) };
    loop {
        let reply = scene.read(PERMITTED).await;
        let took = healed.elapsed();
        if reply.status == 200 && scene.failing(row.at).await == 0.0 {
            break;
        }
        if took > interval + SLACK {
            findings.verdict("long after the fault", &reply, "200");
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, text) = scene.ready().await;
    findings.expect(status == 200, || format!("not ready: {text}"));
}

/// Whose key is in hand is served without waiting; whose key is not is told that it is an outage.
async fn later(findings: &mut Findings, scene: &Scene, row: &KeyRow) {
    let failed = scene.exchanges(row.at, row.outcome).await;
    let began = Instant::now();
    if row.warm != "200" {
        // Until the next refresh the keys in hand count.
        loop {
            let reply = told(scene, &scene.token, row.warm).await;
            if reply.status != 200 || began.elapsed() > SLACK {
                findings.verdict("later", &reply, row.warm);
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let stranger = stranger(&scene.world);
    let unknown = async {
        loop {
            let reply = scene.read_with(PERMITTED, &stranger).await;
            // For `refresh_min_interval` after the last success it is known that there is no such key; a
            // refresh that was under way when the fault began may succeed after it.
            let may_be_known = began.elapsed() < SLACK;
            if reply.status != 401 || !may_be_known {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let known = async {
        let mut found = Vec::new();
        // Over a refresh that fails, however late it comes on a busy machine.
        loop {
            let before = scene.exchanges(row.at, row.outcome).await;
            let (reply, waited) = timed(scene.read(PERMITTED)).await;
            let after = scene.exchanges(row.at, row.outcome).await;
            // Whoever waits for a refresh goes on when it has failed.
            let waited = (waited >= AT_ONCE && after > before).then_some(waited);
            found.push((reply, waited));
            let elapsed = began.elapsed();
            let enough = elapsed >= Duration::from_millis(1500) && after > failed;
            if enough || elapsed >= PATIENCE {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (unknown, known) = tokio::join!(unknown, known);
    findings.verdict("an unknown key", &unknown, GONE);
    for (reply, waited) in known {
        findings.verdict("a key in hand", &reply, "200");
        findings.expect(waited.is_none(), || format!("a key in hand took {waited:?}"));
    }
    let after = scene.exchanges(row.at, row.outcome).await;
    findings.expect(after > failed, || format!("no further `{}` was counted", row.outcome));
    let (status, text) = scene.ready().await;
    findings.expect(status == 200 && text.contains("cannot be renewed"), || {
        format!("with keys in hand it is {status}: {text}")
    });
}

#[tokio::test]
async fn every_fault_on_the_way_to_the_keys_is_an_outage_and_passes() {
    let trap = World::start();
    let found = play(way_rows(&trap.trap.url()), play_row).await;
    assert_eq!(trap.trap.accepted(), 0, "a redirect was followed");
    assert_none(&found);
}

#[tokio::test]
async fn wrong_metadata_and_wrong_keys_verify_nothing_and_pass() {
    let found = play(document_rows(), play_row).await;
    assert_none(&found);
}

#[tokio::test]
async fn keys_do_not_count_for_ever() {
    let pace = crate::support::peers::Pace { max_stale: "2s", ..pace() };
    let mut scene = Scene::open(World::start(), &pace).await;
    assert_eq!(scene.read(PERMITTED).await.verdict(), "200");
    scene.world.trouble(At::Jwks, Trouble::Refused).await;
    let began = Instant::now();
    loop {
        let reply = scene.read(PERMITTED).await;
        if reply.status != 200 {
            assert_eq!(reply.verdict(), GONE);
            break;
        }
        assert!(began.elapsed() < SLACK, "the keys still count");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.ready().await.0, 503);
    scene.world.heal(At::Jwks).await;
    let recovery = async {
        while scene.read(PERMITTED).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("recovery", recovery).await;
}

/// An issuer whose clock is wrong by more than the leeway makes tokens that do not count; by less, ones
/// that do.
#[tokio::test]
async fn tokens_of_a_wrong_clock_count_within_the_leeway_only() {
    let scene = Scene::open(World::start(), &pace()).await;
    for (skew, verdict) in [
        (0, "200"),
        (5, "200"),
        (-115, "200"),
        (120, "401 token-not-yet-valid"),
        (-300, "401 token-expired"),
    ] {
        scene.world.keys.clock.skew(skew);
        let token = scene.world.keys.token();
        let reply = scene.read_with(PERMITTED, &token).await;
        assert_eq!(reply.verdict(), verdict, "{skew}");
    }
}
