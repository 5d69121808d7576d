//! When two names are the same to a server that is less careful than we are.
//!
//! Holds comparisons only; who is refused for them is `ambiguity`'s. Invariant: every comparison is at
//! least as wide as case-insensitive matching in the frameworks found behind us.

use std::borrow::Cow;

/// The text with every difference of case removed; borrowed when there is none to remove.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // Down, up and down again: frameworks compare by either case, and some letters meet in one only
    // (`ſ` and `s`, the Kelvin sign and `k`, `ẞ` and `ss`).
    Cow::Owned(text.to_lowercase().to_uppercase().to_lowercase())
}

/// The text with ASCII capitals lowered; borrowed when it has none.
pub(super) fn lower_ascii(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether two names differ in case at most.
pub(super) fn is_alike(one: &str, other: &str) -> bool {
    one == other
        || one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && fold(one) == fold(other))
}

/// Whether a query name equals `source` ignoring case or continues it, as model binders understand
/// `party[0]` and `party.id`. Space and control characters around it count for nothing, because some
/// servers drop them.
pub(super) fn is_query_alias(name: &str, source: &str) -> bool {
    let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if is_alike(name, source) {
        return true;
    }
    name.match_indices(['[', '.', '\0'])
        .filter_map(|(end, _)| name.get(..end))
        .any(|head| is_alike(head, source))
}

/// Whether two header names meet once `_` and `.` are folded to `-`, as CGI-like servers do.
pub(super) fn is_header_alias(name: &str, source: &str) -> bool {
    let folded = |byte: u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    name.len() == source.len() && name.bytes().map(folded).eq(source.bytes().map(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_ignored_also_beyond_ascii() {
        for (one, other) in
            [("Party", "pARTY"), ("Blåbær", "BLÅBÆR"), ("\u{212A}ey", "key"), ("ſak", "SAK")]
        {
            assert!(is_alike(one, other), "{one} {other}");
        }
        assert!(!is_alike("party", "parts"));
        assert!(matches!(fold("abc-1"), Cow::Borrowed(_)));
    }

    #[test]
    fn query_names_that_continue_a_source_are_aliases_and_others_are_not() {
        for alias in
            ["party", "Party", "party[]", "PARTY[0]", "party.id", " party", "party\0x", "party\t"]
        {
            assert!(is_query_alias(alias, "party"), "{alias:?}");
        }
        for other in ["partyId", "par", "party_id", "xparty", "a[party]"] {
            assert!(!is_query_alias(other, "party"), "{other}");
        }
        assert!(is_query_alias("a.b[0]", "a.b"));
    }

    #[test]
    fn header_names_meet_across_underscores_and_dots() {
        assert!(is_header_alias("x_org.nr", "x-org-nr"));
        assert!(!is_header_alias("x-orgnr", "x-org-nr"));
    }
}
