//! The pages that the status page is made from, and the records as they come. The page itself is tried in a
//! browser (`tests/page`).

use crate::support::{
    DENIED, PERMITTED, READ, Server, Sidecar, ask, eventually, exchange, ok, permit, soon,
};
use portvakt::pdp::Scripted;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SETTINGS: &str = "control: { listen: '127.0.0.1:0', token: a-token-of-tests-0123456789 }\n";

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

async fn json(control: SocketAddr, path: &str) -> Value {
    let reply = exchange(control, &get(path)).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_str(&reply.text()).unwrap()
}

/// One who looks on.
struct Stream {
    socket: TcpStream,
    text: String,
}

impl Stream {
    /// Once the head of the answer has come: from then on nothing is missed.
    async fn open(control: SocketAddr, query: &str) -> Self {
        let mut socket = TcpStream::connect(control).await.unwrap();
        socket.write_all(&get(&format!("/records{query}"))).await.unwrap();
        let mut stream = Self { socket, text: String::new() };
        stream.until("\r\n\r\n").await;
        stream
    }

    /// Reads until this has come; `false` if the end came first.
    async fn until(&mut self, mark: &str) -> bool {
        self.read_while(mark, |text| !text.contains(mark)).await
    }

    async fn read_while(&mut self, what: &str, more: impl Fn(&str) -> bool) -> bool {
        let reading = async {
            while more(&self.text) {
                let mut bytes = [0; 4096];
                let count = self.socket.read(&mut bytes).await.unwrap();
                if count == 0 {
                    return false;
                }
                self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            true
        };
        soon(what, reading).await
    }

    fn records(&self) -> Vec<Value> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn call(sidecar: &Sidecar, organization: &str) -> u16 {
    let path = READ.replace(PERMITTED, organization);
    exchange(sidecar.traffic, ask("GET", &path).bearer().bytes()).await.status
}

#[tokio::test]
async fn what_is_in_force_and_what_was_counted_is_shown() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(SETTINGS).open().await;
    let control = sidecar.control.unwrap();
    assert_eq!((call(&sidecar, PERMITTED).await, call(&sidecar, DENIED).await), (200, 403));
    eventually("the records", || sidecar.records.all().len() == 2).await;
    let status = json(control, "/status").await;
    assert_eq!(status["ready"], true);
    let systems: Vec<_> = status["systems"].as_array().unwrap().iter().collect();
    let names: Vec<_> = systems.iter().map(|one| one["system"].as_str().unwrap()).collect();
    assert_eq!(names, ["keys", "maskinporten", "exchange", "pdp"]);
    assert!(systems.iter().all(|one| one["state"] == "unused"), "{systems:?}");
    assert_eq!(status["keys"][0]["keys"], 1);
    assert_eq!(status["config"]["generation"], 1);
    assert_eq!(status["requests"]["byCode"]["access-denied"], 1);
    assert_eq!(status["requests"]["inFlight"], 0);
    let latency = &status["latency"];
    let all = |name: &str| latency[name].as_array().unwrap().last().unwrap().as_u64();
    assert_eq!((all("requests"), all("authorize")), (Some(2), Some(2)));
    assert_eq!(status["selfCheck"], serde_json::json!([]));

    let rules = json(control, "/rules").await;
    let read =
        rules["rules"].as_array().unwrap().iter().find(|rule| rule["requests"]["forwarded"] != 0);
    let counts = &read.unwrap()["requests"];
    assert_eq!((&counts["forwarded"], &counts["refused"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn records_come_as_they_are_written_to_those_who_want_them() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(SETTINGS).open().await;
    let control = sidecar.control.unwrap();
    let mut all = Stream::open(control, "").await;
    let mut refused = Stream::open(control, "?outcome=refused").await;
    let mut about = Stream::open(control, &format!("?text={DENIED}")).await;
    assert!(all.text.contains("content-type: text/event-stream"), "{}", all.text);
    for organization in [PERMITTED, DENIED, PERMITTED] {
        call(&sidecar, organization).await;
    }
    for stream in [&mut refused, &mut about] {
        assert!(stream.until("access-denied").await);
        assert_eq!(stream.records().len(), 1);
    }
    assert!(all.read_while("three records", |text| text.matches("}\n\n").count() < 3).await);
    let written = sidecar.records.all();
    assert_eq!(all.records(), written, "as they are in the log");
    // The end of the process ends the streams: nothing is cut off.
    sidecar.end().await;
    assert!(!all.until("no such thing").await);
}

#[tokio::test]
async fn without_a_log_records_are_told_to_those_who_look_on() {
    let upstream = Server::start(ok());
    let settings = format!("{SETTINGS}log: {{ decisions: off }}\n");
    let sidecar = Sidecar::before(&upstream).settings(&settings).open().await;
    let mut stream = Stream::open(sidecar.control.unwrap(), "").await;
    call(&sidecar, PERMITTED).await;
    assert!(stream.until("forwarded").await);
}

#[tokio::test]
async fn so_many_look_on_and_who_leaves_makes_room() {
    let upstream = Server::start(ok());
    let point = Arc::new(Scripted::always(Ok(permit())));
    let sidecar = Sidecar::before(&upstream).settings(SETTINGS).point(point).open().await;
    let control = sidecar.control.unwrap();
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Stream::open(control, "").await);
    }
    let refused = exchange(control, &get("/records")).await;
    assert_eq!((refused.status, refused.text().contains("8 look on already")), (503, true));
    streams.clear();
    let looking = async {
        loop {
            let stream = Stream::open(control, "").await;
            if stream.text.starts_with("HTTP/1.1 200") {
                return stream;
            }
        }
    };
    let mut stream = soon("room", Box::pin(looking)).await;
    call(&sidecar, PERMITTED).await;
    assert!(stream.until("forwarded").await);
}

#[tokio::test]
async fn the_page_may_do_nothing_but_show_what_is_here() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(SETTINGS).open().await;
    let control = sidecar.control.unwrap();
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let reply = exchange(control, &get(path)).await;
        assert_eq!(
            (reply.status, reply.head.get("content-type")),
            (200, Some(media_type)),
            "{path}"
        );
        let policy = reply.head.get("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(reply.head.get("x-frame-options"), Some("DENY"));
        let text = reply.text();
        for other in ["http://", "https://", "//cdn"] {
            let namespace = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!namespace.contains(other), "{path} names {other}");
        }
    }
    // Neither on the other listeners, nor for pages of elsewhere.
    assert_eq!(exchange(sidecar.admin, ask("GET", "/status").bytes()).await.status, 404);
    for (line, status) in [("Host: api.example.no", 421), ("Host: localhost\r\nOrigin: null", 403)]
    {
        for path in ["/", "/status", "/rules", "/records"] {
            let request = format!("GET {path} HTTP/1.1\r\n{line}\r\n\r\n");
            assert_eq!(exchange(control, request.as_bytes()).await.status, status, "{path} {line}");
        }
    }
}
