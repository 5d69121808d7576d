//! A JSON document read whole and without mercy: bounded in size, depth and count, no trailing data, and no
//! object with two members whose names differ in nothing but case.
//!
//! Two readers of one document must not see two things. Parsers differ in which of two equal members they
//! believe; refusing such documents is the only reading that all share (RFC 8259 §4).

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Bounds memory even if the transport did not.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Altinn's deepest answer has 7 levels. Bounds the stack.
const MAX_DEPTH: usize = 24;
/// Bounds what a small document of many small values makes us allocate.
const MAX_VALUES: usize = 50_000;
/// Bounds the search for equal names in one object.
const MAX_MEMBERS: usize = 64;

/// A value. What a number was is never of interest here, only that it stands where text should.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Truth(bool),
    Number,
    Text(String),
    List(Vec<Json>),
    Members(Members),
}

/// The members of one object.
// Invariant: names are in lower case and distinct.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(String, Json)>);

/// Not a document we read. Holds positions, never content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonFault(Box<str>);

/// A value of another kind than the profile has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` is not {expected}")]
pub struct ShapeFault {
    member: &'static str,
    expected: &'static str,
}

impl Json {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, JsonFault> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(JsonFault(format!("larger than {MAX_DOCUMENT_BYTES} bytes").into()));
        }
        let fault = |cause: serde_json::Error| JsonFault(cause.to_string().into());
        let mut source = serde_json::Deserializer::from_slice(bytes);
        let values = Cell::new(0);
        let value = Reader { depth: 0, values: &values }.deserialize(&mut source).map_err(fault)?;
        source.end().map_err(fault)?;
        Ok(value)
    }

    pub(super) fn text(self, member: &'static str) -> Result<Option<String>, ShapeFault> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Truth(_) | Self::Number | Self::List(_) | Self::Members(_) => {
                Err(ShapeFault { member, expected: "a string" })
            }
        }
    }

    pub(super) fn truth(self, member: &'static str) -> Result<Option<bool>, ShapeFault> {
        match self {
            Self::Null => Ok(None),
            Self::Truth(truth) => Ok(Some(truth)),
            Self::Text(_) | Self::Number | Self::List(_) | Self::Members(_) => {
                Err(ShapeFault { member, expected: "true or false" })
            }
        }
    }

    pub(super) fn list(self, member: &'static str) -> Result<Option<Vec<Self>>, ShapeFault> {
        match self {
            Self::Null => Ok(None),
            Self::List(list) => Ok(Some(list)),
            Self::Truth(_) | Self::Number | Self::Text(_) | Self::Members(_) => {
                Err(ShapeFault { member, expected: "an array" })
            }
        }
    }

    pub(super) fn members(self, member: &'static str) -> Result<Option<Members>, ShapeFault> {
        match self {
            Self::Null => Ok(None),
            Self::Members(members) => Ok(Some(members)),
            Self::Truth(_) | Self::Number | Self::Text(_) | Self::List(_) => {
                Err(ShapeFault { member, expected: "an object" })
            }
        }
    }

    /// An object, where null will not do.
    pub(super) fn object(self, member: &'static str) -> Result<Members, ShapeFault> {
        self.members(member)?.ok_or(ShapeFault { member, expected: "an object" })
    }
}

impl Members {
    /// Takes a member out by its name in lower case; one that is absent is as good as null.
    pub(super) fn take(&mut self, lower_case_name: &str) -> Json {
        match self.0.iter_mut().find(|(name, _)| name == lower_case_name) {
            Some((_, value)) => std::mem::replace(value, Json::Null),
            None => Json::Null,
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    depth: usize,
    values: &'a Cell<usize>,
}

impl Reader<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, values: self.values })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(D::Error::custom(format_args!("more than {MAX_VALUES} values")));
        }
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Truth(truth))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Json, A::Error> {
        let reader = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = source.next_element_seed(reader)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Json, A::Error> {
        let reader = self.deeper()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some(mut name) = source.next_key::<String>()? {
            name.make_ascii_lowercase();
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("an object has the same member twice"));
            }
            if members.len() >= MAX_MEMBERS {
                return Err(A::Error::custom(format_args!("more than {MAX_MEMBERS} members")));
            }
            members.push((name, source.next_value_seed(reader)?));
        }
        Ok(Json::Members(Members(members)))
    }
}
