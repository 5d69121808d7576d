//! Clients that speak HTTP/2, in front of every kind of upstream.

use super::pair;
use crate::support::frames::{CANCEL, END_STREAM, Frame, Frames, HEADERS, request};
use crate::support::{Kind, Server, Sidecar, Step, always, ask, eventually, exchange};

#[tokio::test]
async fn each_kind_of_upstream_serves_clients_of_http2() {
    for kind in Kind::ALL {
        let (api, sidecar) = pair(kind, "").await;
        let mut client = Frames::connect(sidecar.traffic).await;
        // Both ways, trailers too, without a reset behind it.
        let lines = [("te", "trailers"), ("trailer", "x-sum")];
        client.send(&Frame::headers(1, &request("POST", "/public/echo", &lines))).await;
        client.send(&Frame::data(1, "hello")).await;
        let trailers = [("x-sum", "1"), ("authorization", "x"), ("portvakt-party", "x")];
        client.send(&Frame::headers(1, &trailers).ends()).await;
        let outcome = client.outcome(1).await;
        assert_eq!((outcome.verdict().as_str(), outcome.reset), ("200", None), "{kind:?}");
        assert_eq!((outcome.body.as_slice(), outcome.end_stream), (&b"hello"[..], true));
        assert_eq!(api.last().headers["te"], "trailers");

        let crumbs = [("cookie", "a=1"), ("cookie", "b=2")];
        client.request(3, &request("GET", "/public/a?x=%2f", &crumbs)).await;
        assert_eq!(client.outcome(3).await.verdict(), "200", "{kind:?}");
        let told = api.last();
        assert_eq!(told.uri.path_and_query().unwrap().as_str(), "/public/a?x=%2f");
        assert_eq!(told.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);

        // A stream that is reset within the answer ends there and nowhere else.
        eventually("the end of both", || api.exchanges_ended() == 2).await;
        client.request(5, &request("GET", "/public/part", &[])).await;
        assert!(client.next_of(HEADERS).await.is_some());
        client.send(&Frame::reset(5, CANCEL)).await;
        eventually(&format!("{kind:?}: its end"), || api.exchanges_ended() == 3).await;
        client.send(&Frame::headers(7, &request("POST", "/public/echo", &[]))).await;
        client.send(&Frame::data(7, "some")).await;
        assert!(client.next_of(HEADERS).await.is_some());
        client.send(&Frame::reset(7, CANCEL)).await;
        eventually(&format!("{kind:?}: the echo's end"), || api.exchanges_ended() == 4).await;
        client.request(9, &request("GET", "/public/x", &[])).await;
        assert_eq!(client.outcome(9).await.verdict(), "200", "{kind:?}");

        // An answer that breaks off does so visibly.
        client.request(11, &request("GET", "/public/break", &[])).await;
        let outcome = client.outcome(11).await;
        assert!(outcome.reset.is_some() && !outcome.end_stream, "{kind:?}");
        if kind.is_http2() {
            assert_eq!(api.accepted(), 1, "{kind:?}: one connection for all of it");
        }
    }
}

/// As docs/OPERATIONS.md says of trailers.
#[tokio::test]
async fn trailers_that_were_not_announced_reach_clients_of_http2_only() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n";
    let upstream = Server::start(always(vec![Step::ReadBody, Step::Send(answer.into())]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let asked = ask("GET", "/public/x").header("TE", "trailers");
    let reply = exchange(sidecar.traffic, asked.bytes()).await;
    assert_eq!((reply.text().as_str(), reply.body.complete), ("ok", true));
    assert_eq!(reply.body.trailers, []);
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", "/public/x", &[("te", "trailers")])).await;
    for (what, last) in [("the head", 0), ("the trailers", END_STREAM)] {
        let frame = client.next_of(HEADERS).await.expect(what);
        assert_eq!(frame.flags & END_STREAM, last, "{what}");
    }
}
