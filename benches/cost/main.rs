//! What Portvakt costs: the rooms one by one (`rooms`), the decision as a whole in memory (`whole`), a
//! request over loopback beside the same HTTP stack without authorization (`loopback`), the memory of held
//! decisions (`memory`), many callers while the PDP is slow or silent (`load`), bodies and crowds (`bodies`,
//! `crowd`), how cost grows with what there is more of (`scale`), and what refused callers cost those that are
//! let in (`junk`).
//!
//! `cargo bench` runs all; `cargo bench -- route token` those whose names begin with one of the words.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has failed, and its output is its product"
)]

mod apart;
mod bodies;
mod client;
mod cores;
mod crew;
mod crowd;
mod embedded;
mod harness;
mod junk;
mod line;
mod load;
mod loopback;
mod memory;
mod plain_proxy;
mod program;
mod rooms;
mod scale;
mod setting;
mod stand;
mod steady;
mod streaming_api;
mod usage;
mod whole;

/// The program's own: what it keeps is a part of what Portvakt holds.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Cargo passes flags of its own.
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let report = harness::Report::new(words);
    if let Some(count) = report.number(memory::ENTRIES) {
        return memory::hold(&report, count);
    }
    if let Some(count) = report.number(embedded::DELEGATIONS) {
        return embedded::load(&report, count);
    }
    if apart::is_one(&report) || program::is_guard(&report) {
        return;
    }
    rooms::run(&report);
    embedded::run(&report);
    whole::run(&report);
    loopback::run(&report);
    memory::run(&report);
    load::run(&report);
    bodies::run(&report);
    crowd::run(&report);
    scale::run(&report);
    junk::run(&report);
}
