//! `portvakt check`: every problem at once, and what each rule amounts to.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs};
use crate::config::openapi::{self, Coverage};
use crate::config::{
    self, Diagnostics, Environment, Files, Inputs, Overrides, Report, RulePlaces, Runtime,
};
use crate::domain::SystemClock;
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads configuration, rules and policies as `serve` would, touches no network, and reports. Exits with
/// 1 if there is an error.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// Prove that every operation of this OpenAPI document falls under one rule, which reads what it has; may be given
    /// several times. A gap is an error.
    #[arg(long, value_name = "FILE")]
    openapi: Vec<PathBuf>,
    /// What paths of the documents begin with as they come to the proxy, in place of the first server's path.
    #[arg(long, value_name = "PATH", requires = "openapi")]
    base_path: Option<String>,
    /// Leave out the files that are there only where the proxy runs, secrets and certificates: for where rules are written
    /// and reviewed. How Altinn's PDP is asked is not checked then.
    #[arg(long)]
    without_secrets: bool,
    #[command(flatten)]
    format: FormatArgs,
}

impl Check {
    pub(super) fn run(self) -> Exit {
        let inputs = Inputs {
            config: self.config.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides { without_secrets: self.without_secrets, ..Overrides::default() },
        };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let mut outcome = config::compile(&inputs, None, &runtime);
        let report = outcome.compiled.as_ref().map(|compiled| Report::of(&compiled.snapshot));
        let coverages = match &outcome.compiled {
            Some(compiled) => {
                self.coverages(&compiled.snapshot, &outcome.places, &mut outcome.diagnostics)
            }
            None => Vec::new(),
        };
        match self.format.format {
            Format::Human => {
                console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
                if let Some(report) = report {
                    console::data(&report.to_human());
                }
                for (file, coverage) in &coverages {
                    console::data(&format!("\n{}\n{}", file.display(), coverage.to_human()));
                }
            }
            Format::Json => {
                console::data(&outcome.diagnostics.to_json_lines());
                if let Some(report) = report {
                    console::data(&format!("{}\n", report.to_json()));
                }
                for (file, coverage) in &coverages {
                    let line =
                        serde_json::json!({ "openapi": file, "coverage": coverage.to_json() });
                    console::data(&format!("{line}\n"));
                }
            }
        }
        if outcome.diagnostics.has_errors() { Exit::Found } else { Exit::Ok }
    }

    fn coverages(
        &self,
        snapshot: &Snapshot,
        places: &RulePlaces,
        diagnostics: &mut Diagnostics,
    ) -> Vec<(&PathBuf, Coverage)> {
        let mut coverages = Vec::new();
        for file in &self.openapi {
            let base = self.base_path.as_deref();
            if let Some(document) = openapi::read(&Files::Disk, file, base, diagnostics) {
                let coverage = openapi::cover(&document, snapshot, places, diagnostics);
                coverages.push((file, coverage));
            }
        }
        coverages
    }
}
