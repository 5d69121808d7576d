//! Bodies on their way: how much memory a very large one takes in either direction (`bodies: whole`) and
//! many at once (`bodies: streams`), and what ten megabytes cost the processor beside the plain proxy
//! (`bodies: 10 MB`).
//!
//! It fails if a very large body takes more memory than the container that Portvakt is meant for has.

use crate::apart::{Apart, GATE, PLAIN};
use crate::harness::{Report, now, quantile};
use crate::streaming_api::{ask, begin_download, connect, download, serve_streaming_api, upload};
use crate::usage::mebibytes;
use futures_util::future::join_all;
use portvakt::tasks::Tasks;
use std::time::Duration;

/// The memory of the container that the defaults are made for.
const CONTAINER: u64 = 64 << 20;
const TEN_MEGABYTES: u64 = 10_000_000;
const ROUNDS: usize = 12;
/// Bodies of one turn.
const BODIES: usize = 40;
/// Bodies at once, where memory is what is measured.
const STREAMS: usize = 32;
/// Each is followed by so many others.
const TURNS: usize = 20;
/// Long enough that all buffers are full of what a client does not take.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) fn run(report: &Report) {
    let (whole, ten, streams) = ("bodies: whole", "bodies: 10 MB", "bodies: streams");
    if !report.heading("Bodies", "bodies") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if report.wants(whole) {
        let gigabytes = u64::from(report.number("gigabytes").unwrap_or(1));
        runtime.block_on(transfer(gigabytes * 1_000_000_000));
    }
    if report.wants(ten) {
        runtime.block_on(compare());
    }
    if report.wants(streams) {
        for word in [PLAIN, GATE] {
            runtime.block_on(at_once(word));
        }
    }
}

async fn transfer(bytes: u64) {
    let tasks = Tasks::new();
    let api = serve_streaming_api(&tasks).await;
    let gate = Apart::start(GATE, api);
    let mut stream = connect(&gate).await;
    println!(
        "  one body of {} GB: resident at first {}",
        bytes / 1_000_000_000,
        mebibytes(gate.resident())
    );
    for way in ["up", "down"] {
        let (began, cpu) = (now(), gate.cpu());
        if way == "up" {
            upload(&mut stream, &gate, bytes).await;
        } else {
            download(&mut stream, &gate, bytes).await;
        }
        let (took, cpu) = (began.elapsed(), gate.cpu().saturating_sub(cpu));
        println!(
            "  {way:<5} {:>7.0} MB/s   {:.2} s of the processor a GB   resident at most {}",
            megabytes(bytes) / took.as_secs_f64(),
            cpu.as_secs_f64() / megabytes(bytes) * 1000.0,
            mebibytes(gate.peak())
        );
    }
    assert!(gate.peak() <= CONTAINER, "a body took more than {}", mebibytes(CONTAINER));
    let _ended = tasks.stop(Duration::from_secs(1)).await;
}

async fn at_once(word: &'static str) {
    let tasks = Tasks::new();
    let api = serve_streaming_api(&tasks).await;
    for way in ["up", "down", "not taken"] {
        let proxy = Apart::start(word, api);
        ask(&mut connect(&proxy).await, &proxy).await;
        let before = proxy.resident();
        let body = async || {
            let mut stream = connect(&proxy).await;
            match way {
                "up" => {
                    for _ in 0..TURNS {
                        upload(&mut stream, &proxy, TEN_MEGABYTES).await;
                    }
                }
                "down" => {
                    for _ in 0..TURNS {
                        download(&mut stream, &proxy, TEN_MEGABYTES).await;
                    }
                }
                _ => begin_download(&mut stream, &proxy, TEN_MEGABYTES).await,
            }
            stream
        };
        let held = join_all((0..STREAMS).map(|_| body())).await;
        tokio::time::sleep(SETTLING).await;
        println!(
            "  {STREAMS} bodies of 10 MB at once, {way:<9} {:<11}: {} more than before",
            proxy.name,
            mebibytes(proxy.peak().saturating_sub(before))
        );
        drop(held);
    }
    let _ended = tasks.stop(Duration::from_secs(1)).await;
}

async fn compare() {
    let tasks = Tasks::new();
    let api = serve_streaming_api(&tasks).await;
    // The second plain one says how much of a difference is none.
    let proxies = [PLAIN, GATE, PLAIN].map(|word| Apart::start(word, api));
    for way in ["up", "down"] {
        let mut spent: [Vec<f64>; 3] = Default::default();
        for round in 0..=ROUNDS {
            for turn in 0..proxies.len() {
                let at = if round % 2 == 0 { turn } else { proxies.len() - 1 - turn };
                let proxy = &proxies[at];
                let mut stream = connect(proxy).await;
                let cpu = proxy.cpu();
                for _ in 0..BODIES {
                    if way == "up" {
                        upload(&mut stream, proxy, TEN_MEGABYTES).await;
                    } else {
                        download(&mut stream, proxy, TEN_MEGABYTES).await;
                    }
                }
                // The first round is for warming up.
                if round > 0 {
                    spent[at].push(proxy.cpu().saturating_sub(cpu).as_secs_f64());
                }
            }
        }
        let each =
            |at: usize| median(&spent[at]) * 1000.0 / f64::from(u32::try_from(BODIES).unwrap());
        let ratio = |at: usize| {
            let ratios: Vec<f64> =
                spent[at].iter().zip(&spent[0]).map(|(own, plain)| own / plain).collect();
            median(&ratios)
        };
        println!(
            "  10 MB {way:<5} {:>6.2} ms of the processor, {} {:.2} ms: {:.2} (null row {:.2})",
            each(1),
            proxies[0].name,
            each(0),
            ratio(1),
            ratio(2)
        );
    }
    let _ended = tasks.stop(Duration::from_secs(1)).await;
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1_000_000).unwrap())
}
