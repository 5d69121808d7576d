//! The program itself in a process of its own, as an operator runs it: with its own allocator, settings in
//! files, and decision records on a pipe that is read. It has a core to itself where there are two.

use crate::cores::Cores;
use crate::harness::Report;
use crate::usage::Process;
use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The word by which a process learns that it is to end another, with that one's id.
const GUARD: &str = "program-guard";
/// The file that the program is started with.
pub(crate) const SETTINGS: &str = "portvakt.yaml";

/// A running proxy; dropping it ends its process and removes its files.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    // Dropped in this order.
    _guard: Guard,
    _running: Running,
}

impl Program {
    /// Starts one with these files, and waits until it listens.
    pub(crate) async fn start(cores: &Cores, files: &[(String, String)]) -> Self {
        let folder = std::env::temp_dir().join(format!("portvakt-cost-{}", Uuid::new_v4()));
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut child = cores
            .command(env!("CARGO_BIN_EXE_portvakt"))
            .args(["serve", "--config"])
            .arg(folder.join(SETTINGS))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (records, talk) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let running = Running { child, folder };
        let process = Process(running.child.id());
        let guard = Guard::over(process);
        // Both threads end with the process.
        std::thread::spawn(move || {
            let _ = std::io::copy(
                &mut BufReader::with_capacity(1 << 16, records),
                &mut std::io::sink(),
            );
        });
        let (says, said) = oneshot::channel();
        std::thread::spawn(move || {
            let mut talk = BufReader::new(talk);
            let _ = says.send(listening(&mut talk));
            let _ = std::io::copy(&mut talk, &mut std::io::sink());
        });
        let address =
            said.await.unwrap().unwrap_or_else(|said| panic!("it does not start: {said}"));
        Self { address, process, _guard: guard, _running: running }
    }
}

/// The first address of traffic, in the line that says that it serves; else all that was said.
fn listening(talk: &mut impl BufRead) -> Result<SocketAddr, String> {
    let mut said = String::new();
    loop {
        let before = said.len();
        if talk.read_line(&mut said).unwrap_or_default() == 0 {
            return Err(said);
        }
        let line = said.get(before..).unwrap_or_default();
        if let Some((_, traffic)) = line.split_once("traffic")
            && let Some((_, port)) = traffic.split_once("127.0.0.1:")
        {
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            return format!("127.0.0.1:{port}").parse().map_err(|_| said);
        }
    }
}

struct Running {
    child: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ends the program should this process end without a word: nothing else would, since a proxy does not care
/// who started it.
struct Guard {
    child: Child,
    // Its end of the pipe tells the child that this process is gone.
    _leash: ChildStdin,
}

impl Guard {
    fn over(process: Process) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own)
            .arg(format!("{GUARD}={}", process.0))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let leash = child.stdin.take().unwrap();
        Self { child, _leash: leash }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before the program: its id is soon another's.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is to be a guard; then it is one until its starter ends or has no more use for it.
pub(crate) fn is_guard(report: &Report) -> bool {
    let Some(process) = report.number(GUARD) else { return false };
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    let _ = Command::new("kill").arg(process.to_string()).status();
    true
}
