//! Probes and metrics: what they say, and what they never do.

use crate::support::{
    DENIED, ISSUER, PERMITTED, READ, Server, Sidecar, Step, always, answer, ask, exchange, jwks,
    ok, pattern, permit,
};
use portvakt::pdp::{DecisionFault, QuestionPattern, Scripted};
use portvakt::token::KeyLocation;
use std::sync::Arc;

const PROBES: [&str; 5] = ["/health/live", "/livez", "/healthz", "/health/ready", "/readyz"];

#[tokio::test]
async fn probes_are_answered_under_every_name_and_never_forwarded() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    for path in PROBES {
        assert_eq!(exchange(sidecar.admin, ask("GET", path).bytes()).await.status, 200, "{path}");
    }
    for path in [READ, "/public/x", "/", "/health", "/v1/open"] {
        let reply = exchange(sidecar.admin, ask("GET", path).bearer().bytes()).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = exchange(sidecar.admin, ask(method, "/health/live").bytes()).await;
        assert_eq!((reply.status, reply.head.get("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn on_the_traffic_port_probes_are_ordinary_requests() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    for path in PROBES.iter().chain(&["/metrics"]) {
        let reply = exchange(sidecar.traffic, ask("GET", path).bytes()).await;
        assert_eq!(reply.verdict(), "404 route-unknown", "{path}");
    }
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn without_keys_it_is_alive_and_not_ready_until_they_come() {
    let upstream = Server::start(ok());
    let mut issuer = Server::refusing(always(vec![
        Step::ReadBody,
        Step::Send(answer("200 OK", "application/json", &String::from_utf8(jwks()).unwrap())),
    ]));
    let keys = KeyLocation::Jwks(issuer.url().parse().unwrap());
    let sidecar = Sidecar::before(&upstream).keys(keys).open().await;
    let page = async |path: &str| exchange(sidecar.admin, ask("GET", path).bytes()).await;
    let probe = async |path: &str| page(path).await.status;
    assert_eq!((probe("/livez").await, probe("/readyz").await), (200, 503));
    let said = page("/readyz").await.text();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "no keys to verify tokens with");
    let why = format!("no keys of {ISSUER}: the key set not fetched: cannot connect: ");
    assert!(lines[1].starts_with(&why), "{said}");
    assert!(lines[2].starts_with("keys: failing for "), "{said}");
    assert!(lines[2].ends_with(" s (connect)"), "{said}");
    assert_eq!(lines.len(), 3);
    let asked = ask("GET", READ).bearer().bytes();
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "503 keys-unavailable");
    let failing = page("/metrics").await.text();
    for start in [
        r#"portvakt_outbound_exchanges_total{outcome="connect",system="keys"} "#,
        r#"portvakt_outbound_exchanges_total{outcome="ok",system="keys"} 0"#,
        r#"portvakt_outbound_failing_seconds{system="pdp"} 0"#,
        r#"portvakt_keys{issuer="https://issuer.it.example/"} 0"#,
    ] {
        assert!(failing.contains(start), "no `{start}` in\n{failing}");
    }
    assert!(!failing.contains("portvakt_keys_age_seconds{"), "keys that never came have no age");
    issuer.listen();
    let ready = async { while probe("/readyz").await != 200 {} };
    crate::support::soon("readiness", ready).await;
    assert_eq!(page("/readyz").await.text(), "ready\n");
    assert_eq!(exchange(sidecar.traffic, &asked).await.status, 200);
    let well = page("/metrics").await.text();
    assert!(well.contains(r#"portvakt_outbound_failing_seconds{system="keys"} 0"#), "{well}");
    assert!(well.contains("portvakt_keys_age_seconds{"), "{well}");
}

#[tokio::test]
async fn an_outage_of_the_pdp_shows_in_metrics_and_records_and_makes_nobody_unready() {
    let upstream = Server::start(ok());
    let fault = DecisionFault::unavailable("it is down");
    let point = Scripted::new(vec![
        (pattern(PERMITTED), Ok(permit())),
        (QuestionPattern::default(), Err(fault)),
    ]);
    let sidecar = Sidecar::before(&upstream).point(Arc::new(point)).open().await;
    let alone = ask("GET", &format!("/v1/orgs/{DENIED}/reports")).bearer();
    let parties = format!(r#"{{"parties":["{PERMITTED}","{DENIED}"]}}"#);
    let together = ask("POST", "/v1/batch").bearer().json(&parties);
    for asked in [alone, together] {
        let verdict = exchange(sidecar.traffic, asked.bytes()).await.verdict();
        assert_eq!(verdict, "503 pdp-unavailable");
    }
    for record in sidecar.records.when(2).await {
        assert_eq!(record["source"], "pdp", "{record}");
        assert_eq!((record.get("decision"), record.get("age")), (None, None), "{record}");
    }
    let page = async |path: &str| exchange(sidecar.admin, ask("GET", path).bytes()).await;
    assert_eq!(page("/readyz").await.status, 200);
    let metrics = page("/metrics").await.text();
    for line in [
        r#"portvakt_decisions_total{decision="none",rule="read-report",source="pdp"} 1"#,
        r#"portvakt_decisions_total{decision="none",rule="many",source="pdp"} 1"#,
        r#"portvakt_denials_total{actor="authorization-system",code="pdp-unavailable",rule="read-report"} 1"#,
    ] {
        assert!(metrics.contains(line), "no `{line}` in\n{metrics}");
    }
}

#[tokio::test]
async fn metrics_count_requests_denials_and_decisions_and_name_no_one() {
    let upstream = Server::start(ok());
    let sidecar = Sidecar::before(&upstream).open().await;
    for target in [READ, READ, &format!("/v1/orgs/{DENIED}/reports"), "/unknown/312714051"] {
        exchange(sidecar.traffic, ask("GET", target).bearer().bytes()).await;
    }
    sidecar.records.when(4).await;
    let metrics = exchange(sidecar.admin, ask("GET", "/metrics").bytes()).await;
    assert_eq!(metrics.head.get("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = metrics.text();
    for line in [
        r#"portvakt_requests_total{outcome="forwarded",rule="read-report"} 2"#,
        r#"portvakt_requests_total{outcome="refused",rule="read-report"} 1"#,
        r#"portvakt_denials_total{actor="caller",code="access-denied",rule="read-report"} 1"#,
        r#"portvakt_decisions_total{decision="Permit",rule="read-report",source="pdp"} 1"#,
        r#"portvakt_decisions_total{decision="Permit",rule="read-report",source="cache"} 1"#,
        r#"portvakt_decisions_total{decision="NotApplicable",rule="read-report",source="pdp"} 1"#,
        r#"code="route-unknown""#,
        "portvakt_decision_age_seconds_count 3",
        "portvakt_decision_age_oldest_seconds ",
        r#"portvakt_keys_skipped{issuer="https://issuer.it.example/"} 0"#,
        "portvakt_pdp_in_flight 0",
        "portvakt_pdp_queued 0",
        r#"portvakt_pdp_circuit{state="closed"} 1"#,
        r#"portvakt_pdp_circuit{state="half-open"} 0"#,
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for labels in samples.filter_map(|line| line.split('{').nth(1)) {
        for secret in [PERMITTED, DENIED, "314330897", "a0000001", "/v1", "/unknown"] {
            assert!(!labels.contains(secret), "`{labels}` says `{secret}`");
        }
    }
}
