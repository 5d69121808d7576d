//! Cases 47 to 57: where a request ends.
//!
//! Most rows carry a request in the place where another reader would find one. It is for a public rule, so
//! that it would be forwarded if it were ever read as one.

use super::{Arrival, Case, Ground, MISFRAMED, Want, case};
use crate::support::{Ask, Client, DENIED, Gate, READ, Step, WRITE, always, ask, eventually, ok};
use std::time::Duration;
use tokio::time::Instant;

const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: api.example.no\r\n\r\n";
const START: &str = "POST /public/x HTTP/1.1";
const GOOD: &str = r#"{"orgnr":"312714051"}"#;

/// A public request with these lines and this behind its head.
fn post(lines: &str, behind: &str) -> Vec<u8> {
    post_bytes(lines.as_bytes(), behind)
}

fn post_bytes(lines: &[u8], behind: &str) -> Vec<u8> {
    let head = [START.as_bytes(), b"\r\nHost: api.example.no\r\n", lines, b"\r\n"];
    [head.concat(), behind.as_bytes().to_vec()].concat()
}

fn arrives() -> Arrival {
    Arrival::public("public", START)
}

#[tokio::test]
async fn a_length_and_a_transfer_coding_exclude_each_other() {
    let chunks = format!("0\r\n\r\n{SMUGGLED}");
    let (all, four) = (format!("Content-Length: {}", chunks.len()), "Content-Length: 4");
    let coding = "Transfer-Encoding: chunked";
    let mut cases = Vec::new();
    for length in [all.as_str(), four, "Content-Length: 0", "content-length: 4", "CONTENT-LENGTH:4"]
    {
        for coding in [
            coding,
            "transfer-encoding: chunked",
            "TRANSFER-ENCODING: Chunked",
            "Transfer-Encoding:chunked",
        ] {
            let name = format!("{length}, {coding}");
            let either = [format!("{length}\r\n{coding}\r\n"), format!("{coding}\r\n{length}\r\n")];
            for (order, lines) in ["length first", "coding first"].into_iter().zip(either) {
                cases.push(case(47, format!("{name}, {order}"), post(&lines, &chunks), MISFRAMED));
            }
        }
    }
    for (name, lines) in [
        ("far apart", format!("{four}\r\n{}{coding}\r\n", "X: 1\r\n".repeat(50))),
        ("the length between two codings", format!("{coding}\r\n{four}\r\n{coding}\r\n")),
        ("the coding between two lengths", format!("{four}\r\n{coding}\r\n{four}\r\n")),
        ("named by Connection", format!("{four}\r\n{coding}\r\nConnection: transfer-encoding\r\n")),
        ("a length like another name", format!("Content_Length: 4\r\n{coding}\r\n")),
        ("a length with a dot", format!("Content.Length: 4\r\n{coding}\r\n")),
        ("a coding like another name", format!("{four}\r\nTransfer_Encoding: chunked\r\n")),
        ("a coding with a dot", format!("{four}\r\nTransfer.Encoding: chunked\r\n")),
        ("a length with a blank", format!("Content-Length : 4\r\n{coding}\r\n")),
        ("a coding with a blank", format!("{four}\r\nTransfer-Encoding : chunked\r\n")),
        ("a coding with a tab", format!("{four}\r\nTransfer-Encoding\t: chunked\r\n")),
        ("a folded coding", format!("{four}\r\nTransfer-Encoding:\r\n chunked\r\n")),
        (
            "a coding folded to the line before",
            format!("{four}\r\nX: 1\r\n Transfer-Encoding: chunked\r\n"),
        ),
        (
            "a coding behind a bare line feed",
            format!("{four}\r\nX: 1\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "a coding behind a bare carriage return",
            format!("{four}\r\nX: 1\rTransfer-Encoding: chunked\r\n"),
        ),
        ("a coding behind NUL", format!("{four}\r\nX: 1\0Transfer-Encoding: chunked\r\n")),
        ("a coding that is none", format!("{four}\r\nTransfer-Encoding: identity\r\n")),
        ("an empty coding", format!("{four}\r\nTransfer-Encoding:\r\n")),
    ] {
        cases.push(case(47, name, post(&lines, &chunks), MISFRAMED));
    }
    // Under a rule that would refuse: the framing is judged first.
    let refused = ask("POST", WRITE).header("Content-Length", "4").chunked(b"", "");
    cases.push(case(47, "without a token", refused.bytes(), MISFRAMED));
    let get = ask("GET", "/v1/open").bearer().header("Content-Length", "4").chunked(b"", "");
    cases.push(case(47, "of a GET", get.bytes(), MISFRAMED));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_length_is_one_number() {
    let mut cases = Vec::new();
    for (name, lines) in [
        ("two", "Content-Length: 0\r\nContent-Length: 5\r\n"),
        ("two, the other way", "Content-Length: 5\r\nContent-Length: 0\r\n"),
        ("two equal ones", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("two of nothing", "Content-Length: 0\r\nContent-Length: 0\r\n"),
        ("two in two cases", "Content-Length: 5\r\ncontent-length: 6\r\n"),
        ("one and an empty one", "Content-Length: 5\r\nContent-Length:\r\n"),
        ("an alias", "Content_Length: 5\r\n"),
        ("one and an alias", "Content-Length: 0\r\nContent_Length: 55\r\n"),
        ("a blank before the colon", "Content-Length : 5\r\n"),
        ("folded", "Content-Length:\r\n 5\r\n"),
        ("folded in two", "Content-Length: 5\r\n 5\r\n"),
        ("ended by a bare line feed", "Content-Length: 5\n"),
    ] {
        cases.push(case(48, format!("lines: {name}"), post(lines, SMUGGLED), MISFRAMED));
    }
    for value in [
        "+5",
        "-5",
        "-0",
        "+0",
        "5,5",
        "5, 5",
        "0, 5",
        "5;5",
        "0x5",
        "0X5",
        "5h",
        "x",
        "5 5",
        "5\t5",
        "5 ",
        "5\t",
        "",
        "5.0",
        "5.",
        ".5",
        "5e0",
        "1_0",
        "1'000",
        "\"5\"",
        "five",
        "99999999999999999999999",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775808",
        "-1",
        "5\u{a0}",
        "\u{665}",
        "5\u{0}",
        "5\u{b}",
        "\u{b}5",
        "\u{c}5",
        "5\u{1}",
        "%35",
        "5%",
        "0b1",
        "0o5",
        "NaN",
    ] {
        let lines = format!("Content-Length: {value}\r\n");
        cases.push(case(48, format!("the value {value:?}"), post(&lines, SMUGGLED), MISFRAMED));
    }
    for (lines, length) in [
        ("Content-Length: 5\r\n", "5"),
        ("content-length:5\r\n", "5"),
        ("CONTENT-LENGTH:    5\r\n", "5"),
    ] {
        let arrives = arrives().body("hello").with("content-length", length);
        cases.push(case(48, format!("sound: {lines:?}"), post(lines, "hello"), arrives));
    }
    cases.push(case(48, "nothing", post("Content-Length: 0\r\n", ""), arrives().body("")));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn the_transfer_coding_is_chunked_and_nothing_else() {
    let body = format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
    let mut cases = Vec::new();
    for value in [
        "chunked\t",
        "chunked ",
        "\tchunked",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked x",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "chunked,chunked",
        ",chunked",
        "chunked,",
        ", chunked ,",
        "gzip, chunked",
        "gzip",
        "identity",
        "deflate",
        "compress",
        "",
        " ",
        "\u{b}chunked",
        "chunked\u{b}",
        "\u{c}chunked",
        "\0chunked",
        "chunked\0",
        "chun\0ked",
        "chunked;q=1",
        "chunked; x",
        "\"chunked\"",
        "'chunked'",
        "chunk",
        "chun ked",
        "cow",
        "chunked\u{a0}",
        "\u{a0}chunked",
        "\u{ff}chunked",
        "ch\u{fc}nked",
        "\u{17f}hunked",
        "chun\u{212a}ed",
        "chunked\u{7f}",
        "[chunked]",
        "chunked=1",
        ":chunked",
        "chunked:",
        "\r\n chunked",
        "chunked\r\n x",
        "x\r\n chunked",
        "chunked\r",
        "\rchunked",
        "chunked\n",
        "\nchunked",
        "\u{1b}chunked",
    ] {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        cases.push(case(49, format!("the value {value:?}"), post(&lines, &body), MISFRAMED));
    }
    for (name, lines) in [
        ("twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("in two cases", "Transfer-Encoding: chunked\r\ntransfer-encoding: Chunked\r\n"),
        ("and another", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("and another before", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"),
        ("and gzip before", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        ("and an empty one", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"),
        ("a blank before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a tab before the colon", "Transfer-Encoding\t: chunked\r\n"),
        ("a blank before the name", " Transfer-Encoding: chunked\r\n"),
        ("a blank in the name", "Transfer Encoding: chunked\r\n"),
        ("an alias", "Transfer_Encoding: chunked\r\n"),
        ("another alias", "Transfer.Encoding: chunked\r\n"),
        ("no colon", "Transfer-Encoding chunked\r\n"),
        ("two colons", "Transfer-Encoding:: chunked\r\n"),
        ("behind NUL", "X: 1\0\r\nTransfer-Encoding: chunked\r\n"),
        ("a name with NUL", "Transfer-Encoding\0: chunked\r\n"),
        ("a name with a byte order mark", "\u{feff}Transfer-Encoding: chunked\r\n"),
        ("ended by a bare line feed", "Transfer-Encoding: chunked\n"),
        ("ended by a bare carriage return", "Transfer-Encoding: chunked\rX: 1\r\n"),
    ] {
        cases.push(case(49, format!("lines: {name}"), post(lines, &body), MISFRAMED));
    }
    cases.push(case(
        49,
        "in Latin-1",
        post_bytes(b"Transfer-Encoding: \xa0chunked\r\n", &body),
        MISFRAMED,
    ));
    for line in
        ["Transfer-Encoding: chunked", "transfer-encoding:chunked", "TRANSFER-ENCODING: CHUNKED"]
    {
        let sent = post(&format!("{line}\r\n"), "5\r\nhello\r\n0\r\n\r\n");
        cases.push(case(49, format!("sound: {line}"), sent, arrives().chunked("hello", &[])));
    }
    let old = |lines: &str, behind: &str| {
        format!("POST /public/x HTTP/1.0\r\nHost: api.example.no\r\n{lines}\r\n{behind}")
            .into_bytes()
    };
    cases.extend([
        case(50, "a coding", old("Transfer-Encoding: chunked\r\n", &body), MISFRAMED),
        case(
            50,
            "a coding, kept alive",
            old("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", &body),
            MISFRAMED,
        ),
        case(
            50,
            "a coding and a length",
            old("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &body),
            MISFRAMED,
        ),
        case(50, "an unknown coding", old("Transfer-Encoding: x\r\n", &body), MISFRAMED),
        case(50, "a length", old("Content-Length: 5\r\n", "hello"), arrives().body("hello")),
        case(50, "nothing", old("", ""), arrives()),
        case(
            50,
            "a length, kept alive",
            old("Connection: keep-alive\r\nContent-Length: 5\r\n", "hello"),
            arrives().body("hello"),
        ),
    ]);
    Ground::plain().await.play(cases).await;
}

/// To R2, which reads its body before it judges, with these chunks.
fn chunks(raw: &str) -> Vec<u8> {
    let asked = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
    [asked.header("Transfer-Encoding", "chunked").head(), raw.as_bytes().to_vec()].concat()
}

/// Chunks that are not as RFC 9112 §7.1 has them. In each, some server finds the smuggled request.
fn broken_chunks() -> Vec<(&'static str, String)> {
    let sized = |size: &str| format!("{size}\r\n{GOOD}\r\n0\r\n\r\n{SMUGGLED}");
    let ended = |end: &str| format!("15\r\n{GOOD}\r\n{end}{SMUGGLED}");
    vec![
        ("a size beyond 64 bits", sized("FFFFFFFFFFFFFFFFF")),
        ("a size of 64 bits and one", sized("10000000000000015")),
        ("a size that is negative if signed", sized("FFFFFFFFFFFFFFEB")),
        ("a size with very many zeros", sized(&format!("{}15", "0".repeat(4000)))),
        ("no size", sized("")),
        ("a size that is no number", sized("x")),
        ("a size with a sign", sized("+15")),
        ("a negative size", sized("-15")),
        ("a size with a prefix", sized("0x15")),
        ("a size with a suffix", sized("15h")),
        ("a size with an underscore", sized("1_5")),
        ("a size in quotes", sized("\"15\"")),
        ("a blank before the size", sized(" 15")),
        ("a tab before the size", sized("\t15")),
        ("a blank behind the size", sized("15 ")),
        ("a tab behind the size", sized("15\t")),
        ("a blank before an extension", sized("15 ;x")),
        ("a comma behind the size", sized("15,")),
        ("NUL behind the size", sized("15\0")),
        ("an extension without a semicolon", sized("15 x=1")),
        ("a bare line feed behind the size", format!("15\n{GOOD}\r\n0\r\n\r\n{SMUGGLED}")),
        ("a bare carriage return behind the size", format!("15\r{GOOD}\r\n0\r\n\r\n{SMUGGLED}")),
        ("two carriage returns behind the size", format!("15\r\r\n{GOOD}\r\n0\r\n\r\n{SMUGGLED}")),
        ("a bare line feed in an extension", sized("15;x\nx")),
        ("a bare carriage return in an extension", sized("15;x\rx")),
        ("a line feed in a quoted extension", sized("15;x=\"\n\"")),
        ("a line end in a quoted extension", sized("15;x=\"\r\n\"")),
        ("NUL in an extension", sized("15;x\0")),
        ("an extension of a megabyte", sized(&format!("15;{}", "x".repeat(1 << 20)))),
        ("a bare line feed behind a chunk", format!("15\r\n{GOOD}\n0\r\n\r\n{SMUGGLED}")),
        ("a bare carriage return behind a chunk", format!("15\r\n{GOOD}\r0\r\n\r\n{SMUGGLED}")),
        ("nothing behind a chunk", format!("15\r\n{GOOD}0\r\n\r\n{SMUGGLED}")),
        ("a chunk that is longer than it says", format!("15\r\n{GOOD}x\r\n0\r\n\r\n{SMUGGLED}")),
        ("two other bytes behind a chunk", format!("15\r\n{GOOD}XX0\r\n\r\n{SMUGGLED}")),
        ("a bare line feed behind the last", ended("0\n\r\n")),
        ("two bare line feeds at the end", ended("0\n\n")),
        ("a bare line feed at the end", ended("0\r\n\n")),
        ("a bare carriage return at the end", ended("0\r\n\r")),
        ("a folded trailer", ended("0\r\nx: 1\r\n 2\r\n\r\n")),
        ("a trailer without a colon", ended("0\r\nx\r\n\r\n")),
        ("a trailer without a name", ended("0\r\n: x\r\n\r\n")),
        ("a blank in a trailer's name", ended("0\r\nx : 1\r\n\r\n")),
        ("NUL in a trailer", ended("0\r\nx: \0\r\n\r\n")),
        ("a bare line feed in a trailer", ended("0\r\nx: 1\ny: 2\r\n\r\n")),
        ("a length in the trailers", ended("0\r\nContent-Length: 5\r\n\r\n")),
        ("a coding in the trailers", ended("0\r\nTransfer-Encoding: chunked\r\n\r\n")),
        ("far too many trailers", ended(&format!("0\r\n{}\r\n", "x: 1\r\n".repeat(1000)))),
        ("far too large a trailer", ended(&format!("0\r\nx: {}\r\n\r\n", "a".repeat(100_000)))),
    ]
}

#[tokio::test]
async fn chunks_are_read_in_one_way_only() {
    let broken = broken_chunks().into_iter();
    let mut cases: Vec<Case> =
        broken.map(|(name, raw)| case(51, name, chunks(&raw), MISFRAMED)).collect();
    let arrives = Arrival::of("r2", &format!("POST {WRITE} HTTP/1.1"))
        .line("content-type: application/json")
        .body(GOOD);
    // It is legal, and no server whose numbers have 32 bits may take it for a small one.
    let wrapping = chunks(&format!("100000015\r\n{GOOD}\r\n0\r\n\r\n{}", SMUGGLED.repeat(100)));
    let too_large = Want::Severed(413, "body-too-large");
    cases.push(case(51, "a size that wraps in 32 bits", wrapping, too_large));
    let (one, two) = GOOD.split_at(5);
    for (name, raw) in [
        ("one chunk", format!("15\r\n{GOOD}\r\n0\r\n\r\n")),
        ("two chunks", format!("5\r\n{one}\r\n10\r\n{two}\r\n0\r\n\r\n")),
        ("leading zeros", format!("0005\r\n{one}\r\n00000010\r\n{two}\r\n000\r\n\r\n")),
        ("an extension", format!("15;a=b\r\n{GOOD}\r\n0;c\r\n\r\n")),
        ("a quoted extension", format!("15;a=\"b; c=d\"\r\n{GOOD}\r\n0\r\n\r\n")),
    ] {
        cases.push(case(51, format!("sound: {name}"), chunks(&raw), arrives.clone()));
    }
    Ground::plain().await.play(cases).await;
}

/// Case 51: a body that streams breaks off at the fault, so that the API sees that it is not whole.
#[tokio::test]
async fn broken_chunks_that_stream_never_arrive_whole() {
    for (name, raw) in broken_chunks() {
        let ground = Ground::plain().await;
        let mut client = Client::connect(ground.sidecar.traffic).await;
        client.send(post("Transfer-Encoding: chunked\r\n", &raw)).await;
        let verdict = client.reply().await.verdict();
        assert!(["400 malformed-request", "0"].contains(&verdict.as_str()), "{name}: {verdict}");
        assert_eq!(client.rest().await, "", "{name}");
        let api = &ground.api;
        eventually("the end of the exchange", || api.ended() == api.accepted()).await;
        assert!(api.count() < 2, "{name}");
        let whole = |bytes: &[u8]| bytes.windows(7).any(|part| part == b"\r\n0\r\n\r\n");
        for transcript in api.transcripts() {
            assert!(!whole(&transcript), "{name}: {}", transcript.escape_ascii());
            let text = String::from_utf8_lossy(&transcript).into_owned();
            assert!(!text.contains("smuggled"), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn what_follows_a_refusal_with_an_unread_body_is_never_a_request() {
    let put = |target: &str| ask("PUT", target);
    let denied = format!("/v1/orgs/{DENIED}/reports");
    let mut cases = Vec::new();
    for (name, asked, status, code) in [
        ("no token", ask("POST", WRITE), 401, "token-missing"),
        ("a bad token", ask("POST", WRITE).token("x"), 401, "token-malformed"),
        ("no rule", ask("POST", "/nowhere"), 404, "route-unknown"),
        ("no such method", put(READ).bearer(), 405, "method-not-allowed"),
        ("dots", put("/v1/../x"), 400, "ambiguous-path"),
        (
            "another type",
            ask("POST", WRITE).bearer().header("Content-Type", "text/plain"),
            415,
            "unsupported-body",
        ),
        ("denied", ask("GET", &denied).bearer(), 403, "access-denied"),
        ("no host", ask("POST", "/public/x").header("Host", "b"), 400, "malformed-request"),
        (
            "an expectation",
            ask("POST", "/public/x").header("Expect", "x"),
            417,
            "expectation-failed",
        ),
    ] {
        let want = Want::Severed(status, code);
        let tail = SMUGGLED.as_bytes();
        let sized = |asked: Ask| [asked.body(tail).bytes(), tail.to_vec()].concat();
        let chunked = |asked: Ask| [asked.chunked(tail, "").bytes(), tail.to_vec()].concat();
        let short = asked.clone().header("Content-Length", "4000").head();
        cases.extend([
            case(52, format!("{name}, with a length"), sized(asked.clone()), want.clone()),
            case(52, format!("{name}, in chunks"), chunked(asked), want.clone()),
            case(52, format!("{name}, with a body that never comes"), short, want),
        ]);
    }
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_body_that_looks_like_a_request_is_a_body() {
    let mut cases = Vec::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "FETCH"] {
        let asked = ask(method, "/public/x");
        let arrival = Arrival::public("public", &format!("{method} /public/x HTTP/1.1"));
        let sized = asked.clone().body(SMUGGLED.as_bytes());
        cases.push(case(
            53,
            format!("{method} with a length"),
            sized.bytes(),
            arrival.clone().body(SMUGGLED),
        ));
        let chunked = asked.clone().chunked(SMUGGLED.as_bytes(), "");
        cases.push(case(
            53,
            format!("{method} in chunks"),
            chunked.bytes(),
            arrival.clone().chunked(SMUGGLED, &[]),
        ));
        cases.push(case(
            53,
            format!("{method} with an empty one"),
            asked.body(b"").bytes(),
            arrival.body(""),
        ));
    }
    let judged = ask("GET", READ).bearer().body(SMUGGLED.as_bytes());
    let arrives = Arrival::of("r1", &format!("GET {READ} HTTP/1.1")).body(SMUGGLED);
    cases.push(case(53, "under R1", judged.bytes(), arrives));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_refusal_comes_without_an_interim_answer() {
    let expecting =
        |asked: Ask| asked.header("Expect", "100-continue").header("Content-Length", "5").head();
    let denied = format!("/v1/orgs/{DENIED}/reports");
    let judged = || ask("POST", WRITE).bearer();
    let severed = |status, code| Want::Severed(status, code);
    let failed = || severed(417, "expectation-failed");
    let mut cases = vec![
        case(54, "no token", expecting(ask("POST", WRITE)), severed(401, "token-missing")),
        case(54, "denied", expecting(ask("GET", &denied).bearer()), severed(403, "access-denied")),
        case(54, "no rule", expecting(ask("PUT", "/nowhere")), severed(404, "route-unknown")),
        case(54, "no type", expecting(judged()), severed(415, "unsupported-body")),
        case(
            54,
            "too large",
            {
                let asked = judged()
                    .header("Content-Type", "application/json")
                    .header("Expect", "100-continue");
                asked.header("Content-Length", "4097").head()
            },
            severed(413, "body-too-large"),
        ),
    ];
    for value in [
        "x",
        "100-continue, x",
        "x, 100-continue",
        "100-continue;q=1",
        "",
        "100",
        "100-Continue, 100-continue",
        "\"100-continue\"",
    ] {
        let asked = ask("POST", "/public/x").header("Expect", value).header("Content-Length", "5");
        cases.push(case(54, format!("`{value}`"), asked.head(), failed()));
    }
    let twice = ask("POST", "/public/x").header("Expect", "100-continue").header("expect", "x");
    cases.push(case(54, "two lines", twice.header("Content-Length", "5").head(), failed()));
    cases.push(case(
        54,
        "of a GET without a body",
        ask("GET", "/public/x").header("Expect", "x").bytes(),
        Want::Refused(417, "expectation-failed"),
    ));
    Ground::plain().await.play(cases).await;
}

/// Case 54: where the request is permitted, the interim answer comes after the decision, and only once.
#[tokio::test]
async fn an_interim_answer_comes_after_the_decision() {
    let mut ground = Ground::plain().await;
    for (name, expect) in [("as usual", "100-continue"), ("in capitals", "100-CONTINUE")] {
        let asked_before = ground.point.asked().len();
        let mut client = Client::connect(ground.sidecar.traffic).await;
        let asked = ask("GET", READ).bearer().header("Expect", expect);
        client.send(asked.header("Content-Length", "5").head()).await;
        let interim = client.head().await.unwrap();
        assert!(interim.start.starts_with("HTTP/1.1 100"), "{name}: {}", interim.start);
        if name == "as usual" {
            assert_eq!(ground.point.asked().len(), asked_before + 1, "the PDP is asked first");
        }
        client.send("hello").await;
        assert_eq!(client.reply().await.status, 200, "{name}");
        let arrival = Arrival::of("r1", &format!("GET {READ} HTTP/1.1")).body("hello");
        assert_eq!(ground.arrived(), [arrival.rendered()], "{name}");
    }
    // Where the rule reads the body, the interim answer comes before the decision, but after all that can
    // be judged without the body.
    let mut client = Client::connect(ground.sidecar.traffic).await;
    let asked = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
    let body = GOOD.replace("312714051", DENIED);
    let length = body.len().to_string();
    client
        .send(asked.header("Expect", "100-continue").header("Content-Length", &length).head())
        .await;
    assert!(client.head().await.unwrap().start.starts_with("HTTP/1.1 100"));
    client.send(body).await;
    assert_eq!(client.reply().await.verdict(), "403 access-denied");
    // HTTP/1.0 knows no interim answers (RFC 9110 §10.1.1).
    let old = "POST /public/x HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    let mut client = Client::connect(ground.sidecar.traffic).await;
    client.send(old).await;
    assert_eq!(client.reply().await.status, 200);
    let arrival = arrives().host("a").body("hello");
    assert_eq!(ground.arrived(), [arrival.rendered()]);
}

const WEBSOCKET: &str = "GET /v1/socket HTTP/1.1\r\nHost: api.example.no\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Case 55: what a client sends behind an upgrade stays here until the API has agreed to it.
#[tokio::test]
async fn early_data_of_an_upgrade_waits_for_the_agreement() {
    let rules = "
  - id: socket
    match: { method: GET, path: /v1/socket }
    protection: public
    upgrade: [websocket]
";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for (name, status) in [
        ("200", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ("403", "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
        ("426", "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n"),
    ] {
        for early in ["\u{1}\u{5}early", SMUGGLED] {
            let mut ground = Ground::new(rules, "").await;
            ground.api.play(always(vec![Step::ReadBody, Step::Send(status.into())]));
            let mut client = Client::connect(ground.sidecar.traffic).await;
            client.send(format!("{WEBSOCKET}\r\n{early}")).await;
            assert_eq!(client.reply().await.status.to_string(), name);
            // It was meant for another protocol: not even a whole request among it is read as one.
            assert_eq!(client.rest().await, "");
            assert_eq!(ground.arrived().len(), 1);
        }
    }
    // Until the API agrees, not one byte of what follows; afterwards every byte.
    let ground = Ground::new(rules, "").await;
    let gate = Gate::default();
    ground.api.play(always(vec![
        Step::Wait(gate.clone()),
        Step::Send(switching.into()),
        Step::Hold,
    ]));
    let mut client = Client::connect(ground.sidecar.traffic).await;
    client.send(format!("{WEBSOCKET}\r\nearly")).await;
    eventually("the request", || ground.api.count() == 1).await;
    let so_far = || ground.api.transcripts().concat();
    assert!(so_far().ends_with(b"\r\n\r\n"), "{}", so_far().escape_ascii());
    gate.open();
    assert!(client.head().await.unwrap().start.starts_with("HTTP/1.1 101"));
    eventually("the early bytes", || so_far().ends_with(b"\r\n\r\nearly")).await;
}

#[tokio::test]
async fn an_upgrade_that_no_rule_allows_is_an_ordinary_request() {
    let start = "GET /public/x HTTP/1.1";
    let arrives = || Arrival::public("public", start);
    let with = |lines: &str| format!("{start}\r\nHost: api.example.no\r\n{lines}\r\n").into_bytes();
    let h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let mut cases = vec![case(
        55,
        "websocket",
        {
            WEBSOCKET
                .replace("/v1/socket", "/public/x")
                .into_bytes()
                .into_iter()
                .chain(*b"\r\n")
                .collect::<Vec<u8>>()
        },
        arrives()
            .line("sec-websocket-version: 13")
            .line("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="),
    )];
    for (name, lines) in [
        ("as curl asks", format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}")),
        ("without Connection", h2c.to_owned()),
        ("in another case", format!("connection: upgrade\r\n{}", h2c.replace("h2c", "H2C"))),
        (
            "beside websocket",
            format!("Connection: Upgrade\r\n{}", h2c.replace("h2c", "websocket, h2c")),
        ),
        ("in two lines", format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{h2c}")),
        ("without settings", "Connection: Upgrade\r\nUpgrade: h2c\r\n".to_owned()),
        (
            "two settings",
            format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}HTTP2-Settings: x\r\n"),
        ),
        ("of TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n".to_owned()),
        ("of HTTP/2", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n".to_owned()),
    ] {
        cases.push(case(56, name, with(&lines), arrives()));
    }
    let body = format!("Connection: Upgrade, HTTP2-Settings\r\n{h2c}Content-Length: 5\r\n");
    cases.push(case(
        56,
        "with a body",
        [with(&body), b"hello".to_vec()].concat(),
        arrives().body("hello"),
    ));
    let denied =
        ask("GET", READ).header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c");
    cases.push(case(56, "on a refusal", denied.bytes(), Want::Refused(401, "token-missing")));
    Ground::plain().await.play(cases).await;
}

/// Case 57: a head that drips ends at its timeout, however it drips, and holds nobody else up.
#[tokio::test]
async fn a_head_that_drips_is_ended() {
    const LIMIT: Duration = Duration::from_millis(300);
    let settings = "server: { limits: { header_timeout: 300ms, idle_timeout: 10s } }\n";
    let ground = Ground::new("", settings).await;
    let traffic = ground.sidecar.traffic;
    let slow = (0..20).map(|number| async move {
        let mut client = Client::connect(traffic).await;
        // Some begin at once, some behind an answered request.
        if number % 2 == 0 {
            client.send(super::good("before")).await;
            assert_eq!(client.reply().await.status, 200);
        }
        let began = Instant::now();
        // Time is what this is about: each byte comes well within the limit.
        let mut pace = tokio::time::interval(Duration::from_millis(25));
        let drip = b"GET /public/x HTTP/1.1\r\nHost: api.example.no\r\nX: "
            .iter()
            .chain(std::iter::repeat(&b'x'));
        let mut drip = drip.take(10_000);
        let reply = loop {
            tokio::select! {
                reply = client.reply() => break reply,
                _ = pace.tick() => {}
            }
            client.send([*drip.next().expect("it was never ended")]).await;
        };
        assert_eq!(reply.verdict(), "408 request-timeout");
        assert_eq!(client.rest().await, "");
        assert!(began.elapsed() >= LIMIT, "{:?}", began.elapsed());
    });
    let quick = async {
        for _ in 0..50 {
            let mut client = Client::connect(traffic).await;
            client.send(super::good("quick")).await;
            assert_eq!(client.reply().await.status, 200);
        }
    };
    tokio::join!(futures_util::future::join_all(slow), quick);
    assert_eq!(ground.api.count(), 60);
}

/// Case 57: a body that stands still ends its request, whether it is read here or streams.
#[tokio::test]
async fn a_body_that_stands_still_is_ended() {
    let settings = "server: { limits: { body_idle_timeout: 200ms } }\n";
    let judged = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
    for (name, asked, reaches) in
        [("read here", judged, 0), ("streaming", ask("POST", "/public/x"), 1)]
    {
        for chunked in [false, true] {
            let ground = Ground::new("", settings).await;
            let mut client = Client::connect(ground.sidecar.traffic).await;
            let asked = asked.clone();
            let (asked, part) = if chunked {
                (asked.header("Transfer-Encoding", "chunked"), "15\r\n{\"orgnr\"")
            } else {
                (asked.header("Content-Length", "21"), "{\"orgnr\"")
            };
            client.send(asked.head()).await;
            client.send(part).await;
            let reply = client.reply().await;
            assert_eq!(reply.verdict(), "408 request-timeout", "{name}");
            assert_eq!(client.rest().await, "", "{name}");
            let api = &ground.api;
            assert_eq!(api.count(), reaches, "{name}");
            eventually("the end of the exchange", || api.ended() == api.accepted()).await;
            let records = ground.sidecar.records.when(1).await;
            assert_eq!(records[0]["code"], "request-timeout", "{name}");
        }
    }
}

/// Case 57: a connection on which nothing is asked is ended without a word.
#[tokio::test]
async fn a_silent_connection_is_ended() {
    let ground = Ground::new("", "server: { limits: { idle_timeout: 100ms } }\n").await;
    let mut silent = Client::connect(ground.sidecar.traffic).await;
    assert_eq!(silent.rest().await, "");
    let mut kept = Client::connect(ground.sidecar.traffic).await;
    kept.send(super::good("once")).await;
    assert_eq!(kept.reply().await.status, 200);
    assert_eq!(kept.rest().await, "");
    assert_eq!(ground.sidecar.records.when(1).await.len(), 1);
}

/// Case 57: a client that takes no answer ends its exchange with the API.
#[tokio::test]
async fn an_answer_that_is_not_taken_is_ended() {
    let ground = Ground::new("", "server: { limits: { body_idle_timeout: 200ms } }\n").await;
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 16]);
    let head = Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".into());
    ground.api.play(always(vec![Step::ReadBody, head, Step::Repeat(piece, 1 << 14), Step::Hold]));
    let mut client = Client::connect(ground.sidecar.traffic).await;
    client.send(ask("GET", "/public/x").bytes()).await;
    eventually("the end of the exchange", || ground.api.ended() == 1).await;
    // Meanwhile, and after, others are served.
    ground.api.play(ok());
    let mut other = Client::connect(ground.sidecar.traffic).await;
    other.send(super::good("other")).await;
    assert_eq!(other.reply().await.status, 200);
}
