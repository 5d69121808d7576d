//! Which answers are to be forgotten before their time, and the memory of the last such orders.
//!
//! Invariant: an answer counts only if no purge since it was asked for concerns it. Whoever cannot know
//! that any more, because too many purges came since, takes it for one that does not count.

use crate::domain::{AccessRequest, Party, PdpSubject, ResourceId, SystemUserId};
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The answers that match every part that is named; with no part named, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// About this system user.
    pub system_user: Option<SystemUserId>,
    /// For this party.
    pub party: Option<Party>,
    /// On this resource.
    pub resource: Option<ResourceId>,
}

impl Purge {
    /// Whether the answer to this question is one of them.
    #[must_use]
    pub fn concerns(&self, request: &AccessRequest) -> bool {
        let Self { system_user, party, resource } = self;
        system_user.is_none_or(|id| request.subject == PdpSubject::SystemUser(id))
            && party.is_none_or(|party| request.party == party)
            && resource.as_ref().is_none_or(|resource| request.resource == *resource)
    }
}

/// How many purges there had been when an answer was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// The generation of something that lasts: that in which it was asked for, or a later one whose purges
/// are known not to concern it.
#[derive(Debug)]
pub(super) struct Stamp(AtomicU64);

impl From<Generation> for Stamp {
    fn from(generation: Generation) -> Self {
        Self(AtomicU64::new(generation.0))
    }
}

/// Purges that are remembered each by itself. Bounds what a look at an old answer costs and what a flood
/// of purges can make us hold.
const MAX_REMEMBERED: usize = 64;

/// The last purges. Readers never wait.
#[derive(Debug, Default)]
pub(super) struct PurgeLog {
    /// Follows [`Last::count`], so that most looks need one number and no list.
    present: AtomicU64,
    last: ArcSwap<Last>,
}

#[derive(Clone, Debug, Default)]
struct Last {
    /// All purges so far; the last of `purges` is the one of this number.
    count: u64,
    purges: VecDeque<Arc<Purge>>,
}

impl PurgeLog {
    /// The present generation. Taken *before* the PDP is asked.
    pub(super) fn present(&self) -> Generation {
        Generation(self.present.load(Ordering::Acquire))
    }

    /// From its return on, nothing asked for before counts if the purge concerns it.
    pub(super) fn add(&self, purge: &Purge) {
        let purge = Arc::new(purge.clone());
        let before = self.last.rcu(|last| {
            let mut next = Last::clone(last);
            next.count = next.count.saturating_add(1);
            if next.purges.len() == MAX_REMEMBERED {
                next.purges.pop_front();
            }
            next.purges.push_back(Arc::clone(&purge));
            next
        });
        // After the list: whoever sees the number sees the purge. Of two at once, the later number stays.
        self.present.fetch_max(before.count.saturating_add(1), Ordering::AcqRel);
    }

    /// Whether an answer to this question, asked for in this generation, still counts.
    pub(super) fn spares(&self, generation: Generation, request: &AccessRequest) -> bool {
        generation == self.present() || self.looked_up(generation.0, request).is_some()
    }

    /// The same for what lasts. What is found to count is stamped anew, so that the next look is short.
    pub(super) fn spares_stamped(&self, stamp: &Stamp, request: &AccessRequest) -> bool {
        let own = stamp.0.load(Ordering::Relaxed);
        if own == self.present().0 {
            return true;
        }
        let Some(count) = self.looked_up(own, request) else { return false };
        // Any order will do: the number alone says which purges were looked at.
        stamp.0.fetch_max(count, Ordering::Relaxed);
        true
    }

    /// How many purges there are by now, if none after the first `seen` concerns the question.
    fn looked_up(&self, seen: u64, request: &AccessRequest) -> Option<u64> {
        let last = self.last.load();
        let unseen = usize::try_from(last.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let known = unseen <= last.purges.len();
        let concerned = || last.purges.iter().rev().take(unseen).any(|it| it.concerns(request));
        (known && !concerned()).then_some(last.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdp::samples::{organization, question, system_user, system_user_id};

    fn of_user(number: u32) -> Purge {
        Purge { system_user: Some(system_user_id(number)), ..Purge::default() }
    }

    #[test]
    fn a_purge_concerns_what_matches_every_part_it_names() {
        let request = question(system_user(1));
        let party = |text| Some(Party::Organization(organization(text)));
        let resource = |text| Some(ResourceId::parse(text).unwrap());
        let cases = [
            (Purge::default(), true),
            (of_user(1), true),
            (of_user(2), false),
            (Purge { party: party("312714051"), ..Purge::default() }, true),
            (Purge { party: party("310329495"), ..Purge::default() }, false),
            (Purge { resource: resource("ske-mva-melding"), ..Purge::default() }, true),
            (Purge { resource: resource("ske-mva"), ..Purge::default() }, false),
            (Purge { party: party("312714051"), ..of_user(1) }, true),
            (Purge { party: party("310329495"), ..of_user(1) }, false),
            (Purge { resource: resource("ske-mva"), ..of_user(1) }, false),
        ];
        for (purge, concerns) in cases {
            assert_eq!(purge.concerns(&request), concerns, "{purge:?}");
        }
        // A person or an organization is no system user.
        let other = question(PdpSubject::Organization(organization("312714051")));
        assert!(!of_user(1).concerns(&other) && Purge::default().concerns(&other));
    }

    #[test]
    fn what_is_older_than_the_remembered_purges_does_not_count() {
        let log = PurgeLog::default();
        let request = question(system_user(1));
        let (first, kept) = (log.present(), Stamp::from(log.present()));
        for _ in 0..MAX_REMEMBERED {
            log.add(&of_user(2));
        }
        assert!(log.spares(first, &request) && log.spares_stamped(&kept, &request));
        log.add(&of_user(2));
        assert!(!log.spares(first, &request), "one purge more than is remembered");
        assert!(log.spares_stamped(&kept, &request), "stamped anew at the last look");
        log.add(&of_user(1));
        assert!(!log.spares_stamped(&kept, &request));
        assert!(log.spares(log.present(), &request));
    }

    #[test]
    fn a_purge_that_is_added_counts_however_many_are_added_at_once() {
        let log = PurgeLog::default();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let log = &log;
                scope.spawn(move || {
                    for _ in 0..100 {
                        let before = log.present();
                        log.add(&of_user(number));
                        assert!(!log.spares(before, &question(system_user(number))));
                    }
                });
            }
        });
        assert_eq!(log.present(), Generation(800));
    }
}
