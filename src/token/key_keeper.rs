//! Keeps one issuer's keys: fetched at start, in the background, and when a token names a key that is not
//! there. Readers never wait; only a request with an unknown `kid` does, for the one fetch that all such
//! requests share.
//!
//! **Invariant:** "no such key" is said only against a key set known to be recent. Otherwise it is our
//! knowledge that is lacking, and that is an outage, never the caller's fault.

use super::key_source::{KeyFault, KeySource};
use super::keys::{Key, KeyRing};
use super::untrusted;
use super::{Algorithm, IssuerSettings};
use crate::domain::{Clock, Denial, DenialCode, UnixSeconds};
use crate::outbound::{Exchanged, Healths, System};
use crate::tasks::Tasks;
use arc_swap::ArcSwap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often keys are fetched, and how long they count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between fetches in the background.
    pub(super) refresh: Duration,
    /// Between fetches that callers provoke, and after one that failed.
    pub(super) min_interval: Duration,
    /// After the last fetch that succeeded.
    pub(super) max_stale: Duration,
    /// How far our clock may be off; beyond, it is looked at again as soon as it may be.
    pub(super) leeway: Duration,
}

#[derive(Debug)]
pub(super) struct KeyKeeper {
    /// For the log.
    issuer: Arc<str>,
    source: Arc<dyn KeySource>,
    /// Where it is noted what became of a fetch, if the keys come over the network.
    healths: Option<Arc<Healths>>,
    algorithms: Vec<Algorithm>,
    pace: Pace,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    held: ArcSwap<Held>,
    flight: Mutex<Flight>,
    started: AtomicBool,
    stopping: CancellationToken,
    // Ends the background task with the keeper: after a reload nobody else would.
    _end: DropGuard,
}

/// What is known now.
#[derive(Clone, Debug, Default)]
struct Held {
    ring: Arc<KeyRing>,
    /// When the fetch that gave the ring began: what the issuer published before is in it.
    fetched: Option<Instant>,
    /// Why the latest attempt failed, if it did.
    fault: Option<KeyFault>,
    /// By how many seconds our clock is ahead of the source's; below zero where it is behind.
    clock_ahead: Option<i64>,
}

/// The fetch that is under way.
#[derive(Debug, Default)]
struct Flight {
    /// Ends when the fetch does.
    running: Option<watch::Receiver<()>>,
    last_started: Option<Instant>,
}

/// What is said of a keeper to operators.
pub(super) struct Condition {
    pub(super) keys: usize,
    pub(super) skip_reasons: Vec<&'static str>,
    pub(super) age: Option<Duration>,
    pub(super) last_fault: Option<String>,
    pub(super) clock_ahead: Option<i64>,
}

/// Why a fetch is asked for.
#[derive(Clone, Copy)]
enum Cause {
    Schedule,
    UnknownKey,
}

impl KeyKeeper {
    pub(super) fn new(
        issuer: &IssuerSettings,
        source: Arc<dyn KeySource>,
        healths: Option<Arc<Healths>>,
        pace: Pace,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Arc<Self> {
        let stopping = tasks.stopping().child_token();
        Arc::new(Self {
            issuer: Arc::clone(&issuer.issuer),
            source,
            healths,
            algorithms: issuer.algorithms.clone(),
            pace,
            clock,
            tasks,
            held: ArcSwap::default(),
            flight: Mutex::default(),
            started: AtomicBool::new(false),
            _end: stopping.clone().drop_guard(),
            stopping,
        })
    }

    /// Begins to fetch the keys, now and from then on; gives what ends with the first fetch. A second
    /// call does nothing.
    pub(super) fn start(self: &Arc<Self>) -> Option<watch::Receiver<()>> {
        if self.started.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut landed = self.take_off(Cause::Schedule);
        let first = landed.clone();
        let (keeper, stopping) = (Arc::downgrade(self), self.stopping.clone());
        drop(self.tasks.spawn(async move {
            loop {
                wait(landed).await;
                let Some(pause) = keeper.upgrade().map(|keeper| keeper.pause()) else { return };
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let Some(keeper) = keeper.upgrade() else { return };
                landed = keeper.take_off(Cause::Schedule);
            }
        }));
        first
    }

    /// The key of this name, after one fetch if it is unknown and one is due.
    pub(super) async fn key(self: &Arc<Self>, kid: &str) -> Result<Arc<Key>, Denial> {
        let arrived = self.clock.monotonic();
        if let Some(key) = self.present(arrived).and_then(|ring| ring.key(kid).cloned()) {
            return Ok(key);
        }
        wait(self.take_off(Cause::UnknownKey)).await;
        let now = self.clock.monotonic();
        let held = self.held.load();
        let Some(ring) = self.present(now).filter(|ring| !ring.is_empty()) else {
            return Err(self.unavailable("there are no keys to verify the token with"));
        };
        if let Some(key) = ring.key(kid) {
            return Ok(Arc::clone(key));
        }
        let recent = held.fetched.is_some_and(|fetched| {
            fetched >= arrived || elapsed(fetched, now) <= self.pace.min_interval
        });
        if recent {
            Err(untrusted("the issuer has no key of the token's name"))
        } else {
            Err(self.unavailable("the token's key is unknown and keys could not be fetched"))
        }
    }

    /// Whether this very key counts now.
    pub(super) fn holds(&self, key: &Arc<Key>) -> bool {
        let held = self.held.load();
        self.is_fresh(&held, self.clock.monotonic()) && held.ring.holds(key)
    }

    pub(super) fn condition(&self) -> Condition {
        let (held, now) = (self.held.load(), self.clock.monotonic());
        Condition {
            keys: if self.is_fresh(&held, now) { held.ring.len() } else { 0 },
            skip_reasons: held.ring.skip_reasons().collect(),
            age: held.fetched.map(|fetched| elapsed(fetched, now)),
            last_fault: held.fault.as_ref().map(ToString::to_string),
            clock_ahead: held.clock_ahead,
        }
    }

    /// The keys that count now, if the last success is not too long ago.
    fn present(&self, now: Instant) -> Option<Arc<KeyRing>> {
        let held = self.held.load();
        self.is_fresh(&held, now).then(|| Arc::clone(&held.ring))
    }

    fn is_fresh(&self, held: &Held, now: Instant) -> bool {
        held.fetched.is_some_and(|fetched| elapsed(fetched, now) <= self.pace.max_stale)
    }

    fn unavailable(&self, cause: &'static str) -> Denial {
        let mut denial = Denial::new(DenialCode::KeysUnavailable).because(cause);
        denial.extras.retry_after = Some(self.pace.min_interval);
        denial
    }

    /// Sooner when the last attempt left us without, or told that our clock is off.
    fn pause(&self) -> Duration {
        let held = self.held.load();
        let off =
            held.clock_ahead.is_some_and(|ahead| ahead.unsigned_abs() > self.pace.leeway.as_secs());
        if held.fault.is_some() || held.ring.is_empty() || off {
            self.pace.min_interval.min(self.pace.refresh)
        } else {
            self.pace.refresh
        }
    }

    /// Joins the running fetch, or begins one if it is due.
    fn take_off(self: &Arc<Self>, cause: Cause) -> Option<watch::Receiver<()>> {
        let mut flight = self.flight();
        if let Some(running) = &flight.running {
            return Some(running.clone());
        }
        let now = self.clock.monotonic();
        let due = match cause {
            Cause::Schedule => true,
            Cause::UnknownKey => flight
                .last_started
                .is_none_or(|started| elapsed(started, now) >= self.pace.min_interval),
        };
        if !due {
            return None;
        }
        let (done, landed) = watch::channel(());
        *flight = Flight { running: Some(landed.clone()), last_started: Some(now) };
        // A runtime that is shutting down drops the task at once, and with it the landing, which takes the lock.
        drop(flight);
        let landing = Landing { keeper: Arc::clone(self), _done: done };
        // A task of its own: a caller that leaves must not end the fetch that others wait for.
        drop(self.tasks.spawn(async move { landing.keeper.fetch(now).await }));
        Some(landed)
    }

    async fn fetch(&self, began: Instant) {
        let before = self.clock.wall();
        let fetched = tokio::select! {
            () = self.stopping.cancelled() => return,
            fetched = self.source.fetch() => fetched,
        };
        let after = self.clock.wall();
        let old = self.held.load_full();
        let date = fetched.as_ref().ok().and_then(|fetched| fetched.date);
        let clock_ahead = date.map(|date| ahead(before..=after, date));
        let ring = fetched.and_then(|fetched| {
            KeyRing::parse(&fetched.set, &self.algorithms, Some(&old.ring)).map_err(KeyFault::from)
        });
        if let Some(healths) = &self.healths {
            healths.of(System::Keys).note(outcome(&ring), self.clock.monotonic());
        }
        // At most one line in `refresh_min_interval`: an operator should not have to look at metrics first.
        let issuer = &*self.issuer;
        match &ring {
            Ok(_) if old.fault.is_some() => tracing::info!(issuer, "the keys are fetched again"),
            Ok(_) => tracing::debug!(issuer, "the keys are fetched"),
            Err(fault) => {
                tracing::warn!(issuer, %fault, "the keys cannot be fetched; those in hand are kept");
            }
        }
        self.held.store(Arc::new(match ring {
            Ok(ring) => {
                Held { ring: Arc::new(ring), fetched: Some(began), fault: None, clock_ahead }
            }
            Err(fault) => Held { fault: Some(fault), clock_ahead, ..Held::clone(&old) },
        }));
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By how many seconds our clock is ahead of one that showed `date` at some time within `ours`: as few as
/// that can mean.
fn ahead(ours: RangeInclusive<UnixSeconds>, date: UnixSeconds) -> i64 {
    // Whole seconds, ours as well as theirs: up to one of them is not a difference.
    let (first, last) = (ours.start().0, ours.end().0);
    let ahead = first.saturating_sub(date.0.saturating_add(1));
    let behind = date.0.saturating_sub(last.saturating_add(1));
    let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
    ahead.saturating_sub_unsigned(behind)
}

/// What a fetch says of the system behind it. A key set without a key that can be used is none.
fn outcome(ring: &Result<KeyRing, KeyFault>) -> Exchanged {
    match ring {
        Ok(ring) if ring.is_empty() => Exchanged::Unusable,
        Ok(_) => Exchanged::Ok,
        Err(KeyFault::Unreachable { fault, .. }) => fault.into(),
        Err(KeyFault::Status { status, .. }) => Exchanged::of_status(*status),
        Err(
            KeyFault::Metadata
            | KeyFault::ForeignMetadata
            | KeyFault::SlashedMetadata
            | KeyFault::UnsafeAddress
            | KeyFault::File(_)
            | KeyFault::KeySet(_),
        ) => Exchanged::Unusable,
    }
}

/// Clears the way for the next fetch, however this one ends; then its waiters wake.
struct Landing {
    keeper: Arc<KeyKeeper>,
    _done: watch::Sender<()>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.keeper.flight().running = None;
    }
}

/// Waits for the end of a fetch.
pub(super) async fn wait(landed: Option<watch::Receiver<()>>) {
    if let Some(mut landed) = landed {
        // Nothing is ever sent: the end of the fetch drops the sender, a panic in it included.
        let _ = landed.changed().await;
    }
}

fn elapsed(since: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::OutboundFault;
    use crate::token::InvalidKeySet;
    use http::StatusCode;

    #[test]
    fn a_clock_is_off_by_what_the_time_of_the_fetch_does_not_explain() {
        let ahead = |before, after, date| {
            ahead(UnixSeconds(before)..=UnixSeconds(after), UnixSeconds(date))
        };
        assert_eq!([ahead(100, 100, 100), ahead(100, 104, 102), ahead(100, 104, 99)], [0; 3]);
        assert_eq!([ahead(100, 104, 89), ahead(100, 104, 115)], [10, -10]);
        assert_eq!(ahead(0, 0, u64::MAX), i64::MIN);
    }

    #[test]
    fn a_fetch_says_of_the_issuer_what_became_of_it() {
        let unreachable = |fault| KeyFault::Unreachable { document: "the key set", fault };
        let status = |status| KeyFault::Status { document: "the metadata", status };
        let ring = |set: &str| KeyRing::parse(set.as_bytes(), &[Algorithm::Rs256], None);
        assert_eq!(outcome(&Ok(ring(r#"{"keys":[]}"#).unwrap())), Exchanged::Unusable);
        for (fault, expected) in [
            (unreachable(OutboundFault::Connect("x".into())), Exchanged::Connect),
            (unreachable(OutboundFault::Timeout(Duration::ZERO)), Exchanged::Timeout),
            (unreachable(OutboundFault::TooLarge(1)), Exchanged::Unusable),
            (status(StatusCode::SERVICE_UNAVAILABLE), Exchanged::Failed),
            (status(StatusCode::FORBIDDEN), Exchanged::Refused),
            (status(StatusCode::NOT_FOUND), Exchanged::Unusable),
            (KeyFault::SlashedMetadata, Exchanged::Unusable),
            (KeyFault::ForeignMetadata, Exchanged::Unusable),
            (KeyFault::KeySet(InvalidKeySet::Unreadable), Exchanged::Unusable),
        ] {
            assert_eq!(outcome(&Err(fault.clone())), expected, "{fault}");
        }
    }
}
