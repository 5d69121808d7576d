//! What the rest of the program asks: the decision cache in front of one decision point.
//!
//! Every call to the point is a task of the tracker; callers only wait for its result. A caller that
//! leaves ends nobody's call, and a call that panics fails its waiters and nothing else.

use super::cache::{Cache, CacheSettings, Generation, Hit, Lifetimes, Origin};
use super::flights::{Board, Flights, Landed, Outcome, Waiting};
use super::{DecisionFault, DecisionPoint, PointCondition, Purge};
use crate::domain::{AccessRequest, Answered, Clock, DecisionSource};
use crate::tasks::Tasks;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Decides, from memory where that is allowed. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Decisions {
    inner: Arc<Inner>,
    tasks: Tasks,
}

#[derive(Debug)]
struct Inner {
    point: Arc<dyn DecisionPoint>,
    cache: Cache,
    flights: Arc<Flights>,
    clock: Arc<dyn Clock>,
    calls: AtomicU64,
    renewals: AtomicU64,
    faults: AtomicU64,
    /// When the log was last told of a fault.
    told: Mutex<Option<Instant>>,
}

/// The least time between two lines about a failing PDP.
const FAULT_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Numbers for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionStats {
    /// Answers held, near enough.
    pub entries: u64,
    /// Calls under way that others can share.
    pub in_flight: u64,
    /// Requests answered from memory.
    pub hits: u64,
    /// Calls made, renewals included.
    pub calls: u64,
    /// Calls made in the background ahead of expiry.
    pub renewals: u64,
    /// Calls that brought no decision.
    pub faults: u64,
}

/// How a miss is served.
enum Miss {
    Launched(Waiting),
    Joined(Waiting),
    /// Somebody else's call ended between the look into the cache and the lock.
    Answered(Hit),
}

impl Decisions {
    /// Puts a cache in front of a decision point.
    #[must_use]
    pub fn new(
        point: Arc<dyn DecisionPoint>,
        settings: CacheSettings,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let inner = Inner {
            point,
            cache: Cache::new(&settings),
            flights: Arc::default(),
            clock,
            calls: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            told: Mutex::new(None),
        };
        Self { inner: Arc::new(inner), tasks }
    }

    /// Decides a request for a rule that believes answers for `lifetimes`.
    ///
    /// With lifetimes off (or both zero) the answer is this request's own: nothing is read, stored or
    /// shared. Dropping the returned future ends the waiting, not the call.
    pub async fn decide(
        &self,
        request: &AccessRequest,
        lifetimes: Lifetimes,
    ) -> Result<Answered, DecisionFault> {
        if lifetimes.is_off() {
            return self.ask_alone(request).await;
        }
        let now = self.inner.clock.monotonic();
        if let Some(hit) = self.inner.cache.read(request, lifetimes, now) {
            if hit.claims_renewal() {
                self.renew(request);
            }
            return Ok(hit.answered());
        }
        match self.miss(request, lifetimes) {
            Miss::Answered(hit) => Ok(hit.answered()),
            Miss::Launched(waiting) => {
                self.inner.answered(waiting.outcome().await, self.inner.point.source())
            }
            Miss::Joined(waiting) => {
                let outcome = waiting.outcome().await;
                if outcome.as_ref().is_ok_and(|landed| !lifetimes.shares(&landed.decision)) {
                    return self.ask_alone(request).await;
                }
                self.inner.answered(outcome, DecisionSource::Coalesced)
            }
        }
    }

    /// Forgets every answer, those being asked for at this moment included: they still reach whoever
    /// waits for them, but nobody who asks from now on.
    pub fn purge_all(&self) {
        self.inner.cache.purge_all();
    }

    /// Forgets what the purge concerns, and gives how many answers that were.
    #[must_use]
    pub fn purge(&self, _purge: &Purge) -> u64 {
        let entries = self.inner.cache.entries();
        self.purge_all();
        entries
    }

    /// Begins what the point does in the background; a second call does nothing.
    pub fn start(&self) {
        self.inner.point.start();
    }

    /// How the point is.
    #[must_use]
    pub fn condition(&self) -> PointCondition {
        self.inner.point.condition()
    }

    /// What answers asked for here are recorded as.
    #[must_use]
    pub fn source(&self) -> DecisionSource {
        self.inner.point.source()
    }

    /// Which PDP answers, and as whom it is asked: answers may outlive a reload only while this is the
    /// same.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.inner.point.identity()
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn stats(&self) -> DecisionStats {
        DecisionStats {
            entries: self.inner.cache.entries(),
            in_flight: u64::try_from(self.inner.flights.lock().count()).unwrap_or(u64::MAX),
            hits: self.inner.cache.hits(),
            calls: self.inner.calls.load(Ordering::Relaxed),
            renewals: self.inner.renewals.load(Ordering::Relaxed),
            faults: self.inner.faults.load(Ordering::Relaxed),
        }
    }

    async fn ask_alone(&self, request: &AccessRequest) -> Result<Answered, DecisionFault> {
        let inner = Arc::clone(&self.inner);
        let request = request.clone();
        let call = self.tasks.spawn(async move { inner.ask(&request).await });
        // The only ways to no result are a panic and the end of the process.
        let outcome = call.await.unwrap_or(Err(DecisionFault::Internal));
        self.inner.answered(outcome, self.inner.point.source())
    }

    fn miss(&self, request: &AccessRequest, lifetimes: Lifetimes) -> Miss {
        let mut board = self.inner.flights.lock();
        // Under the lock: whoever sees no call here, and no answer below, is the one to ask.
        let generation = self.inner.cache.generation();
        if let Some(waiting) = board.find(request, generation) {
            return Miss::Joined(waiting);
        }
        let now = self.inner.clock.monotonic();
        match self.inner.cache.read(request, lifetimes, now) {
            Some(hit) => Miss::Answered(hit),
            None => Miss::Launched(self.launch(&mut board, request, generation, Origin::Request)),
        }
    }

    fn renew(&self, request: &AccessRequest) {
        let mut board = self.inner.flights.lock();
        let generation = self.inner.cache.generation();
        if board.find(request, generation).is_none() {
            self.inner.renewals.fetch_add(1, Ordering::Relaxed);
            // Nobody waits for it; a fault leaves the held answer to its natural end.
            drop(self.launch(&mut board, request, generation, Origin::Renewal));
        }
    }

    fn launch(
        &self,
        board: &mut Board<'_>,
        request: &AccessRequest,
        generation: Generation,
        origin: Origin,
    ) -> Waiting {
        let inner = Arc::clone(&self.inner);
        let request = Arc::new(request.clone());
        let (landing, waiting) = board.enter(&inner.flights, &request, generation);
        drop(self.tasks.spawn(async move {
            let outcome = inner.ask(&request).await;
            if let Ok(Landed { decision, asked }) = &outcome {
                inner.cache.store(&request, decision, *asked, generation, origin);
            }
            landing.land(outcome);
        }));
        waiting
    }
}

impl Inner {
    async fn ask(&self, request: &AccessRequest) -> Outcome {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Before the question: an answer is never taken for younger than it is.
        let asked = self.clock.monotonic();
        match self.point.decide(request).await {
            Ok(decision) => Ok(Landed { decision, asked }),
            Err(fault) => {
                self.faults.fetch_add(1, Ordering::Relaxed);
                self.tell(&fault);
                Err(fault)
            }
        }
    }

    /// Says in the log that the PDP fails, and why; not for every call, or an outage would fill the log.
    fn tell(&self, fault: &DecisionFault) {
        let now = self.clock.monotonic();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| now.saturating_duration_since(told) >= FAULT_LOG_INTERVAL) {
            *told = Some(now);
            tracing::warn!(pdp = self.point.identity(), %fault, "the PDP gives no decision");
        }
    }

    fn answered(
        &self,
        outcome: Outcome,
        source: DecisionSource,
    ) -> Result<Answered, DecisionFault> {
        let Landed { decision, asked } = outcome?;
        let age = self.clock.monotonic().saturating_duration_since(asked);
        Ok(Answered { decision, source, age })
    }
}

impl Hit {
    fn answered(&self) -> Answered {
        let source = match self.origin() {
            Origin::Request => DecisionSource::Cache,
            Origin::Renewal => DecisionSource::Refreshed,
        };
        Answered { decision: self.decision().clone(), source, age: self.age }
    }
}

#[cfg(test)]
mod tests;
