//! JSON pointers (RFC 6901), as rules write them behind `json:`.

use std::fmt;
use std::sync::Arc;

/// A pointer to one place in a JSON document; never the whole document. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    // Invariant: at least one token.
    tokens: Arc<[Token]>,
}

/// One step of a pointer.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// The name of a member, unescaped, or the number of an element.
    Name(Box<str>),
    /// `*`: every element of an array.
    Each,
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
            Self::BehindEnd => "write the number of the element, counted from 0",
            Self::TooDeep => "documents deeper than that are refused",
        }
    }
}

impl Pointer {
    /// Reads a pointer.
    pub fn parse(text: &str) -> Result<Self, PointerFault> {
        let inner = text.strip_prefix('/').ok_or(PointerFault::NoLeadingSlash)?;
        let mut tokens: Vec<Token> = Vec::new();
        for token in inner.split('/') {
            match token {
                "-" => return Err(PointerFault::BehindEnd),
                _ if tokens.len() >= super::json::MAX_JSON_DEPTH => {
                    return Err(PointerFault::TooDeep);
                }
                "*" => tokens.push(Token::Each),
                _ => tokens.push(Token::Name(unescape(token)?.into())),
            }
        }
        Ok(Self { tokens: tokens.into() })
    }

    /// How many levels it goes down; at least one.
    pub(super) fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// What to follow at `level`, counted from 0.
    pub(super) fn token(&self, level: usize) -> Option<&Token> {
        self.tokens.get(level)
    }

    /// Whether one of the first `level` tokens is `*`.
    pub(super) fn stars_before(&self, level: usize) -> bool {
        self.tokens.iter().take(level).any(|token| *token == Token::Each)
    }

    /// Whether it names every element of an array, and so possibly many values.
    pub(super) fn has_star(&self) -> bool {
        self.stars_before(self.depth())
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
        self.tokens.iter().try_for_each(|token| match token {
            Token::Name(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Token::Each => f.write_str("/*"),
        })
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unescaped_once() {
        let pointer = Pointer::parse("/a~1b/m~0n/~01/0/").unwrap();
        let names: Vec<_> = pointer
            .tokens
            .iter()
            .map(|token| match token {
                Token::Name(name) => name.as_ref(),
                Token::Each => "every",
            })
            .collect();
        assert_eq!(names, ["a/b", "m~n", "~1", "0", ""]);
        assert_eq!(pointer.to_string(), "/a~1b/m~0n/~01/0/");
    }

    #[test]
    fn a_star_is_a_token_of_its_own_and_not_part_of_a_name() {
        let pointer = Pointer::parse("/a/*/b*").unwrap();
        assert!(pointer.has_star() && !pointer.stars_before(1) && pointer.stars_before(2));
        assert_eq!(pointer.to_string(), "/a/*/b*");
        assert!(!Pointer::parse("/a*").unwrap().has_star());
    }

    #[test]
    fn each_fault_is_told_apart() {
        let deep = "/a".repeat(65);
        for (text, fault) in [
            ("", PointerFault::NoLeadingSlash),
            ("a", PointerFault::NoLeadingSlash),
            ("/a~", PointerFault::Escape),
            ("/a~2", PointerFault::Escape),
            ("/a/-", PointerFault::BehindEnd),
            (&deep, PointerFault::TooDeep),
        ] {
            assert_eq!(Pointer::parse(text), Err(fault), "{text}");
        }
    }
}
