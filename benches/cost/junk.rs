//! What callers that are let in feel of others that are not: their times at a steady rate, alone and beside
//! many more requests of one kind of junk. The proxy has a core to itself, and all who ask share the other.
//!
//! It fails if anybody is answered otherwise than is right; times are only printed.

use crate::apart::token as signed;
use crate::cores::Cores;
use crate::harness::{Report, now, quantile};
use crate::line::Request;
use crate::stand::{DENIED, Settings, Stand, permitted};
use crate::steady::Steady;
use crate::usage::Process;
use portvakt::dev::SigningKey;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

const PERMITTED_RATE: u32 = 1_000;
const PERMITTED_CONNECTIONS: u32 = 8;
const JUNK_RATE: u32 = 5_000;
/// So many that a slow answer does not slow the junk down.
const JUNK_CONNECTIONS: u32 = 32;
/// No two in a row are the same, should anything remember what it refused.
const VARIANTS: usize = 256;
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
/// Before what is measured, and junk lasts as long after it.
const LEAD: Duration = Duration::from_millis(300);
/// How much later than it asked to a thread may be woken, in nanoseconds (Linux).
const SLACK: &str = "/proc/self/timerslack_ns";

/// A kind of junk, and what came of it in each round.
struct Kind {
    name: &'static str,
    junk: Option<Steady>,
    told: Vec<Told>,
}

/// What one turn told.
struct Told {
    /// Of junk: answered a second.
    rate: f64,
    /// Of the permitted, in microseconds.
    median: f64,
    tail: f64,
    /// By how much longer the tail is than that of the same round without junk.
    ratio: f64,
    /// The part of the time that the proxy was on its core.
    busy: f64,
    /// The part that it wanted to be there, and another was.
    kept_out: f64,
}

pub(crate) fn run(report: &Report) {
    if !report.heading("Permitted callers beside junk", "junk") {
        return;
    }
    let cores = Cores::share();
    println!(
        "  {PERMITTED_RATE} permitted requests/s, {JUNK_RATE} of junk; {cores}; medians of {ROUNDS} rounds \
         of {TURN:?}"
    );
    // Threads sleep to the microsecond and not to the usual fifty; those to come inherit it.
    let _ = std::fs::write(SLACK, "1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stand = Stand::open(&cores, Settings::default()).await;
        let (address, process) = (stand.program.address, stand.program.process);
        let (permitted, mut kinds) = (permitted_requests(&stand), kinds(&stand));
        // API, PDP and issuer are on this thread.
        let measuring = stand.tasks.spawn_blocking(move || {
            for round in 0..=ROUNDS {
                let mut alone = None;
                for kind in &mut kinds {
                    let mut told = beside(address, process, &permitted, kind.junk.as_ref());
                    told.ratio = told.tail / *alone.get_or_insert(told.tail);
                    // The first round is for warming up.
                    if round > 0 {
                        kind.told.push(told);
                    }
                }
            }
            kinds
        });
        print(&measuring.await.unwrap());
        stand.end().await;
    });
    // As a thread has it by default.
    let _ = std::fs::write(SLACK, "0");
}

fn beside(
    address: SocketAddr,
    process: Process,
    permitted: &Steady,
    junk: Option<&Steady>,
) -> Told {
    let junk = junk.map(|junk| junk.connect(address));
    let permitted = permitted.connect(address);
    let start = now();
    let begin = start + LEAD;
    let end = begin + TURN;
    thread::scope(|scope| {
        let junk = junk.map(|junk| junk.ask(scope, start, end + LEAD));
        let permitted = permitted.ask(scope, begin, end);
        thread::sleep(begin.saturating_duration_since(now()));
        let (began, before) = (now(), [process.cpu(), process.waited()]);
        thread::sleep(end.saturating_duration_since(now()));
        let (lasted, after) = (began.elapsed(), [process.cpu(), process.waited()]);
        let part =
            |at: usize| after[at].saturating_sub(before[at]).as_secs_f64() / lasted.as_secs_f64();
        let junk = junk.map_or(0, |junk| u32::try_from(junk.times().len()).unwrap());
        let rate = f64::from(junk) / start.elapsed().as_secs_f64();
        let times = permitted.times();
        Told {
            rate,
            median: quantile(&times, 0.5),
            tail: quantile(&times, 0.99),
            ratio: 1.0,
            busy: part(0),
            kept_out: part(1),
        }
    })
}

fn permitted_requests(stand: &Stand) -> Steady {
    Steady {
        requests: vec![get(format!("/small/{}", permitted()), &stand.token(0))],
        status: 200,
        rate: PERMITTED_RATE,
        connections: PERMITTED_CONNECTIONS,
    }
}

fn kinds(stand: &Stand) -> Vec<Kind> {
    let token = stand.token(0);
    let private = stand.key.private_pem();
    let allowed = format!("/small/{}", permitted());
    let junk = |status, request: &dyn Fn(usize) -> Vec<u8>| {
        let requests = (0..VARIANTS).map(request).collect();
        Some(Steady { requests, status, rate: JUNK_RATE, connections: JUNK_CONNECTIONS })
    };
    let kinds = [
        ("alone", None),
        ("bad signatures", junk(401, &|number| get(allowed.clone(), &broken(&token, number)))),
        (
            "unknown keys",
            junk(401, &|number| {
                let key = SigningKey::from_pem(format!("unknown-{number}"), private).unwrap();
                get(allowed.clone(), &signed(&key, 0))
            }),
        ),
        ("unknown paths", junk(404, &|number| get(format!("/nowhere/{number}"), &token))),
        ("denied by the PDP", junk(403, &|_| get(format!("/small/{DENIED}"), &token))),
        // How far a ratio is from one without any cause.
        ("alone again", None),
    ];
    kinds.into_iter().map(|(name, junk)| Kind { name, junk, told: Vec::new() }).collect()
}

fn get(path: String, token: &str) -> Vec<u8> {
    Request { path, token, sent_bytes: None, expected_bytes: None }.head().into_bytes()
}

/// The token with another letter in its signature, each time elsewhere.
fn broken(token: &str, number: usize) -> String {
    let begin = token.rfind('.').unwrap() + 1;
    // Not the last, of which not every letter is allowed.
    let place = begin + number % (token.len() - begin - 1);
    let (before, rest) = token.split_at(place);
    let (letter, after) = rest.split_at(1);
    format!("{before}{}{after}", if letter == "A" { "B" } else { "A" })
}

fn print(kinds: &[Kind]) {
    println!(
        "  {:<20} {:>8} {:>8} {:>8} {:>18} {:>8} {:>10}",
        "", "junk/s", "p50 µs", "p99 µs", "p99 : alone", "busy", "kept out"
    );
    for Kind { name, told, .. } in kinds {
        let sorted = |value: fn(&Told) -> f64| {
            let mut values: Vec<f64> = told.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let median = |value| quantile(&sorted(value), 0.5);
        let ratios = sorted(|told| told.ratio);
        let [low, ratio, high] = [0.0, 0.5, 1.0].map(|at| quantile(&ratios, at));
        println!(
            "  {name:<20} {:>8.0} {:>8.0} {:>8.0} {:>18} {:>6.0} % {:>8.0} %",
            median(|told| told.rate),
            median(|told| told.median),
            median(|told| told.tail),
            format!("{ratio:.2} ({low:.2}–{high:.2})"),
            median(|told| told.busy) * 100.0,
            median(|told| told.kept_out) * 100.0
        );
    }
}
