//! JSON pointers (RFC 6901), as rules write them behind `json:`.

use std::fmt;
use std::sync::Arc;

/// A pointer to one place in a JSON document; never the whole document. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    // Invariant: at least one token, unescaped.
    tokens: Arc<[Box<str>]>,
}

/// Why a text is not a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerFault {
    /// Does not begin with `/`.
    #[error("a JSON pointer begins with a slash")]
    NoLeadingSlash,
    /// `~` without `0` or `1`.
    #[error("a `~` in a JSON pointer stands before `0` or `1`")]
    Escape,
    /// `*`: every element of an array.
    #[error("`*` in a JSON pointer is not supported yet")]
    Star,
    /// `-` points behind the last element (RFC 6901 §4), where nothing ever is.
    #[error("`-` points behind the end of an array, where nothing is")]
    BehindEnd,
    /// More tokens than a document may have levels.
    #[error("the JSON pointer has more than {max} levels", max = super::json::MAX_JSON_DEPTH)]
    TooDeep,
}

impl PointerFault {
    /// What to write instead.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::NoLeadingSlash => {
                "write `json:/sender`, or `json:/sender/orgnr` for a member of it"
            }
            Self::Escape => "write `~0` for `~` and `~1` for `/` in a member's name (RFC 6901)",
            Self::Star => "point at one value, or at an array of plain values with `many: all`",
            Self::BehindEnd => "write the number of the element, counted from 0",
            Self::TooDeep => "documents deeper than that are refused",
        }
    }
}

impl Pointer {
    /// Reads a pointer.
    pub fn parse(text: &str) -> Result<Self, PointerFault> {
        let inner = text.strip_prefix('/').ok_or(PointerFault::NoLeadingSlash)?;
        let mut tokens: Vec<Box<str>> = Vec::new();
        for token in inner.split('/') {
            match token {
                "*" => return Err(PointerFault::Star),
                "-" => return Err(PointerFault::BehindEnd),
                _ if tokens.len() >= super::json::MAX_JSON_DEPTH => {
                    return Err(PointerFault::TooDeep);
                }
                _ => tokens.push(unescape(token)?.into()),
            }
        }
        Ok(Self { tokens: tokens.into() })
    }

    /// How many levels it goes down; at least one.
    pub(super) fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// The member name (or array index) to follow at `level`, counted from 0.
    pub(super) fn token(&self, level: usize) -> Option<&str> {
        self.tokens.get(level).map(AsRef::as_ref)
    }
}

/// RFC 6901 §4: first `~1`, then `~0`; done in one pass, which also finds stray ones.
fn unescape(token: &str) -> Result<String, PointerFault> {
    let mut text = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        match character {
            '~' => text.push(match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some(_) | None => return Err(PointerFault::Escape),
            }),
            other => text.push(other),
        }
    }
    Ok(text)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unescaped_once() {
        let pointer = Pointer::parse("/a~1b/m~0n/~01/0/").unwrap();
        let tokens: Vec<_> =
            (0..pointer.depth()).filter_map(|level| pointer.token(level)).collect();
        assert_eq!(tokens, ["a/b", "m~n", "~1", "0", ""]);
    }

    #[test]
    fn each_fault_is_told_apart() {
        let deep = "/a".repeat(65);
        for (text, fault) in [
            ("", PointerFault::NoLeadingSlash),
            ("a", PointerFault::NoLeadingSlash),
            ("/a~", PointerFault::Escape),
            ("/a~2", PointerFault::Escape),
            ("/a/*", PointerFault::Star),
            ("/a/-", PointerFault::BehindEnd),
            (&deep, PointerFault::TooDeep),
        ] {
            assert_eq!(Pointer::parse(text), Err(fault), "{text}");
        }
    }
}
