//! The command line: one file a subcommand, each a thin shell around the rooms.

mod check;
mod console;
mod demo;
mod doctor;
mod drain;
mod explain;
mod explained;
mod health;
mod import;
mod import_policies;
mod issuer;
mod log;
mod pdp;
mod pdp_text;
mod rebuilt;
mod replay;
mod runtime;
mod schema;
mod serve;
mod shadow;
mod test;
mod test_report;
mod token;
mod token_inspect;

use clap::{Args, Parser, Subcommand};
use console::Format;
use std::path::PathBuf;

pub use console::Exit;

/// A sidecar authorization proxy: lets through only what Altinn Authorization permits.
#[derive(Debug, Parser)]
#[command(name = "portvakt", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve(serve::Serve),
    /// Try it: issuer, PDP, sample API and proxy in one process, on loopback.
    Demo(demo::Demo),
    /// Find every problem in configuration, rules and policies.
    Check(check::Check),
    /// Ask every system that decisions depend on, and say which step fails.
    Doctor(doctor::Doctor),
    /// Have a running proxy of the same container leave.
    Drain(drain::Drain),
    /// Say what would happen to one request, and why.
    Explain(explain::Explain),
    /// Ask a running proxy whether it is ready, or lives.
    Health(health::Health),
    /// Propose rules from what an API says of itself; fetch the policies of their resources.
    #[command(subcommand)]
    Import(import::Import),
    /// Run the embedded PDP behind Altinn's own HTTP API.
    ///
    /// It decides from resource policies and a directory file, reads them again when they change and on
    /// SIGHUP, and says by its control listener why it answered as it did. For development and tests.
    Pdp(pdp::Pdp),
    /// Run the rule tests beside the rules.
    Test(test::Test),
    /// Make or read tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Run the token issuer for development.
    ///
    /// It issues tokens as Maskinporten does, to the clients and for the system users of a directory file.
    /// Its keys are made at start.
    Issuer(issuer::Issuer),
    /// Say what another configuration would have made of yesterday's requests.
    Replay(replay::Replay),
    /// Print the JSON Schema of a file.
    Schema(schema::Schema),
    /// Say what `mode: shadow` has shown.
    #[command(subcommand)]
    Shadow(shadow::Shadow),
}

/// Where the configuration is; shared by the commands that need one.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// A configuration file; may be given several times, later ones override.
    #[arg(long = "config", short = 'c', value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
}

/// How data is printed; shared by the commands that print any.
#[derive(Clone, Copy, Debug, Args)]
struct FormatArgs {
    /// How to print data.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> Exit {
        match self.command {
            Command::Serve(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Drain(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Health(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Pdp(command) => command.run(),
            Command::Test(command) => command.run(),
            Command::Token(command) => command.run(),
            Command::Issuer(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Shadow(command) => command.run(),
        }
    }
}
