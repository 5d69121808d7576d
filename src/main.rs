//! The program. Everything it does is in the library; here is only the way in.

use clap::Parser as _;
use mimalloc::MiMalloc;
use portvakt::cli::Cli;
use std::process::ExitCode;

/// A warm request allocates dozens of times; see docs/PERFORMANCE.md for what this allocator makes of that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Wrong usage ends here, with code 2 and an explanation.
    Cli::parse().run().into()
}
