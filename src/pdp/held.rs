//! One answer that is held, what a reader gets of it, and when it is to be renewed. Whether it counts is for
//! the cache to say.

use super::purge::{Generation, Stamp};
use crate::domain::{Decision, Obligations};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer as held. There may be millions: keep it small.
#[derive(Debug)]
pub(super) struct Held {
    decision: Decision,
    asked: Instant,
    stamp: Stamp,
    /// The age in milliseconds from which a renewal may be claimed, near the end.
    renewable: AtomicU32,
    /// Where near its end a renewal is due: in parts of 256 of the way from the earliest to the latest.
    spread: u8,
    origin: Origin,
}

/// Who had an answer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A request that waited for it.
    Request,
    /// A background task, ahead of expiry.
    Renewal,
}

impl Held {
    /// An answer asked for at `asked`, in `generation`. With an even `spread` answers of one moment are
    /// renewed at different ones.
    pub(super) fn new(
        decision: Decision,
        asked: Instant,
        generation: Generation,
        origin: Origin,
        spread: u8,
    ) -> Self {
        let renewable = AtomicU32::new(0);
        Self { decision, asked, stamp: Stamp::from(generation), renewable, spread, origin }
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Counted from before the PDP was asked.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.asked)
    }

    pub(super) fn stamp(&self) -> &Stamp {
        &self.stamp
    }
}

/// A held answer that counts for its reader.
#[derive(Debug)]
pub(super) struct Hit {
    held: Arc<Held>,
    pub(super) age: Duration,
    lifetime: Duration,
}

/// A PDP that fails is not asked ahead of expiry more often than this for one key.
const LEAST_RENEWAL_PAUSE: Duration = Duration::from_secs(1);

impl Hit {
    pub(super) fn new(held: Arc<Held>, age: Duration, lifetime: Duration) -> Self {
        Self { held, age, lifetime }
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.held.decision
    }

    pub(super) fn origin(&self) -> Origin {
        self.held.origin
    }

    /// Whether this reader is the one to have the answer renewed: it is near its end, and nobody has
    /// claimed that a short while ago.
    ///
    /// Due between seven and nine tenths of the lifetime, at a point of the entry's own: late enough to save
    /// most renewals, early enough for a slow answer, and not for all of a burst at one moment. A renewal
    /// that fails may be claimed again after a twentieth of the lifetime, so that one lost call does not
    /// make callers wait; that is at most six claims before the end, however hot the key.
    pub(super) fn claims_renewal(&self) -> bool {
        // Of 2560 parts of the lifetime, seven tenths are 1792 and nine tenths are 2304.
        let due = 1792 + 2 * u32::from(self.held.spread);
        if self.age.saturating_mul(2560) <= self.lifetime.saturating_mul(due) {
            return false;
        }
        let renewable = self.held.renewable.load(Ordering::Relaxed);
        let age = milliseconds(self.age);
        if age < renewable {
            return false;
        }
        let pause = (self.lifetime / 20).max(LEAST_RENEWAL_PAUSE);
        let next = age.saturating_add(milliseconds(pause));
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        self.held.renewable.compare_exchange(renewable, next, success, failure).is_ok()
    }
}

/// Rounded down. What counts is at most a day old, which fits.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Lists of obligations that are held already. Nearly every permit carries the same few, and a list of its
/// own would take a third of an entry.
#[derive(Debug, Default)]
pub(super) struct KnownObligations(Mutex<HashSet<Obligations>>);

/// A service has as many as its policies have levels. Bounds what odd answers of a PDP can make us keep.
const MAX_KNOWN: usize = 256;

impl KnownObligations {
    /// An equal list, held once.
    pub(super) fn shared(&self, obligations: &Obligations) -> Obligations {
        if obligations.as_slice().is_empty() {
            return Obligations::default();
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(equal) = known.get(obligations) {
            return equal.clone();
        }
        if known.len() >= MAX_KNOWN {
            // What is in use stays with its entries; the usual few are soon known again.
            known.clear();
        }
        known.insert(obligations.clone());
        obligations.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Obligation;

    fn level(value: &str) -> Obligations {
        Obligations::new(vec![Obligation {
            id: "o".into(),
            category: "c".into(),
            value: value.into(),
        }])
    }

    #[test]
    fn equal_obligations_are_held_once_and_others_never_in_their_place() {
        let known = KnownObligations::default();
        let [one, equal, other] = ["2", "2", "3"].map(|value| known.shared(&level(value)));
        assert!(std::ptr::eq(one.as_slice(), equal.as_slice()));
        assert_eq!((&one, &other), (&level("2"), &level("3")));
        assert_eq!(known.shared(&Obligations::default()), Obligations::default());
        for number in 0..10 * MAX_KNOWN {
            let list = level(&number.to_string());
            assert_eq!(known.shared(&list), list);
            assert!(known.0.lock().unwrap().len() <= MAX_KNOWN);
        }
    }
}
