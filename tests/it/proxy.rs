//! Forwarding, byte by byte: what reaches the API, what comes back, and what never becomes a second request.

use crate::support::{
    Client, DENIED, Gate, PERMITTED, READ, SYSTEM_USER, Script, Server, Sidecar, Step, VENDOR,
    WRITE, always, answer, ask, eventually, exchange, ok, permits,
};
use std::sync::Arc;
use std::time::Duration;

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
async fn what_a_client_says_in_our_name_never_arrives() {
    let (upstream, sidecar) = pair().await;
    let pretending = |target: &str| {
        [
            "Portvakt-Party",
            "portvakt_party",
            "Portvakt.Party",
            "PORTVAKT-PARTY",
            "portvakt-system-user",
            "Portvakt_System.User",
            "portvakt-rule",
            "portvakt-anything",
            "X-HTTP-Method-Override",
            "X_HTTP_Method_Override",
            "X-HTTP-Method",
            "X-Method-Override",
            "X-Original-URL",
            "X.Rewrite.URL",
        ]
        .iter()
        .fold(ask("GET", target).bearer(), |asked, name| asked.header(name, "DELETE"))
        .header("Connection", "portvakt-party, portvakt-rule, Portvakt-System-User")
    };
    let ours = |name: &str| {
        name.starts_with("portvakt")
            || name.contains("override")
            || name.contains("url")
            || name.contains("method")
    };
    for (target, expected) in [
        ("/public/x", vec![("portvakt-rule", "public")]),
        (
            "/v1/open",
            vec![
                ("portvakt-rule", "open"),
                ("portvakt-system", "314330897_it"),
                ("portvakt-system-user", SYSTEM_USER),
                ("portvakt-system-user-org", "314242726"),
                ("portvakt-vendor", VENDOR),
            ],
        ),
        (
            READ,
            vec![
                ("portvakt-action", "read"),
                ("portvakt-party", "urn:altinn:organization:identifier-no:312714051"),
                ("portvakt-resource", "r-read"),
                ("portvakt-rule", "read-report"),
                ("portvakt-system", "314330897_it"),
                ("portvakt-system-user", SYSTEM_USER),
                ("portvakt-system-user-org", "314242726"),
                ("portvakt-vendor", VENDOR),
            ],
        ),
    ] {
        let reply = exchange(sidecar.traffic, pretending(target).bytes()).await;
        assert_eq!(reply.status, 200, "{target}");
        let head = upstream.last().head;
        let mut names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        names.push("portvakt-request-id");
        names.sort_unstable();
        assert_eq!(head.names(ours), names, "{target}");
        for (name, value) in expected {
            assert_eq!(head.get(name), Some(value), "{target}");
        }
    }
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
async fn a_connection_line_cannot_take_away_what_the_api_must_see() {
    let (upstream, sidecar) = pair().await;
    for name in [
        "authorization",
        "Authorization",
        "host",
        "content-length",
        "Content-Type",
        "content-encoding",
        "keep-alive, close, authorization",
        "x,AUTHORIZATION",
    ] {
        for asked in [ask("GET", READ), ask("GET", "/public/x"), ask("GET", "/v1/open")] {
            let asked = asked.bearer().header("Connection", name);
            let reply = exchange(sidecar.traffic, asked.bytes()).await;
            assert_eq!(reply.verdict(), "400 ambiguous-parameter", "{name}");
        }
    }
    let source = ask("GET", "/v1/header").bearer().header("X-Party", PERMITTED);
    let reply = exchange(sidecar.traffic, source.header("Connection", "x-party").bytes()).await;
    assert_eq!(reply.verdict(), "400 ambiguous-parameter");
    assert_eq!(upstream.accepted(), 0);
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

/// A request in the place of a body.
const INNER: &[u8] = b"GET /public/inner HTTP/1.1\r\nHost: api.example.no\r\n\r\n";

#[tokio::test]
async fn the_unread_body_of_a_refused_request_is_never_a_request() {
    let (upstream, sidecar) = pair().await;
    let next = ask("GET", "/public/next").bytes();
    let put = |target: &str| ask("PUT", target);
    let mut count = 0;
    for (asked, verdict) in [
        (put(READ), "401 token-missing"),
        (put(&format!("/v1/orgs/{DENIED}/reports")).bearer(), "403 access-denied"),
        (ask("GET", "/nowhere"), "404 route-unknown"),
        (ask("POST", WRITE).bearer(), "415 unsupported-body"),
    ] {
        for asked in [asked.clone().body(INNER), asked.chunked(INNER, "")] {
            let mut client = Client::connect(sidecar.traffic).await;
            client.send([asked.bytes(), next.clone()].concat()).await;
            let reply = client.reply().await;
            assert_eq!(reply.verdict(), verdict);
            assert_eq!(reply.head.get("connection"), Some("close"), "{verdict}");
            assert_eq!(client.rest().await, "", "{verdict}: something follows the answer");
            count += 1;
        }
    }
    assert_eq!(upstream.accepted(), 0);
    assert_eq!(sidecar.end().await.all().len(), count);
}

#[tokio::test]
async fn a_body_that_looks_like_a_request_is_forwarded_as_a_body() {
    let (upstream, sidecar) = pair().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for method in ["GET", "DELETE", "POST"] {
        let asked = ask(method, "/public/outer").body(INNER);
        assert_eq!(client.ask(&asked).await.status, 200, "{method}");
        assert_eq!(upstream.last().body.unwrap().bytes, INNER, "{method}");
    }
    assert_eq!(upstream.count(), 3);
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
        assert_eq!(upstream.count(), 1, "{name}");
        eventually("the end of the exchange", || upstream.ended() == 1).await;
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
async fn a_length_is_that_of_the_api_for_head_as_well() {
    let (upstream, sidecar) = pair().await;
    upstream.play(replies("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"));
    let reply = exchange(sidecar.traffic, ask("HEAD", "/public/x").bytes()).await;
    assert_eq!(reply.head.get("content-length"), Some("1234"));
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

#[tokio::test]
async fn broken_framing_never_arrives_whole_nor_as_a_second_request() {
    let inner = String::from_utf8(INNER.to_vec()).unwrap();
    let post = |lines: &str, body: &str| {
        format!("POST /public/x HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes()
    };
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let many = "x: 1\r\n".repeat(200);
    let large = format!("x: {}\r\n", "a".repeat(300 * 1024));
    let rows = [
        ("two lengths", post("Content-Length: 0\r\nContent-Length: 5\r\n", &inner)),
        ("a length with a sign", post("Content-Length: +5\r\n", &inner)),
        ("a list of lengths", post("Content-Length: 5, 6\r\n", &inner)),
        ("a hexadecimal length", post("Content-Length: 0x5\r\n", &inner)),
        ("a negative length", post("Content-Length: -1\r\n", &inner)),
        ("a huge length", post("Content-Length: 99999999999999999999999\r\n", &inner)),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", &inner)),
        ("chunked is not the last", post("Transfer-Encoding: chunked, identity\r\n", &inner)),
        ("a space before the colon", post("Content-Length : 5\r\n", &inner)),
        ("a folded line", post("X-A: 1\r\n Content-Length: 5\r\n", &inner)),
        ("NUL in a value", post("X-A: a\0b\r\n", &inner)),
        ("a lone carriage return", post("X-A: a\rContent-Length: 5\r\n", &inner)),
        ("too many lines", post(&many, &inner)),
        ("too large a head", post(&large, &inner)),
        ("a chunk size beyond all numbers", chunked(&format!("FFFFFFFFFFFFFFFFF\r\n{inner}"))),
        ("a chunk size that is none", chunked(&format!("x\r\n{inner}"))),
        ("a chunk that is longer than it says", chunked(&format!("1\r\nab\r\n0\r\n\r\n{inner}"))),
        ("chunked in HTTP/1.0",
            format!("POST /public/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}").into_bytes()),
    ];
    for (name, bytes) in rows {
        let (upstream, sidecar) = pair().await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(bytes).await;
        let status = client.reply().await.status;
        assert!(matches!(status, 0 | 400 | 431), "{name}: {status}");
        client.rest().await;
        eventually("the end of the exchange", || upstream.ended() == upstream.accepted()).await;
        assert!(
            !upstream.seen().into_iter().filter_map(|seen| seen.body).any(|body| body.complete),
            "{name}"
        );
        assert!(upstream.count() < 2, "{name}");
    }
}
