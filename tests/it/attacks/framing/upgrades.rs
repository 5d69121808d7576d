//! Cases 55 and 56: upgrades.

use super::SMUGGLED;
use crate::attacks::{Arrival, Ground, Want, case};
use crate::support::{Client, Gate, READ, Step, always, ask, eventually};

const WEBSOCKET: &str = "GET /v1/socket HTTP/1.1\r\nHost: api.example.no\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Case 55: what a client sends behind an upgrade stays here until the API has agreed to it.
#[tokio::test]
async fn early_data_of_an_upgrade_waits_for_the_agreement() {
    let rules = "
  - id: socket
    match: { method: GET, path: /v1/socket }
    protection: public
    upgrade: [websocket]
";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for (name, status) in [
        ("200", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ("403", "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
        ("426", "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n"),
    ] {
        for early in ["\u{1}\u{5}early", SMUGGLED] {
            let mut ground = Ground::new(rules, "").await;
            ground.api.play(always(vec![Step::ReadBody, Step::Send(status.into())]));
            let mut client = Client::connect(ground.sidecar.traffic).await;
            client.send(format!("{WEBSOCKET}\r\n{early}")).await;
            assert_eq!(client.reply().await.status.to_string(), name);
            // It was meant for another protocol: not even a whole request among it is read as one.
            assert_eq!(client.rest().await, "");
            assert_eq!(ground.arrived().len(), 1);
        }
    }
    // Until the API agrees, not one byte of what follows; afterwards every byte.
    let ground = Ground::new(rules, "").await;
    let gate = Gate::default();
    ground.api.play(always(vec![
        Step::Wait(gate.clone()),
        Step::Send(switching.into()),
        Step::Hold,
    ]));
    let mut client = Client::connect(ground.sidecar.traffic).await;
    client.send(format!("{WEBSOCKET}\r\nearly")).await;
    eventually("the request", || ground.api.count() == 1).await;
    let so_far = || ground.api.transcripts().concat();
    assert!(so_far().ends_with(b"\r\n\r\n"), "{}", so_far().escape_ascii());
    gate.open();
    assert!(client.head().await.unwrap().start.starts_with("HTTP/1.1 101"));
    eventually("the early bytes", || so_far().ends_with(b"\r\n\r\nearly")).await;
}

#[tokio::test]
async fn an_upgrade_that_no_rule_allows_is_an_ordinary_request() {
    let start = "GET /public/x HTTP/1.1";
    let arrives = || Arrival::public("public", start);
    let with = |lines: &str| format!("{start}\r\nHost: api.example.no\r\n{lines}\r\n").into_bytes();
    let h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let mut cases = vec![case(
        55,
        "websocket",
        {
            WEBSOCKET
                .replace("/v1/socket", "/public/x")
                .into_bytes()
                .into_iter()
                .chain(*b"\r\n")
                .collect::<Vec<u8>>()
        },
        arrives()
            .line("sec-websocket-version: 13")
            .line("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="),
    )];
    for (name, lines) in [
        ("as curl asks", format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}")),
        ("without Connection", h2c.to_owned()),
        ("in another case", format!("connection: upgrade\r\n{}", h2c.replace("h2c", "H2C"))),
        (
            "beside websocket",
            format!("Connection: Upgrade\r\n{}", h2c.replace("h2c", "websocket, h2c")),
        ),
        ("in two lines", format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{h2c}")),
        ("without settings", "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned()),
        (
            "two settings",
            format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}HTTP2-Settings: x\r\n"),
        ),
        ("of TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned()),
        ("of HTTP/2", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n".to_owned()),
    ] {
        cases.push(case(56, name, with(&lines), arrives()));
    }
    let body = format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}Content-Length: 5\r\n");
    cases.push(case(
        56,
        "with a body",
        [with(&body), b"hello".to_vec()].concat(),
        arrives().body("hello"),
    ));
    let denied =
        ask("GET", READ).header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c");
    cases.push(case(56, "on a refusal", denied.bytes(), Want::Refused(401, "token-missing")));
    Ground::plain().await.play(cases).await;
}
