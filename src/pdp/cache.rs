//! Decisions that are believed for a while. What is held is the raw answer of the PDP; how long it is
//! believed is for each reader to say, so rules with different lifetimes share an entry.
//!
//! moka bounds memory and nothing else: whether an entry still counts is judged at every read, by our own
//! monotonic clock and by the purges since it was asked for.
//!
//! Invariant: only `Permit`, `Deny` and `NotApplicable` are held, under the whole question.

use super::held::{Held, Hit, KnownObligations, Origin};
use super::purge::{Generation, Purge, PurgeLog};
use crate::domain::{AccessRequest, Decision, Obligation};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long answers are held, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// How long a permit is believed where the rule says nothing.
    pub permit_ttl: Duration,
    /// How long a `Deny` or `NotApplicable` is believed where the rule says nothing. Short, because a
    /// customer who has just delegated a right tries again at once.
    pub deny_ttl: Duration,
    /// The longest lifetime of any rule. Answers leave memory after it; a reader that states more gets
    /// this.
    pub longest_lifetime: Duration,
    /// How many answers are held. Bounds memory against callers who ask ever new questions.
    pub max_entries: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        let permit_ttl = Duration::from_mins(1);
        Self {
            permit_ttl,
            deny_ttl: Duration::from_secs(10),
            longest_lifetime: permit_ttl,
            max_entries: 100_000,
        }
    }
}

impl CacheSettings {
    /// The lifetimes for rules that state none.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes::Held { permit: self.permit_ttl, deny: self.deny_ttl }
    }
}

/// How long the reading rule believes an answer, counted from before the PDP was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetimes {
    /// Every request is asked anew; nothing is read, stored or shared.
    Off,
    /// An answer counts while it is younger than this.
    Held {
        /// For a permit.
        permit: Duration,
        /// For a `Deny` or `NotApplicable`.
        deny: Duration,
    },
}

impl Lifetimes {
    fn of(self, decision: &Decision) -> Duration {
        match (self, decision) {
            (Self::Held { permit, .. }, Decision::Permit(_)) => permit,
            (Self::Held { deny, .. }, Decision::Deny | Decision::NotApplicable) => deny,
            (Self::Held { .. }, Decision::Indeterminate(_)) | (Self::Off, _) => Duration::ZERO,
        }
    }

    /// Whether an answer that somebody else asked for may be this reader's too. A rule that believes
    /// permits (or refusals) for no time at all wants each of them asked for by itself.
    pub(super) fn shares(self, decision: &Decision) -> bool {
        match decision {
            Decision::Indeterminate(_) => true,
            Decision::Permit(_) | Decision::Deny | Decision::NotApplicable => {
                !self.of(decision).is_zero()
            }
        }
    }

    /// Whether nothing held could count.
    pub(super) fn is_off(self) -> bool {
        match self {
            Self::Off => true,
            Self::Held { permit, deny } => permit.is_zero() && deny.is_zero(),
        }
    }
}

/// A caller fills at most one shard, and which one it cannot know.
const SHARDS: usize = 16;
/// Longer than anybody should believe a permit, and within what moka can count.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// The golden ratio of 256: however many answers come at one moment, their places are far from each other.
const SPREAD_STEP: u8 = 159;
/// Text that an entry may hold within the weight of one; a longer one weighs more.
const BYTES_OF_ONE_ENTRY: usize = 512;

#[derive(Debug)]
pub(super) struct Cache {
    shards: [Shard; SHARDS],
    /// Keyed with secrets of this process: nobody outside can aim at a shard.
    hasher: RandomState,
    purges: Arc<PurgeLog>,
    obligations: KnownObligations,
    /// Where near its end the next answer is due to be renewed.
    spread: AtomicU8,
    max_entries: u64,
    longest_lifetime: Duration,
}

#[derive(Debug)]
struct Shard {
    held: moka::sync::Cache<AccessRequest, Arc<Held>>,
    /// Held while an answer is put in, or taken out by a purge, so that a purge never takes out what came
    /// after it. Readers do without.
    change: Mutex<()>,
    hits: Arc<AtomicU64>,
}

impl Cache {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        Self::with(settings, Arc::default(), |_| Arc::default())
    }

    /// An empty cache that counts on where another stands.
    pub(super) fn fresh_after(previous: &Self, settings: &CacheSettings) -> Self {
        Self::with(settings, Arc::default(), |shard| previous.hits_of(shard))
    }

    /// A cache of another size that holds what another holds, as far as there is room. Purges of either
    /// count in both. It goes through all that is held: a second for a million answers.
    pub(super) fn resized(previous: &Self, settings: &CacheSettings) -> Self {
        let purges = Arc::clone(&previous.purges);
        let cache = Self::with(settings, purges, |shard| previous.hits_of(shard));
        for (request, held) in previous.shards.iter().flat_map(|shard| &shard.held) {
            cache.shard(&request).held.insert(AccessRequest::clone(&request), held);
        }
        cache
    }

    fn with(
        settings: &CacheSettings,
        purges: Arc<PurgeLog>,
        hits: impl Fn(usize) -> Arc<AtomicU64>,
    ) -> Self {
        let longest_lifetime = settings.longest_lifetime.min(MAX_LIFETIME);
        let max_entries = settings.max_entries;
        let shards = std::array::from_fn(|index| Shard {
            held: moka::sync::Cache::builder()
                .max_capacity(max_entries.div_ceil(SHARDS as u64))
                .weigher(|request, held: &Arc<Held>| weight(request, held.decision()))
                // Frees memory only, of what nobody asks for any more. By the time since it was put in it would cost
                // a list more, and 32 bytes an entry.
                .time_to_idle(longest_lifetime)
                .build(),
            change: Mutex::default(),
            hits: hits(index),
        });
        let hasher = RandomState::new();
        let obligations = KnownObligations::default();
        let spread = AtomicU8::new(0);
        Self { shards, hasher, purges, obligations, spread, max_entries, longest_lifetime }
    }

    /// Whether a cache of these settings would be the same but for what it holds.
    pub(super) fn fits(&self, settings: &CacheSettings) -> bool {
        let longest_lifetime = settings.longest_lifetime.min(MAX_LIFETIME);
        self.max_entries == settings.max_entries && self.longest_lifetime == longest_lifetime
    }

    /// The answer, if one is held that counts for this reader now.
    pub(super) fn read(
        &self,
        request: &AccessRequest,
        lifetimes: Lifetimes,
        now: Instant,
    ) -> Option<Hit> {
        let shard = self.shard(request);
        let held = shard.held.get(request)?;
        let lifetime = lifetimes.of(held.decision()).min(self.longest_lifetime);
        let age = held.age(now);
        if age >= lifetime || !self.purges.spares_stamped(held.stamp(), request) {
            return None;
        }
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(Hit::new(held, age, lifetime))
    }

    /// Holds an answer asked for at `asked`, in `generation`, unless it is none to be held.
    pub(super) fn store(
        &self,
        request: &AccessRequest,
        decision: &Decision,
        asked: Instant,
        generation: Generation,
        origin: Origin,
    ) {
        let decision = match decision {
            Decision::Indeterminate(_) => return,
            Decision::Permit(obligations) => Decision::Permit(self.obligations.shared(obligations)),
            Decision::Deny => Decision::Deny,
            Decision::NotApplicable => Decision::NotApplicable,
        };
        let spread = self.spread.fetch_add(SPREAD_STEP, Ordering::Relaxed);
        let held = Held::new(decision, asked, generation, origin, spread);
        let shard = self.shard(request);
        let _change = shard.changing();
        // A purge between this look and the insert does no harm: the reader looks again.
        if self.purges.spares(generation, request) {
            shard.held.insert(request.clone(), Arc::new(held));
        }
    }

    /// The purges so far.
    pub(super) fn purges(&self) -> &PurgeLog {
        &self.purges
    }

    /// Forgets what the purge concerns, what is being asked for at this moment included, and gives how
    /// many held answers that were. Nothing of it counts from the first moment on; then all that is held is
    /// gone through to free its memory.
    pub(super) fn purge(&self, purge: &Purge) -> u64 {
        self.purges.add(purge);
        let mut forgotten: u64 = 0;
        for shard in &self.shards {
            for (request, held) in &shard.held {
                // Stamps what stays, so that many purges in a row do not make it look too old.
                if self.purges.spares_stamped(held.stamp(), &request) {
                    continue;
                }
                let removed = shard.remove(&request, &held);
                forgotten += u64::from(removed && purge.concerns(&request));
            }
        }
        forgotten
    }

    pub(super) fn entries(&self) -> u64 {
        // The count is kept lazily; it is asked for by a scrape, not by a request.
        let count = |shard: &Shard| {
            shard.held.run_pending_tasks();
            shard.held.entry_count()
        };
        self.shards.iter().map(count).sum()
    }

    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.hits.load(Ordering::Relaxed)).sum()
    }

    fn hits_of(&self, shard: usize) -> Arc<AtomicU64> {
        self.shards.get(shard).map(|shard| Arc::clone(&shard.hits)).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below its divisor")]
    fn shard(&self, request: &AccessRequest) -> &Shard {
        let hash = self.hasher.hash_one(request.subject);
        &self.shards[usize::from(hash.to_le_bytes()[0]) % SHARDS]
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        for shard in &self.shards {
            shard.held.run_pending_tasks();
        }
    }
}

impl Shard {
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out this very answer; one that has come in its place stays.
    fn remove(&self, request: &AccessRequest, held: &Arc<Held>) -> bool {
        let _change = self.changing();
        let present = self.held.get(request).is_some_and(|present| Arc::ptr_eq(&present, held));
        present && self.held.remove(request).is_some()
    }
}

/// What the caller, or the PDP, can make long, in units of an ordinary entry.
fn weight(request: &AccessRequest, decision: &Decision) -> u32 {
    let instance = request.instance.as_ref().map_or(0, |instance| instance.value().len());
    let attributes: usize = request.attributes.iter().map(|it| it.value.len() + 32).sum();
    let obligations: usize = match decision {
        Decision::Permit(list) => list.as_slice().iter().map(Obligation::text_bytes).sum(),
        Decision::Deny | Decision::NotApplicable | Decision::Indeterminate(_) => 0,
    };
    u32::try_from(1 + (instance + attributes + obligations) / BYTES_OF_ONE_ENTRY)
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock as _, Indeterminate, Obligations, SystemClock};
    use crate::pdp::samples::{question, system_user};

    fn held(permit: u64, deny: u64) -> Lifetimes {
        let [permit, deny] = [permit, deny].map(Duration::from_secs);
        Lifetimes::Held { permit, deny }
    }

    #[test]
    fn one_caller_cannot_push_out_the_answers_of_others() {
        let cache = Cache::new(&CacheSettings { max_entries: 1600, ..CacheSettings::default() });
        let now = SystemClock.monotonic();
        let generation = cache.purges().present();
        let store = |request: &AccessRequest| {
            cache.store(request, &Decision::Deny, now, generation, Origin::Request);
        };
        let others: Vec<_> = (0..64).map(|number| question(system_user(number))).collect();
        others.iter().for_each(store);
        cache.settle();
        for number in 0..20_000 {
            let resource = crate::domain::ResourceId::parse(&format!("flood-{number}")).unwrap();
            store(&AccessRequest { resource, ..question(system_user(1000)) });
        }
        cache.settle();
        assert!(cache.entries() <= 200, "one caller holds {} entries", cache.entries());
        let kept = others
            .iter()
            .filter(|request| cache.read(request, held(60, 60), now).is_some())
            .count();
        // At most the others of one shard of sixteen; 20 of 64 in one shard would be a very odd hash.
        assert!(kept >= 44, "{kept} of 64 are left");
    }

    #[test]
    fn an_indeterminate_answer_is_never_held() {
        let cache = Cache::new(&CacheSettings::default());
        let now = SystemClock.monotonic();
        let request = question(system_user(1));
        let decision = Decision::Indeterminate(Indeterminate::Unstated);
        cache.store(&request, &decision, now, cache.purges().present(), Origin::Request);
        assert!(cache.read(&request, held(60, 60), now).is_none());
    }

    fn late(decision: &Decision, asked: Instant, generation: Generation) -> Arc<Held> {
        Arc::new(Held::new(decision.clone(), asked, generation, Origin::Request, 0))
    }

    #[test]
    fn an_answer_from_before_a_purge_does_not_count_even_if_it_got_in() {
        let cache = Cache::new(&CacheSettings::default());
        let now = SystemClock.monotonic();
        let request = question(system_user(1));
        let permit = Decision::Permit(Obligations::default());
        let before = cache.purges().present();
        cache.purge(&Purge::default());
        cache.store(&request, &permit, now, before, Origin::Request);
        assert_eq!(cache.entries(), 0);
        cache.shard(&request).held.insert(request.clone(), late(&permit, now, before));
        assert!(cache.read(&request, held(60, 60), now).is_none());
        cache.store(&request, &permit, now, cache.purges().present(), Origin::Request);
        assert!(cache.read(&request, held(60, 60), now).is_some());
    }

    #[test]
    fn a_purge_frees_what_it_concerns_and_nothing_that_came_after_it() {
        let cache = Cache::new(&CacheSettings::default());
        let now = SystemClock.monotonic();
        let request = question(system_user(1));
        let old = late(&Decision::Deny, now, cache.purges().present());
        let shard = cache.shard(&request);
        shard.held.insert(request.clone(), Arc::clone(&old));
        cache.purges().add(&Purge::default());
        cache.store(&request, &Decision::Deny, now, cache.purges().present(), Origin::Request);
        // As a purge does that came upon the old one just before.
        assert!(!shard.remove(&request, &old));
        assert!(cache.read(&request, held(60, 60), now).is_some());
        assert_eq!((cache.purge(&Purge::default()), cache.entries()), (1, 0));
        assert_eq!(cache.purge(&Purge::default()), 0);
    }

    #[test]
    fn renewals_of_a_burst_are_spread_over_a_fifth_of_the_lifetime() {
        let cache = Cache::new(&CacheSettings::default());
        let asked = SystemClock.monotonic();
        let requests: Vec<_> = (0..256).map(|number| question(system_user(number))).collect();
        for request in &requests {
            let generation = cache.purges().present();
            cache.store(request, &Decision::Deny, asked, generation, Origin::Request);
        }
        let first_claim = |request: &AccessRequest| {
            (1..60).find(|second| {
                let hit = cache.read(request, held(60, 60), asked + Duration::from_secs(*second));
                hit.unwrap().claims_renewal()
            })
        };
        let mut claims = [0; 60];
        for request in &requests {
            claims[usize::try_from(first_claim(request).unwrap()).unwrap()] += 1;
        }
        // Seven tenths are 42 seconds, nine tenths 54; evenly spread they are 21 a second.
        assert_eq!(claims[43..=55].iter().sum::<i32>(), 256, "{claims:?}");
        assert!(claims.iter().all(|count| *count < 64), "{claims:?}");
    }
}
