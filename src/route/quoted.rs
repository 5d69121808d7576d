//! A JSON string as it stands in the document, and what it means (RFC 8259 §7).
//!
//! Only unescapes; `json` has judged every escape before.

use std::borrow::Cow;
use std::str::Chars;

/// A string token: the text between the quotes, and whether it has escapes.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'b> {
    pub(super) raw: &'b str,
    pub(super) escaped: bool,
}

impl<'b> Quoted<'b> {
    /// What the string means. `escape` has judged every escape in it.
    pub(super) fn unescape(self) -> Cow<'b, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut characters = self.raw.chars();
        while let Some(character) = characters.next() {
            if character != '\\' {
                text.push(character);
                continue;
            }
            let meant = match characters.next() {
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('u') => unescape_unit(&mut characters),
                Some(itself) => itself,
                None => break,
            };
            text.push(meant);
        }
        Cow::Owned(text)
    }
}

/// The character behind `\u`, with its second half where it has one.
fn unescape_unit(characters: &mut Chars<'_>) -> char {
    let first = unit(characters);
    if !(0xD800..=0xDBFF).contains(&first) {
        return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
    }
    // The `\u` of the second half.
    characters.by_ref().take(2).for_each(drop);
    let point = 0x1_0000 + ((first & 0x3FF) << 10 | (unit(characters) & 0x3FF));
    char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn unit(characters: &mut Chars<'_>) -> u32 {
    let digits = characters.by_ref().take(4).filter_map(|character| character.to_digit(16));
    digits.fold(0, |unit, digit| unit << 4 | digit)
}
