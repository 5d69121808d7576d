//! Cases 24 to 27: to whom the request is addressed, and what is no request.

use super::{AMBIGUOUS_PARAMETER, Arrival, Case, Ground, MALFORMED, MISFRAMED, Want, case};
use crate::support::frames::Frames;
use crate::support::{Client, eventually};

const START: &str = "GET /public/x HTTP/1.1";

/// A public request with these header lines and no other.
fn with_lines(lines: &str) -> Vec<u8> {
    format!("{START}\r\n{lines}\r\n").into_bytes()
}

fn with_value(value: &[u8]) -> Vec<u8> {
    [START.as_bytes(), b"\r\nHost: ", value, b"\r\n\r\n"].concat()
}

fn arrives(host: &str) -> Arrival {
    Arrival::public("public", START).host(host)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_host_is_one_host() {
    let rows: [(&str, &str, Want); 22] = [
        ("two", "Host: a\r\nHost: b\r\n", MALFORMED),
        ("two equal ones", "Host: a\r\nHost: a\r\n", MALFORMED),
        ("two in other cases", "Host: a\r\nhOST: b\r\n", MALFORMED),
        ("two with others between", "Host: a\r\nX: 1\r\nY: 2\r\nHost: b\r\n", MALFORMED),
        ("an empty one and one", "Host:\r\nHost: a\r\n", MALFORMED),
        ("a hundred", &"Host: a\r\n".repeat(100), MALFORMED),
        ("none", "", MALFORMED),
        ("none but a forwarded one", "X-Forwarded-Host: a\r\n", MALFORMED),
        ("empty", "Host:\r\n", MALFORMED),
        ("blank", "Host:  \t \r\n", MALFORMED),
        ("a space before the colon", "Host : a\r\n", MISFRAMED),
        ("a tab before the colon", "Host\t: a\r\n", MISFRAMED),
        ("a space before the name", " Host: a\r\n", MISFRAMED),
        ("folded", "Host: a\r\n b\r\n", MISFRAMED),
        ("folded with a tab", "Host:\r\n\ta\r\n", MISFRAMED),
        ("behind a bare line feed", "X: 1\nHost: a\r\n", MISFRAMED),
        ("ended by a bare line feed", "Host: a\n", MISFRAMED),
        ("behind a bare carriage return", "X: 1\rHost: a\r\n", MISFRAMED),
        ("without a colon", "Host a\r\n", MISFRAMED),
        ("named by Connection", "Host: a\r\nConnection: host\r\n", AMBIGUOUS_PARAMETER),
        (
            "named by Connection in capitals",
            "Host: a\r\nConnection: x, HOST\r\n",
            AMBIGUOUS_PARAMETER,
        ),
        ("an alias that is no Host", "Host_: a\r\n", MALFORMED),
    ];
    let mut cases: Vec<Case> = rows
        .into_iter()
        .map(|(name, lines, want)| case(24, format!("lines: {name}"), with_lines(lines), want))
        // The first is the authority there, and the second says the same of it (RFC 9113 §8.3.1).
        .map(|case| if case.name.contains("equal") { case.over_http2(arrives("a")) } else { case })
        .collect();
    for value in [
        "a,b",
        "a, b",
        "a b",
        "a\tb",
        "u@a",
        "u:p@a",
        "a@",
        "@a",
        "a/b",
        "a/",
        "/a",
        "//a",
        "http://a",
        "a\\b",
        "a?b",
        "a#b",
        "a;b",
        "a&b",
        "a*",
        "*",
        "%61",
        "a%00",
        "a%2Fb",
        "\"a\"",
        "<a>",
        "a'b",
        "a=b",
        "a:0",
        "a:00000",
        "a:65536",
        "a:70000",
        "a:99999999999999999999",
        "a:",
        ":",
        ":80",
        "a:+80",
        "a:-1",
        "a: 80",
        "a :80",
        "a:80:80",
        "a:8o",
        "a:0x50",
        "a:000080",
        "a:%38%30",
        "[::1",
        "::1]",
        "::1",
        "[]",
        "[::1]x",
        "x[::1]",
        "[::1]:",
        "[::1]:0",
        "[::1]:65536",
        "[::1]]",
        "[[::1]]",
        "[::g]",
        "[1::2::3]",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "[a]",
    ] {
        let name = format!("the value `{value}`");
        cases.push(case(24, name, with_value(value.as_bytes()), MALFORMED));
    }
    let long = "a".repeat(300);
    cases.extend([
        case(24, "far too long", with_value(long.as_bytes()), MALFORMED),
        case(24, "UTF-8", with_value("\u{e6}.no".as_bytes()), MALFORMED),
        case(24, "Latin-1", with_value(b"\xe6.no"), MALFORMED),
        case(24, "a full-width dot", with_value("a\u{ff0e}no".as_bytes()), MALFORMED),
        case(24, "NUL", with_value(b"a\0b"), MISFRAMED),
        case(24, "DEL", with_value(b"a\x7f"), MISFRAMED),
        case(24, "a bare carriage return", with_value(b"a\rb"), MISFRAMED),
        case(24, "HTTP/1.0 without one", "GET /public/x HTTP/1.0\r\n\r\n", MALFORMED),
    ]);
    for value in [
        "a",
        "api.example.no:8080",
        "a:1",
        "a:65535",
        "a:00080",
        "127.0.0.1",
        "127.0.0.1:7080",
        "[::1]",
        "[::1]:8080",
        "[2001:DB8::1]",
        "[::ffff:127.0.0.1]:80",
        "my_service.namespace.svc",
        "xn--5ca.no",
        "api.example.no.",
    ] {
        cases.push(case(24, value, with_value(value.as_bytes()), arrives(value)));
    }
    cases.extend([
        case(24, "blanks around", with_lines("Host: \t a \t \r\n"), arrives("a")),
        case(24, "no blank before", with_lines("Host:a\r\n"), arrives("a")),
        case(
            24,
            "not the first line",
            with_lines("X-A: 1\r\nHost: a\r\n"),
            arrives("a").line("x-a: 1"),
        ),
    ]);
    Ground::plain().await.play(cases).await;
}

/// Case 26: a rule for one host, and one for all others, which asks less.
#[tokio::test]
async fn letters_of_a_host_do_not_lead_around_its_rules() {
    let rules = "
  - id: closed-host
    match: { method: GET, path: /hosted, host: closed.example.no }
    protection: closed
  - id: any-host
    match: { method: GET, path: /hosted }
    protection: public
";
    let at = |host: &str| format!("GET /hosted HTTP/1.1\r\n{host}\r\n\r\n").into_bytes();
    let closed = Want::Refused(403, "route-closed");
    let mut cases: Vec<Case> = [
        "Host: closed.example.no",
        "Host: CLOSED.Example.NO",
        "HOST: Closed.example.no",
        "hOsT: closed.example.nO",
        "Host: closed.example.no.",
        "Host: closed.example.no:8080",
        "Host: CLOSED.example.no.:00080",
        "Host:\tclosed.example.no\t",
    ]
    .map(|host| case(26, host, at(host), closed.clone()))
    .into();
    for host in [
        "open.example.no",
        "closed.example.no.evil.example",
        "x.closed.example.no",
        "closed-example.no",
    ] {
        let arrives = Arrival::public("any-host", "GET /hosted HTTP/1.1").host(host);
        cases.push(case(26, host, at(&format!("Host: {host}")), arrives));
    }
    Ground::new(rules, "").await.play(cases).await;
}

/// Case 26: only the hosts that are answered for.
#[tokio::test]
async fn another_host_is_not_answered_for() {
    const UNKNOWN: Want = Want::Refused(421, "host-unknown");
    let settings = "server: { hosts: [api.example.no, \"admin.example.no:8443\", \"[::1]\"] }\n";
    let mut cases = Vec::new();
    for host in [
        "api.example.no",
        "API.EXAMPLE.NO",
        "Api.Example.no:443",
        "admin.example.no:8443",
        "ADMIN.example.no:8443",
        "[::1]:80",
    ] {
        cases.push(case(26, host, with_value(host.as_bytes()), arrives(host)));
    }
    for host in [
        "evil.example",
        "api.example.no.evil.example",
        "evil.api.example.no",
        "evilapi.example.no",
        "api.example",
        "example.no",
        "api_example.no",
        "admin.example.no",
        "admin.example.no:80",
        "localhost",
        "127.0.0.1",
        "[::]",
    ] {
        cases.push(case(26, host, with_value(host.as_bytes()), UNKNOWN));
    }
    // What the client says of the way here changes nothing.
    let forwarded = "Host: evil.example\r\nX-Forwarded-Host: api.example.no\r\nForwarded: host=api.example.no\r\n";
    cases.push(case(26, "a forwarded one", with_lines(forwarded), UNKNOWN));
    let both = "Host: evil.example\r\nHost: api.example.no\r\n";
    cases.push(case(26, "one of two", with_lines(both), MALFORMED));
    Ground::new("", settings).await.play(cases).await;
}

#[tokio::test]
async fn what_is_no_request_of_http_1_is_refused_and_recorded_once() {
    let line = |line: &str| format!("{line}\r\nHost: api.example.no\r\n\r\n").into_bytes();
    let mut cases = Vec::new();
    for start in [
        "GET /public/x",
        "GET",
        "/public/x",
        "GET /public/x ",
        "GET /public/x HTTP",
        "GET /public/x HTTP/",
        "GET /public/x HTTP/1",
        "GET /public/x HTTP/1.",
        "GET /public/x HTTP/1.2",
        "GET /public/x HTTP/0.9",
        "GET /public/x HTTP/2.0",
        "GET /public/x HTTP/3",
        "GET /public/x HTTP/11",
        "GET /public/x HTTP/1.10",
        "GET /public/x HTTP/01.1",
        "GET /public/x http/1.1",
        "GET /public/x HTTPS/1.1",
        "GET /public/x HTTP/1.1 ",
        "GET /public/x HTTP/1.1\t",
        "GET /public/x HTTP/1.1 x",
        "GET /public/x  HTTP/1.1",
        "GET  /public/x HTTP/1.1",
        "GET\t/public/x\tHTTP/1.1",
        "GET /public/x\u{a0}HTTP/1.1",
        "GET /public/x HTTP/1,1",
        "GET /public/x ICAP/1.0",
        "HTTP/1.1 200 OK",
    ] {
        cases.push(case(27, format!("the line `{start}`"), line(start), MISFRAMED));
    }
    let good = with_value(b"api.example.no");
    cases.extend([
        case(27, "HTTP/0.9 as it was", "GET /public/x\r\n\r\n", MISFRAMED),
        case(27, "HTTP/0.9 with a bare line feed", "GET /public/x\n", MISFRAMED),
        case(
            27,
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
            Want::Noise,
        ),
        case(
            27,
            "a PROXY line",
            [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", good.as_slice()].concat(),
            MISFRAMED,
        ),
        case(
            27,
            "a binary PROXY head",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
            MISFRAMED,
        ),
        case(27, "SSH", "SSH-2.0-OpenSSH_9.9\r\n", MISFRAMED),
        case(27, "NUL", vec![0; 64], Want::Noise),
        case(27, "eight bits", [[0xFF; 64].as_slice(), b"\r\n\r\n"].concat(), Want::Noise),
        case(
            27,
            "a byte order mark in front",
            [b"\xef\xbb\xbf", good.as_slice()].concat(),
            Want::Noise,
        ),
        case(27, "two empty lines in front", [b"\r\n\r\n", good.as_slice()].concat(), MISFRAMED),
        case(27, "a bare line feed in front", [b"\n", good.as_slice()].concat(), MISFRAMED),
        case(27, "a header line in front", [b"X: 1\r\n", good.as_slice()].concat(), MISFRAMED),
        // RFC 9112 §2.2: some clients send one behind a body.
        case(
            27,
            "one empty line in front",
            [b"\r\n", good.as_slice()].concat(),
            arrives("api.example.no"),
        ),
    ]);
    Ground::plain().await.play(cases).await;
}

/// Case 27: however much garbage comes, a request costs one short record, which repeats none of it.
#[tokio::test]
async fn garbage_does_not_flood_the_log() {
    const COUNT: usize = 200;
    let ground = Ground::plain().await;
    crate::support::log::listen();
    let mark = "garbage7f3a";
    for _ in 0..COUNT {
        let mut client = Client::connect(ground.sidecar.traffic).await;
        client.send(format!("{mark}{}\r\n\r\n", "\u{1}x".repeat(4096))).await;
        client.rest().await;
    }
    let records = ground.sidecar.records.clone();
    eventually("the records", || records.all().len() == COUNT).await;
    let text = records.text();
    assert!(!text.contains(mark), "a record repeats what no one could read");
    assert!(text.len() < COUNT * 1024, "{} bytes", text.len());
    assert_eq!(crate::support::log::about(mark), Vec::<String>::new());
}

/// What is sent beside the rest of a head, the verdict on it, and what arrives.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], (&'a str, Vec<Vec<String>>));

/// Case 25: the authority of HTTP/2 and a `Host` beside it are one host, or the request is refused.
#[tokio::test]
async fn an_authority_and_a_host_are_one_host() {
    let mut ground = Ground::plain().await;
    let arrives = |host: &str| vec![arrives(host).rendered()];
    let refused = || ("400 malformed-request", Vec::new());
    let reset = || ("reset 1", Vec::new());
    let rows: Vec<Row<'_>> = vec![
        ("an authority", &[(":authority", "a.example")], ("200", arrives("a.example"))),
        ("in capitals", &[(":authority", "A.Example")], ("200", arrives("A.Example"))),
        ("a host", &[("host", "a.example")], ("200", arrives("a.example"))),
        (
            "equal ones",
            &[(":authority", "a.example"), ("host", "a.example")],
            ("200", arrives("a.example")),
        ),
        ("neither", &[], refused()),
        ("others", &[(":authority", "a.example"), ("host", "b.example")], refused()),
        ("others the other way", &[(":authority", "b.example"), ("host", "a.example")], refused()),
        ("another port", &[(":authority", "a.example"), ("host", "a.example:80")], refused()),
        ("a final dot", &[(":authority", "a.example"), ("host", "a.example.")], refused()),
        ("an empty host", &[(":authority", "a.example"), ("host", "")], refused()),
        ("a host with a user", &[(":authority", "a.example"), ("host", "u@a.example")], refused()),
        ("an authority with a user", &[(":authority", "u@a.example")], refused()),
        ("two hosts", &[("host", "a.example"), ("host", "a.example")], refused()),
        (
            "two hosts, one alike",
            &[(":authority", "a.example"), ("host", "a.example"), ("host", "b.example")],
            refused(),
        ),
        ("two authorities", &[(":authority", "a.example"), (":authority", "a.example")], reset()),
        ("an empty authority", &[(":authority", "")], reset()),
        ("an authority with a path", &[(":authority", "a.example/x")], reset()),
        ("an authority behind a header", &[("x", "1"), (":authority", "a.example")], reset()),
    ];
    for (name, lines, (verdict, arrived)) in rows {
        let start = [(":method", "GET"), (":scheme", "http"), (":path", "/public/x")];
        let outcome = Frames::ask(ground.sidecar.traffic, &[&start, lines].concat()).await;
        assert_eq!(outcome.verdict(), verdict, "{name}");
        let mut found = ground.arrived();
        for request in &mut found {
            request.retain(|line| !line.starts_with("x: "));
        }
        assert_eq!(found, arrived, "{name}");
    }
}
