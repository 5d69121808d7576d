//! The metrics. Names begin with `portvakt_`, units are base units, labels come from enums, rule ids and
//! issuers only: nothing a caller sends can become a label. Only this file knows the metrics library.

use super::ages::Ages;
use super::{DecisionRecord, Outcome};
use crate::domain::DecisionSource;
use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, TextEncoder,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts finished requests and renders everything for a scrape. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    denials: IntCounterVec,
    decisions: IntCounterVec,
    /// One for each of [`Outcome::ALL`].
    durations: [Histogram; Outcome::ALL.len()],
    /// One for each of [`DecisionSource::ALL`].
    authorize: [Histogram; DecisionSource::ALL.len()],
    upstream: Histogram,
    decision_age: Histogram,
    ages: Arc<Ages>,
    lost: IntCounter,
    reloads: IntCounterVec,
    web_sockets: IntGauge,
    in_flight: IntGauge,
    /// Locked while a scrape is rendered, so that two do not mix their samples.
    sampled: Arc<Mutex<Sampled>>,
}

/// State that is read when it is asked for, not counted as it happens. Words are from fixed lists.
#[derive(Clone, Debug)]
pub enum Sample {
    /// Entries in the decision cache.
    DecisionCacheEntries(u64),
    /// Verified tokens remembered.
    TokenCacheEntries(u64),
    /// The age of the oldest decision used of late.
    OldestDecision(Duration),
    /// Keys of an issuer.
    Keys {
        /// The issuer.
        issuer: String,
        /// How many can verify tokens.
        count: usize,
        /// How many were published and cannot.
        skipped: usize,
        /// Since they were fetched, if ever.
        age: Option<Duration>,
    },
    /// Exchanges with a system that ended in this way, since the start.
    Exchanges {
        /// The system.
        system: &'static str,
        /// How they ended.
        outcome: &'static str,
        /// How many.
        count: u64,
    },
    /// How long every exchange with a system has failed; zero if the latest did not.
    Failing {
        /// The system.
        system: &'static str,
        /// For how long.
        length: Duration,
    },
    /// Portvakt's own credential; what is not known is not told.
    Credential {
        /// Since the attempt began that got it.
        age: Option<Duration>,
        /// Until it no longer counts.
        expires_in: Option<Duration>,
    },
    /// Exchanges with the PDP under way, and questions that wait for a place.
    Pdp {
        /// Under way.
        in_flight: usize,
        /// Waiting.
        queued: usize,
    },
    /// Whether the circuit breaker towards the PDP is in this state.
    Circuit {
        /// The state.
        state: &'static str,
        /// Whether it is this one.
        present: bool,
    },
    /// The number of the configuration in force.
    Generation(u64),
    /// Whether the readiness probe says yes.
    Ready(bool),
    /// Whether the certificate in the files is the one in force.
    CertificateCurrent(bool),
    /// Whether what the files of the configuration say is in force.
    ConfigCurrent(bool),
    /// Whether a check of the surroundings found something.
    SelfCheck {
        /// What is looked at.
        check: &'static str,
        /// Whether it is not as it should be.
        failed: bool,
    },
    /// Whether a changed setting waits for a new start of the process.
    RestartNeeded(bool),
}

struct Sampled {
    caches: GaugeVec,
    oldest: GaugeVec,
    keys: GaugeVec,
    keys_skipped: GaugeVec,
    key_age: GaugeVec,
    exchanges: IntCounterVec,
    failing: GaugeVec,
    credential_age: GaugeVec,
    credential_expires: GaugeVec,
    pdp_in_flight: GaugeVec,
    pdp_queued: GaugeVec,
    circuit: GaugeVec,
    self_check: GaugeVec,
    state: GaugeVec,
}

/// What becomes of a changed configuration.
const TAKEN: &str = "taken";
const REFUSED: &str = "refused";

/// From what a cached decision costs to what a slow API takes.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// From an answer that was just asked for to a long lifetime.
const AGE_BUCKETS: [f64; 8] = [0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 3600.0];

impl Metrics {
    /// Fresh metrics, all zero. Fails only if two metrics had one name, which a test would show.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let vec = HistogramVec::new(
                HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()),
                labels,
            )?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let durations = histogram(
            "portvakt_request_duration_seconds",
            "From the head of a request to the last byte of its answer",
            &["outcome"],
        )?;
        let authorize = histogram(
            "portvakt_authorize_duration_seconds",
            "From the head of a request to the verdict, by where the decision came from",
            &["source"],
        )?;
        let upstream = histogram(
            "portvakt_upstream_duration_seconds",
            "From the verdict to the head of the API's answer",
            &[],
        )?;
        let upstream = upstream.with_label_values::<&str>(&[]);
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vec = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let lost = IntCounter::new(
            "portvakt_records_lost_total",
            "Decision records that did not fit into the queue",
        )?;
        registry.register(Box::new(lost.clone()))?;
        let reloads = counter(
            "portvakt_reloads_total",
            "Changed configurations, by what became of them",
            &["outcome"],
        )?;
        for outcome in [TAKEN, REFUSED] {
            reloads.with_label_values(&[outcome]).reset();
        }
        let web_sockets = IntGauge::new("portvakt_web_sockets_open", "WebSockets that are open")?;
        registry.register(Box::new(web_sockets.clone()))?;
        let in_flight = IntGauge::new(
            "portvakt_requests_in_flight",
            "Requests under way, to the end of their answers; open WebSockets are among them",
        )?;
        registry.register(Box::new(in_flight.clone()))?;
        let decision_age = Histogram::with_opts(
            HistogramOpts::new(
                "portvakt_decision_age_seconds",
                "How long before its use a decision was asked for",
            )
            .buckets(AGE_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(decision_age.clone()))?;
        let info = gauge("portvakt_build_info", "The version that runs; always 1", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self {
            requests: counter(
                "portvakt_requests_total",
                "Finished requests by rule and outcome",
                &["rule", "outcome"],
            )?,
            denials: counter(
                "portvakt_denials_total",
                "Refused requests by rule, code and who has to act",
                &["rule", "code", "actor"],
            )?,
            decisions: counter(
                "portvakt_decisions_total",
                "Decisions by rule, answer and where it came from",
                &["rule", "decision", "source"],
            )?,
            durations: Outcome::ALL.map(|outcome| durations.with_label_values(&[outcome.as_str()])),
            authorize: DecisionSource::ALL
                .map(|source| authorize.with_label_values(&[source.as_str()])),
            reloads,
            upstream,
            decision_age,
            ages: Arc::default(),
            sampled: Arc::new(Mutex::new(Sampled::new(counter, gauge)?)),
            lost,
            web_sockets,
            in_flight,
            registry,
        })
    }

    pub(super) fn count(&self, record: &DecisionRecord, now: Instant) {
        let rule = record.rule.as_deref().unwrap_or("none");
        let outcome = record.outcome.as_str();
        self.requests.with_label_values(&[rule, outcome]).inc();
        observe(&self.durations, record.outcome as usize, record.total);
        if let Some(code) = record.code {
            self.denials.with_label_values(&[rule, code.as_str(), code.actor().as_str()]).inc();
        }
        // A question that brought no decision must be seen among those that did.
        let put = record.source != DecisionSource::Local;
        if let Some(decision) = record.decision.or(put.then_some("none")) {
            self.decisions.with_label_values(&[rule, decision, record.source.as_str()]).inc();
        }
        if let Some(age) = record.age {
            self.decision_age.observe(age.as_secs_f64());
            self.ages.note(age, now);
        }
        if let Some(authorize) = record.authorize {
            observe(&self.authorize, record.source as usize, authorize);
        }
        if let (Some(upstream), true) = (record.upstream, record.outcome != Outcome::Refused) {
            self.upstream.observe(upstream.as_secs_f64());
        }
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    /// A changed configuration was put in force, or refused.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.with_label_values(&[if taken { TAKEN } else { REFUSED }]).inc();
    }

    /// The age of the oldest decision by which a request was judged in the last one to two minutes;
    /// `None` if there was none.
    #[must_use]
    pub fn oldest_decision(&self, now: Instant) -> Option<Duration> {
        self.ages.oldest(now)
    }

    /// Counts a WebSocket as open for as long as this is kept.
    #[must_use]
    pub fn web_socket_opened(&self) -> Counted {
        Counted::one_of(&self.web_sockets)
    }

    /// Counts a request as under way for as long as this is kept.
    #[must_use]
    pub fn request_begun(&self) -> Counted {
        Counted::one_of(&self.in_flight)
    }

    /// Everything, in the text format of Prometheus: what was counted, and these samples.
    pub fn render(&self, samples: &[Sample]) -> Result<Vec<u8>, prometheus::Error> {
        let sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.forget();
        for sample in samples {
            sampled.take(sample);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// How many requests ended this way under this rule; for tests and the tour.
    #[must_use]
    pub fn requests(&self, rule: &str, outcome: Outcome) -> u64 {
        self.requests.with_label_values(&[rule, outcome.as_str()]).get()
    }

    /// How many decisions came from this source; for tests and the tour.
    #[must_use]
    pub fn decisions(&self, rule: &str, decision: &str, source: DecisionSource) -> u64 {
        self.decisions.with_label_values(&[rule, decision, source.as_str()]).get()
    }
}

/// Counts in the histogram of one of the words of a label, of which each has its own: looking it up by the word
/// would cost more.
fn observe(histograms: &[Histogram], word: usize, duration: Duration) {
    if let Some(histogram) = histograms.get(word) {
        histogram.observe(duration.as_secs_f64());
    }
}

/// One more in a gauge, until it is dropped.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Counted {
    fn one_of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Sampled {
    fn new(
        counter: impl Fn(&str, &str, &[&str]) -> Result<IntCounterVec, prometheus::Error>,
        gauge: impl Fn(&str, &str, &[&str]) -> Result<GaugeVec, prometheus::Error>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            caches: gauge("portvakt_cache_entries", "Entries held, by cache", &["cache"])?,
            oldest: gauge(
                "portvakt_decision_age_oldest_seconds",
                "Age of the oldest decision used in the last one to two minutes",
                &[],
            )?,
            keys: gauge("portvakt_keys", "Keys that can verify tokens, by issuer", &["issuer"])?,
            keys_skipped: gauge(
                "portvakt_keys_skipped",
                "Keys that are published and cannot be used, by issuer",
                &["issuer"],
            )?,
            key_age: gauge(
                "portvakt_keys_age_seconds",
                "Since the keys were fetched, by issuer",
                &["issuer"],
            )?,
            exchanges: counter(
                "portvakt_outbound_exchanges_total",
                "Exchanges with the systems that decisions depend on, by outcome",
                &["system", "outcome"],
            )?,
            failing: gauge(
                "portvakt_outbound_failing_seconds",
                "How long every exchange with a system has failed; 0 if the latest did not",
                &["system"],
            )?,
            credential_age: gauge(
                "portvakt_credential_age_seconds",
                "Since Portvakt's own token was asked for",
                &[],
            )?,
            credential_expires: gauge(
                "portvakt_credential_expires_in_seconds",
                "Until Portvakt's own token no longer counts",
                &[],
            )?,
            pdp_in_flight: gauge(
                "portvakt_pdp_in_flight",
                "Exchanges with the PDP under way",
                &[],
            )?,
            pdp_queued: gauge("portvakt_pdp_queued", "Questions that wait for a place", &[])?,
            circuit: gauge(
                "portvakt_pdp_circuit",
                "The state of the circuit breaker towards the PDP: 1 for the present one",
                &["state"],
            )?,
            self_check: gauge(
                "portvakt_self_check_failed",
                "Whether a check of the surroundings found something, by what is looked at",
                &["check"],
            )?,
            state: gauge(
                "portvakt_state",
                "Generation of the configuration, and readiness",
                &["what"],
            )?,
        })
    }

    /// What is not sampled again is gone: an issuer that was removed, a credential that ended.
    fn forget(&self) {
        let Self {
            caches,
            oldest,
            keys,
            keys_skipped,
            key_age,
            exchanges,
            failing,
            credential_age,
            credential_expires,
            pdp_in_flight,
            pdp_queued,
            circuit,
            self_check,
            state,
        } = self;
        for gauge in [
            caches,
            oldest,
            keys,
            keys_skipped,
            key_age,
            failing,
            credential_age,
            credential_expires,
            pdp_in_flight,
            pdp_queued,
            circuit,
            self_check,
            state,
        ] {
            gauge.reset();
        }
        exchanges.reset();
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn take(&self, sample: &Sample) {
        let set = |gauge: &GaugeVec, label: &str, value: f64| {
            gauge.with_label_values(&[label]).set(value);
        };
        let set_only =
            |gauge: &GaugeVec, value: f64| gauge.with_label_values::<&str>(&[]).set(value);
        let set_known = |gauge: &GaugeVec, value: Option<Duration>| {
            if let Some(value) = value {
                set_only(gauge, value.as_secs_f64());
            }
        };
        match sample {
            Sample::DecisionCacheEntries(count) => set(&self.caches, "decisions", *count as f64),
            Sample::TokenCacheEntries(count) => set(&self.caches, "tokens", *count as f64),
            Sample::OldestDecision(age) => set_only(&self.oldest, age.as_secs_f64()),
            Sample::Keys { issuer, count, skipped, age } => {
                set(&self.keys, issuer, *count as f64);
                set(&self.keys_skipped, issuer, *skipped as f64);
                if let Some(age) = age {
                    set(&self.key_age, issuer, age.as_secs_f64());
                }
            }
            Sample::Exchanges { system, outcome, count } => {
                self.exchanges.with_label_values(&[system, outcome]).inc_by(*count);
            }
            Sample::Failing { system, length } => {
                set(&self.failing, system, length.as_secs_f64());
            }
            Sample::Credential { age, expires_in } => {
                set_known(&self.credential_age, *age);
                set_known(&self.credential_expires, *expires_in);
            }
            Sample::Pdp { in_flight, queued } => {
                set_only(&self.pdp_in_flight, *in_flight as f64);
                set_only(&self.pdp_queued, *queued as f64);
            }
            Sample::Circuit { state, present } => {
                set(&self.circuit, state, f64::from(u8::from(*present)));
            }
            Sample::Generation(generation) => set(&self.state, "generation", *generation as f64),
            Sample::Ready(ready) => set(&self.state, "ready", f64::from(u8::from(*ready))),
            Sample::CertificateCurrent(current) => {
                set(&self.state, "certificate_current", f64::from(u8::from(*current)));
            }
            Sample::ConfigCurrent(current) => {
                set(&self.state, "config_current", f64::from(u8::from(*current)));
            }
            Sample::SelfCheck { check, failed } => {
                set(&self.self_check, check, f64::from(u8::from(*failed)));
            }
            Sample::RestartNeeded(needed) => {
                set(&self.state, "restart_needed", f64::from(u8::from(*needed)));
            }
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(
            DecisionSource::ALL.iter().enumerate().all(|(place, word)| *word as usize == place)
        );
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
            let text = rendered(&metrics, &[Sample::Credential { age, expires_in }]);
            let told = ["age_seconds ", "expires_in_seconds "]
                .map(|name| text.contains(&format!("\nportvakt_credential_{name}")));
            assert_eq!(told, expected, "{text}");
        }
    }

    /// The page of all metrics, made of one scrape of a process in which everything has happened once.
    fn page() -> String {
        let metrics = Metrics::new().unwrap();
        let mut record = DecisionRecord::new(
            jiff::Timestamp::UNIX_EPOCH,
            crate::domain::RequestId::fresh(),
            1,
            http::Method::GET,
        );
        record.code = Some(crate::domain::DenialCode::AccessDenied);
        record.decision = Some("Deny");
        metrics.count(&record, crate::domain::Clock::monotonic(&crate::domain::SystemClock));
        let second = Duration::from_secs(1);
        let samples = [
            Sample::DecisionCacheEntries(1),
            Sample::OldestDecision(second),
            keys("i"),
            Sample::Exchanges { system: "pdp", outcome: "ok", count: 1 },
            Sample::Failing { system: "pdp", length: second },
            Sample::Credential { age: Some(second), expires_in: Some(second) },
            Sample::Pdp { in_flight: 1, queued: 1 },
            Sample::Circuit { state: "open", present: true },
            Sample::SelfCheck { check: "clock", failed: true },
            Sample::Generation(1),
        ];
        let text = rendered(&metrics, &samples);
        let mut page = "# Metrics

Made of the program itself (`src/record/metrics.rs`), which its tests hold against this page. What they are for, and alerts:
[OPERATIONS](../OPERATIONS.md#metrics). Beside these, `process_…` tells of memory, processor and files of the process.

| metric | type | labels | help |
| --- | --- | --- | --- |
"
        .to_owned();
        for help in text.lines().filter_map(|line| line.strip_prefix("# HELP portvakt_")) {
            let (name, help) = help.split_once(' ').unwrap();
            let after =
                |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
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
        let list =
            |buckets: &[f64]| buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        let (durations, ages) = (list(&BUCKETS), list(&AGE_BUCKETS));
        page + &format!("\nBuckets of durations, in seconds: {durations}. Of ages: {ages}.\n")
    }

    #[test]
    fn the_page_of_metrics_says_what_there_is() {
        let page = page();
        let written = include_str!("../../docs/reference/metrics.md");
        assert!(page == written, "docs/reference/metrics.md should say:\n{page}");
        let operations = include_str!("../../docs/OPERATIONS.md");
        for name in page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')) {
            assert!(operations.contains(name.0), "{} is not in docs/OPERATIONS.md", name.0);
        }
    }
}
