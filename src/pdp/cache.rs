//! Decisions that are believed for a while. What is held is the raw answer of the PDP; how long it is
//! believed is for each reader to say, so rules with different lifetimes share an entry.
//!
//! moka bounds memory and nothing else: whether an entry still counts is judged at every read, by our own
//! monotonic clock and by the generation in which it was asked for.
//!
//! Invariant: only `Permit`, `Deny` and `NotApplicable` are held, under the whole question.

use crate::domain::{AccessRequest, Decision};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// Counts purges. An answer belongs to the generation in which it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// An answer as held.
#[derive(Debug)]
pub(super) struct Held {
    decision: Decision,
    asked: Instant,
    generation: Generation,
    origin: Origin,
    renewal: AtomicBool,
}

/// Who had an answer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A request that waited for it.
    Request,
    /// A background task, ahead of expiry.
    Renewal,
}

/// A held answer that counts for its reader.
#[derive(Debug)]
pub(super) struct Hit {
    held: Arc<Held>,
    pub(super) age: Duration,
    near_end: bool,
}

impl Hit {
    pub(super) fn decision(&self) -> &Decision {
        &self.held.decision
    }

    pub(super) fn origin(&self) -> Origin {
        self.held.origin
    }

    /// Whether this reader is the one to have the answer renewed: it is near its end, and nobody has
    /// claimed the renewal of this entry before. Once per entry, so that neither a hot key nor a broken
    /// PDP is asked more than once ahead of each expiry.
    pub(super) fn claims_renewal(&self) -> bool {
        self.near_end && !self.held.renewal.swap(true, Ordering::Relaxed)
    }
}

/// A caller fills at most one shard, and which one it cannot know.
const SHARDS: usize = 16;
/// Longer than anybody should believe a permit, and within what moka can count.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// Text that an entry may hold within the weight of one; a longer one weighs more.
const BYTES_OF_ONE_ENTRY: usize = 512;

#[derive(Debug)]
pub(super) struct Cache {
    shards: [Shard; SHARDS],
    /// Keyed with secrets of this process: nobody outside can aim at a shard.
    hasher: RandomState,
    generation: AtomicU64,
    longest_lifetime: Duration,
}

#[derive(Debug)]
struct Shard {
    held: moka::sync::Cache<AccessRequest, Arc<Held>>,
    hits: AtomicU64,
}

impl Cache {
    pub(super) fn new(settings: &CacheSettings) -> Self {
        let longest_lifetime = settings.longest_lifetime.min(MAX_LIFETIME);
        let capacity = settings.max_entries.div_ceil(SHARDS as u64);
        let shards = std::array::from_fn(|_| Shard {
            held: moka::sync::Cache::builder()
                .max_capacity(capacity)
                .weigher(|request, _| weight(request))
                .time_to_live(longest_lifetime)
                .build(),
            hits: AtomicU64::new(0),
        });
        let hasher = RandomState::new();
        Self { shards, hasher, generation: AtomicU64::new(0), longest_lifetime }
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
        if held.generation != self.generation() {
            return None;
        }
        let lifetime = lifetimes.of(&held.decision).min(self.longest_lifetime);
        let age = now.saturating_duration_since(held.asked);
        if age >= lifetime {
            return None;
        }
        shard.hits.fetch_add(1, Ordering::Relaxed);
        // Four fifths: late enough to save most renewals, early enough for a slow answer.
        let near_end = age.saturating_mul(5) > lifetime.saturating_mul(4);
        Some(Hit { held, age, near_end })
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
        match decision {
            Decision::Indeterminate(_) => return,
            Decision::Permit(_) | Decision::Deny | Decision::NotApplicable => {}
        }
        // A purge between this look and the insert does no harm: the reader looks again.
        if generation != self.generation() {
            return;
        }
        let renewal = AtomicBool::new(false);
        let held = Held { decision: decision.clone(), asked, generation, origin, renewal };
        self.shard(request).held.insert(request.clone(), Arc::new(held));
    }

    /// The present generation. Taken *before* the PDP is asked.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Forgets everything, and everything that is being asked for at this moment.
    pub(super) fn purge_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for shard in &self.shards {
            shard.held.invalidate_all();
        }
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

/// What the caller can make long, in units of an ordinary entry.
fn weight(request: &AccessRequest) -> u32 {
    let instance = request.instance.as_ref().map_or(0, |instance| instance.value().len());
    let attributes: usize = request.attributes.iter().map(|it| it.value.len() + 32).sum();
    u32::try_from(1 + (instance + attributes) / BYTES_OF_ONE_ENTRY).unwrap_or(u32::MAX)
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
        let generation = cache.generation();
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
        cache.store(&request, &decision, now, cache.generation(), Origin::Request);
        assert!(cache.read(&request, held(60, 60), now).is_none());
    }

    #[test]
    fn an_answer_of_an_earlier_generation_does_not_count_even_if_it_got_in() {
        let cache = Cache::new(&CacheSettings::default());
        let now = SystemClock.monotonic();
        let request = question(system_user(1));
        let permit = Decision::Permit(Obligations::default());
        let before = cache.generation();
        cache.purge_all();
        cache.store(&request, &permit, now, before, Origin::Request);
        let late = Held {
            decision: permit.clone(),
            asked: now,
            generation: before,
            origin: Origin::Request,
            renewal: AtomicBool::new(false),
        };
        cache.shard(&request).held.insert(request.clone(), Arc::new(late));
        assert!(cache.read(&request, held(60, 60), now).is_none());
        cache.store(&request, &permit, now, cache.generation(), Origin::Request);
        assert!(cache.read(&request, held(60, 60), now).is_some());
    }
}
