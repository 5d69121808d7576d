//! What a scrape says, and the page that says what there is.

use super::*;
use crate::domain::{Clock as _, RequestId, SystemClock};

fn rendered(metrics: &Metrics, samples: &[Sample]) -> String {
    String::from_utf8(metrics.render(samples).unwrap()).unwrap()
}

fn keys(issuer: &str) -> Sample {
    let age = Some(Duration::from_secs(3));
    Sample::Keys { issuer: issuer.to_owned(), count: 2, skipped: 1, age }
}

#[test]
fn each_word_of_a_label_has_its_own_histogram() {
    assert!(Outcome::ALL.iter().enumerate().all(|(place, word)| *word as usize == place));
    assert!(DecisionSource::ALL.iter().enumerate().all(|(place, word)| *word as usize == place));
}

#[test]
fn a_scrape_tells_what_is_and_not_what_was() {
    let metrics = Metrics::new().unwrap();
    let exchanges = |count| Sample::Exchanges { system: "pdp", outcome: "ok", count };
    let first = rendered(&metrics, &[keys("one"), keys("two"), exchanges(7)]);
    for line in [
        r#"portvakt_keys{issuer="one"} 2"#,
        r#"portvakt_keys_skipped{issuer="two"} 1"#,
        r#"portvakt_keys_age_seconds{issuer="two"} 3"#,
        r#"portvakt_outbound_exchanges_total{outcome="ok",system="pdp"} 7"#,
    ] {
        assert!(first.contains(line), "no `{line}` in\n{first}");
    }
    let second = rendered(&metrics, &[keys("two"), exchanges(9)]);
    assert!(!second.contains(r#"issuer="one""#), "{second}");
    assert!(second.contains(r#"{outcome="ok",system="pdp"} 9"#), "{second}");
}

#[test]
fn what_is_not_known_of_the_credential_is_not_told() {
    let metrics = Metrics::new().unwrap();
    let seconds = Duration::from_secs;
    for (age, expires_in, expected) in [
        (None, None, [false, false]),
        (Some(seconds(1)), None, [true, false]),
        (None, Some(seconds(0)), [false, true]),
        (Some(seconds(1)), Some(seconds(9)), [true, true]),
    ] {
        let text = rendered(&metrics, &[Sample::Credential { age, expires_in, failing: false }]);
        let told = ["age_seconds ", "expires_in_seconds "]
            .map(|name| text.contains(&format!("\nportvakt_credential_{name}")));
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn latency_counts_how_many_took_no_longer() {
    let metrics = Metrics::new().unwrap();
    let millis = Duration::from_millis;
    for (outcome, total, authorize) in [
        (Outcome::Forwarded, millis(2), Some(millis(1))),
        (Outcome::Forwarded, millis(3), Some(millis(1))),
        (Outcome::Refused, millis(1), Some(millis(1))),
        (Outcome::Aborted, millis(60_000), None),
    ] {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut record = DecisionRecord::new(at, RequestId::fresh(), 1, http::Method::GET);
        (record.outcome, record.total, record.authorize) = (outcome, total, authorize);
        metrics.count(&record, SystemClock.monotonic());
    }
    let Latency { bounds, requests, authorize } = metrics.latency();
    let within = |counts: &[u64], seconds: f64| {
        let place = bounds.iter().position(|bound| (bound - seconds).abs() < f64::EPSILON);
        counts[place.unwrap()]
    };
    assert_eq!(
        [0.000_5, 0.001, 0.002_5, 0.005, 30.0].map(|at| within(&requests, at)),
        [0, 1, 2, 3, 3]
    );
    assert_eq!((requests.len(), requests.last()), (bounds.len() + 1, Some(&4)));
    assert_eq!((within(&authorize, 0.001), authorize.last()), (3, Some(&3)));
}

/// The page of all metrics, made of one scrape of a process in which everything has happened once.
fn page() -> String {
    let metrics = Metrics::new().unwrap();
    let mut record =
        DecisionRecord::new(jiff::Timestamp::UNIX_EPOCH, RequestId::fresh(), 1, http::Method::GET);
    record.code = Some(crate::domain::DenialCode::AccessDenied);
    record.decision = Some("Deny");
    let now = SystemClock.monotonic();
    metrics.count(&record, now);
    record.mode = Enforcement::Shadow;
    metrics.count(&record, now);
    let second = Duration::from_secs(1);
    let samples = [
        Sample::DecisionCacheEntries(1),
        Sample::OldestDecision(second),
        keys("i"),
        Sample::Exchanges { system: "pdp", outcome: "ok", count: 1 },
        Sample::Failing { system: "pdp", length: second },
        Sample::Credential { age: Some(second), expires_in: Some(second), failing: true },
        Sample::Pdp { in_flight: 1, queued: 1 },
        Sample::Circuit { state: "open", present: true },
        Sample::SelfCheck { check: "clock", failed: true },
        Sample::Generation(1),
    ];
    let text = rendered(&metrics, &samples);
    let mut page = "# Metrics

Made of the program itself (`src/record/metrics`), which its tests hold against this page. What they are for, and alerts:
[OPERATIONS](../OPERATIONS.md#metrics). Beside these, `process_…` tells of memory, processor and files of the process.

| metric | type | labels | help |
| --- | --- | --- | --- |
"
    .to_owned();
    for help in text.lines().filter_map(|line| line.strip_prefix("# HELP portvakt_")) {
        let (name, help) = help.split_once(' ').unwrap();
        let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        let kind = after(&format!("# TYPE portvakt_{name} "));
        let series = text
            .lines()
            .find(|line| line.starts_with(&format!("portvakt_{name}")))
            .and_then(|line| Some(line.split_once('{')?.1.split_once('}')?.0))
            .unwrap_or_default();
        let labels: Vec<_> = series
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = labels.join(", ");
        let row = format!("| `portvakt_{name}` | {kind} | {labels} | {help} |\n");
        page.push_str(&row);
    }
    let list = |buckets: &[f64]| buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
    let (durations, ages) = (list(&BUCKETS), list(&AGE_BUCKETS));
    page + &format!("\nBuckets of durations, in seconds: {durations}. Of ages: {ages}.\n")
}

#[test]
fn the_page_of_metrics_says_what_there_is() {
    let page = page();
    let written = include_str!("../../../docs/reference/metrics.md");
    assert!(page == written, "docs/reference/metrics.md should say:\n{page}");
    let operations = include_str!("../../../docs/OPERATIONS.md");
    for name in page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')) {
        assert!(operations.contains(name.0), "{} is not in docs/OPERATIONS.md", name.0);
    }
}
