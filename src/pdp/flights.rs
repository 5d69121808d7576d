//! The calls to the PDP that are on their way, so that equal questions share one.
//!
//! A call belongs to nobody who waits for it. It takes itself out of the list when it ends, in whatever
//! way it ends; whoever waits then learns either its outcome or that there is none.

use super::DecisionFault;
use super::purge::{Generation, PurgeLog};
use crate::domain::{AccessRequest, Decision};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// What a call brought, and when it set out.
#[derive(Clone, Debug)]
pub(super) struct Landed {
    pub(super) decision: Decision,
    pub(super) asked: Instant,
}

/// The end of a call.
pub(super) type Outcome = Result<Landed, DecisionFault>;

/// Where a call's outcome will be seen.
#[derive(Clone, Debug)]
pub(super) struct Waiting(watch::Receiver<Option<Outcome>>);

impl Waiting {
    /// The outcome; `Internal` if the call panicked.
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(DecisionFault::Internal)),
            Err(_) => Err(DecisionFault::Internal),
        }
    }
}

#[derive(Debug)]
struct Flight {
    generation: Generation,
    waiting: Waiting,
}

/// The list. One lock for all: it is taken on a miss only, beside which it costs nothing, and never held
/// across an await.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<Listed>);

type Listed = HashMap<Arc<AccessRequest>, Flight>;

impl Flights {
    pub(super) fn lock(&self) -> Board<'_> {
        Board(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The list, locked.
pub(super) struct Board<'a>(MutexGuard<'a, Listed>);

impl Board<'_> {
    /// A call for this question that no purge since it set out concerns.
    pub(super) fn find(&self, request: &AccessRequest, purges: &PurgeLog) -> Option<Waiting> {
        let flight = self.0.get(request)?;
        purges.spares(flight.generation, request).then(|| flight.waiting.clone())
    }

    /// Lists a call. It takes the place of one that a purge concerns, which then ends unlisted.
    ///
    /// The landing must not be dropped while the list is locked: its end takes the lock.
    pub(super) fn enter(
        &mut self,
        flights: &Arc<Flights>,
        request: &AccessRequest,
        generation: Generation,
    ) -> (Landing, Waiting) {
        let (sender, receiver) = watch::channel(None);
        let waiting = Waiting(receiver);
        let request = Arc::new(request.clone());
        let flight = Flight { generation, waiting: waiting.clone() };
        self.0.insert(Arc::clone(&request), flight);
        (Landing { flights: Arc::clone(flights), request, generation, sender }, waiting)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// The duty to end a call: held by its task, and done even if that panics.
#[derive(Debug)]
pub(super) struct Landing {
    flights: Arc<Flights>,
    request: Arc<AccessRequest>,
    generation: Generation,
    sender: watch::Sender<Option<Outcome>>,
}

impl Landing {
    pub(super) fn request(&self) -> &Arc<AccessRequest> {
        &self.request
    }

    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn land(self, outcome: Outcome) {
        self.leave();
        self.sender.send_replace(Some(outcome));
    }

    /// Before the waiters wake, so that none of them joins this very call again.
    fn leave(&self) {
        let mut listed = self.flights.lock().0;
        if let Entry::Occupied(listed) = listed.entry(Arc::clone(&self.request))
            && listed.get().waiting.0.same_channel(&self.sender.subscribe())
        {
            listed.remove();
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.leave();
    }
}
