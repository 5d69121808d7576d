//! `portvakt schema`: the JSON Schema of a file, for editors.

use super::console::{self, Exit};
use crate::config::schemas;
use clap::{Args, ValueEnum};

/// Prints the JSON Schema (draft 2020-12) of a file, for editors that complete and check while one types.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which file.
    #[arg(value_enum)]
    file: SchemaFile,
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
        console::data(match self.file {
            SchemaFile::Config => schemas::CONFIG,
            SchemaFile::Routes => schemas::ROUTES,
            SchemaFile::Tests => schemas::TESTS,
            SchemaFile::Directory => schemas::DIRECTORY,
        });
        Exit::Ok
    }
}
