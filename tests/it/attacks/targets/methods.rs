//! Cases 16 to 20: methods, and targets in another form.

use super::{by, get, open, raw, read};
use crate::attacks::{
    AMBIGUOUS_PATH, Arrival, Ground, MALFORMED, METHOD_NOT_ALLOWED, MISFRAMED, ROUTE_UNKNOWN, Want,
    case,
};
use crate::support::{DENIED, READ, WRITE, ask};

#[tokio::test]
async fn a_target_in_another_form_is_refused() {
    let mut cases = Vec::new();
    for target in [
        "http://other/v1/open",
        "http://api.example.no/v1/open",
        "HTTP://API.EXAMPLE.NO/v1/open",
        "https://api.example.no/v1/open",
        "http://api.example.no:80/v1/open",
        "http://api.example.no",
        "http://api.example.no?x",
        "http://api.example.no@other/v1/open",
        "http://other@api.example.no/v1/open",
        "http:/v1/open",
        "http:http://api.example.no/v1/open",
        "http:///v1/open",
        "ftp://api.example.no/v1/open",
        "file:///etc/passwd",
        "urn:x:y",
        "api.example.no/v1/open",
        "api.example.no",
        "api.example.no:80",
        "v1/open",
        "?x",
        "../v1/open",
        "*/v1/open",
        "@other/v1/open",
        "%2Fv1/open",
    ] {
        cases.push(case(16, target, get(target), MALFORMED));
    }
    cases.push(case(16, "nothing", raw(b""), MISFRAMED));
    cases.extend([
        case(17, "OPTIONS *", by("OPTIONS", "*"), MALFORMED),
        case(17, "GET *", by("GET", "*"), MALFORMED),
        case(17, "OPTIONS of a rule", by("OPTIONS", "/v1/open"), METHOD_NOT_ALLOWED),
        case(17, "OPTIONS without a token", ask("OPTIONS", "/v1/open").bytes(), METHOD_NOT_ALLOWED),
        case(17, "CONNECT", by("CONNECT", "me:443"), MALFORMED),
        case(17, "CONNECT to the very host", by("CONNECT", "api.example.no:443"), MALFORMED),
        case(17, "CONNECT of a rule", by("CONNECT", "/v1/open"), MALFORMED),
        case(17, "CONNECT under any method", by("CONNECT", "/public/x"), MALFORMED),
        case(17, "TRACE of a rule", by("TRACE", "/v1/open"), METHOD_NOT_ALLOWED),
        case(17, "TRACE of nothing", by("TRACE", "/"), ROUTE_UNKNOWN),
    ]);
    Ground::plain().await.play(cases).await;
}

#[tokio::test]
async fn a_method_is_the_method_that_was_judged() {
    let mut cases = Vec::new();
    for method in ["get", "Get", "gET", "FETCH", "GETT", "GE", "DELETE", "POST", "PROPFIND", "PRI"]
    {
        cases.push(case(18, method, by(method, "/v1/open"), METHOD_NOT_ALLOWED));
    }
    for method in [
        "GE\tT", "GET\t", "\tGET", "GE\0T", "G\u{c9}T", "GET,POST", "GET:", "\"GET\"", "GET/",
        "(GET)", "",
    ] {
        let name = format!("the method {method:?}");
        cases.push(case(18, name, by(method, "/v1/open"), MISFRAMED));
    }
    cases.extend([
        case(18, "two spaces", raw(b" /v1/open"), MISFRAMED),
        case(18, "a tab for a space", b"GET\t/v1/open HTTP/1.1\r\nHost: a\r\n\r\n", MISFRAMED),
        case(18, "a space before it", [b" ".as_slice(), &get("/v1/open")].concat(), MISFRAMED),
        case(18, "very long", by(&"A".repeat(4096), "/v1/open"), MISFRAMED),
    ]);
    for name in [
        "X-HTTP-Method-Override",
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "X.HTTP.Method.Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        let post = ask("POST", "/v1/open").bearer().header(name, "GET").body(b"");
        cases.push(case(
            19,
            format!("a POST that says it is a GET by {name}"),
            post.bytes(),
            METHOD_NOT_ALLOWED,
        ));
        let get = ask("GET", "/v1/open").bearer().header(name, "DELETE").bytes();
        let arrives = open("GET /v1/open HTTP/1.1");
        cases.push(case(19, format!("a GET that says it is a DELETE by {name}"), get, arrives));
        let judged = ask("GET", READ).bearer().header(name, "DELETE").bytes();
        let arrives = read(&format!("GET {READ} HTTP/1.1"));
        cases.push(case(19, format!("the same under R1 by {name}"), judged, arrives));
        let public = ask("GET", "/public/x").header(name, "DELETE").bytes();
        let arrives = Arrival::public("public", "GET /public/x HTTP/1.1");
        cases.push(case(19, format!("the same in public by {name}"), public, arrives));
    }
    let form = ask("POST", "/v1/open")
        .bearer()
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(b"_method=GET");
    cases.extend([
        case(19, "by the query", by("POST", "/v1/open?_method=GET"), METHOD_NOT_ALLOWED),
        case(19, "by a form", form.bytes(), METHOD_NOT_ALLOWED),
        case(20, "HEAD under GET", by("HEAD", READ), read(&format!("HEAD {READ} HTTP/1.1"))),
        case(20, "HEAD of the open rule", by("HEAD", "/v1/open"), open("HEAD /v1/open HTTP/1.1")),
        case(
            20,
            "HEAD without a token",
            ask("HEAD", READ).bytes(),
            Want::Refused(401, "token-missing"),
        ),
        case(
            20,
            "HEAD of a party that is denied",
            by("HEAD", &format!("/v1/orgs/{DENIED}/reports")),
            Want::Refused(403, "access-denied"),
        ),
        case(20, "HEAD under POST", by("HEAD", WRITE), METHOD_NOT_ALLOWED),
        case(20, "HEAD of nothing", by("HEAD", "/nowhere"), ROUTE_UNKNOWN),
        case(20, "HEAD of dots", by("HEAD", "/v1/../v1/open"), AMBIGUOUS_PATH),
    ]);
    Ground::plain().await.play(cases).await;
}
