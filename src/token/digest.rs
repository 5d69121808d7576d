//! What a remembered token is known again by: its SHA-256, never the token itself.

use super::bearer::SentToken;
use aws_lc_rs::digest::{SHA256, digest};

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
