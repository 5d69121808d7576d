//! Cases 28 to 38: for whom, as the query, a form, a header or the body says it.

mod bodies;
mod in_json;
mod in_xml;
mod several;

use super::{AMBIGUOUS_PARAMETER, Arrival, Case, Ground, MALFORMED, Want, case};
use crate::support::{Ask, DENIED, PERMITTED, WRITE, ask};

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
