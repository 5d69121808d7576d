//! What each limit may take of memory, where callers use it up. Not what the process has, nor what its
//! container grants: `server::self_check` compares.

use super::Compiled;

/// What one limit may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The setting that the limit is.
    pub setting: &'static str,
    /// Bytes, if everything it allows is there at once.
    pub bytes: u64,
}

/// An idle connection of HTTP/1.1, in the clear and over TLS; what one of HTTP/2 keeps beside; a request under
/// way with the reads of its body; a decision; a verified token. Measured (`docs/PERFORMANCE.md`), and rounded
/// up.
const CONNECTION: u64 = 5 * 1024;
const TLS_CONNECTION: u64 = 10 * 1024;
const HTTP2_CONNECTION: u64 = 40 * 1024;
const REQUEST: u64 = 45 * 1024;
const DECISION: u64 = 450;
const TOKEN: u64 = 600;

impl Compiled {
    /// What each limit may take by itself. They are not to be added up: the same memory serves requests, and
    /// what is remembered of them.
    #[must_use]
    pub fn claims(&self) -> [Claim; 6] {
        let limits = &self.server.limits;
        let connection = if self.server.tls.is_some() { TLS_CONNECTION } else { CONNECTION };
        let of =
            |setting, count: u64, each: u64| Claim { setting, bytes: count.saturating_mul(each) };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            of("server.limits.max_connections", count(limits.max_connections), connection),
            of(
                "server.limits.http2.max_connections",
                count(limits.http2.max_connections),
                HTTP2_CONNECTION,
            ),
            of(
                "server.limits.max_requests_in_flight",
                count(limits.max_requests_in_flight),
                REQUEST,
            ),
            of("server.limits.max_buffered_total", count(self.server.max_buffered_total), 1),
            of(
                "tokens.cache.max_entries",
                self.snapshot.tokens.settings().cache_max_entries,
                TOKEN,
            ),
            of("cache.max_entries", self.basis.cache.max_entries, DECISION),
        ]
    }
}
