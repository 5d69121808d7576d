//! Cases 28 to 38: for whom, as the query, a header or the body says it.

use super::{AMBIGUOUS_PARAMETER, Arrival, Case, Ground, MALFORMED, Want, case};
use crate::support::{Ask, DENIED, PERMITTED, WRITE, ask};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

const RULES: &str = r#"
  - id: by-query
    match: { method: GET, path: /v1/query }
    resource: r-read
    action: read
    party: query:orgnr
    scopes: ["it:read"]
  - id: by-header
    match: { method: GET, path: /v1/header }
    resource: r-read
    action: read
    party: header:x-party
    scopes: ["it:read"]
  - id: deep
    match: { method: POST, path: /v1/deep }
    resource: r-read
    action: read
    party: json:/a/b~1c/orgnr
    scopes: ["it:read"]
  - id: list
    match: { method: POST, path: /v1/list }
    resource: r-read
    action: read
    party: { from: "json:/orgs", many: all, max: 3 }
    scopes: ["it:read"]
"#;

const MISSING: Want = Want::Refused(400, "party-missing");
const INVALID: Want = Want::Refused(400, "party-invalid");
const UNREADABLE: Want = Want::Refused(400, "body-unreadable");
const UNSUPPORTED: Want = Want::Refused(415, "unsupported-body");
const TOO_LARGE: Want = Want::Severed(413, "body-too-large");
const DENIED_ACCESS: Want = Want::Refused(403, "access-denied");
const TOO_MANY: Want = Want::Refused(400, "too-many-parties");

const GOOD: &str = r#"{"orgnr":"312714051"}"#;

fn get(rule: &str, target: &str) -> Arrival {
    Arrival::of(rule, &format!("GET {target} HTTP/1.1"))
}

fn typed(target: &str, media_type: &str) -> Ask {
    ask("POST", target).bearer().header("Content-Type", media_type)
}

fn posted(rule: &str, target: &str, media_type: &str, body: impl AsRef<[u8]>) -> Arrival {
    Arrival::of(rule, &format!("POST {target} HTTP/1.1"))
        .line(&format!("content-type: {media_type}"))
        .body(body)
}

/// Under R2.
fn json(body: impl AsRef<[u8]>) -> Vec<u8> {
    typed(WRITE, "application/json").body(body.as_ref()).bytes()
}

fn json_arrives(body: impl AsRef<[u8]>) -> Arrival {
    posted("r2", WRITE, "application/json", body)
}

/// A refusal, in which the body may have been left unread.
fn rows<'a>(number: u8, want: &Want, bodies: impl IntoIterator<Item = &'a str>) -> Vec<Case> {
    let row = |body| case(number, format!("`{body}`"), json(body), want.clone());
    bodies.into_iter().map(row).collect()
}

#[tokio::test]
async fn a_party_in_the_query_stands_there_once() {
    let at = |query: &str| ask("GET", &format!("/v1/query{query}")).bearer().bytes();
    let mut cases = Vec::new();
    for query in [
        "?orgnr=312714051&orgnr=315556155",
        "?orgnr=315556155&orgnr=312714051",
        "?orgnr=312714051&orgnr=312714051",
        "?orgnr=312714051&orgnr=",
        "?orgnr=&orgnr=312714051",
        "?orgnr&orgnr=312714051",
        "?orgnr=312714051&ORGNR=315556155",
        "?Orgnr=315556155&orgnr=312714051",
        "?ORGNR=312714051",
        "?orgnr=312714051&orgnr[]=315556155",
        "?orgnr[]=312714051",
        "?orgnr=312714051&orgnr%5B%5D=315556155",
        "?orgnr=312714051&orgnr[0]=315556155",
        "?orgnr=312714051&orgnr.x=315556155",
        "?orgnr=312714051&%6frgnr=315556155",
        "?%6Frgnr=315556155&orgnr=312714051",
        "?orgnr=312714051&orgn%72=",
        "?orgnr=312714051;orgnr=315556155",
        "?x=1;orgnr=312714051",
        "?orgnr=312714051&x=1;y=2",
        "?orgnr=312714051,315556155",
        "?orgnr=312714051%2C315556155",
        "?orgnr=312714051,",
        "?orgnr=312714051&\u{17f}orgnr=1".replace('\u{17f}', "%C5%BF&%4Frgnr=").as_str(),
    ] {
        cases.push(case(28, query, at(query), AMBIGUOUS_PARAMETER));
    }
    for query in [
        "",
        "?",
        "?x=1",
        "?orgnr=",
        "?orgnr",
        "?orgnr=&x=1",
        "?=312714051",
        "?x&orgnr",
        "?xorgnr=312714051",
    ] {
        cases.push(case(29, format!("`{query}`"), at(query), MISSING));
    }
    for query in [
        "?orgnr=%20",
        "?orgnr=+312714051",
        "?orgnr=312714051+",
        "?orgnr=312714051%00",
        "?orgnr=312714051%0a",
        "?orgnr=312+714+051",
        "?orgnr==312714051",
        "?orgnr=null",
        "?orgnr=%22312714051%22",
        "?orgnr=%EF%BC%93%EF%BC%91%EF%BC%92714051",
        "?orgnr=312714051?x",
        "?orgnr=312714051/",
    ] {
        cases.push(case(29, query, at(query), INVALID));
    }
    let fragment = at("?orgnr=312714051#&orgnr=315556155");
    // The library cuts what follows a hash: what remains is judged, and sent.
    let cut = get("by-query", "/v1/query?orgnr=312714051");
    cases.push(case(28, "behind a hash", fragment, MALFORMED).over_http2(cut));
    for query in [
        "?orgnr=312714051",
        "?x=1&orgnr=312714051&y",
        "?orgnr=31271405%31",
        "?org%6er=312714051",
        "?orgnr=0192:312714051",
        "?orgnr=312714051&orgnrs=315556155",
        "?&&orgnr=312714051&&",
    ] {
        cases.push(case(28, query, at(query), get("by-query", &format!("/v1/query{query}"))));
    }
    cases.push(case(29, "of another party", at("?orgnr=315556155"), DENIED_ACCESS));
    Ground::new(RULES, "").await.play(cases).await;
}

#[tokio::test]
async fn a_party_in_a_header_stands_there_once() {
    let with = |lines: &[(&str, &str)]| {
        let asked = ask("GET", "/v1/header").bearer();
        lines.iter().fold(asked, |asked, (name, value)| asked.header(name, value)).bytes()
    };
    let mut cases: Vec<Case> = Vec::new();
    let two: [&[(&str, &str)]; 13] = [
        &[("X-Party", PERMITTED), ("X-Party", DENIED)],
        &[("X-Party", DENIED), ("X-Party", PERMITTED)],
        &[("X-Party", PERMITTED), ("X-Party", PERMITTED)],
        &[("X-Party", PERMITTED), ("x-pARTY", DENIED)],
        &[("X-Party", PERMITTED), ("X-Party", "")],
        &[("X-Party", "312714051,315556155")],
        &[("X-Party", "312714051, 315556155")],
        &[("X-Party", "312714051,")],
        &[("X-Party", ",312714051")],
        &[("X-Party", PERMITTED), ("X_Party", DENIED)],
        &[("X-Party", PERMITTED), ("X.Party", DENIED)],
        &[("X_PARTY", PERMITTED)],
        &[("X-Party", PERMITTED), ("Connection", "x-party")],
    ];
    cases.extend(two.map(|lines| case(30, format!("{lines:?}"), with(lines), AMBIGUOUS_PARAMETER)));
    let alias = [("X-Party", PERMITTED), ("Connection", "close, X_Party")];
    cases.push(case(30, "an alias named by Connection", with(&alias), AMBIGUOUS_PARAMETER));
    cases.push(case(30, "none", with(&[]), MISSING));
    cases.push(case(30, "empty", with(&[("X-Party", "")]), MISSING));
    cases.push(case(30, "blank", with(&[("X-Party", " \t ")]), MISSING));
    cases.push(case(30, "two numbers", with(&[("X-Party", "312714051 315556155")]), INVALID));
    cases.push(case(
        30,
        "a list by semicolon",
        with(&[("X-Party", "312714051;315556155")]),
        INVALID,
    ));
    cases.push(case(30, "eight bits", with(&[("X-Party", "312714051\u{a0}")]), INVALID));
    cases.push(case(30, "another", with(&[("X-Party", DENIED)]), DENIED_ACCESS));
    let once = get("by-header", "/v1/header").line("x-party: 312714051");
    cases.push(case(30, "once", with(&[("X-Party", PERMITTED)]), once.clone()));
    cases.push(case(30, "once with blanks", with(&[("x-PARTY", " 312714051\t")]), once));
    Ground::new(RULES, "").await.play(cases).await;
}

#[tokio::test]
async fn a_member_of_json_stands_there_once() {
    let mut cases = rows(
        31,
        &AMBIGUOUS_PARAMETER,
        [
            r#"{"orgnr":"312714051","orgnr":"315556155"}"#,
            r#"{"orgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051","orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051","orgnr":null}"#,
            r#"{"orgnr":"312714051","\u006frgnr":"315556155"}"#,
            r#"{"\u006frgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"\u006Frgnr":"312714051","orgn\u0072":"315556155"}"#,
            r#"{"orgnr":"312714051","ORGNR":"315556155"}"#,
            r#"{"Orgnr":"315556155","orgnr":"312714051"}"#,
            r#"{"ORGNR":"312714051"}"#,
            r#"{"orgnr":"312714051","\u004frgnr":"315556155"}"#,
        ],
    );
    let deep = |body: &str| typed("/v1/deep", "application/json").body(body.as_bytes()).bytes();
    for body in [
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"a":{}}"#,
        r#"{"a":{},"a":{"b/c":{"orgnr":"312714051"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"A":{"b/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"b/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"b\/c":{"orgnr":"315556155"}}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051"},"\u0062/c":1}}"#,
        r#"{"a":{"b/c":{"orgnr":"312714051","OrgNr":"315556155"}}}"#,
    ] {
        cases.push(case(31, format!("`{body}`"), deep(body), AMBIGUOUS_PARAMETER));
    }
    let sound =
        r#"{"a":{"b/c":{"orgnr":"312714051"}},"b/c":{"orgnr":"x"},"orgnr":1,"x":{"a":1,"a":2}}"#;
    cases.push(case(
        31,
        "elsewhere",
        deep(sound),
        posted("deep", "/v1/deep", "application/json", sound),
    ));
    for body in [
        GOOD,
        r#"{"x":{"orgnr":"315556155"},"orgnr":"312714051"}"#,
        r#"{"orgnr\u0000":"315556155","orgnr":"312714051"}"#,
        r#"{"orgnr ":"315556155","orgnr":"312714051"}"#,
        r#"{"\u006frgnr":"312714051"}"#,
        r#"{"orgnr":"\u0033\u0031\u0032714051"}"#,
        r#"{"x":1,"x":2,"orgnr":"312714051"}"#,
    ] {
        cases.push(case(31, format!("`{body}`"), json(body), json_arrives(body)));
    }
    Ground::new(RULES, "").await.play(cases).await;
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn json_that_two_readers_read_differently_is_refused() {
    let deep =
        format!(r#"{{"orgnr":"312714051","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let shallow =
        format!(r#"{{"orgnr":"312714051","x":{}{}}}"#, "[".repeat(1500), "]".repeat(1500));
    let mut cases = rows(
        32,
        &UNREADABLE,
        [
            "",
            " ",
            "orgnr=312714051",
            r#"{"orgnr":"312714051"}{"orgnr":"315556155"}"#,
            r#"{"orgnr":"312714051"} x"#,
            r#"{"orgnr":"312714051"},"#,
            r#"{"orgnr":"312714051"}//"#,
            r#"/* */{"orgnr":"312714051"}"#,
            r#"{"orgnr":"312714051"/*,"orgnr":"315556155"*/}"#,
            "{\"orgnr\":\"312714051\" # x\n}",
            r#"{"orgnr":"312714051",}"#,
            r#"{,"orgnr":"312714051"}"#,
            r#"{orgnr:"312714051"}"#,
            "{'orgnr':'312714051'}",
            r#"{"orgnr":"312714051""#,
            r#"{"orgnr":"312714051","x":NaN}"#,
            r#"{"orgnr":"312714051","x":Infinity}"#,
            r#"{"orgnr":"312714051","x":01}"#,
            r#"{"orgnr":"312714051","x":+1}"#,
            r#"{"orgnr":"312714051","x":1.}"#,
            r#"{"orgnr":"312714051","x":.5}"#,
            r#"{"orgnr":"312714051","x":0x1}"#,
            r#"{"orgnr":0312714051}"#,
            r#"{"orgnr":"312714051","x":True}"#,
            r#"{"orgnr":"312714051","x":undefined}"#,
            r#"{"orgnr":"312714051","x":"\x41"}"#,
            r#"{"orgnr":"312714051","x":"\u12"}"#,
            r#"{"orgnr":"312714051","x":"\ud800"}"#,
            "{\"orgnr\":\"312714051\",\"x\":\"\u{1}\"}",
            "{\"orgnr\":\"312714051\",\"x\":\"a\nb\"}",
            "{\"orgnr\":\"312714051\"}\0",
            "\u{feff}{\"orgnr\":\"312714051\"}",
            "{\u{a0}\"orgnr\":\"312714051\"}",
            "{\u{b}\"orgnr\":\"312714051\"}",
            "\u{1e}{\"orgnr\":\"312714051\"}",
            ")]}',\n{\"orgnr\":\"312714051\"}",
            shallow.as_str(),
        ],
    );
    cases.push(case(32, "ten thousand deep", json(deep), TOO_LARGE));
    let wide =
        |encode: fn(u16) -> [u8; 2]| GOOD.encode_utf16().flat_map(encode).collect::<Vec<_>>();
    cases.extend([
        case(32, "UTF-16, low end first", json(wide(u16::to_le_bytes)), UNREADABLE),
        case(32, "UTF-16, high end first", json(wide(u16::to_be_bytes)), UNREADABLE),
        case(32, "Latin-1", json(b"{\"orgnr\":\"312714051\",\"x\":\"\xe6\"}"), UNREADABLE),
        case(
            32,
            "overlong UTF-8",
            json(b"{\"orgnr\":\"312714051\",\"x\":\"\xc0\xaf\"}"),
            UNREADABLE,
        ),
        case(
            32,
            "a surrogate in UTF-8",
            json(b"{\"orgnr\":\"312714051\",\"x\":\"\xed\xa0\x80\"}"),
            UNREADABLE,
        ),
    ]);
    cases.extend(rows(
        32,
        &INVALID,
        [
            r#"{"orgnr":["312714051"]}"#,
            r#"{"orgnr":[]}"#,
            r#"{"orgnr":{"orgnr":"312714051"}}"#,
            r#"{"orgnr":null}"#,
            r#"{"orgnr":true}"#,
            r#"{"orgnr":312714051.0}"#,
            r#"{"orgnr":3.12714051e8}"#,
            r#"{"orgnr":312714051e0}"#,
            r#"{"orgnr":-312714051}"#,
            r#"{"orgnr":"312714051\u0000"}"#,
            r#"{"orgnr":" 312714051"}"#,
            r#"{"orgnr":"312714051\n"}"#,
        ],
    ));
    cases.extend(rows(
        32,
        &MISSING,
        [
            "{}",
            "[]",
            r#""312714051""#,
            "312714051",
            "null",
            r#"{"orgnr":""}"#,
            r#"[{"orgnr":"312714051"}]"#,
            r#"{"x":{"orgnr":"312714051"}}"#,
        ],
    ));
    for body in [
        r#"{"orgnr":312714051}"#,
        "\r\n\t {  \"x\" : 1.0e0, \"orgnr\":\t\"312714051\" , \"\\u0061\":[ ] } \r\n\t ",
        "{\"orgnr\":\"0192:312714051\",\"\u{e6}\":\"\\ud83d\\ude00 \u{1f600}\"}\n\n",
    ] {
        cases.push(case(36, format!("`{body}`"), json(body), json_arrives(body)));
        let chunked = typed(WRITE, "application/json").chunked(body.as_bytes(), "");
        cases.push(case(36, format!("`{body}` in chunks"), chunked.bytes(), json_arrives(body)));
    }
    Ground::new(RULES, "").await.play(cases).await;
}

#[tokio::test]
async fn a_body_is_of_the_kind_that_the_rule_reads() {
    let of = |media_type: &str| typed(WRITE, media_type).body(GOOD.as_bytes()).bytes();
    let mut cases = vec![case(
        33,
        "none",
        ask("POST", WRITE).bearer().body(GOOD.as_bytes()).bytes(),
        UNSUPPORTED,
    )];
    for media_type in [
        "",
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=x",
        "multipart/related; type=\"application/json\"; boundary=x",
        "*/*",
        "json",
        "application/jsonp",
        "application/json-patch",
        "application/x-json",
        "application/json5",
        "application/json+xml",
        "application/",
        "/json",
        "application/json/x",
        "application json",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/json; charset=utf-16",
        "application/json; charset=UTF-16LE",
        "application/json; charset=utf-32",
        "application/json; charset=utf-7",
        "application/json; charset=iso-8859-1",
        "application/json; charset=\"utf-16\"",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; CharSet=utf-16",
        "application/json; charset=",
        "application/json; charset",
        "application/json; =utf-8",
        "application/json\u{a0}",
    ] {
        cases.push(case(33, format!("`{media_type}`"), of(media_type), UNSUPPORTED));
    }
    let twice = typed(WRITE, "application/json").header("content-type", "text/plain");
    cases.push(case(33, "two lines", twice.body(GOOD.as_bytes()).bytes(), UNSUPPORTED));
    for media_type in [
        "application/json",
        "APPLICATION/JSON",
        "text/json",
        "application/problem+json",
        "application/vnd.x.v1+json",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json ; x=y; charset=utf-8",
    ] {
        let arrives = posted("r2", WRITE, media_type, GOOD);
        cases.push(case(33, format!("`{media_type}`"), of(media_type), arrives));
    }
    for coding in [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, gzip",
        "",
        "none",
        "aes128gcm",
    ] {
        let asked = typed(WRITE, "application/json").header("Content-Encoding", coding);
        cases.push(case(
            34,
            format!("the coding `{coding}`"),
            asked.body(GOOD.as_bytes()).bytes(),
            UNSUPPORTED,
        ));
    }
    let twice = typed(WRITE, "application/json").header("Content-Encoding", "identity");
    let twice = twice.header("content-encoding", "gzip").body(GOOD.as_bytes());
    cases.push(case(34, "two codings", twice.bytes(), UNSUPPORTED));
    Ground::new(RULES, "").await.play(cases).await;
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Case 34: where the rule allows it, what is judged is decompressed, and what arrives is what was sent.
#[tokio::test]
async fn a_compressed_body_is_judged_within_its_limit_and_sent_as_it_came() {
    let rules = r#"
  - id: gzip
    match: { method: POST, path: /v1/gzip }
    resource: r-read
    action: read
    party: json:/orgnr
    scopes: ["it:read"]
    content_encoding: [gzip]
    max_decompressed: 64KiB
"#;
    let sent = |coding: &str, body: &[u8]| {
        typed("/v1/gzip", "application/json").header("Content-Encoding", coding).body(body).bytes()
    };
    let arrives = |coding: &str, body: &[u8]| {
        posted("gzip", "/v1/gzip", "application/json", body)
            .line(&format!("content-encoding: {coding}"))
    };
    let (good, other) = (gzip(GOOD.as_bytes()), gzip(br#"{"orgnr":"315556155"}"#));
    let padded = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let (largest, larger) =
        (gzip(padded(64 * 1024).as_bytes()), gzip(padded(64 * 1024 + 1).as_bytes()));
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100 * 1024, "it must not be refused for its own size");
    let mut lying = bomb.clone();
    let at = lying.len() - 4;
    lying[at..].copy_from_slice(&100_u32.to_le_bytes());
    let mut damaged = good.clone();
    damaged[12] ^= 0x40;
    let too_large = Want::Refused(413, "body-too-large");
    let plain = typed("/v1/gzip", "application/json").body(GOOD.as_bytes());
    let cases = vec![
        case(34, "one member", sent("gzip", &good), arrives("gzip", &good)),
        case(34, "in capitals", sent("GZIP", &good), arrives("GZIP", &good)),
        case(34, "the largest", sent("gzip", &largest), arrives("gzip", &largest)),
        case(34, "plain", plain.bytes(), posted("gzip", "/v1/gzip", "application/json", GOOD)),
        case(34, "of another party", sent("gzip", &other), DENIED_ACCESS),
        case(34, "one byte more", sent("gzip", &larger), too_large.clone()),
        case(34, "a bomb", sent("gzip", &bomb), too_large),
        case(34, "a bomb that lies of its length", sent("gzip", &lying), UNREADABLE),
        case(34, "two members", sent("gzip", &[good.clone(), other.clone()].concat()), UNREADABLE),
        case(
            34,
            "two members, the first empty",
            sent("gzip", &[gzip(b""), good.clone()].concat()),
            UNREADABLE,
        ),
        case(34, "bytes behind it", sent("gzip", &[good.as_slice(), b"\0"].concat()), UNREADABLE),
        case(34, "cut short", sent("gzip", &good[..good.len() - 1]), UNREADABLE),
        case(34, "damaged", sent("gzip", &damaged), UNREADABLE),
        case(34, "compressed twice", sent("gzip", &gzip(&good)), UNREADABLE),
        case(34, "not compressed", sent("gzip", GOOD.as_bytes()), UNREADABLE),
        case(34, "empty", sent("gzip", b""), UNREADABLE),
        case(34, "twice in the list", sent("gzip, gzip", &gzip(&good)), UNSUPPORTED),
        case(34, "deflate", sent("deflate", &good), UNSUPPORTED),
        case(34, "x-gzip", sent("x-gzip", &good), UNSUPPORTED),
        case(34, "said to be plain", sent("identity", &good), UNREADABLE),
    ];
    Ground::new(rules, "").await.play(cases).await;
}

#[tokio::test]
async fn a_body_past_its_limit_never_arrives() {
    let sized = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let chunked =
        |body: &str| typed(WRITE, "application/json").chunked(body.as_bytes(), "").bytes();
    let stated =
        |length: &str| typed(WRITE, "application/json").header("Content-Length", length).head();
    let (most, more, most_more) = (sized(4096), sized(4097), sized(100_000));
    let cases = vec![
        case(35, "the largest", json(&most), json_arrives(&most)),
        case(35, "the largest in chunks", chunked(&most), json_arrives(&most)),
        case(35, "one byte more", json(&more), TOO_LARGE),
        case(35, "one byte more in chunks", chunked(&more), TOO_LARGE),
        case(35, "far more", json(&most_more), TOO_LARGE),
        case(35, "far more in chunks", chunked(&most_more), TOO_LARGE),
        // Nothing of it is ever sent.
        case(35, "one byte more, stated", stated("4097"), TOO_LARGE),
        case(35, "a terabyte, stated", stated("1099511627776"), TOO_LARGE),
        case(35, "all there is, stated", stated("9223372036854775807"), TOO_LARGE),
        case(
            35,
            "with a body that is denied",
            ask("POST", WRITE).header("Content-Length", "4097").head(),
            Want::Severed(401, "token-missing"),
        ),
    ];
    Ground::new(RULES, "").await.play(cases).await;
}

#[tokio::test]
async fn several_parties_are_all_permitted_or_none() {
    let sent = |body: &str| typed("/v1/list", "application/json").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("list", "/v1/list", "application/json", body);
    let mut cases = Vec::new();
    for body in [
        r#"{"orgs":["312714051"]}"#,
        r#"{"orgs":["312714051","312714051"]}"#,
        r#"{"orgs":["312714051","0192:312714051",312714051]}"#,
        r#"{"orgs":"312714051"}"#,
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), arrives(body)));
    }
    for (body, want) in [
        (r#"{"orgs":["312714051","315556155"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["315556155","312714051"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["312714051","312714051","315556155"]}"#, DENIED_ACCESS),
        (r#"{"orgs":["312714051","315556155","314242726","314330897"]}"#, TOO_MANY),
        (r#"{"orgs":["312714051","312714051","312714051","312714051"]}"#, TOO_MANY),
        (r#"{"orgs":["312714051","x"]}"#, INVALID),
        (r#"{"orgs":["312714051",null]}"#, INVALID),
        (r#"{"orgs":["312714051",["315556155"]]}"#, INVALID),
        (r#"{"orgs":["312714051",{"orgnr":"315556155"}]}"#, INVALID),
        (r#"{"orgs":["312714051","312714051,315556155"]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"orgs":["312714051",""]}"#, MISSING),
        (r#"{"orgs":[]}"#, MISSING),
        ("{}", MISSING),
        (r#"{"orgs":["312714051"],"orgs":["315556155"]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"orgs":["312714051"],"ORGS":["315556155"]}"#, AMBIGUOUS_PARAMETER),
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), want));
    }
    Ground::new(RULES, "").await.play(cases).await;
}

/// Case 38: of a list of objects, each has what is read.
#[tokio::test]
async fn each_of_several_objects_has_its_party() {
    let rules = r#"
  - id: items
    match: { method: POST, path: /v1/items }
    resource: r-read
    action: read
    party: { from: "json:/items/*/orgnr", many: all, max: 3 }
    scopes: ["it:read"]
"#;
    let sent = |body: &str| typed("/v1/items", "application/json").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("items", "/v1/items", "application/json", body);
    let mut cases = Vec::new();
    for body in [
        r#"{"items":[{"orgnr":"312714051"}]}"#,
        r#"{"items":[{"orgnr":"312714051","x":[1]},{"y":{},"orgnr":312714051}]}"#,
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), arrives(body)));
    }
    for (body, want) in [
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":"315556155"}]}"#, DENIED_ACCESS),
        (r#"{"items":[{"orgnr":"312714051"},{}]}"#, MISSING),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":""}]}"#, MISSING),
        (r#"{"items":[]}"#, MISSING),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":["315556155"]}]}"#, INVALID),
        (r#"{"items":[{"orgnr":"312714051"},{"orgnr":null}]}"#, INVALID),
        (r#"{"items":[{"orgnr":"312714051","orgnr":"315556155"}]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051","Orgnr":"315556155"}]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051"}],"items":[]}"#, AMBIGUOUS_PARAMETER),
        (r#"{"items":[{"orgnr":"312714051"}],"\u0069tems":[]}"#, AMBIGUOUS_PARAMETER),
        (
            r#"{"items":[{"orgnr":"312714051"},{"orgnr":"312714051"},{"orgnr":"312714051"},{"orgnr":"315556155"}]}"#,
            TOO_MANY,
        ),
    ] {
        cases.push(case(38, format!("`{body}`"), sent(body), want));
    }
    Ground::new(rules, "").await.play(cases).await;
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test]
async fn an_element_of_xml_stands_there_once() {
    let rules = r#"
  - id: xml
    match: { method: POST, path: /v1/xml }
    resource: r-read
    action: read
    party: xml:/m:Report/m:Orgnr
    namespaces: { m: "urn:m" }
    scopes: ["it:read"]
"#;
    let sent = |body: &str| typed("/v1/xml", "application/xml").body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("xml", "/v1/xml", "application/xml", body);
    let mut cases = Vec::new();
    for body in [
        r#"<m:Report xmlns:m="urn:m"><m:Orgnr>312714051</m:Orgnr></m:Report>"#,
        r#"<Report xmlns="urn:m"><Orgnr>312714051</Orgnr></Report>"#,
        r#"<x:Report xmlns:x="urn:m"><y:Orgnr xmlns:y="urn:m">312714051</y:Orgnr></x:Report>"#,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Report xmlns='urn:m'>\n <Orgnr >&#51;12714051</Orgnr>\n</Report>\n",
        r#"<Report xmlns="urn:m"><Orgnr>312714051</Orgnr><Other><Orgnr>315556155</Orgnr></Other></Report>"#,
    ] {
        cases.push(case(37, format!("`{body}`"), sent(body), arrives(body)));
    }
    let inside = |inner: &str| format!(r#"<Report xmlns="urn:m">{inner}</Report>"#);
    let many = |attribute: fn(usize) -> String, count: usize| {
        let all: Vec<String> = (0..count).map(attribute).collect();
        inside(&format!("<Orgnr>312714051</Orgnr><a {}/>", all.join(" ")))
    };
    for (body, want) in [
        (inside("<Orgnr>312714051</Orgnr><Orgnr>315556155</Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>312714051</Orgnr><Orgnr>312714051</Orgnr>"), AMBIGUOUS_PARAMETER),
        (
            inside("<Orgnr>312714051</Orgnr><x:Orgnr xmlns:x='urn:m'>315556155</x:Orgnr>"),
            AMBIGUOUS_PARAMETER,
        ),
        (inside("<Orgnr>312714051</Orgnr><ORGNR>315556155</ORGNR>"), AMBIGUOUS_PARAMETER),
        (
            inside("<Orgnr>312714051</Orgnr><Orgnr xmlns='urn:other'>315556155</Orgnr>"),
            AMBIGUOUS_PARAMETER,
        ),
        (inside("<Orgnr>312714051<!-- x --></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>3127<!-- x -->14051</Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr><![CDATA[312714051]]></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr>312714051<![CDATA[]]></Orgnr>"), AMBIGUOUS_PARAMETER),
        (inside("<Orgnr/>"), MISSING),
        (inside("<Orgnr></Orgnr>"), MISSING),
        (inside(""), MISSING),
        (inside("<Orgnr><x>312714051</x></Orgnr>"), INVALID),
        (inside("<Orgnr>312714051<x/></Orgnr>"), INVALID),
        (inside("<Orgnr>315556155</Orgnr>"), DENIED_ACCESS),
        ("<Report><Orgnr>312714051</Orgnr></Report>".to_owned(), AMBIGUOUS_PARAMETER),
        (
            r#"<m:Report xmlns:m="urn:other"><m:Orgnr>312714051</m:Orgnr></m:Report>"#.to_owned(),
            AMBIGUOUS_PARAMETER,
        ),
        ("<m:Report><m:Orgnr>312714051</m:Orgnr></m:Report>".to_owned(), UNREADABLE),
        (r#"<Other xmlns="urn:m"><Orgnr>312714051</Orgnr></Other>"#.to_owned(), MISSING),
        (format!("<!DOCTYPE Report>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (
            format!(
                "<!DOCTYPE Report [<!ENTITY a \"312714051\">]>{}",
                inside("<Orgnr>&a;</Orgnr>")
            ),
            UNREADABLE,
        ),
        (
            format!(
                "<!DOCTYPE r SYSTEM \"file:///etc/passwd\">{}",
                inside("<Orgnr>312714051</Orgnr>")
            ),
            UNREADABLE,
        ),
        (format!("<!doctype Report>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (inside("<Orgnr>&a;</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>&a;"), UNREADABLE),
        (
            inside(
                "<Orgnr>312714051</Orgnr><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='x'/>",
            ),
            UNREADABLE,
        ),
        (
            format!("<?xml-stylesheet href=\"x\"?>{}", inside("<Orgnr>312714051</Orgnr>")),
            UNREADABLE,
        ),
        (format!("<?xml version=\"1.1\"?>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-7\"?>{}",
                inside("<Orgnr>312714051</Orgnr>")
            ),
            UNREADABLE,
        ),
        (format!(" <?xml version=\"1.0\"?>{}", inside("<Orgnr>312714051</Orgnr>")), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>").repeat(2), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>") + "x", UNREADABLE),
        (inside("<Orgnr>312714051</ORGNR>"), UNREADABLE),
        (inside("<Orgnr>312714051"), UNREADABLE),
        (inside("<Orgnr a='1' a='2'>312714051</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr><a>]]></a>"), UNREADABLE),
        (inside("<Orgnr>312714051\0</Orgnr>"), UNREADABLE),
        (inside("<Orgnr>312714051</Orgnr>&#0;"), UNREADABLE),
        (
            inside(&format!(
                "<Orgnr>312714051</Orgnr>{}{}",
                "<a>".repeat(1000),
                "</a>".repeat(1000)
            )),
            UNREADABLE,
        ),
        (many(|at| format!("a{at}='1'"), 80_000), UNREADABLE),
        (many(|at| format!("xmlns:a{at}='urn:{at}'"), 40_000), UNREADABLE),
        (String::new(), UNREADABLE),
        (GOOD.to_owned(), UNREADABLE),
    ] {
        let name: String = body.chars().take(160).collect();
        cases.push(case(37, format!("`{name}`"), sent(&body), want));
    }
    let wide: Vec<u8> =
        inside("<Orgnr>312714051</Orgnr>").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let typed_as = |media_type: &str| {
        typed("/v1/xml", media_type).body(inside("<Orgnr>312714051</Orgnr>").as_bytes()).bytes()
    };
    cases.extend([
        case(37, "UTF-16", typed("/v1/xml", "application/xml").body(&wide).bytes(), UNREADABLE),
        case(33, "JSON where XML is read", typed_as("application/json"), UNSUPPORTED),
        case(33, "XML in UTF-16", typed_as("application/xml; charset=utf-16"), UNSUPPORTED),
    ]);
    Ground::new(rules, "").await.play(cases).await;
}

/// Case 28: of a form, too.
#[tokio::test]
async fn a_party_in_a_form_stands_there_once() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let rules = r#"
  - id: form
    match: { method: POST, path: /v1/form }
    resource: r-read
    action: read
    party: form:orgnr
    scopes: ["it:read"]
"#;
    let sent = |body: &str| typed("/v1/form", FORM).body(body.as_bytes()).bytes();
    let arrives = |body: &str| posted("form", "/v1/form", FORM, body);
    let mut cases = Vec::new();
    for body in [
        "orgnr=312714051",
        "x=1&orgnr=31271405%31&y",
        "org%6Er=312714051",
        "orgnr=312714051&z=%C3%A6+1",
    ] {
        cases.push(case(28, format!("`{body}`"), sent(body), arrives(body)));
    }
    for (body, want) in [
        ("orgnr=312714051&orgnr=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051&orgnr=312714051", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051&ORGNR=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051&orgnr[]=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051&orgnr.a=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051&%6frgnr=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051;orgnr=315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=312714051,315556155", AMBIGUOUS_PARAMETER),
        ("orgnr=", MISSING),
        ("orgnr", MISSING),
        ("", MISSING),
        ("x=312714051", MISSING),
        ("orgnr=%zz", UNREADABLE),
        ("orgnr=312714051&x=%", UNREADABLE),
        ("orgnr=312714051&x=%ff", UNREADABLE),
        ("orgnr=312714051\r\n", UNREADABLE),
        ("orgnr=312714051&x=a\0b", UNREADABLE),
        ("orgnr=+312714051", INVALID),
        ("orgnr=312714051%00", INVALID),
        ("orgnr=315556155", DENIED_ACCESS),
    ] {
        cases.push(case(28, format!("`{body}`"), sent(body), want));
    }
    let query = typed("/v1/form?orgnr=315556155", FORM).body(b"orgnr=312714051");
    cases.push(case(28, "in the query as well", query.bytes(), AMBIGUOUS_PARAMETER));
    let alias = typed("/v1/form?Orgnr[]=315556155", FORM).body(b"orgnr=312714051");
    cases.push(case(28, "an alias in the query", alias.bytes(), AMBIGUOUS_PARAMETER));
    let multipart = typed("/v1/form", "multipart/form-data; boundary=x");
    let parts = b"--x\r\nContent-Disposition: form-data; name=orgnr\r\n\r\n312714051\r\n--x--\r\n";
    cases.push(case(33, "in parts", multipart.body(parts).bytes(), UNSUPPORTED));
    Ground::new(rules, "").await.play(cases).await;
}
