//! Cases 52 to 54: bodies that nobody reads, that look like requests, or that wait to be asked for.

use super::{GOOD, SMUGGLED, arrives};
use crate::attacks::{Arrival, Ground, Want, case};
use crate::support::{Ask, Client, DENIED, READ, WRITE, ask};

#[tokio::test]
async fn what_follows_a_refusal_with_an_unread_body_is_never_a_request() {
    let put = |target: &str| ask("PUT", target);
    let denied = format!("/v1/orgs/{DENIED}/reports");
    let mut cases = Vec::new();
    for (name, asked, status, code) in [
        ("no token", ask("POST", WRITE), 401, "token-missing"),
        ("no token, of a GET", ask("GET", READ), 401, "token-missing"),
        ("a bad token", ask("POST", WRITE).token("x"), 401, "token-malformed"),
        ("no rule", ask("POST", "/nowhere"), 404, "route-unknown"),
        ("no rule, of a GET", ask("GET", "/nowhere"), 404, "route-unknown"),
        ("no type", ask("POST", WRITE).bearer(), 415, "unsupported-body"),
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
