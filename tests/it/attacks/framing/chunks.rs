//! Case 51: chunks.

use super::{GOOD, SMUGGLED, post};
use crate::attacks::{Arrival, Case, Ground, MISFRAMED, Want, case};
use crate::support::{Client, WRITE, ask, eventually};

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
