//! The program. Everything it does is in the library; here is only the way in.

use clap::Parser as _;
use portvakt::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong usage ends here, with code 2 and an explanation.
    Cli::parse().run().into()
}
