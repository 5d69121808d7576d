//! The query of a request target: raw for forwarding, decoded pair by pair for judging.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The part of the target after the first `?`, as received.
///
/// Pairs are separated by `&`; `+` and percent-escapes are decoded as in forms. A raw `;` separates pairs
/// for some servers and not for others; [`Query::has_raw_semicolon`] lets a rule that reads the query
/// refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a>(&'a str);

/// A name or value is not UTF-8 once decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a query name or value is not valid UTF-8 once decoded")]
pub struct QueryFault;

impl<'a> Query<'a> {
    /// Wraps the raw query, without its `?`.
    #[must_use]
    pub fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The raw text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether a raw `;` occurs anywhere.
    #[must_use]
    pub fn has_raw_semicolon(self) -> bool {
        self.0.contains(';')
    }

    /// The decoded pairs in order; a name without `=` has an empty value; empty pairs are skipped.
    pub fn pairs(self) -> impl Iterator<Item = Result<(Cow<'a, str>, Cow<'a, str>), QueryFault>> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, QueryFault> {
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| QueryFault)?.into_owned();
    Ok(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(raw: &str) -> Vec<(String, String)> {
        Query::new(raw)
            .pairs()
            .map(|pair| pair.unwrap())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_are_decoded_as_forms_are() {
        assert_eq!(
            pairs("a=1&b=x+y%2Bz&c&d=&&%61=2&e=f=g"),
            [
                pair("a", "1"),
                pair("b", "x y+z"),
                pair("c", ""),
                pair("d", ""),
                pair("a", "2"),
                pair("e", "f=g")
            ]
        );
    }

    #[test]
    fn what_is_not_utf8_is_a_fault_and_not_a_replacement_character() {
        assert_eq!(Query::new("a=%ff").pairs().next(), Some(Err(QueryFault)));
    }
}
