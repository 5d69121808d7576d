//! `portvakt drain`: has a proxy of the same container leave, for `preStop` of Kubernetes.
//!
//! A native sidecar gets its SIGTERM only when the API has ended. Whoever keeps a connection is to be told before.

use super::FormatArgs;
use super::console::{self, Exit, Format};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Sends SIGTERM to the proxy: it is unready at once, serves on for `shutdown.wait`, and then ends connections after the exchange
/// they are in. Does not wait for that.
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// The proxy's process; in a container of its own it is the first.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
    #[command(flatten)]
    format: FormatArgs,
}

impl Drain {
    pub(super) fn run(self) -> Exit {
        // Of one that was replaced since it began the name says so.
        let program = |process: &str| {
            let path = std::fs::read_link(format!("/proc/{process}/exe"))?;
            let name = path.to_string_lossy();
            Ok::<_, std::io::Error>(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
        };
        match (program("self"), program(&self.pid.to_string())) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {}
            (Ok(_), Ok(_)) => {
                return console::misused(&format!("process {} is another program", self.pid));
            }
            (_, Err(fault)) | (Err(fault), _) => {
                return console::failed(&format!("cannot look at process {}: {fault}", self.pid));
            }
        }
        let told = Pid::from_raw(self.pid).map(|pid| kill_process(pid, Signal::Term));
        match told {
            Some(Ok(())) => {
                match self.format.format {
                    Format::Human => {}
                    Format::Json => console::data(&format!("{}\n", json!({ "told": self.pid }))),
                }
                Exit::Ok
            }
            Some(Err(fault)) => {
                console::failed(&format!("cannot signal process {}: {fault}", self.pid))
            }
            None => console::misused(&"there is no such process"),
        }
    }
}
