//! The proxy, in this process, with its sockets and its decision records.

use crate::bugs::{Bug, Buggy, Loses};
use crate::oracle::{Oracle, Violation};
use crate::truth;
use portvakt::config::{self, Compiled, Files, Inputs, Overrides, Runtime};
use portvakt::domain::SystemClock;
use portvakt::pdp::DecisionPoint;
use portvakt::record::RecordSink;
use portvakt::server;
use portvakt::tasks::Tasks;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Made for this test; it opens nothing.
pub(crate) const CONTROL_TOKEN: &str = "a-token-of-the-soak-0123456789";
/// Tasks that may come and go beside those of the beginning: a renewal, a fetch.
const SPARE_TASKS: usize = 8;

pub(crate) struct Gate {
    pub(crate) traffic: SocketAddr,
    pub(crate) control: SocketAddr,
    serving: server::Gate,
    tasks: Tasks,
    /// How many tasks ran before the first caller came.
    at_rest: usize,
}

pub(crate) async fn open(
    world: &str,
    api: SocketAddr,
    oracle: &Arc<Oracle>,
    bug: Option<Bug>,
) -> Gate {
    let max_entries = if bug == Some(Bug::Forgetful) { 0 } else { 100_000 };
    let base = format!(
        "environment: custom
server: {{ listen: [\"127.0.0.1:0\"] }}
admin: {{ listen: \"127.0.0.1:0\" }}
control: {{ listen: \"127.0.0.1:0\", token: {CONTROL_TOKEN} }}
shutdown: {{ wait: 0s, grace: 10s }}
upstream: {{ url: \"http://{api}\" }}
cache: {{ permit_ttl: 6s, deny_ttl: 500ms, max_entries: {max_entries} }}
identifiers: {{ check_digits: strict }}
policies: policies
"
    );
    let brief = if bug == Some(Bug::Stale) { "20s" } else { "2s" };
    let rules = truth::RULES.replace("BRIEF", brief);
    let tasks = Tasks::new();
    let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
    let compile = |point: Option<Arc<dyn DecisionPoint>>| -> Compiled {
        let inputs = Inputs {
            config: vec!["base.yaml".into(), "world.yaml".into()],
            files: Files::memory([
                ("base.yaml", base.clone()),
                ("world.yaml", world.to_owned()),
                ("policies/routes/soak.yaml", rules.clone()),
            ]),
            overrides: Overrides { point, ..Overrides::default() },
            ..Inputs::default()
        };
        let outcome = config::compile(&inputs, None, &runtime);
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        outcome.compiled.unwrap_or_else(|| panic!("{said}"))
    };
    let mut compiled = compile(None);
    if let Some(bug) = bug.filter(|bug| bug.is_of_the_point()) {
        let real = Arc::clone(&compiled.snapshot.decisions);
        compiled = compile(Some(Arc::new(Buggy::new(bug, real))));
    }
    let records = Records { oracle: Arc::clone(oracle), line: Vec::new() };
    let sink: Box<dyn Write + Send> = match bug {
        Some(Bug::LostRecord) => {
            Box::new(Loses { to: records, one_in: 500, seen: 0, line: Vec::new() })
        }
        _ => Box::new(records),
    };
    let gate = server::Gate::open(compiled, RecordSink::To(sink), tasks.clone()).await.unwrap();
    // The first credential is on its way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (traffic, control) = (gate.traffic()[0], gate.control().unwrap());
    let at_rest = tasks.running();
    Gate { traffic, control, serving: gate, tasks, at_rest }
}

impl Gate {
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.running()
    }

    /// Ends it, after what its callers left behind has ended.
    pub(crate) async fn end(self) -> Result<(), Violation> {
        let (mut left, most) = (0, self.at_rest + SPARE_TASKS);
        for _ in 0..100 {
            left = self.tasks.running();
            if left <= most {
                let drained = self.serving.close().await;
                let what = format!("{} tasks outlasted the grace", self.tasks.running());
                return if drained { Ok(()) } else { Err(Violation::new("drain", &what)) };
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let what = format!("{left} tasks run without callers; {} before them", self.at_rest);
        Err(Violation::new("tasks", &what))
    }
}

/// Hands every decision record to the oracle.
struct Records {
    oracle: Arc<Oracle>,
    line: Vec<u8>,
}

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(part);
            if part.ends_with(b"\n") {
                self.oracle.recorded(&serde_json::from_slice(&self.line).unwrap());
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
