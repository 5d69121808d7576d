//! Identifiers of resources in Altinn's Resource Registry.

use std::fmt;
use std::sync::Arc;

/// A resource id: `[A-Za-z0-9_.:-]`, 4 to 200 characters, case kept.
///
/// Wider than what the registry gives to new resources (`[a-z0-9_-]{4,}`) because migrated ones look
/// otherwise; `check` warns about those. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Arc<str>);

/// The text is not a resource id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource id has at least four of the characters `A-Z a-z 0-9 _ . : -`")]
pub struct InvalidResourceId;

impl ResourceId {
    /// The prefix of the URN form, accepted and dropped when parsing.
    pub const URN_PREFIX: &'static str = "urn:altinn:resource:";
    const MIN_CHARACTERS: usize = 4;
    /// Bounds what a request can make a cache key or a record hold.
    const MAX_CHARACTERS: usize = 200;

    /// Reads a resource id, bare or as `urn:altinn:resource:<id>`.
    pub fn parse(text: &str) -> Result<Self, InvalidResourceId> {
        let id = text.strip_prefix(Self::URN_PREFIX).unwrap_or(text);
        let legal =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
        if (Self::MIN_CHARACTERS..=Self::MAX_CHARACTERS).contains(&id.len())
            && id.bytes().all(legal)
        {
            Ok(Self(Arc::from(id)))
        } else {
            Err(InvalidResourceId)
        }
    }

    /// The bare id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the registry would give this id to a new resource.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.0.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        })
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_written_forms_are_one_resource() {
        let bare = ResourceId::parse("ske-mva-melding").unwrap();
        assert_eq!(bare, ResourceId::parse("urn:altinn:resource:ske-mva-melding").unwrap());
        assert_eq!(bare.as_str(), "ske-mva-melding");
    }

    #[test]
    fn case_is_kept_and_noticed() {
        let id = ResourceId::parse("app_skd_a1-Skjema:1.0").unwrap();
        assert_eq!(id.to_string(), "app_skd_a1-Skjema:1.0");
        assert!(!id.is_modern());
        assert!(ResourceId::parse("abcd").unwrap().is_modern());
    }

    #[test]
    fn too_short_too_long_and_odd_characters_are_refused() {
        let long = "a".repeat(201);
        for text in
            ["", "abc", "urn:altinn:resource:", "ab cd", "abcd/", "æøåæ", "abcd\n", long.as_str()]
        {
            assert_eq!(ResourceId::parse(text), Err(InvalidResourceId), "{text}");
        }
    }
}
