//! What floods cost in memory, measured where nothing else lives: in a process of their own.

use super::http2::{bomb, endless, parties, silent};
use crate::support::frames::{Frame, Frames, bearer, block, request};
use crate::support::{Client, ISSUER, READ, RULES, ask, eventually, exchange, jwks, soon};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How much more memory a process may have needed at its worst than at rest. A container for it has 64 MiB.
const MAX_GROWTH_KIB: u64 = 32 * 1024;

/// `portvakt serve`, and its folder; both go with their owner.
struct Process {
    child: Child,
    folder: PathBuf,
    traffic: SocketAddr,
}

impl Process {
    async fn start(upstream: SocketAddr, pdp: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portvakt-it-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(folder.join("policies/routes")).unwrap();
        std::fs::write(folder.join("policies/routes/it.yaml"), RULES).unwrap();
        std::fs::write(folder.join("keys.json"), jwks()).unwrap();
        let config = format!(
            "environment: custom
server: {{ listen: [\"127.0.0.1:0\"] }}
admin: {{ listen: \"127.0.0.1:0\" }}
upstream: {{ url: \"http://{upstream}\" }}
pdp: {{ url: \"{pdp}\", timeout: 20s, credential: {{ none: true }} }}
tokens: {{ issuers: [{{ kind: maskinporten, issuer: \"{ISSUER}\", jwks_file: keys.json }}] }}
policies: policies
log: {{ decisions: \"off\" }}
"
        );
        std::fs::write(folder.join("config.yaml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["serve", "--config"])
            .arg(folder.join("config.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let talk = BufReader::new(child.stderr.take().unwrap());
        // Ends with the process; what it says later must not fill the pipe.
        let (says, said) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut says = Some(says);
            for line in talk.lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line)
                    && let Some(says) = says.take()
                {
                    let _ = says.send(address);
                }
            }
        });
        let traffic = soon("the process", said).await.unwrap();
        Self { child, folder, traffic }
    }

    /// The most memory it has had so far, in KiB.
    fn peak(&self) -> u64 {
        let file = Path::new("/proc").join(self.child.id().to_string()).join("status");
        let status = std::fs::read_to_string(file).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The first address of traffic, in the line that says that it serves.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("traffic")?.1.split_once("127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}").parse().ok()
}

/// Cases 58, 59: floods one beside the other, and clients that hold on to what they can.
#[tokio::test]
async fn what_floods_cost_is_bounded() {
    let (upstream, _taken, _api) = endless().await;
    let pdp = silent();
    let process = Process::start(upstream, &pdp.url()).await;
    let address = process.traffic;
    let reply = exchange(address, ask("GET", READ).bytes()).await;
    assert_eq!(reply.verdict(), "401 token-missing");
    let rest = process.peak();
    let token = bearer();
    let parties = parties(8);

    // Held to the end: heads that never come whole, and answers that nobody takes.
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(address).await;
        let line = format!("X-A: {}\r\n", "a".repeat(8000));
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}", line.repeat(7))).await;
        held.push(client);
    }
    let mut holding = Vec::new();
    for _ in 0..4 {
        let mut client = Frames::connect(address).await;
        client.send(&Frame::settings(&[(4, 0)])).await;
        for number in 0..20 {
            client.request(2 * number + 1, &request("GET", "/public/large", &[])).await;
        }
        holding.push(client);
    }

    let json = [("authorization", token.as_str()), ("content-type", "application/json")];
    for (number, party) in parties.iter().enumerate() {
        let mut client = Frames::connect(address).await;
        let target = format!("/v1/orgs/{party}/reports");
        client.send(&Frame::headers(1, &request("PUT", &target, &json))).await;
        eventually("the question", || pdp.count() > number).await;
        let many = Frame::data(1, "").bytes().repeat(10_000);
        for _ in 0..100 {
            if !client.raw(&many).await {
                break;
            }
        }
    }
    for _ in 0..50 {
        let mut client = Frames::connect(address).await;
        for frame in bomb("/public/x", 100_000) {
            client.send(&frame).await;
        }
        holding.push(client);
    }
    for _ in 0..4 {
        let mut client = Frames::connect(address).await;
        let head = block(&request("GET", "/public/x", &[]));
        client.send(&Frame::new(1, 0, 1, head)).await;
        let line = block(&[("x-a", &"a".repeat(16_000))]);
        for _ in 0..100 {
            client.send(&Frame::new(9, 0, 1, line.clone())).await;
        }
        holding.push(client);
        let mut client = Frames::connect(address).await;
        for number in 0..2000 {
            let stream = 2 * number + 1;
            client.request(stream, &request("GET", "/public/x", &[])).await;
            client.send(&Frame::reset(stream, 8)).await;
        }
        holding.push(client);
    }
    let reply = exchange(address, ask("GET", READ).bytes()).await;
    assert_eq!(reply.verdict(), "401 token-missing", "others are served");
    let growth = process.peak() - rest;
    assert!(growth < MAX_GROWTH_KIB, "{growth} KiB more than {rest} at rest");
}
