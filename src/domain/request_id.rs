//! The id of a request: in the record, in the answer's `instance`, and at the API behind.

use std::fmt;
use uuid::Uuid;

/// A UUID: the client's own if it sent exactly one well-formed `X-Request-Id`, else a new UUIDv7.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id whose order follows time.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
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
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
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
