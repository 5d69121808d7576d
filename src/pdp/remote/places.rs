//! Who may ask the PDP now, who waits, and who is turned away at once.
//!
//! A question needs one of its subject's places and one of the general ones, in this order: while its subject
//! has all of its own in use, it waits without holding what others could use. Both are given in the order of
//! asking. Every number is bounded, and a subject is known only while it has questions here.

use crate::domain::PdpSubject;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// One subject has at most this part of the queue, so that nobody can queue the others out.
const QUEUE_PARTS: usize = 4;

#[derive(Debug)]
pub(super) struct Places {
    general: Semaphore,
    max_in_flight: usize,
    per_subject: usize,
    max_queued: usize,
    max_queued_per_subject: usize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    queued: usize,
    // Invariant: each entry has a `Member`, so there are at most as many as places in flight and queue.
    subjects: HashMap<PdpSubject, Subject>,
}

#[derive(Debug)]
struct Subject {
    own: Arc<Semaphore>,
    /// Its questions here, those in flight included.
    members: usize,
    queued: usize,
}

/// A place in flight, given back when dropped.
// The fields are dropped in this order: the subject must be known for as long as its place is in use.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _general: SemaphorePermit<'a>,
    _own: OwnedSemaphorePermit,
    _member: Member<'a>,
}

/// A question that is counted.
#[derive(Debug)]
struct Member<'a> {
    places: &'a Places,
    subject: PdpSubject,
    waits: bool,
}

/// What a question has when it arrives.
struct Arrival<'a> {
    general: Option<SemaphorePermit<'a>>,
    own: Result<OwnedSemaphorePermit, Arc<Semaphore>>,
    member: Member<'a>,
}

/// Neither a place nor room to wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Places {
    pub(super) fn new(max_in_flight: usize, per_subject: usize, max_queued: usize) -> Self {
        let max_in_flight = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            general: Semaphore::new(max_in_flight),
            max_in_flight,
            per_subject: per_subject.clamp(1, max_in_flight),
            max_queued,
            max_queued_per_subject: max_queued.div_ceil(QUEUE_PARTS),
            line: Mutex::default(),
        }
    }

    /// A place, now or in turn. Dropping the returned future gives up the turn.
    pub(super) async fn enter(&self, subject: PdpSubject) -> Result<Place<'_>, Full> {
        let Arrival { general, own, mut member } = self.arrive(subject)?;
        // Neither semaphore is ever closed; if it were, nobody would be let in.
        let own = match own {
            Ok(own) => own,
            Err(semaphore) => semaphore.acquire_owned().await.map_err(|_| Full)?,
        };
        let general = match general {
            Some(general) => general,
            None => self.general.acquire().await.map_err(|_| Full)?,
        };
        member.proceed();
        Ok(Place { _general: general, _own: own, _member: member })
    }

    fn arrive(&self, subject: PdpSubject) -> Result<Arrival<'_>, Full> {
        let mut line = self.lock();
        let Line { queued, subjects } = &mut *line;
        let mut entry = match subjects.entry(subject) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(Subject {
                own: Arc::new(Semaphore::new(self.per_subject)),
                members: 0,
                queued: 0,
            }),
        };
        let state = entry.get_mut();
        let own = Arc::clone(&state.own).try_acquire_owned().map_err(|_| Arc::clone(&state.own));
        // Whoever waits is first: a semaphore with waiters has nothing to give away.
        let general = own.as_ref().ok().and_then(|_| self.general.try_acquire().ok());
        let waits = general.is_none();
        if waits {
            if *queued >= self.max_queued || state.queued >= self.max_queued_per_subject {
                if state.members == 0 {
                    entry.remove();
                }
                return Err(Full);
            }
            *queued += 1;
            state.queued += 1;
        }
        state.members += 1;
        drop(line);
        Ok(Arrival { general, own, member: Member { places: self, subject, waits } })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.max_in_flight.saturating_sub(self.general.available_permits())
    }

    pub(super) fn queued(&self) -> usize {
        self.lock().queued
    }

    #[cfg(test)]
    pub(super) fn subjects(&self) -> usize {
        self.lock().subjects.len()
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member<'_> {
    /// Waits no longer.
    fn proceed(&mut self) {
        self.leave_queue(&mut self.places.lock());
    }

    fn leave_queue(&mut self, line: &mut Line) {
        if std::mem::take(&mut self.waits) {
            line.queued = line.queued.saturating_sub(1);
            if let Some(state) = line.subjects.get_mut(&self.subject) {
                state.queued = state.queued.saturating_sub(1);
            }
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut line = self.places.lock();
        self.leave_queue(&mut line);
        if let Entry::Occupied(mut entry) = line.subjects.entry(self.subject) {
            let state = entry.get_mut();
            state.members = state.members.saturating_sub(1);
            if state.members == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests;
