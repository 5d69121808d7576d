//! Authentication levels, 0 (none) to 4 (highest), as Altinn's obligations count them.

use std::fmt;

/// How strongly a caller is authenticated, or must be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthenticationLevel(u8);

/// The text or number is not a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an authentication level is a number from 0 to 4")]
pub struct InvalidLevel;

impl AuthenticationLevel {
    /// Nothing proven.
    pub const NONE: Self = Self(0);
    /// ID-porten substantial; also what Altinn's own services grant system users.
    pub const SUBSTANTIAL: Self = Self(3);
    /// ID-porten high.
    pub const HIGH: Self = Self(4);

    /// A level from 0 to 4.
    pub fn new(level: u8) -> Result<Self, InvalidLevel> {
        if level <= 4 { Ok(Self(level)) } else { Err(InvalidLevel) }
    }

    /// Reads one digit, as an obligation's value is written.
    pub fn parse(text: &str) -> Result<Self, InvalidLevel> {
        match text.as_bytes() {
            [digit @ b'0'..=b'4'] => Ok(Self(digit - b'0')),
            _ => Err(InvalidLevel),
        }
    }

    /// The level as a number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for AuthenticationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AuthenticationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
