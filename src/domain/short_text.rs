//! The text of a number or an id, in place: writing it costs no allocation and no formatting.

use std::fmt;
use std::ops::Deref;
use uuid::Uuid;

/// A text of exactly `N` ASCII characters.
#[derive(Clone, Copy)]
pub struct ShortText<const N: usize>([u8; N]);

impl<const N: usize> ShortText<N> {
    /// The last `N` decimal digits of a number, with zeros in front.
    pub(super) fn digits(number: u32) -> Self {
        let (mut text, mut rest) = ([b'0'; N], number);
        for place in text.iter_mut().rev() {
            *place = b"0123456789".get((rest % 10) as usize).copied().unwrap_or_default();
            rest /= 10;
        }
        Self(text)
    }
}

impl ShortText<36> {
    /// A UUID in the hyphenated form, in small letters.
    pub(super) fn hyphenated(uuid: Uuid) -> Self {
        let mut text = [0; 36];
        uuid.hyphenated().encode_lower(&mut text);
        Self(text)
    }
}

impl<const N: usize> AsRef<[u8]> for ShortText<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Deref for ShortText<N> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for ShortText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_formatting_gives() {
        for number in [0, 7, 12_345_678, 312_714_051, 999_999_999] {
            assert_eq!(&*ShortText::<9>::digits(number), format!("{number:09}"));
        }
        let uuid = Uuid::from_u128(0x018f_3b1e_7c5a_7b3e_9f00_0123_4567_89ab);
        assert_eq!(&*ShortText::hyphenated(uuid), uuid.hyphenated().to_string());
    }
}
