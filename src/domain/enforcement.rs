//! Whether a refusal takes effect.

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// The request is answered with it.
    #[default]
    Enforce,
    /// The request is forwarded all the same, and what would have been refused is recorded.
    Shadow,
}

impl Enforcement {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Shadow];

    /// The word of `mode` in configuration, rules, records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}
