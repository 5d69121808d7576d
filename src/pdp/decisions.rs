//! What the rest of the program asks: the decision cache in front of one decision point.
//!
//! Every call to the point is a task of the tracker; callers only wait for its result. A caller that
//! leaves ends nobody's call, and a call that panics fails its waiters and nothing else.

mod several;

use super::cache::{Cache, CacheSettings, Lifetimes};
use super::flights::{Board, Flights, Landed, Landing, Outcome, Waiting};
use super::held::{Hit, Origin};
use super::{DecisionFault, DecisionPoint, PointCondition, Purge, Reasons};
use crate::domain::{AccessRequest, Answered, Clock, Decision, DecisionSource};
use crate::tasks::Tasks;
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
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
    cache: Arc<Cache>,
    flights: Arc<Flights>,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    /// When the log was last told of each kind of fault: one kind must not hide another.
    told: Mutex<HashMap<Discriminant<DecisionFault>, Instant>>,
}

/// What has happened since the start of the process.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    renewals: AtomicU64,
    faults: AtomicU64,
}

/// The least time between two lines about one kind of fault.
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
    /// Questions put to the PDP, renewals included; those of one request may share an exchange.
    pub calls: u64,
    /// Questions put to it in the background ahead of expiry.
    pub renewals: u64,
    /// Questions that brought no decision.
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
        let cache = Arc::new(Cache::new(&settings));
        Self::with(point, cache, Arc::default(), Arc::default(), tasks, clock)
    }

    /// Puts a cache in front of a decision point that follows another, as on a reload.
    ///
    /// While [`Self::identity`] stays the same, what is held counts on, and calls that are under way are
    /// shared; a purge of either counts for both. With other limits of the cache the answers are moved into
    /// a new one, which takes a second for a million of them. Numbers for metrics always go on.
    #[must_use]
    pub fn taking_over(
        previous: &Self,
        point: Arc<dyn DecisionPoint>,
        settings: CacheSettings,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Inner { cache, flights, counts, .. } = &*previous.inner;
        let same = previous.identity() == point.identity();
        let flights = if same { Arc::clone(flights) } else { Arc::default() };
        let cache = match same {
            true if cache.fits(&settings) => Arc::clone(cache),
            true => Arc::new(Cache::resized(cache, &settings)),
            false => Arc::new(Cache::fresh_after(cache, &settings)),
        };
        Self::with(point, cache, flights, Arc::clone(counts), tasks, clock)
    }

    fn with(
        point: Arc<dyn DecisionPoint>,
        cache: Arc<Cache>,
        flights: Arc<Flights>,
        counts: Arc<Counts>,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let told = Mutex::default();
        let inner = Inner { point, cache, flights, clock, counts, told };
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
            return Box::pin(self.ask_alone(request)).await;
        }
        match self.held(request, lifetimes) {
            Some(hit) => Ok(hit.answered()),
            None => Box::pin(self.end_of(self.miss(request, lifetimes), request, lifetimes)).await,
        }
    }

    /// Forgets what the purge concerns, and gives how many held answers that were.
    ///
    /// What is being asked for at this moment is forgotten too: it still reaches whoever waits for it, but
    /// nobody who asks from now on. All this holds almost at once; the rest of the call goes through all
    /// that is held, one to five seconds for a million answers: call it from a thread that may block.
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.inner.cache.purge(purge)
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

    /// Why the point answers a question as it does, where it knows. It asks anew and changes nothing.
    #[must_use]
    pub fn reasons(&self, question: &AccessRequest) -> Option<Box<Reasons>> {
        self.inner.point.reasons(question)
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
        let counts = &self.inner.counts;
        DecisionStats {
            entries: self.inner.cache.entries(),
            in_flight: u64::try_from(self.inner.flights.lock().count()).unwrap_or(u64::MAX),
            hits: self.inner.cache.hits(),
            calls: counts.calls.load(Ordering::Relaxed),
            renewals: counts.renewals.load(Ordering::Relaxed),
            faults: counts.faults.load(Ordering::Relaxed),
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

    /// The answer that is held, renewed in the background if that is due.
    fn held(&self, request: &AccessRequest, lifetimes: Lifetimes) -> Option<Hit> {
        let now = self.inner.clock.monotonic();
        let hit = self.inner.cache.read(request, lifetimes, now)?;
        if hit.claims_renewal() {
            self.renew(request);
        }
        Some(hit)
    }

    fn miss(&self, request: &AccessRequest, lifetimes: Lifetimes) -> Miss {
        let mut board = self.inner.flights.lock();
        if let Some(miss) = self.served_by_others(&board, request, lifetimes) {
            return miss;
        }
        let (landing, waiting) = self.enter(&mut board, request);
        drop(board);
        self.launch(landing, Origin::Request);
        Miss::Launched(waiting)
    }

    /// Under the lock: whoever sees no call here, and no answer, is the one to ask.
    fn served_by_others(
        &self,
        board: &Board<'_>,
        request: &AccessRequest,
        lifetimes: Lifetimes,
    ) -> Option<Miss> {
        let Inner { cache, clock, .. } = &*self.inner;
        if let Some(waiting) = board.find(request, cache.purges()) {
            return Some(Miss::Joined(waiting));
        }
        cache.read(request, lifetimes, clock.monotonic()).map(Miss::Answered)
    }

    async fn end_of(
        &self,
        miss: Miss,
        request: &AccessRequest,
        lifetimes: Lifetimes,
    ) -> Result<Answered, DecisionFault> {
        match miss {
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

    fn renew(&self, request: &AccessRequest) {
        let mut board = self.inner.flights.lock();
        if board.find(request, self.inner.cache.purges()).is_some() {
            return;
        }
        // Nobody waits for it; a fault leaves the held answer to its natural end.
        let (landing, _) = self.enter(&mut board, request);
        drop(board);
        self.inner.counts.renewals.fetch_add(1, Ordering::Relaxed);
        self.launch(landing, Origin::Renewal);
    }

    /// Lists a call, which the caller has to launch once the list is unlocked.
    fn enter(&self, board: &mut Board<'_>, request: &AccessRequest) -> (Landing, Waiting) {
        board.enter(&self.inner.flights, request, self.inner.cache.purges().present())
    }

    fn launch(&self, landing: Landing, origin: Origin) {
        let inner = Arc::clone(&self.inner);
        drop(self.tasks.spawn(async move {
            let outcome = inner.ask(landing.request()).await;
            inner.land(landing, outcome, origin);
        }));
    }
}

impl Inner {
    async fn ask(&self, request: &AccessRequest) -> Outcome {
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        // Before the question: an answer is never taken for younger than it is.
        let asked = self.clock.monotonic();
        let answer = self.point.decide(request).await;
        self.outcome(answer, asked)
    }

    fn outcome(&self, answer: Result<Decision, DecisionFault>, asked: Instant) -> Outcome {
        match answer {
            Ok(decision) => Ok(Landed { decision, asked }),
            Err(fault) => {
                self.counts.faults.fetch_add(1, Ordering::Relaxed);
                self.tell(&fault);
                Err(fault)
            }
        }
    }

    /// Ends a call: what it brought is held, and reaches those who wait.
    fn land(&self, landing: Landing, outcome: Outcome, origin: Origin) {
        if let Ok(Landed { decision, asked }) = &outcome {
            let generation = landing.generation();
            self.cache.store(landing.request(), decision, *asked, generation, origin);
        }
        landing.land(outcome);
    }

    /// Says in the log that the PDP fails, and why; not for every call, or an outage would fill the log.
    fn tell(&self, fault: &DecisionFault) {
        let now = self.clock.monotonic();
        let due = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let last = told.get(&discriminant(fault));
            let due =
                last.is_none_or(|last| now.saturating_duration_since(*last) >= FAULT_LOG_INTERVAL);
            if due {
                told.insert(discriminant(fault), now);
            }
            due
        };
        // Without the lock: a log that takes no more lines must hold up one call, not all that fail.
        if due {
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
