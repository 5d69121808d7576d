//! The fault table: for each thing that can be wrong with keys, Maskinporten, exchange and PDP, what the
//! caller gets, what the operator sees, how much the faulty system is asked, and how it ends.
//!
//! Everywhere: the API sees nothing, an outage is never the caller's fault, whoever has a decision in hand
//! is served without waiting, and nothing wrong is remembered.

mod exchange;
mod keys;
mod maskinporten;
mod pdp;
mod rotation;
mod several;
mod tls;

use crate::support::peers::{At, Fault, Pace, Place, Trouble, World};
use crate::support::{
    DENIED, PATIENCE, PERMITTED, Reply, Server, Setup, Sidecar, ask, exchange, log, ok,
    whole_seconds,
};
use futures_util::StreamExt as _;
use portvakt::domain::Decision;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::Instant;

/// A party that is permitted, and that nobody asks for before the fault.
pub(super) const ASKED: &str = "311127845";
/// How many rows are played at once: enough to wait together, few enough not to be slow themselves.
const TOGETHER: usize = 12;
/// How long a caller may take who waits for nobody: less than an exchange that hangs, and far more than is
/// needed on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(4);
/// What recovery may take beyond its interval on a busy machine.
const SLACK: Duration = Duration::from_secs(20);

/// A fault, and what must come of it.
#[derive(Clone)]
pub(super) struct Row {
    name: String,
    trouble: Trouble,
    /// What is told to a caller whose decision is not in hand.
    verdict: &'static str,
    /// In a line of the log.
    log: &'static str,
    /// How the exchange counts.
    outcome: &'static str,
    /// How many requests one caller causes at the faulty endpoint.
    calls: RangeInclusive<usize>,
    /// How long after the fault the caller may still be told the same.
    recovers: Duration,
}

impl Row {
    /// What comes of it is stated by the modules.
    pub(super) fn new(name: &str, trouble: Trouble, verdict: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            trouble,
            verdict,
            log: "",
            outcome: "",
            calls: 1..=1,
            recovers: Duration::ZERO,
        }
    }

    pub(super) fn log(self, log: &'static str) -> Self {
        Self { log, ..self }
    }

    pub(super) fn outcome(self, outcome: &'static str) -> Self {
        Self { outcome, ..self }
    }

    pub(super) fn calls(self, calls: RangeInclusive<usize>) -> Self {
        Self { calls, ..self }
    }

    pub(super) fn recovers(self, recovers: Duration) -> Self {
        Self { recovers, ..self }
    }

    /// Whether the caller is told only at its deadline.
    fn hangs(&self) -> bool {
        self.verdict == "503 pdp-timeout" || self.log == NO_TOKEN_IN_TIME
    }
}

/// A proxy among systems of which one will be at fault.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) upstream: Server,
    pub(super) sidecar: Sidecar,
    token: String,
}

impl Scene {
    pub(super) async fn open(world: World, pace: &Pace) -> Self {
        Self::open_with(world, pace, |setup| setup).await
    }

    pub(super) async fn open_with(
        world: World,
        pace: &Pace,
        further: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        log::listen();
        let upstream = Server::start(ok());
        world.pdp.decide(|question| match question.party.as_str() {
            PERMITTED | ASKED => crate::support::permit(),
            _ => Decision::NotApplicable,
        });
        let token = world.keys.token();
        let sidecar = further(world.sidecar(&upstream, pace)).open().await;
        Self { world, upstream, sidecar, token }
    }

    /// Reads the report of this party.
    pub(super) async fn read(&self, party: &str) -> Reply {
        self.read_with(party, &self.token).await
    }

    pub(super) async fn read_with(&self, party: &str, token: &str) -> Reply {
        let asked = ask("GET", &format!("/v1/orgs/{party}/reports")).token(token);
        exchange(self.sidecar.traffic, asked.bytes()).await
    }

    /// How many requests for this party the API has seen.
    pub(super) fn reached(&self, party: &str) -> usize {
        let of = |start: &str| start.contains(party);
        self.upstream.seen().iter().filter(|seen| of(&seen.head.start)).count()
    }

    /// Every sample, by its name and labels.
    pub(super) async fn metrics(&self) -> BTreeMap<String, f64> {
        let reply = exchange(self.sidecar.admin, ask("GET", "/metrics").bytes()).await;
        let text = reply.text();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    pub(super) async fn exchanges(&self, at: At, outcome: &str) -> f64 {
        let system = at.system();
        let name = format!(
            r#"portvakt_outbound_exchanges_total{{outcome="{outcome}",system="{system}"}}"#
        );
        self.metrics().await.get(&name).copied().unwrap_or_default()
    }

    pub(super) async fn failing(&self, at: At) -> f64 {
        let name = format!(r#"portvakt_outbound_failing_seconds{{system="{}"}}"#, at.system());
        self.metrics().await.get(&name).copied().unwrap_or_default()
    }

    /// The status and the text of the readiness probe.
    pub(super) async fn ready(&self) -> (u16, String) {
        let reply = exchange(self.sidecar.admin, ask("GET", "/readyz").bytes()).await;
        (reply.status, reply.text())
    }
}

/// What went wrong with one row.
pub(super) struct Findings {
    row: String,
    found: Vec<String>,
}

impl Findings {
    pub(super) fn of(row: &str) -> Self {
        Self { row: row.to_owned(), found: Vec::new() }
    }

    pub(super) fn expect(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            let found = format!("{}: {}", self.row, otherwise());
            self.found.push(found);
        }
    }

    pub(super) fn verdict(&mut self, when: &str, reply: &Reply, expected: &str) {
        self.expect(reply.verdict() == expected, || {
            format!("{when} `{}` instead of `{expected}`", reply.verdict())
        });
        self.expect(reply.status != 503 || reply.head.get("retry-after").is_some(), || {
            format!("{when} 503 without Retry-After")
        });
    }

    pub(super) fn all(self) -> Vec<String> {
        self.found
    }
}

/// Plays every row, several at once, and gives what went wrong with any.
pub(crate) async fn play<R, F: Future<Output = Vec<String>>>(
    rows: Vec<R>,
    one: impl Fn(R) -> F,
) -> Vec<String> {
    let mut played =
        futures_util::stream::iter(rows.into_iter().map(one)).buffer_unordered(TOGETHER);
    let mut found = Vec::new();
    while let Some(of_one) = played.next().await {
        found.extend(of_one);
    }
    found
}

pub(crate) fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

/// How the proxy lives in these tables.
pub(crate) fn pace() -> Pace {
    Pace { timeout: "2500ms", ..Pace::default() }
}

/// Plays a fault of a system that only decisions not in hand depend on: PDP, exchange or Maskinporten. Where
/// it concerns our own credential, the one in hand is revoked first.
pub(super) async fn outage(at: At, row: Row, world: World) -> Vec<String> {
    let scene = Scene::open(world, &pace()).await;
    outage_in(at, row, scene).await
}

pub(super) async fn outage_in(at: At, row: Row, mut scene: Scene) -> Vec<String> {
    let mut findings = Findings::of(&row.name);
    findings.verdict("before the fault", &scene.read(PERMITTED).await, "200");
    let counted = scene.exchanges(at, row.outcome).await;
    let calls = scene.world.endpoint(at).asked();

    scene.world.trouble(at, row.trouble.clone()).await;
    if at != At::Authorize {
        scene.world.exchange.issued().revoke_all();
    }
    let order = Cell::new(0);
    let numbered = async |party: &str| (scene.read(party).await, order.replace(order.get() + 1));
    let ((during, during_at), (held, held_at)) = tokio::join!(numbered(ASKED), numbered(PERMITTED));
    let calls = scene.world.endpoint(at).asked() - calls;
    findings.verdict("during the fault", &during, row.verdict);
    findings.verdict("with a decision in hand", &held, "200");
    findings.expect(!row.hangs() || held_at < during_at, || "it came second".to_owned());
    let records = scene.sidecar.records.when(3).await;
    let from_hand = records.iter().any(|it| it["status"] == 200 && it["source"] == "cache");
    findings.expect(from_hand, || format!("it was not in hand: {records:?}"));
    findings
        .expect(row.calls.contains(&calls), || format!("{calls} calls instead of {:?}", row.calls));
    findings.expect(scene.reached(ASKED) == 0, || "the API has seen the request".to_owned());
    operator_sees(&mut findings, &scene, at, &row, counted).await;
    again(&mut findings, &scene, at, &row).await;

    scene.world.heal(at).await;
    recovers(&mut findings, &scene, &row).await;
    findings.verdict("a no after the fault", &scene.read(DENIED).await, "403 access-denied");
    findings.expect(scene.reached(DENIED) == 0, || "the API has seen what is denied".to_owned());
    findings.expect(scene.failing(at).await == 0.0, || "it is said to fail still".to_owned());
    findings.expect(scene.world.trap.accepted() == 0, || "a redirect was followed".to_owned());
    findings.expect(scene.sidecar.close().await, || "something does not end".to_owned());
    findings.all()
}

/// Log, metrics and readiness.
async fn operator_sees(findings: &mut Findings, scene: &Scene, at: At, row: &Row, counted: f64) {
    if row.outcome.is_empty() {
        return;
    }
    // An attempt to get a credential outlives the caller for whom it was made.
    let until = Instant::now() + PATIENCE;
    while scene.exchanges(at, row.outcome).await <= counted && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = scene.exchanges(at, row.outcome).await;
    findings.expect(after > counted, || {
        let system = at.system();
        format!("no `{}` was counted for {system}", row.outcome)
    });
    let (status, text) = scene.ready().await;
    findings.expect(status == 200, || format!("it is not ready: {text}"));
    if row.outcome != "ok" {
        let failing = scene.failing(at).await;
        findings.expect(failing > 0.0, || "no failing seconds".to_owned());
        let line = format!("{}: failing for", at.system());
        findings.expect(text.contains(&line), || format!("readiness says only `{text}`"));
    }
    if !row.log.is_empty() {
        let port = scene.world.pdp.peer.port();
        let lines = log::about(&port);
        findings.expect(lines.iter().any(|line| line.contains(row.log)), || {
            let last = lines.iter().rev().find(|line| line.contains("WARN")).cloned();
            format!("the log says nothing of `{}`, but {last:?}", row.log)
        });
    }
}

/// Several more callers ask: each is told that it is an outage if it is one, and the faulty system is not
/// asked more often than its breaker, or the pause after a failed credential, allows.
async fn again(findings: &mut Findings, scene: &Scene, at: At, row: &Row) {
    if row.hangs() {
        return;
    }
    let (calls, began) = (scene.world.endpoint(at).asked(), Instant::now());
    for _ in 0..7 {
        let reply = scene.read(ASKED).await;
        findings.verdict("during the fault, later,", &reply, row.verdict);
    }
    let calls = scene.world.endpoint(at).asked() - calls;
    let most = match at {
        At::Authorize => 7 * row.calls.end(),
        // The shortest pause is a second: so many more on a slow machine.
        At::Metadata | At::Jwks | At::Token | At::Exchange => 2 + whole_seconds(began),
    };
    findings.expect(calls <= most, || format!("{calls} further calls for 7 further questions"));
}

/// What is said where the credential does not come before the caller's deadline.
pub(super) const NO_TOKEN_IN_TIME: &str = "no token before the deadline";

/// After the fault the same question is permitted, in time; until then nothing else may be said than during
/// the fault, or another outage.
async fn recovers(findings: &mut Findings, scene: &Scene, row: &Row) {
    let healed = Instant::now();
    loop {
        let reply = scene.read(ASKED).await;
        let took = healed.elapsed();
        if reply.status != 503 {
            findings.verdict("after the fault", &reply, "200");
            return;
        }
        if took > row.recovers + SLACK {
            findings.verdict("long after the fault", &reply, "200");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn timed<T>(task: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let result = task.await;
    (result, began.elapsed())
}

/// Faults of the way an answer comes, whatever it says, with the outcome that is counted. `slow` ones last
/// until the asker gives up.
pub(super) struct Way {
    pub(super) name: String,
    pub(super) trouble: Trouble,
    pub(super) outcome: &'static str,
    pub(super) slow: bool,
}

pub(super) fn ways(trap: &str) -> Vec<Way> {
    let answers = |name: &str, fault, outcome, slow| Way {
        name: name.to_owned(),
        trouble: Trouble::Answers(fault),
        outcome,
        slow,
    };
    let mut ways = vec![
        Way {
            name: "refused".to_owned(),
            trouble: Trouble::Refused,
            outcome: "connect",
            slow: false,
        },
        Way {
            name: "closed".to_owned(),
            trouble: Trouble::Slammed,
            outcome: "broken",
            slow: false,
        },
        Way { name: "mute".to_owned(), trouble: Trouble::Mute, outcome: "timeout", slow: true },
        answers("a byte at a time", Fault::Drip(Duration::from_millis(60)), "timeout", true),
        answers("more length than bytes", Fault::LongLength, "broken", false),
        answers("garbage for chunks", Fault::BadChunks, "broken", false),
        answers("garbage for a head", Fault::Raw("\0\0\0\r\n\r\n".into()), "broken", false),
        answers("401", Fault::Status(401), "refused", false),
        answers("403", Fault::Status(403), "refused", false),
        answers("404", Fault::Status(404), "unusable", false),
        answers("429", Fault::Status(429), "throttled", false),
        answers("429 for a second", Fault::RetryAfter(429, "1"), "throttled", false),
        answers("500", Fault::Status(500), "failed", false),
        answers("502", Fault::Status(502), "failed", false),
        answers("503", Fault::Status(503), "failed", false),
        answers("HTML", Fault::Html, "unusable", false),
        answers("a hundred megabytes", Fault::Endless, "unusable", false),
        answers("empty", Fault::Empty, "unusable", false),
        answers("gzip", Fault::Gzip, "unusable", false),
    ];
    for place in Place::ALL {
        ways.push(answers(&format!("stalled {place:?}"), Fault::Stall(place), "timeout", true));
        ways.push(answers(&format!("cut {place:?}"), Fault::Cut(place), "broken", false));
    }
    for code in [301, 302, 307, 308] {
        let fault = Fault::Redirect(code, format!("{trap}/elsewhere"));
        ways.push(answers(&format!("{code} elsewhere"), fault, "unusable", false));
    }
    ways
}
