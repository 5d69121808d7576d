//! Tokens that are used again and again, found by a keyed fingerprint: a tenth of what their SHA-256 costs where
//! the processor has no instructions for that.
//!
//! **Why a fingerprint will do.** It is what AES-GCM authenticates additional data with (GMAC, NIST SP 800-38D),
//! under a key that is made here, never leaves and dies with the process. Whoever does not know the key and never
//! sees a fingerprint makes a text that has the one of another with a chance of at most its blocks of 16 bytes to
//! 2^128: 2^-118 for the longest token, at each try. One nonce for all is right for that very reason: it
//! protects the key from those who see tags, and nobody does.

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Places. Bounds how many tokens in use at one time are found here, and with that memory: what is known of a token
/// that is never sent again keeps its place until another wants it. Others are found by their hash.
const PLACES: usize = 256;

/// What is known of some tokens: one at each place. Readers never wait.
pub(super) struct RecentTokens<T> {
    key: Option<LessSafeKey>,
    /// Chooses places by a secret of its own: which tokens share one can be told from time.
    chooser: RandomState,
    places: Box<[ArcSwapOption<Recent<T>>]>,
}

struct Recent<T> {
    fingerprint: Fingerprint,
    known: T,
    /// Whether it was asked for since another token wanted its place.
    used: AtomicBool,
}

/// Equal for equal tokens, under the key of one process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 16]);

impl<T> RecentTokens<T> {
    /// None yet. Without chance for a key there will never be any.
    pub(super) fn new() -> Self {
        let mut bytes = [0; 16];
        let chance = getrandom::fill(&mut bytes).ok();
        let key = chance.and_then(|()| UnboundKey::new(&AES_128_GCM, &bytes).ok());
        let places = (0..PLACES).map(|_| ArcSwapOption::empty()).collect();
        Self { key: key.map(LessSafeKey::new), chooser: RandomState::new(), places }
    }

    /// The fingerprint of a token.
    pub(super) fn fingerprint(&self, token: &[u8]) -> Option<Fingerprint> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = self.key.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []);
        tag.ok()?.as_ref().try_into().ok().map(Fingerprint)
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
    fn a_token_is_found_by_its_own_fingerprint_and_by_no_other() {
        for length in (0..=16 * 1024).step_by(509) {
            let tokens = RecentTokens::new();
            let of = |token: &[u8]| tokens.fingerprint(token).unwrap();
            let find = |token: &[u8]| tokens.find(of(token), |known| *known);
            let token = vec![b'a'; length];
            assert_eq!(find(&token), None);
            tokens.keep(of(&token), length);
            assert_eq!(find(&token), Some(length));
            assert_eq!(find(&[&token[..], b"a"].concat()), None);
            for place in [0, length / 2, length.saturating_sub(1)] {
                let mut other = token.clone();
                let Some(byte) = other.get_mut(place) else { continue };
                *byte ^= 1;
                assert_eq!(find(&other), None);
            }
        }
    }

    #[test]
    fn the_key_is_of_this_table_alone() {
        let [one, other] = [RecentTokens::<()>::new(), RecentTokens::new()];
        assert!(one.fingerprint(b"token") != other.fingerprint(b"token"));
        assert!(one.fingerprint(b"token") == one.fingerprint(b"token"));
    }

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
