//! Keyed fingerprints of tokens: what those that have been seen are looked up by. One costs a tenth of the token's
//! SHA-256 where the processor has no instructions for that.
//!
//! **Why a fingerprint will do.** It is what AES-GCM authenticates additional data with (GMAC, NIST SP 800-38D),
//! under a key that is made here, never leaves and dies with the process. Whoever does not know the key and never
//! sees a fingerprint makes a text that has the one of another with a chance of at most its blocks of 16 bytes to
//! 2^128: 2^-118 for the longest token, at each try. One nonce for all is right for that very reason: it
//! protects the key from those who see tags, and nobody does. Places in tables are chosen by a further secret
//! (`RandomState`), since which tokens share one can be told from time.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Equal for equal tokens, under the key of one [`Fingerprints`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(pub(super) [u8; 16]);

/// Makes fingerprints, under a key of its own.
pub(super) struct Fingerprints(Option<LessSafeKey>);

impl Fingerprints {
    /// With a new key. Without chance for one there are no fingerprints, and no token is remembered.
    pub(super) fn new() -> Self {
        let mut bytes = [0; 16];
        let chance = getrandom::fill(&mut bytes).ok();
        let key = chance.and_then(|()| UnboundKey::new(&AES_128_GCM, &bytes).ok());
        Self(key.map(LessSafeKey::new))
    }

    /// The fingerprint of a token.
    pub(super) fn of(&self, token: &[u8]) -> Option<Fingerprint> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = self.0.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []);
        tag.ok()?.as_ref().try_into().ok().map(Fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_differ_anywhere_differ_in_their_fingerprints() {
        let fingerprints = Fingerprints::new();
        let of = |token: &[u8]| fingerprints.of(token).unwrap();
        for length in (0..=16 * 1024).step_by(509) {
            let token = vec![b'a'; length];
            assert!(of(&token) == of(&token));
            assert!(of(&token) != of(&[&token[..], b"a"].concat()));
            for place in [0, length / 2, length.saturating_sub(1)] {
                let mut other = token.clone();
                let Some(byte) = other.get_mut(place) else { continue };
                *byte ^= 1;
                assert!(of(&token) != of(&other));
            }
        }
    }

    #[test]
    fn the_key_is_of_this_maker_alone() {
        let [one, other] = [Fingerprints::new(), Fingerprints::new()];
        assert!(one.of(b"token") != other.of(b"token"));
    }
}
