//! Many callers of few keys, all of them warm: what they feel of a PDP that takes its time, and of one that
//! falls silent. Real sockets and the real client on every side; callers, proxy, PDP and API share this
//! process.
//!
//! It fails if the counts are not what the cache promises; times are only printed.

use crate::client::{Client, micros};
use crate::harness::{Report, now, quantile};
use crate::memory::organizations;
use crate::plain_proxy::serve_api;
use crate::setting::{FIRM, number};
use crate::usage::{Peak, mebibytes, resident};
use portvakt::config::{self, Files, Inputs, Overrides, Runtime};
use portvakt::dev::pdp_face::{Answer, Behaviour, FaultPlan, Faults, PdpFace};
use portvakt::dev::{Life, SigningKey, organization, system_user};
use portvakt::domain::{
    Clock as _, Decision, Obligations, OrganizationNumber, SystemClock, SystemId, SystemUserId,
};
use portvakt::pdp::wire::WireCategory;
use portvakt::record::RecordSink;
use portvakt::server::Gate;
use portvakt::tasks::Tasks;
use portvakt::token::{IssuerKind, IssuerSettings, KeyLocation};
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

const CALLERS: u32 = 1000;
/// What is asked about: a system user and a party each.
const KEYS: u32 = 200;
/// Each caller asks so often: together 2 000 times a second, which leaves the processor idle enough that
/// what is timed is not the queue in front of it.
const PACE: Duration = Duration::from_millis(500);
const PDP_LATENCY: Duration = Duration::from_millis(50);
/// Of a silent PDP: for as long as anybody waits.
const SILENCE: Duration = Duration::from_hours(1);
const ISSUER: &str = "https://issuer.load.example/";

const RULES: &str = r#"api: load
rules:
  - id: load
    match: { method: GET, path: "/load/{orgnr}" }
    resource: load-resource
    action: read
    party: path:orgnr
    scopes: ["load:read"]
"#;

/// How long everything takes, from the length of the silence.
#[derive(Clone, Copy)]
struct Scale {
    silence: Duration,
    /// How long a permit is believed.
    lifetime: Duration,
    /// How long the PDP has to answer.
    deadline: Duration,
}

impl Scale {
    fn of(silence: u32) -> Self {
        let silence = Duration::from_secs(u64::from(silence));
        // Part of what is held ends in the silence, and part outlasts it.
        Self { silence, lifetime: silence * 5 / 3, deadline: silence / 6 }
    }
}

pub(crate) fn run(report: &Report) {
    if !report.heading("Many callers of a slow PDP", "load") {
        return;
    }
    let scale = Scale::of(report.number("silence").unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(scale));
}

async fn measure(scale: Scale) {
    let Scale { silence, lifetime, deadline } = scale;
    println!(
        "{CALLERS} callers of {KEYS} keys, each every {PACE:?}; permits live {lifetime:?}, the PDP has \
         {deadline:?}"
    );
    let stand = Stand::open(scale).await;
    let peak = Peak::default();
    let watching = stand.tasks.spawn(peak.clone().watch());
    let callers = stand.callers(scale).await;
    // Then all have asked, and what is held has every age.
    tokio::time::sleep(lifetime + PACE).await;
    let mut swift = stand.phase("PDP at once", Duration::ZERO, lifetime).await;
    let mut warm = stand.phase("PDP after 50 ms", PDP_LATENCY, lifetime * 2).await;
    let gap = stand.smallest_gap(swift.began);
    let resident_before = resident();
    peak.reset();
    let mut silent = stand.phase("PDP silent", SILENCE, silence).await;
    let highest = peak.bytes();
    let mut back = stand.phase("PDP back", PDP_LATENCY, deadline + Duration::from_secs(4)).await;
    let resident_after = resident();
    watching.abort();
    stand.tasks.stopping().cancel();
    for caller in callers {
        caller.await.unwrap();
    }
    let exchanges = std::mem::take(&mut *stand.exchanges.lock().unwrap());
    stand.end().await;

    println!(
        "  {:<16} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>6}",
        "",
        "served",
        "p50 µs",
        "p99 µs",
        "max ms",
        "waited",
        "refused",
        "p50 ms",
        "max ms",
        "calls"
    );
    for phase in [&mut swift, &mut warm, &mut silent, &mut back] {
        phase.fill(&exchanges);
        phase.print(lifetime);
    }
    println!(
        "  served: answered 200; waited: those that waited for the PDP; refused: answered 503; calls: of \
         the PDP, a key and lifetime"
    );
    println!(
        "  p99 with the PDP after 50 ms : with the PDP at once: {:.2}",
        quantile(&warm.served, 0.99) / quantile(&swift.served, 0.99)
    );
    println!(
        "  shortest time between two calls for one key: {:.2} lifetimes",
        gap.as_secs_f64() / lifetime.as_secs_f64()
    );
    println!("  back: the last 503 after {:.2} s", back.last_refusal.as_secs_f64());
    println!(
        "  resident: {} before the silence, at most {} in it, {} in the end",
        mebibytes(resident_before),
        mebibytes(highest),
        mebibytes(resident_after)
    );

    let mut broken = Vec::new();
    let mut hold = |holds: bool, what: &'static str| {
        if !holds {
            broken.push(what);
        }
    };
    for phase in [&swift, &warm] {
        hold(phase.refused.is_empty(), "a warm caller was refused");
        hold(phase.waited == 0, "a warm caller waited for the PDP");
        // Each answer is renewed once, after seven to nine tenths of its life.
        hold(phase.calls_a_lifetime(lifetime) <= 1.4, "the PDP was asked too often");
    }
    hold(gap * 2 > lifetime, "two calls for one key within half a lifetime");
    let phases = [&swift, &warm, &silent, &back];
    hold(phases.iter().all(|phase| phase.others == 0), "an answer was neither 200 nor 503");
    hold(silent.waited == 0, "somebody got an answer of the silent PDP");
    let patience = deadline + Duration::from_millis(500);
    let longest = quantile(&silent.refused, 1.0);
    hold(silent.refused.is_empty() || longest < micros(patience), "a refusal came late");
    let patience = deadline + Duration::from_secs(3);
    hold(back.last_refusal < patience, "it did not come back");
    hold(highest < resident_before + (64 << 20), "the silence took more than 64 MiB");
    assert!(broken.is_empty(), "{broken:?}");
}

/// A time in which the PDP behaves in one way.
struct Phase {
    name: &'static str,
    began: Instant,
    length: Duration,
    /// Requests that waited for an answer of the PDP.
    waited: u64,
    calls: u64,
    /// Microseconds of those answered 200, sorted.
    served: Vec<f64>,
    /// Of those answered 503.
    refused: Vec<f64>,
    /// Neither.
    others: usize,
    /// When the last 503 was answered, from the beginning.
    last_refusal: Duration,
}

impl Phase {
    /// Takes what ended in it.
    fn fill(&mut self, exchanges: &[Exchange]) {
        let own = |it: &&Exchange| it.ended >= self.began && it.ended < self.began + self.length;
        let own: Vec<&Exchange> = exchanges.iter().filter(own).collect();
        let times = |status: u16| {
            let times = own.iter().filter(|it| it.status == status).map(|it| it.micros);
            let mut times: Vec<f64> = times.collect();
            times.sort_by(f64::total_cmp);
            times
        };
        (self.served, self.refused) = (times(200), times(503));
        self.others = own.len() - self.served.len() - self.refused.len();
        let refusals = own.iter().filter(|it| it.status == 503);
        let last = refusals.map(|it| it.ended.duration_since(self.began)).max();
        self.last_refusal = last.unwrap_or_default();
    }

    fn calls_a_lifetime(&self, lifetime: Duration) -> f64 {
        let calls = f64::from(u32::try_from(self.calls).unwrap());
        calls / f64::from(KEYS) / (self.length.as_secs_f64() / lifetime.as_secs_f64())
    }

    fn print(&self, lifetime: Duration) {
        let refused = |at: f64| {
            let millis = quantile(&self.refused, at) / 1e3;
            if millis.is_nan() { String::new() } else { format!("{millis:.1}") }
        };
        // Of those that fail, most end in the circuit breaker.
        let calls = if self.refused.is_empty() {
            format!("{:.2}", self.calls_a_lifetime(lifetime))
        } else {
            String::new()
        };
        println!(
            "  {:<16} {:>8} {:>8.0} {:>8.0} {:>8.1} {:>7} {:>8} {:>8} {:>8} {:>6}",
            self.name,
            self.served.len(),
            quantile(&self.served, 0.5),
            quantile(&self.served, 0.99),
            quantile(&self.served, 1.0) / 1e3,
            self.waited,
            self.refused.len(),
            refused(0.5),
            refused(1.0),
            calls,
        );
    }
}

/// The proxy with its PDP and its API.
struct Stand {
    gate: Gate,
    faults: Faults,
    key: SigningKey,
    parties: Vec<OrganizationNumber>,
    /// When the PDP was asked, by question.
    asked: Arc<Mutex<HashMap<String, Vec<Instant>>>>,
    sources: Sources,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    tasks: Tasks,
}

/// A request and its answer, as the caller saw it.
#[derive(Clone, Copy)]
struct Exchange {
    ended: Instant,
    micros: f64,
    status: u16,
}

impl Stand {
    async fn open(scale: Scale) -> Self {
        let tasks = Tasks::new();
        let api = serve_api(&tasks).await;
        let asked: Arc<Mutex<HashMap<String, Vec<Instant>>>> = Arc::default();
        let counted = Arc::clone(&asked);
        let answer: Answer = Arc::new(move |_, question| {
            counted.lock().unwrap().entry(subject_and_party(question)).or_default().push(now());
            (Ok(Decision::Permit(Obligations::default()).into()), None)
        });
        let face = PdpFace::new(answer, Arc::new(SystemClock));
        let faults = face.faults();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pdp = listener.local_addr().unwrap();
        let _serving = tasks.spawn(Arc::new(face).serve(listener, tasks.clone()));
        let key = SigningKey::generate("load").unwrap();
        let sources = Sources::default();
        let gate = open_gate(api, pdp, &key, sources.clone(), scale).await;
        let parties = organizations(KEYS as usize);
        let exchanges = Arc::default();
        Self { gate, faults, key, parties, asked, sources, exchanges, tasks }
    }

    /// Every caller with its connection; they begin spread over a lifetime, so that what is held does not
    /// end all at once.
    async fn callers(&self, scale: Scale) -> Vec<tokio::task::JoinHandle<()>> {
        let address = *self.gate.traffic().first().unwrap();
        let tokens: Vec<String> = (0..KEYS).map(|key| self.token(key)).collect();
        let mut callers = Vec::new();
        for caller in 0..CALLERS {
            let key = caller % KEYS;
            let party = self.parties.get(key as usize).unwrap();
            let token = tokens.get(key as usize).map(String::as_str);
            let mut client = Client::connect(address, &format!("/load/{party}"), token).await;
            let begin = now() + scale.lifetime * key / KEYS + PACE * caller / CALLERS;
            let (exchanges, stopping) = (Arc::clone(&self.exchanges), self.tasks.stopping());
            callers.push(self.tasks.spawn(async move {
                let mut ticks = tokio::time::interval_at(begin.into(), PACE);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
                    let began = now();
                    let status = client.status().await;
                    let ended = now();
                    let micros = micros(ended - began);
                    exchanges.lock().unwrap().push(Exchange { ended, micros, status });
                }
            }));
        }
        callers
    }

    fn token(&self, key: u32) -> String {
        let life = Life { issued: SystemClock.wall(), lifetime: Duration::from_mins(30) };
        let user = Uuid::from_u128(0xa000_0002_0000_4000_8000 << 48 | u128::from(key));
        let claims = system_user(
            organization(ISSUER, life, "load:read", number(FIRM)),
            SystemUserId::parse(&user.to_string()).unwrap(),
            number(FIRM),
            &SystemId::parse("314242726_load").unwrap(),
        );
        self.key.sign(&claims).unwrap()
    }

    /// Lets the PDP behave like this for so long.
    async fn phase(&self, name: &'static str, latency: Duration, length: Duration) -> Phase {
        self.faults.set(FaultPlan { latency, behaviour: Behaviour::Answer });
        let calls = || self.gate.snapshot().decisions.stats().calls;
        let (began, waited_before, calls_before) = (now(), self.sources.waited(), calls());
        tokio::time::sleep(length).await;
        Phase {
            name,
            began,
            length,
            waited: self.sources.waited() - waited_before,
            calls: calls() - calls_before,
            served: Vec::new(),
            refused: Vec::new(),
            others: 0,
            last_refusal: Duration::ZERO,
        }
    }

    /// Between two questions alike that the PDP was asked since.
    fn smallest_gap(&self, since: Instant) -> Duration {
        let asked = self.asked.lock().unwrap();
        assert!(asked.len() == KEYS as usize, "{} keys were asked about", asked.len());
        let gaps = asked.values().flat_map(|times| {
            let times = times.iter().filter(|time| **time >= since);
            times.clone().zip(times.skip(1)).map(|(one, next)| *next - *one)
        });
        gaps.min().unwrap()
    }

    async fn end(self) {
        assert!(self.gate.close().await, "something still runs");
        let _ended = self.tasks.stop(Duration::from_secs(1)).await;
    }
}

/// The proxy, with tasks of its own.
async fn open_gate(
    api: SocketAddr,
    pdp: SocketAddr,
    key: &SigningKey,
    sources: Sources,
    scale: Scale,
) -> Gate {
    let Scale { lifetime, deadline, .. } = scale;
    let (lifetime, deadline) = (lifetime.as_millis(), deadline.as_millis());
    let configuration = format!(
        "environment: custom
server: {{ listen: [\"127.0.0.1:0\"], limits: {{ header_timeout: 60s }} }}
admin: {{ listen: \"127.0.0.1:0\" }}
shutdown: {{ wait: 0s, grace: 10s }}
upstream: {{ url: \"http://{api}\" }}
pdp: {{ url: \"http://{pdp}\", timeout: {deadline}ms, credential: {{ none: true }} }}
cache: {{ permit_ttl: {lifetime}ms, deny_ttl: 1s }}
policies: policies
"
    );
    let keys = KeyLocation::Static(key.public_jwks().into());
    let issuer = IssuerSettings::new(IssuerKind::Maskinporten, ISSUER, keys);
    let inputs = Inputs {
        config: vec!["load.yaml".into()],
        files: Files::memory([
            ("load.yaml", configuration),
            ("policies/routes/load.yaml", RULES.to_owned()),
        ]),
        overrides: Overrides { issuers: Some(vec![issuer]), ..Overrides::default() },
        ..Inputs::default()
    };
    let tasks = Tasks::new();
    let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
    let outcome = config::compile(&inputs, None, &runtime);
    let said = outcome.diagnostics.to_human(config::Colour::Plain);
    assert!(outcome.compiled.is_some(), "{said}");
    let sink = RecordSink::To(Box::new(sources));
    Gate::open(outcome.compiled.unwrap(), sink, tasks).await.unwrap()
}

fn subject_and_party(question: &[&WireCategory]) -> String {
    let attributes = question.iter().flat_map(|category| &category.attributes);
    let telling = attributes.filter(|attribute| {
        matches!(
            attribute.id.as_str(),
            "urn:altinn:systemuser:uuid" | "urn:altinn:organization:identifier-no"
        )
    });
    telling.map(|attribute| attribute.value.as_str()).collect::<Vec<_>>().join(" for ")
}

/// Takes decision records and counts those of requests that waited for an answer of the PDP.
#[derive(Clone, Debug, Default)]
struct Sources {
    waited: Arc<AtomicU64>,
    /// The beginning of a record whose end has not come.
    line: Vec<u8>,
}

impl Sources {
    fn waited(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }
}

impl Write for Sources {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend(bytes);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = std::str::from_utf8(&line).unwrap();
            let asked = [r#""source":"pdp""#, r#""source":"coalesced""#];
            // Without a decision it waited in vain, or was refused at once.
            if line.contains(r#""decision":"#) && asked.iter().any(|it| line.contains(it)) {
                self.waited.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
