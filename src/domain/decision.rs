//! What a Policy Decision Point answers (XACML 3.0 §7.16–7.18).

use std::sync::Arc;
use std::time::Duration;

/// The four answers. Only `Permit` can lead to a request being forwarded, and only if every obligation
/// is understood and met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, if the obligations are met.
    Permit(Obligations),
    /// Refused by a rule, or by an access list.
    Deny,
    /// No rule and no delegation grants it: Altinn's ordinary "no".
    NotApplicable,
    /// The PDP could not decide: a fault of the question, the policy or the PDP, never a refusal.
    Indeterminate(Indeterminate),
}

/// Why the PDP could not decide, from the XACML status code (XACML 3.0 §B.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Indeterminate {
    /// `urn:oasis:names:tc:xacml:1.0:status:missing-attribute`
    MissingAttribute,
    /// `urn:oasis:names:tc:xacml:1.0:status:syntax-error`
    SyntaxError,
    /// `urn:oasis:names:tc:xacml:1.0:status:processing-error`
    ProcessingError,
    /// Any other code, or none.
    Unstated,
}

impl Indeterminate {
    /// A short word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingAttribute => "missing-attribute",
            Self::SyntaxError => "syntax-error",
            Self::ProcessingError => "processing-error",
            Self::Unstated => "unstated",
        }
    }
}

impl Decision {
    /// The XACML word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Permit(_) => "Permit",
            Self::Deny => "Deny",
            Self::NotApplicable => "NotApplicable",
            Self::Indeterminate(_) => "Indeterminate",
        }
    }
}

/// The obligations of a permit. Cheap to clone; empty costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Obligations(Option<Arc<[Obligation]>>);

impl Obligations {
    /// Keeps the list.
    #[must_use]
    pub fn new(obligations: Vec<Obligation>) -> Self {
        Self((!obligations.is_empty()).then(|| obligations.into()))
    }

    /// The obligations, in the answer's order.
    #[must_use]
    pub fn as_slice(&self) -> &[Obligation] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// One attribute assignment of an obligation. Altinn's obligation ids vary; the *category* of the
/// assignment says what is demanded. An obligation without assignments has an empty category.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Obligation {
    /// The obligation's own id, for people.
    pub id: Box<str>,
    /// What is demanded.
    pub category: Box<str>,
    /// How much of it.
    pub value: Box<str>,
}

impl Obligation {
    /// How much text it holds.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.id.len().saturating_add(self.category.len()).saturating_add(self.value.len())
    }
}

/// A decision and where it came from.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What was decided.
    pub decision: Decision,
    /// Where it came from.
    pub source: DecisionSource,
    /// How long ago the PDP was asked.
    pub age: Duration,
}

/// Where a decision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionSource {
    /// Asked of the PDP for this request; without a decision if it gave none.
    Pdp,
    /// Held in the cache.
    Cache,
    /// Asked by another request at the same moment, and shared.
    Coalesced,
    /// Held in the cache, where a background task had renewed it.
    Refreshed,
    /// Decided by the embedded PDP for this request.
    Embedded,
    /// Decided without a PDP: public and token-only rules, and every refusal before the question.
    Local,
}

impl DecisionSource {
    /// Every source.
    pub const ALL: [Self; 6] =
        [Self::Pdp, Self::Cache, Self::Coalesced, Self::Refreshed, Self::Embedded, Self::Local];

    /// The word used in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdp => "pdp",
            Self::Cache => "cache",
            Self::Coalesced => "coalesced",
            Self::Refreshed => "refreshed",
            Self::Embedded => "embedded",
            Self::Local => "local",
        }
    }
}
