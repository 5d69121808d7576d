//! The metrics. Names begin with `portvakt_`, units are base units, labels come from enums, rule ids and
//! issuers only: nothing a caller sends can become a label. Only this folder knows the metrics library.

mod latency;
mod sampled;
mod shadow;

pub use latency::Latency;
pub use sampled::Sample;
pub use shadow::{OwnAnswer, Verdict};

use super::ages::Ages;
use super::{DecisionRecord, Outcome};
use crate::domain::{DecisionSource, Enforcement};
use prometheus::core::Collector as _;
use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry, TextEncoder,
};
use sampled::Sampled;
use std::collections::{BTreeMap, HashMap};
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
    shadow: IntCounterVec,
    /// One for each of [`Outcome::ALL`].
    durations: [Histogram; Outcome::ALL.len()],
    /// One for each of [`DecisionSource::ALL`].
    authorize: [Histogram; DecisionSource::ALL.len()],
    upstream: Histogram,
    decision_age: Histogram,
    ages: Arc<Ages>,
    lost: IntCounter,
    reloads: IntCounterVec,
    traces: IntCounterVec,
    web_sockets: IntGauge,
    in_flight: IntGauge,
    /// Locked while a scrape is rendered, so that two do not mix their samples.
    sampled: Arc<Mutex<Sampled>>,
}

/// What becomes of a changed configuration.
const TAKEN: &str = "taken";
const REFUSED: &str = "refused";

/// What becomes of a trace.
const SENT: &str = "sent";
const LOST: &str = "lost";

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
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vec = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let lost = IntCounter::new(
            "portvakt_records_lost_total",
            "Decision records that did not fit into the queue",
        )?;
        registry.register(Box::new(lost.clone()))?;
        // Each word from the start, so that its first time can be seen as a change.
        let counted = |name: &str, help: &str, outcomes: [&str; 2]| {
            let vec = counter(name, help, &["outcome"])?;
            for outcome in outcomes {
                vec.with_label_values(&[outcome]).reset();
            }
            Ok::<_, prometheus::Error>(vec)
        };
        let reloads = counted(
            "portvakt_reloads_total",
            "Changed configurations, by what became of them",
            [TAKEN, REFUSED],
        )?;
        let traces = counted(
            "portvakt_traces_total",
            "Traces of requests, by what became of them",
            [SENT, LOST],
        )?;
        let count = |name: &str, help: &str| {
            let count = IntGauge::new(name, help)?;
            registry.register(Box::new(count.clone())).map(|()| count)
        };
        let web_sockets = count("portvakt_web_sockets_open", "WebSockets that are open")?;
        let in_flight = count(
            "portvakt_requests_in_flight",
            "Requests under way, to the end of their answers; open WebSockets are among them",
        )?;
        let help = "How long before its use a decision was asked for";
        let opts = HistogramOpts::new("portvakt_decision_age_seconds", help);
        let decision_age = Histogram::with_opts(opts.buckets(AGE_BUCKETS.to_vec()))?;
        registry.register(Box::new(decision_age.clone()))?;
        of_build(&registry)?;
        of_process(&registry)?;
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
            shadow: shadow::counted(counter)?,
            durations: Outcome::ALL.map(|outcome| durations.with_label_values(&[outcome.as_str()])),
            authorize: DecisionSource::ALL
                .map(|source| authorize.with_label_values(&[source.as_str()])),
            reloads,
            traces,
            upstream: upstream.with_label_values::<&str>(&[]),
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
        self.count_shadow(rule, record);
        // In shadow a refusal has no effect.
        let effective = record.mode == Enforcement::Enforce || record.is_refused();
        if let Some(code) = record.code.filter(|_| effective) {
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

    /// So many requests were followed and taken by the collector.
    pub fn traces_sent(&self, count: u64) {
        self.traces.with_label_values(&[SENT]).inc_by(count);
    }

    /// So many requests were followed in vain: there was no room for them, or the collector did not take them.
    pub fn traces_lost(&self, count: u64) {
        self.traces.with_label_values(&[LOST]).inc_by(count);
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

    /// How many requests ended in each way, by rule: `none` where none matched.
    #[must_use]
    pub fn requests_by_rule(&self) -> HashMap<String, [u64; Outcome::ALL.len()]> {
        let mut rules = HashMap::<_, [u64; Outcome::ALL.len()]>::new();
        counts(&self.requests, |label, count| {
            let outcome = label("outcome").unwrap_or_default();
            let place = Outcome::ALL.iter().position(|known| known.as_str() == outcome);
            let ends = rules.entry(label("rule").unwrap_or_default()).or_default();
            if let Some(end) = place.and_then(|place| ends.get_mut(place)) {
                *end += count;
            }
        });
        rules
    }

    /// How many decisions came from each source.
    #[must_use]
    pub fn decisions_by_source(&self) -> BTreeMap<String, u64> {
        let mut sources = BTreeMap::new();
        counts(&self.decisions, |label, count| {
            *sources.entry(label("source").unwrap_or_default()).or_default() += count;
        });
        sources
    }

    /// How many requests were refused by each code.
    #[must_use]
    pub fn denials_by_code(&self) -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        counts(&self.denials, |label, count| {
            *codes.entry(label("code").unwrap_or_default()).or_default() += count;
        });
        codes
    }

    /// How many records were lost, requests are under way, and WebSockets are open.
    #[must_use]
    pub fn present(&self) -> Present {
        Present {
            records_lost: self.lost.get(),
            in_flight: self.in_flight.get(),
            web_sockets: self.web_sockets.get(),
        }
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

fn of_build(registry: &Registry) -> Result<(), prometheus::Error> {
    let help = "The version that runs; always 1";
    let info = GaugeVec::new(Opts::new("portvakt_build_info", help), &["version"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(info))
}

/// Memory, processor and files of the process, where the library knows how to ask for them.
#[cfg(target_os = "linux")]
fn of_process(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn of_process(_registry: &Registry) -> Result<(), prometheus::Error> {
    Ok(())
}

/// Numbers of the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Records that did not fit into the queue, since the start.
    pub records_lost: u64,
    /// Requests under way.
    pub in_flight: i64,
    /// WebSockets that are open.
    pub web_sockets: i64,
}

/// Each series of a counter, with a way to its labels.
fn counts(counter: &IntCounterVec, mut each: impl FnMut(&dyn Fn(&str) -> Option<String>, u64)) {
    for family in counter.collect() {
        for series in family.get_metric() {
            let label = |name: &str| {
                let mut labels = series.get_label().iter();
                labels.find(|label| label.name() == name).map(|label| label.value().to_owned())
            };
            // The library keeps counts as floating point: exact below 2^53.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            each(&label, series.get_counter().get_value() as u64);
        }
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

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
