//! The soak: a whole proxy under load while everything around it fails, and an oracle that checks every
//! single answer. See `oracle` for what it demands, `storm` for what fails, `truth` for who may do what.
//!
//! `SOAK_SECONDS` says how long, `SOAK_SEED` repeats a run (near enough: timing is not in the seed), and
//! `SOAK_BUG` plants a fault that the oracle must find (`bugs`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a soak that cannot go on has failed, and its output is its product"
)]

mod api;
mod bugs;
mod callers;
mod gate;
mod oracle;
mod random;
mod storm;
// The peers and their wire, as the other tests from outside use them.
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the soak needs less of it than those tests")]
mod support;
mod tokens;
mod truth;
mod usage;
mod weather;

use bugs::Bug;
use callers::Callers;
use oracle::{Oracle, Violation};
use portvakt::domain::{Clock as _, SystemClock};
use portvakt::tasks::Tasks;
use random::Random;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storm::Storm;
use support::peers::{Pace, World};
use tokens::Tokens;
use usage::Usage;
use weather::Weather;

/// How fast the proxy lives here: a second for a decision, keys looked for every second.
fn pace(random: &mut Random) -> Pace {
    Pace {
        timeout: "1s",
        breaker_failures: 5,
        breaker_pause: "300ms",
        refresh: "1s",
        refresh_min_interval: "200ms",
        max_stale: "1h",
        multi_request: random.below(2) == 0,
    }
}

/// What is asked of this run.
struct Options {
    length: Duration,
    seed: u64,
    bug: Option<Bug>,
}

impl Options {
    fn read() -> Self {
        let seconds = variable("SOAK_SECONDS").map_or(600, |text| text.parse().unwrap());
        let seed = variable("SOAK_SEED")
            .map_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0, |text| text.parse().unwrap());
        let bug = variable("SOAK_BUG").map(|name| Bug::named(&name));
        Self { length: Duration::from_secs(seconds), seed, bug }
    }
}

#[expect(clippy::disallowed_methods, reason = "the soak is told by variables how to run")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn now() -> Instant {
    SystemClock.monotonic()
}

fn main() -> ExitCode {
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match runtime.block_on(soak(&options)) {
        Ok(()) => {
            println!("soak: every answer was right");
            ExitCode::SUCCESS
        }
        Err(Violation { kind, what }) => {
            println!("soak: violation: {kind}: {what}");
            println!("soak: seed {}", options.seed);
            ExitCode::FAILURE
        }
    }
}

async fn soak(options: &Options) -> Result<(), Violation> {
    let Options { length, seed, bug } = options;
    let mut random = Random::new(*seed);
    let pace = pace(&mut random);
    println!("soak: seed {seed}, {length:?}, several parties in one call: {}", pace.multi_request);
    if let Some(bug) = bug {
        println!("soak: planted: {}", bug.name());
    }
    let baseline = Usage::now();
    let weather = Weather::new();
    let oracle = Arc::new(Oracle::new(Arc::clone(&weather)));
    let world = World::start();
    world.pdp.decide(truth::judge);
    world.exchange.lifetime(storm::TOKEN_LIFETIME);
    let tokens = Arc::new(Tokens::new(&world.keys));
    let api = api::serve(Arc::clone(&oracle)).await;
    let gate = gate::open(&world.settings(&pace), api.address, &oracle, *bug).await;

    let crowd = Tasks::new();
    let began = now();
    let end = began + length.saturating_sub(storm::calm(*length));
    let callers = Callers::start(&gate, &oracle, &tokens, &mut random, &crowd);
    let storm = Storm::start(world, &gate, &tokens, &weather, &oracle, &mut random, end);
    let watch = usage::watch(&gate, began + *length);
    let usage = tokio::select! {
        usage = watch => usage,
        violation = oracle.broken() => return Err(violation),
    };
    callers.end(&crowd).await;
    let lasted = began.elapsed();
    let summary = storm.end().await;
    println!("soak: requests {}, {:.0} a second", oracle.requests(), rate(&oracle, lasted));
    println!("soak: answers {}", oracle.answers());
    println!("soak: faults  {}", weather.counts());
    println!("soak: PDP     {summary}");
    println!("soak: memory  {usage}");
    println!("soak: machine stood still {} times", weather.standstills());
    usage.judge(*length)?;
    oracle.settle(&summary).await?;
    if *length >= Duration::from_mins(1) && rate(&oracle, lasted) < 500.0 {
        return Err(Violation::new("load", "fewer than 500 requests a second"));
    }
    weather.judge(*length)?;
    gate.end().await?;
    api.end().await;
    drop(summary);
    usage::back_to(&baseline).await
}

fn rate(oracle: &Oracle, lasted: Duration) -> f64 {
    f64::from(u32::try_from(oracle.requests()).unwrap()) / lasted.as_secs_f64()
}
