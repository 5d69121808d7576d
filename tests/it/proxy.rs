//! Forwarding, byte by byte: what reaches the API, and on which connection, and who gets the answer.

mod answers;
mod bodies;
mod headers;

use crate::support::{
    Client, Script, Server, Sidecar, Step, always, answer, ask, eventually, exchange, ok,
};
use std::sync::Arc;

/// Reads the request, and answers with these very bytes.
fn replies(bytes: &str) -> Script {
    always(vec![Step::ReadBody, Step::Send(bytes.to_owned().into())])
}

async fn pair() -> (Server, Sidecar) {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    (upstream, sidecar)
}

#[tokio::test]
async fn the_target_is_forwarded_byte_for_byte() {
    let (upstream, sidecar) = pair().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for target in [
        "/public/a",
        "/public/a?",
        "/public/a?x=%2f%2F&y=a+b&&z&=",
        "/public/a?q=/../%2e%2e/;x=[1]&r=%00%ff",
        "/public/%C3%A6%20%21",
        "/public/~a-._b!$&'()*+,=:@",
        "/public/a?http://x/y?z",
    ] {
        assert_eq!(client.ask(&ask("GET", target)).await.status, 200, "{target}");
        assert_eq!(upstream.last().head.start, format!("GET {target} HTTP/1.1"));
    }
    assert_eq!(upstream.accepted(), 1, "the connection is kept");
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_order() {
    let (upstream, sidecar) = pair().await;
    upstream.play(echo());
    let mut client = Client::connect(sidecar.traffic).await;
    let all: Vec<Vec<u8>> =
        (0..5).map(|number| ask("GET", &format!("/public/{number}")).bytes()).collect();
    client.send(all.concat()).await;
    for number in 0..5 {
        assert_eq!(client.reply().await.text(), format!("GET /public/{number} HTTP/1.1"));
    }
}

/// Answers with the request line.
fn echo() -> Script {
    Arc::new(|asked| {
        vec![Step::ReadBody, Step::Send(answer("200 OK", "text/plain", &asked.head.start))]
    })
}

#[tokio::test]
async fn answers_never_get_to_another_request() {
    let (upstream, sidecar) = pair().await;
    upstream.play(echo());
    let clients = (0..8).map(|client| async move {
        let mut connection = Client::connect(sidecar.traffic).await;
        for number in 0..25 {
            let target = format!("/public/{client}/{number}");
            let allowed = connection.ask(&ask("GET", &target)).await;
            assert_eq!(allowed.text(), format!("GET {target} HTTP/1.1"));
            let refused = connection.ask(&ask("GET", &format!("/v1/open?{client}/{number}"))).await;
            assert_eq!(refused.verdict(), "401 token-missing");
        }
    });
    futures_util::future::join_all(clients).await;
    assert_eq!(upstream.count(), 200);
    assert!(upstream.accepted() <= 16, "{} connections", upstream.accepted());
}

/// The first request of a connection is answered, the next one ends it without a word.
fn ends_when_reused() -> Script {
    Arc::new(|asked| {
        if asked.before == 0 {
            vec![Step::ReadBody, Step::Send(answer("200 OK", "text/plain", "ok"))]
        } else {
            vec![Step::ReadBody, Step::Close]
        }
    })
}

#[tokio::test]
async fn a_request_is_sent_again_only_if_that_is_safe_and_the_connection_was_old() {
    for (asked, status, seen) in [
        (ask("GET", "/public/x"), 200, 3),
        (ask("DELETE", "/public/x"), 200, 3),
        (ask("PUT", "/public/x").header("Content-Length", "0"), 200, 3),
        (ask("POST", "/public/x"), 502, 2),
        (ask("PATCH", "/public/x"), 502, 2),
        (ask("PUT", "/public/x").body(b"x"), 502, 2),
        (ask("GET", "/public/x").body(b"x"), 502, 2),
    ] {
        let upstream = Server::start(ends_when_reused());
        let sidecar = Sidecar::before(&upstream).open().await;
        let mut client = Client::connect(sidecar.traffic).await;
        assert_eq!(client.ask(&ask("GET", "/public/first")).await.status, 200);
        let reply = client.ask(&asked).await;
        let line = String::from_utf8(asked.head()).unwrap();
        assert_eq!((reply.status, upstream.count()), (status, seen), "{line}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_while_idle_is_not_noticed_by_the_client() {
    let upstream = Server::start(always(vec![
        Step::ReadBody,
        Step::Send(answer("200 OK", "text/plain", "ok")),
        Step::Close,
    ]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for number in 1..10 {
        assert_eq!(client.ask(&ask("GET", "/public/x")).await.status, 200, "{number}");
        eventually("the end of the connection", || upstream.ended() == upstream.accepted()).await;
    }
}

#[tokio::test]
async fn a_connection_whose_request_was_answered_early_is_not_used_again() {
    let upstream = Server::start(Arc::new(|asked| {
        let early = asked.head.start.contains("early");
        let ok = Step::Send(answer("200 OK", "text/plain", "ok"));
        if early { vec![ok, Step::Hold] } else { vec![Step::ReadBody, ok] }
    }));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("POST", "/public/early").header("Content-Length", "100000").head()).await;
    client.send("half of it").await;
    assert_eq!(client.reply().await.status, 200);
    eventually("the end of the exchange", || upstream.ended() == 1).await;
    let reply = exchange(sidecar.traffic, ask("GET", "/public/next").bytes()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(upstream.last().connection, 1);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_exchange() {
    let part = Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart".into());
    for (name, steps, answered) in [
        ("before the answer", vec![Step::ReadBody, Step::Hold], false),
        ("within the answer", vec![Step::ReadBody, part, Step::Hold], true),
    ] {
        let upstream = Server::start(always(steps));
        let sidecar = Sidecar::before(&upstream).open().await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("GET", "/public/x").bytes()).await;
        eventually("the request", || upstream.count() == 1).await;
        if answered {
            client.head().await.unwrap();
        }
        drop(client);
        eventually(name, || upstream.ended() == 1).await;
    }
    // And one that leaves within its own body.
    let (upstream, sidecar) = pair().await;
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(ask("POST", "/public/x").header("Content-Length", "100").head()).await;
    client.send("part").await;
    eventually("a part of the body", || upstream.body_bytes() == 4).await;
    drop(client);
    eventually("within the body", || upstream.ended() == 1).await;
    assert!(!upstream.last().body.unwrap().complete);
}
