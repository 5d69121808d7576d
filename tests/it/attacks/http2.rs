//! Cases 58 to 60 and 101, and their kin: frames that are legal one by one, or nearly, on requests that wait
//! for a decision. Heads, floods and limits as such are in `http2` beside this folder;
//! memory is measured in `memory`.

use super::Ground;
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, HEADERS, PROTOCOL_ERROR, bearer,
    block, request,
};
use crate::support::{
    Gate, READ, Script, Server, Sidecar, Step, always, answer, ask, eventually, exchange, ok, soon,
    whole_seconds,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A PDP that says nothing, and counts.
pub(super) fn silent() -> Server {
    Server::start(always(vec![Step::ReadBody, Step::Hold]))
}

/// So many different parties: nine digits of which the last fits (modulus 11).
pub(super) fn parties(count: usize) -> Vec<String> {
    let party = |number: u32| {
        let digits = format!("{number:08}");
        let weighed = digits.bytes().zip([3, 2, 7, 6, 5, 4, 3, 2_u32]);
        let sum: u32 = weighed.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        match 11 - sum % 11 {
            10 => None,
            last => Some(format!("{digits}{}", last % 11)),
        }
    };
    (31_000_000..).filter_map(party).take(count).collect()
}

/// Case 58: requests that are begun and given up at once, each a question of its own for the PDP.
#[tokio::test]
async fn requests_that_are_given_up_while_they_wait_for_the_pdp_cost_it_little() {
    let (upstream, pdp) = (Server::start(ok()), silent());
    let sidecar = Sidecar::before(&upstream).pdp(&pdp, "1s").open().await;
    let (token, first) = (bearer(), Instant::now());
    let mut client = Frames::connect(sidecar.traffic).await;
    let mut begun = 0;
    for (number, party) in (0_u32..).zip(parties(10_000)) {
        let stream = 2 * number + 1;
        let target = format!("/v1/orgs/{party}/reports");
        let lines = request("GET", &target, &[("authorization", &token)]);
        let both = [Frame::headers(stream, &lines).ends().bytes(), Frame::reset(stream, 8).bytes()];
        if !client.raw(&both.concat()).await {
            break;
        }
        begun += 1;
    }
    assert!(begun < 10_000, "all were let through");
    client.end().await;
    // Eight at a time for one system user, whoever waits for the answer; each is given up after a second.
    let most = 8 * (2 + whole_seconds(first));
    assert!(pdp.count() <= most, "{} questions", pdp.count());
    pdp.play(always(vec![
        Step::ReadBody,
        Step::Send(answer("200 OK", "application/json", r#"{"response":[{"decision":"Permit"}]}"#)),
    ]));
    let served = async {
        while exchange(sidecar.traffic, ask("GET", READ).bearer().bytes()).await.status != 200 {}
    };
    soon("service for others", served).await;
    assert!(upstream.seen().iter().all(|seen| seen.head.start == format!("GET {READ} HTTP/1.1")));
    let records = sidecar.end().await.all();
    assert!(records.iter().all(|record| record["status"] != 200 || record["route"].is_string()));
}

/// Case 58: as many at once as a connection may have, each waiting, then all given up, over and over.
#[tokio::test]
async fn streams_that_wait_and_leave_together_leave_nothing_behind() {
    let (upstream, pdp) = (Server::start(ok()), silent());
    let sidecar = Sidecar::before(&upstream).pdp(&pdp, "1s").open().await;
    let (token, first) = (bearer(), Instant::now());
    let parties = parties(150);
    for _ in 0..4 {
        let mut client = Frames::connect(sidecar.traffic).await;
        for (number, party) in (0_u32..).zip(&parties[..50]) {
            let target = format!("/v1/orgs/{party}/reports");
            let lines = request("GET", &target, &[("authorization", &token)]);
            client.request(2 * number + 1, &lines).await;
        }
        eventually("a question", || pdp.count() > 0).await;
        for number in 0..50 {
            client.send(&Frame::reset(2 * number + 1, 8)).await;
        }
    }
    let idle = async {
        loop {
            let page = exchange(sidecar.admin, ask("GET", "/metrics").bytes()).await.text();
            let is_zero = |name: &str| page.contains(&format!("{name} 0\n"));
            if is_zero("portvakt_pdp_in_flight") && is_zero("portvakt_pdp_queued") {
                return;
            }
        }
    };
    soon("an idle PDP client", idle).await;
    let most = 8 * (4 + 1 + whole_seconds(first));
    assert!(pdp.count() <= most, "{} questions", pdp.count());
    assert_eq!(upstream.accepted(), 0);
    sidecar.end().await;
}

/// Case 59: frames without end on a request that waits: the wait does not keep the flood alive.
#[tokio::test]
async fn a_flood_on_a_request_that_waits_for_the_pdp_ends_it() {
    let (upstream, pdp) = (Server::start(ok()), silent());
    let sidecar = Sidecar::before(&upstream).pdp(&pdp, "20s").open().await;
    let token = bearer();
    let json = [("authorization", token.as_str()), ("content-type", "application/json")];
    let floods = [
        ("empty DATA", Frame::data(1, "")),
        ("padding only", Frame::new(DATA, 8, 1, [5, 0, 0, 0, 0, 0])),
        ("SETTINGS", Frame::settings(&[(3, 100)])),
        ("PING", Frame::ping(*b"pingping")),
        ("WINDOW_UPDATE", Frame::window_update(1, 1)),
        ("PRIORITY", Frame::new(2, 0, 1, [0, 0, 0, 0, 1])),
        ("a type nobody knows", Frame::new(0x42, 0, 1, [0; 8])),
    ];
    for ((name, frame), party) in floods.into_iter().zip(parties(7)) {
        let asked = pdp.count();
        // Another question each time: callers with the same one share the call.
        let target = format!("/v1/orgs/{party}/reports");
        let mut client = Frames::connect(sidecar.traffic).await;
        // A body that streams: nothing of it is needed for the decision.
        client.send(&Frame::headers(1, &request("PUT", &target, &json))).await;
        eventually("the question", || pdp.count() > asked).await;
        let many = frame.bytes().repeat(1000);
        let mut sent = 0_usize;
        while sent < 1_000_000 && client.raw(&many).await {
            sent += 1000;
        }
        client.end().await;
        assert!(sent < 1_000_000, "{name}: it was all taken");
        assert_eq!(upstream.accepted(), 0, "{name}");
        let reply = exchange(sidecar.traffic, ask("GET", "/nowhere").bytes()).await;
        assert_eq!(reply.verdict(), "404 route-unknown", "{name}");
    }
}

/// A head whose lines are all one entry of the dynamic table: a few bytes on the wire, megabytes unpacked.
pub(super) fn bomb(target: &str, references: usize) -> Vec<Frame> {
    let value = vec![b'a'; 4000];
    let mut whole = block(&request("GET", target, &[]));
    // A literal with incremental indexing and a new name (RFC 7541 §6.2.1); its length has three bytes.
    whole.extend([0x40, 1, b'x', 127, 0xa1, 0x1e]);
    whole.extend(value);
    whole.extend(vec![0xbe; references]);
    let mut frames: Vec<Frame> = whole
        .chunks(16_000)
        .enumerate()
        .map(|(at, part)| {
            let (kind, flags) = if at == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
            Frame::new(kind, flags, 1, part)
        })
        .collect();
    frames.last_mut().unwrap().flags |= END_HEADERS;
    frames
}

/// Case 59: compression that multiplies is counted by what it unpacks to.
#[tokio::test]
async fn a_small_head_that_unpacks_to_a_large_one_is_refused() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    // The last two are more than the library reads at all: it says so as it likes.
    for (references, verdicts) in [
        (0, &["200"][..]),
        (5, &["200"]),
        (9, &["431 headers-too-large"]),
        (200, &["431", "goaway 11"]),
        (100_000, &["431", "goaway 11"]),
    ] {
        let mut client = Frames::connect(sidecar.traffic).await;
        for frame in bomb("/public/x", references) {
            client.send(&frame).await;
        }
        let found = client.outcome(1).await.verdict();
        assert!(verdicts.contains(&found.as_str()), "{references}: {found}");
    }
    assert_eq!(upstream.count(), 2);
}

/// Case 60: frames in an order that RFC 9113 §5.1 does not have.
#[tokio::test]
async fn frames_out_of_order_end_the_connection_or_the_stream() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let head = |stream: u32, target| Frame::headers(stream, &request("GET", target, &[])).ends();
    let open = |stream: u32| Frame::headers(stream, &request("POST", "/public/open", &[]));
    let rows: Vec<(&str, Vec<Frame>, &[&str])> = vec![
        ("DATA before HEADERS", vec![Frame::data(1, "x")], &["goaway 1"]),
        ("a reset of what never was", vec![Frame::reset(1, 8)], &["goaway 1"]),
        ("an even stream", vec![head(2, "/public/even")], &["goaway 1"]),
        ("stream 0", vec![head(0, "/public/none")], &["goaway 1"]),
        ("a lower stream", vec![open(5), head(3, "/public/lower")], &["goaway 1", "goaway 5"]),
        ("DATA on stream 0", vec![Frame::data(0, "x")], &["goaway 1"]),
        ("a pushed promise", vec![Frame::new(5, END_HEADERS, 1, [0, 0, 0, 2])], &["goaway 1"]),
        ("CONTINUATION alone", vec![Frame::new(CONTINUATION, END_HEADERS, 1, [])], &["goaway 1"]),
        (
            "another frame within a head",
            vec![Frame::new(HEADERS, END_STREAM, 1, block(&[])), Frame::ping(*b"pingping")],
            &["goaway 1"],
        ),
        ("a frame that is too large", vec![Frame::new(DATA, 0, 1, vec![0; 17_000])], &["goaway 6"]),
        (
            "a table that cannot be",
            vec![Frame::new(HEADERS, 5, 1, [0xff, 0xff, 0xff, 0xff, 0x7f])],
            &["goaway 1", "goaway 9"],
        ),
    ];
    for (name, frames, verdicts) in rows {
        let mut client = Frames::connect(sidecar.traffic).await;
        for frame in &frames {
            client.send(frame).await;
        }
        // Of a stream that nobody opened: what comes is about the connection.
        let found = client.outcome(99).await.verdict();
        assert!(verdicts.contains(&found.as_str()), "{name}: {found}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.head.start.starts_with("POST /public/open")));
    // A stream that is over: what comes behind it is not a second request.
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&head(1, "/public/once")).await;
    assert_eq!(client.outcome(1).await.verdict(), "200");
    client.send(&head(1, "/public/twice")).await;
    client.send(&Frame::data(1, "GET /public/thrice HTTP/1.1\r\n\r\n").ends()).await;
    client.end().await;
    let again = |seen: &&str| seen.contains("twice") || seen.contains("thrice");
    let starts: Vec<String> = upstream.seen().into_iter().map(|seen| seen.head.start).collect();
    assert!(!starts.iter().any(|start| again(&start.as_str())), "{starts:?}");
}

/// Case 60: trailers are lines of their own, without a second head in them, and say nothing in our name.
#[tokio::test]
async fn trailers_carry_no_second_head() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let upload = || {
        let lines = [("te", "trailers"), ("trailer", "x-sum, portvakt-party, authorization")];
        Frame::headers(1, &request("POST", "/public/x", &lines))
    };
    let rows: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("a path", vec![("x-sum", "1"), (":path", "/admin")]),
        ("an upper-case name", vec![("X-Sum", "1")]),
        ("a line end", vec![("x-sum", "1\r\nx-party: 2")]),
        ("connection", vec![("connection", "close")]),
        ("a coding", vec![("transfer-encoding", "chunked")]),
    ];
    for (name, lines) in rows {
        let mut client = Frames::connect(sidecar.traffic).await;
        client.send(&upload()).await;
        client.send(&Frame::data(1, "body")).await;
        client.send(&Frame::headers(1, &lines).ends()).await;
        let outcome = client.outcome(1).await;
        assert_eq!(outcome.reset.or(outcome.goaway), Some(PROTOCOL_ERROR), "{name}: {outcome:?}");
    }
    let mut client = Frames::connect(sidecar.traffic).await;
    client.send(&upload()).await;
    client.send(&Frame::data(1, "body")).await;
    // The library lets pseudo-headers pass that come first, and keeps none.
    let lines = [
        (":method", "DELETE"),
        ("x-sum", "1"),
        ("portvakt-party", "x"),
        ("portvakt_party", "x"),
        ("x-original-url", "/admin"),
        ("x-forwarded-for", "127.0.0.1"),
        ("content-length", "9"),
        ("host", "evil.example"),
        ("authorization", "Bearer x"),
    ];
    client.send(&Frame::headers(1, &lines).ends()).await;
    assert_eq!(client.outcome(1).await.verdict(), "200");
    let bodies: Vec<_> = upstream.seen().into_iter().filter_map(|seen| seen.body).collect();
    let whole: Vec<_> = bodies.iter().filter(|body| body.complete).collect();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].bytes, b"body");
    let named: Vec<&str> = whole[0].trailers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["x-sum"]);
}

/// Case 60: frames of a kind that nobody knows are passed over (RFC 9113 §4.1), in reason.
#[tokio::test]
async fn unknown_frames_change_nothing() {
    let mut ground = Ground::plain().await;
    let token = bearer();
    let mut client = Frames::connect(ground.sidecar.traffic).await;
    for stream in [1_u32, 3] {
        client.send(&Frame::new(0xfa, 0xff, 0, [7; 100])).await;
        let lines = request("GET", READ, &[("authorization", &token)]);
        client.send(&Frame::headers(stream, &lines)).await;
        client.send(&Frame::new(0xfa, 0xff, stream, b"GET /admin HTTP/1.1\r\n\r\n")).await;
        client.send(&Frame::data(stream, "").ends()).await;
        assert_eq!(client.outcome(stream).await.verdict(), "200");
    }
    let read = super::Arrival::of("r1", &format!("GET {READ} HTTP/1.1"));
    let arrived = ground.arrived();
    assert_eq!(arrived.len(), 2);
    for arrived in arrived {
        let lines = |lines: &[String]| {
            let mut lines = lines.to_vec();
            // That a body might have come, and did not.
            lines.retain(|line| {
                !line.starts_with("transfer-encoding") && !line.starts_with("content-length")
            });
            lines
        };
        assert_eq!(lines(&arrived), lines(&read.rendered()));
    }
}

/// An API that writes without end, and counts what is taken.
pub(super) async fn endless() -> (std::net::SocketAddr, Arc<AtomicUsize>, tokio::task::JoinSet<()>)
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let (count, mut tasks) = (Arc::clone(&taken), tokio::task::JoinSet::new());
    tasks.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            connections.spawn(async move {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
                let mut wrote = stream.write_all(head.as_bytes()).await;
                while wrote.is_ok() {
                    wrote = stream.write_all(&[b'x'; 8192]).await;
                    count.fetch_add(8192, Ordering::SeqCst);
                }
            });
        }
    });
    (address, taken, tasks)
}

/// Case 59: a client that asks for much and opens no window. What is taken of the API for it is bounded, and
/// so is the time.
#[tokio::test]
async fn a_client_with_a_closed_window_holds_little_and_not_for_ever() {
    const STREAMS: u32 = 4;
    let (address, taken, _api) = endless().await;
    let unused = Server::start(ok());
    let settings = format!(
        "upstream: {{ url: \"http://{address}\" }}\nserver: {{ limits: {{ body_idle_timeout: 400ms }} }}\n"
    );
    let sidecar = Sidecar::before(&unused).settings(&settings).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    // SETTINGS_INITIAL_WINDOW_SIZE.
    client.send(&Frame::settings(&[(4, 0)])).await;
    for number in 0..STREAMS {
        client.request(2 * number + 1, &request("GET", "/public/large", &[])).await;
    }
    let mut reset = 0;
    while reset < STREAMS {
        let frame = client.next().await.expect("the connection is kept");
        assert!(frame.kind != DATA || frame.payload.is_empty(), "nothing may be sent");
        reset += u32::from(frame.kind == 3);
    }
    // What the sockets of this machine hold by themselves, and some for each stream.
    let bound = usize::try_from(STREAMS).unwrap() * (8 << 20);
    assert!(taken.load(Ordering::SeqCst) < bound, "{} bytes", taken.load(Ordering::SeqCst));
    sidecar.end().await;
}

/// A gRPC call by a client that reads what it is sent.
async fn call(
    address: std::net::SocketAddr,
    path: &str,
    token: Option<&str>,
) -> http::Response<Bytes> {
    let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let mut asked = http::Request::post(format!("http://api.example.no{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    if let Some(token) = token {
        asked = asked.header("authorization", format!("Bearer {token}"));
    }
    // One message: uncompressed, of no bytes.
    let asked = asked.body(Full::new(Bytes::from_static(&[0; 5]))).unwrap();
    let answer = soon("an answer", sender.send_request(asked)).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = soon("the body", body.collect()).await.unwrap();
    assert!(body.trailers().is_none(), "not trailers only");
    http::Response::from_parts(parts, body.to_bytes())
}

/// Case 101: gRPC callers are refused in the form that they read.
#[tokio::test]
async fn a_grpc_call_is_refused_by_status_in_its_only_head() {
    const RULES: &str = "api: grpc
rules:
  - { id: list, match: { method: POST, path: \"/it.Reports/{org}\" }, resource: r-read, action: read, \
      party: path:org, scopes: [\"it:read\"] }
";
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(RULES).open().await;
    let down = {
        let fault = portvakt::pdp::DecisionFault::unavailable("it is down");
        let point = Arc::new(portvakt::pdp::Scripted::always(Err(fault)));
        Sidecar::before(&upstream).rules(RULES).point(point).open().await
    };
    let good = crate::support::token();
    let denied = crate::support::DENIED;
    for (address, path, token, status, code) in [
        (sidecar.traffic, format!("/it.Reports/{denied}"), None, "16", "token-missing"),
        (sidecar.traffic, format!("/it.Reports/{denied}"), Some("x"), "16", "token-malformed"),
        (sidecar.traffic, format!("/it.Reports/{denied}"), Some(&*good), "7", "access-denied"),
        (sidecar.traffic, "/it.Reports/x".to_owned(), Some(&good), "3", "party-invalid"),
        (sidecar.traffic, "/it.Unknown/x".to_owned(), Some(&good), "12", "route-unknown"),
        (down.traffic, format!("/it.Reports/{denied}"), Some(&good), "14", "pdp-unavailable"),
    ] {
        let answer = call(address, &path, token).await;
        let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(answer.status(), 200, "{code}");
        assert_eq!(header("content-type"), Some("application/grpc"), "{code}");
        assert_eq!(header("grpc-status"), Some(status), "{code}");
        assert!(header("grpc-message").is_some_and(|text| text.contains(code)), "{code}");
        assert!(answer.body().is_empty(), "{code}");
    }
    assert_eq!(upstream.accepted(), 0);
    let codes: Vec<_> = sidecar.end().await.all().iter().map(|it| it["code"].clone()).collect();
    let expected =
        ["token-missing", "token-malformed", "access-denied", "party-invalid", "route-unknown"];
    assert_eq!(codes, expected);
}

/// Case 106, over HTTP/2: many streams of one connection, some given up, each with its own answer.
#[tokio::test]
async fn streams_side_by_side_get_each_its_own_answer() {
    let latch = Gate::default();
    let script: Script = {
        let latch = latch.clone();
        Arc::new(move |asked| {
            let line = answer("200 OK", "text/plain", &asked.head.start);
            let mut steps = vec![Step::ReadBody];
            if asked.head.start.contains("slow") {
                steps.push(Step::Wait(latch.clone()));
            }
            steps.push(Step::Send(line));
            steps
        })
    };
    let upstream = Server::start(script);
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Frames::connect(sidecar.traffic).await;
    client.request(1, &request("GET", "/public/slow", &[])).await;
    eventually("the slow one", || upstream.count() == 1).await;
    for number in 1..100_u32 {
        let (stream, target) = (4 * number + 1, format!("/public/{number}"));
        client.request(stream, &request("GET", &target, &[])).await;
        if number % 10 == 0 {
            let given_up = stream + 2;
            client.request(given_up, &request("GET", "/public/given-up", &[])).await;
            client.send(&Frame::reset(given_up, 8)).await;
        }
        let outcome = client.outcome(stream).await;
        assert_eq!(outcome.body, format!("GET {target} HTTP/1.1").into_bytes());
    }
    latch.open();
    assert_eq!(client.outcome(1).await.body, b"GET /public/slow HTTP/1.1");
}
