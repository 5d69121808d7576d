//! Cases 39 to 46: what a client says in header lines, and what of it the API hears.

use super::arrival::shown;
use super::{AMBIGUOUS_PARAMETER, Arrival, Case, Ground, MISFRAMED, Want, case};
use crate::support::{Ask, DENIED, PERMITTED, READ, WRITE, ask, token};

const PUBLIC: &str = "GET /public/x HTTP/1.1";
const OPEN: &str = "GET /v1/open HTTP/1.1";

fn read() -> Arrival {
    Arrival::of("r1", &format!("GET {READ} HTTP/1.1"))
}

fn open() -> Arrival {
    Arrival::of("r3", OPEN)
}

fn public() -> Arrival {
    Arrival::public("public", PUBLIC)
}

/// The three kinds of forwarded request, and how each arrives if nothing more is said.
fn kinds() -> [(&'static str, Ask, Arrival); 3] {
    [
        ("under R1", ask("GET", READ).bearer(), read()),
        ("under R3", ask("GET", "/v1/open").bearer(), open()),
        ("in public", ask("GET", "/public/x"), public()),
    ]
}

/// A public request with one more line, in bytes.
fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    let head = [PUBLIC.as_bytes(), b"\r\nHost: api.example.no\r\n", line.as_ref(), b"\r\n\r\n"];
    head.concat()
}

/// Every name that we set.
const OURS: [&str; 9] = [
    "Portvakt-System-User",
    "Portvakt-System-User-Org",
    "Portvakt-System",
    "Portvakt-Vendor",
    "Portvakt-Party",
    "Portvakt-Resource",
    "Portvakt-Action",
    "Portvakt-Rule",
    "Portvakt-Request-Id",
];

#[tokio::test]
async fn what_a_client_says_in_our_name_never_arrives() {
    let mut cases = Vec::new();
    for (kind, asked, arrival) in kinds() {
        let all = OURS.iter().fold(asked.clone(), |asked, name| asked.header(name, "forged"));
        let twice = OURS.iter().fold(all.clone(), |asked, name| asked.header(name, "again"));
        cases.push(case(39, format!("all our names {kind}"), all.bytes(), arrival.clone()));
        cases.push(case(39, format!("all our names twice {kind}"), twice.bytes(), arrival.clone()));
        for name in [
            "portvakt-party",
            "PORTVAKT-PARTY",
            "pOrTvAkT-pArTy",
            "Portvakt_Party",
            "portvakt.party",
            "Portvakt_System.User",
            "portvakt-system_user",
            "portvakt_request_id",
            "Portvakt-",
            "portvakt_",
            "Portvakt-Anything-New",
            "portvakt.mode",
        ] {
            let asked = asked.clone().header(name, DENIED);
            cases.push(case(40, format!("{name} {kind}"), asked.bytes(), arrival.clone()));
        }
    }
    let near = ["x-portvakt-party", "portvaktparty", "portvakt", "port-vakt-party"];
    cases.extend(near.map(|name| {
        let asked = ask("GET", "/public/x").header(name, "1");
        case(40, format!("{name} is not ours"), asked.bytes(), public().line(&format!("{name}: 1")))
    }));
    for line in [
        "Portvakt-Party : x",
        "Portvakt-Party\t: x",
        " Portvakt-Party: x",
        "\tPortvakt-Party: x",
        "Portvakt-Party",
        "Portvakt Party: x",
        "Portvakt-P\u{e4}rty: x",
        "Portvakt-Party\0: x",
        "Portvakt-Party\u{b}: x",
        "X: 1\r\n Portvakt-Party: x",
        "X: 1\nPortvakt-Party: x",
        "X: 1\rPortvakt-Party: x",
        "\"Portvakt-Party\": x",
        "(x)Portvakt-Party: x",
        ": x",
        ":",
    ] {
        cases.push(case(40, format!("the line {line:?}"), with_line(line), MISFRAMED));
    }
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_connection_line_takes_nothing_away_that_decides() {
    let mut cases = Vec::new();
    for (kind, asked, arrival) in kinds() {
        for value in [
            "Portvakt-Party",
            "portvakt-party, portvakt-rule,PORTVAKT-SYSTEM-USER",
            "x-forwarded-for, x-forwarded-host, x-forwarded-proto",
            "keep-alive, , x-y ,\t,",
            "transfer-encoding",
            "\"authorization\"",
            "author",
            "te, trailer, upgrade, keep-alive, proxy-connection",
        ] {
            let asked = asked.clone().header("Connection", value);
            cases.push(case(41, format!("`{value}` {kind}"), asked.bytes(), arrival.clone()));
        }
        let closing = asked.clone().header("Connection", "Portvakt-Party, close");
        cases.push(case(41, format!("with close {kind}"), closing.bytes(), arrival.clone()));
        for value in [
            "authorization",
            "Authorization",
            "AUTHORIZATION",
            "host",
            "content-length",
            "Content-Type",
            "content-encoding",
            "content-anything",
            "close, authorization",
            "keep-alive,authorization",
            "keep-alive, close, authorization",
            "x,AUTHORIZATION",
            ",, authorization ,",
            "\tauthorization\t",
            "x, host, y",
        ] {
            let asked = asked.clone().header("Connection", value);
            let name = format!("`{value}` {kind}");
            cases.push(case(41, name, asked.bytes(), AMBIGUOUS_PARAMETER));
        }
        let lines =
            asked.clone().header("Connection", "keep-alive").header("cOnnection", "authorization");
        cases.push(case(
            41,
            format!("in a second line {kind}"),
            lines.bytes(),
            AMBIGUOUS_PARAMETER,
        ));
    }
    let tokened = ask("GET", "/public/x").bearer().header("Connection", "authorization");
    cases.push(case(41, "in public with a token", tokened.bytes(), AMBIGUOUS_PARAMETER));
    let named = ask("GET", "/public/x")
        .header("Connection", "x-one")
        .header("connection", "X-TWO, x-three");
    let named =
        named.header("X-One", "1").header("x-two", "2").header("x-two", "3").header("X-Four", "4");
    cases.push(case(
        41,
        "what it names stays on its hop",
        named.bytes(),
        public().line("x-four: 4"),
    ));
    let hop = [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Authenticate", "Basic"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABk"),
    ];
    for (name, value) in hop {
        let asked = ask("GET", "/public/x").header(name, value);
        cases.push(case(41, format!("{name} stays on its hop"), asked.bytes(), public()));
    }
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn trailers_say_nothing_in_our_name() {
    const START: &str = "POST /public/x HTTP/1.1";
    let arrives = |trailers: &[&str]| Arrival::public("public", START).chunked("hello", trailers);
    let sent = |trailers: &str| ask("POST", "/public/x").chunked(b"hello", trailers);
    let mut cases = Vec::new();
    for name in [
        "portvakt-party",
        "Portvakt_Party",
        "portvakt.system-user",
        "PORTVAKT-RULE",
        "x-http-method-override",
        "X-Original-URL",
        "x_rewrite_url",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "forwarded",
        "x-real-ip",
    ] {
        let trailers = format!("{name}: forged\r\nx-sum: 1\r\n");
        // What is not announced, the library does not send on over HTTP/1.1, which RFC 9110 §6.5.1 allows.
        cases.push(case(42, name, sent(&trailers).bytes(), arrives(&[])));
        let announced = format!("x-sum, {name}");
        let told = sent(&trailers).header("Trailer", &announced);
        let arrives = arrives(&["x-sum: 1"]).line(&format!("trailer: {announced}"));
        cases.push(case(42, format!("{name}, announced"), told.bytes(), arrives));
    }
    for name in ["Content-Length", "transfer-encoding", "Transfer_Encoding", "Host", "HOST"] {
        let trailers = format!("{name}: 5\r\n");
        let broken = Want::Severed(400, "malformed-request");
        // The body is read before the request is judged, so that nothing of it arrives.
        let asked = ask("POST", WRITE).bearer().header("Content-Type", "application/json");
        let body = format!(r#"{{"orgnr":"{PERMITTED}"}}"#);
        let asked = asked.chunked(body.as_bytes(), &trailers);
        cases.push(case(42, format!("{name}, which frames"), asked.bytes(), broken));
    }
    let grpc = sent("grpc-status: 0\r\ngrpc-message: ok\r\n").header("TE", "trailers");
    let grpc = grpc.header("Trailer", "grpc-status, grpc-message");
    let arrives = arrives(&["grpc-message: ok", "grpc-status: 0"])
        .line("trailer: grpc-status, grpc-message")
        .line("te: trailers")
        .line("connection: te");
    cases.push(case(42, "those of gRPC", grpc.bytes(), arrives));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn the_way_here_is_told_by_ourselves() {
    let claims = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("x_forwarded_for", "203.0.113.9"),
        ("X.Forwarded.For", "203.0.113.9"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/v1"),
        ("X-Forwarded-Uri", READ),
        ("X-Forwarded-Method", "DELETE"),
        ("X-Forwarded-User", "admin"),
        ("X-Forwarded-Client-Cert", "Hash=0"),
        ("X-Forwarded-Anything", "1"),
        ("X-Forwarded", "for=203.0.113.9"),
        ("Forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
        ("X-Real-IP", "203.0.113.9"),
        ("X_Real_IP", "203.0.113.9"),
        ("X-Original-URL", READ),
        ("X_Original.URL", READ),
        ("X-Rewrite-URL", READ),
        ("X.Rewrite.URL", READ),
    ];
    let mut cases = Vec::new();
    for (kind, asked, arrival) in kinds() {
        for (name, value) in claims {
            let asked = asked.clone().header(name, value);
            cases.push(case(43, format!("{name} {kind}"), asked.bytes(), arrival.clone()));
        }
        let all = claims.iter().fold(asked, |asked, (name, value)| asked.header(name, value));
        cases.push(case(43, format!("all at once {kind}"), all.bytes(), arrival));
    }
    // Nor do they help where the request is refused.
    let closed = ask("GET", &format!("/v1/orgs/{DENIED}/reports")).bearer();
    let closed = claims.iter().fold(closed, |asked, (name, value)| asked.header(name, value));
    cases.push(case(43, "on a refusal", closed.bytes(), Want::Refused(403, "access-denied")));
    let nowhere = ask("GET", "/nowhere").header("X-Original-URL", "/public/x");
    cases.push(case(43, "on no rule", nowhere.bytes(), Want::Refused(404, "route-unknown")));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn an_id_of_the_client_is_a_uuid_or_nothing() {
    let own = "0191a1b2-0000-7000-8000-000000000001";
    let long = "a".repeat(10_000);
    let mut cases = Vec::new();
    for (name, value) in [
        ("a UUID", own),
        ("a word", "x"),
        ("10 kB", &long),
        ("JSON", "\"},{\"x\":\""),
        ("a line end, escaped", "a%0d%0ax: 1"),
        ("no UUID", "0191a1b2-0000-7000-8000-00000000000g"),
        ("in braces", "{0191a1b2-0000-7000-8000-000000000001}"),
    ] {
        for header in ["x-request-id", "x-correlation-id"] {
            let asked = ask("GET", "/public/x").header(header, value);
            let arrives = public().line(&format!("{header}: {value}"));
            cases.push(case(44, format!("{name} as {header}"), asked.bytes(), arrives));
        }
    }
    for bytes in [b"\xe6".as_slice(), b"\xc3\xa6", b"\xff\xfe"] {
        let line = [b"x-request-id: ", bytes].concat();
        let arrives = public().line(&shown(&line));
        cases.push(case(44, format!("bytes {bytes:?}"), with_line(line), arrives));
    }
    for bytes in [b"a\rb".as_slice(), b"a\nb", b"a\0b", b"a\r\n b", b"\x1b[31m", b"a\x7f"] {
        let line = [b"X-Request-Id: ", bytes].concat();
        cases.push(case(44, format!("bytes {bytes:?}"), with_line(line), MISFRAMED));
    }
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn there_is_one_way_to_send_a_token() {
    const MISSING: Want = Want::Refused(401, "token-missing");
    const BAD: Want = Want::Refused(401, "token-malformed");
    let (token, plain) = (token(), || ask("GET", "/v1/open"));
    let with = |value: &str| plain().header("Authorization", value).bytes();
    let mut cases = vec![
        case(45, "two lines", plain().bearer().bearer().bytes(), BAD),
        case(
            45,
            "two lines in two cases",
            plain().bearer().header("authorization", "x").bytes(),
            BAD,
        ),
        case(
            45,
            "an empty line and one",
            plain().header("Authorization", "").bearer().bytes(),
            BAD,
        ),
        case(
            45,
            "two schemes",
            plain().header("Authorization", "Basic eDp5").bearer().bytes(),
            BAD,
        ),
        case(45, "in one line", with(&format!("Bearer {token}, Bearer {token}")), BAD),
        case(45, "in one line without a blank", with(&format!("Bearer {token},{token}")), BAD),
        case(45, "with a parameter", with(&format!("Bearer {token}; x=1")), BAD),
        case(45, "quoted", with(&format!("Bearer \"{token}\"")), BAD),
        case(45, "with two blanks", with(&format!("Bearer  {token}")), BAD),
        case(45, "with a tab", with(&format!("Bearer\t{token}")), BAD),
        case(45, "with a colon", with(&format!("Bearer: {token}")), BAD),
        case(45, "without a scheme", with(&token), BAD),
        case(45, "a scheme alone", with("Bearer"), BAD),
        case(45, "a scheme twice", with(&format!("Bearer Bearer {token}")), BAD),
        case(45, "Basic", with("Basic dXNlcjpwYXNz"), BAD),
        case(45, "DPoP", with(&format!("DPoP {token}")), BAD),
        case(45, "Negotiate", with("Negotiate YII="), BAD),
        case(45, "empty", with(""), BAD),
        case(45, "eight bits", with(&format!("Bearer {token}\u{e6}")), BAD),
        case(45, "a NUL", with(&format!("Bearer {token}\0")), MISFRAMED),
        case(45, "folded", with(&format!("Bearer\r\n {token}")), MISFRAMED),
        case(45, "none", plain().bytes(), MISSING),
        case(
            45,
            "of a proxy",
            plain().header("Proxy-Authorization", &format!("Bearer {token}")).bytes(),
            MISSING,
        ),
        case(
            45,
            "in a cookie",
            plain().header("Cookie", &format!("access_token={token}")).bytes(),
            MISSING,
        ),
        case(
            45,
            "in a header of its own",
            plain().header("X-Access-Token", &token).bytes(),
            MISSING,
        ),
        case(
            45,
            "in an alias",
            plain().header("Authorization_", &format!("Bearer {token}")).bytes(),
            MISSING,
        ),
        case(
            45,
            "in the query",
            ask("GET", &format!("/v1/open?access_token={token}")).bytes(),
            MISSING,
        ),
        case(
            45,
            "in a form",
            {
                let form =
                    ask("POST", WRITE).header("Content-Type", "application/x-www-form-urlencoded");
                form.body(format!("access_token={token}").as_bytes()).bytes()
            },
            MISSING,
        ),
    ];
    for scheme in ["bearer", "BEARER", "bEARER"] {
        let arrives = open().with("authorization", &format!("{scheme} {{token}}"));
        cases.push(case(45, scheme, with(&format!("{scheme} {token}")), arrives));
    }
    let blanks = plain().header("Authorization", &format!(" \tBearer {token}\t "));
    cases.push(case(45, "blanks around", blanks.bytes(), open()));
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_head_is_bounded_and_every_line_is_a_line() {
    const TOO_LARGE: Want = Want::Severed(431, "headers-too-large");
    // With `Host`, which is one of them.
    let many = |count: usize| with_line(vec!["x: 1"; count - 1].join("\r\n"));
    let large = |bytes: usize| {
        let rest = bytes - with_line("x: ").len();
        (
            with_line(format!("x: {}", "a".repeat(rest))),
            public().line(&format!("x: {}", "a".repeat(rest))),
        )
    };
    let arrives = vec!["x: 1"; 99].iter().fold(public(), |arrival, line| arrival.line(line));
    // There `Host` is no line.
    let hundred = arrives.clone().line("x: 1");
    let (last, last_arrives) = large(32 * 1024);
    let (more, more_arrives) = large(32 * 1024 + 1);
    let smuggling = |head: Vec<u8>| [head, ask("GET", "/public/smuggled").bytes()].concat();
    let mut cases: Vec<Case> = vec![
        case(46, "the most lines", many(100), arrives),
        case(46, "one line more", many(101), TOO_LARGE).over_http2(hundred),
        case(46, "far more lines", many(5000), TOO_LARGE).over_http2(Want::Library("431")),
        case(46, "one line more, and a request behind", smuggling(many(101)), TOO_LARGE),
        case(46, "far larger, and a request behind", smuggling(large(300 * 1024).0), TOO_LARGE),
        case(46, "the largest head", last, last_arrives),
        // There the request line is not counted, and each line costs 32 bytes more.
        case(46, "one byte more", more, TOO_LARGE).over_http2(more_arrives),
        case(46, "far larger", large(300 * 1024).0, TOO_LARGE)
            .over_http2(Want::Library("goaway 11")),
        case(
            46,
            "one name too large",
            with_line(format!("{}: 1", "x".repeat(70 * 1024))),
            TOO_LARGE,
        )
        .over_http2(Want::Library("goaway 1")),
    ];
    for line in [
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X:\r\n b",
        " X: a",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{8}b",
        "X: a\u{b}b",
        "X: a\u{c}b",
        "X: a\u{1b}b",
        "X: a\u{7f}b",
        "X: a\rb",
        "X: a\nb",
        "X: a\r\r\n",
        "X: a\n",
        "X\0: a",
        "X A: a",
        "X : a",
        "X\t: a",
        "X",
        "X;a: b",
        "X@a: b",
        "X[a]: b",
        "X{a}: b",
        "X\\a: b",
        "X/a: b",
        "X,a: b",
        "X=a",
        "X\u{e6}: a",
        ": a",
        "\u{feff}X: a",
    ] {
        cases.push(case(46, format!("the line {line:?}"), with_line(line), MISFRAMED));
    }
    cases.push(case(46, "a name in Latin-1", with_line(b"X\xe6: a"), MISFRAMED));
    for (sent, line) in [
        (b"X-A:1".as_slice(), "x-a: 1"),
        (b"X-A: \t1 \t", "x-a: 1"),
        (b"X-A: a\tb", r"x-a: a\x09b"),
        (b"X-A: a:b", "x-a: a:b"),
        (b"X-A:", "x-a: "),
        (b"X-A: \xc3\xa6", r"x-a: \xc3\xa6"),
        (b"X-A: \xff", r"x-a: \xff"),
        (b"!#$%&'*+-.^_`|~0: 1", r"!#$%&'*+-.^_`|~0: 1"),
    ] {
        cases.push(case(46, format!("sound: {line}"), with_line(sent), public().line(line)));
    }
    Ground::plain().await.play(cases).await;
}
