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
    Cow::Owned(text.chars().flat_map(folded).collect())
}

/// What is left over an `i` when `İ` is folded; Java folds it to `i` alone.
const DOT_ABOVE: char = '\u{307}';

/// Down, up and down again: frameworks compare by either case, and some letters meet in one only (`ſ` and
/// `s`, the Kelvin sign and `k`, `ẞ` and `ss`). Each letter by itself, whatever stands beside it, so that a
/// name can be compared from its beginning.
fn folded(letter: char) -> impl Iterator<Item = char> {
    let folded = letter.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|letter| *letter != DOT_ABOVE)
}

/// The text with ASCII capitals lowered; borrowed when it has none.
pub(super) fn lower_ascii(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether two names differ in case at most. Looks no further than their first difference.
pub(super) fn is_alike(one: &str, other: &str) -> bool {
    after(one, other) == Some("")
}

/// Whether a query name equals `source` ignoring case or continues it, as model binders understand
/// `party[0]` and `party.id`. Space and control characters around it count for nothing, because some
/// servers drop them. Costs no more than looking at the source once, however long the name is.
pub(super) fn is_query_alias(name: &str, source: &str) -> bool {
    let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    after(name, source).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.', '\0']))
}

/// What follows in `name` after `beginning`, in whatever case; `None` if it begins otherwise.
fn after<'a>(name: &'a str, beginning: &str) -> Option<&'a str> {
    if let Some((head, rest)) = name.split_at_checked(beginning.len())
        && head.is_ascii()
        && beginning.is_ascii()
    {
        return head.eq_ignore_ascii_case(beginning).then_some(rest);
    }
    let mut wanted = beginning.chars().flat_map(folded).peekable();
    let mut letters = name.chars();
    while wanted.peek().is_some() {
        if !folded(letters.next()?).all(|letter| wanted.next() == Some(letter)) {
            return None;
        }
    }
    Some(letters.as_str())
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
    use proptest::prelude::*;

    #[test]
    fn case_is_ignored_also_beyond_ascii() {
        for (one, other) in [
            ("Party", "pARTY"),
            ("Blåbær", "BLÅBÆR"),
            ("\u{212A}ey", "key"),
            ("ſak", "SAK"),
            ("İd", "id"),
        ] {
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
        assert!(is_query_alias("ΑΣ.x", "ας") && is_query_alias("\u{212A}ey[0]", "key"));
        assert!(
            !is_query_alias("ß", "s") && !is_query_alias("s", "ß") && is_query_alias("SS.", "ß")
        );
    }

    /// As it is defined: every beginning of the name that ends before a separator, compared whole.
    fn is_alias_by_definition(name: &str, source: &str) -> bool {
        let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        let ends = name.match_indices(['[', '.', '\0']).map(|(end, _)| end);
        ends.chain([name.len()]).any(|end| name.get(..end).map(fold) == Some(fold(source)))
    }

    proptest! {
        #[test]
        fn a_name_is_compared_once_and_with_the_same_result(
            name in "[aAkKsSßẞſΣσςøØİıŉ\u{212A}.\\[ ]{0,6}",
            source in "[aAkKsSßΣςøİ.]{1,4}",
        ) {
            prop_assert_eq!(is_query_alias(&name, &source), is_alias_by_definition(&name, &source));
            prop_assert_eq!(is_alike(&name, &source), fold(&name) == fold(&source));
        }
    }

    /// What was quadratic would take hours here.
    #[test]
    fn long_names_cost_no_more_than_their_length() {
        let name = format!("Ø{}", ".".repeat(4 * 1024 * 1024));
        assert!(!is_query_alias(&name, "party") && is_query_alias(&name, "ø"));
    }

    #[test]
    fn header_names_meet_across_underscores_and_dots() {
        assert!(is_header_alias("x_org.nr", "x-org-nr"));
        assert!(!is_header_alias("x-orgnr", "x-org-nr"));
    }
}
