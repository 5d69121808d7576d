//! The regular expressions of `regexp-match` (XACML 3.0 §A.3.13), which are those of XPath's
//! `fn:matches`: found anywhere in the value, unless anchored.
//!
//! Only what XPath, Altinn's engine (.NET) and the regular expressions here all read the same way is
//! read. Everything else is refused when the policy is loaded: a pattern that means one thing in a
//! test and another in production is worse than none. A match takes time linear in the value.

use super::limits::{
    MAX_COMPILED_PATTERN_BYTES, MAX_MATCHED_BYTES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH,
};
use regex::{Regex, RegexBuilder};

/// General categories that may stand in `\p{…}` (Unicode §4.5, table 4-4).
const CATEGORIES: [&str; 35] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C",
    "Cc", "Cf", "Co",
];

/// A pattern, compiled. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatternFault {
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// The value is longer than patterns are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ValueTooLong;

impl Pattern {
    pub(super) fn read(text: &str) -> Result<Self, PatternFault> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternFault {
                message: format!("the pattern is longer than {MAX_PATTERN_BYTES} bytes"),
                help: "write several matches",
            });
        }
        let common = Reader { rest: text, out: String::new() }.read()?;
        let compiled = RegexBuilder::new(&common)
            .size_limit(MAX_COMPILED_PATTERN_BYTES)
            .nest_limit(MAX_PATTERN_DEPTH)
            // `.` is any character but the ends of a line, both of them (XML Schema part 2, §F.1.1).
            .crlf(true)
            .build();
        compiled.map(Self).map_err(|fault| {
            let (message, help) = if let regex::Error::CompiledTooBig(_) = fault {
                ("the pattern is too large once its repetitions are written out", "repeat less")
            } else {
                (
                    "the pattern is not a regular expression",
                    "check its brackets, ranges and repetitions",
                )
            };
            PatternFault { message: message.to_owned(), help }
        })
    }

    /// Whether the pattern is found anywhere in the value.
    pub(super) fn is_found_in(&self, value: &str) -> Result<bool, ValueTooLong> {
        if value.len() > MAX_MATCHED_BYTES { Err(ValueTooLong) } else { Ok(self.0.is_match(value)) }
    }
}

/// Reads what is common to all dialects, and writes it in that of the library.
struct Reader<'p> {
    rest: &'p str,
    out: String,
}

/// What the next character of a branch may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The start of a branch, or an anchor.
    Nothing,
    Atom,
    Quantifier,
}

impl Reader<'_> {
    fn read(mut self) -> Result<String, PatternFault> {
        let mut before = Before::Nothing;
        while let Some(char) = self.next() {
            before = match char {
                '?' if before == Before::Quantifier => self.push('?', Before::Nothing),
                '*' | '+' | '?' | '{' if before != Before::Atom => {
                    return Err(refused("a repetition of nothing, or of a repetition"));
                }
                '*' | '+' | '?' => self.push(char, Before::Quantifier),
                '{' => self.quantity()?,
                '(' if self.rest.starts_with('?') => {
                    return Err(refused("`(?`: groups with a flag or a name"));
                }
                '(' | '|' | '^' | '$' => self.push(char, Before::Nothing),
                '[' => self.class()?,
                ']' | '}' => return Err(refused("a bracket that closes nothing")),
                '\\' => self.escape()?,
                // Among them `)` and `.`, which a repetition may follow as it may any character.
                _ => self.push(char, Before::Atom),
            };
        }
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn push(&mut self, char: char, before: Before) -> Before {
        self.out.push(char);
        before
    }

    /// `n}`, `n,}` or `n,m}`.
    fn quantity(&mut self) -> Result<Before, PatternFault> {
        let fault = || refused("a repetition that is not `{n}`, `{n,}` or `{n,m}`");
        let (inner, rest) = self.rest.split_once('}').ok_or_else(fault)?;
        let (from, to) = inner.split_once(',').unwrap_or((inner, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if from.is_empty() || !plain(from) || !plain(to) {
            return Err(fault());
        }
        self.out.push('{');
        self.out.push_str(inner);
        self.out.push('}');
        self.rest = rest;
        Ok(Before::Quantifier)
    }

    fn escape(&mut self) -> Result<Before, PatternFault> {
        match self.next() {
            Some('d') => self.out.push_str(r"\p{Nd}"),
            Some('D') => self.out.push_str(r"\P{Nd}"),
            Some(char @ ('p' | 'P')) => {
                let fault = || refused("`\\p` of anything but a general category");
                let braced = self.rest.strip_prefix('{').ok_or_else(fault)?;
                let (name, rest) = braced.split_once('}').ok_or_else(fault)?;
                if !CATEGORIES.contains(&name) {
                    return Err(fault());
                }
                self.rest = rest;
                self.out.push('\\');
                self.out.push(char);
                self.out.push('{');
                self.out.push_str(name);
                self.out.push('}');
            }
            Some(char @ ('n' | 'r' | 't')) => {
                self.out.push('\\');
                self.out.push(char);
            }
            Some(char) if r"\|.?*+(){}[]^$-".contains(char) => {
                self.out.push('\\');
                self.out.push(char);
            }
            Some(char) if char.is_ascii_alphanumeric() => {
                return Err(refused(&format!("`\\{char}`")));
            }
            Some(_) | None => return Err(refused("a `\\` that escapes nothing")),
        }
        Ok(Before::Atom)
    }

    /// What follows `[`, to its `]`. Sets within sets are where the dialects differ most.
    fn class(&mut self) -> Result<Before, PatternFault> {
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        if let Some(rest) = self.rest.strip_prefix('-') {
            self.out.push_str(r"\-");
            self.rest = rest;
        }
        if self.rest.starts_with(']') && self.out.ends_with(['[', '^']) {
            return Err(refused("an empty class"));
        }
        loop {
            match self.next() {
                None => return Err(refused("a class that is not closed")),
                Some(']') => return Ok(self.push(']', Before::Atom)),
                Some('[') => return Err(refused("a class inside a class, or a subtraction")),
                Some('-') if self.rest.starts_with(']') => self.out.push_str(r"\-"),
                Some('-') if self.rest.starts_with('[') => {
                    return Err(refused("a class inside a class, or a subtraction"));
                }
                Some('-') => return Err(refused("a `-` that is neither a range nor at an end")),
                Some(char) => self.member(char)?,
            }
        }
    }

    /// One character or escape of a class, or a range of characters.
    fn member(&mut self, char: char) -> Result<(), PatternFault> {
        self.class_character(char)?;
        let Some(rest) = self.rest.strip_prefix('-') else { return Ok(()) };
        if rest.starts_with(']') {
            return Ok(());
        }
        self.rest = rest;
        self.out.push('-');
        match self.next() {
            None => Err(refused("a class that is not closed")),
            Some('[') => Err(refused("a class inside a class, or a subtraction")),
            Some(']' | '-') => Err(refused("a range without an end")),
            Some(char) => self.class_character(char),
        }
    }

    fn class_character(&mut self, char: char) -> Result<(), PatternFault> {
        match char {
            '\\' => self.escape().map(|_| ()),
            // The library would read `&&` and `~~` as operations on sets.
            '&' | '~' | '^' => {
                self.out.push('\\');
                self.out.push(char);
                Ok(())
            }
            _ => {
                self.out.push(char);
                Ok(())
            }
        }
    }
}

fn refused(what: &str) -> PatternFault {
    PatternFault {
        message: format!("the pattern has {what}, which is not read alike everywhere"),
        help: "use characters, `.`, `[a-z]`, `(a|b)`, `? * + {n,m}`, `^ $`, `\\d`, `\\p{L}`; \
               write classes out where they are not among these",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(pattern: &str, value: &str) -> bool {
        Pattern::read(pattern).unwrap().is_found_in(value).unwrap()
    }

    #[test]
    fn a_pattern_is_found_anywhere_unless_it_is_anchored() {
        for (pattern, value, expected) in [
            ("read|write", "read", true),
            ("read|write", "reread", true),
            ("^(read|write)$", "reread", false),
            ("^(read|write)$", "write", true),
            ("^(read|write)$", "write\n", false),
            ("", "anything", true),
            ("J.* Hibbert", "Julius Hibbert", true),
            ("a.b", "a\nb", false),
            ("a.b", "a\rb", false),
            ("^\\d{2,3}$", "12", true),
            ("^\\d{2,3}$", "1234", false),
            ("^\\d+$", "١٢", true),
            ("^[\\d-]+$", "12-3", true),
            ("^[a-c&&~~^]+$", "a&~^b", true),
            ("^[-x]$", "-", true),
            ("^[^a-z-]$", "-", false),
            ("^\\p{Lu}\\p{Ll}+$", "Ærlig", true),
            ("^\\P{L}$", "1", true),
            ("a+?b??", "aab", true),
            ("1\\.0\\-x", "1.0-x", true),
            ("(a|b){2}", "ab", true),
            ("æ", "Æ", false),
        ] {
            assert_eq!(found(pattern, value), expected, "`{pattern}` `{value}`");
        }
    }

    #[test]
    fn what_dialects_read_differently_is_refused() {
        for pattern in [
            "[a-z-[aeiou]]",
            "[[a]]",
            "[a&&[b]]",
            "[[:alpha:]]",
            "\\i",
            "\\c+",
            "\\w",
            "\\s",
            "\\b",
            "\\1",
            "(a)\\1",
            "\\x41",
            "\\u0041",
            "\\A",
            "\\z",
            "\\Qa\\E",
            "(?i)a",
            "(?:a)",
            "(?<n>a)",
            "(?=a)",
            "a**",
            "a++",
            "a{2}{3}",
            "a{,3}",
            "a{x}",
            "a{2",
            "*a",
            "(*)",
            "|+",
            "^*",
            "[]",
            "[]a]",
            "[^]",
            "[a",
            "[a-",
            "a]",
            "a}",
            "(a",
            "a)",
            "[z-a]",
            "[a-c-e]",
            "[a--b]",
            "\\p{IsBasicLatin}",
            "\\p{Greek}",
            "\\pL",
            "\\p{L",
            "\\",
            "[\\",
            "\\ø",
            "[\\d-z]",
            "a???",
        ] {
            let read = Pattern::read(pattern);
            assert!(read.is_err(), "`{pattern}` was read: {read:?}");
        }
    }

    #[test]
    fn patterns_and_values_are_bounded_at_their_edge() {
        let long = |bytes: usize| "a".repeat(bytes);
        assert!(Pattern::read(&long(MAX_PATTERN_BYTES)).is_ok());
        assert!(Pattern::read(&long(MAX_PATTERN_BYTES + 1)).is_err());
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Pattern::read(&nested(20)).is_ok());
        assert!(Pattern::read(&nested(60)).is_err());
        for bomb in ["(((a{100}){100}){100}){100}", "\\p{L}{900}", "(a{0,300}){0,300}"] {
            assert!(Pattern::read(bomb).is_err(), "{bomb}");
        }
        let pattern = Pattern::read("(a+)+$").unwrap();
        let value = |bytes: usize| format!("{}b", "a".repeat(bytes - 1));
        assert_eq!(pattern.is_found_in(&value(MAX_MATCHED_BYTES)), Ok(false));
        assert_eq!(pattern.is_found_in(&value(MAX_MATCHED_BYTES + 1)), Err(ValueTooLong));
    }

    proptest! {
        #[test]
        fn no_pattern_makes_the_reader_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "z", "-", "[", "]", "^", "(", ")", "?", "*", "+", "{", "}", "1", ",", "|",
                    "\\", "p", "L", "d", "&&", "~~", ".", "$", "ø", ":",
                ]),
                0..24,
            ),
            value in ".{0,40}",
        ) {
            if let Ok(pattern) = Pattern::read(&parts.concat()) {
                prop_assert!(pattern.is_found_in(&value).is_ok());
            }
        }

        /// Escaped, every text is found in itself and in nothing that does not hold it.
        #[test]
        fn an_escaped_text_stands_for_itself(text in "[ -~]{1,20}", value in "[ -~]{0,40}") {
            let escaped: String = text
                .chars()
                .flat_map(|char| r"\|.?*+(){}[]^$-".contains(char).then_some('\\').into_iter().chain([char]))
                .collect();
            prop_assert_eq!(found(&escaped, &value), value.contains(&text));
            prop_assert!(found(&escaped, &text));
        }
    }
}
