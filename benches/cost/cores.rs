//! Which core is whose: a proxy that is measured has one, and whoever asks it has the others, so that
//! neither waits for the other's turn.

use std::fmt;
use std::process::{Command, Stdio};

/// The sharing of the cores, for as long as this lives; then this process has all of its own back.
pub(crate) struct Cores {
    /// What this process might use before.
    all: String,
    /// The proxy's, where there are two and a program to tell them apart by.
    proxy: Option<u32>,
}

impl Cores {
    /// Moves this process, with all its threads, off the first core it may use.
    pub(crate) fn share() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let all = list.unwrap().trim().to_owned();
        let cores = listed(&all);
        let proxy = cores.split_first().and_then(|(first, others)| {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            (!others.is_empty() && move_to(&others.join(","))).then_some(*first)
        });
        Self { all, proxy }
    }

    /// Begins a command that runs a program on the proxy's core, under the id that the command has.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Some(core) = self.proxy else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string(), program]);
        command
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.proxy {
            Some(core) => write!(f, "the proxy has core {core} to itself"),
            None => f.write_str("the proxy shares all cores with its callers: there is no `taskset` or no second core"),
        }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        if self.proxy.is_some() {
            move_to(&self.all);
        }
    }
}

/// `false` if that cannot be done here.
fn move_to(cores: &str) -> bool {
    let own = std::process::id().to_string();
    Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", cores, &own])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The numbers in a list such as `0-2,5`.
fn listed(list: &str) -> Vec<u32> {
    let span = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse().unwrap()..=last.parse().unwrap()
    };
    list.split(',').flat_map(span).collect()
}
