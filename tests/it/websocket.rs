//! WebSockets: opened only where the rule says so and the API agrees, judged like any request, and ended
//! in time. Not a byte passes before both have agreed.

mod over_http2;

use crate::support::{
    Ask, Client, DENIED, Gate, PERMITTED, Script, Server, Setup, Sidecar, Step, always, ask,
    eventually, exchange, soon,
};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

const RULES: &str = r#"
api: it
rules:
  - id: events
    match: { method: GET, path: "/v1/orgs/{org}/events" }
    resource: r-read
    action: read
    party: path:org
    scopes: ["it:read"]
    upgrade: [websocket]
  - id: open
    match: { method: any, path: /open }
    protection: public
    upgrade: [websocket]
  - id: short
    match: { method: GET, path: /short }
    protection: public
    upgrade: { websocket: { max_duration: 100ms } }
  - id: idle
    match: { method: GET, path: /idle }
    protection: public
    upgrade: { websocket: { idle_timeout: 100ms } }
  - id: plain
    match: { method: any, path: /plain }
    protection: public
"#;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn before(upstream: &Server) -> Setup {
    Sidecar::before(upstream).rules(RULES)
}

async fn pair(script: Script) -> (Server, Sidecar) {
    let upstream = Server::start(script);
    let sidecar = before(&upstream).open().await;
    (upstream, sidecar)
}

/// A request for a WebSocket.
fn shake(target: &str) -> Ask {
    ask("GET", target)
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

fn events(org: &str) -> String {
    format!("/v1/orgs/{org}/events")
}

fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// `101` as it should be, and what comes right behind it.
fn agrees(key: &str, more: &str) -> Bytes {
    let accept = accept(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\nX-Api: 1\r\n\r\n{more}"
    )
    .into()
}

/// Agrees, and gives back what comes.
fn echo() -> Script {
    Arc::new(|asked| {
        let key = asked.head.get("sec-websocket-key").unwrap_or_default();
        vec![Step::Send(agrees(key, "")), Step::Echo]
    })
}

/// A client with an open WebSocket.
async fn opened(sidecar: &Sidecar, target: &str) -> Client {
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(shake(target).bytes()).await;
    assert!(client.head().await.unwrap().start.contains(" 101 "));
    client
}

fn end_of(record: &Value) -> (u64, &str, &str) {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    (record["status"].as_u64().unwrap_or_default(), text("outcome"), text("cause"))
}

async fn scrape(sidecar: &Sidecar) -> String {
    exchange(sidecar.admin, ask("GET", "/metrics").bytes()).await.text()
}

#[tokio::test]
async fn a_websocket_is_judged_like_any_request_and_then_carried() {
    let (upstream, sidecar) = pair(echo()).await;
    let mut client = Client::connect(sidecar.traffic).await;
    let asked = shake(&events(PERMITTED))
        .bearer()
        .header("Sec-WebSocket-Protocol", "chat, superchat")
        .header("Sec-WebSocket-Extensions", "permessage-deflate")
        .header("Origin", "https://example.no")
        .header("Portvakt-Party", "forged")
        .header("X-Forwarded-For", "203.0.113.9");
    client.send(asked.bytes()).await;
    let head = client.head().await.unwrap();
    assert!(head.start.starts_with("HTTP/1.1 101 "), "{}", head.start);
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", &accept(KEY)),
        ("sec-websocket-protocol", "chat"),
        ("x-api", "1"),
    ] {
        assert_eq!(head.get(name), Some(value), "{name}");
    }
    assert!(head.get("x-request-id").is_some());
    assert!(head.all("content-length").is_empty() && head.all("transfer-encoding").is_empty());
    let sent = upstream.last().head;
    assert_eq!(sent.start, format!("GET {} HTTP/1.1", events(PERMITTED)));
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("origin", "https://example.no"),
        ("host", "api.example.no"),
        ("x-forwarded-for", "127.0.0.1"),
        ("portvakt-rule", "events"),
        ("portvakt-resource", "r-read"),
    ] {
        assert_eq!(sent.get(name), Some(value), "{name}");
    }
    assert!(sent.get("portvakt-party").unwrap().ends_with(PERMITTED));
    for part in ["hello", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "again"] {
        client.send(part).await;
        assert_eq!(client.bytes(part.len()).await, part);
    }
    assert!(sidecar.records.all().is_empty(), "the record is written at the end");
    assert!(scrape(&sidecar).await.contains("portvakt_web_sockets_open 1\n"));
    drop(client);
    let records = sidecar.records.when(1).await;
    assert_eq!(end_of(&records[0]), (101, "forwarded", ""));
    assert_eq!(records[0]["rule"], "events");
    assert!(scrape(&sidecar).await.contains("portvakt_web_sockets_open 0\n"));
    eventually("the end of both connections", || upstream.ended() == 1).await;
    sidecar.end().await;
}

#[tokio::test]
async fn a_large_message_passes_both_ways() {
    let (_upstream, sidecar) = pair(echo()).await;
    let client = opened(&sidecar, "/open").await;
    let (mut reading, mut writing) = client.split();
    let sent = "0123456789abcdef".repeat(256 * 1024);
    let ((), received) = tokio::join!(writing.send(&sent), reading.bytes(sent.len()));
    assert!(received == sent, "the bytes changed");
}

#[tokio::test]
async fn what_the_api_says_right_behind_its_answer_arrives() {
    let steps = vec![Step::Send(agrees(KEY, "first")), Step::Echo];
    let (_upstream, sidecar) = pair(always(steps)).await;
    let mut client = opened(&sidecar, "/open").await;
    assert_eq!(client.bytes(5).await, "first");
    client.send("second").await;
    assert_eq!(client.bytes(6).await, "second");
}

#[tokio::test]
async fn nothing_passes_before_the_api_has_agreed() {
    let gate = Gate::default();
    let steps = vec![Step::Wait(gate.clone()), Step::Send(agrees(KEY, "")), Step::Echo];
    let (upstream, sidecar) = pair(always(steps)).await;
    let mut client = Client::connect(sidecar.traffic).await;
    let early = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send([shake("/open").bytes(), early.into()].concat()).await;
    eventually("the request", || upstream.count() == 1).await;
    gate.open();
    assert!(client.head().await.unwrap().start.contains(" 101 "));
    assert_eq!(client.bytes(early.len()).await, early, "it belongs to the WebSocket");
    assert_eq!(upstream.count(), 1);
}

/// Case 55 of the catalogue of attacks.
#[tokio::test]
async fn without_a_tunnel_what_came_early_is_neither_sent_nor_read() {
    let gate = Gate::default();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 14\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let steps = vec![Step::Wait(gate.clone()), Step::Send(answer.into()), Step::Echo];
        let (upstream, sidecar) = pair(always(steps)).await;
        let mut client = Client::connect(sidecar.traffic).await;
        let early = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send([shake("/open").bytes(), early.into()].concat()).await;
        eventually("the request", || upstream.count() == 1).await;
        gate.open();
        let reply = client.reply().await;
        assert_eq!(format!("HTTP/1.1 {}", reply.status), answer[..12], "{answer}");
        assert_eq!((reply.text(), reply.head.get("connection")), ("ok".to_owned(), Some("close")));
        assert_eq!(client.rest().await, "", "{answer}");
        eventually("the end", || upstream.ended() == 1).await;
        assert_eq!((upstream.count(), upstream.last().body.is_none()), (1, true), "{answer}");
        sidecar.end().await;
    }
}

#[tokio::test]
async fn an_api_that_agrees_to_something_else_is_not_believed() {
    let good = String::from_utf8(agrees(KEY, "evil").to_vec()).unwrap();
    for (name, answer) in [
        ("another digest", good.replace(&accept(KEY), &accept("x"))),
        ("no digest", good.replace("Sec-WebSocket-Accept", "X-Accept")),
        ("another protocol", good.replace("Upgrade: websocket", "Upgrade: h2c")),
        ("two protocols", good.replace("Upgrade: websocket", "Upgrade: websocket, h2c")),
        ("no protocol", good.replace("Upgrade: websocket\r\n", "")),
        ("no connection line", good.replace("Connection: Upgrade\r\n", "")),
    ] {
        let steps = vec![Step::Send(answer.into()), Step::Echo];
        let (upstream, sidecar) = pair(always(steps)).await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send([shake("/open").bytes(), b"early".to_vec()].concat()).await;
        assert_eq!(client.reply().await.verdict(), "502 upstream-protocol-error", "{name}");
        assert_eq!(client.rest().await, "", "{name}");
        eventually("the end", || upstream.ended() == 1).await;
        assert!(upstream.last().body.is_none(), "{name}");
        sidecar.end().await;
    }
}

#[tokio::test]
async fn an_api_that_leaves_before_it_answers_is_asked_only_once() {
    let (upstream, sidecar) = pair(always(vec![Step::Close])).await;
    let reply = exchange(sidecar.traffic, shake("/open").bytes()).await;
    assert_eq!((reply.verdict(), upstream.count()), ("502 upstream-unreachable".to_owned(), 1));
}

/// Case 56, and every protocol but one.
#[tokio::test]
async fn where_no_websocket_is_granted_the_request_is_an_ordinary_one() {
    let (upstream, sidecar) = pair(crate::support::ok()).await;
    let h2c = ask("GET", "/open")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA");
    let other = ask("GET", "/open").header("Connection", "upgrade").header("Upgrade", "tls/1.0");
    let silent = ask("GET", "/open").header("Upgrade", "websocket");
    for (name, asked) in [
        ("the rule says nothing", shake("/plain")),
        ("h2c", h2c),
        ("another protocol", other),
        ("no connection line", silent),
    ] {
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "ok"), "{name}");
        let sent = upstream.last().head;
        let words = |line: &str| matches!(line, "connection" | "upgrade" | "http2-settings");
        assert!(sent.names(words).is_empty(), "{name}: {:?}", sent.lines);
    }
}

#[tokio::test]
async fn half_a_handshake_is_refused_and_never_forwarded() {
    let (upstream, sidecar) = pair(echo()).await;
    let whole = String::from_utf8(shake("/open").bytes()).unwrap();
    let version = "Sec-WebSocket-Version: 13\r\n";
    let twice = format!("{version}Sec-WebSocket-Key: {KEY}\r\n");
    let several = "Upgrade: h2c\r\nUpgrade: websocket";
    for (name, bytes) in [
        ("a list of protocols", whole.replace(": websocket\r", ": websocket, h2c\r")),
        ("two protocols", whole.replace("Upgrade: websocket", several)),
        ("no key", whole.replace("Sec-WebSocket-Key", "X-Key")),
        ("a short key", whole.replace(KEY, "c2hvcnQ=")),
        ("two keys", whole.replace(version, &twice)),
        ("no version", whole.replace(version, "")),
        ("another method", whole.replace("GET ", "POST ")),
        ("a body", whole.replace("Host:", "Content-Length: 2\r\nHost:") + "ab"),
    ] {
        assert_ne!(bytes, whole, "{name}");
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(&bytes).await;
        let reply = client.reply().await;
        assert_eq!(reply.verdict(), "400 malformed-request", "{name}");
        assert_eq!(
            (reply.head.get("connection"), client.rest().await.as_str()),
            (Some("close"), "")
        );
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_refused_websocket_never_reaches_the_api() {
    let (upstream, sidecar) = pair(echo()).await;
    for (verdict, asked) in [
        ("401 token-missing", shake(&events(PERMITTED))),
        ("401 token-malformed", shake(&events(PERMITTED)).token("x")),
        ("403 access-denied", shake(&events(DENIED)).bearer()),
        ("400 party-invalid", shake(&events("1")).bearer()),
        ("404 route-unknown", shake("/nowhere").bearer()),
    ] {
        let mut client = Client::connect(sidecar.traffic).await;
        client.send([asked.bytes(), b"early".to_vec()].concat()).await;
        let reply = client.reply().await;
        assert_eq!((reply.verdict().as_str(), client.rest().await.as_str()), (verdict, ""));
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_other_side() {
    let (upstream, sidecar) = pair(echo()).await;
    let client = opened(&sidecar, "/open").await;
    drop(client);
    eventually("the end of the API's side", || upstream.ended() == 1).await;
    sidecar.records.when(1).await;
}

#[tokio::test]
async fn an_api_that_vanishes_ends_the_other_side() {
    let gate = Gate::default();
    let steps = vec![Step::Send(agrees(KEY, "")), Step::Wait(gate.clone()), Step::Close];
    let (_upstream, sidecar) = pair(always(steps)).await;
    let mut client = opened(&sidecar, "/open").await;
    gate.open();
    assert_eq!(client.rest().await, "");
    drop(client);
    sidecar.records.when(1).await;
}

#[tokio::test]
async fn a_websocket_ends_in_time() {
    for (target, cause) in [
        ("/short", "the WebSocket was open for as long as the rule lets it"),
        ("/idle", "the WebSocket was idle for too long"),
    ] {
        let (upstream, sidecar) = pair(echo()).await;
        let mut client = opened(&sidecar, target).await;
        assert_eq!(client.rest().await, "");
        eventually("the end of the API's side", || upstream.ended() == 1).await;
        let records = sidecar.records.when(1).await;
        assert_eq!(end_of(&records[0]), (101, "aborted", cause));
    }
}

#[tokio::test]
async fn a_websocket_runs_until_the_grace_is_over_and_is_still_recorded() {
    let upstream = Server::start(echo());
    let settings = "shutdown: { wait: 0s, grace: 3s }\n";
    let sidecar = before(&upstream).settings(settings).open().await;
    let mut client = opened(&sidecar, "/open").await;
    let records = sidecar.records.clone();
    let traffic = sidecar.traffic;
    let closing = sidecar.close();
    let talking = async {
        // It still carries while the process no longer takes connections.
        while tokio::net::TcpStream::connect(traffic).await.is_ok() {
            tokio::task::yield_now().await;
        }
        client.send("still here").await;
        assert_eq!(client.bytes(10).await, "still here");
        client.rest().await
    };
    let (ended, rest) = soon("the end", async { tokio::join!(closing, talking) }).await;
    assert_eq!((ended, rest.as_str()), (false, ""));
    let records = records.when(1).await;
    let cause = "the WebSocket was cut off by the end of the process";
    assert_eq!(end_of(&records[0]), (101, "aborted", cause));
}

#[tokio::test]
async fn a_websocket_that_is_closed_in_time_ends_the_drain() {
    let upstream = Server::start(echo());
    let settings = "shutdown: { wait: 0s, grace: 60s }\n";
    let sidecar = before(&upstream).settings(settings).open().await;
    let client = opened(&sidecar, "/open").await;
    let traffic = sidecar.traffic;
    let closing = sidecar.close();
    let leaving = async {
        while tokio::net::TcpStream::connect(traffic).await.is_ok() {
            tokio::task::yield_now().await;
        }
        drop(client);
    };
    let (ended, ()) = soon("the end", async { tokio::join!(closing, leaving) }).await;
    assert!(ended);
}
