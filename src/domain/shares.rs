//! What one caller may hold of the memory for bodies that are read.

use super::{BufferBudget, HeldRoom, NoRoom, PdpSubject};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory for all bodies that are read, of which no caller holds more than its share. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    all: BufferBudget,
    share: usize,
    turns: Arc<Semaphore>,
    // Invariant: whoever is in it holds something, so that it is no larger than the requests under way.
    held: Arc<Mutex<HashMap<PdpSubject, usize>>>,
}

/// There is no room for a body now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBodyRoom {
    /// All callers together hold all there is.
    #[error(transparent)]
    All(#[from] NoRoom),
    /// The caller holds all that one may.
    #[error("bodies of {} hold all of the {share} bytes that those of one caller may", named(*.holder))]
    Share {
        /// Whose bodies.
        holder: PdpSubject,
        /// How much one caller may hold, in bytes.
        share: usize,
    },
}

impl BodyBudget {
    /// How many callers it takes to hold everything, unless one body may be larger than that. Bounds what one
    /// that sends slowly takes from all others.
    const SHARES: usize = 4;

    /// A budget of so many bytes in all, of which one caller may always hold the `largest` body.
    #[must_use]
    pub fn new(total: usize, largest: usize) -> Self {
        let all = BufferBudget::new(total);
        let share = all.total().div_euclid(Self::SHARES).max(largest).min(all.total());
        let at_once = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { all, share, turns: Arc::new(Semaphore::new(at_once)), held: Arc::default() }
    }

    /// How many bytes there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.all.total()
    }

    /// How many bytes nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.all.free()
    }

    /// How many bytes one caller may hold.
    #[must_use]
    pub fn share(&self) -> usize {
        self.share
    }

    /// Waits for one's turn to look at a body of so many bytes. As many large ones are looked at at one time as
    /// there are processors; small ones at once. Bounds threads, and the room of [`Turn::take`].
    pub async fn turn(&self, bytes: usize) -> Turn {
        let permit = if bytes > SMALL_BODY {
            Arc::clone(&self.turns).acquire_owned().await.ok()
        } else {
            None
        };
        Turn { budget: self.clone(), permit }
    }

    /// The share of this caller.
    #[must_use]
    pub fn of(&self, holder: PdpSubject) -> BodyShare {
        BodyShare { budget: self.clone(), holder }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<PdpSubject, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bodies up to this are looked at where their requests are served: it takes less time than changing threads.
/// Bounds how long one request holds up others.
const SMALL_BODY: usize = 64 * 1024;

/// The turn of one request to look at its body.
#[derive(Debug)]
pub struct Turn {
    budget: BodyBudget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Whether the body is large: it is not to be looked at where requests are served.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.permit.is_some()
    }

    /// Takes so many bytes for as long as the turn lasts, of nobody's share.
    pub fn take(&self, bytes: usize) -> Result<HeldRoom, NoBodyRoom> {
        Ok(self.budget.all.take(bytes)?)
    }
}

/// One caller's share of a budget, for all its requests together.
#[derive(Clone, Debug)]
pub struct BodyShare {
    budget: BodyBudget,
    holder: PdpSubject,
}

impl BodyShare {
    /// Takes so many bytes, at once or not at all, until they are dropped.
    pub fn take(&self, bytes: usize) -> Result<HeldShare, NoBodyRoom> {
        Ok(HeldShare { room: self.room(bytes)?, share: self.clone() })
    }

    fn room(&self, bytes: usize) -> Result<HeldRoom, NoBodyRoom> {
        let Self { budget, holder } = self;
        let share = budget.share();
        let mut held = budget.held();
        let before = held.get(holder).copied().unwrap_or_default();
        let after = before.saturating_add(bytes);
        if after > share {
            return Err(NoBodyRoom::Share { holder: *holder, share });
        }
        let room = budget.all.take(bytes)?;
        if after > 0 {
            held.insert(*holder, after);
        }
        Ok(room)
    }

    fn gave_back(&self, bytes: usize) {
        if let Entry::Occupied(mut entry) = self.budget.held().entry(self.holder) {
            let left = entry.get().saturating_sub(bytes);
            if left == 0 {
                entry.remove();
            } else {
                entry.insert(left);
            }
        }
    }
}

/// Bytes of a caller's share that it holds; given back when this is dropped.
#[derive(Debug)]
pub struct HeldShare {
    room: HeldRoom,
    share: BodyShare,
}

impl HeldShare {
    /// Takes so many bytes more, at once or not at all.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), NoBodyRoom> {
        self.room.merge(self.share.room(bytes)?);
        Ok(())
    }

    /// Gives back what is held beyond so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let back = self.room.bytes().saturating_sub(bytes);
        self.room.give_back(back);
        self.share.gave_back(back);
    }
}

impl Drop for HeldShare {
    fn drop(&mut self) {
        self.share.gave_back(self.room.bytes());
    }
}

/// A caller as the log may name it.
fn named(holder: PdpSubject) -> String {
    match holder {
        PdpSubject::SystemUser(id) => format!("the system user {id}"),
        PdpSubject::Organization(number) => format!("the organization {number}"),
        PdpSubject::Person(_) => "a person".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrganizationNumber, PersonNumber, SystemUserId};

    fn system_user(last: char) -> PdpSubject {
        let id = format!("a0000001-0000-4000-8000-00000000000{last}");
        PdpSubject::SystemUser(SystemUserId::parse(&id).unwrap())
    }

    #[test]
    fn no_caller_holds_more_than_a_quarter_and_the_others_have_the_rest() {
        let budget = BodyBudget::new(4000, 1);
        let refused = |holder| Err(NoBodyRoom::Share { holder, share: 1000 });
        let one = system_user('1');
        let mut held = vec![budget.of(one).take(600).unwrap()];
        assert_eq!(budget.of(one).take(401).map(drop), refused(one));
        held.push(budget.of(one).take(400).unwrap());
        assert_eq!(budget.of(one).take(1).map(drop), refused(one));
        assert_eq!(held[0].grow(1), refused(one));
        for other in ['2', '3', '4'] {
            held.push(budget.of(system_user(other)).take(1000).unwrap());
        }
        assert_eq!(budget.free(), 0);
        let fifth = budget.of(system_user('5'));
        assert_eq!(fifth.take(1).map(drop), Err(NoBodyRoom::All(NoRoom(4000))));
        held[0].shrink_to(100);
        assert!(fifth.take(500).is_ok());
        assert_eq!(held[0].grow(501), refused(one));
        assert!(held[0].grow(500).is_ok());
        drop(held);
        assert_eq!(budget.free(), 4000);
        assert!(budget.held().is_empty());
    }

    #[test]
    fn one_body_has_room_however_large_it_may_be() {
        for (total, largest, share) in [(4000, 900, 1000), (4000, 3000, 3000), (4000, 5000, 4000)] {
            assert_eq!(BodyBudget::new(total, largest).share(), share);
        }
    }

    #[test]
    fn what_is_asked_for_in_vain_leaves_no_trace() {
        let budget = BodyBudget::new(4000, 1);
        let share = budget.of(system_user('1'));
        assert!(share.take(usize::MAX).is_err());
        drop(share.take(0).unwrap());
        assert!(budget.held().is_empty());
    }

    #[test]
    fn the_log_says_whose_share_it_was_and_names_no_person() {
        let organization =
            OrganizationNumber::parse("310329495", super::super::CheckDigits::Lenient);
        let person = PersonNumber::parse("01890012345").unwrap();
        for (holder, said) in [
            (system_user('1'), "the system user a0000001-0000-4000-8000-000000000001"),
            (PdpSubject::Organization(organization.unwrap()), "the organization 310329495"),
            (PdpSubject::Person(person), "a person"),
        ] {
            let fault = NoBodyRoom::Share { holder, share: 1000 };
            let expected =
                format!("bodies of {said} hold all of the 1000 bytes that those of one caller may");
            assert_eq!(fault.to_string(), expected);
        }
    }
}
