//! Tokens that are used again and again: found by their fingerprint without a look at anything else, and before their
//! SHA-256 is made.

use super::fingerprint::Fingerprint;
use arc_swap::ArcSwapOption;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Places. Bounds how many tokens in use at one time are found here, and with that memory: what is known of a token
/// that is never sent again keeps its place until another wants it. Others are found by their hash.
const PLACES: usize = 256;

/// What is known of some tokens: one at each place. Readers never wait.
pub(super) struct RecentTokens<T> {
    chooser: RandomState,
    places: Box<[ArcSwapOption<Recent<T>>]>,
}

struct Recent<T> {
    fingerprint: Fingerprint,
    known: T,
    /// Whether it was asked for since another token wanted its place.
    used: AtomicBool,
}

impl<T> RecentTokens<T> {
    /// None yet.
    pub(super) fn new() -> Self {
        let places = (0..PLACES).map(|_| ArcSwapOption::empty()).collect();
        Self { chooser: RandomState::new(), places }
    }

    /// What is known of the token with this fingerprint, as `look` takes it.
    pub(super) fn find<R>(&self, wanted: Fingerprint, look: impl FnOnce(&T) -> R) -> Option<R> {
        let held = self.place(wanted)?.load();
        let held = held.as_ref().filter(|held| held.fingerprint == wanted)?;
        if !held.used.load(Ordering::Relaxed) {
            held.used.store(true, Ordering::Relaxed);
        }
        Some(look(&held.known))
    }

    /// Puts a token in its place, unless the one that stands there has been used since the last attempt.
    pub(super) fn keep(&self, fingerprint: Fingerprint, known: T) {
        let Some(place) = self.place(fingerprint) else { return };
        let stays = |held: &Arc<Recent<T>>| {
            held.fingerprint != fingerprint && held.used.swap(false, Ordering::Relaxed)
        };
        if !place.load().as_ref().is_some_and(stays) {
            place.store(Some(Arc::new(Recent { fingerprint, known, used: AtomicBool::new(true) })));
        }
    }

    /// Empties its place: what is known of the token no longer counts.
    pub(super) fn forget(&self, fingerprint: Fingerprint) {
        if let Some(place) = self.place(fingerprint) {
            place.store(None);
        }
    }

    /// Nobody outside can aim at a place.
    fn place(&self, fingerprint: Fingerprint) -> Option<&ArcSwapOption<Recent<T>>> {
        let [place, ..] = self.chooser.hash_one(fingerprint.0).to_le_bytes();
        self.places.get(usize::from(place) % PLACES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_keeps_its_place_and_what_is_not_gives_way() {
        let tokens = RecentTokens::new();
        let find = |at| tokens.find(at, |known| *known);
        let one = Fingerprint([0; 16]);
        let shares = |other: &Fingerprint| {
            std::ptr::eq(tokens.place(one).unwrap(), tokens.place(*other).unwrap())
        };
        let other = (1..=u64::MAX).map(|n| Fingerprint(u128::from(n).to_le_bytes())).find(shares);
        let other = other.unwrap();
        tokens.keep(one, 1);
        tokens.keep(other, 2);
        assert_eq!((find(one), find(other)), (Some(1), None));
        tokens.keep(other, 2);
        assert_eq!((find(one), find(other)), (Some(1), None));
        tokens.keep(other, 2);
        tokens.keep(other, 2);
        assert_eq!((find(one), find(other)), (None, Some(2)));
        tokens.forget(other);
        assert_eq!(find(other), None);
    }
}
