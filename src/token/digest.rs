//! The name under which a verified token is remembered: its SHA-256, never the token itself.

use super::bearer::SentToken;
use aws_lc_rs::digest::{SHA256, digest};
use std::hash::{Hash, Hasher};

/// SHA-256 of the whole token: a token with another signature is another token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: SentToken<'_>) -> Self {
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
