//! The text of one file and places in it. Holds what a diagnostic needs to show a line, and
//! nothing of what the text means.
//!
//! Invariant: a [`Place`] lies within one line of its source, on character boundaries, so that
//! whoever shows it never has to check. Text is shown only masked: values whose key names a
//! secret, user names and passwords in addresses, and person numbers leave this file as asterisks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::domain::PersonNumber;

/// One file's text, as read.
pub struct Source {
    path: PathBuf,
    text: String,
    /// Byte offsets at which lines begin; the first is 0.
    line_starts: Vec<usize>,
    masked: OnceLock<String>,
}

impl Source {
    /// The text of `path`, ready to be pointed into.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: String) -> Arc<Self> {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(offset, _)| offset.saturating_add(1)))
            .collect();
        Arc::new(Self { path: path.into(), text, line_starts, masked: OnceLock::new() })
    }

    /// Where it was read, as named by whoever asked for it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The byte at which `column` of `line` begins, both counted from 1; the nearest if there is none.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.line_starts.get(line.saturating_sub(1)).or(self.line_starts.last());
        let start = start.copied().unwrap_or_default();
        let rest = self.text.get(start..).unwrap_or_default();
        let before =
            rest.chars().take_while(|letter| *letter != '\n').take(column.saturating_sub(1));
        start.saturating_add(before.map(char::len_utf8).sum())
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes from `start` to `end`, cut to the first line and to whole characters.
    #[must_use]
    pub fn place(self: &Arc<Self>, start: usize, end: usize) -> Place {
        let start = self.text.floor_char_boundary(start);
        let end = self.text.floor_char_boundary(end.max(start));
        let length = self
            .text
            .get(start..end)
            .map_or(0, |text| text.split(['\n', '\r']).next().unwrap_or_default().trim_end().len());
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let (start, end) = (narrow(start), narrow(start.saturating_add(length)));
        Place { source: Arc::clone(self), start, end }
    }

    /// Lines `first` to `last`, counted from 1, and the offset of their first byte in the text.
    pub(crate) fn masked_lines(&self, first: usize, last: usize) -> (usize, &str) {
        let start = self.line_start(first);
        let end = self.line_starts.get(last).copied().unwrap_or(self.text.len());
        (start, self.masked().get(start..end).unwrap_or_default())
    }

    /// Where `line`, counted from 1, begins.
    fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// The text with secrets hidden, byte for byte as long as the text.
    fn masked(&self) -> &str {
        self.masked.get_or_init(|| mask(&self.text))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.path).finish()
    }
}

/// A stretch of one line of a file.
#[derive(Clone)]
pub struct Place {
    source: Arc<Source>,
    // Invariant: start <= end, both on character boundaries of the text, no line break between. Narrow,
    // because a tree has one for each value; files are far smaller than 4 GiB.
    start: u32,
    end: u32,
}

impl Place {
    /// The file pointed into.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Counted from 1.
    pub fn line(&self) -> usize {
        let (start, _) = self.bytes();
        self.source.line_starts.partition_point(|line_start| *line_start <= start)
    }

    /// Counted from 1, in characters.
    pub fn column(&self) -> usize {
        let line_start = self.source.line_start(self.line());
        let before = self.source.text.get(line_start..self.bytes().0).unwrap_or_default();
        before.chars().count().saturating_add(1)
    }

    /// How many characters are pointed at; zero between characters.
    pub fn length(&self) -> usize {
        let (start, end) = self.bytes();
        self.source.text.get(start..end).unwrap_or_default().chars().count()
    }

    /// First and last byte (exclusive) in the text.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        let wide = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        (wide(self.start), wide(self.end))
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path().display(), self.line(), self.column())
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path() && self.bytes() == other.bytes()
    }
}

impl Eq for Place {}

/// Hides what may be secret. It goes by the look of each line and not by the parsed tree,
/// because a file that does not parse is shown too, and a misspelt key is no setting of ours.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    // The column of a key whose value goes on below: a block scalar, or a quoted one in lines.
    let mut hidden_below = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len().saturating_sub(line.trim_start_matches([' ', '-']).len());
        if hidden_below.is_some_and(|key| indent > key || line.trim().is_empty()) {
            hide(line, &mut masked);
            continue;
        }
        hidden_below = None;
        match secret_value(line) {
            Some((before, value)) => {
                masked.push_str(before);
                hide(value, &mut masked);
                hidden_below = Some(indent);
            }
            None => mask_user_information(line, &mut masked),
        }
    }
    // A directory file is full of them.
    PersonNumber::mask_in(&masked)
}

/// Splits a line after the first key that names a secret.
fn secret_value(line: &str) -> Option<(&str, &str)> {
    line.match_indices(':').find_map(|(colon, _)| {
        let (before, after) = line.split_at_checked(colon)?;
        let quoted = before.ends_with(['"', '\'']);
        let value = after.strip_prefix(':')?;
        let ends_key = quoted || value.is_empty() || value.starts_with(char::is_whitespace);
        let key = before.trim_end_matches(['"', '\'', ' ']);
        (ends_key && names_secret(key)).then(|| line.split_at_checked(colon.saturating_add(1)))?
    })
}

/// Whether the last word of a key is one that holds a secret: `subscription_key`, `jwk`, but
/// not `key_file` or `token_url`.
fn names_secret(key: &str) -> bool {
    let word = key.rsplit(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or(key);
    ["key", "secret", "password", "passphrase", "jwk", "token", "pem"]
        .iter()
        .any(|secret| word.eq_ignore_ascii_case(secret))
}

/// Hides `user:password` in `http://user:password@host/`.
fn mask_user_information(line: &str, masked: &mut String) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let authority = after.split(['/', '?', '#', ' ', '"', '\'', '\n']).next().unwrap_or(after);
        let information = authority.rfind('@').unwrap_or(0);
        let (information, after) = after.split_at_checked(information).unwrap_or(("", after));
        hide(information, masked);
        rest = after;
    }
    masked.push_str(rest);
}

/// One asterisk a byte, so that places stay true; line breaks and spaces in front stay.
fn hide(text: &str, masked: &mut String) {
    let value = text.trim_start_matches(' ');
    masked.extend(std::iter::repeat_n(' ', text.len().saturating_sub(value.len())));
    for letter in value.chars() {
        match letter {
            '\n' | '\r' => masked.push(letter),
            _ => masked.extend(std::iter::repeat_n('*', letter.len_utf8())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        let source = Source::new("a.yaml", "navn: blåbær # æ\r\nmode: x\n".to_owned());
        let offset = source.text().find('#').unwrap();
        let comment = source.place(offset, offset + 10);
        assert_eq!((comment.line(), comment.column(), comment.length()), (1, 14, 3));
        let mode = source.place(source.text().find("mode").unwrap(), usize::MAX);
        assert_eq!((mode.line(), mode.column(), mode.length()), (2, 1, 7));
        let end = source.place(usize::MAX, usize::MAX);
        assert_eq!((end.line(), end.column(), end.length()), (3, 1, 0));
    }

    #[test]
    fn values_of_keys_that_name_secrets_are_hidden() {
        for (text, shown) in [
            ("subscription_key: abc # d\nurl: x\n", "subscription_key: *******\nurl: x\n"),
            ("{ a: 1, \"client_jwk\":\"abc\" }", "{ a: 1, \"client_jwk\":*******"),
            ("key_file: /run/key\n", "key_file: /run/key\n"),
            ("party: token:consumer\n", "party: token:consumer\n"),
            ("a:\n  key: |\n    x\n    y\nb: 1", "a:\n  key: *\n    *\n    *\nb: 1"),
            ("- token: |\n    x\n- b: 1", "- token: *\n    *\n- b: 1"),
            ("proxy: http://me:word@proxy:1/", "proxy: http://*******@proxy:1/"),
            ("password: æ\n", "password: **\n"),
            ("- { person: \"15877012345\", nam: A }\n", "- { person: \"***********\", nam: A }\n"),
            ("person: 15877012345", "person: ***********"),
            ("[314330897, 158770123456, a1b]", "[314330897, 158770123456, a1b]"),
        ] {
            assert_eq!(mask(text), shown);
        }
    }

    proptest! {
        #[test]
        fn masking_moves_no_byte(text in "([a-z:/@ \"\n-]|key: |http://|å){0,60}") {
            let masked = mask(&text);
            prop_assert_eq!(masked.len(), text.len());
            let breaks = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
            prop_assert_eq!(breaks(&masked), breaks(&text));
        }

        #[test]
        fn every_place_lies_within_one_line(text in "\\PC{0,20}\n\\PC{0,20}", start: u8, end: u8) {
            let source = Source::new("a", text);
            let place = source.place(start.into(), end.into());
            let (start, end) = place.bytes();
            prop_assert!(source.text().get(start..end).is_some_and(|text| !text.contains('\n')));
        }
    }
}
