//! Mixed traffic with everybody leaving at random: uploads, downloads and tunnels over HTTP/1.1 and HTTP/2,
//! towards APIs that speak HTTP/1.1 and HTTP/2, each broken by its client or its API at some byte. See
//! `oracle` for what is demanded.
//!
//! `STREAMS_SECONDS` says how long, `STREAMS_SEED` repeats a run (near enough: timing is not in the seed).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a run that cannot go on has failed, and its output is its product"
)]

mod api;
mod callers;
mod gate;
mod oracle;
mod plan;
#[path = "../soak/random.rs"]
#[expect(dead_code, reason = "the soak needs more of it")]
mod random;
mod tasks_executor;
#[path = "../soak/usage.rs"]
mod usage;

use api::Speaks;
use callers::Caller;
use oracle::{Oracle, Violation};
use portvakt::domain::{Clock as _, SystemClock};
use portvakt::tasks::Tasks;
use random::Random;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use usage::Usage;

/// Of each kind.
const CALLERS: usize = 12;

pub(crate) fn now() -> Instant {
    SystemClock.monotonic()
}

#[expect(clippy::disallowed_methods, reason = "the run is told by variables how to run")]
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> ExitCode {
    let length = Duration::from_secs(variable("STREAMS_SECONDS").unwrap_or(600));
    let seed = variable("STREAMS_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    println!("streams: {length:?}, seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let oracle = Oracle::default();
    let mut violations = runtime.block_on(run(length, &mut Random::new(seed), &oracle));
    violations.extend(oracle.violations());
    for (what, count) in oracle.counts() {
        println!("streams: {count:>12} {what}");
    }
    let whole = oracle.counts().get("whole").copied().unwrap_or_default();
    if whole < 10 * length.as_secs() {
        violations.push(Violation::new("idle", &format!("only {whole} whole exchanges")));
    }
    for violation in &violations {
        println!("streams: violation: {violation}");
    }
    if violations.is_empty() {
        println!("streams: every byte was delivered to whom it was for");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(length: Duration, random: &mut Random, oracle: &Oracle) -> Vec<Violation> {
    let before = Usage::now();
    let (apis, clients) = (Tasks::new(), Tasks::new());
    let gate = gate::open(oracle, &apis).await;
    let stop = CancellationToken::new();
    let mut calling = Vec::new();
    for door in &gate.doors {
        for speaks in [Speaks::Http1, Speaks::Http2] {
            for _ in 0..CALLERS {
                let (door, oracle) = (std::sync::Arc::clone(door), oracle.clone());
                let caller = Caller { door, speaks, oracle, tasks: clients.clone() };
                calling.push(clients.spawn(caller.call(random.fork(), stop.clone())));
            }
        }
    }
    let usage = usage::watch(&gate, now() + length).await;
    stop.cancel();
    for caller in calling {
        caller.await.unwrap();
    }
    println!("streams: {usage}");
    let mut violations = Vec::new();
    let mut hold = |held: Result<(), Violation>| violations.extend(held.err());
    hold(usage.judge(length));
    let _ended = clients.stop(Duration::from_secs(5)).await;
    hold(gate.end(oracle).await);
    let _ended = apis.stop(Duration::from_secs(5)).await;
    hold(usage::back_to(&before).await);
    violations
}
