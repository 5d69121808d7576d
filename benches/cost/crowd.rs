//! Many connections at once: what an idle one takes (`crowd: idle`), and what a caller feels of others'
//! large uploads and of clients that send a byte a second (`crowd: slow`).

use crate::apart::{Apart, GATE, PLAIN};
use crate::client::micros;
use crate::harness::{Report, now, quantile};
use crate::streaming_api::{ask, connect, serve_streaming_api};
use crate::usage::mebibytes;
use portvakt::tasks::Tasks;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const IDLE: u32 = 9_900;
/// Longer than Portvakt keeps the buffers of a connection that has fallen silent.
const SETTLING: Duration = Duration::from_secs(4);
const SLOW: usize = 1000;
const UPLOADS: usize = 10;
/// Each upload sends so much a second: together 40 MB, so that what is timed is not the queue for the
/// processor.
const UPLOAD_PACE: (usize, Duration) = (40_000, Duration::from_millis(10));
const ASKING: usize = 8;
const PACE: Duration = Duration::from_millis(20);
const TURN: Duration = Duration::from_secs(5);

pub(crate) fn run(report: &Report) {
    if !report.heading("Many connections", "crowd") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if report.wants("crowd: idle") {
        runtime.block_on(idle());
    }
    if report.wants("crowd: slow") {
        for word in [PLAIN, GATE] {
            runtime.block_on(slow(word));
        }
    }
}

async fn idle() {
    let tasks = Tasks::new();
    let api = serve_streaming_api(&tasks).await;
    let gate = Apart::start(GATE, api);
    ask(&mut connect(&gate).await, &gate).await;
    tokio::time::sleep(SETTLING).await;
    let before = gate.resident();
    let mut held = Vec::new();
    for _ in 0..IDLE {
        let mut stream = connect(&gate).await;
        ask(&mut stream, &gate).await;
        held.push(stream);
    }
    let at_once = gate.resident();
    tokio::time::sleep(SETTLING).await;
    let settled = gate.resident();
    println!(
        "  {IDLE} idle connections after a request each: {} bytes each at once, {} after {SETTLING:?}; \
         resident {}, at first {}",
        at_once.saturating_sub(before) / u64::from(IDLE),
        settled.saturating_sub(before) / u64::from(IDLE),
        mebibytes(settled),
        mebibytes(before)
    );
    // They are connections still.
    for stream in held.iter_mut().step_by(99) {
        ask(stream, &gate).await;
    }
    let _ended = tasks.stop(Duration::from_secs(1)).await;
}

async fn slow(word: &'static str) {
    let tasks = Tasks::new();
    let api = serve_streaming_api(&tasks).await;
    let gate: &'static Apart = Box::leak(Box::new(Apart::start(word, api)));
    let _warming = small_requests(gate).await;
    let alone = small_requests(gate).await;
    let ending = CancellationToken::new();
    for number in 0..SLOW {
        let head = if number % 2 == 0 {
            // A head that never ends.
            gate.head("GET", "small")
        } else {
            // A body that comes byte by byte.
            gate.head("POST", "up") + "content-length: 1000000\r\n\r\n"
        };
        let mut stream = connect(gate).await;
        let first = if number % 2 == 0 { head.len() / 2 } else { head.len() };
        stream.write_all(head.as_bytes().get(..first).unwrap()).await.unwrap();
        let _dripping = tasks.spawn(ending.clone().run_until_cancelled_owned(drip(stream)));
    }
    for _ in 0..UPLOADS {
        let stream = connect(gate).await;
        let _sending = tasks.spawn(ending.clone().run_until_cancelled_owned(pour(stream, gate)));
    }
    let crowded = small_requests(gate).await;
    ending.cancel();
    let ms = |times: &[f64], at| quantile(times, at) / 1000.0;
    println!(
        "  {:<12} small requests: p50 {:.2} ms, p99 {:.2} ms alone; p50 {:.2} ms, p99 {:.2} ms among {UPLOADS} \
         uploads and {SLOW} slow clients: p99 × {:.2}",
        gate.name,
        ms(&alone, 0.5),
        ms(&alone, 0.99),
        ms(&crowded, 0.5),
        ms(&crowded, 0.99),
        ms(&crowded, 0.99) / ms(&alone, 0.99)
    );
    let _ended = tasks.stop(Duration::from_secs(2)).await;
}

/// A byte a second, until the proxy has had enough.
async fn drip(mut stream: TcpStream) {
    let mut ticks = interval(Duration::from_secs(1));
    while stream.write_all(b"x").await.is_ok() {
        ticks.tick().await;
    }
}

async fn pour(mut stream: TcpStream, gate: &Apart) {
    let head = gate.head("POST", "up") + "content-length: 1000000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (bytes, pause) = UPLOAD_PACE;
    let piece = vec![b'x'; bytes];
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stream.write_all(&piece).await.is_ok() {
        ticks.tick().await;
    }
}

/// The sorted times of requests at a steady pace, in microseconds.
async fn small_requests(gate: &Apart) -> Vec<f64> {
    let asking = (0..ASKING).map(|_| async {
        let mut stream = connect(gate).await;
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut times, end) = (Vec::new(), now() + TURN);
        while now() < end {
            ticks.tick().await;
            let began = now();
            ask(&mut stream, gate).await;
            times.push(micros(began.elapsed()));
        }
        times
    });
    let mut times = futures_util::future::join_all(asking).await.concat();
    times.sort_by(f64::total_cmp);
    times
}
