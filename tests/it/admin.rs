//! Probes and metrics: what they say, and what they never do.

use crate::support::{
    DENIED, PERMITTED, READ, Server, Sidecar, Step, always, answer, ask, exchange, jwks, ok,
};
use portvakt::token::KeyLocation;

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
    let probe = async |path: &str| exchange(sidecar.admin, ask("GET", path).bytes()).await.status;
    assert_eq!((probe("/livez").await, probe("/readyz").await), (200, 503));
    let asked = ask("GET", READ).bearer().bytes();
    assert_eq!(exchange(sidecar.traffic, &asked).await.verdict(), "503 keys-unavailable");
    issuer.listen();
    let ready = async { while probe("/readyz").await != 200 {} };
    crate::support::soon("readiness", ready).await;
    assert_eq!(exchange(sidecar.traffic, &asked).await.status, 200);
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
