//! From files, environment and flags to settings, with every problem reported at once, each at
//! its file, line and column or the variable or flag it came from.
//!
//! The way of a setting: `positions` turns a file into a `tree` that knows where everything in it
//! stands; `layers` lays files, variables and flags over each other; `reader` and `field` take the
//! leaves by name, with `scalars` and `secret` to read them; what goes wrong becomes a
//! `diagnostic`, which `render` shows with its line from `source`. Route rules and their tests are
//! read the same way, without layers.
//!
//! Nothing here prints, and nothing is read from the environment but in `layers`.

mod claims;
mod compile;
pub mod diagnostic;
pub mod directory;
pub mod field;
pub mod files;
pub mod layers;
pub mod openapi;
pub mod positions;
pub mod reader;
mod render;
pub mod report;
mod routes;
pub mod rule_tests;
pub mod scalars;
pub mod schemas;
pub mod secret;
mod sections;
pub mod source;
mod tls;
pub mod tree;

pub use claims::Claim;
pub use compile::{
    Compiled, Fixed, Inputs, Outcome, Overrides, Runtime, compile, compile_noted, compile_steady,
};
pub use diagnostic::{Colour, Diagnostic, Diagnostics};
pub use directory::{load_directory, load_policies};
pub use files::{Files, Notes};
pub use layers::{Environment, Flag, listen_of_admin};
pub use report::Report;
pub use routes::RulePlaces;
pub use sections::{
    AdminSettings, AltinnEnvironment, ControlSettings, DecisionLog, EmbeddedSettings, Http2Limits,
    Limits, ListenAddress, LogFormat, LogSettings, OnFinding, RecordSchema, ServerSettings,
    ShutdownSettings,
};
pub use tls::{FileFault, TlsFault, TlsFile, TlsFiles, TlsPolicy};
