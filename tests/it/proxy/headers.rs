//! Header lines and trailers, as the API gets them from us and the client from the API.

use super::{pair, replies};
use crate::support::{DENIED, PERMITTED, READ, Server, Sidecar, ask, exchange, ok};
use std::sync::Arc;

#[tokio::test]
async fn headers_of_one_hop_stay_on_their_hop_in_both_directions() {
    let (upstream, sidecar) = pair().await;
    upstream.play(replies(
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
         Proxy-Authenticate: x\r\nUpgrade: h2c\r\nAlt-Svc: h2=\":1\"\r\nPortvakt_Party: x\r\n\
         X-Request-Id: theirs\r\nX-End: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
         Content-Length: 2\r\n\r\nok",
    ));
    let asked = ask("GET", "/public/x")
        .header("Connection", "keep-alive, X-One")
        .header("connection", "x-two , ,Upgrade,HTTP2-Settings")
        .header("X-One", "1")
        .header("X-Two", "1")
        .header("X-Two", "2")
        .header("X-Three", "1")
        .header("Keep-Alive", "timeout=5")
        .header("TE", "trailers")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABk");
    let reply = exchange(sidecar.traffic, asked.bytes()).await;
    let expected = [
        "connection",
        "host",
        "portvakt-request-id",
        "portvakt-rule",
        "te",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-three",
    ];
    let head = upstream.last().head;
    assert_eq!(head.names(|_| true), expected);
    assert_eq!((head.get("te"), head.get("connection")), (Some("trailers"), Some("te")));
    let received = reply.head.names(|name| name != "date");
    let expected = ["content-length", "set-cookie", "set-cookie", "x-end", "x-request-id"];
    assert_eq!(received, expected);
}

#[tokio::test]
async fn several_parties_are_told_in_the_order_of_the_request() {
    let upstream = Server::start(ok());
    let point = portvakt::pdp::Scripted::always(Ok(crate::support::permit()));
    let sidecar = Sidecar::before(&upstream).point(Arc::new(point)).open().await;
    let body = format!(r#"{{"parties":["{DENIED}","{PERMITTED}","{DENIED}"]}}"#);
    let asked = ask("POST", "/v1/batch").bearer().json(&body);
    assert_eq!(exchange(sidecar.traffic, asked.bytes()).await.status, 200);
    let urn = "urn:altinn:organization:identifier-no:";
    let expected = format!("{urn}{DENIED},{urn}{PERMITTED}");
    assert_eq!(upstream.last().head.get("portvakt-party"), Some(expected.as_str()));
}

#[tokio::test]
async fn the_way_here_is_told_by_ourselves_unless_the_peer_is_trusted() {
    let claimed = |asked: crate::support::Ask| {
        asked
            .header("X-Forwarded-For", "203.0.113.9")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Prefix", "/x")
            .header("Forwarded", "for=203.0.113.9")
            .header("X-Real-IP", "203.0.113.9")
            .bytes()
    };
    let way = |name: &str| name.contains("forwarded") || name == "x-real-ip";
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    exchange(sidecar.traffic, claimed(ask("GET", "/public/x"))).await;
    let head = upstream.last().head;
    assert_eq!(head.names(way), ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-host"), Some("api.example.no"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    let trusting = "server: { trusted_proxies: [127.0.0.0/8] }\n";
    let sidecar = Sidecar::before(&upstream).settings(trusting).open().await;
    exchange(sidecar.traffic, claimed(ask("GET", "/public/x"))).await;
    let head = upstream.last().head;
    assert_eq!(head.get("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("https"));
    assert_eq!(head.get("x-forwarded-host"), Some("evil.example"));
}

#[tokio::test]
async fn a_request_has_one_id_and_the_client_may_choose_it_if_it_is_a_uuid() {
    let (upstream, sidecar) = pair().await;
    let own = "0191a1b2-0000-7000-8000-000000000001";
    let long = "a".repeat(10_000);
    for (given, kept) in [
        (vec![own], true),
        (vec![], false),
        (vec![own, own], false),
        (vec!["x"], false),
        (vec![long.as_str()], false),
        (vec!["00000000-0000-0000-0000-00000000000g"], false),
    ] {
        let asked = given
            .iter()
            .fold(ask("GET", "/public/x"), |asked, id| asked.header("X-Request-Id", id));
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        let id = reply.head.get("x-request-id").unwrap().to_owned();
        assert_eq!(upstream.last().head.get("portvakt-request-id"), Some(id.as_str()));
        assert_eq!(id == own, kept, "{given:?}");
        assert_eq!(id.len(), 36, "{given:?}");
        let refused =
            given.iter().fold(ask("GET", READ), |asked, id| asked.header("X-Request-Id", id));
        let reply = exchange(sidecar.traffic, refused.bytes()).await;
        let id = reply.head.get("x-request-id").unwrap().to_owned();
        assert_eq!(reply.problem()["instance"], format!("urn:uuid:{id}"));
        assert_eq!(id == own, kept, "{given:?}");
    }
}

#[tokio::test]
async fn trailers_pass_unless_they_speak_in_our_name() {
    let (upstream, sidecar) = pair().await;
    upstream.play(replies(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n",
    ));
    let asked = ask("POST", "/public/x")
        .header("TE", "trailers")
        .header("Trailer", "x-sum, portvakt-party, portvakt_party, x-original-url")
        .chunked(
            b"hello",
            "x-sum: 1\r\nportvakt-party: x\r\nportvakt_party: x\r\nx-original-url: x\r\n",
        );
    let reply = exchange(sidecar.traffic, asked.bytes()).await;
    let body = upstream.last().body.unwrap();
    assert_eq!((body.bytes.as_slice(), body.complete), (&b"hello"[..], true));
    assert_eq!(body.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    assert_eq!((reply.text().as_str(), reply.body.complete), ("ok", true));
    assert_eq!(reply.body.trailers, [("x-sum".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn a_trailer_named_like_a_source_does_not_follow() {
    let rules = "api: x\nrules:\n  - { id: x, match: { method: POST, path: /x }, resource: r-write, action: write, \
                 party: \"header:x-party\", scopes: [\"it:read\"] }\n";
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(rules).open().await;
    let asked = ask("POST", "/x")
        .bearer()
        .header("X-Party", PERMITTED)
        .header("Trailer", "x-party, x-sum")
        .chunked(b"hello", &format!("x-party: {DENIED}\r\nx-sum: 1\r\n"));
    assert_eq!(exchange(sidecar.traffic, asked.bytes()).await.status, 200);
    assert_eq!(upstream.last().body.unwrap().trailers, [("x-sum".to_owned(), "1".to_owned())]);
}
