//! A set of the places that one rule reads in a body, small enough to be copied at every level of a document.
//!
//! Members are positions in the list of places; a rule has at most
//! [`MAX_BODY_SOURCES`](super::RouteRule::MAX_BODY_SOURCES) of them, which fit.

/// Some of the places of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceSet(u64);

impl PlaceSet {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn all(count: usize) -> Self {
        (0..count).fold(Self::NONE, Self::with)
    }

    pub(super) fn with(self, index: usize) -> Self {
        let bit = u32::try_from(index).ok().and_then(|index| 1u64.checked_shl(index));
        Self(self.0 | bit.unwrap_or(0))
    }

    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(super) fn contains(self, index: usize) -> bool {
        self.with(index) == self
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn first(self) -> Option<usize> {
        (!self.is_empty()).then(|| usize::try_from(self.0.trailing_zeros()).unwrap_or(usize::MAX))
    }
}
