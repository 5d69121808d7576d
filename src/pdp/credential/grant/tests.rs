use super::super::AccessToken;
use super::super::samples::sample_key;
use super::*;
use crate::domain::ManualClock;
use crate::outbound::OutboundSettings;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// `Thu, 13 Jun 2024 06:50:20 GMT`
const NOW: u64 = 1_718_261_420;

/// Answers one connection with these bytes, and gives what was received.
fn peer(answer: String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut received, mut buffer) = (String::new(), [0; 8192]);
        // The assertion ends the body; a call without one ends with its headers.
        while !is_whole(&received) {
            let length = socket.read(&mut buffer).unwrap();
            received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            if length == 0 {
                break;
            }
        }
        // A peer that reads no large answer to its end is one of the cases.
        let _ = socket.write_all(answer.as_bytes());
        received
    });
    (url, thread)
}

fn is_whole(received: &str) -> bool {
    let Some((head, body)) = received.split_once("\r\n\r\n") else { return false };
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| length.parse::<usize>().unwrap() <= body.len())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn jwt(claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(claims))
}

fn half_an_hour() -> String {
    jwt(&json!({ "iat": 10, "exp": 1810 }))
}

fn granted() -> String {
    ok(r#"{"access_token":"first","token_type":"Bearer","expires_in":119,"scope":"x"}"#)
}

fn grant(token_url: &str, exchange_url: &str) -> MaskinportenGrant {
    let key = SecretString::from(sample_key().jwk.to_string());
    let settings = GrantSettings {
        client_id: "our-client".into(),
        key: Arc::new(ClientKey::parse(&key, None).unwrap()),
        token_url: token_url.parse().unwrap(),
        audience: "https://test.maskinporten.no/".into(),
        exchange_url: exchange_url.parse().unwrap(),
        scope: "altinn:authorization/authorize".into(),
    };
    let outbound = Outbound::new(&OutboundSettings::default()).unwrap();
    MaskinportenGrant::new(
        Arc::new(settings),
        outbound,
        Arc::new(ManualClock::at(UnixSeconds(NOW))),
    )
}

/// What came of an attempt with these two answers, and the outcomes noted of each side.
async fn attempt(
    granting: String,
    exchanging: String,
) -> (Result<FreshToken, CredentialFault>, [Vec<&'static str>; 2]) {
    let (token_url, _first) = peer(granting);
    let (exchange_url, _second) = peer(exchanging);
    let grant = grant(&format!("{token_url}/token"), &format!("{exchange_url}/exchange"));
    let outcome = grant.fetch().await;
    let noted = [System::Maskinporten, System::Exchange].map(|system| {
        let counts = grant.outbound.health(system).counts();
        counts.filter(|(_, count)| *count > 0).map(|(outcome, _)| outcome.as_str()).collect()
    });
    (outcome, noted)
}

#[tokio::test]
async fn the_grant_and_the_exchange_are_as_maskinporten_and_altinn_want_them() {
    let (token_url, granting) = peer(granted());
    let (exchange_url, exchanging) = peer(ok(&half_an_hour()));
    let grant = grant(&format!("{token_url}/token"), &format!("{exchange_url}/a/b"));
    let fresh = grant.fetch().await.unwrap();
    assert_eq!(fresh.token.expose_secret(), half_an_hour());
    assert_eq!(fresh.expires_after, Some(Duration::from_mins(30)));
    assert_eq!(fresh.renew_after, Duration::from_mins(20));

    let sent = granting.join().unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/x-www-form-urlencoded"));
    let form: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).collect();
    assert_eq!(form.len(), 2);
    assert_eq!(form[0].0, "grant_type");
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(form[1].0, "assertion");
    let claims = form[1].1.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let jti = claims["jti"].as_str().unwrap();
    assert_eq!(Uuid::parse_str(jti).unwrap().get_version_num(), 4);
    assert_eq!(
        claims,
        json!({ "aud": "https://test.maskinporten.no/", "iss": "our-client",
                "scope": "altinn:authorization/authorize", "iat": NOW, "exp": NOW + 60, "jti": jti })
    );

    let sent = exchanging.join().unwrap().to_lowercase();
    assert!(sent.starts_with("get /a/b http/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: bearer first\r\n"), "{sent}");
}

#[tokio::test]
async fn no_two_assertions_are_alike() {
    let grant = grant("http://127.0.0.1:9/token", "http://127.0.0.1:9/");
    assert_ne!(grant.assertion().unwrap(), grant.assertion().unwrap());
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_says_itself_within_bounds() {
    let quoted = format!("\"{}\"\n", half_an_hour());
    for (body, life, renewal) in [
        (quoted, 1800, 1200),
        (jwt(&json!({ "iat": 5, "exp": 125 })), 120, 80),
        (jwt(&json!({ "iat": 5, "exp": 65 })), 60, 30),
        (jwt(&json!({ "iat": 5, "exp": 14 })), 9, 3),
        (jwt(&json!({ "iat": 0, "exp": u64::MAX })), 3600, 2400),
        // Without a life of its own, as long as the token it was exchanged for.
        (jwt(&json!({ "exp": 65 })), 119, 79),
        ("a.b.c".to_owned(), 119, 79),
    ] {
        let (fresh, noted) = attempt(granted(), ok(&body)).await;
        let fresh = fresh.unwrap();
        assert_eq!(fresh.expires_after.map(|it| it.as_secs()), Some(life), "{body}");
        assert_eq!(fresh.renew_after.as_secs(), renewal, "{body}");
        assert_eq!(noted, [["ok"], ["ok"]]);
    }
    let (fresh, _) = attempt(ok(r#"{"access_token":"first"}"#), ok("a.b.c")).await;
    assert_eq!(fresh.unwrap().expires_after, Some(DEFAULT_LIFETIME));
}

#[tokio::test]
async fn an_answer_of_maskinporten_that_is_none_says_so_and_ends_the_attempt() {
    let large = "a".repeat(AccessToken::MAX_BYTES + 1);
    for body in [
        String::new(),
        "<html>".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"access_token":null}"#.to_owned(),
        r#"{"access_token":""}"#.to_owned(),
        r#"{"access_token":"a b"}"#.to_owned(),
        r#"{"access_token":"a\r\nb"}"#.to_owned(),
        r#"{"access_token":"a","access_token":"a"}"#.to_owned(),
        r#"{"access_token":"a","token_type":"DPoP"}"#.to_owned(),
        r#"{"access_token":"a"} {"#.to_owned(),
        format!(r#"{{"access_token":"{large}"}}"#),
    ] {
        let (outcome, noted) = attempt(ok(&body), ok(&half_an_hour())).await;
        let fault = outcome.unwrap_err();
        assert_eq!(fault.to_string(), "Maskinporten: the answer holds no token", "{body}");
        assert_eq!(noted, [vec!["unusable"], vec![]]);
    }
}

#[tokio::test]
async fn an_answer_of_the_exchange_that_is_none_says_so() {
    let large = format!("a.b.{}", "c".repeat(AccessToken::MAX_BYTES));
    let not_a_token = "Altinn's exchange: the answer is not one token";
    for (body, expected) in [
        (String::new(), not_a_token),
        ("\"\"".to_owned(), not_a_token),
        ("\"a.b.c".to_owned(), not_a_token),
        ("a.b\".c".to_owned(), not_a_token),
        ("<html>Permit</html>".to_owned(), not_a_token),
        ("opaque".to_owned(), not_a_token),
        ("a.b..c".to_owned(), not_a_token),
        ("a..c".to_owned(), not_a_token),
        ("a.b.c.d.e".to_owned(), not_a_token),
        ("a.b.c\na.b.c".to_owned(), not_a_token),
        ("blåbær".to_owned(), not_a_token),
        (large, not_a_token),
        (
            jwt(&json!({ "iat": 10, "exp": 10 })),
            "Altinn's exchange: the token is over before it begins",
        ),
        (
            jwt(&json!({ "iat": 11, "exp": 10 })),
            "Altinn's exchange: the token is over before it begins",
        ),
    ] {
        let (outcome, noted) = attempt(granted(), ok(&body)).await;
        assert_eq!(outcome.unwrap_err().to_string(), expected, "{body}");
        assert_eq!(noted, [["ok"], ["unusable"]]);
    }
    let (outcome, noted) = attempt(granted(), ok(&"a".repeat(MAX_ANSWER_BYTES + 1))).await;
    let fault = outcome.unwrap_err().to_string();
    assert_eq!(fault, "Altinn's exchange: the answer is larger than 65536 bytes");
    assert_eq!(noted, [["ok"], ["unusable"]]);
}

#[tokio::test]
async fn a_refusal_names_its_step_and_repeats_nothing_that_may_be_secret() {
    let redirect = "Location: http://127.0.0.1:9/\r\n";
    for (status, headers, body, expected, outcome, wait) in [
        (
            "400 Bad Request",
            "",
            r#"{"error":"invalid_grant","error_description":"hemmelig assertion eyJ (trace 1)"}"#,
            "answered 400 invalid_grant",
            "refused",
            None,
        ),
        (
            "400 Bad Request",
            "",
            r#"{"error":"invalid_altinn_customer_configuration","error_description":"Hemmelig (MP-303)"}"#,
            "answered 400 invalid_altinn_customer_configuration (MP-303)",
            "refused",
            None,
        ),
        ("400 Bad Request", "", r#"{"error":"Hemmelig"}"#, "answered 400", "unusable", None),
        ("400 Bad Request", "", r#"{"error":"eyJhbGciOi.x"}"#, "answered 400", "unusable", None),
        ("400 Bad Request", "", "hemmelig", "answered 400", "unusable", None),
        (
            "401 Unauthorized",
            "",
            r#"{"error":"invalid_client","error_description":"(MP-hemmelig)"}"#,
            "answered 401 invalid_client",
            "refused",
            None,
        ),
        ("302 Found", redirect, "", "answered 302", "unusable", None),
        ("201 Created", "", r#"{"access_token":"a"}"#, "answered 201", "unusable", None),
        ("429 Too Many Requests", "Retry-After: 7\r\n", "", "answered 429", "throttled", Some(7)),
        ("503 Unavailable", "Retry-After: 0\r\n", "", "answered 503", "failed", Some(1)),
        ("503 Unavailable", "Retry-After: 9999\r\n", "", "answered 503", "failed", Some(120)),
        (
            "503 Unavailable",
            "Retry-After: Thu, 13 Jun 2024 06:50:20 GMT\r\n",
            "",
            "answered 503",
            "failed",
            None,
        ),
        (
            "400 Bad Request",
            "Date: Thu, 13 Jun 2024 06:50:54 GMT\r\n",
            r#"{"error":"invalid_grant"}"#,
            "answered 400 invalid_grant; its clock and ours differ by 34 s",
            "refused",
            None,
        ),
        (
            "400 Bad Request",
            "Date: Thu, 13 Jun 2024 06:50:10 GMT\r\n",
            r#"{"error":"invalid_grant"}"#,
            "answered 400 invalid_grant",
            "refused",
            None,
        ),
        ("500 Error", "Date: hemmelig\r\n", "", "answered 500", "failed", None),
    ] {
        let refused = || answer(status, headers, body);
        let wait = wait.map(Duration::from_secs);
        let (at_first, noted) = attempt(refused(), ok(&half_an_hour())).await;
        let fault = at_first.unwrap_err();
        assert_eq!(fault.to_string(), format!("Maskinporten: {expected}"));
        assert_eq!((fault.retry_after, noted), (wait, [vec![outcome], vec![]]));
        let (at_second, noted) = attempt(granted(), refused()).await;
        let fault = at_second.unwrap_err();
        assert_eq!(fault.to_string(), format!("Altinn's exchange: {expected}"));
        assert_eq!((fault.retry_after, noted), (wait, [vec!["ok"], vec![outcome]]));
    }
}

#[tokio::test]
async fn a_broken_and_a_missing_peer_are_told_apart() {
    let (outcome, noted) = attempt("HTTP/1.1 200".to_owned(), String::new()).await;
    assert_eq!(outcome.unwrap_err().step, "Maskinporten");
    assert_eq!(noted, [vec!["broken"], vec![]]);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let grant = grant(&format!("http://{gone}/token"), "http://127.0.0.1:9/");
    let fault = grant.fetch().await.unwrap_err();
    assert!(fault.to_string().starts_with("Maskinporten: cannot connect"), "{fault}");
}

#[test]
fn settings_show_no_key() {
    let grant = grant("http://127.0.0.1:9/token", "http://127.0.0.1:9/");
    let shown = format!("{grant:?}");
    assert!(shown.contains("client key \"sample\""), "{shown}");
    for part in ["n", "d", "p"] {
        assert!(!shown.contains(sample_key().jwk[part].as_str().unwrap()));
    }
}
