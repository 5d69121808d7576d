//! Which known word an unknown one was probably meant to be.

/// The nearest of `known`, if it is near enough that a slip of the hand explains it; else the only one that holds
/// what was written, or is held by it.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Bounds the work on a key that is no word at all.
    const MAX_WORD_BYTES: usize = 64;
    // Shorter parts are in every other word.
    const MIN_PART_BYTES: usize = 4;
    if written.len() > MAX_WORD_BYTES {
        return None;
    }
    let written = plain(written);
    let allowed = (written.chars().count() / 3).max(1);
    let (mut near, mut held, mut holders) = (None, None, 0_usize);
    for word in known {
        let known = plain(word);
        let distance = distance(&written, &known);
        if distance <= allowed && near.is_none_or(|(nearest, _)| distance < nearest) {
            near = Some((distance, word));
        }
        let (short, long) =
            if known.len() < written.len() { (&known, &written) } else { (&written, &known) };
        if short.len() >= MIN_PART_BYTES && long.contains(short.as_str()) {
            held = Some(word);
            holders = holders.saturating_add(1);
        }
    }
    near.map(|(_, word)| word).or(held.filter(|_| holders == 1))
}

/// Case, and which of the two strokes joins its parts, make no other word.
fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

/// Letters to insert, delete or replace, or neighbours to swap, to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (column, compared) in other.iter().enumerate() {
            let at =
                |costs: &[usize], column: usize| costs.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column).saturating_add(usize::from(letter != *compared));
            let deleted = at(&last, column.saturating_add(1)).saturating_add(1);
            let inserted = at(&current, column).saturating_add(1);
            let mut cost = replaced.min(deleted).min(inserted);
            let left = column.checked_sub(1);
            if let Some(left) = left
                && previous == Some(*compared)
                && other.get(left) == Some(&letter)
            {
                cost = cost.min(at(&before_last, left).saturating_add(1));
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_understood_and_other_words_are_not() {
        let known = ["listen", "hosts", "tls", "limits", "workers", "header_timeout"];
        for (written, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("Hosts", Some("hosts")),
            ("host", Some("hosts")),
            ("tsl", Some("tls")),
            ("header-timeout", Some("header_timeout")),
            ("port", None),
            ("idle_workers", Some("workers")),
            ("timeout", Some("header_timeout")),
            ("time", Some("header_timeout")),
            ("out", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }

    #[test]
    fn a_swap_costs_one() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
    }
}
