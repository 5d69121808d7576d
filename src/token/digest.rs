//! The name under which a verified token is remembered: its SHA-256. Callers send the same token again and
//! again, so the digests of those that were seen last are kept beside their texts.

use super::bearer::SentToken;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// SHA-256 of the whole token: a token with another signature is another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(token: SentToken<'_>) -> Self {
        let hash = digest(&SHA256, token.expose());
        let mut bytes = [0; 32];
        // SHA-256 gives 32 bytes, always.
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

/// Only what an issuer has signed is remembered, so that nobody can aim at a place in the table.
impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let first = self.0.first_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_le_bytes(first));
    }
}

/// Takes the number as it is: what is hashed here is a hash already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Places for texts.
const PLACES: usize = 512;
/// The longest text that is kept. Bounds memory: with [`PLACES`], 1 MiB.
const MAX_KEPT_BYTES: usize = 2048;
/// The end of the signature tells tokens apart as well as the whole does.
const END_BYTES: usize = 32;

/// Digests of tokens. What is kept changes no answer, only what it costs.
pub(super) struct Digests {
    /// Keyed with secrets of this process: nobody outside can aim at a place.
    hasher: RandomState,
    places: Box<[Mutex<Option<Kept>>]>,
}

struct Kept {
    text: Box<[u8]>,
    hash: TokenHash,
}

impl Digests {
    pub(super) fn new() -> Self {
        let places = (0..PLACES).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), places }
    }

    /// The digest of a token, and whether it was kept.
    pub(super) fn of(&self, token: SentToken<'_>) -> (TokenHash, bool) {
        let kept = self.place(token).and_then(|place| {
            let kept = place.as_ref()?;
            (*kept.text == *token.expose()).then_some(kept.hash)
        });
        kept.map_or_else(|| (TokenHash::of(token), false), |hash| (hash, true))
    }

    /// Keeps the digest of a token that is good; a stranger's would push it out.
    pub(super) fn keep(&self, token: SentToken<'_>, hash: TokenHash) {
        if token.expose().len() <= MAX_KEPT_BYTES
            && let Some(mut place) = self.place(token)
        {
            *place = Some(Kept { text: token.expose().into(), hash });
        }
    }

    fn place(&self, token: SentToken<'_>) -> Option<MutexGuard<'_, Option<Kept>>> {
        let text = token.expose();
        let end = text.last_chunk::<END_BYTES>()?;
        let number = usize::try_from(self.hasher.hash_one(end) % PLACES as u64).ok()?;
        Some(self.places.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digests").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::BearerToken;

    fn sent(text: &str) -> SentToken<'_> {
        BearerToken::parse(text).unwrap().into()
    }

    #[test]
    fn what_is_kept_is_the_digest_of_the_whole_text_and_of_no_other() {
        let digests = Digests::new();
        let end = "e".repeat(END_BYTES);
        let [one, other] = ["a", "b"].map(|begin| begin.repeat(1000) + &end);
        let (hash, kept) = digests.of(sent(&one));
        assert!(!kept);
        digests.keep(sent(&one), hash);
        assert_eq!(digests.of(sent(&one)), (hash, true));
        // The same end, and so the same place.
        let (different, kept) = digests.of(sent(&other));
        assert!(!kept && different != hash);
        digests.keep(sent(&other), different);
        assert_eq!(digests.of(sent(&other)), (different, true));
        assert_eq!(digests.of(sent(&one)), (hash, false));
        for text in ["short".to_owned(), "long".repeat(MAX_KEPT_BYTES)] {
            let (hash, _) = digests.of(sent(&text));
            digests.keep(sent(&text), hash);
            assert_eq!(digests.of(sent(&text)), (hash, false));
        }
    }
}
