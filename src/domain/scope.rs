//! OAuth scopes: exact words, never substrings (RFC 6749 §3.3).

use std::fmt;
use std::sync::Arc;

/// One scope word: visible ASCII without `"` and `\`, 1 to 255 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

/// The text is not one scope word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is one word of visible ASCII without `\"` and `\\`")]
pub struct InvalidScope;

impl Scope {
    /// Reads one word.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        if (1..=255).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidScope)
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The scopes of a verified token, as the `scope` claim holds them. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<str>);

impl Scopes {
    /// Keeps the claim; words are split at single spaces when asked for.
    #[must_use]
    pub fn from_claim(claim: &str) -> Self {
        Self(Arc::from(claim))
    }

    /// Whether exactly this word is among them.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.words().any(|word| word == scope.as_str())
    }

    /// How long the claim is, for bounding memory.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.0.len()
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

/// Which scopes a rule demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRequirement {
    /// Every one of them.
    All(Box<[Scope]>),
    /// At least one of them.
    Any(Box<[Scope]>),
    /// `scopes: none`: the loud opt-out.
    Waived,
}

impl ScopeRequirement {
    /// Whether the token's scopes are enough.
    #[must_use]
    pub fn is_met_by(&self, held: &Scopes) -> bool {
        match self {
            Self::All(required) => required.iter().all(|scope| held.contains(scope)),
            Self::Any(required) => required.iter().any(|scope| held.contains(scope)),
            Self::Waived => true,
        }
    }

    /// The scopes named, in the rule's order.
    #[must_use]
    pub fn named(&self) -> &[Scope] {
        match self {
            Self::All(scopes) | Self::Any(scopes) => scopes,
            Self::Waived => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_scope_is_a_whole_word_and_never_a_part_of_one() {
        let held = Scopes::from_claim("x:readall nav:aareg/v1/x.read");
        assert!(held.contains(&scope("nav:aareg/v1/x.read")));
        for missing in ["x:read", "X:readall", "nav:aareg", "read"] {
            assert!(!held.contains(&scope(missing)), "{missing}");
        }
    }

    #[test]
    fn all_any_and_waived_differ() {
        let held = Scopes::from_claim("a");
        let both: Box<[Scope]> = [scope("a"), scope("b")].into();
        assert!(!ScopeRequirement::All(both.clone()).is_met_by(&held));
        assert!(ScopeRequirement::Any(both).is_met_by(&held));
        assert!(ScopeRequirement::Waived.is_met_by(&Scopes::default()));
    }

    #[test]
    fn words_with_spaces_quotes_or_other_bytes_are_not_scopes() {
        for text in ["", "a b", "a\"", "a\\", "æ", "a\t"] {
            assert_eq!(Scope::parse(text), Err(InvalidScope), "{text}");
        }
    }
}
