//! Requests whose target, host or sources can be read in more than one way, each as raw bytes, with what
//! must come of it. `forwarded` is what the API saw, by its own count.

use crate::support::{Ask, DENIED, PERMITTED, READ, Server, Sidecar, WRITE, ask, exchange, ok};

/// What must come of a row.
#[derive(Clone, Copy)]
enum Want {
    /// This status and code, and nothing reaches the API.
    Refused(u16, &'static str),
    /// The end of the connection, and no answer: what came is no HTTP.
    Silence,
    /// Forwarded with exactly this target.
    Forwarded(&'static str),
}
use Want::{Forwarded, Refused, Silence};

/// A numbered case, and its request.
type Row = (&'static str, Vec<u8>, Want);

async fn play(rows: Vec<Row>) {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut faults = Vec::new();
    for (case, bytes, want) in rows {
        let before = upstream.count();
        let reply = exchange(sidecar.traffic, &bytes).await;
        let seen: Vec<String> =
            upstream.seen()[before..].iter().map(|seen| seen.head.start.clone()).collect();
        let right = match want {
            Refused(status, code) => {
                seen.is_empty() && reply.verdict() == format!("{status} {code}")
            }
            Silence => seen.is_empty() && reply.status == 0,
            Forwarded(target) => {
                reply.status == 200 && seen.len() == 1 && seen[0].split(' ').nth(1) == Some(target)
            }
        };
        if !right {
            let line = String::from_utf8_lossy(&bytes);
            let line = line.lines().next().unwrap_or_default().chars().take(90).collect::<String>();
            faults.push(format!("{case}: `{line}` → {} seen {seen:?}", reply.verdict()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn get(target: &str) -> Vec<u8> {
    ask("GET", target).bearer().bytes()
}

/// A `GET` whose target is not text.
fn get_raw(target: &[u8]) -> Vec<u8> {
    let line = [b"GET ", target, b" HTTP/1.1\r\nHost: api.example.no\r\n\r\n"];
    line.concat()
}

fn bytes(asked: Ask) -> Vec<u8> {
    asked.bearer().bytes()
}

const AMBIGUOUS: Want = Refused(400, "ambiguous-path");
const MALFORMED: Want = Refused(400, "malformed-request");
const TWICE: Want = Refused(400, "ambiguous-parameter");
const UNKNOWN: Want = Refused(404, "route-unknown");

#[tokio::test]
async fn a_target_that_two_readers_could_read_differently_is_refused() {
    play(vec![
        ("0 as it should be", get(READ), Forwarded(READ)),
        ("1 dot segments", get("/v1/open/../orgs/312714051/reports"), AMBIGUOUS),
        ("1 dot segment at the end", get("/v1/open/.."), AMBIGUOUS),
        ("2 encoded dots", get("/v1/open/%2e%2e/orgs/312714051/reports"), AMBIGUOUS),
        ("2 in capitals", get("/v1/open/%2E./orgs/312714051/reports"), AMBIGUOUS),
        ("2 half encoded", get("/v1/open/.%2e/orgs/312714051/reports"), AMBIGUOUS),
        ("3 encoded slash", get("/v1/orgs/312714051%2Freports"), AMBIGUOUS),
        ("3 in lower case", get("/v1/orgs/312714051%2freports"), AMBIGUOUS),
        ("4 backslash", get("/v1/orgs/312714051\\reports"), AMBIGUOUS),
        ("4 encoded backslash", get("/v1/orgs/312714051%5creports"), AMBIGUOUS),
        ("5 empty first segment", get("//v1/orgs/312714051/reports"), AMBIGUOUS),
        ("5 empty segment", get("/v1//orgs/312714051/reports"), AMBIGUOUS),
        ("6 dot", get("/v1/./orgs/312714051/reports"), AMBIGUOUS),
        ("7 matrix parameter", get("/v1/orgs/312714051;x=1/reports"), AMBIGUOUS),
        ("7 matrix parameter behind dots", get("/v1/open/..;/orgs/312714051/reports"), AMBIGUOUS),
        ("7 encoded semicolon", get("/v1/orgs/312714051%3Bx/reports"), AMBIGUOUS),
        ("8 encoded NUL", get("/v1/orgs/312714051%00/reports"), AMBIGUOUS),
        ("8 encoded line feed", get("/v1/orgs/312714051%0a/reports"), AMBIGUOUS),
        ("8 encoded carriage return", get("/v1/orgs/312714051%0D/reports"), AMBIGUOUS),
        ("8 raw control byte", get_raw(b"/v1/op\x01en"), MALFORMED),
        ("8 raw NUL", get_raw(b"/v1/open\x00"), MALFORMED),
        ("9 lone percent", get("/v1/open%"), AMBIGUOUS),
        ("9 short escape", get("/v1/open%2"), AMBIGUOUS),
        ("9 no hex", get("/v1/open%zz"), AMBIGUOUS),
        ("10 encoded twice", get("/v1/%252e%252e/orgs/312714051/reports"), AMBIGUOUS),
        ("10 in a capture", get("/v1/orgs/31271405%2531/reports"), AMBIGUOUS),
        ("11 encoded hash is an ordinary character", get("/v1/open%23"), UNKNOWN),
        (
            "12 a path in the query",
            get("/v1/open?/v1/orgs/312714051/reports"),
            Forwarded("/v1/open?/v1/orgs/312714051/reports"),
        ),
        ("13 another case of a literal", get("/V1/Open"), UNKNOWN),
        ("13 another case of a method's rule", get("/v1/ORGS/312714051/reports"), UNKNOWN),
        ("14 final slash", get("/v1/orgs/312714051/reports/"), UNKNOWN),
        ("14 final slash of the open one", get("/v1/open/"), UNKNOWN),
        ("15 overlong UTF-8", get("/v1/open%c0%ae"), AMBIGUOUS),
        ("15 invalid UTF-8", get("/v1/open%ff"), AMBIGUOUS),
        ("16 absolute form", get("http://other/v1/open"), MALFORMED),
        ("16 absolute form of the same host", get("http://api.example.no/v1/open"), MALFORMED),
        ("16 absolute form twice", get("http:http://api.example.no/v1/open"), MALFORMED),
        ("16 no slash", get("v1/open"), MALFORMED),
        ("17 asterisk", bytes(ask("OPTIONS", "*")), MALFORMED),
        ("17 CONNECT", bytes(ask("CONNECT", "me:443")), MALFORMED),
        ("17 TRACE", bytes(ask("TRACE", "/v1/open")), Refused(405, "method-not-allowed")),
        ("18 lower case", bytes(ask("get", "/v1/open")), Refused(405, "method-not-allowed")),
        ("18 tab in the method", bytes(ask("GE\tT", "/v1/open")), MALFORMED),
        ("18 unknown method", bytes(ask("FETCH", "/v1/open")), Refused(405, "method-not-allowed")),
        (
            "19 override by header",
            bytes(ask("POST", "/v1/open").header("X-HTTP-Method-Override", "GET")),
            Refused(405, "method-not-allowed"),
        ),
        (
            "19 override by query",
            bytes(ask("POST", "/v1/open?_method=GET")),
            Refused(405, "method-not-allowed"),
        ),
        ("20 HEAD under GET", bytes(ask("HEAD", READ)), Forwarded(READ)),
        (
            "21 target of 8 KiB and more",
            get(&format!("/public/{}", "a".repeat(8 * 1024))),
            Refused(414, "target-too-long"),
        ),
        ("21 more than 256 segments", get(&format!("/public{}", "/a".repeat(300))), AMBIGUOUS),
        ("22 encoded letter", get("/v1/%6f%70en"), AMBIGUOUS),
        ("22 encoded digit in a capture", get("/v1/orgs/%3312714051/reports"), AMBIGUOUS),
    ])
    .await;
}

#[tokio::test]
async fn a_fragment_is_refused_before_the_library_cuts_it() {
    play(vec![
        ("11 fragment", get("/v1/open#/../orgs/312714051/reports"), MALFORMED),
        ("11 fragment of the query", get("/v1/open?a#b"), MALFORMED),
        (
            "11 fragment behind a capture",
            get("/v1/orgs/315556155/reports#/../312714051"),
            MALFORMED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_head_refusal_has_no_body_and_asks_like_a_get() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let target = format!("/v1/orgs/{DENIED}/reports");
    let mut client = crate::support::Client::connect(sidecar.traffic).await;
    client.send(ask("HEAD", &target).bearer().bytes()).await;
    assert_eq!(client.reply_to("HEAD").await.status, 403);
    // Had a body come, it would stand in front of this answer.
    client.send(get(&target)).await;
    assert_eq!(client.reply().await.verdict(), "403 access-denied");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_party_that_is_not_one_number_is_refused_by_name() {
    let refused = Refused(400, "party-invalid");
    let at = |party: &str| get(&format!("/v1/orgs/{party}/reports"));
    play(vec![
        ("23 fullwidth digits", at("%EF%BC%93%EF%BC%91%EF%BC%92714051"), refused),
        ("23 spaces", at("312%20714%20051"), refused),
        ("23 wrong check digit", at("312714052"), refused),
        ("23 too short", at("31271405"), refused),
        (
            "23 ISO 6523 is a legal form",
            at("0192:312714051"),
            Forwarded("/v1/orgs/0192:312714051/reports"),
        ),
        ("23 another ISO 6523 authority", at("9908:312714051"), refused),
        ("23 a person where none may stand", at("15877012345"), refused),
    ])
    .await;
}

#[tokio::test]
async fn a_host_is_one_host() {
    let with_hosts = |lines: &str| format!("GET /public/x HTTP/1.1\r\n{lines}\r\n").into_bytes();
    play(vec![
        ("24 two lines", with_hosts("Host: a\r\nHost: b\r\n"), MALFORMED),
        ("24 two equal lines", with_hosts("Host: a\r\nHost: a\r\n"), MALFORMED),
        ("24 none", with_hosts(""), MALFORMED),
        ("24 comma", with_hosts("Host: a,b\r\n"), MALFORMED),
        ("24 space", with_hosts("Host: a b\r\n"), MALFORMED),
        ("24 user", with_hosts("Host: u@a\r\n"), MALFORMED),
        ("24 port 0", with_hosts("Host: a:0\r\n"), MALFORMED),
        ("24 port 70000", with_hosts("Host: a:70000\r\n"), MALFORMED),
        ("26 capitals", with_hosts("Host: API.Example.no\r\n"), Forwarded("/public/x")),
        ("27 garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), Silence),
        ("27 HTTP/0.9", b"GET /public/x\r\n\r\n".to_vec(), MALFORMED),
    ])
    .await;
}

#[tokio::test]
async fn a_party_in_query_or_header_stands_there_once() {
    let missing = Refused(400, "party-missing");
    let by = |query: &str| get(&format!("/v1/query{query}"));
    let head = |lines: &[(&str, &str)]| {
        bytes(
            lines
                .iter()
                .fold(ask("GET", "/v1/header"), |asked, (name, value)| asked.header(name, value)),
        )
    };
    play(vec![
        ("28 once", by("?orgnr=312714051"), Forwarded("/v1/query?orgnr=312714051")),
        ("28 twice", by("?orgnr=312714051&orgnr=315556155"), TWICE),
        ("28 twice and equal", by("?orgnr=312714051&orgnr=312714051"), TWICE),
        ("28 in another case", by("?orgnr=312714051&ORGNR=315556155"), TWICE),
        ("28 as a list's name", by("?orgnr=312714051&orgnr[]=315556155"), TWICE),
        ("28 as an object's name", by("?orgnr=312714051&orgnr.x=315556155"), TWICE),
        ("28 encoded name", by("?orgnr=312714051&%6frgnr=315556155"), TWICE),
        ("28 semicolon", by("?orgnr=312714051;orgnr=315556155"), TWICE),
        ("28 list", by("?orgnr=312714051,315556155"), TWICE),
        ("29 empty", by("?orgnr="), missing),
        ("29 without a value", by("?orgnr"), missing),
        ("29 absent", by(""), missing),
        ("29 the path's name in the query", get(&format!("{READ}?org={DENIED}")), TWICE),
        ("30 once", head(&[("X-Party", PERMITTED)]), Forwarded("/v1/header")),
        ("30 twice", head(&[("X-Party", PERMITTED), ("x-party", DENIED)]), TWICE),
        ("30 list", head(&[("X-Party", "312714051,315556155")]), TWICE),
        ("30 alias", head(&[("X-Party", PERMITTED), ("X_Party", DENIED)]), TWICE),
        ("30 absent", head(&[]), missing),
    ])
    .await;
}

#[tokio::test]
async fn a_party_in_a_body_is_what_every_reader_reads() {
    let unreadable = Refused(400, "body-unreadable");
    let unsupported = Refused(415, "unsupported-body");
    let invalid = Refused(400, "party-invalid");
    let too_large = Refused(413, "body-too-large");
    let json = |body: &str| bytes(ask("POST", WRITE).json(body));
    let typed = |media_type: &str| {
        let body = br#"{"orgnr":"312714051"}"#;
        bytes(ask("POST", WRITE).header("Content-Type", media_type).body(body))
    };
    let good = r#"{"orgnr":"312714051"}"#;
    let deep = format!("{}{}", "[".repeat(1500), "]".repeat(1500));
    let large = format!(r#"{{"orgnr":"312714051","x":"{}"}}"#, "a".repeat(5000));
    let batch = |orgs: &[&str]| {
        let items = orgs.iter().map(|org| format!("\"{org}\"")).collect::<Vec<_>>();
        bytes(ask("POST", "/v1/batch").json(&format!(r#"{{"parties":[{}]}}"#, items.join(","))))
    };
    play(vec![
        ("31 once", json(good), Forwarded(WRITE)),
        ("31 twice", json(r#"{"orgnr":"312714051","orgnr":"315556155"}"#), TWICE),
        ("31 escaped", json(r#"{"orgnr":"312714051","\u006frgnr":"315556155"}"#), TWICE),
        ("31 in another case", json(r#"{"orgnr":"312714051","ORGNR":"315556155"}"#), TWICE),
        ("32 trailing data", json(&format!("{good}{good}")), unreadable),
        ("32 comment", json(&format!("/* */{good}")), unreadable),
        ("32 NaN", json(r#"{"orgnr":"312714051","x":NaN}"#), unreadable),
        ("32 byte order mark", json(&format!("\u{feff}{good}")), unreadable),
        ("32 depth", json(&format!(r#"{{"orgnr":"312714051","x":{deep}}}"#)), unreadable),
        ("32 not JSON", json("orgnr=312714051"), unreadable),
        ("32 empty", json(""), unreadable),
        ("32 an integer is its digits", json(r#"{"orgnr":312714051}"#), Forwarded(WRITE)),
        ("32 a fraction", json(r#"{"orgnr":312714051.0}"#), invalid),
        ("32 array", json(r#"{"orgnr":["312714051"]}"#), invalid),
        ("32 null", json(r#"{"orgnr":null}"#), invalid),
        ("33 text", typed("text/plain"), unsupported),
        ("33 none", bytes(ask("POST", WRITE).body(good.as_bytes())), unsupported),
        ("33 charset", typed("application/json; charset=utf-16"), unsupported),
        ("33 multipart", typed("multipart/form-data; boundary=x"), unsupported),
        ("33 charset utf-8", typed("application/json; charset=utf-8"), Forwarded(WRITE)),
        (
            "34 compressed",
            bytes(ask("POST", WRITE).header("Content-Encoding", "gzip").json(good)),
            unsupported,
        ),
        ("35 too large by its length", json(&large), too_large),
        (
            "35 too large in chunks",
            bytes(
                ask("POST", WRITE)
                    .header("Content-Type", "application/json")
                    .chunked(large.as_bytes(), ""),
            ),
            too_large,
        ),
        ("38 all permitted", batch(&[PERMITTED, PERMITTED]), Forwarded("/v1/batch")),
        ("38 one denied", batch(&[PERMITTED, DENIED]), Refused(403, "access-denied")),
        ("38 one invalid", batch(&[PERMITTED, "x"]), invalid),
        ("38 none", batch(&[]), Refused(400, "party-missing")),
        (
            "38 too many",
            batch(&[PERMITTED, DENIED, "314242726", "314330897"]),
            Refused(400, "too-many-parties"),
        ),
    ])
    .await;
}
