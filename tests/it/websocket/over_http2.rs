//! WebSockets over a stream of HTTP/2 (RFC 8441).

use super::{agrees, before, echo, end_of, events, pair, shake};
use crate::support::frames::{
    self, CANCEL, DATA, END_STREAM, Frame, Frames, HEADERS, bearer, request,
};
use crate::support::{Gate, PERMITTED, Script, Server, Step, always, eventually, exchange};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// What opens a WebSocket over a stream of HTTP/2 (RFC 8441 §4).
fn connect<'a>(path: &'a str, lines: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "api.example.no"),
        ("sec-websocket-version", "13"),
    ];
    [&pseudo[..], lines].concat()
}

/// Reads DATA of this stream until so many bytes have come.
async fn data(client: &mut Frames, stream: u32, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let frame = client.next_of(DATA).await.expect("the connection ended");
        assert_eq!((frame.stream, frame.flags & END_STREAM), (stream, 0));
        bytes.extend(frame.payload);
    }
    bytes
}

#[tokio::test]
async fn a_stream_of_http2_becomes_a_websocket() {
    let (upstream, sidecar) = pair(echo()).await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let token = bearer();
    let path = events(PERMITTED);
    let lines = [
        ("authorization", token.as_str()),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("origin", "https://example.no"),
        ("portvakt-party", "forged"),
    ];
    client.send(&Frame::headers(1, &connect(&path, &lines))).await;
    let head = client.next_of(HEADERS).await.unwrap();
    assert_eq!((frames::status(&head.payload), head.flags & END_STREAM), (200, 0));
    let sent = upstream.last().head;
    assert_eq!(sent.start, format!("GET {path} HTTP/1.1"));
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("origin", "https://example.no"),
        ("host", "api.example.no"),
        ("portvakt-rule", "events"),
    ] {
        assert_eq!(sent.get(name), Some(value), "{name}");
    }
    let key = sent.get("sec-websocket-key").unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
    assert_ne!(key, "AAAAAAAAAAAAAAAAAAAAAA==", "the key is ours");
    // Beside it the connection serves others, which may be WebSockets too.
    client.request(3, &request("GET", "/nowhere", &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "404 route-unknown");
    client.send(&Frame::headers(5, &connect("/open", &[]))).await;
    assert_eq!(client.next_of(HEADERS).await.unwrap().stream, 5);
    for (stream, part) in [(1, "hello"), (5, "other"), (1, "again")] {
        client.send(&Frame::data(stream, part)).await;
        assert_eq!(data(&mut client, stream, part.len()).await, part.as_bytes());
    }
    client.send(&Frame::data(1, "").ends()).await;
    let end = client.outcome(1).await;
    assert_eq!((end.end_stream, end.reset), (true, None));
    let records = sidecar.records.when(2).await;
    assert_eq!(end_of(&records[1]), (200, "forwarded", ""));
    assert_eq!((&records[1]["rule"], &records[1]["method"]), (&"events".into(), &"CONNECT".into()));
    client.send(&Frame::reset(5, CANCEL)).await;
    eventually("the end of the other at the API", || upstream.ended() == 2).await;
    sidecar.records.when(3).await;
}

#[tokio::test]
async fn a_stream_that_may_not_become_a_websocket_is_refused() {
    let (upstream, sidecar) = pair(echo()).await;
    let path = events(PERMITTED);
    let plain = [(":method", "CONNECT"), (":authority", "api.example.no:443")];
    let other = connect("/open", &[]).into_iter().map(|line| match line {
        (":protocol", _) => (":protocol", "connect-udp"),
        other => other,
    });
    for (verdict, lines) in [
        ("401 token-missing", connect(&path, &[])),
        ("405 method-not-allowed", connect("/plain", &[])),
        ("404 route-unknown", connect("/nowhere", &[])),
        ("400 ambiguous-path", connect("/open/../plain", &[])),
        ("405 method-not-allowed", other.collect()),
        ("400 malformed-request", plain.to_vec()),
    ] {
        let mut client = Frames::connect(sidecar.traffic).await;
        client.send(&Frame::headers(1, &lines)).await;
        client.send(&Frame::data(1, "early")).await;
        assert_eq!(client.outcome(1).await.verdict(), verdict, "{lines:?}");
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn over_http2_no_success_but_the_handshakes_opens_a_stream() {
    for (answer, verdict) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "502 upstream-protocol-error"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "502 upstream-protocol-error"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "404"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "502 upstream-protocol-error",
        ),
    ] {
        let (upstream, sidecar) = pair(always(vec![Step::Send(answer.into()), Step::Echo])).await;
        let mut client = Frames::connect(sidecar.traffic).await;
        client.send(&Frame::headers(1, &connect("/open", &[]))).await;
        client.send(&Frame::data(1, "early")).await;
        assert_eq!(client.outcome(1).await.verdict(), verdict, "{answer}");
        eventually("the end", || upstream.ended() == 1).await;
        assert!(upstream.last().body.is_none(), "{answer}");
    }
}

#[tokio::test]
async fn an_api_that_vanishes_ends_the_stream() {
    let gate = Gate::default();
    let script: Script = {
        let gate = gate.clone();
        Arc::new(move |asked| {
            let key = asked.head.get("sec-websocket-key").unwrap();
            vec![Step::Send(agrees(key, "first")), Step::Wait(gate.clone()), Step::Close]
        })
    };
    let (_upstream, sidecar) = pair(script).await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::headers(1, &connect("/open", &[]))).await;
    assert_eq!(client.next_of(HEADERS).await.unwrap().stream, 1);
    assert_eq!(data(&mut client, 1, 5).await, b"first");
    gate.open();
    let end = client.outcome(1).await;
    assert!(end.end_stream || end.reset.is_some());
}

#[tokio::test]
async fn an_api_that_speaks_http2_only_is_not_asked() {
    let upstream = Server::start(echo());
    let settings = format!("upstream: {{ url: \"h2c://{}\" }}\n", upstream.address);
    let sidecar = before(&upstream).settings(&settings).open().await;
    let reply = exchange(sidecar.traffic, shake("/open").bytes()).await;
    assert_eq!(reply.verdict(), "502 upstream-protocol-error");
    let outcome = Frames::ask(sidecar.traffic, &connect("/open", &[])).await;
    assert_eq!(outcome.verdict(), "502 upstream-protocol-error");
    assert_eq!(upstream.accepted(), 0);
}
