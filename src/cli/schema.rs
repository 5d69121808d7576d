//! `portvakt schema`: the JSON Schema of a file, for editors.

use super::FormatArgs;
use super::console::{self, Exit, Format};
use crate::config::schemas;
use clap::{Args, ValueEnum};

/// Prints the JSON Schema (draft 2020-12) of a file, for editors that complete and check while one types.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which file.
    #[arg(value_enum)]
    file: SchemaFile,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaFile {
    /// The configuration, which `--config` names.
    Config,
    /// Route rules: `policies/routes/*.yaml`.
    Routes,
    /// Rule tests: `policies/tests/*.yaml`.
    Tests,
    /// The directory of the embedded PDP.
    Directory,
}

impl Schema {
    pub(super) fn run(self) -> Exit {
        let text = match self.file {
            SchemaFile::Config => schemas::CONFIG,
            SchemaFile::Routes => schemas::ROUTES,
            SchemaFile::Tests => schemas::TESTS,
            SchemaFile::Directory => schemas::DIRECTORY,
        };
        match self.format.format {
            Format::Human => console::data(text),
            // The same in one line.
            Format::Json => {
                let document = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
                console::data(&format!("{document}\n"));
            }
        }
        Exit::Ok
    }
}
