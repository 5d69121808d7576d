//! Tokens, from outside: what the caller is told. What a token proves is tested in its own room.

use crate::support::{
    DENIED, READ, SYSTEM_USER, Server, Sidecar, ask, claims, exchange, ok, sign, token, with,
};
use portvakt::dev::SigningKey;
use serde_json::{Value, json};

#[tokio::test]
async fn who_may_not_come_in_is_told_why_and_the_api_never_hears_of_it() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let read = || ask("GET", READ);
    let invalid = Some(r#"Bearer error="invalid_token""#);
    let signed = |claims| read().token(&sign(&claims));
    let mut plain = claims();
    plain.as_object_mut().unwrap().remove("authorization_details");
    let mut two = claims();
    let mut other = two["authorization_details"][0].clone();
    other["systemuser_id"] = json!(["a0000002-0000-4000-8000-000000000002"]);
    two["authorization_details"].as_array_mut().unwrap().push(other);
    let impostor = SigningKey::generate(crate::support::KID).unwrap().sign(&claims()).unwrap();
    let now = claims()["iat"].as_u64().unwrap();
    let old = with(with(claims(), "/iat", now - 300), "/exp", now - 200);
    let wrong_scope = with(claims(), "/scope", "it:readall");
    let denied = ask("GET", &format!("/v1/orgs/{DENIED}/reports")).bearer();
    let rows = [
        ("no token", read(), "401 token-missing", Some("Bearer")),
        ("two lines", read().bearer().bearer(), "401 token-malformed", invalid),
        (
            "two in one line",
            read().header("Authorization", "Bearer a, Bearer b"),
            "401 token-malformed",
            invalid,
        ),
        (
            "in the query only",
            ask("GET", &format!("{READ}?access_token={}", token())),
            "401 token-missing",
            Some("Bearer"),
        ),
        ("not a token", read().token("x"), "401 token-malformed", invalid),
        ("expired", signed(old), "401 token-expired", invalid),
        (
            "another issuer",
            signed(with(claims(), "/iss", "https://maskinporten.no/")),
            "401 token-untrusted",
            invalid,
        ),
        ("another key of the same name", read().token(&impostor), "401 token-untrusted", invalid),
        (
            "without the scope",
            signed(wrong_scope),
            "403 scope-missing",
            Some(r#"Bearer error="insufficient_scope", scope="it:read""#),
        ),
        ("no system user", signed(plain), "403 not-a-system-user", Some("Bearer")),
        ("two system users", signed(two), "403 several-system-users", Some("Bearer")),
        ("a party that is not granted", denied, "403 access-denied", Some("Bearer")),
        ("closed", ask("GET", "/v1/shut").bearer(), "403 route-closed", Some("Bearer")),
    ];
    for (case, asked, verdict, challenge) in rows {
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{case}");
        assert_eq!(reply.head.get("www-authenticate"), challenge, "{case}");
        assert_eq!(reply.head.get("cache-control"), Some("no-store"), "{case}");
        assert_eq!(reply.head.get("content-type"), Some("application/problem+json"), "{case}");
        assert!(!reply.text().contains("eyJ"), "{case}: the answer repeats a token");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_refusal_says_in_typed_members_what_is_missing() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let target = format!("/v1/orgs/{DENIED}/reports");
    let problem = exchange(sidecar.traffic, ask("GET", &target).bearer().bytes()).await.problem();
    assert_eq!(problem["type"], "urn:portvakt:problem:access-denied");
    assert_eq!(problem["resource"], "r-read");
    assert_eq!(problem["action"], "read");
    assert_eq!(problem["systemUser"], SYSTEM_USER);
    assert!(problem["party"].as_str().unwrap().contains(DENIED));
    let token = sign(&with(claims(), "/scope", "x"));
    let problem = exchange(sidecar.traffic, ask("GET", READ).token(&token).bytes()).await.problem();
    assert_eq!(problem["requiredScopes"], json!(["it:read"]));
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_no_other_counts() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    for (scheme, status) in [("bearer", 200), ("BEARER", 200), ("Basic", 401), ("", 401)] {
        let value = format!("{scheme} {}", token());
        let asked = ask("GET", READ).header("Authorization", value.trim_start());
        assert_eq!(exchange(sidecar.traffic, asked.bytes()).await.status, status, "`{scheme}`");
    }
}

#[tokio::test]
async fn the_token_goes_on_to_the_api_unless_it_is_to_be_stripped() {
    for (settings, forwarded) in [("", true), ("upstream: { authorization: strip }\n", false)] {
        let upstream = Server::start(ok());
        let sidecar = Sidecar::before(&upstream).settings(settings).open().await;
        let reply = exchange(sidecar.traffic, ask("GET", READ).bearer().bytes()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(upstream.last().head.get("authorization").is_some(), forwarded);
    }
}

/// Rules with the scopes of one of them in place of those that all need.
const OF_SCOPES: &str = r#"
api: it
rules:
  - { id: one, match: { method: GET, path: /one }, protection: token, scopes: { any: ["a:b", "c:d"] }, help_url: "https://one.example/{code}" }
  - { id: all, match: { method: GET, path: /all }, protection: token, scopes: ["a:b", "c:d"] }
  - { id: open, match: { method: GET, path: /open }, protection: public }
"#;

#[tokio::test]
async fn who_needs_one_scope_of_several_is_not_told_to_get_them_all() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(OF_SCOPES).open().await;
    for (path, header, one_is_enough, said) in [
        ("/one", "a:b", json!(true), "requires: one of `requiredScopes`."),
        ("/all", "a:b c:d", json!(null), "requires: `requiredScopes`."),
    ] {
        let reply = exchange(sidecar.traffic, ask("GET", path).bearer().bytes()).await;
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{header}""#);
        assert_eq!(reply.head.get("www-authenticate"), Some(challenge.as_str()));
        let problem = serde_json::from_str::<Value>(&reply.text()).unwrap();
        assert_eq!(problem["requiredScopes"], json!(["a:b", "c:d"]));
        assert_eq!(problem["oneScopeIsEnough"], one_is_enough, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    sidecar.end().await;
}

#[tokio::test]
async fn every_refusal_says_where_help_is() {
    let sidecar = Sidecar::at("http://127.0.0.1:1")
        .rules(OF_SCOPES)
        .settings("answers: { help_url: 'https://all.example/{code}' }\n")
        .open()
        .await;
    for (asked, help) in [
        (ask("GET", "/nowhere").bytes(), "https://all.example/route-unknown"),
        (ask("POST", "/open").bytes(), "https://all.example/method-not-allowed"),
        (ask("GET", "/a//b").bytes(), "https://all.example/ambiguous-path"),
        (ask("GET", "/one").bytes(), "https://one.example/token-missing"),
        (ask("GET", "/open").bytes(), "https://all.example/upstream-unreachable"),
        (b"GET /open HTTP/1.1\r\n\r\n".to_vec(), "https://all.example/malformed-request"),
        (
            b"GET /open HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n"
                .to_vec(),
            "https://all.example/malformed-request",
        ),
    ] {
        let reply = exchange(sidecar.traffic, asked).await;
        assert_eq!(serde_json::from_str::<Value>(&reply.text()).unwrap()["help"], help);
        if help.ends_with("malformed-request") {
            assert_eq!(reply.head.get("connection"), Some("close"), "what follows is not read");
        }
    }
    sidecar.end().await;
}
