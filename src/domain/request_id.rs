//! The id of a request: in the record, in the answer's `instance`, and at the API behind.

use super::ShortText;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// Keyed with secrets of this process: what it makes of a number, nobody outside can tell from chance.
static CHANCE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A UUID: the client's own if it sent exactly one well-formed `X-Request-Id`, else a new UUIDv7.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id whose order follows time, to the millisecond (UUIDv7, RFC 9562 §5.7). The system is not asked for
    /// chance: for each request that would cost more than all else that is done with the id.
    #[must_use]
    pub fn fresh() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [one, other] = [(number, 0), (number, 1)].map(|it| CHANCE.hash_one(it).to_le_bytes());
        let mut bytes = [0; 10];
        for (to, from) in bytes.iter_mut().zip(one.into_iter().chain(other)) {
            *to = from;
        }
        let (seconds, nanoseconds) = Timestamp::now(NoContext).to_unix();
        let milliseconds =
            seconds.saturating_mul(1000).saturating_add(u64::from(nanoseconds / 1_000_000));
        Self(Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid())
    }

    /// The client's id, if it is a UUID in the hyphenated form; anything else is ignored by the caller.
    #[must_use]
    pub fn from_client(text: &str) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil()).map(Self)
    }

    /// The bare UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The hyphenated form.
    #[must_use]
    pub fn text(self) -> ShortText<36> {
        ShortText::hyphenated(self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn new_ids_differ_and_follow_time() {
        let ids: HashSet<_> = (0..10_000).map(|_| RequestId::fresh()).collect();
        assert_eq!(ids.len(), 10_000);
        let before = RequestId::fresh().uuid();
        assert_eq!((before.get_version_num(), before.get_variant()), (7, uuid::Variant::RFC4122));
        let stamp = |id: Uuid| id.get_timestamp().unwrap().to_unix().0;
        let now = Timestamp::now(NoContext).to_unix().0;
        assert!(now - stamp(before) <= 1, "{before}");
    }

    #[test]
    fn only_a_hyphenated_uuid_is_taken_from_a_client() {
        let text = "018f3b1e-7c5a-7b3e-9f00-0123456789ab";
        assert_eq!(RequestId::from_client(text).unwrap().to_string(), text);
        for text in [
            "",
            "abc",
            "018f3b1e7c5a7b3e9f000123456789ab",
            "{018f3b1e-7c5a-7b3e-9f00-0123456789ab}",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(RequestId::from_client(text), None, "{text}");
        }
    }
}
