//! What a caller wants to do with a resource.

use std::fmt;
use std::sync::Arc;

/// The value of `urn:oasis:names:tc:xacml:1.0:action:action-id`, such as `read` or `write`.
///
/// Free text in XACML; here 1 to 100 of `A-Z a-z 0-9 _ . : / -`, compared exactly. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action(Arc<str>);

/// The text is not an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an action has 1 to 100 of the characters `A-Z a-z 0-9 _ . : / -`")]
pub struct InvalidAction;

impl Action {
    /// Reads an action as written in a rule.
    pub fn parse(text: &str) -> Result<Self, InvalidAction> {
        let legal = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-')
        };
        if (1..=100).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidAction)
        }
    }

    /// The action as sent to the PDP.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
