//! Traces: what a collector gets, what the API gets, and that nobody waits for either. With a collector's own
//! messages, and over gRPC: `tests/clients/parts/traces.py`.

use crate::support::{
    Gate, PERMITTED, READ, Server, Setup, Sidecar, Step, always, answer, ask, eventually, exchange,
    ok,
};
use tokio::task::JoinSet;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(upstream: &Server, collector: &Server) -> Setup {
    Sidecar::before(upstream)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .variable("OTEL_BSP_SCHEDULE_DELAY", "1")
}

fn bytes_of(trace: &str) -> Vec<u8> {
    u128::from_str_radix(trace, 16).unwrap().to_be_bytes().to_vec()
}

fn got(collector: &Server, bytes: &[u8]) -> bool {
    let bodies = collector.seen().into_iter().filter_map(|seen| seen.body);
    bodies.into_iter().any(|body| body.bytes.windows(bytes.len()).any(|part| part == bytes))
}

async fn call(sidecar: &Sidecar, traceparent: Option<&str>) -> u16 {
    let mut request = ask("GET", READ).bearer();
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    request = request.header("tracestate", "a=b");
    exchange(sidecar.traffic, request.bytes()).await.status
}

#[tokio::test]
async fn a_request_is_followed_and_the_api_is_told() {
    let (upstream, collector) = (Server::start(ok()), Server::start(ok()));
    let sidecar = traced(&upstream, &collector).open().await;
    let sent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    assert_eq!(call(&sidecar, Some(&sent)).await, 200);
    eventually("the trace", || got(&collector, &bytes_of(TRACE))).await;
    let seen = collector.seen().remove(0).head;
    assert_eq!(
        (seen.start.as_str(), seen.get("content-type")),
        ("POST /v1/traces HTTP/1.1", Some("application/x-protobuf"))
    );
    for (secret, there) in [("http.route", true), (PERMITTED, false), ("Bearer", false)] {
        assert_eq!(got(&collector, secret.as_bytes()), there, "{secret}");
    }
    let told = upstream.seen().remove(0).head.get("traceparent").unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01"), "{told}");
    assert_ne!(told, sent, "the span below ours");
    eventually("the record", || !sidecar.records.all().is_empty()).await;
    assert_eq!(sidecar.records.all()[0]["traceId"], TRACE);
    // Without a trace of its own a request begins one, which its record names.
    assert_eq!(call(&sidecar, None).await, 200);
    eventually("the record", || sidecar.records.all().len() == 2).await;
    let own = sidecar.records.all()[1]["traceId"].as_str().unwrap().to_owned();
    eventually("the trace", || got(&collector, &bytes_of(&own))).await;
    assert!(upstream.seen()[1].head.get("traceparent").unwrap().contains(&own));
    // What was said beside another trace does not go with it.
    let states: Vec<_> =
        upstream.seen().iter().map(|seen| seen.head.get("tracestate").map(str::to_owned)).collect();
    assert_eq!(states, [Some("a=b".to_owned()), None]);
    sidecar.end().await;
}

#[tokio::test]
async fn what_a_caller_does_not_sample_goes_on_as_it_is() {
    let (upstream, collector) = (Server::start(ok()), Server::start(ok()));
    let sidecar = traced(&upstream, &collector).open().await;
    let sent = format!("00-{TRACE}-00f067aa0ba902b7-00");
    assert_eq!(call(&sidecar, Some(&sent)).await, 200);
    assert_eq!(upstream.seen()[0].head.get("traceparent"), Some(sent.as_str()));
    sidecar.end().await;
    assert_eq!(collector.seen().len(), 0);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_requests_nor_the_end() {
    let upstream = Server::start(ok());
    let gate = Gate::default();
    let collector =
        Server::start(always(vec![Step::ReadBody, Step::Wait(gate.clone()), Step::Close]));
    let sidecar = traced(&upstream, &collector)
        .variable("OTEL_BSP_MAX_QUEUE_SIZE", "4")
        .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
        .open()
        .await;
    for _ in 0..20 {
        assert_eq!(call(&sidecar, None).await, 200);
    }
    let metrics = sidecar.metrics().await;
    assert!(!metrics.contains("portvakt_traces_total{outcome=\"lost\"} 0"), "{metrics}");
    assert!(metrics.contains("portvakt_traces_total{outcome=\"sent\"} 0"), "{metrics}");
    sidecar.end().await;
    drop(gate);
}

#[tokio::test]
async fn a_collector_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let upstream = Server::start(ok());
    for (status, asked) in [("503 Service Unavailable", 3), ("400 Bad Request", 1)] {
        let said = answer(status, "text/plain", "no");
        let collector = Server::start(always(vec![Step::ReadBody, Step::Send(said)]));
        let sidecar = traced(&upstream, &collector).open().await;
        assert_eq!(call(&sidecar, None).await, 200);
        eventually("the attempts", || collector.seen().len() == asked).await;
        let lost =
            async || sidecar.metrics().await.contains("portvakt_traces_total{outcome=\"lost\"} 1");
        while !lost().await {
            tokio::task::yield_now().await;
        }
        assert_eq!(collector.seen().len(), asked);
        sidecar.end().await;
    }
}

#[tokio::test]
async fn what_ends_while_we_drain_is_told_as_well() {
    let gate = Gate::default();
    let steps = vec![
        Step::ReadBody,
        Step::Wait(gate.clone()),
        Step::Send(answer("200 OK", "text/plain", "late")),
    ];
    let (upstream, collector) = (Server::start(always(steps)), Server::start(ok()));
    let sidecar = traced(&upstream, &collector).open().await;
    let address = sidecar.traffic;
    let sent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let request = ask("GET", READ).bearer().header("traceparent", &sent);
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { exchange(address, request.bytes()).await.status == 200 });
    eventually("the request", || upstream.seen().len() == 1).await;
    waiting.spawn(sidecar.close());
    // From when it takes no more connections it ends.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(waiting.join_all().await, [true, true]);
    assert!(got(&collector, &bytes_of(TRACE)));
}
