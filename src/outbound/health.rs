//! How the systems behind the outbound client are doing: what became of the exchanges with each, so that
//! an operator sees which of them is at fault. Whoever made an exchange and judged its answer notes it here;
//! what an answer means is not known here.

use super::OutboundFault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The systems that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// The issuers' metadata and key sets.
    Keys,
    /// Maskinporten's token endpoint.
    Maskinporten,
    /// Altinn's exchange of tokens.
    Exchange,
    /// Altinn's PDP.
    Pdp,
}

impl System {
    /// Every system.
    pub const ALL: [Self; 4] = [Self::Keys, Self::Maskinporten, Self::Exchange, Self::Pdp];

    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Maskinporten => "maskinporten",
            Self::Exchange => "exchange",
            Self::Pdp => "pdp",
        }
    }
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// A usable answer.
    Ok,
    /// No connection.
    Connect,
    /// No whole answer in time.
    Timeout,
    /// The connection broke.
    Broken,
    /// `401` or `403`, or a refusal of OAuth (`400`, RFC 6749 §5.2).
    Refused,
    /// `429`.
    Throttled,
    /// `5xx`.
    Failed,
    /// An answer that is none: another status, too large, or not of the expected form.
    Unusable,
}

impl Exchanged {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::Refused,
        Self::Throttled,
        Self::Failed,
        Self::Unusable,
    ];

    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Unusable => "unusable",
        }
    }

    /// What a status other than the expected one means.
    #[must_use]
    pub fn of_status(status: http::StatusCode) -> Self {
        match status.as_u16() {
            401 | 403 => Self::Refused,
            429 => Self::Throttled,
            500..=599 => Self::Failed,
            _ => Self::Unusable,
        }
    }
}

impl From<&OutboundFault> for Exchanged {
    fn from(fault: &OutboundFault) -> Self {
        match fault {
            OutboundFault::Connect(_) => Self::Connect,
            OutboundFault::Timeout(_) => Self::Timeout,
            OutboundFault::Broken(_) => Self::Broken,
            OutboundFault::TooLarge(_) => Self::Unusable,
        }
    }
}

/// How one system is doing.
#[derive(Debug, Default)]
pub struct Health {
    counts: [AtomicU64; Exchanged::ALL.len()],
    /// Since when every exchange has failed.
    failing: Mutex<Option<Failing>>,
}

/// A row of failures that has not ended.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    latest: Exchanged,
}

impl Health {
    /// Notes the outcome of an exchange that ended at `now`.
    pub fn note(&self, outcome: Exchanged, now: Instant) {
        for (known, count) in Exchanged::ALL.iter().zip(&self.counts) {
            if *known == outcome {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = match (outcome, *failing) {
            (Exchanged::Ok, _) => None,
            (latest, Some(Failing { since, .. })) => Some(Failing { since, latest }),
            (latest, None) => Some(Failing { since: now, latest }),
        };
    }

    /// How many exchanges ended in each way.
    pub fn counts(&self) -> impl Iterator<Item = (Exchanged, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Exchanged::ALL.into_iter().zip(counts)
    }

    /// How long every exchange has failed, and how the latest did; `None` after one that did not, and
    /// before the first.
    #[must_use]
    pub fn failing(&self, now: Instant) -> Option<(Duration, Exchanged)> {
        let failing = *self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.map(|it| (now.saturating_duration_since(it.since), it.latest))
    }
}

/// How all of them are doing.
#[derive(Debug, Default)]
pub struct Healths([Health; System::ALL.len()]);

impl Healths {
    /// The one of this system.
    #[must_use]
    pub fn of(&self, system: System) -> &Health {
        let [keys, maskinporten, exchange, pdp] = &self.0;
        match system {
            System::Keys => keys,
            System::Maskinporten => maskinporten,
            System::Exchange => exchange,
            System::Pdp => pdp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, SystemClock};

    #[test]
    fn a_row_of_failures_begins_with_its_first_and_ends_with_a_success() {
        let healths = Healths::default();
        let health = healths.of(System::Pdp);
        let start = SystemClock.monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(health.failing(at(0)), None);
        health.note(Exchanged::Failed, at(1));
        health.note(Exchanged::Timeout, at(5));
        assert_eq!(health.failing(at(7)), Some((Duration::from_secs(6), Exchanged::Timeout)));
        assert_eq!(healths.of(System::Keys).failing(at(7)), None);
        health.note(Exchanged::Ok, at(8));
        assert_eq!(health.failing(at(9)), None);
        let counts: Vec<u64> = health.counts().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 0, 1, 0, 0, 0, 1, 0]);
    }
}
