//! The request target: a canonical path and a query, in origin-form only (RFC 9112 §3.2.1).

use super::{PathFault, Query, RequestPath};

/// A target that every server reads alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTarget {
    // Invariant: `path` is the part of `raw` before its first `?`, `query_at` the place after it.
    raw: Box<str>,
    path: RequestPath,
    query_at: Option<usize>,
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
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        let path = RequestPath::parse(path)?;
        if query.is_some_and(|query| !is_sound_query(query)) {
            return Err(TargetFault::Query);
        }
        let query_at = query.map(|query| raw.len() - query.len());
        Ok(Self { raw: raw.into(), path, query_at })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &RequestPath {
        &self.path
    }

    /// The query; `None` when there is no `?`.
    #[must_use]
    pub fn query(&self) -> Option<Query<'_>> {
        self.query_at.and_then(|at| self.raw.get(at..)).map(Query::new)
    }

    /// The target as received: the bytes that are forwarded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }
}

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
