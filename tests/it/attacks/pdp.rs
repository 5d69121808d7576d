//! Cases 76–85: what the PDP and our own credential for it may do to a request. The table of every fault of
//! every peer is in `faults`; here is what it leaves out.

use crate::support::peers::{At, Fault, Pace, Trouble, World};
use crate::support::{Ask, READ, Server, Sidecar, Step, always, answer, ask, exchange, ok};
use serde_json::json;

/// A PDP that answers everything with this.
fn says(result: &str) -> Server {
    let body = format!(r#"{{"response":[{result}]}}"#);
    Server::start(always(vec![
        Step::ReadBody,
        Step::Send(answer("200 OK", "application/json", &body)),
    ]))
}

fn read() -> Ask {
    ask("GET", READ).bearer()
}

/// Case 79: what the PDP could not decide is an outage that names its rule, and is asked again by the next one.
#[tokio::test]
async fn an_indeterminate_answer_is_counted_by_rule_and_never_kept() {
    let (upstream, mut questions) = (Server::start(ok()), 0);
    for status in ["processing-error", "syntax-error", "missing-attribute"] {
        let pdp = says(&format!(
            r#"{{"decision":"Indeterminate","status":{{"statusCode":{{"value":"urn:oasis:names:tc:xacml:1.0:status:{status}"}}}}}}"#
        ));
        let lasting = "cache: { permit_ttl: 60s, deny_ttl: 60s }\n";
        let sidecar = Sidecar::before(&upstream).settings(lasting).pdp(&pdp, "5s").open().await;
        for _ in 0..3 {
            let reply = exchange(sidecar.traffic, read().bytes()).await;
            assert_eq!(reply.verdict(), "503 decision-indeterminate", "{status}");
            assert!(reply.head.get("retry-after").is_some());
            assert!(!reply.text().contains(status), "the answer repeats Altinn's reason");
        }
        assert_eq!(pdp.count(), 3, "{status}: it was kept");
        questions += pdp.count();
        let metrics = exchange(sidecar.admin, ask("GET", "/metrics").bytes()).await.text();
        let counted = r#"portvakt_denials_total{actor="service-owner",code="decision-indeterminate",rule="read-report"} 3"#;
        assert!(metrics.contains(counted), "{metrics}");
        for record in sidecar.end().await.all() {
            assert_eq!(record["decision"], "Indeterminate");
            assert_eq!(record["rule"], "read-report");
        }
    }
    assert_eq!((questions, upstream.accepted()), (9, 0));
}

/// Case 80: Altinn's ordinary no is a 403 that lasts as long as the setting says, and no longer.
#[tokio::test]
async fn an_ordinary_no_is_remembered_for_its_own_short_time() {
    let upstream = Server::start(ok());
    for (lifetime, questions) in [("60s", 1), ("0s", 3)] {
        let pdp = says(r#"{"decision":"NotApplicable"}"#);
        let settings = format!("cache: {{ permit_ttl: 60s, deny_ttl: {lifetime} }}\n");
        let sidecar = Sidecar::before(&upstream).settings(&settings).pdp(&pdp, "5s").open().await;
        for _ in 0..3 {
            let reply = exchange(sidecar.traffic, read().bytes()).await;
            assert_eq!(reply.verdict(), "403 access-denied");
        }
        assert_eq!(pdp.count(), questions, "{lifetime}");
    }
    assert_eq!(upstream.accepted(), 0);
}

/// Case 81: obligations bind, advice does not.
#[tokio::test]
async fn a_permit_with_advice_is_a_permit_and_one_with_an_unknown_obligation_is_none() {
    let assignment = |category: &str, value: &str| {
        json!([{ "id": "x", "attributeAssignment": [
            { "attributeId": "x", "category": category, "value": value }
        ] }])
    };
    let level = "urn:altinn:minimum-authenticationlevel";
    let known = assignment(level, "3");
    let unknown = assignment("urn:altinn:unheard-of", "1");
    let rows = [
        ("advice", json!({ "associateAdvice": unknown }), "200"),
        ("advice as the standard spells it", json!({ "associatedAdvice": unknown }), "200"),
        ("a level that is met", json!({ "obligations": known }), "200"),
        (
            "a level that is not",
            json!({ "obligations": assignment(level, "4") }),
            "403 authentication-level-too-low",
        ),
        ("an unknown obligation", json!({ "obligations": unknown }), "403 obligation-unknown"),
        ("both", json!({ "obligations": [known[0], unknown[0]] }), "403 obligation-unknown"),
    ];
    for (name, mut result, verdict) in rows {
        result["decision"] = "Permit".into();
        let (upstream, pdp) = (Server::start(ok()), says(&result.to_string()));
        let sidecar = Sidecar::before(&upstream).pdp(&pdp, "5s").open().await;
        let reply = exchange(sidecar.traffic, read().bytes()).await;
        assert_eq!(reply.verdict(), verdict, "{name}");
        let seen: Vec<String> = upstream.seen().into_iter().map(|seen| seen.head.start).collect();
        let forwarded = format!("GET {READ} HTTP/1.1");
        assert_eq!(seen, if verdict == "200" { vec![forwarded] } else { vec![] }, "{name}");
    }
}

/// Case 84: a PDP that asks for patience gets it, and the caller is told for how long.
#[tokio::test]
async fn a_throttled_pdp_is_left_alone_for_as_long_as_it_says() {
    let upstream = Server::start(ok());
    let pdp = Server::start(always(vec![
        Step::ReadBody,
        Step::Send(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n".into(),
        ),
    ]));
    let sidecar = Sidecar::before(&upstream).pdp(&pdp, "5s").open().await;
    for _ in 0..5 {
        let reply = exchange(sidecar.traffic, read().bytes()).await;
        assert_eq!(reply.status, 503);
        let wait: u64 = reply.head.get("retry-after").unwrap().parse().unwrap();
        assert!((6..=8).contains(&wait), "{wait}");
    }
    assert_eq!((pdp.count(), upstream.accepted()), (1, 0));
}

/// Case 85: without Maskinporten what is in hand counts, to its end; after that it is an outage, and we live.
#[tokio::test]
async fn without_maskinporten_the_credential_in_hand_counts_to_its_end() {
    let upstream = Server::start(ok());
    let mut world = World::start();
    let settings = "cache: { permit_ttl: 0s }\n";
    let sidecar = world.sidecar(&upstream, &Pace::default()).settings(settings).open().await;
    let read = ask("GET", READ).token(&world.keys.token()).bytes();
    assert_eq!(exchange(sidecar.traffic, &read).await.verdict(), "200");
    world.trouble(At::Token, Trouble::Refused).await;
    for _ in 0..3 {
        assert_eq!(exchange(sidecar.traffic, &read).await.verdict(), "200");
    }
    world.exchange.issued().revoke_all();
    for _ in 0..3 {
        let reply = exchange(sidecar.traffic, &read).await;
        assert_eq!(reply.verdict(), "503 credential-unavailable");
        assert!(reply.head.get("retry-after").is_some());
    }
    assert_eq!(exchange(sidecar.admin, ask("GET", "/livez").bytes()).await.status, 200);
    assert_eq!(upstream.count(), 4);
}

/// Case 82: a bomb is never unpacked: nobody asked for a compressed answer, and none is believed.
#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let upstream = Server::start(ok());
    let bomb = {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(br#"{"response":[{"decision":"Permit"}]}"#).unwrap();
        packed.write_all(&vec![b' '; 2 << 20]).unwrap();
        packed.finish().unwrap()
    };
    assert!(bomb.len() < 8 * 1024);
    let world = World::start();
    let length = bomb.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
    );
    world.pdp.authorize.fail(Fault::Raw([head.into_bytes(), bomb].concat().into()));
    let sidecar = world.sidecar(&upstream, &Pace::default()).open().await;
    let read = ask("GET", READ).token(&world.keys.token()).bytes();
    assert_eq!(exchange(sidecar.traffic, &read).await.verdict(), "503 pdp-protocol-error");
    assert_eq!(upstream.accepted(), 0);
}
