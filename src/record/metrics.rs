//! The metrics. Names begin with `portvakt_`, units are base units, labels come from enums, rule ids and
//! issuers only: nothing a caller sends can become a label. Only this file knows the metrics library.

use super::{DecisionRecord, Outcome};
use crate::domain::DecisionSource;
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use std::fmt;

/// Counts finished requests and renders everything for a scrape. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    denials: IntCounterVec,
    decisions: IntCounterVec,
    durations: HistogramVec,
    authorize: HistogramVec,
    upstream: HistogramVec,
    lost: IntCounter,
    gauges: Gauges,
}

/// State that is read when it is asked for, not counted as it happens.
#[derive(Clone, Debug)]
pub enum GaugeSample {
    /// Entries in the decision cache.
    DecisionCacheEntries(u64),
    /// Verified tokens remembered.
    TokenCacheEntries(u64),
    /// Keys of an issuer that can verify tokens.
    Keys {
        /// The issuer.
        issuer: String,
        /// How many.
        count: usize,
        /// Seconds since they were fetched, if ever.
        age: Option<f64>,
    },
    /// The number of the configuration in force.
    Generation(u64),
    /// Whether the readiness probe says yes.
    Ready(bool),
    /// PDP calls under way.
    PdpInFlight(u64),
}

#[derive(Clone)]
struct Gauges {
    caches: GaugeVec,
    keys: GaugeVec,
    key_age: GaugeVec,
    state: GaugeVec,
}

/// From what a cached decision costs to what a slow API takes.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

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
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vec = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        let lost = IntCounter::new(
            "portvakt_records_lost_total",
            "Decision records that did not fit into the queue",
        )?;
        registry.register(Box::new(lost.clone()))?;
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
            durations: histogram(
                "portvakt_request_duration_seconds",
                "From the head of a request to the last byte of its answer",
                &["outcome"],
            )?,
            authorize: histogram(
                "portvakt_authorize_duration_seconds",
                "From the head of a request to the verdict, by where the decision came from",
                &["source"],
            )?,
            upstream: histogram(
                "portvakt_upstream_duration_seconds",
                "From the verdict to the head of the API's answer",
                &[],
            )?,
            gauges: Gauges {
                caches: gauge("portvakt_cache_entries", "Entries held, by cache", &["cache"])?,
                keys: gauge(
                    "portvakt_keys",
                    "Keys that can verify tokens, by issuer",
                    &["issuer"],
                )?,
                key_age: gauge(
                    "portvakt_keys_age_seconds",
                    "Since the keys were fetched, by issuer",
                    &["issuer"],
                )?,
                state: gauge(
                    "portvakt_state",
                    "Generation of the configuration, readiness and calls under way",
                    &["what"],
                )?,
            },
            lost,
            registry,
        })
    }

    pub(super) fn count(&self, record: &DecisionRecord) {
        let rule = record.rule.as_deref().unwrap_or("none");
        let outcome = record.outcome.as_str();
        self.requests.with_label_values(&[rule, outcome]).inc();
        self.durations.with_label_values(&[outcome]).observe(record.total.as_secs_f64());
        if let Some(code) = record.code {
            self.denials.with_label_values(&[rule, code.as_str(), code.actor().as_str()]).inc();
        }
        if let Some(decision) = record.decision {
            self.decisions.with_label_values(&[rule, decision, record.source.as_str()]).inc();
        }
        if let Some(authorize) = record.authorize {
            self.authorize
                .with_label_values(&[record.source.as_str()])
                .observe(authorize.as_secs_f64());
        }
        if let (Some(upstream), true) = (record.upstream, record.outcome != Outcome::Refused) {
            self.upstream.with_label_values::<&str>(&[]).observe(upstream.as_secs_f64());
        }
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    /// Everything, in the text format of Prometheus, after taking in the samples.
    pub fn render(&self, samples: &[GaugeSample]) -> Result<Vec<u8>, prometheus::Error> {
        for sample in samples {
            self.sample(sample);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn sample(&self, sample: &GaugeSample) {
        let state =
            |what: &str, value: f64| self.gauges.state.with_label_values(&[what]).set(value);
        match sample {
            GaugeSample::DecisionCacheEntries(count) => {
                self.gauges.caches.with_label_values(&["decisions"]).set(*count as f64);
            }
            GaugeSample::TokenCacheEntries(count) => {
                self.gauges.caches.with_label_values(&["tokens"]).set(*count as f64);
            }
            GaugeSample::Keys { issuer, count, age } => {
                self.gauges.keys.with_label_values(&[issuer]).set(*count as f64);
                if let Some(age) = age {
                    self.gauges.key_age.with_label_values(&[issuer]).set(*age);
                }
            }
            GaugeSample::Generation(generation) => state("generation", *generation as f64),
            GaugeSample::Ready(ready) => state("ready", f64::from(u8::from(*ready))),
            GaugeSample::PdpInFlight(count) => state("pdp_in_flight", *count as f64),
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

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
