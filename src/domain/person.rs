//! National identity numbers of persons. They are never printed by accident.

use std::fmt;

/// Eleven digits: a national identity number, a D-number or a synthetic one.
///
/// Check digits are not judged: the numbering plan relaxes them from 2032, and whether a person exists is
/// for Altinn to say. `Display` and `Debug` mask it; [`PersonNumber::expose`] is the only way out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonNumber(u64);

/// The text is not eleven ASCII digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a person number has eleven digits")]
pub struct InvalidPersonNumber;

impl PersonNumber {
    /// What every printed person number looks like.
    pub const MASK: &'static str = "***********";

    /// Reads eleven ASCII digits, nothing around them.
    pub fn parse(text: &str) -> Result<Self, InvalidPersonNumber> {
        if text.len() != 11 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPersonNumber);
        }
        text.parse().map(Self).map_err(|_| InvalidPersonNumber)
    }

    /// The text with every eleven digits in a row masked, whatever stands around them: nothing else that people
    /// write looks so. Its length stays.
    #[must_use]
    pub fn mask_in(text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        for run in text.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
            let digits = run.trim_end_matches(|letter: char| !letter.is_ascii_digit());
            if digits.len() == Self::MASK.len() {
                masked.push_str(Self::MASK);
                masked.push_str(run.strip_prefix(digits).unwrap_or_default());
            } else {
                masked.push_str(run);
            }
        }
        masked
    }

    /// The eleven digits, for the PDP and for the API behind; never for a log, an answer or a metric.
    #[must_use]
    pub fn expose(self) -> String {
        format!("{:011}", self.0)
    }
}

impl fmt::Display for PersonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Debug for PersonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_number_is_masked_wherever_it_is_printed() {
        // Synthetic: month + 80.
        let number = PersonNumber::parse("01890012345").unwrap();
        assert_eq!(format!("{number} {number:?}"), "*********** ***********");
        assert_eq!(number.expose(), "01890012345");
    }

    #[test]
    fn a_person_number_is_masked_wherever_it_stands_in_a_text() {
        for (text, masked) in [
            ("15877012345", "***********"),
            ("a15877012345æ 15877012345/1", "a***********æ ***********/1"),
            ("314330897 158770123456 1587701234", "314330897 158770123456 1587701234"),
            ("", ""),
        ] {
            assert_eq!(PersonNumber::mask_in(text), masked);
        }
    }

    #[test]
    fn anything_but_eleven_digits_is_refused() {
        for text in ["", "0189001234", "018900123456", "0189001234x", " 1890012345"] {
            assert_eq!(PersonNumber::parse(text), Err(InvalidPersonNumber), "{text}");
        }
    }
}
