//! Cases 47 to 57: where a request ends.
//!
//! Most rows carry a request in the place where another reader would find one. It is for a public rule, so
//! that it would be forwarded if it were ever read as one.

mod chunks;
mod slow;
mod unread;
mod upgrades;

use super::{Arrival, Ground, MISFRAMED, case};
use crate::support::{WRITE, ask};

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
        ("folded to the line before", "X: 1\r\n Content-Length: 5\r\n"),
        ("behind a bare carriage return", "X: 1\rContent-Length: 5\r\n"),
        ("none, behind NUL", "X: 1\0\r\n"),
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
