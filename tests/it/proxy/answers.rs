//! Answers of the API: sound ones without a body, and unsound ones.

use super::{pair, replies};
use crate::support::{
    Client, Server, Sidecar, Step, always, answer, ask, eventually, exchange, ok,
};

#[tokio::test]
async fn an_api_that_misbehaves_is_answered_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n";
    let rows: Vec<(&str, Vec<Step>, &str)> = vec![
        ("closed", vec![Step::ReadBody, Step::Close], "502 upstream-unreachable"),
        (
            "garbage",
            vec![Step::ReadBody, Step::Send("\0\0\0\r\n\r\n".into()), Step::Close],
            "502 upstream-protocol-error",
        ),
        (
            "cut in the head",
            vec![Step::ReadBody, Step::Send(head.into()), Step::Close],
            "502 upstream-protocol-error",
        ),
        (
            "not asked to switch",
            vec![
                Step::ReadBody,
                Step::Send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
                        .into(),
                ),
                Step::Hold,
            ],
            "502 upstream-protocol-error",
        ),
        (
            "two lengths",
            vec![
                Step::ReadBody,
                Step::Send(
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok".into(),
                ),
                Step::Close,
            ],
            "502 upstream-protocol-error",
        ),
        ("silence", vec![Step::ReadBody, Step::Hold], "504 upstream-timeout"),
    ];
    for (name, steps, verdict) in rows {
        let upstream = Server::start(always(steps));
        let settings =
            if name == "silence" { "upstream: { response_timeout: 50ms }\n" } else { "" };
        let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{name}");
        eventually("the end of the exchange", || upstream.ended() == 1).await;
        assert_eq!(upstream.count(), 1, "{name}");
    }
    let refusing = Server::refusing(ok());
    let sidecar = Sidecar::before(&refusing).open().await;
    let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
    assert_eq!(reply.verdict(), "502 upstream-unreachable");
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    for part in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
    ] {
        let upstream =
            Server::start(always(vec![Step::ReadBody, Step::Send(part.into()), Step::Close]));
        let sidecar = Sidecar::before(&upstream).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!((reply.status, reply.body.complete), (200, false), "{part}");
    }
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_order() {
    let (upstream, sidecar) = pair().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for (method, head, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", 200),
        ("HEAD", "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", 404),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", 304),
        ("DELETE", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
        ),
        ("GET", "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nwww-authenticate: x\r\n\r\n", 403),
        ("GET", "HTTP/1.1 599 Own\r\ncontent-length: 0\r\n\r\n", 599),
    ] {
        upstream.play(replies(head));
        client.send(ask(method, "/public/x").bytes()).await;
        let reply = client.reply_to(method).await;
        assert_eq!((reply.status, reply.body.bytes.len()), (status, 0), "{head}");
    }
    upstream.play(ok());
    assert_eq!(client.ask(&ask("GET", "/public/x")).await.text(), "ok");
    assert_eq!(upstream.accepted(), 1, "the connection is kept");
}

#[tokio::test]
async fn interim_answers_have_an_end() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let (upstream, sidecar) = pair().await;
    for (count, verdict) in [
        // 950 kB, and 1.5 MB.
        (25_000, "200"),
        (40_000, "502 upstream-protocol-error"),
        (usize::MAX, "502 upstream-protocol-error"),
        // Each exchange counts its own.
        (1000, "200"),
        (1000, "200"),
    ] {
        let ok = Step::Send(answer("200 OK", "text/plain", "ok"));
        upstream.play(always(vec![Step::ReadBody, Step::Repeat(interim.into(), count), ok]));
        let before = upstream.ended();
        let reply = exchange(sidecar.traffic, ask("GET", "/public/x").bytes()).await;
        assert_eq!(reply.verdict(), verdict, "after {count}");
        if verdict != "200" {
            eventually("the end of the exchange", || upstream.ended() > before).await;
        }
    }
    sidecar.records.when(5).await;
    let causes = sidecar.records.text();
    assert!(causes.contains("too much came before the head of an answer"), "{causes}");
    assert_eq!(upstream.count(), 5, "none is sent twice");
    sidecar.end().await;
}

#[tokio::test]
async fn a_large_answer_that_comes_at_once_leaves_its_connection_as_good_as_before() {
    let (upstream, sidecar) = pair().await;
    let body = "x".repeat(400_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    upstream.play(replies(&(head + &body)));
    let mut client = Client::connect(sidecar.traffic).await;
    for _ in 0..10 {
        assert_eq!(client.ask(&ask("GET", "/public/x")).await.text().len(), body.len());
    }
    assert_eq!(upstream.accepted(), 1, "the connection is kept");
    sidecar.end().await;
}

#[tokio::test]
async fn a_length_is_that_of_the_api_for_head_as_well() {
    let (upstream, sidecar) = pair().await;
    upstream.play(replies("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"));
    let reply = exchange(sidecar.traffic, ask("HEAD", "/public/x").bytes()).await;
    assert_eq!(reply.head.get("content-length"), Some("1234"));
}
