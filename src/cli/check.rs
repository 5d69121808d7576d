//! `portvakt check`: every problem at once, and what each rule amounts to.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, FormatArgs};
use crate::config::{self, Environment, Files, Inputs, Overrides, Report, Runtime};
use crate::domain::SystemClock;
use crate::tasks::Tasks;
use clap::Args;
use std::sync::Arc;

/// Reads configuration, rules and policies as `serve` would, touches no network, and reports. Exits with
/// 1 if there is an error.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    format: FormatArgs,
}

impl Check {
    pub(super) fn run(self) -> Exit {
        let inputs = Inputs {
            config: self.config.config,
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: Overrides::default(),
        };
        let runtime = Runtime { tasks: Tasks::new(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        let report = outcome.compiled.as_ref().map(|compiled| Report::of(&compiled.snapshot));
        match self.format.format {
            Format::Human => {
                console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
                if let Some(report) = report {
                    console::data(&report.to_human());
                }
            }
            Format::Json => {
                console::data(&outcome.diagnostics.to_json_lines());
                if let Some(report) = report {
                    console::data(&format!("{}\n", report.to_json()));
                }
            }
        }
        if outcome.diagnostics.has_errors() { Exit::Found } else { Exit::Ok }
    }
}
