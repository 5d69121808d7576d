//! `portvakt serve`: the proxy itself.

use super::console::{self, Exit, Format};
use super::{ConfigArgs, log, runtime};
use crate::config::{
    self, DecisionLog, Environment, Files, Flag, Inputs, LogSettings, RecordSchema, Runtime,
};
use crate::domain::SystemClock;
use crate::record::{self, RecordSink, RotatingFile, Rotation};
use crate::server::{Gate, StopSignal, reload_signal};
use crate::tasks::Tasks;
use clap::Args;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Runs until it is told to stop by SIGTERM or Ctrl-C; then drains and exits with 0. Changed files are put in force
/// while it runs, and read again on SIGHUP.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// How the log is written, and what is wrong with the configuration; without it as `log.format` says.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Serve {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.serve())
    }

    async fn serve(self) -> Exit {
        // Before anything takes its time.
        let (hangup, mut stop) = match (reload_signal(), StopSignal::new()) {
            (Ok(hangup), Ok(stop)) => (hangup, stop),
            (Err(fault), _) | (_, Err(fault)) => return console::failed(&fault),
        };
        let tasks = Tasks::new();
        let word = |format| match format {
            Format::Human => "human".to_owned(),
            Format::Json => "json".to_owned(),
        };
        let flag = |value| Flag { name: "--format", key: "log.format", value };
        let inputs = Inputs {
            config: self.config.config,
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: self.format.map(word).map(flag).into_iter().collect(),
            overrides: config::Overrides::default(),
        };
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        let (outcome, notes) = config::compile_steady(&inputs, None, &runtime);
        let Some(outcome) = outcome else {
            return console::failed(&"the files change while they are read");
        };
        if !outcome.diagnostics.is_empty() {
            console::talk(&match self.format {
                Some(Format::Json) => outcome.diagnostics.to_json_lines(),
                Some(Format::Human) | None => outcome.diagnostics.to_human(console::talk_colour()),
            });
        }
        let Some(compiled) = outcome.compiled else { return Exit::Usage };
        log::start(compiled.log.format, compiled.log.level);
        let sink = match sink(&compiled.log) {
            Ok(sink) => sink,
            Err(fault) => return console::failed(&fault),
        };
        let pdp = compiled.snapshot.decisions.identity().to_owned();
        let gate = match Gate::open(compiled.clone(), sink, tasks.clone()).await {
            Ok(gate) => gate,
            Err(fault) => return console::failed(&fault),
        };
        let network = gate.control().map(|address| address.to_string());
        let configured = compiled.control.as_ref().map(|control| control.listen.to_string());
        let control = network.or(configured);
        let reloader = gate.reloader(compiled, inputs, notes, runtime);
        reloader.follow(hangup);
        let (traffic, admin) = (listed(gate.listening()), listed(gate.admin()));
        tracing::info!(pdp, traffic, admin, control, "serving");
        stop.told().await;
        gate.close().await;
        Exit::Ok
    }
}

fn listed(addresses: &[impl ToString]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn sink(log: &LogSettings) -> Result<RecordSink, String> {
    let output: Box<dyn Write + Send> = match &log.decisions {
        DecisionLog::Off => return Ok(RecordSink::Off),
        DecisionLog::Stdout => Box::new(std::io::stdout()),
        DecisionLog::File(path, rotation) => file(path, *rotation).map_err(|fault| {
            format!(
                "cannot write decision records to `{}`: {fault}\n  = help: mount a volume there that \
                 the process may write to, or write `log.decisions: stdout`",
                path.display()
            )
        })?,
    };
    Ok(match log.record_schema {
        RecordSchema::Portvakt => RecordSink::To(output),
        RecordSchema::Ecs => RecordSink::Ecs(output),
    })
}

fn file(path: &Path, rotation: Option<Rotation>) -> std::io::Result<Box<dyn Write + Send>> {
    Ok(match rotation {
        Some(rotation) => Box::new(RotatingFile::open(path.to_owned(), rotation)?),
        None => Box::new(record::append(path)?),
    })
}
