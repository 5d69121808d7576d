//! HTTP/2 from clients: heads as RFC 9113 §8 has them, one host, floods, and ends of streams and connections.

use crate::support::frames::{
    CANCEL, CONTINUATION, END_HEADERS, ENHANCE_YOUR_CALM, Frame, Frames, GOAWAY, HEADERS, NO_ERROR,
    PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, bearer, block, raw_block, request,
};
use crate::support::{
    Gate, READ, RULES, Server, Sidecar, Step, always, answer, ask, eventually, exchange, ok, soon,
};

#[tokio::test]
async fn requests_over_http2_are_decided_and_forwarded_like_others() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let token = bearer();
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", READ, &[("authorization", &token)])).await;
    let permitted = client.outcome(1).await;
    assert_eq!((permitted.verdict().as_str(), permitted.end_stream), ("200", true));
    assert_eq!((permitted.body.as_slice(), permitted.reset), (&b"ok"[..], None));
    let seen = upstream.last();
    assert_eq!(seen.head.start, format!("GET {READ} HTTP/1.1"));
    assert_eq!(seen.head.get("host"), Some("api.example.no"));
    client.request(3, &request("GET", READ, &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "401 token-missing");
    client.request(5, &request("HEAD", READ, &[])).await;
    let head = client.outcome(5).await;
    assert_eq!((head.status, head.body.len(), head.reset), (401, 0, None));
    // HTTP/1.1 on the same listener.
    assert_eq!(exchange(sidecar.traffic, ask("GET", READ).bearer().bytes()).await.status, 200);
    assert_eq!(upstream.count(), 2);
    assert_eq!(sidecar.records.when(4).await.len(), 4);
}

#[tokio::test]
async fn a_body_over_http2_streams_with_its_end() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::headers(1, &request("POST", "/public/upload", &[]))).await;
    client.send(&Frame::data(1, "half")).await;
    eventually("the head at the API", || upstream.count() == 1).await;
    client.send(&Frame::data(1, "full")).await;
    client.send(&Frame::data(1, "").ends()).await;
    let outcome = client.outcome(1).await;
    assert_eq!((outcome.verdict().as_str(), outcome.reset), ("200", None));
    assert_eq!(upstream.last().body.unwrap().bytes, b"halffull");
    client.request(3, &request("GET", "/public/more", &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "200");
}

type Lines<'a> = Vec<(&'a str, &'a str)>;

/// Cases 25, 60 and 102 of the threat table: what each head comes to, and that nothing is forwarded.
/// As streaming gRPC sends them. The library ends a connection on which small frames pile up, and everybody
/// on it.
#[tokio::test]
async fn a_body_of_small_frames_all_at_once_is_a_body_like_any_other() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    for (stream, frames) in [(1, 500), (3, 20_000), (5, 60_000)] {
        let body = Frame::data(stream, "x").bytes().repeat(frames);
        let head = Frame::headers(stream, &request("POST", "/public/a", &[]));
        client.raw(&[head.bytes(), body, Frame::data(stream, "").ends().bytes()].concat()).await;
        assert_eq!(client.outcome(stream).await.verdict(), "200");
        let body = upstream.last().body.unwrap();
        assert_eq!((body.bytes.len(), body.complete), (frames, true));
    }
}

#[tokio::test]
async fn heads_with_two_readings_are_refused() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let token = bearer();
    let good = request("GET", READ, &[("authorization", &token)]);
    let with = |lines: &[(&'static str, &'static str)]| [good.as_slice(), lines].concat();
    let without =
        |name: &str| good.iter().copied().filter(|(found, _)| *found != name).collect::<Vec<_>>();
    let replaced = |name: &str, value: &'static str| {
        good.iter().map(|line| if line.0 == name { (line.0, value) } else { *line }).collect()
    };
    let long: &'static str = Box::leak("x".repeat(40_000).into_boxed_str());
    let cases: Vec<(&str, Lines<'_>, &str)> = vec![
        ("another host", with(&[("host", "other.example.no")]), "400 malformed-request"),
        (
            "two hosts",
            with(&[("host", "api.example.no"), ("host", "api.example.no")]),
            "400 malformed-request",
        ),
        ("no host", without(":authority"), "400 malformed-request"),
        (
            "an authority with a user",
            replaced(":authority", "me@api.example.no"),
            "400 malformed-request",
        ),
        ("two authorities", with(&[(":authority", "api.example.no")]), "reset 1"),
        ("two paths", with(&[(":path", "/public/x")]), "reset 1"),
        ("two methods", with(&[(":method", "GET")]), "reset 1"),
        ("a late pseudo-header", with(&[("x-a", "b"), (":scheme", "http")]), "reset 1"),
        ("a foreign pseudo-header", with(&[(":status", "200")]), "reset 1"),
        ("an unknown pseudo-header", with(&[(":party", "312714051")]), "goaway 1"),
        ("no path", without(":path"), "reset 1"),
        ("no method", without(":method"), "reset 1"),
        ("no scheme", without(":scheme"), "reset 1"),
        ("an empty path", replaced(":path", ""), "reset 1"),
        ("a path without slash", replaced(":path", "v1/orgs/312714051/reports"), "reset 1"),
        ("an absolute path", replaced(":path", "http://api.example.no/v1/open"), "reset 1"),
        ("a star", replaced(":path", "*"), "400 malformed-request"),
        ("a path with a space", replaced(":path", "/v1/open HTTP/1.1"), "reset 1"),
        ("a path with a line end", replaced(":path", "/v1/open\r\nHost: x"), "reset 1"),
        ("a dot segment", replaced(":path", "/v1/open/../shut"), "400 ambiguous-path"),
        ("another scheme", replaced(":scheme", "ftp"), "400 malformed-request"),
        ("an upper-case name", with(&[("X-Party", "a")]), "goaway 1"),
        ("a name with a space", with(&[("x party", "a")]), "goaway 1"),
        ("an empty name", with(&[("", "a")]), "goaway 1"),
        ("a line end in a value", with(&[("x-a", "b\r\nx-party: c")]), "goaway 1"),
        ("a NUL in a value", with(&[("x-a", "b\0c")]), "goaway 1"),
        ("space before a value", with(&[("x-a", " b")]), "400 malformed-request"),
        ("space after a value", with(&[("x-a", "b\t")]), "400 malformed-request"),
        ("connection", with(&[("connection", "x-party")]), "reset 1"),
        ("keep-alive", with(&[("keep-alive", "5")]), "reset 1"),
        ("proxy-connection", with(&[("proxy-connection", "close")]), "reset 1"),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), "reset 1"),
        ("upgrade", with(&[("upgrade", "websocket")]), "reset 1"),
        ("te", with(&[("te", "gzip")]), "reset 1"),
        ("a disguised length", with(&[("content_length", "5")]), "400 malformed-request"),
        ("a disguised coding", with(&[("transfer.encoding", "chunked")]), "400 malformed-request"),
        (
            "two lengths",
            with(&[("content-length", "0"), ("content-length", "0")]),
            "400 malformed-request",
        ),
        ("a length with a sign", with(&[("content-length", "+0")]), "reset 1"),
        ("a length without a body", with(&[("content-length", "5")]), "reset 1"),
        ("a large head", with(&[("x-long", long)]), "431 headers-too-large"),
        (
            "a plain tunnel",
            vec![(":method", "CONNECT"), (":authority", "api.example.no:443")],
            "400 malformed-request",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, lines, expected) in cases {
        let mut client = Frames::connect(sidecar.traffic).await;
        let whole = block(&lines);
        let parts: Vec<&[u8]> = whole.chunks(16_000).collect();
        for (at, part) in parts.iter().enumerate() {
            let (kind, ends) = if at == 0 { (HEADERS, 1) } else { (CONTINUATION, 0) };
            let last = if at + 1 == parts.len() { END_HEADERS } else { 0 };
            client.send(&Frame::new(kind, ends | last, 1, *part)).await;
        }
        let found = client.outcome(1).await.verdict();
        if found != expected {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_length_that_is_not_that_of_the_body_ends_the_stream() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    for (stated, sent) in [("3", "four"), ("5", "four")] {
        let mut client = Frames::connect(sidecar.traffic).await;
        let lines = request("POST", "/public/x", &[("content-length", stated)]);
        client.send(&Frame::headers(1, &lines)).await;
        client.send(&Frame::data(1, sent).ends()).await;
        let outcome = client.outcome(1).await;
        assert_ne!(outcome.status, 200, "{stated} for {sent}: {outcome:?}");
    }
    assert!(
        !upstream.seen().iter().any(|seen| seen.body.as_ref().is_some_and(|body| body.complete))
    );
}

#[tokio::test]
async fn what_the_library_cuts_off_a_path_is_neither_judged_nor_sent() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let path = "/public/a#/../../v1/shut";
    let outcome = Frames::ask(sidecar.traffic, &request("GET", path, &[])).await;
    assert_eq!(outcome.verdict(), "200");
    assert_eq!(upstream.last().head.start, "GET /public/a HTTP/1.1");
    let outcome = Frames::ask(sidecar.traffic, &request("GET", "/v1/shut#/public/a", &[])).await;
    assert_eq!((outcome.verdict().as_str(), upstream.count()), ("403 route-closed", 1));
}

#[tokio::test]
async fn hosts_and_cookies_arrive_as_http1_has_them() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let lines = [("host", "API.example.no"), ("cookie", "a=1"), ("cookie", "b=2")];
    let outcome = Frames::ask(sidecar.traffic, &request("GET", "/public/a", &lines)).await;
    assert_eq!(outcome.verdict(), "200");
    let head = upstream.last().head;
    assert_eq!((head.get("host"), head.get("cookie")), (Some("API.example.no"), Some("a=1; b=2")));
    let alone: Vec<_> = request("GET", "/public/a", &[("host", "b.example.no")])
        .into_iter()
        .filter(|(name, _)| *name != ":authority")
        .collect();
    assert_eq!(Frames::ask(sidecar.traffic, &alone).await.verdict(), "200");
    assert_eq!(upstream.last().head.get("host"), Some("b.example.no"));
}

/// Cases 58 and 59.
#[tokio::test]
async fn floods_end_the_connection() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let head = request("GET", "/public/a", &[]);
    let huge = raw_block([(&b"x-a"[..], &[b'a'; 16_000][..])]);
    let floods: [(&str, Vec<u8>); 7] = [
        ("SETTINGS", Frame::settings(&[]).bytes()),
        ("PING", Frame::ping(*b"12345678").bytes()),
        ("PRIORITY", Frame::new(PRIORITY, 0, 3, [0, 0, 0, 0, 1]).bytes()),
        ("WINDOW_UPDATE", Frame::window_update(0, 1).bytes()),
        ("unknown", Frame::new(0xbe, 0, 0, [0]).bytes()),
        ("empty DATA", Frame::data(1, "").bytes()),
        ("CONTINUATION", Frame::new(CONTINUATION, 0, 1, huge).bytes()),
    ];
    for (name, frame) in floods {
        let mut client = Frames::connect(sidecar.traffic).await;
        match name {
            "empty DATA" => {
                client.send(&Frame::headers(1, &request("POST", "/public/a", &[]))).await;
            }
            "CONTINUATION" => {
                client.send(&Frame::new(HEADERS, 0, 1, block(&head))).await;
            }
            _ => {}
        }
        let many = frame.repeat(100);
        for _ in 0..100 {
            if !client.raw(&many).await {
                break;
            }
        }
        client.end().await;
        assert_eq!(
            exchange(sidecar.traffic, ask("GET", "/public/b").bytes()).await.status,
            200,
            "{name}"
        );
    }
}

#[tokio::test]
async fn rapid_resets_end_the_connection_and_leave_nothing_running() {
    let upstream = Server::start(always(vec![Step::Hold]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let mut stream = 1_u32;
    let begun = loop {
        let lines = request("GET", "/public/a", &[]);
        let both =
            [Frame::headers(stream, &lines).ends().bytes(), Frame::reset(stream, CANCEL).bytes()];
        if stream > 20_000 || !client.raw(&both.concat()).await {
            break stream / 2;
        }
        stream += 2;
    };
    assert!(begun < 10_000, "{begun}");
    client.end().await;
    eventually("the end of what was begun", || upstream.ended() == upstream.accepted()).await;
    assert!(upstream.count() <= 300, "{}", upstream.count());
}

#[tokio::test]
async fn streams_that_a_client_makes_us_reset_are_bounded() {
    let upstream = Server::start(always(vec![Step::Hold]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    for number in 0..2000_u32 {
        let stream = 2 * number + 1;
        let lines = request("GET", "/public/a", &[]);
        // A window of nothing is a fault of the stream (RFC 9113 §6.9).
        let both = [
            Frame::headers(stream, &lines).ends().bytes(),
            Frame::window_update(stream, 0).bytes(),
        ];
        if !client.raw(&both.concat()).await {
            break;
        }
    }
    client.end().await;
    eventually("the end of what was begun", || upstream.ended() == upstream.accepted()).await;
    assert!(upstream.count() <= 300, "{}", upstream.count());
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_the_body_and_ends_only_its_stream() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::headers(1, &request("POST", "/v1/reports", &[]))).await;
    client.send(&Frame::data(1, "{")).await;
    let outcome = client.outcome(1).await;
    assert_eq!(outcome.verdict(), "401 token-missing");
    assert_eq!(client.next_of(RST_STREAM).await.map(|reset| reset.code()), Some(NO_ERROR));
    client.request(3, &request("GET", "/public/a", &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "200");
}

#[tokio::test]
async fn a_client_that_gives_up_a_stream_ends_its_exchange_alone() {
    let upstream = Server::start(always(vec![Step::Hold]));
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", "/public/a", &[])).await;
    eventually("the request", || upstream.count() == 1).await;
    client.send(&Frame::reset(1, CANCEL)).await;
    eventually("the end at the API", || upstream.ended() == 1).await;
    upstream.play(ok());
    client.request(3, &request("GET", "/public/b", &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "200");
}

#[tokio::test]
async fn an_idle_connection_is_told_goodbye() {
    let upstream = Server::start(ok());
    let settings = "server: { limits: { idle_timeout: 1s } }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", "/public/a", &[])).await;
    assert_eq!(client.outcome(1).await.verdict(), "200");
    assert_eq!(client.next_of(GOAWAY).await.map(|frame| frame.code()), Some(NO_ERROR));
    assert_eq!(client.end().await, None);
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_ends() {
    let big = answer("200 OK", "text/plain", &"x".repeat(1_000_000));
    let upstream = Server::start(always(vec![Step::ReadBody, Step::Send(big)]));
    let settings = "server: { limits: { body_idle_timeout: 500ms } }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    // Nothing is ever written of the window, while the socket itself is read.
    client.request(1, &request("GET", "/public/a", &[])).await;
    let outcome = client.outcome(1).await;
    assert_eq!((outcome.status, outcome.end_stream, outcome.reset), (200, false, Some(CANCEL)));
    eventually("the end at the API", || upstream.ended() == upstream.accepted()).await;
}

#[tokio::test]
async fn a_connection_that_does_not_begin_with_settings_ends() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&Frame::new(HEADERS, END_HEADERS, 0, block(&[]))).await;
    assert_eq!(client.end().await, Some(PROTOCOL_ERROR));
}

#[tokio::test]
async fn the_limits_are_told_to_clients() {
    let upstream = Server::start(ok());
    let settings =
        "server: { limits: { http2: { max_concurrent_streams: 7, stream_window: 128KiB } } }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    let told = client.next_of(SETTINGS).await.unwrap();
    let told: Vec<(u16, u32)> = told
        .payload
        .chunks(6)
        .map(|pair| {
            (
                u16::from_be_bytes([pair[0], pair[1]]),
                u32::from_be_bytes(pair[2..].try_into().unwrap()),
            )
        })
        .collect();
    for expected in [(3, 7), (4, 128 * 1024), (6, 64 * 1024), (8, 1)] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_to_go_and_http1_is_served_still() {
    let upstream = Server::start(ok());
    let settings = "server: { limits: { http2: { max_connections: 1 } } }\n";
    let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
    let mut first = Frames::connect(sidecar.traffic).await;
    first.request(1, &request("GET", "/public/a", &[])).await;
    assert_eq!(first.outcome(1).await.verdict(), "200");
    assert_eq!(Frames::connect(sidecar.traffic).await.end().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(exchange(sidecar.traffic, ask("GET", "/public/b").bytes()).await.status, 200);
    drop(first);
    soon("a place", async {
        let lines = request("GET", "/public/c", &[]);
        while Frames::ask(sidecar.traffic, &lines).await.verdict() != "200" {}
    })
    .await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_at_once_and_places_come_back() {
    let gate = Gate::default();
    let upstream = Server::start(always(vec![
        Step::ReadBody,
        Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no".into()),
        Step::Wait(gate.clone()),
        Step::Send("k".into()),
    ]));
    let settings = "server: { limits: { max_requests_in_flight: 1 } }\n";
    let sidecar = Sidecar::before(&upstream).rules(RULES).settings(settings).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", "/public/a", &[])).await;
    eventually("the request", || upstream.count() == 1).await;
    assert!(sidecar.metrics().await.contains("portvakt_requests_in_flight 1\n"));
    let refused = exchange(sidecar.traffic, ask("GET", "/public/b").bytes()).await;
    assert_eq!(refused.verdict(), "503 overloaded");
    assert!(refused.head.get("retry-after").is_some());
    assert_eq!(refused.head.get("connection"), None, "nothing is wrong with the connection");
    client.request(3, &request("GET", "/nowhere", &[])).await;
    assert_eq!(client.outcome(3).await.verdict(), "503 overloaded");
    assert_eq!(upstream.count(), 1);
    gate.open();
    soon("a place", async {
        upstream.play(ok());
        while exchange(sidecar.traffic, ask("GET", "/public/c").bytes()).await.status != 200 {}
    })
    .await;
}
