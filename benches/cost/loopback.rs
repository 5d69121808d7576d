//! A warm request over loopback: straight to the API, through a proxy that looks at nothing, and through
//! Portvakt with its rules. All run in one process and take turns within each round, so that what else the
//! machine does falls on all alike; what counts are the ratios within a round.

use crate::client::Client;
use crate::harness::{Report, now, quantile};
use crate::plain_proxy::{serve_api, serve_plain_proxy};
use crate::setting::{CLIENT, EXTERNAL_REF, FIRM, SCOPE, number};
use portvakt::dev::{Addresses, OnBehalf, World, WorldSettings};
use portvakt::record::RecordSink;
use portvakt::tasks::Tasks;
use std::net::SocketAddr;
use std::time::Duration;

const ROUNDS: usize = 12;
const TURN: Duration = Duration::from_millis(400);

const RULES: &str = r#"api: bench
defaults: { scopes: ["skatteetaten:mvameldinginnsending"] }
rules:
  - { id: bench-public, match: { method: GET, path: /bench/public }, protection: public }
  - { id: bench-token, match: { method: GET, path: /bench/token }, protection: token, object: none }
  - id: bench-required
    match: { method: GET, path: "/bench/required/{orgnr}" }
    resource: ske-mva-melding
    action: write
    party: path:orgnr
"#;

/// The world of the demo with the rules of the benchmarks, in front of this API.
pub(crate) async fn begin(api: SocketAddr, sink: RecordSink) -> World {
    // Read for as long as the process lives.
    let configuration =
        Box::leak(format!("upstream: {{ url: \"http://{api}\" }}\n").into_boxed_str());
    World::begin(WorldSettings {
        addresses: Addresses::loopback(0),
        token_lifetime: Duration::from_mins(50),
        files: vec![("policies/routes/bench.yaml", RULES)],
        issuers: "",
        configuration,
        sink,
    })
    .await
    .unwrap()
}

/// A token of the firm's system user.
pub(crate) async fn token(world: &World) -> String {
    let firm = OnBehalf { owner: number(FIRM), external_ref: Some(EXTERNAL_REF) };
    world.clients.get("smartcloud").unwrap().token(SCOPE, Some(firm)).await.unwrap()
}

struct Way {
    name: &'static str,
    clients: Vec<Client>,
    /// Of each round.
    rates: Vec<f64>,
    medians: Vec<f64>,
    tails: Vec<f64>,
}

pub(crate) fn run(report: &Report) {
    let name = |connections| format!("loopback: {connections} connections");
    let names = [1, 16].map(name);
    if !report.heading("A warm request over loopback", "loopback") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (connections, name) in [1, 16].into_iter().zip(&names) {
        if report.wants(name) {
            runtime.block_on(compare(connections));
        }
    }
}

async fn compare(connections: usize) {
    let tasks = Tasks::new();
    let api = serve_api(&tasks).await;
    let plain = serve_plain_proxy(api, &tasks).await;
    let world = begin(api, RecordSink::To(Box::new(std::io::sink()))).await;
    let quiet = begin(api, RecordSink::Off).await;
    let tokens = [token(&world).await, token(&quiet).await];
    let gate = world.addresses.proxy;
    let required = format!("/bench/required/{CLIENT}");
    let mut ways = Vec::new();
    for (name, address, path) in [
        // The first is what the others are held against.
        ("plain proxy", plain, required.as_str()),
        ("no proxy", api, &required),
        ("public rule", gate, "/bench/public"),
        ("token rule", gate, "/bench/token"),
        ("required rule", gate, &required),
        ("  no records", quiet.addresses.proxy, &required),
    ] {
        let token = tokens.get(usize::from(address == quiet.addresses.proxy)).map(String::as_str);
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = Client::connect(address, path, token).await;
            client.ask().await;
            clients.push(client);
        }
        ways.push(Way { name, clients, rates: vec![], medians: vec![], tails: vec![] });
    }
    for round in 0..=ROUNDS {
        // Nobody always follows the same one.
        let count = ways.len();
        for turn in 0..count {
            let at = if round % 2 == 0 { turn } else { count - 1 - turn };
            // The first round is for warming up.
            take_turn(ways.get_mut(at).unwrap(), round > 0).await;
        }
    }
    print(connections, &ways);
    drop(ways);
    let _ended = world.end().await;
    let _ended = quiet.end().await;
    let _ended = tasks.stop(Duration::from_secs(1)).await;
}

async fn take_turn(way: &mut Way, counts: bool) {
    let started = now();
    let end = started + TURN;
    let asked = way.clients.iter_mut().map(|client| client.ask_until(end));
    let mut times: Vec<f64> = futures_util::future::join_all(asked).await.concat();
    let seconds = started.elapsed().as_secs_f64();
    if counts {
        times.sort_by(f64::total_cmp);
        way.rates.push(f64::from(u32::try_from(times.len()).unwrap()) / seconds);
        way.medians.push(quantile(&times, 0.5));
        way.tails.push(quantile(&times, 0.99));
    }
}

fn print(connections: usize, ways: &[Way]) {
    println!("{connections} connections, medians of {ROUNDS} rounds of {TURN:?}");
    println!(
        "  {:<14} {:>9} {:>9} {:>11} {:>16} {:>16}",
        "", "p50 µs", "p99 µs", "requests/s", "p50 : plain", "rate : plain"
    );
    let Some(plain) = ways.first() else { return };
    for way in ways {
        let ratio = |own: &[f64], other: &[f64]| {
            let mut ratios: Vec<f64> =
                own.iter().zip(other).map(|(own, other)| own / other).collect();
            ratios.sort_by(f64::total_cmp);
            let [low, middle, high] = [0.1, 0.5, 0.9].map(|at| quantile(&ratios, at));
            format!("{middle:.2} ({low:.2}–{high:.2})")
        };
        println!(
            "  {:<14} {:>9.1} {:>9.1} {:>11.0} {:>16} {:>16}",
            way.name,
            median(&way.medians),
            median(&way.tails),
            median(&way.rates),
            ratio(&way.medians, &plain.medians),
            ratio(&way.rates, &plain.rates),
        );
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}
