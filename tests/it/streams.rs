//! What lasts: answers that come bit by bit, and bodies that are asked for before they are sent.

use crate::support::frames::{self, CANCEL, DATA, END_STREAM, Frame, Frames, HEADERS};
use crate::support::{
    Client, DENIED, Gate, PERMITTED, READ, Server, Sidecar, Step, always, ask, claims, eventually,
    ok, permits, sign, with,
};
use std::sync::Arc;

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:X}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn events_pass_as_they_come() {
    let gate = Gate::default();
    let events = ["data: one\n\n", ": heartbeat\n\n", "event: x\ndata: two\n\n"];
    let mut steps = vec![Step::ReadBody, Step::Send(EVENTS.into())];
    for event in events {
        steps.extend([Step::Wait(gate.clone()), Step::Send(chunk(event).into())]);
    }
    steps.extend([Step::Wait(gate.clone()), Step::Send("0\r\n\r\n".into())]);
    let upstream = Server::start(always(steps));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("GET", READ).bearer().header("Accept", "text/event-stream").bytes()).await;
    // The head comes before the first event, and each event before the next is made.
    let head = client.head().await.unwrap();
    assert_eq!(head.get("content-type"), Some("text/event-stream"));
    assert_eq!(head.get("cache-control"), Some("no-cache"));
    assert!(head.get("content-length").is_none() && head.get("content-encoding").is_none());
    for event in events {
        gate.open();
        assert_eq!(client.bytes(chunk(event).len()).await, chunk(event));
    }
    assert!(sidecar.records.all().is_empty(), "it lasts");
    gate.open();
    assert_eq!(client.bytes(5).await, "0\r\n\r\n");
    assert_eq!(sidecar.records.when(1).await[0]["outcome"], "forwarded");
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_of_events_ends_it() {
    let steps = vec![
        Step::ReadBody,
        Step::Send(EVENTS.into()),
        Step::Send(chunk("data: 1\n\n").into()),
        Step::Hold,
    ];
    let upstream = Server::start(always(steps));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("GET", READ).bearer().bytes()).await;
    client.head().await.unwrap();
    client.bytes(chunk("data: 1\n\n").len()).await;
    assert_eq!(upstream.ended(), 0);
    drop(client);
    eventually("the end of the exchange", || upstream.ended() == 1).await;
    assert_eq!(sidecar.records.when(1).await[0]["outcome"], "aborted");
}

/// Case 54, where the decision needs the body.
#[tokio::test]
async fn a_body_that_decides_is_asked_for_after_all_that_can_be_judged_without_it() {
    let upstream = Server::start(ok());
    let point = permits();
    let sidecar = Sidecar::before(&upstream).point(Arc::clone(&point) as _).open().await;
    let of = |org: &str| format!("{{\"orgnr\":\"{org}\"}}");
    let length = of(PERMITTED).len();
    let expecting = |length: usize, media_type: &str| {
        ask("POST", "/v1/reports")
            .header("Expect", "100-continue")
            .header("Content-Type", media_type)
            .header("Content-Length", &length.to_string())
    };
    let json = "application/json";
    let weak = sign(&with(claims(), "/scope", "it:other"));
    for (asked, verdict) in [
        (expecting(length, json), "401 token-missing"),
        (expecting(length, json).token("x"), "401 token-malformed"),
        (expecting(length, json).token(&weak), "403 scope-missing"),
        (expecting(5000, json).bearer(), "413 body-too-large"),
        (expecting(length, "text/plain").bearer(), "415 unsupported-body"),
    ] {
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(asked.head()).await;
        assert_eq!(client.reply().await.verdict(), verdict, "the first answer is the final one");
        assert_eq!(client.rest().await, "", "{verdict}: the connection is closed");
    }
    assert!(point.asked().is_empty());
    for (org, verdict) in [(PERMITTED, "200"), (DENIED, "403 access-denied")] {
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(expecting(length, json).bearer().head()).await;
        assert!(client.head().await.unwrap().start.starts_with("HTTP/1.1 100"));
        client.send(of(org)).await;
        assert_eq!(client.reply().await.verdict(), verdict);
    }
    assert_eq!((point.asked().len(), upstream.count()), (2, 1));
    assert_eq!(upstream.last().body.unwrap().bytes, of(PERMITTED).into_bytes());
    assert_eq!(upstream.last().head.get("expect"), None);
}

#[tokio::test]
async fn events_pass_as_they_come_over_http2_too() {
    let gate = Gate::default();
    let mut steps = vec![Step::ReadBody, Step::Send(EVENTS.into())];
    for event in ["data: one\n\n", "data: two\n\n"] {
        steps.extend([Step::Wait(gate.clone()), Step::Send(chunk(event).into())]);
    }
    steps.push(Step::Hold);
    let upstream = Server::start(always(steps));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let token = frames::bearer();
    let lines = [("authorization", token.as_str()), ("accept", "text/event-stream")];
    client.request(1, &frames::request("GET", READ, &lines)).await;
    let head = client.next_of(HEADERS).await.unwrap();
    assert_eq!((frames::status(&head.payload), head.flags & END_STREAM), (200, 0));
    for event in ["data: one\n\n", "data: two\n\n"] {
        gate.open();
        let frame = client.next_of(DATA).await.unwrap();
        assert_eq!((frame.payload.as_slice(), frame.flags & END_STREAM), (event.as_bytes(), 0));
    }
    client.send(&Frame::reset(1, CANCEL)).await;
    eventually("the end of the exchange", || upstream.ended() == 1).await;
    assert_eq!(sidecar.records.when(1).await[0]["outcome"], "aborted");
}

/// Over HTTP/2 the library sends no `100`, and clients send the body after a while of their own (RFC 9110
/// §10.1.1): what counts is that a refusal waits for no byte of it.
#[tokio::test]
async fn over_http2_a_refusal_waits_for_no_body_that_its_client_holds_back() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let token = frames::bearer();
    let mut client = Frames::connect(sidecar.traffic).await;
    let expecting = |lines: &[(&'static str, &'static str)]| {
        let expecting = [("expect", "100-continue"), ("content-length", "5")];
        [&expecting[..], lines].concat()
    };
    let lines = expecting(&[]);
    client.send(&Frame::headers(1, &frames::request("PUT", READ, &lines))).await;
    assert_eq!(client.outcome(1).await.verdict(), "401 token-missing");
    let lines = [expecting(&[]), vec![("authorization", token.as_str())]].concat();
    let denied = format!("/v1/orgs/{DENIED}/reports");
    client.send(&Frame::headers(3, &frames::request("PUT", &denied, &lines))).await;
    assert_eq!(client.outcome(3).await.verdict(), "403 access-denied");
    assert_eq!(upstream.accepted(), 0);
    client.send(&Frame::headers(5, &frames::request("PUT", READ, &lines))).await;
    client.send(&Frame::data(5, "hello").ends()).await;
    assert_eq!(client.outcome(5).await.verdict(), "200");
    assert_eq!(upstream.last().body.unwrap().bytes, b"hello");
    assert_eq!(upstream.last().head.get("expect"), None);
}
