//! What becomes of calls that get no answer.

use super::*;
use crate::domain::{DecisionSource, Denial, DenialCode, RequestId, SystemClock};
use crate::record::{Journey, RecordSink, Recorder, Steps};

/// The spans of a journey that goes so.
fn spans_of(travel: impl FnOnce(&mut Journey)) -> Vec<Span> {
    let metrics = Metrics::new().unwrap();
    let (tracer, mut out) = Tracer::new(Sampler::DEFAULT, None, metrics.clone(), 1);
    let recorder = Arc::new(Recorder::new(metrics, RecordSink::Off).tracing(Some(tracer)));
    let mut journey = Journey::begin(
        RequestId::fresh(),
        http::Method::GET,
        1,
        Arc::new(SystemClock),
        Some(recorder),
        Steps::Dropped,
    );
    journey.follow(None, || None);
    travel(&mut journey);
    drop(journey);
    out.try_recv().unwrap()
}

/// Names of the calls, and why they failed.
fn calls(spans: &[Span]) -> Vec<(&str, Option<&str>)> {
    let calls = spans.iter().filter(|span| span.kind == Kind::Client);
    calls.map(|span| (span.name.as_str(), span.error.as_deref())).collect()
}

#[test]
fn a_call_to_the_api_without_an_answer_is_a_span_that_failed() {
    let failed = spans_of(|journey| {
        assert!(journey.call_api().is_some());
        journey.refused(&Denial::new(DenialCode::UpstreamUnreachable));
    });
    assert_eq!(calls(&failed), [("GET", Some("upstream-unreachable"))]);
    let left = spans_of(|journey| drop(journey.call_api()));
    assert_eq!(calls(&left), [("GET", Some("aborted"))]);
    let answered = spans_of(|journey| {
        journey.call_api();
        journey.upstream_answered(200);
    });
    assert_eq!(calls(&answered), [("GET", None)]);
}

#[test]
fn a_question_without_an_answer_is_a_span_that_failed_and_what_was_not_asked_is_none() {
    let unanswered = spans_of(|journey| {
        journey.unanswered(DecisionSource::Pdp);
        journey.refused(&Denial::new(DenialCode::PdpUnavailable));
    });
    assert_eq!(calls(&unanswered), [("POST", Some("pdp-unavailable"))]);
    assert!(unanswered.iter().any(|span| span.name == "portvakt.decision"));
    let refused = spans_of(|journey| journey.refused(&Denial::new(DenialCode::TokenMissing)));
    assert_eq!(calls(&refused), []);
}
