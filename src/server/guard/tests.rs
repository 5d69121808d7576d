//! The guard and the HTTP library behind it, over a stream in memory. Numbers are those of the list of
//! attacks on framing that the tests of whole exchanges use too.

mod flow;
mod reading;
mod slow;

use super::*;
use crate::domain::{FramingFault, Peer};
use crate::door::Arrival;
use crate::server::accept::Terms;
use crate::server::connection::serve_http1;
use crate::tasks::Tasks;
use FramingFault::{HeadTimeout, HeadTooLarge, Malformed, TargetTooLong, TooManyHeaders};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A request as the service saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    framing: Result<(), FramingFault>,
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    /// `None` if it broke off.
    body: Option<Vec<u8>>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    seen: Vec<Seen>,
    answers: usize,
}

fn limits() -> Limits {
    Limits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        max_header_bytes: 8192,
        max_headers: 16,
        max_target_bytes: 256,
        ..Limits::default()
    }
}

/// With so much room for what is held.
fn terms(room: usize) -> Terms {
    let in_flight = InFlight::new(8);
    let mut terms = Terms::new(limits(), None, in_flight, &Tasks::new(), &CancellationToken::new());
    terms.shared.held = BufferBudget::new(room);
    terms
}

fn lines(map: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// Serves a stream by a service that reads each request whole and answers 200 (400 to faults).
async fn serve(stream: DuplexStream) -> Vec<Seen> {
    serve_under(stream, &terms(16 * 1024)).await
}

async fn serve_under(stream: DuplexStream, terms: &Terms) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let handler = move |arrival: Arrival| {
        let seen = Arc::clone(&noted);
        async move {
            let (parts, body) = arrival.request.into_parts();
            let read = body.collect().await;
            let trailers = read.as_ref().ok().and_then(|read| read.trailers()).map(lines);
            let body = read.ok().map(|read| read.to_bytes().to_vec());
            let ill = arrival.framing.is_err() || body.is_none();
            seen.lock().unwrap().push(Seen {
                framing: arrival.framing,
                line: format!("{} {} {:?}", parts.method, parts.uri, parts.version),
                headers: lines(&parts.headers),
                body,
                trailers: trailers.unwrap_or_default(),
            });
            let mut answer = Response::new(Full::new(Bytes::from_static(b"ok")));
            if ill {
                *answer.status_mut() = StatusCode::BAD_REQUEST;
            }
            answer
        }
    };
    serve_http1(stream, |_| false, Peer::LOCAL, &handler, terms).await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// Sends pieces, each when the one before was read, and then ends.
async fn play(pieces: &[&[u8]]) -> Came {
    let (mut client, server) = duplex(64 * 1024);
    let sending = async {
        for piece in pieces {
            let _ = client.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // What was sent is served before the end of it is seen.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.shutdown().await.unwrap();
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers).await;
        String::from_utf8_lossy(&answers).matches("HTTP/1.").count()
    };
    let (seen, answers) = tokio::join!(serve(server), sending);
    Came { seen, answers }
}

/// What must come of the bytes of a row.
enum Want {
    /// Requests with these bodies.
    Bodies(&'static [&'static str]),
    /// One fault, and nothing else.
    Fault,
    /// A sound head, whose body breaks off.
    Broken,
    /// Nothing, not even an answer.
    Silence,
}
use Want::{Bodies, Broken, Fault, Silence};

fn rows() -> Vec<(&'static str, Vec<u8>, Want)> {
    let get = |lines: &str| format!("GET /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes();
    let post = |lines: &str, rest: &str| {
        format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n{rest}").into_bytes()
    };
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let raw = |bytes: &[u8]| bytes.to_vec();
    vec![
        ("0 plain", get(""), Bodies(&[""])),
        ("0 with a body", post("Content-Length: 2\r\n", "hi"), Bodies(&["hi"])),
        ("0 in chunks", chunked("2\r\nhi\r\n1;a=b;c=\"d;\\\"\"\r\n!\r\n000\r\n\r\n"), Bodies(&["hi!"])),
        ("0 with trailers", chunked("1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"), Bodies(&["a"])),
        ("0 two", [get(""), post("Content-Length: 2\r\n", "hi")].concat(), Bodies(&["", "hi"])),
        ("0 an empty line in front", raw(b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Bodies(&[""])),
        ("0 text outside ASCII", raw(b"GET /a HTTP/1.1\r\nHost: a\r\nX: \xe6\xff\t\r\n\r\n"), Bodies(&[""])),
        ("0 HTTP/1.0", raw(b"POST /a HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"), Bodies(&["hi"])),
        ("11 fragment", raw(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("16 absolute form", raw(b"GET http://a/a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("17 CONNECT", raw(b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 tab in the method", raw(b"GE\tT /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 two blanks", raw(b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 a blank behind the version", raw(b"GET /a HTTP/1.1 \r\nHost: a\r\n\r\n"), Fault),
        ("18 a quote in the query", raw(b"GET /a?b=\"c\" HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 a backtick in the path", raw(b"GET /`a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 the other way about", raw(b"GET /\"a\"?` HTTP/1.1\r\nHost: a\r\n\r\n"), Bodies(&[""])),
        ("18 no version", raw(b"GET /a\r\n\r\n"), Fault),
        ("18 another version", raw(b"GET /a HTTP/1.2\r\nHost: a\r\n\r\n"), Fault),
        ("18 two empty lines", raw(b"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("18 a blank in front", raw(b" GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fault),
        ("27 TLS", raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), Silence),
        ("27 noise", raw(b"\xff\xfe\r\n\r\n"), Silence),
        ("40 blank before the colon", get("Portvakt-Party : x\r\n"), Fault),
        ("46 folded line", get("X: a\r\n b\r\n"), Fault),
        ("46 folded first line", raw(b"GET /a HTTP/1.1\r\n Host: a\r\n\r\n"), Fault),
        ("46 NUL in a value", get("X: a\0b\r\n"), Fault),
        ("46 DEL in a value", get("X: a\x7fb\r\n"), Fault),
        ("46 no name", get(": a\r\n"), Fault),
        ("46 no colon", get("Xa\r\n"), Fault),
        ("46 a quote in a name", get("X\": a\r\n"), Fault),
        ("46 bare LF", raw(b"GET /a HTTP/1.1\nHost: a\n\n"), Fault),
        ("46 bare LF in the last line", raw(b"GET /a HTTP/1.1\r\nHost: a\r\n\n"), Fault),
        ("46 bare CR in a value", get("X: a\rContent-Length: 5\r\n"), Fault),
        ("46 CR CR LF", get("X: a\r\r\n"), Fault),
        ("47 length and coding", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), Fault),
        ("47 coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), Fault),
        ("48 two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "abc"), Fault),
        ("48 equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), Fault),
        ("48 plus", post("Content-Length: +2\r\n", "ab"), Fault),
        ("48 minus", post("Content-Length: -2\r\n", "ab"), Fault),
        ("48 list", post("Content-Length: 2,2\r\n", "ab"), Fault),
        ("48 hexadecimal", post("Content-Length: 0x2\r\n", "ab"), Fault),
        ("48 a blank behind", post("Content-Length:  2 \r\n", "ab"), Fault),
        ("48 a tab in front", post("Content-Length:\t2\r\n", "ab"), Fault),
        ("48 empty", post("Content-Length:\r\n", ""), Fault),
        ("48 too large", post("Content-Length: 9223372036854775808\r\n", ""), Fault),
        ("48 underscore", post("Content_Length: 2\r\n", "ab"), Fault),
        ("48 dot", post("content.length: 2\r\n", "ab"), Fault),
        ("49 tab", post("Transfer-Encoding: chunked\t\r\n", "0\r\n\r\n"), Fault),
        ("49 xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), Fault),
        ("49 list", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), Fault),
        ("49 list the other way", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), Fault),
        ("49 twice", post("Transfer-Encoding: Chunked\r\nTransfer-Encoding: Chunked\r\n", "0\r\n\r\n"), Fault),
        ("49 vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), Fault),
        ("49 identity", post("Transfer-Encoding: identity\r\n", ""), Fault),
        ("49 underscore", post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n"), Fault),
        ("49 dot", post("transfer.encoding: chunked\r\n", "0\r\n\r\n"), Fault),
        ("49 in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"), Bodies(&[""])),
        ("50 HTTP/1.0 with a coding", raw(b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Fault),
        ("51 size overflows", chunked("FFFFFFFFFFFFFFFFF\r\na"), Broken),
        ("51 size is negative to some", chunked("FFFFFFFFFFFFFFFF\r\na"), Broken),
        ("51 seventeen digits", chunked("00000000000000001\r\na\r\n0\r\n\r\n"), Broken),
        ("51 no size", chunked("\r\n\r\n"), Broken),
        ("51 prefix", chunked("0x1\r\na\r\n0\r\n\r\n"), Broken),
        ("51 blank behind the size", chunked("1 \r\na\r\n0\r\n\r\n"), Broken),
        ("51 bare LF behind the size", chunked("1\na\r\n0\r\n\r\n"), Broken),
        ("51 bare LF behind the data", chunked("1\r\na\n0\r\n\r\n"), Broken),
        ("51 data longer than the size", chunked("1\r\nab\r\n0\r\n\r\n"), Broken),
        ("51 bare LF in an extension", chunked("1;a\nb\r\na\r\n0\r\n\r\n"), Broken),
        ("51 bare CR in an extension", chunked("1;a\rb\r\na\r\n0\r\n\r\n"), Broken),
        ("51 empty extension", chunked("1;\r\na\r\n0\r\n\r\n"), Broken),
        ("51 open quote", chunked("1;a=\"b\r\na\r\n0\r\n\r\n"), Broken),
        ("51 large extension", chunked(&format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(5000))), Broken),
        ("51 many extensions", chunked(&"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n".repeat(200)), Broken),
        ("51 trailer frames", chunked("0\r\nContent-Length: 5\r\n\r\n"), Broken),
        ("51 trailer frames under another name", chunked("0\r\nTransfer_Encoding: chunked\r\n\r\n"), Broken),
        ("51 trailer addresses", chunked("0\r\nHOST: b\r\n\r\n"), Broken),
        ("51 trailer without a colon", chunked("0\r\nabc\r\n\r\n"), Broken),
        ("51 folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n"), Broken),
        ("51 bare LF in the trailers", chunked("0\r\nA: b\n\r\n"), Broken),
        ("51 large trailers", chunked(&format!("0\r\nA: {}\r\n\r\n", "a".repeat(9000))), Broken),
        ("51 many trailers", chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(17))), Broken),
        ("53 a body of a GET is a body", raw(b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /b HTTP/1.1\r\nHost: b"), Broken),
        ("53 all of it", raw(b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\nGET /b HTTP/1.1"), Bodies(&["GET /b HTTP/1.1"])),
    ]
}

fn judge(case: &str, came: &Came, want: &Want) {
    let framings: Vec<_> = came.seen.iter().map(|seen| seen.framing).collect();
    let right = match want {
        Bodies(bodies) => {
            let read: Vec<_> = came.seen.iter().map(|seen| seen.body.as_deref()).collect();
            let wanted: Vec<_> = bodies.iter().map(|body| Some(body.as_bytes())).collect();
            framings.iter().all(Result::is_ok) && read == wanted && came.answers == bodies.len()
        }
        Fault => matches!(framings[..], [Err(Malformed(_))]) && came.answers == 1,
        Broken => framings == [Ok(())] && came.seen[0].body.is_none(),
        Silence => framings.is_empty() && came.answers == 0,
    };
    assert!(right, "{case}: {came:?}");
}

#[tokio::test(start_paused = true)]
async fn each_head_and_body_has_one_reading_or_is_a_fault() {
    for (case, bytes, want) in rows() {
        judge(case, &play(&[&bytes]).await, &want);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pieces_that_bytes_come_in_change_nothing() {
    for (case, bytes, want) in rows() {
        if bytes.len() > 1000 {
            continue;
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        judge(case, &play(&single).await, &want);
        let whole = play(&[&bytes]).await;
        for at in 1..bytes.len() {
            let (front, back) = bytes.split_at(at);
            assert_eq!(play(&[front, back]).await, whole, "{case}, cut at {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sizes_and_counts_are_bounded_to_the_byte() {
    let head = |target: usize, value: usize| {
        let target = "a".repeat(target - 1);
        format!("GET /{target} HTTP/1.1\r\nX: {}\r\n\r\n", "b".repeat(value)).into_bytes()
    };
    let fixed = head(1, 0).len();
    let counted =
        |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count)).into_bytes();
    for (bytes, want) in [
        (head(256, 0), Ok(())),
        (head(257, 0), Err(TargetTooLong(256))),
        (head(1, 8192 - fixed), Ok(())),
        (head(1, 8193 - fixed), Err(HeadTooLarge(8192))),
        (head(1, 20_000), Err(HeadTooLarge(8192))),
        (head(20_000, 1), Err(TargetTooLong(256))),
        (vec![b'a'; 8193], Err(TargetTooLong(256))),
        ([b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 9000]].concat(), Err(HeadTooLarge(8192))),
        (counted(16), Ok(())),
        (counted(17), Err(TooManyHeaders(16))),
    ] {
        let pieces: Vec<_> = bytes.chunks(1000).collect();
        for pieces in [&pieces[..], &[&bytes]] {
            let came = play(pieces).await;
            let framings: Vec<_> = came.seen.iter().map(|seen| seen.framing).collect();
            assert_eq!(framings, [want], "{}", String::from_utf8_lossy(&bytes[..20]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_what_shapes_it_and_nothing_else() {
    let came = play(&[b"HEAD /a HTTP/1.1\r\nHost: a\r\nAccept-Language: nn, nb;q=0.5\r\nX-Request-Id: a/b\r\nAuthorization: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"]).await;
    let seen = &came.seen[0];
    assert_eq!(seen.line, "HEAD / HTTP/1.1");
    let kept: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(kept, ["connection", "accept-language"]);
}

/// A client of a served stream, and what the service told of it.
async fn with_client<T>(client: impl AsyncFnOnce(&mut DuplexStream) -> T) -> (Vec<Seen>, T) {
    let (mut near, far) = duplex(64 * 1024);
    let playing = async move {
        let came = client(&mut near).await;
        drop(near);
        came
    };
    tokio::join!(serve(far), playing)
}

async fn answer(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        match client.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(answer).unwrap()
}

/// A guard in the hands of a library that never comes to its answer.
fn waiting(head: &[u8]) -> (Guard<DuplexStream>, Verdicts, DuplexStream) {
    let (client, server) = duplex(64 * 1024);
    let (guarded, verdicts) = guard(
        (server, |_| false),
        Opening::of(head.to_vec(), true),
        GuardLimits::from(&limits()),
        Shared::new(InFlight::new(8)),
    );
    (guarded, verdicts, client)
}
