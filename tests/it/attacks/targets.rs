//! Cases 1 to 23: what is asked for, and by which method.

mod methods;

use super::{
    AMBIGUOUS_PARAMETER, AMBIGUOUS_PATH, Arrival, Case, Ground, MALFORMED, MISFRAMED,
    ROUTE_UNKNOWN, Want, case,
};
use crate::support::{DENIED, READ, ask};

fn get(target: &str) -> Vec<u8> {
    ask("GET", target).bearer().bytes()
}

/// A `GET` with the good token whose target is not text.
fn raw(target: &[u8]) -> Vec<u8> {
    let head = get("/");
    [b"GET ", target, &head[b"GET /".len()..]].concat()
}

fn by(method: &str, target: &str) -> Vec<u8> {
    ask(method, target).bearer().bytes()
}

/// To R1 of the permitted party, whatever the spelling.
fn read(start: &str) -> Arrival {
    Arrival::of("r1", start)
}

fn open(start: &str) -> Arrival {
    Arrival::of("r3", start)
}

/// Rows of one number and one outcome: what is odd, and the target.
fn same(number: u8, want: &Want, rows: &[(&str, &str)]) -> Vec<Case> {
    let row = |(name, target): &(&str, &str)| case(number, *name, get(target), want.clone());
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn a_path_with_two_readings_is_refused() {
    let mut cases =
        vec![case(1, "as it should be", get(READ), read(&format!("GET {READ} HTTP/1.1")))];
    cases.extend(dots());
    cases.extend(slashes());
    cases.extend(bytes());
    cases.extend(escapes());
    Ground::plain().await.play(cases).await;
}

/// Cases 1, 2, 6: dot segments.
fn dots() -> Vec<Case> {
    let plain = [
        ("dots to another rule", "/v1/open/../orgs/312714051/reports"),
        ("dots to another party", "/v1/orgs/312714051/../315556155/reports"),
        ("dots within public", "/public/../v1/open"),
        ("dots at the end", "/v1/open/.."),
        ("dots at the end with a slash", "/v1/open/../"),
        ("dots at the start", "/../v1/open"),
        ("dots above the root", "/../../../../etc/passwd"),
        ("dots alone", "/.."),
        ("dots before the query", "/v1/open/..?x=1"),
        ("dots and an empty segment", "/public/..//v1/open"),
        ("dots in a capture", "/v1/orgs/../reports"),
    ];
    let encoded = [
        ("both encoded", "/v1/open/%2e%2e/orgs/312714051/reports"),
        ("both encoded in capitals", "/v1/open/%2E%2E/orgs/312714051/reports"),
        ("both encoded in both cases", "/v1/open/%2E%2e/orgs/312714051/reports"),
        ("the first encoded", "/v1/open/%2E./orgs/312714051/reports"),
        ("the second encoded", "/v1/open/.%2e/orgs/312714051/reports"),
        ("encoded with an encoded slash", "/v1/open/..%2forgs/312714051/reports"),
        ("all encoded", "/v1/open%2f%2e%2e%2forgs/312714051/reports"),
        ("encoded under a rest", "/public/%2e%2e/v1/open"),
        ("one encoded dot", "/v1/%2e/open"),
        ("encoded twice", "/public/%252e%252e/v1/open"),
        ("encoded dots and a matrix parameter", "/public/%2e%2e;x/v1/open"),
        ("a dot of IIS", "/public/%u002e%u002e/v1/open"),
    ];
    let single = [
        ("a dot", "/v1/./orgs/312714051/reports"),
        ("a dot at the end", "/v1/open/."),
        ("a dot at the end with a slash", "/v1/open/./"),
        ("a dot at the start", "/./v1/open"),
        ("a dot alone", "/."),
        ("an encoded dot at the end", "/v1/open/%2E"),
    ];
    let mut cases = same(1, &AMBIGUOUS_PATH, &plain);
    cases.extend(same(2, &AMBIGUOUS_PATH, &encoded));
    cases.extend(same(6, &AMBIGUOUS_PATH, &single));
    // More dots than two are a name, to every server.
    let name = "GET /public/.../a..b/.x/..y HTTP/1.1";
    let arrives = Arrival::public("public", name).with_token();
    cases.push(case(1, "three dots are a name", get("/public/.../a..b/.x/..y"), arrives));
    cases
}

/// Cases 3, 4, 5, 14: what separates segments.
fn slashes() -> Vec<Case> {
    let encoded = [
        ("encoded", "/v1/orgs/312714051%2Freports"),
        ("encoded in lower case", "/v1/orgs/312714051%2freports"),
        ("encoded at the end", "/v1/open%2F"),
        ("encoded at the start", "/%2Fv1/open"),
        ("encoded under a rest", "/public/a%2Fb"),
        ("encoded in a capture", "/v1/orgs/312714051%2F315556155/reports"),
        ("encoded twice", "/v1/orgs/312714051%252Freports"),
        ("a full-width slash is a character, not of a number", "/v1/orgs%EF%BC%8F312714051"),
    ];
    let backslash = [
        ("raw", "/v1/orgs/312714051\\reports"),
        ("encoded", "/v1/orgs/312714051%5creports"),
        ("encoded in capitals", "/v1/orgs/312714051%5Creports"),
        ("at the start", "\\v1\\open"),
        ("after a slash", "/\\v1/open"),
        ("with dots", "/public/..\\v1/open"),
        ("with encoded dots", "/public/%2e%2e%5cv1/open"),
        ("at the end", "/v1/open\\"),
    ];
    let empty = [
        ("at the start", "//v1/orgs/312714051/reports"),
        ("within", "/v1//orgs/312714051/reports"),
        ("before a capture", "/v1/orgs//312714051/reports"),
        ("in place of a capture", "/v1/orgs//reports"),
        ("at the end", "/v1/open//"),
        ("like an authority", "//api.example.no/v1/open"),
        ("three", "///v1/open"),
        ("alone", "//"),
        ("under a rest", "/public//a"),
        ("in place of a rest", "/public//"),
    ];
    let last = [
        ("of R1", "/v1/orgs/312714051/reports/"),
        ("of R3", "/v1/open/"),
        ("with a query", "/v1/open/?x"),
        ("of a rest", "/public/a/"),
        ("of a rest that is empty", "/public/"),
    ];
    let mut cases = same(3, &AMBIGUOUS_PATH, &encoded[..7]);
    cases.extend(same(3, &ROUTE_UNKNOWN, &encoded[7..]));
    cases.push(case(4, "at the start is no path", get(backslash[3].1), MALFORMED));
    let backslash: Vec<_> = backslash.into_iter().filter(|row| !row.1.starts_with('\\')).collect();
    cases.extend(same(4, &AMBIGUOUS_PATH, &backslash));
    cases.extend(same(5, &AMBIGUOUS_PATH, &empty));
    cases.extend(same(14, &ROUTE_UNKNOWN, &last));
    cases
}

/// Cases 7, 8, 11, 12: bytes that end a path for one reader and not for another.
fn bytes() -> Vec<Case> {
    let matrix = [
        ("in a capture", "/v1/orgs/312714051;x=1/reports"),
        ("of another party", "/v1/orgs/312714051;315556155/reports"),
        ("after dots", "/v1/open/..;/orgs/312714051/reports"),
        ("after dots with a value", "/public/..;a=b/v1/open"),
        ("encoded", "/v1/orgs/312714051%3Bx/reports"),
        ("encoded in lower case", "/v1/orgs/312714051%3bx/reports"),
        ("at the end", "/v1/open;jsessionid=1"),
        ("empty", "/v1/open;"),
        ("before a slash", "/v1;/open"),
        ("alone", "/;/v1/open"),
    ];
    let control = [
        ("encoded NUL", "/v1/orgs/312714051%00/reports"),
        ("encoded NUL at the end", "/v1/open%00"),
        ("encoded NUL before another ending", "/v1/open%00.html"),
        ("encoded line feed", "/v1/orgs/312714051%0a/reports"),
        ("encoded carriage return", "/v1/orgs/312714051%0D/reports"),
        ("encoded line end and header", "/v1/open%0d%0aHost:%20evil"),
        ("encoded tab", "/v1/open%09"),
        ("encoded DEL", "/v1/open%7f"),
        ("encoded C1", "/v1/open%C2%85"),
        ("encoded escape", "/v1/open%1B"),
    ];
    let mut cases = same(7, &AMBIGUOUS_PATH, &matrix);
    cases.extend(same(8, &AMBIGUOUS_PATH, &control));
    for byte in [0x00, 0x01, 0x08, 0x09, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F] {
        for (place, target) in [
            ("within", [b"/v1/op".as_slice(), &[byte], b"en"].concat()),
            ("at the end", [b"/v1/open".as_slice(), &[byte]].concat()),
            ("in the query", [b"/v1/open?x".as_slice(), &[byte], b"y"].concat()),
        ] {
            cases.push(case(8, format!("raw {byte:#04x} {place}"), raw(&target), MISFRAMED));
        }
    }
    cases.extend([
        case(8, "raw line feed", raw(b"/v1/open\n"), MISFRAMED),
        case(8, "raw carriage return", raw(b"/v1/op\ren"), MISFRAMED),
        case(8, "a space in the path", raw(b"/v1/op en"), MISFRAMED),
        case(8, "a space behind the path", raw(b"/v1/open "), MISFRAMED),
        case(8, "a space before the path", raw(b" /v1/open"), MISFRAMED),
    ]);
    // Over HTTP/2 the library cuts what follows a hash: what remains is judged, and exactly that is sent.
    let public = |start: &str| Arrival::public("public", start).with_token();
    let cut: [(&str, Want); 7] = [
        ("/v1/open#", open("GET /v1/open HTTP/1.1").into()),
        ("/v1/open#/../orgs/312714051/reports", open("GET /v1/open HTTP/1.1").into()),
        ("/v1/orgs/315556155/reports#/../312714051", Want::Refused(403, "access-denied")),
        ("/v1/open?x#y", open("GET /v1/open?x HTTP/1.1").into()),
        ("/public/a#?b", public("GET /public/a HTTP/1.1").into()),
        ("/#/v1/open", ROUTE_UNKNOWN),
        ("#/v1/open", ROUTE_UNKNOWN),
    ];
    cases.extend(cut.map(|(target, cut)| {
        case(11, format!("raw hash in {target}"), get(target), MALFORMED).over_http2(cut)
    }));
    cases.push(case(11, "encoded hash is a character", get("/v1/open%23"), ROUTE_UNKNOWN));
    let arrives = Arrival::public("public", "GET /public/a%23b HTTP/1.1").with_token();
    cases.push(case(11, "encoded hash under a rest", get("/public/a%23b"), arrives));
    for query in
        ["/v1/orgs/312714051/reports", "", "?", "/../", "%2e%2e/", "a=%00&b=\\", "x=1?y=2/"]
    {
        let target = format!("/v1/open?{query}");
        let arrives = open(&format!("GET {target} HTTP/1.1"));
        cases.push(case(12, format!("the query `{query}`"), get(&target), arrives));
    }
    cases.push(case(12, "encoded question mark", get("/v1/open%3Fx"), ROUTE_UNKNOWN));
    cases.push(case(12, "a broken escape in the query", get("/v1/open?%zz"), MALFORMED));
    cases.push(case(12, "eight bits in the query", raw(b"/v1/open?\xC3\xA6"), MALFORMED));
    cases
}

/// Cases 9, 10, 13, 15, 22: other spellings of a character.
fn escapes() -> Vec<Case> {
    let broken = [
        ("percent alone", "/v1/open%"),
        ("one digit", "/v1/open%2"),
        ("one digit before a slash", "/public/%2/a"),
        ("no hex", "/v1/open%zz"),
        ("half hex", "/v1/open%2g"),
        ("a sign", "/v1/open%+1"),
        ("a space", "/public/%%20"),
        ("of IIS", "/v1/%u006fpen"),
        ("of C", "/v1/%x6fpen"),
    ];
    let twice = [
        ("dots", "/v1/%252e%252e/orgs/312714051/reports"),
        ("a digit of a capture", "/v1/orgs/31271405%2531/reports"),
        ("a slash", "/public/a%252Fb"),
        ("a percent", "/public/%252525"),
        ("mixed with once", "/public/%25%32%65"),
        ("NUL", "/public/a%2500"),
    ];
    let case_ = [
        ("of a literal", "/V1/Open"),
        ("of the last literal", "/v1/OPEN"),
        ("of a literal before a capture", "/v1/ORGS/312714051/reports"),
        ("of a literal behind a capture", "/v1/orgs/312714051/Reports"),
        ("of public", "/Public/x"),
        ("a character that folds to k", "/v1/open%E2%84%AA"),
    ];
    let utf8 = [
        ("overlong dot", "/v1/open%c0%ae"),
        ("overlong dots", "/public/%c0%ae%c0%ae/v1/open"),
        ("overlong slash", "/public/..%c0%afv1/open"),
        ("overlong slash in three bytes", "/public/%e0%80%af"),
        ("overlong slash in four bytes", "/public/%f0%80%80%af"),
        ("overlong letter", "/v1/%c1%afpen"),
        ("a byte that never is", "/v1/open%ff"),
        ("a lone continuation", "/public/%80"),
        ("cut short", "/public/%C3"),
        ("cut short by a slash", "/public/%C3/%A6"),
        ("a surrogate", "/public/%ED%A0%80"),
        ("above Unicode", "/public/%F4%90%80%80"),
        ("Latin-1", "/public/%E6"),
    ];
    let needless = [
        ("letters", "/v1/%6f%70en"),
        ("a letter in lower case hex", "/v1/ope%6e"),
        ("a letter in upper case hex", "/v1/ope%6E"),
        ("a digit of a capture", "/v1/orgs/%3312714051/reports"),
        ("a hyphen", "/public/a%2Db"),
        ("a tilde", "/public/%7Euser"),
        ("an underscore", "/public/a%5fb"),
        ("a dot in a name", "/public/a%2Ejs"),
    ];
    let mut cases = same(9, &AMBIGUOUS_PATH, &broken);
    cases.extend(same(10, &AMBIGUOUS_PATH, &twice));
    cases.extend(same(13, &ROUTE_UNKNOWN, &case_));
    cases.extend(same(15, &AMBIGUOUS_PATH, &utf8));
    cases.extend(same(22, &AMBIGUOUS_PATH, &needless));
    cases.push(case(15, "raw UTF-8", raw(b"/public/\xC3\xA6"), AMBIGUOUS_PATH));
    cases.push(case(15, "raw Latin-1", raw(b"/public/\xE6"), MISFRAMED));
    let lines = [
        ("once, and well", "/public/100%25"),
        ("a percent before no hex", "/public/%25zz"),
        ("æ, a space and a question mark", "/public/%C3%A6%20%3F"),
        ("in either case of hex", "/public/%c3%A6"),
    ];
    cases.extend(lines.map(|(name, target)| {
        let arrives = Arrival::public("public", &format!("GET {target} HTTP/1.1")).with_token();
        case(10, name, get(target), arrives)
    }));
    cases
}

/// Case 3: where a rule allows an encoded slash for one of its captures, the bytes arrive as they came.
#[tokio::test]
async fn an_encoded_slash_passes_only_for_the_capture_that_allows_it() {
    let rules = r#"
  - id: files
    match: { method: GET, path: "/v1/files/{name}/of/{other}" }
    protection: public
    encoded_slashes: [name]
"#;
    let at = |target: &str| ask("GET", target).bytes();
    let arrives = |target: &str| Arrival::public("files", &format!("GET {target} HTTP/1.1"));
    let rows = ["/v1/files/a%2Fb/of/c", "/v1/files/a%2fb%2Fc/of/c", "/v1/files/ab/of/c"];
    let mut cases: Vec<Case> =
        rows.map(|target| case(3, target, at(target), arrives(target))).into();
    let refused = [
        "/v1/files/a/of/b%2Fc",
        "/v1/files%2Fa/of/c",
        "/v1/files/a%2F/of/c",
        "/v1/files/%2Fa/of/c",
        "/v1/files/a%2F%2Fb/of/c",
        "/v1/files/..%2Fa/of/c",
        "/v1/files/a%2F..%2Fb/of/c",
        "/v1/files/a%2F%2E%2E/of/c",
        "/v1/files/a%2F./of/c",
        "/v1/files/a%5Cb/of/c",
        "/v1/files/a%252Fb/of/c",
    ];
    cases.extend(refused.map(|target| case(3, target, at(target), AMBIGUOUS_PATH)));
    Ground::new(rules, "").await.play(cases).await;
}

/// Case 13: a file that says `case: insensitive`, and a literal beside a capture.
#[tokio::test]
async fn another_case_is_never_a_weaker_rule() {
    let rules = r#"
  - id: anybody
    match: { method: GET, path: "/mixed/{name}" }
    protection: public
  - id: secret
    match: { method: GET, path: /mixed/Secret }
    protection: closed
"#;
    let at = |target: &str| ask("GET", target).bytes();
    let mut cases =
        vec![case(13, "the literal", at("/mixed/Secret"), Want::Refused(403, "route-closed"))];
    let spellings = ["/mixed/secret", "/mixed/SECRET", "/mixed/sECRET"];
    cases.extend(spellings.map(|target| case(13, target, at(target), AMBIGUOUS_PATH)));
    let arrives = Arrival::public("anybody", "GET /mixed/Secrets HTTP/1.1");
    cases.push(case(13, "another name", at("/mixed/Secrets"), arrives));
    Ground::new(rules, "").await.play(cases).await;
}

#[tokio::test]
async fn a_target_is_bounded() {
    const TOO_LONG: Want = Want::Refused(414, "target-too-long");
    let long = |length: usize| format!("/public/{}", "a".repeat(length - "/public/".len()));
    let arrives =
        |target: &str| Arrival::public("public", &format!("GET {target} HTTP/1.1")).with_token();
    let last = long(8 * 1024);
    let query = |length: usize| format!("/v1/open?{}", "a".repeat(length - "/v1/open?".len()));
    let segments = |count: usize| format!("/public{}", "/a".repeat(count - 1));
    let most = segments(256);
    let cases = vec![
        case(21, "the longest", get(&last), arrives(&last)),
        case(21, "one byte more", get(&long(8 * 1024 + 1)), TOO_LONG),
        case(21, "far more", get(&long(60 * 1024)), TOO_LONG),
        case(21, "more than a head may have", get(&long(100 * 1024)), TOO_LONG)
            .over_http2(Want::Library("431")),
        case(21, "one byte more, of a query", get(&query(8 * 1024 + 1)), TOO_LONG),
        case(21, "one byte more, and dots", get(&format!("/..{}", long(8 * 1024))), TOO_LONG),
        case(21, "most segments", get(&most), arrives(&most)),
        case(21, "one segment more", get(&segments(257)), AMBIGUOUS_PATH),
    ];
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_party_in_the_path_is_one_sound_number() {
    let at = |party: &str| get(&format!("/v1/orgs/{party}/reports"));
    let invalid = Want::Refused(400, "party-invalid");
    let mut cases = Vec::new();
    for party in [
        "%EF%BC%93%EF%BC%91%EF%BC%92714051",
        "%D9%A3%D9%A1%D9%A2714051",
        "312%20714%20051",
        "312714051%20",
        "%20312714051",
        "312714051%C2%A0",
        "312714051%E2%80%8B",
        "312.714.051",
        "312-714-051",
        "+312714051",
        "312714052",
        "31271405",
        "3127140511",
        "0312714051",
        "abcdefghi",
        "3.12714051e8",
        "0x12A39C83",
        "9908:312714051",
        "0192:",
        "0192:312714052",
        "0192:0192:312714051",
        "0192%3A312714052",
        "NO312714051MVA",
        "312714051MVA",
        "urn:altinn:organization:identifier-no:312714052",
        "urn:altinn:party:id:50000001",
        "urn:altinn:person:identifier-no:15877012345",
        "15877012345",
        "a0000001-0000-4000-8000-000000000001",
        "312714051&org=315556155",
        "*",
        "%25",
    ] {
        cases.push(case(23, party, at(party), invalid.clone()));
    }
    for party in ["0192:312714051", "urn:altinn:organization:identifier-no:312714051"] {
        let arrives = read(&format!("GET /v1/orgs/{party}/reports HTTP/1.1"));
        cases.push(case(23, party, at(party), arrives));
    }
    let hidden = at("312714051%00");
    cases.push(case(23, "with a hidden NUL", hidden, AMBIGUOUS_PATH));
    for list in ["312714051,315556155", "312714051%2C315556155", "312714051,"] {
        cases.push(case(23, list, at(list), AMBIGUOUS_PARAMETER));
    }
    let repeated = get(&format!("{READ}?org={DENIED}"));
    cases.push(case(23, "the capture's name in the query", repeated, AMBIGUOUS_PARAMETER));
    Ground::plain().await.play(cases).await;
}
