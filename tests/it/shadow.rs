//! `mode: shadow`: what would be refused is forwarded, what would have been said is recorded, and nobody waits for it.

use crate::support::{
    Ask, Client, DENIED, Gate, PERMITTED, READ, RULES, Server, Sidecar, Step, WRITE, always,
    answer, ask, exchange, ok,
};
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Method, Version};
use portvakt::authorize::overlook;
use portvakt::domain::{Head, Inbound, InboundBody, Peer, RequestId, RequestTarget, Upgrade};
use portvakt::record::{Journey, Steps};
use serde_json::Value;
use std::sync::Arc;

const WHOLE: &str = "mode: shadow\nupstream: { authorization: strip }\n";

fn of(party: &str) -> String {
    format!("/v1/orgs/{party}/reports")
}

fn written(party: &str) -> Ask {
    ask("POST", WRITE).bearer().json(&format!("{{\"orgnr\":\"{party}\"}}"))
}

/// Outcome, mode, what would have been said, the rule, and the API's status.
fn told(record: &Value) -> String {
    let word = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    let [outcome, mode, code, rule] = ["outcome", "mode", "code", "rule"].map(word);
    format!("{outcome} {mode} {code} {rule} {}", record["status"])
}

#[tokio::test]
async fn whatever_is_judged_the_request_is_forwarded_and_the_verdict_recorded() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(WHOLE).open().await;
    let large = format!("{{\"orgnr\":\"{PERMITTED}\",\"x\":\"{}\"}}", "x".repeat(8000));
    for (sent, expected) in [
        (ask("GET", READ).bearer(), "forwarded shadow - read-report 200"),
        (ask("GET", &of(DENIED)).bearer(), "forwarded shadow access-denied read-report 200"),
        (ask("GET", READ), "forwarded shadow token-missing read-report 200"),
        (ask("GET", READ).token("x.y.z"), "forwarded shadow token-malformed read-report 200"),
        (ask("GET", &of("1")).bearer(), "forwarded shadow party-invalid read-report 200"),
        (written(PERMITTED), "forwarded shadow - write-report 200"),
        (written(DENIED), "forwarded shadow access-denied write-report 200"),
        (
            ask("POST", WRITE).bearer().json(&large),
            "forwarded shadow body-too-large write-report 200",
        ),
        (
            ask("POST", WRITE).bearer().body(b"a"),
            "forwarded shadow unsupported-body write-report 200",
        ),
        (ask("GET", "/nowhere").bearer(), "forwarded shadow route-unknown - 200"),
        (ask("PATCH", READ).bearer(), "forwarded shadow method-not-allowed - 200"),
        // What is refused in any mode.
        (ask("GET", "/v1//orgs"), "refused enforce ambiguous-path - 400"),
        (ask("GET", "/v1/shut"), "refused enforce route-closed shut 403"),
        (ask("GET", READ).header("Host", "b"), "refused enforce malformed-request - 400"),
    ] {
        let before = sidecar.records.all().len();
        exchange(sidecar.traffic, sent.bytes()).await;
        let records = sidecar.records.when(before + 1).await;
        assert_eq!(told(&records[before]), expected);
    }
    let records = sidecar.end().await.all();
    assert_eq!(records.len(), 14, "one record for each request");
    assert_eq!(
        (&records[1]["decision"], &records[1]["party"][0]),
        (
            &"NotApplicable".into(),
            &format!("urn:altinn:organization:identifier-no:{DENIED}").into()
        )
    );
    let seen = upstream.seen();
    assert_eq!(seen.len(), 11);
    assert_eq!(seen[7].body.as_ref().unwrap().bytes, large.as_bytes(), "also what is too large");
}

#[tokio::test]
async fn the_api_gets_the_token_and_no_word_of_who_calls() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).settings(WHOLE).open().await;
    let pretending = ask("GET", READ)
        .bearer()
        .header("Portvakt-Party", "mine")
        .header("Portvakt-Mode", "enforce");
    exchange(sidecar.traffic, pretending.bytes()).await;
    exchange(sidecar.traffic, ask("GET", "/nowhere").bytes()).await;
    sidecar.end().await;
    let seen = upstream.seen();
    let ours = |place: usize| -> Vec<(String, String)> {
        let lines = seen[place]
            .head
            .lines
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut ours: Vec<_> = lines
            .filter(|(name, _)| name.starts_with("portvakt-") && name != "portvakt-request-id")
            .collect();
        ours.sort();
        ours
    };
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(ours(0), [line("portvakt-mode", "shadow"), line("portvakt-rule", "read-report")]);
    assert_eq!(ours(1), [line("portvakt-mode", "shadow")]);
    assert!(seen[0].head.get("portvakt-request-id").is_some());
    assert!(seen[0].head.get("authorization").is_some(), "`strip` has no effect in shadow");
}

#[tokio::test]
async fn one_rule_may_be_in_shadow_and_one_out_of_it() {
    let upstream = Server::start(ok());
    let one = RULES.replacen("action: read\n", "action: read\n    mode: shadow\n", 1);
    let sidecar = Sidecar::before(&upstream).rules(&one).open().await;
    for (sent, expected) in [
        (ask("GET", &of(DENIED)).bearer(), 200),
        (written(DENIED), 403),
        (ask("GET", "/nowhere"), 404),
        (ask("PATCH", READ), 405),
    ] {
        assert_eq!(exchange(sidecar.traffic, sent.bytes()).await.status, expected);
    }
    sidecar.end().await;
    let out = one.replacen("mode: shadow", "mode: enforce", 1);
    let sidecar = Sidecar::before(&upstream).rules(&out).settings("mode: shadow\n").open().await;
    for (sent, expected) in [(ask("GET", &of(DENIED)).bearer(), 403), (written(DENIED), 200)] {
        assert_eq!(exchange(sidecar.traffic, sent.bytes()).await.status, expected);
    }
    sidecar.end().await;
}

#[tokio::test]
async fn nobody_waits_for_a_pdp_that_is_silent_and_its_outage_refuses_nothing() {
    let (upstream, gate) = (Server::start(ok()), Gate::default());
    let failed = answer("503 Service Unavailable", "text/plain", "no");
    let pdp =
        Server::start(always(vec![Step::ReadBody, Step::Wait(gate.clone()), Step::Send(failed)]));
    let sidecar =
        Sidecar::before(&upstream).settings("mode: shadow\n").pdp(&pdp, "60s").open().await;
    let answered = exchange(sidecar.traffic, ask("GET", READ).bearer().bytes()).await;
    assert_eq!(answered.status, 200);
    assert_eq!(sidecar.records.all().len(), 0, "the verdict is still to come");
    gate.open();
    let record = sidecar.records.when(1).await.remove(0);
    assert_eq!(told(&record), "forwarded shadow pdp-unavailable read-report 200");
    sidecar.end().await;
}

#[tokio::test]
async fn a_body_is_sent_on_while_it_comes_and_judged_when_it_is_whole() {
    let head = Bytes::from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let rest = Step::Send(Bytes::from("early"));
    let upstream = Server::start(always(vec![Step::Send(head), Step::ReadBody, rest]));
    let sidecar = Sidecar::before(&upstream).settings("mode: shadow\n").open().await;
    let mut client = Client::connect(sidecar.traffic).await;
    let asked = written(DENIED);
    let (head, body) = (asked.head(), asked.bytes()[asked.head().len()..].to_vec());
    client.send(&head).await;
    client.send(&body[..3]).await;
    // The API answers before the body is whole, and so before anybody could have judged it.
    assert!(client.head().await.is_some());
    client.send(&body[3..]).await;
    let record = sidecar.records.when(1).await.remove(0);
    assert_eq!(told(&record), "forwarded shadow access-denied write-report 200");
    drop(client);
    // One that never becomes whole is judged as such.
    let mut client = Client::connect(sidecar.traffic).await;
    client.send(&head).await;
    client.send(&body[..3]).await;
    drop(client);
    let record = sidecar.records.when(2).await.remove(1);
    assert_eq!(record["code"], "malformed-request");
    sidecar.end().await;
}

#[tokio::test]
async fn the_api_s_own_answer_stands_beside_the_verdict_in_metrics_and_on_the_page() {
    let upstream = Server::start(Arc::new(|asked: &crate::support::Asked<'_>| {
        let status = if asked.head.get("x-own").is_some() { "403 Forbidden" } else { "200 OK" };
        vec![Step::ReadBody, Step::Send(answer(status, "text/plain", "own"))]
    }));
    let control = "mode: shadow\ncontrol: { listen: \"127.0.0.1:0\" }\n";
    let sidecar = Sidecar::before(&upstream).settings(control).open().await;
    for (party, own, times) in
        [(PERMITTED, false, 1), (PERMITTED, true, 2), (DENIED, false, 3), (DENIED, true, 4)]
    {
        for _ in 0..times {
            let mut sent = ask("GET", &of(party)).bearer();
            if own {
                sent = sent.header("x-own", "1");
            }
            exchange(sidecar.traffic, sent.bytes()).await;
        }
    }
    sidecar.records.when(10).await;
    let metrics = sidecar.metrics().await;
    for (verdict, api, count) in [
        ("permit", "accept", 1),
        ("permit", "refuse", 2),
        ("refuse", "accept", 3),
        ("refuse", "refuse", 4),
    ] {
        let line = format!(
            "portvakt_shadow_requests_total{{api=\"{api}\",rule=\"read-report\",verdict=\"{verdict}\"}} {count}\n"
        );
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(!metrics.contains("portvakt_denials_total{"), "nobody was refused");
    let asked = b"GET /rules HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let rules = exchange(sidecar.control.unwrap(), asked).await.problem();
    let shadow = rules["rules"].as_array().map(|rules| rules[0]["shadow"].clone());
    assert_eq!(shadow.unwrap_or_default()["refuse"]["accept"], 3, "{rules}");
    sidecar.end().await;
}

#[tokio::test]
async fn a_stream_that_would_be_a_websocket_is_overlooked_only_where_its_rule_allows_one() {
    let allowed = RULES.replacen("action: read\n", "action: read\n    upgrade: [websocket]\n", 1);
    for (rules, expected) in [(RULES, false), (allowed.as_str(), true)] {
        let setup = Sidecar::at("http://127.0.0.1:9").rules(rules).settings("mode: shadow\n");
        let snapshot = setup.compile().0.compiled.unwrap().snapshot;
        for (target, expected) in [(READ, expected), ("/nowhere", false)] {
            let head = Head {
                framing: Ok(()),
                method: Method::GET,
                target: RequestTarget::parse(target, 8192),
                version: Version::HTTP_2,
                headers: [(HOST, HeaderValue::from_static("api.example.no"))].into_iter().collect(),
                upgrade: Upgrade::Stream,
            };
            let body = InboundBody::Buffered(Bytes::new());
            let inbound = Inbound { head, peer: Peer::LOCAL, body };
            let clock = Arc::clone(&snapshot.clock);
            let id = RequestId::fresh();
            let mut journey = Journey::begin(id, Method::GET, 1, clock, None, Steps::Dropped);
            let permit = overlook(&snapshot, &inbound, &mut journey);
            assert_eq!(permit.is_some(), expected, "{target}");
        }
    }
}
