//! What was written, with the place it was written at: the form in which files, variables and
//! flags meet. Nothing here knows a key.
//!
//! Invariant: a scalar keeps its text. `NO`, `012`, `1e3` and `0192:312714051` mean what they say
//! where text is asked for; nothing is turned into a number or a truth on the way.

use std::fmt;

use super::diagnostic::Origin;

/// A value and where it came from. A table or list that is the value of a key is at its key.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where.
    pub origin: Origin,
}

/// What was written.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, a number, a truth, or nothing: whoever reads it decides.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Keys, each once, in the order they were written.
    Table(Vec<Entry>),
    /// Something that was refused when the file was read, and has been reported there.
    Refused,
}

/// One key of a table with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As written.
    pub key: String,
    /// Where the key stands.
    pub key_origin: Origin,
    /// Its value.
    pub node: Node,
}

/// A scalar as written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    text: String,
    style: Style,
}

/// How a scalar was written, which decides what it may be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bare in a file: read as what is asked for.
    Plain,
    /// In quotes or as a block: always text.
    Quoted,
    /// A variable or a flag, where quotes do not exist: read as what is asked for.
    Outside,
}

/// A scalar where no schema says what it is, as in the claims of a rule test.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved<'a> {
    /// Nothing, `~` or `null`.
    Nothing,
    /// `true` or `false`.
    Truth(bool),
    /// A whole number in JSON's spelling.
    Integer(i64),
    /// Any other number in JSON's spelling.
    Float(f64),
    /// Everything else, among it `NO`, `012`, `+1` and `0x1F`.
    Text(&'a str),
}

impl Node {
    /// An empty table.
    #[must_use]
    pub const fn empty_table(origin: Origin) -> Self {
        Self { value: Value::Table(Vec::new()), origin }
    }

    /// A value from a variable or flag.
    #[must_use]
    pub fn outside(text: impl Into<String>, origin: Origin) -> Self {
        Self { value: Value::Scalar(Scalar::new(text, Style::Outside)), origin }
    }

    /// The value of `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
            }
            Value::Scalar(_) | Value::List(_) | Value::Refused => None,
        }
    }
}

impl Node {
    /// Takes the key at this path away, if there is one.
    pub(super) fn forget(&mut self, path: &[&str]) {
        let (Some((key, below)), Value::Table(entries)) = (path.split_first(), &mut self.value)
        else {
            return;
        };
        if below.is_empty() {
            entries.retain(|entry| entry.key != *key);
        } else if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
            entry.node.forget(below);
        }
    }
}

impl Node {
    /// As JSON, with scalars as [`Scalar::resolve`] has them. `None` if a part of it was refused, or is
    /// a number that JSON has not.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        match &self.value {
            Value::Scalar(scalar) => Some(match scalar.resolve() {
                Resolved::Nothing => Json::Null,
                Resolved::Truth(truth) => Json::Bool(truth),
                Resolved::Integer(integer) => Json::from(integer),
                Resolved::Float(float) => Json::Number(serde_json::Number::from_f64(float)?),
                Resolved::Text(text) => Json::from(text),
            }),
            Value::List(items) => {
                items.iter().map(Self::to_json).collect::<Option<_>>().map(Json::Array)
            }
            Value::Table(entries) => entries
                .iter()
                .map(|entry| Some((entry.key.clone(), entry.node.to_json()?)))
                .collect::<Option<_>>()
                .map(Json::Object),
            Value::Refused => None,
        }
    }
}

impl Value {
    /// For a sentence.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) if scalar.is_nothing() => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Table(_) => "a table of keys",
            Self::Refused => "something refused",
        }
    }
}

impl Scalar {
    /// A scalar of `text`, written in `style`.
    #[must_use]
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    /// As written, without its quotes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it was written.
    pub const fn style(&self) -> Style {
        self.style
    }

    /// Whether a file says there is no value: nothing at all, `~` or `null`, without quotes.
    pub fn is_nothing(&self) -> bool {
        self.style == Style::Plain
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// What it is where no schema says so: the scalars of JSON, in JSON's spelling, and text.
    /// Narrower than YAML's core schema, which would make the number 12 of `012`.
    pub fn resolve(&self) -> Resolved<'_> {
        if self.is_nothing() {
            return Resolved::Nothing;
        }
        if self.style == Style::Quoted {
            return Resolved::Text(&self.text);
        }
        match self.text.as_str() {
            "true" => Resolved::Truth(true),
            "false" => Resolved::Truth(false),
            text => json_number(text).unwrap_or(Resolved::Text(text)),
        }
    }
}

/// The text may be a secret that was given inline.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({:?}, {} bytes)", self.style, self.text.len())
    }
}

fn json_number<'a>(text: &str) -> Option<Resolved<'a>> {
    // JSON allows white space around a value; a quoted-less scalar with spaces inside is text.
    let starts = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    let ends = text.ends_with(|c: char| c.is_ascii_digit());
    let number: serde_json::Number =
        (starts && ends).then(|| serde_json::from_str(text).ok()).flatten()?;
    match number.as_i64() {
        Some(integer) => Some(Resolved::Integer(integer)),
        None => number.as_f64().map(Resolved::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spellings_of_json_resolve_to_anything_but_text() {
        for (text, resolved) in [
            ("", Resolved::Nothing),
            ("~", Resolved::Nothing),
            ("null", Resolved::Nothing),
            ("true", Resolved::Truth(true)),
            ("12", Resolved::Integer(12)),
            ("-0", Resolved::Float(0.0)),
            ("-7", Resolved::Integer(-7)),
            ("1e3", Resolved::Float(1000.0)),
            ("1.5", Resolved::Float(1.5)),
            ("18446744073709551615", Resolved::Float(1.844_674_407_370_955_2e19)),
        ] {
            assert_eq!(Scalar::new(text, Style::Plain).resolve(), resolved, "{text}");
        }
        for text in [
            "NO",
            "no",
            "yes",
            "on",
            "True",
            "012",
            "+1",
            "0x1F",
            "0o7",
            "1_000",
            ".5",
            "1.",
            ".inf",
            ".nan",
            "0192:312714051",
            "2026-01-01",
            "1 ",
            " 1",
            "--1",
            "nullo",
        ] {
            assert_eq!(Scalar::new(text, Style::Plain).resolve(), Resolved::Text(text));
        }
        for text in ["true", "1", "", "null"] {
            assert_eq!(Scalar::new(text, Style::Quoted).resolve(), Resolved::Text(text));
        }
    }

    #[test]
    fn debug_shows_no_text() {
        let node = Node::outside("hemmelig", Origin::Nowhere);
        assert!(!format!("{node:?}").contains("hemmelig"));
    }
}
