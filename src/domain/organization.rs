//! Organization numbers of the Norwegian Register of Legal Entities.

use super::ShortText;
use std::fmt;

/// Whether the check digit must hold. Altinn's own test data has numbers whose check digit does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckDigits {
    /// The check digit must hold.
    #[default]
    Strict,
    /// Nine digits are enough; for test environments.
    Lenient,
}

/// Nine digits whose modulus-11 check digit holds, unless it was parsed as [`CheckDigits::Lenient`].
///
/// Organization numbers are public; they are printed in full.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationNumber(u32);

/// Why a text is not an organization number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrganizationNumber {
    /// Not exactly nine ASCII digits.
    #[error("an organization number has nine digits")]
    NotNineDigits,
    /// Nine digits, but not a number the register can have issued.
    #[error("the check digit of the organization number is wrong")]
    WrongCheckDigit,
}

const WEIGHTS: [u32; 8] = [3, 2, 7, 6, 5, 4, 3, 2];

impl OrganizationNumber {
    /// Reads nine ASCII digits, nothing around them.
    pub fn parse(text: &str, check: CheckDigits) -> Result<Self, InvalidOrganizationNumber> {
        let bytes = text.as_bytes();
        if bytes.len() != 9 || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(InvalidOrganizationNumber::NotNineDigits);
        }
        let mut digits = bytes.iter().map(|byte| u32::from(byte - b'0'));
        let sum: u32 =
            WEIGHTS.iter().zip(digits.by_ref()).map(|(weight, digit)| weight * digit).sum();
        let given = digits.next();
        // 11 − (sum mod 11): 11 reads as 0, and 10 is never issued.
        let expected = match 11 - sum % 11 {
            11 => Some(0),
            10 => None,
            digit => Some(digit),
        };
        if check == CheckDigits::Strict && (expected.is_none() || expected != given) {
            return Err(InvalidOrganizationNumber::WrongCheckDigit);
        }
        text.parse().map(Self).map_err(|_| InvalidOrganizationNumber::NotNineDigits)
    }

    /// The nine digits.
    #[must_use]
    pub fn text(self) -> ShortText<9> {
        ShortText::digits(self.0)
    }

    /// Reads the ISO 6523 form, `0192:` and nine digits.
    pub fn parse_iso6523(
        text: &str,
        check: CheckDigits,
    ) -> Result<Self, InvalidOrganizationNumber> {
        match text.strip_prefix("0192:") {
            Some(digits) => Self::parse(digits, check),
            None => Err(InvalidOrganizationNumber::NotNineDigits),
        }
    }
}

impl fmt::Display for OrganizationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for OrganizationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_numbers_of_the_scenarios_are_read_and_printed_alike() {
        for text in ["314330897", "314242726", "312714051", "910459880", "950474084", "310329495"] {
            let number = OrganizationNumber::parse(text, CheckDigits::Strict).unwrap();
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn anything_but_nine_digits_is_refused_in_both_modes() {
        for text in [
            "",
            "31433089",
            "3143308970",
            "31433089a",
            " 314330897",
            "314 330 897",
            "３14330897",
            "+14330897",
        ] {
            for check in [CheckDigits::Strict, CheckDigits::Lenient] {
                assert_eq!(
                    OrganizationNumber::parse(text, check),
                    Err(InvalidOrganizationNumber::NotNineDigits),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_check_digit_passes_only_leniently() {
        for text in ["314330898", "123456789", "912345678"] {
            assert_eq!(
                OrganizationNumber::parse(text, CheckDigits::Strict),
                Err(InvalidOrganizationNumber::WrongCheckDigit),
                "{text}"
            );
            assert_eq!(
                OrganizationNumber::parse(text, CheckDigits::Lenient).unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn only_the_icd_of_the_register_is_stripped() {
        assert!(OrganizationNumber::parse_iso6523("0192:314330897", CheckDigits::Strict).is_ok());
        for text in [
            "314330897",
            "9908:314330897",
            "0192:0192:314330897",
            "0192: 314330897",
            "192:314330897",
        ] {
            assert!(
                OrganizationNumber::parse_iso6523(text, CheckDigits::Strict).is_err(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn at_most_one_last_digit_in_ten_is_right(first in 0u32..100_000_000) {
            let right = (0..10).filter(|last| {
                OrganizationNumber::parse(&format!("{first:08}{last}"), CheckDigits::Strict).is_ok()
            }).count();
            prop_assert!(right <= 1);
        }

        #[test]
        fn what_is_accepted_round_trips(text in "[0-9]{9}") {
            let number = OrganizationNumber::parse(&text, CheckDigits::Lenient).unwrap();
            prop_assert_eq!(number.to_string(), text);
        }
    }
}
