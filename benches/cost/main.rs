//! What Portvakt costs: the rooms one by one (`rooms`), the decision as a whole in memory (`whole`), and a
//! request over loopback beside the same HTTP stack without authorization (`loopback`).
//!
//! `cargo bench` runs all; `cargo bench -- route token` those whose names begin with one of the words.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has failed, and its output is its product"
)]

mod client;
mod harness;
mod loopback;
mod plain_proxy;
mod rooms;
mod setting;
mod whole;

fn main() {
    // Cargo passes flags of its own.
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let report = harness::Report::new(words);
    rooms::run(&report);
    whole::run(&report);
    loopback::run(&report);
}
