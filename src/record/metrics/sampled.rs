//! What is read off the running parts when it is asked for. What is counted as it happens is in `mod`.

use prometheus::{GaugeVec, IntCounterVec};
use std::time::Duration;

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
        /// Whether the latest attempt to fetch it failed.
        failing: bool,
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

/// Their series. What is not sampled again is gone from the next scrape.
pub(super) struct Sampled {
    caches: GaugeVec,
    oldest: GaugeVec,
    keys: GaugeVec,
    keys_skipped: GaugeVec,
    key_age: GaugeVec,
    exchanges: IntCounterVec,
    failing: GaugeVec,
    credential_age: GaugeVec,
    credential_expires: GaugeVec,
    credential_failing: GaugeVec,
    pdp_in_flight: GaugeVec,
    pdp_queued: GaugeVec,
    circuit: GaugeVec,
    self_check: GaugeVec,
    state: GaugeVec,
}

impl Sampled {
    pub(super) fn new(
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
            credential_failing: gauge(
                "portvakt_credential_failing",
                "Whether Portvakt's own token cannot be fetched, also while the one in hand counts",
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
    pub(super) fn forget(&self) {
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
            credential_failing,
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
            credential_failing,
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
    pub(super) fn take(&self, sample: &Sample) {
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
            Sample::Credential { age, expires_in, failing } => {
                set_only(&self.credential_failing, f64::from(u8::from(*failing)));
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
