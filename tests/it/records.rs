//! Exactly one record a request, whatever becomes of it, and nothing in it that must not be known.

use crate::support::{
    Client, DENIED, READ, Server, Sidecar, Step, WRITE, always, answer, ask, claims, eventually,
    exchange, ok, sign, token, with,
};
use portvakt::domain::{DecisionSource, DenialCode};
use portvakt::record::Outcome;
use serde_json::Value;

/// What the only record must say.
type Facts<'a> = &'a [(&'a str, &'a str)];

fn has(record: &Value, facts: Facts<'_>) -> Result<(), String> {
    for (name, value) in facts {
        let found = record.get(*name).map_or(String::new(), |found| {
            found.as_str().map_or_else(|| found.to_string(), str::to_owned)
        });
        if found != *value {
            return Err(format!("`{name}` is `{found}` instead of `{value}` in {record}"));
        }
    }
    Ok(())
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/reference/decision-record.schema.json")).unwrap()
}

/// What of a record the published schema does not allow.
fn faults(record: &Value) -> Vec<String> {
    let (schema, record) = (schema(), record.as_object().unwrap());
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let missing = required.filter(|name| !record.contains_key(*name)).map(str::to_owned);
    let wrong = record.iter().filter(|(name, value)| {
        let stated = &schema["properties"][name.as_str()];
        let kind = match stated["type"].as_str() {
            Some("string") => value.is_string(),
            Some("number") => value.is_f64() || value.is_u64(),
            Some("integer") => value.is_u64(),
            Some("array") => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            _ => stated["const"] == **value && !value.is_null(),
        };
        let words = stated["enum"].as_array();
        !kind || words.is_some_and(|words| !words.contains(value))
    });
    missing.chain(wrong.map(|(name, value)| format!("{name}: {value}"))).collect()
}

#[test]
fn the_published_schema_has_the_words_that_there_are() {
    let words = |name: &str| -> Vec<String> {
        let words = schema()["properties"][name]["enum"].as_array().unwrap().clone();
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(words("code"), DenialCode::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    assert_eq!(words("source"), DecisionSource::ALL.map(DecisionSource::as_str));
    assert_eq!(words("outcome"), Outcome::ALL.map(Outcome::as_str));
    assert!(!faults(&serde_json::json!({ "schema": "portvakt.decision/2" })).is_empty());
}

#[tokio::test]
async fn a_request_leaves_one_record_whatever_becomes_of_it() {
    let answered = || vec![Step::ReadBody, Step::Send(answer("200 OK", "text/plain", "ok"))];
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let denied = format!("/v1/orgs/{DENIED}/reports");
    let rows: Vec<(&str, Vec<u8>, Vec<Step>, Facts<'_>)> = vec![
        (
            "permitted",
            ask("GET", READ).bearer().bytes(),
            answered(),
            &[
                ("outcome", "forwarded"),
                ("status", "200"),
                ("rule", "read-report"),
                ("decision", "Permit"),
                ("source", "pdp"),
                ("route", "/v1/orgs/{org}/reports"),
                ("resource", "r-read"),
                ("action", "read"),
                ("subject", "system-user"),
                ("vendor", "314330897"),
                ("mode", "enforce"),
            ],
        ),
        (
            "answered without a body",
            ask("HEAD", READ).bearer().bytes(),
            answered(),
            &[("outcome", "forwarded"), ("status", "200"), ("method", "HEAD")],
        ),
        (
            "denied",
            ask("GET", &denied).bearer().bytes(),
            answered(),
            &[
                ("outcome", "refused"),
                ("status", "403"),
                ("code", "access-denied"),
                ("decision", "NotApplicable"),
            ],
        ),
        (
            "denied, asked by HEAD",
            ask("HEAD", &denied).bearer().bytes(),
            answered(),
            &[("outcome", "refused"), ("status", "403"), ("code", "access-denied")],
        ),
        (
            "no token",
            ask("GET", READ).bytes(),
            answered(),
            &[
                ("outcome", "refused"),
                ("status", "401"),
                ("code", "token-missing"),
                ("source", "local"),
            ],
        ),
        (
            "no rule",
            ask("GET", "/nowhere").bytes(),
            answered(),
            &[("outcome", "refused"), ("status", "404"), ("code", "route-unknown"), ("rule", "")],
        ),
        (
            "the API's own refusal",
            ask("GET", READ).bearer().bytes(),
            vec![Step::ReadBody, Step::Send(answer("404 Not Found", "text/plain", ""))],
            &[("outcome", "forwarded"), ("status", "404"), ("code", "")],
        ),
        (
            "the API is gone",
            ask("GET", READ).bearer().bytes(),
            vec![Step::Close],
            &[
                ("outcome", "refused"),
                ("status", "502"),
                ("code", "upstream-unreachable"),
                ("decision", "Permit"),
            ],
        ),
        (
            "the API breaks off",
            ask("GET", READ).bearer().bytes(),
            vec![Step::ReadBody, Step::Send(cut.into()), Step::Close],
            &[("outcome", "aborted"), ("status", "200")],
        ),
    ];
    for (name, bytes, steps, facts) in rows {
        let upstream = Server::start(always(steps));
        let sidecar = Sidecar::before(&upstream).open().await;
        let reply = exchange(sidecar.traffic, &bytes).await;
        let records = sidecar.end().await.all();
        assert_eq!(records.len(), 1, "{name}: {records:?}");
        assert_eq!(has(&records[0], facts), Ok(()), "{name}");
        let id = reply.head.get("x-request-id").unwrap();
        assert_eq!(records[0]["requestId"], id, "{name}");
        assert_eq!(records[0]["schema"], "portvakt.decision/1", "{name}");
        assert_eq!(faults(&records[0]), [""; 0], "{name}: {}", records[0]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_once_as_having_left() {
    let part = Step::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart".into());
    for (name, steps, status) in [
        ("before the answer", vec![Step::ReadBody, Step::Hold], ""),
        ("within the answer", vec![Step::ReadBody, part, Step::Hold], "200"),
    ] {
        let upstream = Server::start(always(steps));
        let sidecar = Sidecar::before(&upstream).open().await;
        let mut client = Client::connect(sidecar.traffic).await;
        client.send(ask("GET", READ).bearer().bytes()).await;
        eventually("the request", || upstream.count() == 1).await;
        if !status.is_empty() {
            client.head().await.unwrap();
        }
        drop(client);
        sidecar.records.when(1).await;
        let records = sidecar.end().await.all();
        assert_eq!(records.len(), 1, "{name}: {records:?}");
        let facts = [("outcome", "aborted"), ("decision", "Permit"), ("status", status)];
        assert_eq!(has(&records[0], &facts), Ok(()), "{name}");
    }
}

#[tokio::test]
async fn connections_kept_alive_leave_one_record_a_request() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    for _ in 0..20 {
        client.ask(&ask("GET", READ).bearer()).await;
        client.ask(&ask("GET", "/v1/open")).await;
    }
    let records = sidecar.end().await.all();
    assert_eq!(records.len(), 40);
    let of = |source: &str| records.iter().filter(|record| record["source"] == source).count();
    assert_eq!((of("pdp"), of("cache"), of("local")), (1, 19, 20));
    let mut ids: Vec<&str> =
        records.iter().map(|record| record["requestId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

/// Synthetic: month + 80.
const PERSON: &str = "15877012345";

#[tokio::test]
async fn no_record_holds_a_person_a_token_or_a_query() {
    const PERSONAL: &str = r#"
api: personal
rules:
  - id: by-path
    match: { method: GET, path: "/people/{person}" }
    resource: r-read
    action: read
    party: path:person
    party_kinds: [person]
    scopes: ["it:read"]
  - id: by-query
    match: { method: GET, path: /people }
    resource: r-read
    action: read
    party: query:person
    party_kinds: [person]
    scopes: ["it:read"]
  - id: by-body
    match: { method: POST, path: /v1/reports }
    resource: r-read
    action: read
    party: json:/person
    party_kinds: [person]
    scopes: ["it:read"]
  - id: public
    match: { method: any, path: "/public/{*rest}" }
    protection: public
"#;
    const SECRET: &str = "planted-in-the-query";
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).rules(PERSONAL).open().await;
    let urn = format!("urn:altinn:person:identifier-no:{PERSON}");
    let forged = format!("{}AAAA", token());
    let asked = [
        ask("GET", &format!("/people/{PERSON}")).bearer(),
        ask("GET", &format!("/people/{urn}?x={SECRET}")).bearer(),
        ask("GET", &format!("/people/{PERSON}1")).bearer(),
        ask("GET", &format!("/people?person={PERSON}&x={SECRET}")).bearer(),
        ask("GET", &format!("/people?person={PERSON}&person={PERSON}")).bearer(),
        ask("GET", &format!("/nowhere/{PERSON}?{SECRET}")).bearer(),
        ask("GET", &format!("/public/{PERSON}?{SECRET}={PERSON}")).header("Referer", SECRET),
        ask("GET", &format!("/public/../{PERSON}?{SECRET}")),
        ask("POST", WRITE).bearer().json(&format!(r#"{{"person":"{PERSON}"}}"#)),
        ask("POST", WRITE).bearer().json(&format!(r#"{{"person":"{PERSON}"#)),
        ask("GET", &format!("/people/{PERSON}")).token(&forged),
        ask("GET", &format!("/people/{PERSON}")).token(&sign(&with(claims(), "/scope", PERSON))),
        ask("GET", &format!("/people/{PERSON}")).token(&sign(&with(claims(), "/iss", PERSON))),
        ask("GET", &format!("/people/{PERSON}")).header("Authorization", PERSON),
        ask("GET", "/public/x").header("X-Request-Id", PERSON).header("traceparent", PERSON),
        ask("GET", "/public/x").header("Host", PERSON),
        ask("GET", "/public/x").header("Connection", "authorization").header("Expect", PERSON),
    ];
    let count = asked.len();
    for asked in asked {
        let reply = exchange(sidecar.traffic, asked.bytes()).await;
        assert!(reply.status != 0, "{}", String::from_utf8(asked.head()).unwrap());
        if reply.status != 200 {
            assert!(!reply.text().contains(PERSON), "the answer names a person: {}", reply.text());
        }
    }
    let records = sidecar.end().await;
    assert_eq!(records.all().len(), count);
    let text = records.text();
    let signature = token().rsplit('.').next().unwrap().to_owned();
    for secret in [PERSON, SECRET, "eyJ", signature.as_str(), "/people/15", "/nowhere"] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "`{secret}` is recorded");
    }
    assert!(text.contains(r#""party":["#), "parties are recorded, masked");
}

#[tokio::test]
async fn records_are_one_line_of_json_each_whatever_the_client_sends() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let asked = [
        ask("GET", "/public/x").header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
        ask("GET", "/public/x").header("traceparent", "00-\"},{\"x\":\"-00f067aa0ba902b7-01"),
        ask("WE\"RD{}", "/public/x"),
        ask("GET", "/public/%0a%22"),
    ];
    for asked in &asked {
        exchange(sidecar.traffic, asked.bytes()).await;
    }
    // `all` reads every line as JSON.
    let records = sidecar.end().await.all();
    assert!(records.iter().all(|record| faults(record).is_empty()), "{records:?}");
    assert_eq!(records[0]["traceId"], trace);
    assert!(records[1..].iter().all(|record| record.get("traceId").is_none()));
}
