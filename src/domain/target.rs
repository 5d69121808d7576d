//! The request target: a canonical path and a query, in origin-form only (RFC 9112 §3.2.1).

use super::{PathFault, Query, RequestPath};
use http::uri::PathAndQuery;

/// A target that every server reads alike.
#[derive(Clone, Debug)]
pub struct RequestTarget {
    // Invariant: its `raw` is in origin-form, as received, with a query behind the path if there is one.
    path: RequestPath,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// Absolute-form, authority-form or asterisk-form.
    #[error("the request target is not in origin-form")]
    NotOriginForm,
    /// A fragment, which no client sends (RFC 9110 §4.2.5).
    #[error("the request target has a fragment")]
    Fragment,
    /// Longer than the limit.
    #[error("the request target is longer than {0} bytes")]
    TooLong(usize),
    /// The path is ambiguous.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// The query has a broken percent-escape, a control byte or one outside ASCII.
    #[error("the query has a broken percent-escape or a byte that is not allowed there")]
    Query,
}

impl RequestTarget {
    /// Accepts an origin-form target of at most `max_bytes`.
    pub fn parse(raw: &str, max_bytes: usize) -> Result<Self, TargetFault> {
        if raw.len() > max_bytes {
            return Err(TargetFault::TooLong(max_bytes));
        }
        if !raw.starts_with('/') {
            return Err(TargetFault::NotOriginForm);
        }
        if raw.contains('#') {
            return Err(TargetFault::Fragment);
        }
        RequestPath::parse(raw.split_once('?').map_or(raw, |(path, _)| path))?;
        Self::of(PathAndQuery::try_from(raw).map_err(|_| TargetFault::Query)?, max_bytes)
    }

    /// The same of what was read as a target already; a fragment is gone from it.
    pub fn of(raw: PathAndQuery, max_bytes: usize) -> Result<Self, TargetFault> {
        if raw.as_str().len() > max_bytes {
            return Err(TargetFault::TooLong(max_bytes));
        }
        if !raw.as_str().starts_with('/') {
            return Err(TargetFault::NotOriginForm);
        }
        let sound = raw.query().is_none_or(is_sound_query);
        let path = RequestPath::of(raw)?;
        if sound { Ok(Self { path }) } else { Err(TargetFault::Query) }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &RequestPath {
        &self.path
    }

    /// The query; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<Query<'_>> {
        self.as_path_and_query().query().map(Query::new)
    }

    /// The target as received: the bytes that are forwarded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.as_path_and_query().as_str()
    }

    /// The same as the HTTP library has it.
    #[must_use]
    pub fn as_path_and_query(&self) -> &PathAndQuery {
        self.path.with_query()
    }
}

impl PartialEq for RequestTarget {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RequestTarget {}

/// Visible ASCII, and every `%` followed by two hex digits.
fn is_sound_query(query: &str) -> bool {
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        let sound = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_graphic(),
        };
        if !sound {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64;

    #[test]
    fn the_first_question_mark_splits_and_the_query_is_never_path() {
        let target = RequestTarget::parse("/v1/open?/v1/orgs/../x?y", MAX).unwrap();
        assert_eq!(target.path().as_str(), "/v1/open");
        assert_eq!(target.query().unwrap().as_str(), "/v1/orgs/../x?y");
    }

    #[test]
    fn every_other_form_is_refused() {
        for (raw, fault) in [
            ("http://other/v1/open", TargetFault::NotOriginForm),
            ("http:http://x", TargetFault::NotOriginForm),
            ("*", TargetFault::NotOriginForm),
            ("me:443", TargetFault::NotOriginForm),
            ("", TargetFault::NotOriginForm),
            ("/a#b", TargetFault::Fragment),
            ("/a?b#c", TargetFault::Fragment),
            ("/a?b=%", TargetFault::Query),
            ("/a?b=%2", TargetFault::Query),
            ("/a?b=æ", TargetFault::Query),
            ("/a?b c", TargetFault::Query),
        ] {
            assert_eq!(RequestTarget::parse(raw, MAX), Err(fault), "{raw}");
        }
    }

    #[test]
    fn the_longest_allowed_target_passes_and_one_byte_more_does_not() {
        let longest = format!("/{}", "a".repeat(MAX - 1));
        assert!(RequestTarget::parse(&longest, MAX).is_ok());
        assert_eq!(
            RequestTarget::parse(&format!("{longest}a"), MAX),
            Err(TargetFault::TooLong(MAX))
        );
    }
}
