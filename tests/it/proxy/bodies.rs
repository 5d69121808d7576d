//! Bodies of requests: unchanged, bounded, and asked for only when they are wanted.

use super::pair;
use crate::support::{
    Client, DENIED, Gate, READ, Server, Sidecar, Step, WRITE, always, ask, eventually, exchange,
    ok, permits,
};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn the_bytes_that_were_judged_are_the_bytes_that_are_sent() {
    let (upstream, sidecar) = pair().await;
    for body in [
        r#"{"orgnr":"312714051"}"#,
        "\r\n\t {  \"x\" : 1.0e0, \"orgnr\":\t\"312714051\" , \"\\u0061\":[ ] } \r\n\t ",
        "{\"orgnr\":\"0192:312714051\",\"æ\":\"\\ud83d\\ude00 😀\"}\n\n",
    ] {
        let asked = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
        let whole = asked.clone().body(body.as_bytes());
        assert_eq!(exchange(sidecar.traffic, whole.bytes()).await.status, 200, "{body}");
        assert_eq!(upstream.last().body.unwrap().bytes, body.as_bytes());
        let chunked = asked.chunked(body.as_bytes(), "");
        assert_eq!(exchange(sidecar.traffic, chunked.bytes()).await.status, 200, "{body}");
        let seen = upstream.last();
        assert_eq!(seen.body.unwrap().bytes, body.as_bytes());
        // Known by now, and stated once in one way.
        assert_eq!(seen.head.all("content-length"), [body.len().to_string()]);
        assert!(seen.head.all("transfer-encoding").is_empty());
    }
}

#[tokio::test]
async fn a_large_body_streams_in_both_directions() {
    const LARGE: usize = 8 << 20;
    let large: Vec<u8> = (0..LARGE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let half = LARGE / 2;
    let gate = Gate::default();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").into_bytes();
    let upstream = Server::start(always(vec![
        Step::ReadBody,
        Step::Send([head, large[..half].to_vec()].concat().into()),
        Step::Wait(gate.clone()),
        Step::Send(large[half..].to_vec().into()),
    ]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    let asked = ask("POST", "/public/large").header("Content-Length", &LARGE.to_string());
    client.send(asked.head()).await;
    client.send(&large[..half]).await;
    // Most of the first half has arrived while the second is not even sent.
    eventually("the first half", || upstream.body_bytes() > half - (1 << 20)).await;
    client.send(&large[half..]).await;
    let head = client.head().await.unwrap();
    assert!(upstream.last().body.unwrap().bytes == large, "the body has changed on its way there");
    client.at_least(half - (1 << 20)).await;
    gate.open();
    assert!(client.body(&head).await.bytes == large, "the body has changed on its way back");
}

#[tokio::test]
async fn a_body_past_its_limit_is_refused_and_never_arrives_whole() {
    let (upstream, sidecar) = pair().await;
    let large = "a".repeat(5000);
    let json = format!(r#"{{"orgnr":"312714051","x":"{large}"}}"#);
    let judged = || ask("POST", WRITE).bearer().header("Content-Type", "application/json");
    let stated = [
        ask("POST", "/small").header("Content-Length", "11"),
        judged().header("Content-Length", "4097"),
    ];
    for asked in stated {
        // Nothing of the body is ever sent.
        let reply = exchange(sidecar.traffic, asked.head()).await;
        assert_eq!(reply.verdict(), "413 body-too-large");
        assert_eq!(reply.head.get("connection"), Some("close"));
    }
    let reply = exchange(sidecar.traffic, judged().chunked(json.as_bytes(), "").bytes()).await;
    assert_eq!(reply.verdict(), "413 body-too-large");
    assert_eq!(upstream.accepted(), 0);
    // A body that nobody reads here streams up to the limit; what the API gets is visibly incomplete.
    let reply =
        exchange(sidecar.traffic, ask("POST", "/small").chunked(large.as_bytes(), "").bytes())
            .await;
    assert_eq!(reply.verdict(), "413 body-too-large");
    eventually("the end of the exchange", || upstream.ended() == upstream.accepted()).await;
    assert!(upstream.seen().iter().all(|seen| !seen.body.as_ref().unwrap().complete));
    let reply = exchange(sidecar.traffic, ask("POST", "/small").body(b"0123456789").bytes()).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_body_is_asked_for_only_once_the_request_is_permitted() {
    let upstream = Server::start(ok());
    let point = permits();
    let sidecar = Sidecar::before(&upstream).point(Arc::clone(&point) as _).open().await;
    let expecting = |target: &str| {
        ask("PUT", target).header("Expect", "100-continue").header("Content-Length", "5")
    };
    for (asked, verdict) in [
        (expecting(READ), "401 token-missing"),
        (expecting(&format!("/v1/orgs/{DENIED}/reports")).bearer(), "403 access-denied"),
        (expecting("/nowhere").bearer(), "404 route-unknown"),
        (expecting(READ).bearer().header("Expect", "x"), "417 expectation-failed"),
    ] {
        // The first answer is the final one.
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(asked.head()).await;
        let reply = client.reply().await;
        assert_eq!(reply.verdict(), verdict);
        assert_eq!(client.rest().await, "", "{verdict}: the connection is closed");
    }
    assert_eq!(upstream.accepted(), 0);
    let asked_before = point.asked().len();
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(expecting(READ).bearer().head()).await;
    assert!(client.head().await.unwrap().start.starts_with("HTTP/1.1 100"));
    assert_eq!(point.asked().len(), asked_before + 1, "the PDP is asked first");
    client.send("hello").await;
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(upstream.last().body.unwrap().bytes, b"hello");
    assert_eq!(upstream.last().head.get("expect"), None);
}

#[tokio::test]
async fn an_unknown_expectation_is_refused() {
    let (upstream, sidecar) = pair().await;
    for value in ["x", "100-continue, x", "100-continue;q=1", ""] {
        let asked = ask("GET", "/public/x").header("Expect", value);
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        assert_eq!(reply.verdict(), "417 expectation-failed", "`{value}`");
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn the_wait_for_an_answer_begins_when_the_body_is_sent() {
    let upstream = Server::start(ok());
    let settings = "upstream: { response_timeout: 1s }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("POST", "/public/x").header("Content-Length", "8").head()).await;
    // Time is what this is about: each part comes well within the limit, all of them beyond it.
    let mut pace = tokio::time::interval(Duration::from_millis(250));
    for part in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        pace.tick().await;
        client.send(part).await;
    }
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(upstream.last().body.unwrap().bytes, b"abcdefgh");
}
